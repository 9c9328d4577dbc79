//! The record door: what a release does to the cluster that it comes to.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::answer;
use fluxkeep::facts::Facts;
use fluxkeep::finding::Outcome;
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::policy_file;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::fixture::objects;
use fluxkeep_tests::{now, owned, packed, record, secret, stored};
use serde_json::json;

#[test]
fn what_helm_applies_with_the_rest_is_no_hook_whatever_it_is_marked_as() {
    let older = |hook: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: helm-controller\n  annotations: {{{hook}}}\n\
             spec: {{template: {{spec: {{containers: [{{image: helm-controller:v1.0.1}}]}}}}}}\n"
        )
    };
    let facts = Facts::of(objects(BUILT_IN, None));
    let rules = |manifest: &str, hooks: &[&str]| -> Vec<_> {
        stored(record(manifest, hooks))
            .answer(&facts)
            .verdict
            .findings
            .iter()
            .map(|one| one.rule)
            .collect()
    };
    let plain = rules(&older(""), &[]);
    assert!(plain.contains(&"flux-downgraded"), "{plain:?}");
    assert_eq!(rules(&older("helm.sh/hook: pre-install"), &[]), plain);
    assert!(rules("", &[&older("helm.sh/hook: pre-install")]).is_empty());
}

#[test]
fn an_object_that_becomes_a_hook_is_removed_from_the_release() {
    let live = owned("source-controller", "source-controller:v1.4.1");
    let facts = Facts::of(objects(&live, None));
    let hook = live.replace(
        "annotations: {",
        "annotations: {helm.sh/hook: pre-install, ",
    );
    let removed = |manifest: &str, hooks: &[&str]| {
        let verdict = stored(record(manifest, hooks)).answer(&facts).verdict;
        verdict
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "engine-object-removed")
    };
    assert!(removed("", &[&hook]));
    assert!(!removed(&live, &[]));
}

/// What is said of a release with other images than its HelmRelease declares.
fn belied(chart: &str) -> Vec<String> {
    let declared = format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: flux-system}}\n\
         spec: {{releaseName: flux, chart: {{spec: {{chart: flux2, version: '{chart}'}}}}}}\n"
    );
    let live = owned("source-controller", "source-controller:v1.4.1");
    let facts = Facts::of(objects(&(live + &declared), None));
    let newer = owned("source-controller", "source-controller:v9.9.9");
    let findings = stored(record(&newer, &[])).answer(&facts).verdict.findings;
    let mismatched = findings
        .iter()
        .filter(|finding| finding.rule == "flux-version-mismatch");
    mismatched
        .map(|one| format!("{} {}", one.outcome().name(), one.path))
        .collect()
}

#[test]
fn a_declaration_that_the_images_belie_is_warned_of_and_a_range_declares_nothing() {
    assert_eq!(belied("2.14.1"), ["warned /spec/chart/spec/version"]);
    assert!(belied("2.x").is_empty());
}

#[test]
fn an_override_that_the_release_brings_along_excuses_nothing() {
    let definition = |version: &str, annotations: &str| {
        format!(
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.example.org\n  \
             annotations: {{{annotations}}}\nspec: {{group: example.org, scope: Namespaced, names: {{kind: Thing, \
             plural: things}}, versions: [{{name: {version}, served: true, storage: true}}]}}\n\
             status: {{storedVersions: [{version}]}}\n"
        )
    };
    let allow = "fluxkeep.io/allow: stored-version-dropped, fluxkeep.io/reason: x, fluxkeep.io/until: '2026-11-25T12:00:00Z'";
    let facts = Facts::of(objects(&definition("v1", allow), None));
    let judged = |annotations| stored(record(&definition("v2", annotations), &[])).answer(&facts);
    assert_eq!(judged("").outcome.name(), "allow");
    let brought = judged(allow);
    assert_eq!(brought.outcome.name(), "refuse");
    assert!(
        brought
            .verdict
            .findings
            .iter()
            .any(|finding| finding.remedy.contains("the release brings it"))
    );
}

#[test]
fn a_backup_may_be_restored_with_its_records_and_only_what_begins_is_judged() {
    let facts = Facts::of(objects(BUILT_IN, None));
    let judged = |status: Option<&str>| {
        let manifest = owned("helm-controller", "helm-controller:v1.0.1");
        let mut release = json!({"name": "flux", "namespace": "flux-system", "manifest": manifest});
        if let Some(status) = status {
            release["info"] = json!({"status": status});
        }
        stored(secret(&write(&release, Driver::Secret).unwrap()))
            .answer(&facts)
            .outcome
            .name()
    };
    for history in [
        "deployed",
        "superseded",
        "failed",
        "uninstalling",
        "uninstalled",
    ] {
        assert_eq!(judged(Some(history)), "allow", "{history}");
    }
    for begins in [
        "pending-install",
        "pending-upgrade",
        "pending-rollback",
        "unknown",
        "",
        "Deployed",
    ] {
        assert_eq!(judged(Some(begins)), "refuse", "{begins}");
    }
    assert_eq!(judged(None), "refuse");
}

/// What refuses a release of this controller image into a namespace, with two engines in the cluster:
/// Flux 2.4.0 in `flux-system`, an older one in `flux-b`.
fn beside_two(namespace: &str, image: &str) -> Vec<&'static str> {
    let policy = policy_file::read("engine: {namespaces: [flux-system, flux-b]}", now()).unwrap();
    let place = |text: String| text.replace("namespace: flux-system", "namespace: flux-b");
    let facts = BUILT_IN.to_owned() + &place(owned("helm-controller", "helm-controller:v1.0.1"));
    let manifest = owned("helm-controller", image);
    let manifest = if namespace == "flux-b" {
        place(manifest)
    } else {
        manifest
    };
    let data = packed("other", namespace, &manifest, &[], Driver::Secret);
    let review = stored(secret(&data)).bytes();
    let verdict = answer(&review, &Facts::of(objects(&facts, None)), &policy, now()).verdict;
    let rules = verdict.with(Outcome::Refused).map(|finding| finding.rule);
    rules.filter(|rule| rule.starts_with("flux-")).collect()
}

#[test]
fn of_several_engines_the_one_in_the_releases_namespace_is_compared() {
    assert!(beside_two("flux-b", "helm-controller:v1.0.1").is_empty());
    assert_eq!(
        beside_two("flux-b", "helm-controller:v1.1.0"),
        ["flux-version-mismatch"]
    );
    assert!(beside_two("flux-system", "helm-controller:v1.1.0").is_empty());
    assert_eq!(
        beside_two("flux-system", "helm-controller:v1.0.1"),
        ["flux-version-mismatch"]
    );
}

#[test]
fn a_controller_that_neither_catalogue_nor_cluster_knows_is_no_mismatch() {
    let newer = owned(
        "image-reflector-controller",
        "image-reflector-controller:v9.9.9",
    );
    let live = owned("source-controller", "source-controller:v1.4.1")
        .replace("release-name: flux", "release-name: other");
    let verdict = stored(record(&newer, &[]))
        .answer(&Facts::of(objects(&live, None)))
        .verdict;
    assert!(
        verdict
            .findings
            .iter()
            .all(|finding| finding.rule != "flux-version-mismatch"),
        "{verdict:?}"
    );
}

#[test]
fn what_a_kustomization_left_its_labels_on_says_how_they_come_off() {
    let labels = "labels: {kustomize.toolkit.fluxcd.io/name: sync, kustomize.toolkit.fluxcd.io/namespace: flux-system}";
    let live = owned("source-controller", "source-controller:v1.4.1")
        .replace("annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}", labels);
    let verdict = stored(record(&live, &[]))
        .answer(&Facts::of(objects(&live, None)))
        .verdict;
    let finding = verdict
        .findings
        .iter()
        .find(|finding| finding.rule == "foreign-owner")
        .unwrap();
    assert_eq!(
        finding.message,
        "Kustomization flux-system/sync owns it in the cluster"
    );
    let way = "kubectl label deployment -n flux-system source-controller kustomize.toolkit.fluxcd.io/name- \
               kustomize.toolkit.fluxcd.io/namespace-";
    assert!(finding.remedy.ends_with(way), "{}", finding.remedy);
}

#[test]
fn a_strangers_object_of_another_owner_only_warns() {
    let account = |annotations: &str| {
        format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: app\n  namespace: flux-system\n  annotations: {{{annotations}}}\n"
        )
    };
    let live =
        account("meta.helm.sh/release-name: other, meta.helm.sh/release-namespace: flux-system");
    let verdict = stored(record(&account(""), &[]))
        .answer(&Facts::of(objects(&live, None)))
        .verdict;
    let told: Vec<_> = verdict
        .findings
        .iter()
        .map(|one| (one.rule, one.outcome().name()))
        .collect();
    assert_eq!(told, [("foreign-owner", "warned")]);
}

#[test]
fn a_cluster_ip_may_be_left_to_the_cluster_and_not_changed() {
    let service = |spec: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: source-controller, namespace: flux-system}}\nspec: {{{spec}}}\n"
        )
    };
    let facts = Facts::of(objects(&service("clusterIP: 10.0.0.7"), None));
    let changed = |spec: &str| {
        let verdict = stored(record(&service(spec), &[])).answer(&facts).verdict;
        verdict
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "immutable-field-changed")
    };
    assert!(changed("clusterIP: 10.0.0.8") && changed("clusterIP: None"));
    assert!(!changed("clusterIP: 10.0.0.7") && !changed("") && !changed("clusterIP: ''"));
}

#[test]
fn helms_upgrade_leaves_a_live_object_alone_that_says_keep_and_nothing_else() {
    let removed = |policy: &str| {
        let marks = format!("annotations: {{helm.sh/resource-policy: '{policy}', ");
        let live = owned("source-controller", "source-controller:v1.4.1")
            .replace("annotations: {", &marks);
        let verdict = stored(record("", &[]))
            .answer(&Facts::of(objects(&live, None)))
            .verdict;
        verdict
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "engine-object-removed")
    };
    assert!(!removed("keep"));
    assert!(
        removed("Keep") && removed("delete"),
        "unlike its uninstall, which reads the stored manifest"
    );
}

#[test]
fn a_downgrade_is_harmless_only_where_what_is_stored_is_known() {
    let older = owned("helm-controller", "helm-controller:v1.0.1");
    let outcome = |facts: &str| {
        let verdict = stored(record(&older, &[]))
            .answer(&Facts::of(objects(facts, None)))
            .verdict;
        let mut found = verdict
            .findings
            .iter()
            .filter(|finding| finding.rule == "flux-downgraded");
        found.next().unwrap().outcome().name()
    };
    assert_eq!(
        outcome(&owned("helm-controller", "helm-controller:v1.1.0")),
        "refused"
    );
    assert_eq!(
        outcome(&(BUILT_IN.to_owned() + &owned("helm-controller", "helm-controller:v1.1.0"))),
        "warned"
    );
}

#[test]
fn a_controller_that_the_release_itself_ran_before_is_missing_when_it_brings_it_no_more() {
    let all = ["helm", "kustomize", "notification", "source"]
        .map(|name| owned(&format!("{name}-controller"), "x"));
    let missing = |facts: &str| {
        let verdict = stored(record(&all[..3].concat(), &[]))
            .answer(&Facts::of(objects(facts, None)))
            .verdict;
        verdict
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "controller-missing")
    };
    assert!(missing(&all.concat()));
    assert!(!missing(
        &all.concat()
            .replace("release-name: flux", "release-name: other")
    ));
}
