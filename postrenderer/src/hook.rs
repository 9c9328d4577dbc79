//! The equivalent for helm-controller, which runs no external program: `spec.postRenderers` of a
//! HelmRelease.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use fluxkeep::helm::post_renderer::addition;
use fluxkeep::manifest::{self, ManifestObject, Reading};
use fluxkeep::object::Body;
use fluxkeep::yaml::Paths;
use fluxkeep::yaml::edit::{edit, splice};
use serde_json::{Value, json};

use crate::{RunOutcome, note, print};

/// The flags of `fluxkeep-postrenderer hook`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File with the HelmRelease. Default: only the stanza is printed.
    #[arg(long = "for", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name of the HelmRelease, if the file contains several.
    #[arg(long, value_name = "NAME", requires = "file")]
    name: Option<String>,
    /// Writes the file instead of printing its new content.
    #[arg(long, requires = "file")]
    write: bool,
}

/// Prints the stanza, or adds the stanza to a HelmRelease's file.
///
/// # Errors
/// When the file cannot be read, edited or written, or the HelmRelease is missing or not unique.
pub fn run(args: &Args) -> anyhow::Result<RunOutcome> {
    let Some(path) = &args.file else {
        let text = hooked("spec:\n", None)?;
        print(&text).context("writing the stanza to stdout")?;
        return Ok(RunOutcome::Well);
    };
    let context = || format!("adding the post-renderer to {}", path.display());
    let text = std::fs::read_to_string(path).with_context(context)?;
    let found = release(&text, args.name.as_deref()).with_context(context)?;
    let after = hooked(&text, Some(&found)).with_context(context)?;
    if !args.write {
        print(&after).context("writing to stdout")?;
    } else if after == text {
        note(&format!(
            "{}: {} already has the post-renderer",
            path.display(),
            found.object
        ));
    } else {
        std::fs::write(path, after).with_context(context)?;
        note(&format!(
            "{}: added the post-renderer to {}",
            path.display(),
            found.object
        ));
    }
    Ok(RunOutcome::Well)
}

/// Returns the only HelmRelease in a text, or the only one with that name.
fn release<'a>(text: &'a str, name: Option<&str>) -> anyhow::Result<ManifestObject<'a>> {
    let found = manifest::find(text, Reading::default())?;
    let is_meant = |found: &ManifestObject<'_>| {
        matches!(found.object.body, Body::HelmRelease(_))
            && name.is_none_or(|name| name == found.object.name)
    };
    let mut meant = found.into_iter().filter(is_meant);
    let first = meant.next().with_context(|| missing(name))?;
    ensure!(
        meant.next().is_none(),
        "the file holds several HelmReleases; choose one with --name"
    );
    Ok(first)
}

fn missing(name: Option<&str>) -> String {
    let named = name
        .map(|name| format!(" called {name}"))
        .unwrap_or_default();
    format!("the file holds no HelmRelease{named}; give the file that does")
}

/// Returns a text with the stanza added to the found HelmRelease, or to the first document.
fn hooked(text: &str, found: Option<&ManifestObject<'_>>) -> anyhow::Result<String> {
    let (document, item) = match found {
        Some(found) => (Some(found.document), found.item),
        None => (fluxkeep::yaml::documents(text).next(), None),
    };
    let document = document.context("the file holds no document")?;
    let value: Value = document.read_paths(&Paths::Whole)?;
    let value = item
        .map_or(Some(&value), |item| {
            value.pointer(&format!("/items/{item}"))
        })
        .unwrap_or(&Value::Null);
    let Some(patch) = addition(value) else {
        return Ok(text.to_owned());
    };
    let patch = item.map_or_else(
        || patch.clone(),
        |item| json!({"items": {item.to_string(): patch}}),
    );
    Ok(splice(text, &edit(&document, &patch)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str =
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux}\n";

    fn after(text: &str) -> String {
        hooked(text, Some(&release(text, None).unwrap())).unwrap()
    }

    #[test]
    fn the_stanza_is_what_helm_controller_takes() {
        assert_eq!(
            hooked("spec:\n", None).unwrap(),
            "spec:\n  postRenderers:\n    - kustomize:\n        patches:\n          - patch: |\n              kind: X\n              \
             metadata:\n                name: x\n                annotations:\n                  \
             helm.sh/resource-policy: keep\n            target:\n              kind: \".*\"\n"
        );
    }

    #[test]
    fn a_file_keeps_its_comments_and_is_not_written_twice() {
        let text = format!("# c\n{HEAD}spec: # d\n  interval: 1h # e\n---\nkind: Other\n");
        let once = after(&text);
        assert!(
            once.starts_with("# c\n") && once.contains("spec: # d\n  postRenderers:\n"),
            "{once}"
        );
        assert!(
            once.contains("  interval: 1h # e\n---\nkind: Other\n"),
            "{once}"
        );
        assert_eq!(after(&once), once);
    }

    #[test]
    fn a_post_renderer_that_is_there_stays_in_front() {
        let text = format!(
            "{HEAD}spec:\n  postRenderers:\n  - kustomize:\n      images: # c\n      - {{name: a, newTag: b}}\n  interval: 1h\n"
        );
        let once = after(&text);
        assert!(
            once.contains(
                "      images: # c\n      - {name: a, newTag: b}\n  - kustomize:\n      patches:\n"
            ),
            "{once}"
        );
        assert!(once.ends_with("\n  interval: 1h\n"), "{once}");
        assert_eq!(after(&once), once);
        let flow = after(&format!(
            "{HEAD}spec: {{postRenderers: [{{kustomize: {{images: []}}}}]}}\n"
        ));
        assert!(
            flow.contains("[{kustomize: {images: []}}, {\"kustomize\": {\"patches\""),
            "{flow}"
        );
        assert_eq!(after(&flow), flow);
    }

    #[test]
    fn of_several_helm_releases_one_has_to_be_named() {
        let text = format!("{HEAD}---\n{}", HEAD.replace("flux}", "other}"));
        assert!(
            release(&text, None)
                .unwrap_err()
                .to_string()
                .contains("--name")
        );
        assert_eq!(release(&text, Some("other")).unwrap().object.name, "other");
        for (meant, told) in [
            (None, "the file holds no HelmRelease; "),
            (Some("b"), "the file holds no HelmRelease called b; "),
        ] {
            assert!(
                release("kind: A\n", meant)
                    .unwrap_err()
                    .to_string()
                    .starts_with(told)
            );
        }
    }
}
