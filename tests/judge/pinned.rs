//! Flux objects of a repository under the Flux that it pins.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::repository::plan::Target;
use fluxkeep::repository::read;
use fluxkeep_fixtures::repository::{judged, seen, written};

fn found(files: &[(&str, &str)]) -> Vec<String> {
    seen(&judged(read(written(files), Catalogue::built_in())))
}

fn boot(version: &str) -> String {
    format!(
        "kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v{version}/install.yaml\n"
    )
}

fn object(api_version: &str, kind: &str) -> String {
    format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a, namespace: b}}\nspec: {{interval: 1m}}\n"
    )
}

fn instance(version: &str, path: &str) -> String {
    format!(
        "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux}}\nspec:\n  distribution: {{version: \"{version}\", registry: ghcr.io/fluxcd}}\n  sync: {{path: {path}}}\n"
    )
}

#[test]
fn a_version_that_the_pinned_flux_does_not_serve_is_refused_with_all_its_objects() {
    let (release, boot) = (
        object("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease"),
        boot("2.8.8"),
    );
    let files = [
        ("apps/one.yaml", release.as_str()),
        ("apps/two.yaml", &release),
        ("boot.sh", &boot),
    ];
    assert_eq!(
        found(&files),
        ["enforce served-version-withdrawn apps/one.yaml:1 apps/two.yaml:1 boot.sh:1"]
    );
}

#[test]
fn a_version_that_comes_later_is_refused_and_the_release_with_it_is_named() {
    let (source, boot) = (
        object("source.toolkit.fluxcd.io/v1", "OCIRepository"),
        boot("2.5.1"),
    );
    let verdict = judged(read(
        written(&[("a.yaml", &source), ("boot.sh", &boot)]),
        Catalogue::built_in(),
    ));
    let finding = &verdict.findings[0];
    assert_eq!(finding.rule, "served-version-withdrawn");
    assert_eq!(
        finding.remedy,
        "Raise Flux to 2.6.0 or newer, or write source.toolkit.fluxcd.io/v1beta2"
    );
}

#[test]
fn a_kind_that_comes_later_is_refused() {
    let generator = object("source.extensions.fluxcd.io/v1beta1", "ArtifactGenerator");
    let older = found(&[("a.yaml", &generator), ("boot.sh", &boot("2.6.4"))]);
    assert_eq!(
        older,
        ["enforce served-version-withdrawn a.yaml:1 boot.sh:1"]
    );
    assert!(found(&[("a.yaml", &generator), ("boot.sh", &boot("2.7.5"))]).is_empty());
}

#[test]
fn served_versions_strangers_and_examples_pass() {
    let deprecated = object("helm.toolkit.fluxcd.io/v2beta2", "HelmRelease");
    let gone = object("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease");
    let canary = object("flagger.app/v1beta1", "Canary");
    let newer = object("helm.toolkit.fluxcd.io/v9", "HelmSomething");
    let files = [
        ("a.yaml", deprecated.as_str()),
        ("b.yaml", &canary),
        ("c.yaml", &newer),
        ("examples/d.yaml", &gone),
        ("boot.sh", &boot("2.7.5")),
    ];
    assert!(found(&files).is_empty(), "{:?}", found(&files));
    assert!(found(&[("a.yaml", &gone)]).is_empty(), "no Flux is pinned");
}

/// kustomize applies a patch to its target, whatever version the patch names.
#[test]
fn patches_pass_whatever_their_version() {
    let gone = object("helm.toolkit.fluxcd.io/v1", "HelmRelease");
    let inline = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  patches:\n    - patch: |\n        apiVersion: helm.toolkit.fluxcd.io/v1\n        kind: HelmRelease\n        metadata: {name: x}\n        spec: {interval: 1m}\n      target: {kind: HelmRelease}\n";
    let list =
        "resources: [app.yaml]\npatches:\n  - {path: patch.yaml, target: {kind: HelmRelease}}\n";
    let files = [
        ("boot.sh", boot("2.8.8")),
        ("a/inline.yaml", inline.to_owned()),
        ("a/kustomization.yaml", list.to_owned()),
        ("a/patch.yaml", gone.clone()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
    assert!(found(&files).is_empty(), "{:?}", found(&files));
    let whole = [("boot.sh", boot("2.8.8")), ("a/app.yaml", gone)];
    let whole: Vec<(&str, &str)> = whole.iter().map(|(path, text)| (*path, &**text)).collect();
    assert_eq!(found(&whole).len(), 1);
}

#[test]
fn an_object_of_one_cluster_is_judged_by_its_own_flux() {
    let gone = object("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease");
    let (prod, test) = (
        instance("2.6.4", "clusters/prod"),
        instance("2.8.8", "clusters/test"),
    );
    let with = |path: &str| {
        found(&[
            ("clusters/prod/flux.yaml", &prod),
            ("clusters/test/flux.yaml", &test),
            (path, &gone),
        ])
    };
    assert!(with("clusters/prod/app.yaml").is_empty());
    let own = "enforce served-version-withdrawn clusters/test/app.yaml:1 clusters/test/flux.yaml:5";
    assert_eq!(with("clusters/test/app.yaml"), [own]);
    let shared = "warn served-version-withdrawn apps/app.yaml:1 clusters/test/flux.yaml:5";
    assert_eq!(with("apps/app.yaml"), [shared]);
}

#[test]
fn under_a_range_a_withdrawn_version_is_a_warning() {
    let gone = object("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease");
    let ranged = instance("2.x", "./");
    let found = found(&[("a.yaml", &gone), ("flux.yaml", &ranged)]);
    assert_eq!(
        found,
        ["warn served-version-withdrawn a.yaml:1 flux.yaml:5"]
    );
}

#[test]
fn a_release_that_the_catalogue_lacks_makes_the_rules_abstain() {
    let release = object("helm.toolkit.fluxcd.io/v2beta1", "HelmRelease");
    let verdict = judged(read(
        written(&[("a.yaml", &release), ("boot.sh", &boot("2.99.0"))]),
        Catalogue::built_in(),
    ));
    assert!(seen(&verdict).is_empty());
    let abstained: Vec<&str> = verdict.abstained.iter().map(|one| one.rule).collect();
    assert!(
        abstained.contains(&"served-version-withdrawn"),
        "{abstained:?}"
    );
    assert!(abstained.contains(&"unknown-field"), "{abstained:?}");
}

#[test]
fn a_field_is_right_for_one_cluster_and_refused_for_another() {
    let app = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: a}\nspec:\n  dependsOn:\n    - name: b\n    - name: c\n      readyExpr: \"true\"\n";
    let (prod, test) = (
        instance("2.6.4", "clusters/prod"),
        instance("2.8.8", "clusters/test"),
    );
    let files = [
        ("clusters/prod/app.yaml", app),
        ("clusters/prod/flux.yaml", &prod),
        ("clusters/test/app.yaml", app),
        ("clusters/test/flux.yaml", &test),
    ];
    assert_eq!(
        found(&files),
        ["enforce unknown-field clusters/prod/app.yaml:8 clusters/prod/flux.yaml:5"]
    );
}

fn flux_release(more: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux}}\nspec:\n  chart: {{spec: {{chart: flux2, version: 2.14.1, sourceRef: {{kind: HelmRepository, name: c}}}}}}\n{more}"
    )
}

#[test]
fn a_release_that_brings_flux_without_keep_is_a_warning() {
    let bare = flux_release("");
    assert_eq!(
        found(&[("flux.yaml", &bare)]),
        ["warn engine-object-unkept flux.yaml:5"]
    );
    assert!(found(&[("flux.yaml", &flux_release("  suspend: true\n"))]).is_empty());
    assert!(found(&[("app.yaml", &bare.replace("flux2", "app"))]).is_empty());
}

#[test]
fn two_releases_that_bring_flux_are_refused_if_one_is_uninstalled_when_it_fails() {
    let (one, two) = (
        flux_release(""),
        flux_release("  install: {remediation: {retries: 3}}\n").replace("name: flux}", "name: f}"),
    );
    let found = found(&[("one.yaml", &one), ("two.yaml", &two)]);
    let told = "enforce engine-in-two-releases two.yaml:3 one.yaml:3".to_owned();
    assert!(found.contains(&told), "{found:?}");
}

const KUSTOMIZATION: &str = "images:\n  - {name: ghcr.io/fluxcd/source-controller, newTag: v1.4.1}\n  - {name: ghcr.io/fluxcd/kustomize-controller, newTag: v1.4.0}\n  - {name: ghcr.io/fluxcd/helm-controller, newTag: v1.1.0}\n  - {name: ghcr.io/fluxcd/notification-controller, newTag: v1.4.0}\n";

#[test]
fn images_of_a_release_are_that_release() {
    let with = |boot: &str| {
        found(&[
            ("boot.sh", boot),
            ("flux/kustomization.yaml", KUSTOMIZATION),
        ])
    };
    assert!(with(&boot("2.4.0")).is_empty());
    let other = with(&boot("2.5.1"));
    assert_eq!(other.len(), 1, "{other:?}");
    assert!(
        other[0].starts_with("enforce pin-mismatch flux/kustomization.yaml:2"),
        "{other:?}"
    );
}

#[test]
fn the_image_of_one_controller_is_the_release_patched() {
    let patched = "images:\n  - {name: ghcr.io/fluxcd/source-controller, newTag: v1.8.2}\n";
    let repository = read(
        written(&[("flux/kustomization.yaml", patched)]),
        Catalogue::built_in(),
    );
    let release = repository.pins[0].flux().unwrap().clone();
    let other = fluxkeep::repository::minor(&release);
    let boot = boot(&format!("{}.{}.0", other.0, other.1));
    let seen = found(&[("boot.sh", &boot), ("flux/kustomization.yaml", patched)]);
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn a_bump_moves_the_images_with_the_manifest() {
    let boot = boot("2.4.0");
    let files = [
        ("boot.sh", boot.as_str()),
        ("flux/kustomization.yaml", KUSTOMIZATION),
    ];
    let repository = read(written(&files), Catalogue::built_in());
    let to = "2.5.1".parse().unwrap();
    let plan = repository
        .plan(&Target::of(&to), None, Catalogue::built_in())
        .unwrap();
    let changed = repository.changed(&plan);
    let kept = written(&files).into_iter();
    let kept = kept.filter(|file| changed.iter().all(|new| new.path != file.path));
    let after = read(kept.chain(changed.clone()).collect(), Catalogue::built_in());
    assert_eq!((plan.edited.len(), plan.left.len()), (5, 0));
    assert!(
        after.pins.iter().all(|pin| pin.flux() == Some(&to)),
        "{:?}",
        after.pins
    );
    assert!(seen(&judged(after)).is_empty());
}
