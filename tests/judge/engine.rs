//! The engine's objects: changes that remove them, and changes that must stay possible.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeSet;

use fluxkeep::admission::answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::policy_file;
use fluxkeep::case::rule::Need;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::helm::record::Driver;
use fluxkeep::object::{Body, Object};
use fluxkeep_cluster::{BUILT_IN, FactSource, Snapshot};
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, Names};
use fluxkeep_fixtures::updates::updates;
use fluxkeep_fixtures::{
    Review, definition, now, owned, packed_as, record, redefined, secret, stored,
};
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
    answer
        .verdict
        .findings
        .iter()
        .map(|one| format!("{} {} {}", one.outcome().name(), one.rule, one.path))
        .collect()
}

/// A Deployment that only its label identifies.
fn renamed(metadata: &Value) -> Value {
    let mut deployment = deployment(metadata);
    deployment["metadata"]["name"] = json!("helm-controller-shard-1");
    deployment
}

#[test]
fn marking_as_a_hook_what_only_its_label_tells_warns_as_its_deletion_does() {
    let hook = renamed(&json!({"annotations": {"helm.sh/hook": "pre-install"}}));
    let found = |manager| written(manager, renamed(&json!({})), hook.clone());
    assert_eq!(
        found("kubectl"),
        ["warned engine-label-removed /metadata/annotations/helm.sh~1hook"]
    );
    assert_eq!(
        found("helm"),
        ["warned engine-label-removed /metadata/annotations/helm.sh~1hook"]
    );
    assert!(written("kubectl", hook.clone(), hook.clone()).is_empty());
    assert!(written("kubectl", hook, renamed(&json!({}))).is_empty());
}

#[test]
fn what_is_known_by_its_name_stays_guarded_whatever_marks_it_has_so_taking_them_off_only_warns() {
    let hook = deployment(&json!({"annotations": {"helm.sh/hook": "x"}}));
    assert_eq!(
        written("kubectl", deployment(&json!({})), hook.clone()),
        ["warned engine-label-removed /metadata/annotations/helm.sh~1hook"]
    );
    assert_eq!(
        written(
            "kubectl",
            deployment(&json!({})),
            deployment(&json!({"labels": {}}))
        ),
        ["warned engine-label-removed /metadata/labels/app.kubernetes.io~1part-of"]
    );
    let deleted = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "DELETE",
        user: "jane",
        old: hook,
        ..Review::default()
    };
    assert_eq!(refused(&deleted), ["engine-deleted"]);
}

#[test]
fn a_definition_of_the_engine_is_guarded_by_its_group_and_asked_for_no_marks() {
    let definition = |metadata: Value| {
        let mut object = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": metadata});
        object["metadata"]["name"] = json!("buckets.source.toolkit.fluxcd.io");
        object
    };
    let labelled = definition(json!({"labels": {"app.kubernetes.io/part-of": "flux"}}));
    let hook = definition(json!({"annotations": {"helm.sh/hook": "x"}}));
    assert_eq!(refused(&redefined(labelled, hook.clone())), [""; 0]);
    let deleted = Review {
        operation: "DELETE",
        object: Value::Null,
        ..redefined(hook, Value::Null)
    };
    assert_eq!(refused(&deleted), ["engine-deleted"]);
}

fn refused(review: &Review<'_>) -> Vec<&'static str> {
    let verdict = review
        .answer(&Snapshot::built_in().unwrap().facts())
        .verdict;
    verdict
        .with(Outcome::Refused)
        .map(|finding| finding.rule)
        .collect()
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
    verdict
        .with(Outcome::Refused)
        .map(|finding| finding.rule)
        .collect()
}

#[test]
fn whoever_owns_the_engine_is_known_where_images_are_pinned_by_digest_alone() {
    let facts = owned(
        "helm-controller",
        "mirror.example.org/helm-controller@sha256:0123",
    );
    assert_eq!(helm_release_deleted(&facts, false), ["engine-deleted"]);
    let removed = stored(record("", &[]))
        .answer(&Facts::of(objects(&facts, None)))
        .verdict;
    assert!(
        removed
            .with(Outcome::Refused)
            .any(|finding| finding.rule == "engine-object-removed")
    );
}

#[test]
fn whoever_owns_no_more_than_an_optional_controller_does_not_own_the_engine() {
    let optional = owned(
        "image-reflector-controller",
        "image-reflector-controller:v0.33.0",
    );
    assert!(helm_release_deleted(&(BUILT_IN.to_owned() + &optional), false).is_empty());
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
    answer(&review.bytes(), facts, policy, now())
        .outcome
        .name()
        .to_owned()
}

#[test]
fn of_an_optional_controller_only_the_definitions_are_refused() {
    let facts = Facts::of(objects(BUILT_IN, None));
    for (api, kind, name, outcome) in [
        (
            "apps/v1",
            "Deployment",
            "image-reflector-controller",
            "warn",
        ),
        (
            "/v1",
            "ServiceAccount",
            "image-reflector-controller",
            "warn",
        ),
        ("/v1", "Service", "source-watcher", "warn"),
        (
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "imagepolicies.image.toolkit.fluxcd.io",
            "refuse",
        ),
        ("/v1", "ServiceAccount", "helm-controller", "refuse"),
    ] {
        assert_eq!(
            deleted(api, kind, name, "flux-system", &facts, &Policy::default()),
            outcome,
            "{kind} {name}"
        );
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
    let deleted_by = |kind, name| {
        deleted(
            "rbac.authorization.k8s.io/v1",
            kind,
            name,
            "",
            &by_stranger,
            &policy,
        )
    };
    assert_eq!(deleted_by("ClusterRole", "crd-controller"), "refuse");
    let facts = Facts::of(objects(namespaces, None));
    let of = |api, kind, name, namespace| deleted(api, kind, name, namespace, &facts, &policy);
    assert_eq!(
        of("apps/v1", "Deployment", "helm-controller", "flux-a"),
        "refuse"
    );
    assert_eq!(
        of("apps/v1", "Deployment", "helm-controller", "flux-b"),
        "allow"
    );
    assert_eq!(of("/v1", "Namespace", "flux-a", ""), "refuse");
    assert_eq!(of("/v1", "Namespace", "flux-b", ""), "allow");
    assert_eq!(
        of(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "crd-controller",
            ""
        ),
        "allow"
    );
}

#[test]
fn an_object_that_does_not_say_what_it_is_is_what_the_request_says() {
    let facts = Facts::of(objects(BUILT_IN, None));
    let whole = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helm-controller",
        "namespace": "flux-system"}});
    let bare = json!({"metadata": {"namespace": "flux-system"}});
    let review = Review {
        kind: "apps/v1/Deployment",
        operation: "DELETE",
        old: whole.clone(),
        ..Review::default()
    };
    let text = String::from_utf8(review.bytes()).unwrap();
    let body = text.replace(&whole.to_string(), &bare.to_string());
    assert_ne!(body, text);
    assert_eq!(
        answer(body.as_bytes(), &facts, &Policy::default(), now())
            .outcome
            .name(),
        "refuse"
    );
}

#[test]
fn what_flux_bootstrap_names_after_the_namespace_is_the_engines_and_what_others_do_is_not() {
    let facts = Facts::of(objects(BUILT_IN, None));
    let of = |name| {
        deleted(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            name,
            "",
            &facts,
            &Policy::default(),
        )
    };
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
fn an_update_of_a_controller_is_judged_by_what_it_stops_and_ordinary_work_passes_in_silence() {
    let facts = Facts::of(objects(BUILT_IN, None));
    for update in updates() {
        let answer = answer(&update.body(), &facts, &Policy::default(), now());
        let verdict = answer.verdict;
        assert_eq!(answer.outcome.name(), update.outcome, "{}", update.told);
        assert!(verdict.abstained.is_empty(), "{}: {verdict:?}", update.told);
        let rules: Vec<_> = verdict.findings.iter().map(|one| one.rule).collect();
        let expected: &[_] = if update.outcome == "allow" {
            &[]
        } else {
            &["engine-disabled"]
        };
        assert_eq!(rules, expected, "{}", update.told);
    }
}

/// The facts of a freshly installed Flux.
fn installed(version: &str) -> Facts {
    let objects_of = Flux::release(version).installed(Names::Install);
    let texts: Vec<_> = objects_of.iter().map(ToString::to_string).collect();
    Facts::of(objects(&texts.join("\n---\n"), None))
}

/// The source-controller Deployment of a release, with a changed image.
fn source_controller(version: &str, change: impl Fn(&str) -> String) -> Value {
    let objects_of = Flux::release(version).installed(Names::Install);
    let is_wanted = |one: &&Value| {
        one["kind"] == "Deployment" && one["metadata"]["name"] == "source-controller"
    };
    let mut deployment = objects_of.iter().find(is_wanted).unwrap().clone();
    let image = &mut deployment["spec"]["template"]["spec"]["containers"][0]["image"];
    *image = json!(change(image.as_str().unwrap()));
    deployment
}

#[test]
fn an_older_image_only_warns_where_nothing_stored_is_lost_and_a_digest_alone_is_not_known() {
    let running = source_controller("2.8.0", str::to_owned);
    let told = |new: Value| {
        let review = Review {
            kind: "apps/v1/Deployment",
            resource: "deployments",
            operation: "UPDATE",
            user: "jane",
            object: new,
            old: running.clone(),
            ..Review::default()
        };
        let answer = review.answer(&installed("2.8.0"));
        let abstained = answer.verdict.abstained.iter();
        let abstained: Vec<_> = abstained.map(|one| one.rule).collect();
        (answer.outcome.name(), abstained)
    };
    let older = |version| source_controller(version, str::to_owned);
    assert_eq!(told(older("2.7.0")), ("warn", vec![]));
    assert_eq!(told(older("2.3.0")), ("refuse", vec![]));
    let pinned = |image: &str| format!("{}@sha256:0123", image.rsplit_once(':').unwrap().0);
    let pinned = source_controller("2.8.0", pinned);
    assert_eq!(told(pinned), ("allow", vec!["engine-disabled"]));
}

/// A controller's Deployment with this image.
fn running(name: &str, image: &str) -> Value {
    let flux = Flux::release("2.4.0").installed(Names::Install);
    let is_wanted = |one: &&Value| one["kind"] == "Deployment" && one["metadata"]["name"] == *name;
    let mut deployment = flux.iter().find(is_wanted).unwrap().clone();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    deployment
}

/// The decision about another image of a controller, and what the rules lack.
fn set_image(version: &str, name: &str, old: &str, new: &str) -> (&'static str, Vec<Need>) {
    set_image_in(&installed(version), name, old, new)
}

fn set_image_in(facts: &Facts, name: &str, old: &str, new: &str) -> (&'static str, Vec<Need>) {
    let repository = format!("ghcr.io/fluxcd/{name}");
    let [old, new] = [old, new].map(|tag| running(name, &format!("{repository}{tag}")));
    let review = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "UPDATE",
        user: "jane",
        object: new,
        old,
        ..Review::default()
    };
    let answer = review.answer(facts);
    let abstained = answer.verdict.abstained.iter().map(|one| one.needs);
    (answer.outcome.name(), abstained.collect())
}

#[test]
fn another_image_is_judged_by_the_crds_that_its_controller_finds() {
    let kustomize = "kustomize-controller";
    let newer = set_image("2.4.0", kustomize, ":v1.4.0", ":v1.7.3");
    assert_eq!(newer, ("warn", vec![]), "OCIRepository v1 is not there yet");
    let next = set_image("2.4.0", kustomize, ":v1.4.0", ":v1.5.0");
    assert_eq!(next, ("allow", vec![]));
    let unknown = set_image("2.4.0", kustomize, ":v1.4.0", ":v99.0.0");
    assert_eq!(unknown, ("allow", vec![Need::FluxOrder]));
    let undone = set_image("2.4.0", "source-controller", ":v1.4.1", ":v1.3.0");
    assert_eq!(undone, ("warn", vec![]), "2.4 serves what 2.3 reads");
    let lost = set_image("2.8.0", "source-controller", ":v1.8.0", ":v1.3.0");
    assert_eq!(lost, ("refuse", vec![]));
}

#[test]
fn an_unread_crd_hides_no_other_that_is_not_served() {
    let mut facts = installed("2.4.0");
    let hidden = "buckets.source.toolkit.fluxcd.io";
    facts.put(Object {
        body: Body::Unread,
        ..facts.definition(hidden).unwrap().clone()
    });
    let to = |version| set_image_in(&facts, "kustomize-controller", ":v1.4.0", version);
    assert_eq!(to(":v1.7.3"), ("warn", vec![]), "OCIRepository v1");
    assert_eq!(to(":v1.5.0"), ("allow", vec![Need::Definitions]));
}

#[test]
fn an_image_behind_a_digest_is_judged_by_the_crds_that_it_finds_and_else_not_known() {
    let helm = "helm-controller";
    let digest = "@sha256:0123";
    let abstains = ("allow", vec![Need::ChartFlux]);
    assert_eq!(set_image("2.4.0", helm, ":v1.1.0", digest), abstains);
    assert_eq!(set_image("2.4.0", helm, digest, ":v0.37.0"), abstains);
    assert_eq!(set_image("2.4.0", helm, digest, "@sha256:4567"), abstains);
    assert_eq!(set_image("2.4.0", helm, digest, digest), ("allow", vec![]));
    let lost = set_image("2.8.0", helm, digest, ":v0.37.0");
    assert_eq!(lost, ("refuse", vec![]), "2.8 serves no v2beta2");
}

/// The rules that refuse, and those that warn, when a release upgrades Flux with its Deployments
/// alone.
fn without_crds(
    from: &str,
    to: &str,
    crds: &str,
) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let is_crd = |one: &Value| one["kind"] == "CustomResourceDefinition";
    let mut live = Flux::release(from).installed(Names::Install);
    live.retain(|one| !is_crd(one));
    for object in &mut live {
        object["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "flux",
            "meta.helm.sh/release-namespace": "flux-system"});
    }
    let apart = Flux::release(crds).installed(Names::Install);
    live.extend(apart.into_iter().filter(|one| is_crd(one)));
    let mut brought = Flux::release(to).installed(Names::Install);
    brought.retain(|one| !is_crd(one));
    let [live, brought] = [live, brought].map(|objects| {
        let texts: Vec<_> = objects.iter().map(ToString::to_string).collect();
        texts.join("\n---\n")
    });
    let data = packed_as(5, "flux", "flux-system", &brought, &[], Driver::Secret);
    let answer = stored(secret(&data)).answer(&Facts::of(objects(&live, None)));
    let rules = |outcome| answer.verdict.with(outcome).map(|one| one.rule).collect();
    (rules(Outcome::Refused), rules(Outcome::Warned))
}

#[test]
fn a_release_without_crds_is_refused_where_its_controllers_find_none_that_they_read() {
    for (from, to, crds, expected) in [
        ("2.4.0", "2.6.0", "2.4.0", true),
        ("2.4.0", "2.6.0", "2.6.0", false),
        ("2.4.0", "2.5.0", "2.4.0", false),
        ("2.4.0", "2.3.0", "2.4.0", false),
        ("2.8.0", "2.3.0", "2.8.0", true),
    ] {
        let (refused, _) = without_crds(from, to, crds);
        let expected: BTreeSet<_> = expected
            .then_some("flux-crds-unserved")
            .into_iter()
            .collect();
        assert_eq!(refused, expected, "{from} to {to} on the CRDs of {crds}");
    }
    let (_, warned) = without_crds("2.4.0", "2.3.0", "2.4.0");
    assert!(warned.contains("flux-downgraded"), "{warned:?}");
}

fn binding(subjects: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-reconciler"}, "subjects": subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}})
}

fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
}

/// The findings for an update of this RBAC kind.
fn rights(kind: &str, field_manager: &str, old: &Value, new: &Value) -> Vec<String> {
    let resource = format!("{}s", kind.to_lowercase());
    let review = Review {
        kind: &format!("rbac.authorization.k8s.io/v1/{kind}"),
        resource: &resource,
        operation: "UPDATE",
        user: "jane",
        field_manager,
        object: new.clone(),
        old: old.clone(),
        ..Review::default()
    };
    let verdict = review.answer(&Facts::of(objects(BUILT_IN, None))).verdict;
    let findings = verdict.findings.iter();
    findings
        .map(|one| format!("{} {} {}", one.outcome().name(), one.rule, one.path))
        .collect()
}

#[test]
fn a_binding_keeps_the_engines_accounts_and_may_name_others_besides() {
    let [kustomize, helm] =
        ["kustomize-controller", "helm-controller"].map(|name| account("flux-system", name));
    let second = account("flux", "helm-controller");
    let group = json!({"kind": "Group", "name": "system:serviceaccounts:flux-system"});
    let old = binding(&json!([kustomize, helm]));
    let told = |subjects: Value| rights("ClusterRoleBinding", "kubectl", &old, &binding(&subjects));
    let refused = ["refused engine-rights-lost /subjects"];
    assert_eq!(told(json!([second])), refused);
    assert_eq!(told(json!([kustomize, second])), refused);
    assert_eq!(told(json!([])), refused);
    assert_eq!(told(Value::Null), refused);
    assert!(told(json!([second, helm, kustomize])).is_empty());
    assert!(told(json!([group])).is_empty(), "a group holds them, too");
    let by_helm = rights(
        "ClusterRoleBinding",
        "helm",
        &old,
        &binding(&json!([second])),
    );
    assert_eq!(by_helm, ["warned engine-rights-lost /subjects"]);
    let both = binding(&json!([kustomize, helm, account("apps", "deployer")]));
    let fewer = rights("ClusterRoleBinding", "kubectl", &both, &old);
    assert!(fewer.is_empty(), "a stranger's account may go");
}

/// The live ClusterRole of Flux's controllers, with these rules.
fn crd_controller(rules: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "crd-controller"}, "rules": rules})
}

/// The rules of every release of Flux since 2.0.
fn rules() -> Vec<Value> {
    let mut rules: Vec<Value> = ["source", "kustomize", "helm", "notification", "image"]
        .map(|name| rule(&[&format!("{name}.toolkit.fluxcd.io")], &["*"], &["*"]))
        .to_vec();
    let all = [
        "get", "list", "watch", "create", "update", "patch", "delete",
    ];
    rules.extend([
        rule(&["coordination.k8s.io"], &["leases"], &all),
        rule(&[""], &["events"], &["create", "patch"]),
        rule(&[""], &["secrets"], &["get", "list", "watch"]),
    ]);
    rules
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

/// The findings if these rules replace those of Flux.
fn narrowed(new: &Value) -> Vec<String> {
    let old = crd_controller(&json!(rules()));
    rights("ClusterRole", "kubectl", &old, &crd_controller(new))
}

const REFUSED: [&str; 1] = ["refused engine-rights-lost /rules"];
const WARNED: [&str; 1] = ["warned engine-rights-lost /rules"];

#[test]
fn a_role_of_the_engine_may_not_lose_what_the_core_controllers_work_on() {
    assert_eq!(narrowed(&Value::Null), REFUSED, "emptied");
    let read_only = ["source", "kustomize", "helm", "notification"]
        .map(|name| rule(&[&format!("{name}.toolkit.fluxcd.io")], &["*"], &["get"]));
    assert_eq!(narrowed(&json!(read_only)), REFUSED, "the groups stay");
    let without = |index: usize| {
        let mut rules = rules();
        rules.remove(index);
        narrowed(&json!(rules))
    };
    assert_eq!(without(0), REFUSED, "sources");
    assert_eq!(without(5), REFUSED, "leases");
    assert_eq!(without(6), WARNED, "events");
    assert_eq!(without(7), WARNED, "secrets");
    assert!(
        without(2).is_empty(),
        "cluster-admin covers helm-controller"
    );
    assert_eq!(without(4), WARNED, "images: optional controllers");
    let mut named = rules();
    named[0]["resourceNames"] = json!(["a"]);
    assert_eq!(narrowed(&json!(named)), REFUSED, "nothing can be listed");
}

#[test]
fn a_role_that_gains_rules_or_spells_them_otherwise_loses_nothing() {
    let mut more = rules();
    more.push(rule(&[""], &["serviceaccounts/token"], &["create"]));
    more.push(rule(&["source.extensions.fluxcd.io"], &["*"], &["*"]));
    assert!(narrowed(&json!(more)).is_empty());
    assert!(narrowed(&json!([rule(&["*"], &["*"], &["*"])])).is_empty());
    let spelled = |verbs: &[&str]| {
        let kinds = [
            "buckets",
            "gitrepositories",
            "helmcharts",
            "helmrepositories",
            "ocirepositories",
        ];
        let status = rule(&["source.toolkit.fluxcd.io"], &["*/status"], &["patch"]);
        let mut rules = rules();
        rules[0] = rule(&["source.toolkit.fluxcd.io"], &kinds, verbs);
        rules.push(status);
        narrowed(&json!(rules))
    };
    assert!(spelled(&["get", "list", "watch", "patch"]).is_empty());
    assert_eq!(spelled(&["get", "list", "patch"]), REFUSED);
    let mut leases = rules();
    let names = json!(["source-controller-leader-election"]);
    leases[5] = rule(&["coordination.k8s.io"], &["leases"], &["get", "update"]);
    leases[5]["resourceNames"] = names;
    leases.push(rule(&["coordination.k8s.io"], &["leases"], &["create"]));
    assert!(narrowed(&json!(leases)).is_empty(), "leases by their names");
    let mut aggregated = crd_controller(&json!([]));
    aggregated["aggregationRule"] = json!({"clusterRoleSelectors": []});
    let old = crd_controller(&json!(rules()));
    assert!(rights("ClusterRole", "kubectl", &old, &aggregated).is_empty());
}

#[test]
fn a_role_that_nothing_of_flux_is_bound_to_may_lose_everything() {
    let named = |rules: Value| {
        let mut role = crd_controller(&rules);
        role["metadata"]["name"] = json!("team-viewer");
        role["metadata"]["labels"] = json!({"app.kubernetes.io/part-of": "flux"});
        role
    };
    let (old, new) = (named(json!(rules())), named(json!([])));
    assert!(rights("ClusterRole", "kubectl", &old, &new).is_empty());
}

#[test]
fn cluster_admin_without_its_rules_stops_what_applies_for_flux() {
    let named = |rules: Value| {
        let mut role = crd_controller(&rules);
        role["metadata"]["name"] = json!("cluster-admin");
        role
    };
    let everything = || rule(&["*"], &["*"], &["*"]);
    let urls = json!({"nonResourceURLs": ["*"], "verbs": ["*"]});
    let old = named(json!([everything(), urls]));
    let told = |new: Value| rights("ClusterRole", "kubectl", &old, &named(new));
    assert_eq!(told(json!([])), REFUSED);
    assert_eq!(told(json!([rule(&["*"], &["*"], &["get"])])), REFUSED);
    assert!(told(json!([everything()])).is_empty());
}

/// A CRD of Flux with these versions: name, served, storage.
fn crd_of_flux(name: &str, versions: &[(&str, bool, bool)]) -> Value {
    let mut object = definition(versions, &["v1"]);
    let (plural, group) = name.split_once('.').unwrap();
    object["metadata"]["name"] = json!(name);
    object["spec"]["group"] = json!(group);
    object["spec"]["names"] = json!({"plural": plural, "kind": "Bucket"});
    object
}

/// The findings of `engine-disabled`, as `outcome path`.
fn disabled(review: &Review<'_>, facts: &Facts) -> Vec<String> {
    let findings = review.answer(facts).verdict.findings;
    let own = findings.iter().filter(|one| one.rule == "engine-disabled");
    own.map(|one| format!("{} {}", one.outcome().name(), one.path))
        .collect()
}

const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";

/// The review of a CRD's update by a person.
fn edited_crd(old: Value, new: Value) -> Review<'static> {
    Review {
        user: "jane",
        field_manager: "kubectl",
        ..redefined(old, new)
    }
}

/// A CRD of Flux with this schema, and with the status subresource unless it is left out.
fn crd_with(schema: &Value, subresources: &Value) -> Value {
    let mut crd = crd_of_flux(BUCKETS, &[("v1", true, true)]);
    crd["spec"]["versions"][0]["schema"] = json!({"openAPIV3Schema": schema});
    crd["spec"]["versions"][0]["subresources"] = subresources.clone();
    crd
}

#[test]
fn a_definition_of_flux_keeps_fields_and_the_status_of_its_objects() {
    let facts = installed("2.4.0");
    let full = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let (empty, status) = (json!({"type": "object"}), json!({"status": {}}));
    let told = |old: &Value, new: Value| disabled(&edited_crd(crd_with(old, &status), new), &facts);
    let stripped = ["refused /spec/versions/0/schema"];
    assert_eq!(told(&full, crd_with(&empty, &status)), stripped);
    assert_eq!(told(&any, crd_with(&empty, &status)), stripped);
    let bare = ["refused /spec/versions/0/subresources"];
    assert_eq!(told(&full, crd_with(&full, &json!({}))), bare);
    assert!(told(&full, crd_with(&any, &status)).is_empty());
    assert!(
        told(&empty, crd_with(&empty, &status)).is_empty(),
        "as it was"
    );
    let mended = edited_crd(crd_with(&empty, &json!({})), crd_with(&full, &status));
    assert!(disabled(&mended, &facts).is_empty());
    let by_helm = Review {
        field_manager: "helm",
        ..edited_crd(crd_with(&full, &status), crd_with(&empty, &status))
    };
    assert_eq!(
        disabled(&by_helm, &facts),
        ["warned /spec/versions/0/schema"]
    );
}

#[test]
fn a_schema_of_flux_that_named_spec_or_status_goes_on_naming_it() {
    let facts = installed("2.4.0");
    let naming = |fields: &[&str]| {
        let field = |name: &&str| ((*name).to_owned(), json!({"type": "object"}));
        let properties: serde_json::Map<_, _> = fields.iter().map(field).collect();
        crd_with(
            &json!({"type": "object", "properties": properties}),
            &json!({"status": {}}),
        )
    };
    let any = |more: Value| {
        let schema = json!({"type": "object", "properties": more, "x-kubernetes-preserve-unknown-fields": true});
        crd_with(&schema, &json!({"status": {}}))
    };
    let told = |old: Value, new: Value| disabled(&edited_crd(old, new), &facts);
    let both = || naming(&["spec", "status"]);
    let stripped = ["refused /spec/versions/0/schema"];
    for new in [naming(&["x"]), naming(&["status"]), naming(&["spec"])] {
        assert_eq!(told(both(), new.clone()), stripped, "{new}");
    }
    assert_eq!(told(any(json!({})), naming(&["x"])), stripped);
    for (old, new) in [
        (both(), naming(&["spec", "status", "x"])),
        (both(), any(json!({"x": {"type": "object"}}))),
        // An Alert of Flux has no status.
        (naming(&["spec"]), naming(&["spec"])),
        (any(json!({})), naming(&["spec"])),
        (naming(&["x"]), naming(&["x"])),
        (naming(&["x"]), both()),
    ] {
        let found = told(old, new.clone());
        assert!(found.is_empty(), "{new}: {found:?}");
    }
    let mut strangers = [both(), naming(&["data"])];
    for crd in &mut strangers {
        crd["metadata"]["name"] = json!("things.example.org");
        crd["spec"]["group"] = json!("example.org");
    }
    let [old, new] = strangers;
    assert!(told(old, new).is_empty());
}

#[test]
fn the_version_that_flux_asks_for_stays_served_and_others_may_go() {
    let facts = installed("2.4.0");
    let both = |first: (&'static str, bool, bool), second: (&'static str, bool, bool)| {
        crd_of_flux(BUCKETS, &[first, second])
    };
    let old = both(("v1", true, true), ("v1beta2", true, false));
    let told = |new: Value| disabled(&edited_crd(old.clone(), new), &facts);
    let unserved = || both(("v1", false, true), ("v1beta2", true, false));
    assert_eq!(told(unserved()), ["refused /spec/versions/0/served"]);
    for new in [
        old.clone(),
        both(("v1", true, true), ("v1beta2", false, false)),
        // An upgrade that stores another version brings the controllers that ask for it.
        both(("v1", false, false), ("v2", true, true)),
    ] {
        assert!(told(new.clone()).is_empty(), "{new}");
    }
    let mended = edited_crd(unserved(), old.clone());
    assert!(disabled(&mended, &facts).is_empty());
    let unchanged = edited_crd(unserved(), unserved());
    assert!(disabled(&unchanged, &facts).is_empty());
    let by_helm = Review {
        field_manager: "helm",
        ..edited_crd(old.clone(), unserved())
    };
    assert_eq!(
        disabled(&by_helm, &facts),
        ["warned /spec/versions/0/served"]
    );
    let release = stored(record(&unserved().to_string(), &[]));
    let refused = ["refused /spec/versions/0/served"];
    assert_eq!(disabled(&release, &facts), refused);
}

#[test]
fn a_version_of_a_controller_that_is_optional_or_does_not_run_only_warns_and_a_strangers_passes() {
    let facts = installed("2.4.0");
    let told = |name: &str, facts: &Facts| {
        let of = |served| crd_of_flux(name, &[("v1", served, true)]);
        disabled(&edited_crd(of(true), of(false)), facts)
    };
    let [refused, warned] =
        ["refused", "warned"].map(|word| vec![format!("{word} /spec/versions/0/served")]);
    assert_eq!(
        told("alerts.notification.toolkit.fluxcd.io", &facts),
        refused
    );
    assert_eq!(
        told("imagepolicies.image.toolkit.fluxcd.io", &facts),
        warned
    );
    let some = Flux::release("2.4.0").installed(Names::Install);
    let runs = |one: &&Value| one["metadata"]["name"] != "notification-controller";
    let texts: Vec<_> = some.iter().filter(runs).map(Value::to_string).collect();
    let without = Facts::of(objects(&texts.join("\n---\n"), None));
    assert_eq!(
        told("alerts.notification.toolkit.fluxcd.io", &without),
        warned
    );
    assert!(told("widgets.example.org", &facts).is_empty());
}

#[test]
fn a_conversion_webhook_on_a_crd_of_flux_is_told_and_a_strangers_passes() {
    let facts = installed("2.4.0");
    let with = |name: &str, versions: &[(&str, bool, bool)], strategy: &str| {
        let mut object = crd_of_flux(name, versions);
        object["spec"]["conversion"] = json!({"strategy": strategy});
        if strategy == "Webhook" {
            let service = json!({"namespace": "flux-system", "name": "nowhere"});
            object["spec"]["conversion"]["webhook"] = json!({"clientConfig": {"service": service},
                "conversionReviewVersions": ["v1"]});
        }
        object
    };
    let two = [("v1", true, true), ("v1beta2", true, false)];
    let told = |name, versions: &[(&str, bool, bool)], from, to| {
        let (old, new) = (with(name, versions, from), with(name, versions, to));
        disabled(&edited_crd(old, new), &facts)
    };
    assert_eq!(
        told(BUCKETS, &two, "None", "Webhook"),
        ["warned /spec/conversion"]
    );
    assert!(told(BUCKETS, &two, "Webhook", "Webhook").is_empty());
    assert!(told(BUCKETS, &two, "Webhook", "None").is_empty());
    assert!(told(BUCKETS, &two[..1], "None", "Webhook").is_empty());
    assert!(told("widgets.example.org", &two, "None", "Webhook").is_empty());
}

#[test]
fn every_release_of_flux_serves_the_version_that_it_stores() {
    for release in Catalogue::built_in().releases() {
        for crd in &release.crds {
            let definition = crd.definition();
            let storage = definition.storage().unwrap();
            assert!(
                definition.serves(storage),
                "{} {}",
                release.version,
                crd.name
            );
        }
    }
}
