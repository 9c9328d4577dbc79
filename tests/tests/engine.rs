//! The engine's objects: what takes them away, and what has to stay possible.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::answer;
use fluxkeep::facts::Facts;
use fluxkeep::finding::Outcome;
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::policy::Policy;
use fluxkeep::policy_file;
use fluxkeep_cluster::{BUILT_IN, Snapshot, Source};
use fluxkeep_tests::fixture::objects;
use fluxkeep_tests::{Review, now, packed, record, redefined, secret, stored};
use serde_json::{Value, json};

fn deployment(metadata: &Value) -> Value {
    let mut deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helm-controller",
        "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"}}});
    for (key, value) in metadata.as_object().unwrap() {
        deployment["metadata"][key] = value.clone();
    }
    deployment
}

fn written(field_manager: &str, old: Value, new: Value) -> Vec<String> {
    let review = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "UPDATE",
        user: "jane",
        field_manager,
        object: new,
        old,
        ..Review::default()
    };
    let answer = review.answer(&Snapshot::built_in().unwrap().facts());
    answer.verdict.findings.iter().map(|one| format!("{} {} {}", one.outcome().name(), one.rule, one.path)).collect()
}

#[test]
fn marking_the_engine_as_a_hook_is_refused_as_the_first_step_to_deleting_it() {
    let hook = deployment(&json!({"annotations": {"helm.sh/hook": "pre-install"}}));
    let found = |manager| written(manager, deployment(&json!({})), hook.clone());
    assert_eq!(found("kubectl"), ["refused engine-label-removed /metadata/annotations/helm.sh~1hook"]);
    assert_eq!(found("helm"), ["warned engine-label-removed /metadata/annotations/helm.sh~1hook"]);
    assert!(written("kubectl", hook.clone(), hook.clone()).is_empty());
    assert!(written("kubectl", hook, deployment(&json!({}))).is_empty());
}

#[test]
fn marking_a_definition_of_the_engine_as_a_hook_is_refused_too() {
    let definition = |annotations: Value| {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "buckets.source.toolkit.fluxcd.io", "annotations": annotations}})
    };
    let marked = redefined(definition(json!({})), definition(json!({"helm.sh/hook": "x"})));
    let answer = Review { user: "jane", ..marked }.answer(&Facts::default());
    let rules: Vec<_> = answer.verdict.with(Outcome::Refused).map(|finding| finding.rule).collect();
    assert_eq!(rules, ["engine-label-removed"]);
}

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
        stored(record(manifest, hooks)).answer(&facts).verdict.findings.iter().map(|one| one.rule).collect()
    };
    let plain = rules(&older(""), &[]);
    assert!(plain.contains(&"flux-downgraded"), "{plain:?}");
    assert_eq!(rules(&older("helm.sh/hook: pre-install"), &[]), plain);
    assert!(rules("", &[&older("helm.sh/hook: pre-install")]).is_empty());
}

/// One Deployment that Helm release `flux` owns, with an image.
fn owned(name: &str, image: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: flux-system\n  annotations: \
         {{meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}}\n\
         spec: {{template: {{spec: {{containers: [{{image: '{image}'}}]}}}}}}\n"
    )
}

fn helm_release_deleted(facts: &str, suspended: bool) -> Vec<&'static str> {
    let spec = json!({"releaseName": "flux", "suspend": suspended});
    let old = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec});
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        operation: "DELETE",
        old,
        ..Review::default()
    };
    let verdict = review.answer(&Facts::of(objects(facts, None))).verdict;
    assert!(verdict.abstained.is_empty(), "{:?}", verdict.abstained);
    verdict.with(Outcome::Refused).map(|finding| finding.rule).collect()
}

#[test]
fn whoever_owns_the_engine_is_known_where_images_are_pinned_by_digest_alone() {
    let facts = owned("helm-controller", "mirror.example.org/helm-controller@sha256:0123");
    assert_eq!(helm_release_deleted(&facts, false), ["engine-deleted"]);
    let removed = stored(record("", &[])).answer(&Facts::of(objects(&facts, None))).verdict;
    assert!(removed.with(Outcome::Refused).any(|finding| finding.rule == "engine-object-removed"));
}

#[test]
fn an_object_that_becomes_a_hook_is_removed_from_the_release() {
    let live = owned("source-controller", "source-controller:v1.4.1");
    let facts = Facts::of(objects(&live, None));
    let hook = live.replace("annotations: {", "annotations: {helm.sh/hook: pre-install, ");
    let removed = |manifest: &str, hooks: &[&str]| {
        let verdict = stored(record(manifest, hooks)).answer(&facts).verdict;
        verdict.with(Outcome::Refused).any(|finding| finding.rule == "engine-object-removed")
    };
    assert!(removed("", &[&hook]));
    assert!(!removed(&live, &[]));
}

#[test]
fn whoever_owns_no_more_than_an_optional_controller_does_not_own_the_engine() {
    let optional = owned("image-reflector-controller", "image-reflector-controller:v0.33.0");
    assert!(helm_release_deleted(&(BUILT_IN.to_owned() + &optional), false).is_empty());
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
    let mismatched = findings.iter().filter(|finding| finding.rule == "flux-version-mismatch");
    mismatched.map(|one| format!("{} {}", one.outcome().name(), one.path)).collect()
}

#[test]
fn a_declaration_that_the_images_belie_is_warned_of_and_a_range_declares_nothing() {
    assert_eq!(belied("2.14.1"), ["warned /spec/chart/spec/version"]);
    assert!(belied("2.x").is_empty());
}

fn deleted(
    api: &'static str,
    kind: &'static str,
    name: &str,
    namespace: &str,
    facts: &Facts,
    policy: &Policy,
) -> String {
    let api_version = api.trim_start_matches('/');
    let metadata = json!({"name": name, "namespace": (!namespace.is_empty()).then_some(namespace)});
    let review = Review {
        kind: &format!("{api}/{kind}"),
        operation: "DELETE",
        old: json!({"apiVersion": api_version, "kind": kind, "metadata": metadata}),
        ..Review::default()
    };
    answer(&review.bytes(), facts, policy, now()).outcome.name().to_owned()
}

#[test]
fn of_an_optional_controller_only_the_definitions_are_refused() {
    let facts = Facts::of(objects(BUILT_IN, None));
    for (api, kind, name, outcome) in [
        ("apps/v1", "Deployment", "image-reflector-controller", "warn"),
        ("/v1", "ServiceAccount", "image-reflector-controller", "warn"),
        ("/v1", "Service", "source-watcher", "warn"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "imagepolicies.image.toolkit.fluxcd.io", "refuse"),
        ("/v1", "ServiceAccount", "helm-controller", "refuse"),
    ] {
        assert_eq!(deleted(api, kind, name, "flux-system", &facts, &Policy::default()), outcome, "{kind} {name}");
    }
}

#[test]
fn of_several_engines_each_namespace_excuses_its_own() {
    let policy = policy_file::read("engine: {namespaces: [flux-a, flux-b]}", now()).unwrap();
    let namespaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-a}\n---\n\
        apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-b\n  annotations: {fluxkeep.io/allow: engine-deleted, \
        fluxkeep.io/reason: moving, fluxkeep.io/until: '2026-11-25T12:00:00Z'}\n";
    let stranger = namespaces.replace("flux-b", "apps");
    let by_stranger = Facts::of(objects(&stranger, None));
    let deleted_by = |kind, name| deleted("rbac.authorization.k8s.io/v1", kind, name, "", &by_stranger, &policy);
    assert_eq!(deleted_by("ClusterRole", "crd-controller"), "refuse");
    let facts = Facts::of(objects(namespaces, None));
    let of = |api, kind, name, namespace| deleted(api, kind, name, namespace, &facts, &policy);
    assert_eq!(of("apps/v1", "Deployment", "helm-controller", "flux-a"), "refuse");
    assert_eq!(of("apps/v1", "Deployment", "helm-controller", "flux-b"), "allow");
    assert_eq!(of("/v1", "Namespace", "flux-a", ""), "refuse");
    assert_eq!(of("/v1", "Namespace", "flux-b", ""), "allow");
    assert_eq!(of("rbac.authorization.k8s.io/v1", "ClusterRole", "crd-controller", ""), "allow");
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
    let allow =
        "fluxkeep.io/allow: stored-version-dropped, fluxkeep.io/reason: x, fluxkeep.io/until: '2026-11-25T12:00:00Z'";
    let facts = Facts::of(objects(&definition("v1", allow), None));
    let judged = |annotations| stored(record(&definition("v2", annotations), &[])).answer(&facts);
    assert_eq!(judged("").outcome.name(), "allow");
    let brought = judged(allow);
    assert_eq!(brought.outcome.name(), "refuse");
    assert!(brought.verdict.findings.iter().any(|finding| finding.remedy.contains("the release brings it")));
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
        stored(secret(&write(&release, Driver::Secret).unwrap())).answer(&facts).outcome.name()
    };
    for history in ["deployed", "superseded", "failed", "uninstalling", "uninstalled"] {
        assert_eq!(judged(Some(history)), "allow", "{history}");
    }
    for begins in ["pending-install", "pending-upgrade", "pending-rollback", "unknown", "", "Deployed"] {
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
    let manifest = if namespace == "flux-b" { place(manifest) } else { manifest };
    let data = packed("other", namespace, &manifest, &[], Driver::Secret);
    let review = stored(secret(&data)).bytes();
    let verdict = answer(&review, &Facts::of(objects(&facts, None)), &policy, now()).verdict;
    let rules = verdict.with(Outcome::Refused).map(|finding| finding.rule);
    rules.filter(|rule| rule.starts_with("flux-")).collect()
}

#[test]
fn of_several_engines_the_one_in_the_releases_namespace_is_compared() {
    assert!(beside_two("flux-b", "helm-controller:v1.0.1").is_empty());
    assert_eq!(beside_two("flux-b", "helm-controller:v1.1.0"), ["flux-version-mismatch"]);
    assert!(beside_two("flux-system", "helm-controller:v1.1.0").is_empty());
    assert_eq!(beside_two("flux-system", "helm-controller:v1.0.1"), ["flux-version-mismatch"]);
}

#[test]
fn a_controller_that_neither_catalogue_nor_cluster_knows_is_no_mismatch() {
    let newer = owned("image-reflector-controller", "image-reflector-controller:v9.9.9");
    let live =
        owned("source-controller", "source-controller:v1.4.1").replace("release-name: flux", "release-name: other");
    let verdict = stored(record(&newer, &[])).answer(&Facts::of(objects(&live, None))).verdict;
    assert!(verdict.findings.iter().all(|finding| finding.rule != "flux-version-mismatch"), "{verdict:?}");
}

#[test]
fn what_a_kustomization_left_its_labels_on_says_how_they_come_off() {
    let labels = "labels: {kustomize.toolkit.fluxcd.io/name: sync, kustomize.toolkit.fluxcd.io/namespace: flux-system}";
    let live = owned("source-controller", "source-controller:v1.4.1")
        .replace("annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}", labels);
    let verdict = stored(record(&live, &[])).answer(&Facts::of(objects(&live, None))).verdict;
    let finding = verdict.findings.iter().find(|finding| finding.rule == "foreign-owner").unwrap();
    assert_eq!(finding.message, "Kustomization flux-system/sync owns it in the cluster");
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
    let live = account("meta.helm.sh/release-name: other, meta.helm.sh/release-namespace: flux-system");
    let verdict = stored(record(&account(""), &[])).answer(&Facts::of(objects(&live, None))).verdict;
    let told: Vec<_> = verdict.findings.iter().map(|one| (one.rule, one.outcome().name())).collect();
    assert_eq!(told, [("foreign-owner", "warned")]);
}

#[test]
fn an_object_that_does_not_say_what_it_is_is_what_the_request_says() {
    let facts = Facts::of(objects(BUILT_IN, None));
    let whole = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helm-controller",
        "namespace": "flux-system"}});
    let bare = json!({"metadata": {"namespace": "flux-system"}});
    let review = Review { kind: "apps/v1/Deployment", operation: "DELETE", old: whole.clone(), ..Review::default() };
    let text = String::from_utf8(review.bytes()).unwrap();
    let body = text.replace(&whole.to_string(), &bare.to_string());
    assert_ne!(body, text);
    assert_eq!(answer(body.as_bytes(), &facts, &Policy::default(), now()).outcome.name(), "refuse");
}

#[test]
fn what_flux_bootstrap_names_after_the_namespace_is_the_engines_and_what_others_do_is_not() {
    let facts = Facts::of(objects(BUILT_IN, None));
    let of = |name| deleted("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name, "", &facts, &Policy::default());
    assert_eq!(of("cluster-reconciler-flux-system"), "refuse");
    assert_eq!(of("cluster-reconciler-apps"), "allow");
}

#[test]
fn a_suspended_release_may_be_deleted_for_it_uninstalls_nothing() {
    let live = owned("helm-controller", "helm-controller:v1.1.0");
    assert_eq!(helm_release_deleted(&live, false), ["engine-deleted"]);
    assert!(helm_release_deleted(&live, true).is_empty());
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
        verdict.with(Outcome::Refused).any(|finding| finding.rule == "immutable-field-changed")
    };
    assert!(changed("clusterIP: 10.0.0.8") && changed("clusterIP: None"));
    assert!(!changed("clusterIP: 10.0.0.7") && !changed("") && !changed("clusterIP: ''"));
}

#[test]
fn helms_upgrade_leaves_a_live_object_alone_that_says_keep_and_nothing_else() {
    let removed = |policy: &str| {
        let marks = format!("annotations: {{helm.sh/resource-policy: '{policy}', ");
        let live = owned("source-controller", "source-controller:v1.4.1").replace("annotations: {", &marks);
        let verdict = stored(record("", &[])).answer(&Facts::of(objects(&live, None))).verdict;
        verdict.with(Outcome::Refused).any(|finding| finding.rule == "engine-object-removed")
    };
    assert!(!removed("keep"));
    assert!(removed("Keep") && removed("delete"), "unlike its uninstall, which reads the stored manifest");
}

#[test]
fn a_downgrade_is_harmless_only_where_what_is_stored_is_known() {
    let older = owned("helm-controller", "helm-controller:v1.0.1");
    let outcome = |facts: &str| {
        let verdict = stored(record(&older, &[])).answer(&Facts::of(objects(facts, None))).verdict;
        let mut found = verdict.findings.iter().filter(|finding| finding.rule == "flux-downgraded");
        found.next().unwrap().outcome().name()
    };
    assert_eq!(outcome(&owned("helm-controller", "helm-controller:v1.1.0")), "refused");
    assert_eq!(outcome(&(BUILT_IN.to_owned() + &owned("helm-controller", "helm-controller:v1.1.0"))), "warned");
}

#[test]
fn a_controller_that_the_release_itself_ran_before_is_missing_when_it_brings_it_no_more() {
    let all = ["helm", "kustomize", "notification", "source"].map(|name| owned(&format!("{name}-controller"), "x"));
    let missing = |facts: &str| {
        let verdict = stored(record(&all[..3].concat(), &[])).answer(&Facts::of(objects(facts, None))).verdict;
        verdict.with(Outcome::Refused).any(|finding| finding.rule == "controller-missing")
    };
    assert!(missing(&all.concat()));
    assert!(!missing(&all.concat().replace("release-name: flux", "release-name: other")));
}
