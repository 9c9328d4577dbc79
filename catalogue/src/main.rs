//! Builds the catalogue of Flux releases from Go modules, as far as the module proxy serves them.
//!
//! flux2's `manifests` name each controller's version, and helm-controller's `go.mod` the Helm SDK.
//! A controller's CRDs come from its `config/crd/bases`, or else from the markers in its `api`.
//! Every served release of the catalogue must come out equal. If a release differs, the difference
//! is shown and nothing is written. No module names the versions of the community's chart. Known
//! chart versions stay as they are; a new release has none until a person adds them.

mod file;
mod module;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use fluxkeep::flux::catalogue::{Catalogue, Controller, FluxRelease, Offer};
use module::Module;
use semver::Version;

/// Releases whose module names other controllers than the published manifest. The proxy keeps the
/// first content of a tag, but clusters run the published manifest.
const OTHERWISE_PUBLISHED: [Version; 1] = [Version::new(2, 0, 1)];

/// The parts of a release that its modules tell.
#[derive(Debug, Default)]
struct Built {
    controllers: Vec<Controller>,
    helm: Option<Version>,
    crds: Vec<Offer>,
    /// The parts that the proxy does not serve.
    lacking: Vec<String>,
}

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        say("name the catalogue's file, for example src/flux/catalogue/releases.json");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(path: &PathBuf) -> anyhow::Result<()> {
    let context = || format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let catalogue = Catalogue::read(&text).with_context(context)?;
    let newest = catalogue.newest().context("the catalogue is empty")?;
    let mut versions: BTreeSet<Version> = catalogue
        .releases()
        .iter()
        .map(|release| release.version.clone())
        .collect();
    versions.extend(module::versions(&module::path("flux2", &newest.version))?);
    let mut releases = catalogue.releases().to_vec();
    let mut differences = Vec::new();
    for version in &versions {
        if OTHERWISE_PUBLISHED.contains(version) {
            say(&format!(
                "Flux {version}: not compared: its module is not what was published"
            ));
            continue;
        }
        let built = build(version, newest)?;
        match catalogue.release(version) {
            Some(known) => differences.extend(told(version, &built, compare(known, &built))),
            None => releases.extend(added(version, built)),
        }
    }
    ensure!(
        differences.is_empty(),
        "nothing is written: modules and catalogue differ:\n{}",
        differences.join("\n")
    );
    releases.sort_by(|left, right| left.version.cmp(&right.version));
    let written = file::write(&releases);
    if written != text {
        std::fs::write(path, written).with_context(|| format!("writing {}", path.display()))?;
        say(&format!("{} is written", path.display()));
    }
    Ok(())
}

/// The parts of a release that the proxy serves.
fn build(version: &Version, newest: &FluxRelease) -> anyhow::Result<Built> {
    let mut built = Built::default();
    let flux2 = match module::download("flux2", version)? {
        Module::Served(folder) => folder,
        Module::NotServed(why) => {
            built.lacking.push(format!("flux2 {version} ({why})"));
            return Ok(built);
        }
    };
    for (name, version) in source::controllers(&flux2)? {
        controller(&mut built, &name, &version, newest)?;
        built.controllers.push(Controller { name, version });
    }
    built.crds.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(built)
}

/// Adds a controller's CRDs, and for helm-controller the Helm SDK.
fn controller(
    built: &mut Built,
    name: &str,
    version: &Version,
    newest: &FluxRelease,
) -> anyhow::Result<()> {
    if let Module::Served(folder) = module::download(name, version)? {
        if name == "helm-controller" {
            let path = folder.join("go.mod");
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading {}", path.display()))?;
            built.helm = source::helm(&text);
        }
        built.crds.extend(source::bases(&folder)?);
        return Ok(());
    }
    if name == "helm-controller" {
        built
            .lacking
            .push(format!("{name} {version}: its Helm SDK"));
    }
    match module::download(&format!("{name}/api"), version)? {
        Module::Served(folder) => {
            let plural = |group: &str, kind: &str| plural(newest, group, kind);
            built.crds.extend(source::types(&folder, plural)?);
        }
        Module::NotServed(why) => built.lacking.push(format!("{name} {version} ({why})")),
    }
    Ok(())
}

/// The plural of a kind: from the newest release, or else by English rules.
fn plural(newest: &FluxRelease, group: &str, kind: &str) -> String {
    let named = |crd: &&Offer| crd.kind == kind && crd.name.ends_with(&format!(".{group}"));
    if let Some((plural, _)) = newest
        .crds
        .iter()
        .find(named)
        .and_then(|crd| crd.name.split_once('.'))
    {
        return plural.to_owned();
    }
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

/// The differences between a release of the catalogue and its modules.
fn compare(known: &FluxRelease, built: &Built) -> Vec<String> {
    let mut differences = Vec::new();
    if built.controllers.is_empty() {
        return differences;
    }
    if known.controllers != built.controllers {
        differences.push(format!(
            "controllers: {:?} in the catalogue, {:?} in its module",
            versions(&known.controllers),
            versions(&built.controllers)
        ));
    }
    if let Some(helm) = built.helm.as_ref().filter(|helm| **helm != known.helm) {
        differences.push(format!("Helm SDK: {} and {helm}", known.helm));
    }
    for crd in &built.crds {
        let kept = known.crd(&crd.name);
        if kept != Some(crd) {
            differences.push(format!("{}: {kept:?} and {crd:?}", crd.name));
        }
    }
    if built.lacking.is_empty() && known.crds.len() != built.crds.len() {
        differences.push(format!(
            "{} CRDs in the catalogue, {} in its modules",
            known.crds.len(),
            built.crds.len()
        ));
    }
    differences
}

fn versions(controllers: &[Controller]) -> BTreeMap<&str, String> {
    controllers
        .iter()
        .map(|one| (one.name.as_str(), one.version.to_string()))
        .collect()
}

/// Reports the comparison of a known release. Returns the differences with the release's name.
fn told(version: &Version, built: &Built, differences: Vec<String>) -> Vec<String> {
    let outcome = match (differences.is_empty(), built.lacking.as_slice()) {
        (false, _) => "differs".to_owned(),
        (true, []) => "equal".to_owned(),
        (true, lacking) => format!("not served, so not compared: {}", lacking.join(", ")),
    };
    say(&format!("Flux {version}: {outcome}"));
    differences
        .into_iter()
        .map(|difference| format!("  Flux {version}: {difference}"))
        .collect()
}

/// A release that the catalogue lacks. `None` unless the modules tell all of it.
fn added(version: &Version, built: Built) -> Option<FluxRelease> {
    match built.helm {
        Some(helm) if built.lacking.is_empty() => {
            say(&format!(
                "Flux {version}: new; write the chart versions that carry it by hand"
            ));
            Some(FluxRelease {
                version: version.clone(),
                helm,
                charts: Vec::new(),
                controllers: built.controllers,
                crds: built.crds,
            })
        }
        _ => {
            let lacking = built.lacking.join(", ");
            say(&format!("Flux {version}: new, but not served: {lacking}"));
            None
        }
    }
}

/// Writes to stderr. A failure is ignored: no other place could show it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "catalogue: {text}");
}
