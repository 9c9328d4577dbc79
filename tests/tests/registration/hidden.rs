//! The webhook that hears of changes that cut Flux off without touching one of its controllers.

use fluxkeep::case::policy::Policy;
use fluxkeep_tests::{Review, definition};
use fluxkeep_webhook::registration::KnownReleases;
use serde_json::{Value, json};

use crate::{apiserver, apiserver_knowing};

fn policy(namespace: &str, spec: &Value) -> Review<'static> {
    Review {
        kind: "networking.k8s.io/v1/NetworkPolicy",
        resource: "networkpolicies",
        user: "jane",
        object: json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "a", "namespace": namespace}, "spec": spec}),
        ..Review::default()
    }
}

#[test]
fn a_network_policy_is_asked_about_where_it_denies_something_beside_flux() {
    let apiserver = apiserver(&Policy::default());
    let both = json!(["Ingress", "Egress"]);
    let cases = [
        (
            "denies all",
            "flux-system",
            json!({"podSelector": {}, "policyTypes": both}),
            1,
        ),
        (
            "denies egress",
            "flux-system",
            json!({"policyTypes": ["Egress"], "egress": []}),
            1,
        ),
        (
            "null rules",
            "flux-system",
            json!({"policyTypes": ["Egress"], "egress": null}),
            1,
        ),
        (
            "allows",
            "flux-system",
            json!({"policyTypes": both, "egress": [{}], "ingress": [{}]}),
            0,
        ),
        (
            "elsewhere",
            "apps",
            json!({"podSelector": {}, "policyTypes": both}),
            0,
        ),
    ];
    for (told, namespace, spec, expected) in cases {
        let asked = apiserver.asks(&policy(namespace, &spec).bytes());
        let webhook = "engine-disabled.others.fluxkeep.io".to_owned();
        assert_eq!(asked, vec![webhook; expected], "{told}");
    }
}

fn status(name: &str, user: &'static str, was: &Value, now: &Value) -> Review<'static> {
    let with = |conditions: &Value| {
        let mut object = definition(&[("v1", true, true)], &["v1"]);
        object["metadata"]["name"] = json!(name);
        object["status"]["conditions"] = conditions.clone();
        object
    };
    Review {
        kind: "apiextensions.k8s.io/v1/CustomResourceDefinition",
        resource: "customresourcedefinitions",
        sub_resource: "status",
        operation: "UPDATE",
        user,
        object: with(now),
        old: with(was),
        ..Review::default()
    }
}

#[test]
fn a_status_that_hides_a_definition_of_flux_is_asked_about_and_fails_closed() {
    let apiserver = apiserver(&Policy::default());
    let flux = "buckets.source.toolkit.fluxcd.io";
    let condition = |name: &str, status: &str| json!({"type": name, "status": status});
    let accepted = || condition("NamesAccepted", "True");
    let served = json!([accepted(), condition("Established", "True")]);
    let more = json!([
        accepted(),
        condition("Established", "True"),
        condition("NonStructuralSchema", "True")
    ]);
    let ending = json!([
        accepted(),
        condition("Established", "True"),
        condition("Terminating", "True")
    ]);
    let unserved = json!([accepted(), condition("Established", "False")]);
    let cases = [
        ("none left", status(flux, "jane", &served, &json!([])), 1),
        ("null", status(flux, "jane", &served, &Value::Null), 1),
        (
            "not established",
            status(flux, "jane", &served, &unserved),
            1,
        ),
        (
            "names not accepted",
            status(
                flux,
                "jane",
                &served,
                &json!([condition("Established", "True")]),
            ),
            1,
        ),
        ("terminating", status(flux, "jane", &served, &ending), 1),
        (
            "one condition more",
            status(flux, "jane", &served, &more),
            0,
        ),
        ("established", status(flux, "jane", &json!([]), &served), 0),
        (
            "the apiserver's",
            status(flux, "system:apiserver", &served, &ending),
            0,
        ),
        (
            "a stranger's",
            status("things.example.org", "jane", &served, &json!([])),
            0,
        ),
    ];
    for (told, review, expected) in cases {
        let webhook = "crd-status.engine.fluxkeep.io".to_owned();
        assert_eq!(
            apiserver.asks(&review.bytes()),
            vec![webhook; expected],
            "{told}"
        );
    }
}

fn role(name: &str, operation: &'static str, now: Value) -> Review<'static> {
    let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    let role = |rules: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name}, "rules": rules})
    };
    Review {
        kind: "rbac.authorization.k8s.io/v1/ClusterRole",
        resource: "clusterroles",
        operation,
        user: "jane",
        object: if operation == "DELETE" {
            Value::Null
        } else {
            role(now)
        },
        old: role(all),
        ..Review::default()
    }
}

#[test]
fn the_roles_that_fluxs_bindings_refer_to_are_asked_about_by_their_names() {
    let known = KnownReleases {
        roles: vec!["platform".to_owned(), "cluster-admin".to_owned()],
        ..KnownReleases::default()
    };
    let apiserver = apiserver_knowing(&Policy::default(), &known);
    let engine = ["engine-rights-lost.engine.fluxkeep.io"];
    for name in ["platform", "cluster-admin"] {
        assert_eq!(
            apiserver.asks(&role(name, "DELETE", json!(null)).bytes()),
            engine,
            "{name}"
        );
        assert_eq!(
            apiserver.asks(&role(name, "UPDATE", json!([])).bytes()),
            engine,
            "{name}"
        );
    }
    for operation in ["DELETE", "UPDATE"] {
        let asked = apiserver.asks(&role("operator", operation, json!([])).bytes());
        assert_eq!(asked, [""; 0], "{operation}");
    }
    let own = apiserver.asks(&role("crd-controller", "DELETE", json!(null)).bytes());
    assert_eq!(
        own,
        ["engine-deleted.engine.fluxkeep.io"],
        "one webhook asks"
    );
}
