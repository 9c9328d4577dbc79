//! Go modules from the `go` program, which unpacks the proxy's modules into its cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};
use semver::Version;
use serde::Deserialize;

/// The path prefix of Flux's modules.
const OWNER: &str = "github.com/fluxcd";

/// The result of asking for a version of a module.
#[derive(Debug)]
pub(crate) enum Module {
    /// The folder with the module.
    Served(PathBuf),
    /// The reason why the proxy does not serve the module.
    NotServed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Answer {
    dir: Option<PathBuf>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Listed {
    versions: Vec<Tag>,
}

/// A version with Go's `v` prefix.
#[derive(Deserialize)]
#[serde(transparent)]
struct Tag(String);

/// The path of a module of Flux, for example `flux2` or `source-watcher/api`. Go appends the major
/// version from 2 on.
pub(crate) fn path(name: &str, version: &Version) -> String {
    if version.major < 2 {
        return format!("{OWNER}/{name}");
    }
    format!("{OWNER}/{name}/v{}", version.major)
}

/// Downloads a version of a module of Flux.
///
/// # Errors
/// If `go` cannot run.
pub(crate) fn download(name: &str, version: &Version) -> anyhow::Result<Module> {
    let module = format!("{}@v{version}", path(name, version));
    let output = go(&["mod", "download", "-json", &module])?;
    let answer: Answer = serde_json::from_slice(&output).unwrap_or_default();
    Ok(match (answer.dir, answer.error) {
        (Some(folder), None) => Module::Served(folder),
        (_, error) => Module::NotServed(first_line(&error.unwrap_or_default())),
    })
}

/// The stable versions of a module that the proxy lists. It may serve others, too.
///
/// # Errors
/// If `go` cannot run.
pub(crate) fn versions(path: &str) -> anyhow::Result<Vec<Version>> {
    let output = go(&["list", "-m", "-json", "-versions", path])?;
    let listed: Listed = serde_json::from_slice(&output).unwrap_or_default();
    let versions = listed.versions.iter();
    let read = versions.filter_map(|Tag(text)| text.strip_prefix('v')?.parse().ok());
    Ok(read
        .filter(|version: &Version| version.pre.is_empty())
        .collect())
}

/// Runs `go` outside any module and returns its stdout, which holds a refusal as JSON.
fn go(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new("go");
    command
        .args(arguments)
        .current_dir(std::env::temp_dir())
        .env("GOFLAGS", "-mod=mod");
    let output = command.output().context("running go; is it installed?")?;
    if output.stdout.is_empty() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("running go {}: {}", arguments.join(" "), said.trim());
    }
    Ok(output.stdout)
}

/// The reason alone, without the module and the proxy's address in front.
fn first_line(error: &str) -> String {
    let reason = error.lines().last().unwrap_or_default().trim();
    let said = reason.strip_prefix("server response: ").unwrap_or(reason);
    said.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn from_the_second_major_version_on_it_is_in_the_path() {
        let at = |name, version: &str| path(name, &version.parse().unwrap());
        assert_eq!(at("flux2", "2.9.5"), "github.com/fluxcd/flux2/v2");
        assert_eq!(
            at("source-watcher/api", "2.2.4"),
            "github.com/fluxcd/source-watcher/api/v2"
        );
        assert_eq!(
            at("helm-controller", "1.6.4"),
            "github.com/fluxcd/helm-controller"
        );
    }

    #[test]
    fn a_refusal_is_told_without_addresses() {
        let said = "a/b@v1: reading https://proxy/a/b/@v/v1.info: 403 Forbidden\n\tserver response: This module \
                    version is not available.";
        assert_eq!(first_line(said), "This module version is not available");
    }
}
