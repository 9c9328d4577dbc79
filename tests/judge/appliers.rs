//! Flux installed without Helm: by a FluxInstance of flux-operator or by a Kustomization. Tests
//! which changes would remove Flux, and which must stay possible.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    missing_docs
)]

use fluxkeep::case::facts::Facts;
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_fixtures::Review;
use fluxkeep_fixtures::fixture::objects;
use serde_json::{Value, json};

const HOME: &str = "flux-system";

/// A FluxInstance that applied Flux 2.4.0 with its core controllers.
fn instance(spec: Value) -> Value {
    let ids = [
        "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition",
        "flux-system_helm-controller_apps_Deployment",
        "flux-system_image-reflector-controller_apps_Deployment",
        "flux-system_kustomize-controller_apps_Deployment",
        "flux-system_notification-controller_apps_Deployment",
        "flux-system_source-controller_apps_Deployment",
    ];
    let entries: Vec<_> = ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
    json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": HOME}, "spec": spec,
        "status": {"inventory": {"entries": entries}}})
}

fn of_version(version: &str) -> Value {
    json!({"distribution": {"version": version, "registry": "ghcr.io/fluxcd"},
        "components": ["source-controller", "kustomize-controller", "helm-controller", "notification-controller",
            "image-reflector-controller"]})
}

fn annotated(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"][key] = json!(value);
    object
}

fn paused(object: Value) -> Value {
    annotated(object, "fluxcd.controlplane.io/reconcile", "Disabled")
}

/// A cluster that runs this Flux version.
fn running(version: &str) -> Facts {
    let flux = fluxkeep_fixtures::flux::Flux::release(version);
    let installed = flux.installed(fluxkeep_fixtures::flux::Names::Install);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": installed});
    Facts::of(objects(&list.to_string(), None))
}

/// The version with its group, which is empty for core kinds.
fn group_version(version: &str) -> String {
    if version.contains('/') {
        version.to_owned()
    } else {
        format!("/{version}")
    }
}

/// The findings, as `outcome rule path`.
fn found(operation: &str, old: Value, new: Value, facts: &Facts) -> Vec<String> {
    let about = if new.is_null() { &old } else { &new };
    let (version, kind) = (about["apiVersion"].as_str(), about["kind"].as_str());
    let review = Review {
        kind: &format!("{}/{}", group_version(version.unwrap()), kind.unwrap()),
        operation,
        user: "jane",
        object: new.clone(),
        old: old.clone(),
        ..Review::default()
    };
    let answer = review.answer(facts);
    let findings = answer.verdict.findings.iter();
    let told = findings.map(|one| format!("{} {} {}", one.outcome().name(), one.rule, one.path));
    told.collect()
}

fn deleted(old: Value, facts: &Facts) -> Vec<String> {
    found("DELETE", old, Value::Null, facts)
}

fn updated(old: Value, new: Value, facts: &Facts) -> Vec<String> {
    found("UPDATE", old, new, facts)
}

#[test]
fn deleting_a_flux_instance_uninstalls_flux_unless_it_is_paused_or_applied_nothing() {
    let facts = running("2.4.0");
    let applied = instance(of_version("2.x"));
    assert_eq!(
        deleted(applied.clone(), &facts),
        ["refused engine-deleted "]
    );
    assert!(deleted(paused(applied.clone()), &facts).is_empty());
    let mut fresh = applied;
    fresh["status"] = Value::Null;
    assert!(deleted(fresh, &facts).is_empty());
}

#[test]
fn an_override_on_the_engines_namespace_lets_a_flux_instance_go() {
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME, "annotations": {
        "fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "moving", "fluxkeep.io/until": "2026-11-25T12:00:00Z"}}});
    let facts = Facts::of(objects(&home.to_string(), None));
    assert_eq!(
        deleted(instance(of_version("2.x")), &facts),
        ["overridden engine-deleted "]
    );
}

#[test]
fn the_definition_of_flux_instances_takes_flux_along_where_one_of_them_applied_it() {
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "fluxinstances.fluxcd.controlplane.io"}});
    let of = |instance: &Value, labels: Value| {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "source-controller", "namespace": HOME, "labels": labels}});
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [deployment, instance]});
        Facts::of(objects(&list.to_string(), None))
    };
    let labels =
        json!({"fluxcd.controlplane.io/name": "flux", "fluxcd.controlplane.io/namespace": HOME});
    let live = instance(of_version("2.x"));
    let facts = of(&live, labels.clone());
    assert_eq!(
        deleted(definition.clone(), &facts),
        ["refused engine-deleted "]
    );
    for facts in [
        of(&paused(live.clone()), labels),
        of(&live, json!({})),
        Facts::default(),
    ] {
        assert!(deleted(definition.clone(), &facts).is_empty());
    }
}

#[test]
fn a_version_moved_down_is_refused_where_stored_versions_are_lost_and_warned_of_elsewhere() {
    let moved = |running_version: &str, to: &str| {
        let facts = running(running_version);
        let old = instance(of_version(running_version));
        updated(old, instance(of_version(to)), &facts)
    };
    let path = "/spec/distribution/version";
    assert_eq!(
        moved("2.4.0", "2.3.0"),
        [format!("refused flux-downgraded {path}")]
    );
    assert_eq!(
        moved("2.4.0", "2.3.x"),
        [format!("refused flux-downgraded {path}")]
    );
    assert_eq!(
        moved("2.8.0", "2.7.x"),
        [format!("warned flux-downgraded {path}")]
    );
    assert_eq!(
        moved("2.4.0", "2.6.0"),
        [format!("warned flux-minor-skipped {path}")]
    );
    assert_eq!(
        moved("2.4.0", "2.6.x"),
        [format!("warned flux-minor-skipped {path}")]
    );
    assert!(moved("2.4.0", "2.5.x").is_empty());
}

/// Wider ranges select a release that drops versions which Flux 2.4 stores: `instance_versions.rs`.
#[test]
fn a_range_that_holds_what_runs_passes_however_wide_it_is() {
    for range in [
        "<2.8",
        ">=2.2 <2.7",
        "2.1 - 2.6",
        "2.4.x",
        "2.4",
        "~2.4.0",
        "2.3.x || 2.4.x",
        "2.4.0",
    ] {
        let old = instance(of_version("2.4.0"));
        let found = updated(old, instance(of_version(range)), &running("2.4.0"));
        assert!(found.is_empty(), "{range}: {found:?}");
    }
}

#[test]
fn a_first_instance_over_a_newer_flux_is_judged_as_a_change_of_its_version_is() {
    let over = |version: &str| {
        let mut object = instance(of_version(version));
        object["status"] = Value::Null;
        found("CREATE", Value::Null, object, &running("2.4.0"))
    };
    assert_eq!(
        over("2.3.0"),
        ["refused flux-downgraded /spec/distribution/version"]
    );
    assert!(over("<2.8").is_empty() && over("2.4.0").is_empty());
}

#[test]
fn an_instance_elsewhere_only_warns_until_it_has_applied_a_flux() {
    let elsewhere = |has_applied: bool| {
        let mut object = instance(of_version("2.3.0"));
        object["metadata"]["namespace"] = json!("apps");
        if !has_applied {
            object["status"] = Value::Null;
        }
        found("CREATE", Value::Null, object, &running("2.4.0"))
    };
    let path = "/spec/distribution/version";
    assert_eq!(elsewhere(false), [format!("warned flux-downgraded {path}")]);
    assert_eq!(elsewhere(true), [format!("refused flux-downgraded {path}")]);
}

#[test]
fn what_says_nothing_of_the_version_is_not_judged_by_it() {
    // The images were patched by hand to the running version.
    let facts = running("2.4.0");
    let old = instance(of_version("2.3.0"));
    let mut new = old.clone();
    new["spec"]["wait"] = json!(false);
    assert!(updated(old.clone(), new, &facts).is_empty());
    assert!(updated(old.clone(), annotated(old.clone(), "a", "b"), &facts).is_empty());
    assert!(updated(old.clone(), paused(instance(of_version("2.2.0"))), &facts).is_empty());
    let resumed = updated(paused(old.clone()), old, &facts);
    assert_eq!(
        resumed,
        ["refused flux-downgraded /spec/distribution/version"]
    );
}

#[test]
fn core_controllers_that_it_applied_are_not_taken_away_and_optional_ones_with_a_warning() {
    let facts = running("2.4.0");
    let with = |components: &[&str]| {
        let mut spec = of_version("2.4.0");
        spec["components"] = json!(components);
        instance(spec)
    };
    let all = [
        "source-controller",
        "kustomize-controller",
        "helm-controller",
        "notification-controller",
        "image-reflector-controller",
    ];
    let old = || with(&all);
    let path = "/spec/components";
    assert_eq!(
        updated(old(), with(&all[..4]), &facts),
        [format!("warned controller-missing {path}")]
    );
    assert_eq!(
        updated(old(), with(&[all[0], all[1], all[3], all[4]]), &facts),
        [format!("refused controller-missing {path}")]
    );
    let more = [&all[..], &["image-automation-controller"]].concat();
    assert!(updated(old(), with(&more), &facts).is_empty());
    let mut few = with(&all[..1]);
    few["status"] = Value::Null;
    assert!(
        found("CREATE", Value::Null, few, &facts).is_empty(),
        "some controllers only, on purpose"
    );
}

fn kustomization(name: &str, spec: Value, ids: &[&str]) -> Value {
    let entries: Vec<_> = ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
    json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": HOME}, "spec": spec, "status": {"inventory": {"entries": entries}}})
}

/// The incident's cluster, where Kustomization `flux-system` applies source-controller.
fn applied(annotations: Value) -> Facts {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": HOME, "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "source-controller", "namespace": HOME, "labels": labels, "annotations": annotations}});
    let known = [BUILT_IN.to_owned(), deployment.to_string()];
    Facts::of(known.iter().flat_map(|text| objects(text, None)))
}

const FLUX: [&str; 2] = [
    "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition",
    "flux-system_source-controller_apps_Deployment",
];

#[test]
fn deleting_the_kustomization_that_applies_and_prunes_flux_is_refused() {
    let facts = applied(json!({}));
    let root = |spec: Value| kustomization(HOME, spec, &FLUX);
    let refused = ["refused engine-deleted "];
    assert_eq!(deleted(root(json!({"prune": true})), &facts), refused);
    assert_eq!(
        deleted(
            root(json!({"prune": false, "deletionPolicy": "Delete"})),
            &facts
        ),
        refused
    );
    for spec in [
        json!({"prune": false}),
        json!({"prune": true, "suspend": true}),
        json!({"prune": true, "deletionPolicy": "Orphan"}),
        json!({"prune": true, "kubeConfig": {"secretRef": {"name": "other"}}}),
    ] {
        assert!(deleted(root(spec.clone()), &facts).is_empty(), "{spec}");
    }
}

#[test]
fn a_kustomization_of_applications_goes_in_silence() {
    let apps = kustomization(
        "apps",
        json!({"prune": true}),
        &["apps_shop_apps_Deployment"],
    );
    assert!(deleted(apps, &applied(json!({}))).is_empty());
    // The Kustomization still lists Flux, but another one applies Flux now.
    let former = kustomization("former", json!({"prune": true}), &FLUX);
    assert!(deleted(former, &applied(json!({}))).is_empty());
}

#[test]
fn what_flux_marks_as_never_to_be_pruned_is_not_pruned_with_its_kustomization() {
    let root = kustomization(HOME, json!({"prune": true}), &FLUX);
    for key in ["prune", "reconcile"] {
        let key = format!("kustomize.toolkit.fluxcd.io/{key}");
        assert!(deleted(root.clone(), &applied(json!({key: "Disabled"}))).is_empty());
    }
}

/// An older mark of the owner must not make the printed command fail.
#[test]
fn the_printed_pause_overwrites_an_older_mark() {
    let facts = running("2.4.0");
    let review = Review {
        kind: "fluxcd.controlplane.io/v1/FluxInstance",
        operation: "DELETE",
        user: "jane",
        old: instance(of_version("2.x")),
        ..Review::default()
    };
    let answer = review.answer(&facts);
    let [finding] = answer.verdict.findings.as_slice() else {
        unreachable!("one rule is about a FluxInstance");
    };
    let command = "kubectl annotate --overwrite fluxinstance -n flux-system flux ";
    assert!(finding.remedy.contains(command), "{}", finding.remedy);
}

/// A cluster where Kustomization `flux-system` and a HelmRelease apply Flux, and another
/// Kustomization applies applications. Each source names a Secret.
fn fetched(suspend: bool) -> Facts {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system",
        "kustomize.toolkit.fluxcd.io/namespace": HOME});
    let owner =
        json!({"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": HOME});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "source-controller", "namespace": HOME, "labels": labels, "annotations": owner}});
    let source = |kind: &str, name: &str, secret: &str| {
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": HOME}, "spec": {"secretRef": {"name": secret}}})
    };
    let kustomization = |name: &str| {
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": name, "namespace": HOME},
            "spec": {"suspend": suspend, "sourceRef": {"kind": "GitRepository", "name": name}}})
    };
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": HOME}, "spec": {"suspend": suspend,
            "chart": {"spec": {"chart": "flux2", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}}});
    let all = [
        deployment,
        source("GitRepository", "flux-system", "deploy-key"),
        source("GitRepository", "apps", "token"),
        source("HelmRepository", "charts", "login"),
        kustomization("flux-system"),
        kustomization("apps"),
        release,
    ];
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    Facts::of(objects(&list.to_string(), None))
}

#[test]
fn the_secret_of_a_source_of_flux_is_deleted_with_a_warning_and_others_in_silence() {
    let deleted = |namespace: &str, name: &str, facts: &Facts| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": "czNjcjN0"},
            "metadata": {"name": name, "namespace": namespace}});
        found("DELETE", secret, Value::Null, facts)
    };
    let facts = fetched(false);
    for name in ["deploy-key", "login"] {
        let told = deleted(HOME, name, &facts);
        assert_eq!(told, ["warned engine-source-deleted "], "{name}");
    }
    for (namespace, name) in [(HOME, "token"), (HOME, "other"), ("apps", "deploy-key")] {
        assert!(deleted(namespace, name, &facts).is_empty(), "{name}");
    }
    assert!(
        deleted(HOME, "deploy-key", &fetched(true)).is_empty(),
        "suspended"
    );
}

#[test]
fn the_repository_of_fluxs_chart_is_deleted_with_a_warning() {
    let repository = |name: &str| {
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
            "metadata": {"name": name, "namespace": HOME}})
    };
    let deleted = |name: &str| found("DELETE", repository(name), Value::Null, &fetched(false));
    assert_eq!(deleted("charts"), ["warned engine-source-deleted "]);
    assert!(deleted("other").is_empty());
}
