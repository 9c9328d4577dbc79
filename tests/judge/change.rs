//! The repository gate with a base revision: findings that stood before, and moves of Flux.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::repository::read;
use fluxkeep_fixtures::repository::{KEPT, judged, seen, written};

fn changed(before: &[(&str, &str)], after: &[(&str, &str)]) -> Verdict {
    let base = read(written(before), Catalogue::built_in());
    let mut repository = read(written(after), Catalogue::built_in());
    repository.base = Some(Arc::new(base));
    judged(repository)
}

/// The findings that the change brings: `level rule`.
fn brought(verdict: &Verdict) -> Vec<String> {
    let counting = verdict.standing();
    counting
        .map(|finding| format!("{} {}", finding.level.name(), finding.rule))
        .collect()
}

fn boot(version: &str) -> String {
    format!(
        "kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v{version}/install.yaml\n"
    )
}

fn release(chart: &str, more: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: flux-system}}\nspec:\n  chart: {{spec: {{chart: flux2, version: {chart}, sourceRef: {{kind: HelmRepository, name: c}}}}}}\n{KEPT}{more}"
    )
}

#[test]
fn a_finding_that_stood_before_is_known_and_does_not_fail() {
    let boot = boot("2.4.0");
    let release = release("2.13.0", "");
    let moved = format!("# a comment\n{release}");
    let before = [("boot.sh", boot.as_str()), ("flux.yaml", &release)];
    let after = [("boot.sh", boot.as_str()), ("flux.yaml", &moved)];
    let verdict = changed(&before, &after);
    assert_eq!(seen(&verdict).len(), 1, "it is still shown");
    assert!(brought(&verdict).is_empty());
    assert_eq!(verdict.decision(), Decision::Allow);
}

#[test]
fn a_finding_that_the_change_brings_or_worsens_fails() {
    let boot = boot("2.4.0");
    let (right, wrong, worse) = (
        release("2.14.1", ""),
        release("2.13.0", ""),
        release("2.12.0", ""),
    );
    let with = |release: &str| vec![("boot.sh", boot.clone()), ("flux.yaml", release.to_owned())];
    let verdict = |before: &str, after: &str| {
        let (before, after) = (with(before), with(after));
        let lent =
            |files: &[(&'static str, String)]| -> Vec<(&'static str, String)> { files.to_vec() };
        let (before, after) = (lent(&before), lent(&after));
        let before: Vec<(&str, &str)> = before.iter().map(|(p, t)| (*p, t.as_str())).collect();
        let after: Vec<(&str, &str)> = after.iter().map(|(p, t)| (*p, t.as_str())).collect();
        changed(&before, &after)
    };
    let brought_by = |before: &str, after: &str| brought(&verdict(before, after));
    assert!(brought_by(&right, &wrong).contains(&"enforce pin-mismatch".to_owned()));
    assert!(brought_by(&wrong, &worse).contains(&"enforce pin-mismatch".to_owned()));
    assert!(brought_by(&wrong, &right).is_empty());
}

#[test]
fn a_comment_that_is_taken_away_brings_its_finding_back() {
    let boot = boot("2.4.0");
    let allowed = release("2.13.0", "").replace(
        "  chart:",
        "  # fluxkeep: allow pin-mismatch, staged\n  chart:",
    );
    let bare = release("2.13.0", "");
    let verdict = changed(
        &[("boot.sh", &boot), ("flux.yaml", &allowed)],
        &[("boot.sh", &boot), ("flux.yaml", &bare)],
    );
    assert_eq!(brought(&verdict), ["enforce pin-mismatch"]);
}

#[test]
fn a_move_down_is_refused_where_stored_versions_are_lost_and_warned_about_elsewhere() {
    let moved = |from: &str, to: &str| {
        brought(&changed(
            &[("boot.sh", &boot(from))],
            &[("boot.sh", &boot(to))],
        ))
    };
    assert_eq!(
        moved("2.4.0", "2.3.0"),
        ["enforce flux-downgraded", "enforce stored-version-dropped"]
    );
    assert_eq!(moved("2.8.8", "2.7.5"), ["warn flux-downgraded"]);
    assert_eq!(moved("2.5.1", "2.7.5"), ["warn flux-minor-skipped"]);
    assert_eq!(
        moved("2.5.1", "2.8.8"),
        ["warn flux-minor-skipped", "enforce stored-version-dropped"]
    );
    assert!(moved("2.4.0", "2.5.1").is_empty());
    assert!(moved("2.4.0", "2.4.0").is_empty());
}

#[test]
fn a_group_is_compared_with_itself() {
    let instance = |version: &str, path: &str| {
        format!(
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux}}\nspec:\n  distribution: {{version: \"{version}\", registry: ghcr.io/fluxcd}}\n  sync: {{path: {path}}}\n"
        )
    };
    let prod = instance("2.4.0", "clusters/prod");
    let (test, newer) = (
        instance("2.5.1", "clusters/test"),
        instance("2.6.1", "clusters/test"),
    );
    let verdict = changed(
        &[
            ("clusters/prod/f.yaml", &prod),
            ("clusters/test/f.yaml", &test),
        ],
        &[
            ("clusters/prod/f.yaml", &prod),
            ("clusters/test/f.yaml", &newer),
        ],
    );
    assert!(brought(&verdict).is_empty(), "{:?}", seen(&verdict));
}

#[test]
fn another_identity_of_the_release_that_brings_flux_is_refused() {
    let moved = |before: &str, after: &str| {
        brought(&changed(
            &[("flux.yaml", &release("2.14.1", before))],
            &[("flux.yaml", &release("2.14.1", after))],
        ))
    };
    assert_eq!(
        moved("", "  releaseName: other\n"),
        ["enforce release-identity-changed"]
    );
    assert_eq!(
        moved("  targetNamespace: a\n", "  targetNamespace: b\n").len(),
        2,
        "the default release name moves, too"
    );
    assert!(
        moved("", "  releaseName: flux\n").is_empty(),
        "it is the default"
    );
    let other = |name: &str| {
        release("2.14.1", &format!("  releaseName: {name}\n")).replace("chart: flux2", "chart: app")
    };
    let verdict = changed(&[("app.yaml", &other("a"))], &[("app.yaml", &other("b"))]);
    assert!(brought(&verdict).is_empty(), "another chart may move");
}
