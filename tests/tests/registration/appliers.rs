//! Requests about FluxInstances and Kustomizations: sent, refused by the twin, or unseen.

use fluxkeep::case::policy::Policy;
use fluxkeep_tests::Review;
use fluxkeep_tests::apiserver::namespace;
use serde_json::{Value, json};

use crate::apiserver;

const DEFINITION: &str =
    "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition";
const APPLICATION: &str = "apps_shop_apps_Deployment";
const INSTANCE: (&str, &str, &str) = ("fluxcd.controlplane.io/v1", "FluxInstance", "fluxinstances");
const KUSTOMIZATION: (&str, &str, &str) = (
    "kustomize.toolkit.fluxcd.io/v1",
    "Kustomization",
    "kustomizations",
);

fn object((version, kind, _): (&str, &str, &str), spec: &Value, ids: &[&str]) -> Value {
    let entries: Vec<_> = ids.iter().map(|id| json!({"id": id, "v": "v1"})).collect();
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "flux", "namespace": "flux-system"},
        "spec": spec, "status": {"inventory": {"entries": entries}}})
}

fn paused(mut object: Value) -> Value {
    object["metadata"]["annotations"]["fluxcd.controlplane.io/reconcile"] = json!("Disabled");
    object
}

/// The webhook that is asked, and the number of policies that refuse.
fn sent((version, kind, resource): (&str, &str, &str), old: Value, new: Value) -> (String, usize) {
    let operation = match (old.is_null(), new.is_null()) {
        (true, _) => "CREATE",
        (false, true) => "DELETE",
        (false, false) => "UPDATE",
    };
    let review = Review {
        kind: &format!("{version}/{kind}"),
        resource,
        operation,
        user: "jane",
        object: new,
        old,
        ..Review::default()
    };
    let apiserver = apiserver(&Policy::default());
    let asked = apiserver.asks(&review.bytes()).join(" ");
    let home = namespace("flux-system", &json!({}));
    (asked, apiserver.refuses(&review.bytes(), &home).len())
}

#[test]
fn a_flux_instance_that_would_uninstall_flux_is_sent_and_refused_without_the_server_too() {
    let deleted = |old| sent(INSTANCE, old, Value::Null);
    let applied = object(INSTANCE, &json!({}), &[DEFINITION]);
    let closed = "engine-deleted.engine.fluxkeep.io".to_owned();
    assert_eq!(deleted(applied.clone()), (closed, 1));
    assert_eq!(deleted(paused(applied)), (String::new(), 0));
    assert_eq!(
        deleted(object(INSTANCE, &json!({}), &[])),
        (String::new(), 0)
    );
    let fresh = json!({"apiVersion": INSTANCE.0, "kind": INSTANCE.1,
        "metadata": {"name": "flux", "namespace": "flux-system"}});
    assert_eq!(deleted(fresh), (String::new(), 0));
}

#[test]
fn of_a_flux_instance_only_what_makes_the_operator_act_otherwise_is_sent() {
    let instance = |spec: Value| object(INSTANCE, &spec, &[DEFINITION]);
    let of = |version: &str| instance(json!({"distribution": {"version": version}}));
    let asked = |old, new| sent(INSTANCE, old, new).0;
    let closed = "flux-instance.engine.fluxkeep.io";
    assert_eq!(
        asked(Value::Null, of("2.x")),
        "flux-instance.others.fluxkeep.io"
    );
    assert_eq!(asked(of("2.x"), of("2.7.x")), closed);
    assert_eq!(asked(paused(of("2.x")), of("2.x")), closed, "it is resumed");
    let fewer =
        instance(json!({"distribution": {"version": "2.x"}, "components": ["helm-controller"]}));
    assert_eq!(asked(of("2.x"), fewer), closed);
    let other = instance(json!({"distribution": {"version": "2.x"}, "wait": false}));
    for (told, old, new) in [
        ("another field", of("2.x"), other),
        ("it is paused", of("2.x"), paused(of("2.x"))),
        ("paused and changed", of("2.x"), paused(of("2.2.0"))),
    ] {
        assert_eq!(asked(old, new), "", "{told}");
    }
}

#[test]
fn a_kustomization_is_sent_where_its_deletion_deletes_definitions_or_controllers_of_flux() {
    let asked = |spec: Value, ids: &[&str]| {
        sent(
            KUSTOMIZATION,
            object(KUSTOMIZATION, &spec, ids),
            Value::Null,
        )
        .0
    };
    let prunes = || json!({"prune": true});
    let closed = "engine-deleted.engine.fluxkeep.io";
    assert_eq!(asked(prunes(), &[APPLICATION, DEFINITION]), closed);
    assert_eq!(
        asked(
            json!({"prune": false, "deletionPolicy": "Delete"}),
            &[DEFINITION]
        ),
        closed
    );
    for spec in [
        json!({}),
        json!({"prune": false}),
        json!({"prune": true, "suspend": true}),
        json!({"prune": true, "deletionPolicy": "Orphan"}),
        json!({"prune": true, "kubeConfig": {"secretRef": {"name": "other"}}}),
    ] {
        assert_eq!(asked(spec.clone(), &[DEFINITION]), "", "{spec}");
    }
    let controller = "flux-system_source-controller_apps_Deployment";
    assert_eq!(asked(prunes(), &[APPLICATION, controller]), closed);
    let namesake = "apps_source-controller_apps_Deployment";
    let applications = [APPLICATION, namesake];
    assert_eq!(asked(prunes(), &applications), "", "applications");
    assert_eq!(asked(prunes(), &[]), "", "nothing was applied");
}

#[test]
fn sources_beside_the_engine_are_asked_about_and_fail_open() {
    let source = |namespace: &str| {
        json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": namespace}})
    };
    let of = (
        "source.toolkit.fluxcd.io/v1",
        "GitRepository",
        "gitrepositories",
    );
    let asked = |namespace| sent(of, source(namespace), Value::Null);
    let open = "engine-source-deleted.others.fluxkeep.io".to_owned();
    assert_eq!(asked("flux-system"), (open, 0));
    assert_eq!(asked("apps"), (String::new(), 0));
}
