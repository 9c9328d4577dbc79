//! The record door: effects of a release on its cluster.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::policy_file;
use fluxkeep::case::request::{Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::judge::judge;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, now, owned, packed, record, secret, stored};
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
    let mut marked = plain.clone();
    marked.insert(0, "engine-label-removed");
    assert_eq!(rules(&older("helm.sh/hook: pre-install"), &[]), marked);
}

/// The findings for a release with this document in its manifest or among its hooks, on install or
/// upgrade.
fn hooked(document: &str, applied: bool, operation: &str) -> Vec<String> {
    let event = json!({"manifest": document, "events": ["pre-install"]});
    let release = json!({
        "name": "flux",
        "namespace": "flux-system",
        "info": {"status": format!("pending-{operation}")},
        "manifest": if applied { document } else { "" },
        "hooks": if applied { json!([]) } else { json!([event]) },
    });
    let review = stored(secret(&write(&release, Driver::Secret).unwrap()));
    let verdict = review.answer(&Facts::of(objects(BUILT_IN, None))).verdict;
    let findings = verdict.findings.iter();
    findings
        .filter(|finding| finding.rule == "engine-label-removed")
        .map(|finding| format!("{} {}", finding.outcome().name(), finding.object.name))
        .collect()
}

fn marked(kind: &str, name: &str, label: &str) -> String {
    let version = match kind {
        "Deployment" => "apps/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        _ => "v1",
    };
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  labels: {{{label}}}\n  \
         annotations: {{helm.sh/hook: pre-install}}\n"
    )
}

#[test]
fn a_release_that_brings_the_engine_as_hooks_is_refused_before_anything_is_touched() {
    let controller = marked("Deployment", "source-controller", "");
    let definition = marked(
        "CustomResourceDefinition",
        "buckets.source.toolkit.fluxcd.io",
        "",
    );
    for document in [&controller, &definition] {
        for applied in [true, false] {
            let found = hooked(document, applied, "install");
            assert!(
                found.len() == 1 && found.iter().all(|one| one.starts_with("refused ")),
                "{document}: {found:?}"
            );
        }
    }
}

#[test]
fn hooks_that_do_not_run_that_replace_nothing_and_that_only_the_label_tells_stay_possible() {
    let controller = marked("Deployment", "source-controller", "");
    assert!(
        hooked(&controller, false, "upgrade").is_empty(),
        "pre-install alone"
    );
    let new = marked("Deployment", "source-watcher", "");
    assert_eq!(hooked(&new, false, "install"), ["warned source-watcher"]);
    let part_of = "app.kubernetes.io/part-of: flux";
    let check = marked("ServiceAccount", "flux-check", part_of);
    assert!(
        hooked(&check, false, "install").is_empty(),
        "the chart's own hook"
    );
    assert_eq!(hooked(&check, true, "install"), ["warned flux-check"]);
    let stranger = marked("CustomResourceDefinition", "things.example.org", part_of);
    assert!(hooked(&stranger, true, "install").is_empty());
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

/// The review of a record that upgrades release `flux`.
fn upgraded(manifest: &str) -> Review<'static> {
    let release = json!({"name": "flux", "namespace": "flux-system", "version": 2, "manifest": manifest,
        "info": {"status": "pending-upgrade"}});
    stored(secret(&write(&release, Driver::Secret).unwrap()))
}

/// The findings for a release with other images than its HelmRelease declares.
fn belied(chart: &str) -> Vec<String> {
    let declared = format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: flux-system}}\n\
         spec: {{releaseName: flux, chart: {{spec: {{chart: flux2, version: '{chart}'}}}}}}\n"
    );
    let live = owned("source-controller", "source-controller:v1.4.1");
    let facts = Facts::of(objects(&(live + &declared), None));
    let newer = owned("source-controller", "source-controller:v9.9.9");
    let findings = upgraded(&newer).answer(&facts).verdict.findings;
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
             plural: things}}, versions: [{{name: {version}, served: true, storage: true, schema: {{openAPIV3Schema: {{}}}}}}]}}\n\
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

/// The rules that refuse a release of this controller image into a namespace. The cluster has two
/// engines: Flux 2.4.0 in `flux-system`, an older one in `flux-b`.
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
        "Kustomization flux-system/sync owns it in the cluster, and its pruning would delete it"
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

/// A Deployment without labels or annotations.
fn deployment(namespace: &str, name: &str, image: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{template: {{spec: {{containers: [{{image: '{image}'}}]}}}}}}\n"
    )
}

/// The findings for a release over the built-in cluster, as `outcome rule`, and the abstentions.
fn over_built_in(manifest: &str) -> (Vec<String>, Vec<&'static str>) {
    let facts = Facts::of(objects(BUILT_IN, None));
    let verdict = stored(record(manifest, &[])).answer(&facts).verdict;
    let findings = verdict.findings.iter();
    let found = findings.map(|one| format!("{} {}", one.outcome().name(), one.rule));
    let abstained = verdict.abstained.iter().map(|one| one.rule);
    (found.collect(), abstained.collect())
}

#[test]
fn a_second_flux_of_another_version_is_refused_where_it_touches_the_first_and_warned_of_beside_it()
{
    let second = deployment(
        "flux",
        "source-controller",
        "ghcr.io/fluxcd/source-controller:v1.3.0",
    );
    let beside = vec!["warned flux-version-mismatch".to_owned()];
    assert_eq!(over_built_in(&second), (beside, vec![]));
    let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: crd-controller\n  \
                annotations: {helm.sh/resource-policy: keep}\nrules: []\n";
    let (found, _) = over_built_in(&(second.clone() + role));
    assert!(
        found.contains(&"refused flux-version-mismatch".to_owned()),
        "{found:?}"
    );
    let same = second.replace("v1.3.0", "v1.4.1");
    assert_eq!(over_built_in(&same), (vec![], vec![]));
}

#[test]
fn a_stranger_may_call_his_controller_as_flux_does() {
    for manifest in [
        deployment(
            "shop",
            "source-controller",
            "example.org/shop/source-controller:v0.1.0",
        ),
        deployment(
            "shop",
            "my-helm-controller",
            "example.org/my-helm-controller:v0.1.0",
        ),
        deployment(
            "kube-system",
            "helm-controller",
            "rancher/helm-controller:v0.16.5",
        ),
        deployment(
            "flux-system",
            "my-helm-controller",
            "example.org/my-helm-controller:v0.1.0",
        ),
    ] {
        assert_eq!(over_built_in(&manifest), (vec![], vec![]), "{manifest}");
    }
}

#[test]
fn a_flux_whose_images_tell_no_version_is_not_known_wherever_it_goes() {
    let told = |namespace: &str, image: &str| {
        let manifest = deployment(namespace, "source-controller", image);
        let (found, abstained) = over_built_in(&manifest);
        let found = found.iter().filter(|one| one.contains(" flux-"));
        assert_eq!(found.count(), 0, "{image}");
        abstained
    };
    let version_rules = [
        "flux-crds-unserved",
        "flux-downgraded",
        "flux-minor-skipped",
        "flux-version-mismatch",
    ];
    for (namespace, image) in [
        (
            "flux-system",
            "ghcr.io/fluxcd/source-controller@sha256:0123",
        ),
        (
            "flux-system",
            "mirror.example.org/x/source-controller:stable",
        ),
        ("flux-system", "mirror.example.org/x/sc:v1.3.0"),
        ("flux", "ghcr.io/fluxcd/source-controller@sha256:0123"),
    ] {
        assert_eq!(told(namespace, image), version_rules, "{image}");
    }
}

#[test]
fn of_several_controllers_those_with_a_version_are_compared_and_the_rest_is_not_known() {
    let pinned = owned("source-controller", "source-controller@sha256:0123");
    let told = |image: &str| {
        let manifest = pinned.clone() + &owned("helm-controller", image);
        let (found, abstained) = over_built_in(&manifest);
        let mismatched = found.contains(&"refused flux-version-mismatch".to_owned());
        (mismatched, abstained.contains(&"flux-version-mismatch"))
    };
    assert_eq!(told("helm-controller:v1.0.1"), (true, false));
    assert_eq!(told("helm-controller:v1.1.0"), (false, true));
}

#[test]
fn the_first_install_over_adopted_objects_is_still_an_adoption() {
    let facts = Facts::of(objects(
        &owned("source-controller", "source-controller:v1.4.1"),
        None,
    ));
    let newer = owned("source-controller", "source-controller:v1.5.0");
    let mismatched = |review: Review<'_>| {
        let verdict = review.answer(&facts).verdict;
        verdict
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "flux-version-mismatch")
    };
    assert!(
        mismatched(stored(record(&newer, &[]))),
        "its first revision"
    );
    assert!(!mismatched(upgraded(&newer)));
}

/// Deployments of the core controllers as `kubectl` left them; `stopped` ones have no replicas.
fn core(without: &str, stopped: &[&str]) -> String {
    let names =
        ["helm", "kustomize", "notification", "source"].map(|name| format!("{name}-controller"));
    let wanted = names.iter().filter(|name| *name != without);
    let one = |name: &String| {
        let text = deployment("flux-system", name, "x");
        if stopped.contains(&name.as_str()) {
            text.replace("spec: {template", "spec: {replicas: 0, template")
        } else {
            text
        }
    };
    wanted.map(one).collect()
}

#[test]
fn a_controller_scaled_to_zero_is_missing_unless_flux_runs_without_it_already() {
    let missing = |live: &str, new: &str| -> Vec<String> {
        let verdict = stored(record(new, &[]))
            .answer(&Facts::of(objects(live, None)))
            .verdict;
        let refused = verdict.with(Outcome::Refused);
        let missing = refused.filter(|finding| finding.rule == "controller-missing");
        missing.map(|finding| finding.object.name.clone()).collect()
    };
    let stopped = core("", &["notification-controller"]);
    let absent = core("notification-controller", &[]);
    let lost = ["notification-controller"];
    assert_eq!(missing("", &stopped), lost, "a fresh install");
    assert_eq!(missing(&core("", &[]), &stopped), lost);
    for live in [&stopped, &absent] {
        assert!(missing(live, &stopped).is_empty(), "{live}");
        assert!(missing(live, &absent).is_empty(), "{live}");
    }
}

/// The refusals of a record with the running version, whose HelmRelease remediates.
fn remediated(spec: &str, review: &Review<'_>) -> Vec<String> {
    let told = remediated_from("flux-system", spec, review);
    let paths = told.iter().filter_map(|one| one.strip_prefix("refused "));
    paths.map(str::to_owned).collect()
}

/// Outcome and path of each remediation, with the HelmRelease in this namespace.
fn remediated_from(space: &str, spec: &str, review: &Review<'_>) -> Vec<String> {
    let behind = format!(
        "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: {space}}}\n\
         spec: {{releaseName: flux, chart: {{spec: {{chart: platform}}}}, {spec}}}\n"
    );
    let facts = Facts::of(objects(&(BUILT_IN.to_owned() + &behind), None));
    let verdict = review.answer(&facts).verdict;
    let findings = verdict.findings.iter();
    let hazards = findings.filter(|finding| finding.rule == "destructive-remediation");
    hazards
        .map(|finding| format!("{} {}", finding.outcome().name(), finding.path))
        .collect()
}

/// A HelmRelease of Flux that stores its record beside Flux.
const CLAIM: &str = "targetNamespace: flux-system, storageNamespace: flux-system, \
                     install: {remediation: {retries: 3}}";

const CONTROLLER: &str = "system:serviceaccount:flux-system:helm-controller";

/// The first record of a `helm install` by a person.
fn by_jane(manifest: &str) -> Review<'static> {
    Review {
        user: "jane",
        ..stored(record(manifest, &[]))
    }
}

/// The first record of a Flux whose objects name this HelmRelease.
fn named(space: &str, name: &str) -> Review<'static> {
    let labels = format!(
        "  name: source-controller\n  labels: {{helm.toolkit.fluxcd.io/name: {name}, helm.toolkit.fluxcd.io/namespace: {space}}}\n"
    );
    let flux = owned("source-controller", "source-controller:v1.4.1");
    let labelled = flux.replace("  name: source-controller\n", &labels);
    by_jane(&labelled)
}

#[test]
fn a_helm_release_that_only_names_fluxs_release_blocks_no_installation() {
    let flux = owned("source-controller", "source-controller:v1.4.1");
    let by_hand = by_jane(&flux);
    let elsewhere = "targetNamespace: flux-system, install: {remediation: {retries: 3}}";
    assert!(remediated_from("tenant", elsewhere, &by_hand).is_empty());
    let warned = ["warned /spec/install/remediation/retries"];
    assert_eq!(remediated_from("tenant", CLAIM, &by_hand), warned);
    let of_another = Review {
        user: CONTROLLER,
        ..named("flux-system", "flux")
    };
    assert_eq!(remediated_from("tenant", CLAIM, &of_another), warned);
    assert_eq!(
        remediated_from("tenant", CLAIM, &named("tenant", "other")),
        warned
    );
}

#[test]
fn the_helm_release_that_makes_a_release_is_asked_for_its_declaration_before_any_other() {
    let declares = |space: &str, chart: &str| {
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux, namespace: {space}}}\n\
             spec: {{releaseName: flux, targetNamespace: flux-system, chart: {{spec: {{chart: flux2, version: '{chart}'}}}}}}\n"
        )
    };
    let live = owned("source-controller", "source-controller:v1.4.1");
    let all = live + &declares("flux-system", "2.14.1") + &declares("a-tenant", "2.x");
    let newer = owned("source-controller", "source-controller:v9.9.9");
    let review = Review {
        user: "jane",
        ..upgraded(&newer)
    };
    let verdict = review.answer(&Facts::of(objects(&all, None))).verdict;
    let mut mismatched = verdict.findings.iter();
    assert!(mismatched.any(|one| {
        one.rule == "flux-version-mismatch"
            && one.object.namespace.as_deref() == Some("flux-system")
    }));
}

#[test]
fn a_helm_release_that_makes_fluxs_release_is_refused_for_its_remediation() {
    let flux = owned("source-controller", "source-controller:v1.4.1");
    let refused = ["refused /spec/install/remediation/retries"];
    let beside = "install: {remediation: {retries: 3}}";
    let by_hand = by_jane(&flux);
    assert_eq!(remediated_from("flux-system", beside, &by_hand), refused);
    assert_eq!(
        remediated_from("apps", CLAIM, &named("apps", "flux")),
        refused
    );
    let by_controller = Review {
        user: CONTROLLER,
        ..by_hand
    };
    assert_eq!(remediated_from("apps", CLAIM, &by_controller), refused);
}

#[test]
fn a_chart_that_hides_flux_is_asked_for_its_remediation_when_its_record_shows_it() {
    let flux = owned("source-controller", "source-controller:v1.4.1");
    let kept = flux.replace(
        "annotations: {",
        "annotations: {helm.sh/resource-policy: keep, ",
    );
    let (install, upgrade) = (
        "install: {remediation: {retries: 3}}",
        "upgrade: {remediation: {retries: 3}}",
    );
    let first = |manifest: &str| stored(record(manifest, &[]));
    assert_eq!(
        remediated(install, &first(&flux)),
        ["/spec/install/remediation/retries"]
    );
    assert_eq!(
        remediated(upgrade, &upgraded(&flux)),
        ["/spec/upgrade/remediation/retries"]
    );
    assert!(
        remediated(upgrade, &first(&flux)).is_empty(),
        "an install is not rolled back"
    );
    assert!(remediated(install, &upgraded(&flux)).is_empty());
    assert!(remediated(install, &first(&kept)).is_empty());
    assert!(remediated(&format!("suspend: true, {install}"), &first(&flux)).is_empty());
    assert!(remediated(install, &first(&deployment("flux-system", "app", "x"))).is_empty());
}

#[test]
fn a_binding_of_another_name_may_hold_the_rights_instead() {
    let binding = |name: &str, namespace: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: {name}\n  \
             annotations: {{helm.sh/resource-policy: keep}}\nroleRef: {{kind: ClusterRole, name: cluster-admin}}\n\
             subjects:\n- {{kind: ServiceAccount, name: helm-controller, namespace: {namespace}}}\n\
             - {{kind: ServiceAccount, name: kustomize-controller, namespace: {namespace}}}\n"
        )
    };
    let second = binding("cluster-reconciler", "flux");
    let lost = vec!["refused engine-rights-lost".to_owned()];
    assert_eq!(over_built_in(&second), (lost, vec![]));
    let moved = second + &binding("cluster-reconciler-flux-system", "flux-system");
    assert_eq!(over_built_in(&moved), (vec![], vec![]));
}

#[test]
fn a_release_narrows_no_role_of_flux_unless_another_of_its_roles_grants_the_same() {
    let rbac = "apiVersion: rbac.authorization.k8s.io/v1";
    let keep = "annotations: {helm.sh/resource-policy: keep}";
    let role = |name: &str, rules: &str| {
        format!(
            "---\n{rbac}\nkind: ClusterRole\nmetadata: {{name: {name}, {keep}}}\nrules:\n{rules}"
        )
    };
    let group = |name: &str| format!("- {{apiGroups: [{name}], resources: ['*'], verbs: ['*']}}\n");
    let rest = ["kustomize", "helm", "notification", "image"]
        .map(|name| group(&format!("{name}.toolkit.fluxcd.io")))
        .concat()
        + &group("coordination.k8s.io")
        + &group("''");
    let sources = group("source.toolkit.fluxcd.io");
    let narrowed = role("crd-controller", &rest);
    let lost = || vec!["refused engine-rights-lost".to_owned()];
    assert_eq!(over_built_in(&narrowed), (lost(), vec![]));
    let whole = role("crd-controller", &(sources.clone() + &rest));
    assert_eq!(over_built_in(&whole), (vec![], vec![]));
    let silent =
        format!("---\n{rbac}\nkind: ClusterRole\nmetadata: {{name: crd-controller, {keep}}}\n");
    assert_eq!(
        over_built_in(&silent),
        (vec![], vec![]),
        "it leaves the rules alone"
    );
    let bound = |to: &str| {
        format!(
            "---\n{rbac}\nkind: ClusterRoleBinding\nmetadata: {{name: crd-controller-sources, {keep}, labels: \
             {{app.kubernetes.io/part-of: flux}}}}\nroleRef: {{kind: ClusterRole, name: {to}}}\nsubjects:\n\
             - {{kind: ServiceAccount, name: source-controller, namespace: flux-system}}\n"
        )
    };
    let split = role("crd-controller-sources", &sources);
    let moved = narrowed.clone() + &split + &bound("crd-controller-sources");
    assert_eq!(over_built_in(&moved), (vec![], vec![]));
    let unbound = narrowed.clone() + &split;
    assert_eq!(over_built_in(&unbound), (lost(), vec![]));
    let unknown = narrowed + &bound("somebodys");
    let warned = vec!["warned engine-rights-lost".to_owned()];
    assert_eq!(
        over_built_in(&unknown),
        (warned, vec![]),
        "it may grant the same"
    );
}

#[test]
fn a_manifest_without_a_release_over_a_flux_that_kustomize_controller_applies_is_its_upgrade() {
    let newer = deployment(
        "flux-system",
        "source-controller",
        "source-controller:v1.5.0",
    );
    let live = newer.replace("v1.5.0", "v1.4.1");
    let labels = "namespace: flux-system, labels: {kustomize.toolkit.fluxcd.io/name: flux-system}";
    let applied = live.replace("namespace: flux-system", labels);
    let judged = |live: &str| {
        let release = Release {
            objects: objects(&newer, None),
            ..Release::default()
        };
        let request = Request {
            door: Door::Preflight,
            operation: Operation::Create,
            writer: Writer::default(),
            dry_run: false,
            subject: Subject::Release(release),
            gaps: Vec::new(),
        };
        let facts = Facts::of(objects(live, None));
        let verdict = judge(&request, &facts, &Policy::default(), now());
        let mut abstained = verdict.abstained.iter();
        let unknown = abstained.any(|one| one.rule == "flux-version-mismatch");
        let mut findings = verdict.findings.iter();
        let found = findings.any(|one| one.rule == "flux-version-mismatch");
        (found, unknown)
    };
    assert_eq!(judged(&applied), (false, false));
    assert_eq!(judged(&live), (false, true), "it may be an adoption");
}
