//! Flux cut off by objects that are none of its own: NetworkPolicies, a status by which its CRDs are
//! not served, a role that its bindings refer to. Beside each finding stands the look-alike that passes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::case::facts::Facts;
use fluxkeep_fixtures::Review;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

/// A cluster with Flux 2.4.0 and these objects more. Without `is_shielded`, Flux has no
/// NetworkPolicies, as after `flux install --network-policy=false`.
fn cluster(is_shielded: bool, more: &[Value]) -> Facts {
    let mut all = Flux::release("2.4.0").installed(Names::Install);
    all.retain(|object| is_shielded || object["kind"] != "NetworkPolicy");
    all.extend(more.iter().cloned());
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    Facts::of(objects(&list.to_string(), None))
}

/// The findings, as `outcome rule path: message`.
fn found(review: &Review<'_>, facts: &Facts) -> Vec<String> {
    let verdict = review.answer(facts).verdict;
    assert!(verdict.abstained.is_empty(), "{verdict:?}");
    let told = verdict.findings.iter().map(|one| {
        let outcome = one.outcome().name();
        format!("{outcome} {} {}: {}", one.rule, one.path, one.message)
    });
    told.collect()
}

fn policy(namespace: &str, spec: &Value) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "default-deny", "namespace": namespace}, "spec": spec})
}

fn restricted(old: Value, new: Value) -> Review<'static> {
    Review {
        kind: "networking.k8s.io/v1/NetworkPolicy",
        resource: "networkpolicies",
        operation: if old.is_null() { "CREATE" } else { "UPDATE" },
        user: "jane",
        object: new,
        old,
        ..Review::default()
    }
}

fn deny_all() -> Value {
    json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
}

const CUT: [&str; 2] = [
    "warned engine-disabled /spec/egress: no policy would let Flux reach the apiserver: helm-controller, \
     kustomize-controller, notification-controller, source-controller",
    "warned engine-disabled /spec/ingress: no policy would let Flux's controllers be reached: \
     notification-controller, source-controller",
];

#[test]
fn a_policy_that_denies_all_warns_where_no_other_lets_flux_talk() {
    let bare = cluster(false, &[]);
    let denied = restricted(Value::Null, policy(HOME, &deny_all()));
    assert_eq!(found(&denied, &bare), CUT);
    let allowing = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]});
    let emptied = restricted(policy(HOME, &allowing), policy(HOME, &deny_all()));
    assert_eq!(found(&emptied, &bare), CUT, "its rules are taken away");
    let by_default = json!({"podSelector": {}});
    let denied = restricted(Value::Null, policy(HOME, &by_default));
    assert_eq!(
        found(&denied, &bare),
        CUT[1..],
        "the type that counts where none is named"
    );
    let one = json!({"podSelector": {"matchLabels": {"app": "source-controller"}}, "policyTypes": ["Egress"]});
    let denied = restricted(Value::Null, policy(HOME, &one));
    assert_eq!(
        found(&denied, &bare),
        [
            "warned engine-disabled /spec/egress: no policy would let Flux reach the apiserver: source-controller"
        ]
    );
}

#[test]
fn a_policy_that_denies_all_is_harmless_beside_one_that_allows_and_to_other_pods() {
    let mut own = policy(
        HOME,
        &json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"],
        "egress": [{}], "ingress": [{"from": [{"podSelector": {}}]}]}),
    );
    own["metadata"]["name"] = json!("allow-egress");
    let shielded = cluster(false, &[own]);
    let bare = cluster(false, &[]);
    let core = [
        "helm-controller",
        "kustomize-controller",
        "notification-controller",
        "source-controller",
    ];
    let others = json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": core}]});
    let mut spared = deny_all();
    spared["podSelector"] = others;
    let mut scanner = deny_all();
    scanner["podSelector"] = json!({"matchLabels": {"app": "scanner"}});
    let limited = json!({"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}]});
    let cases = [
        ("beside Flux's own", HOME, deny_all(), &shielded),
        ("in another namespace", "apps", deny_all(), &bare),
        ("but for Flux, as the remedy says", HOME, spared, &bare),
        ("of an application", HOME, scanner, &bare),
        ("that allows some addresses", HOME, limited, &bare),
    ];
    for (told, namespace, spec, facts) in cases {
        let review = restricted(Value::Null, policy(namespace, &spec));
        assert_eq!(found(&review, facts), [""; 0], "{told}");
    }
    let mut same = policy(HOME, &deny_all());
    same["metadata"]["labels"] = json!({"a": "b"});
    let review = restricted(policy(HOME, &deny_all()), same);
    assert_eq!(found(&review, &bare), [""; 0], "as it was");
}

#[test]
fn flux_may_lose_its_policies_which_only_warns() {
    let facts = cluster(true, &[]);
    let mut own = policy(HOME, &json!({"podSelector": {}}));
    own["metadata"]["name"] = json!("allow-egress");
    let deleted = Review {
        operation: "DELETE",
        object: Value::Null,
        ..restricted(own, Value::Null)
    };
    let verdict = deleted.answer(&facts).verdict;
    let told: Vec<_> = verdict
        .findings
        .iter()
        .map(|one| (one.outcome().name(), one.rule))
        .collect();
    assert_eq!(told, [("warned", "engine-deleted")]);
}

/// The type and the status of a condition.
type Condition = (&'static str, &'static str);

/// The review of a CRD's status, with these conditions before and after.
fn conditions(crd: &str, was: &[Condition], now: &[Condition]) -> Review<'static> {
    let flux = Flux::release("2.4.0");
    let mut live = flux
        .definitions()
        .into_iter()
        .find(|one| one["metadata"]["name"] == crd)
        .unwrap_or_else(|| {
            let mut stranger = fluxkeep_fixtures::definition(&[("v1", true, true)], &["v1"]);
            stranger["metadata"]["name"] = json!(crd);
            stranger
        });
    live["status"]["storedVersions"] = json!(["v1"]);
    let with = |conditions: &[Condition]| {
        let one =
            |(kind, status): &Condition| json!({"type": kind, "status": status, "reason": "A"});
        let mut object = live.clone();
        object["status"]["conditions"] = conditions.iter().map(one).collect();
        object
    };
    Review {
        kind: "apiextensions.k8s.io/v1/CustomResourceDefinition",
        resource: "customresourcedefinitions",
        sub_resource: "status",
        operation: "UPDATE",
        user: "jane",
        object: with(now),
        old: with(was),
        ..Review::default()
    }
}

const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";
const SERVED: [Condition; 2] = [("NamesAccepted", "True"), ("Established", "True")];

#[test]
fn a_status_by_which_a_definition_of_flux_is_not_served_is_refused() {
    let facts = cluster(true, &[]);
    let unserved = |condition: &str| {
        format!(
            "refused engine-disabled /status/conditions: condition {condition} would be no longer True: Flux's \
             controllers get 404 for every object of the kind and stop"
        )
    };
    let cases: [(&[Condition], Vec<String>); 4] = [
        (&[], vec![unserved("Established"), unserved("NamesAccepted")]),
        (&[("NamesAccepted", "True")], vec![unserved("Established")]),
        (
            &[("NamesAccepted", "False"), ("Established", "True")],
            vec![unserved("NamesAccepted")],
        ),
        (
            &[("NamesAccepted", "True"), ("Established", "True"), ("Terminating", "True")],
            vec![
                "refused engine-disabled /status/conditions: condition Terminating would be True: the apiserver \
                 refuses each new object of the kind"
                    .to_owned(),
            ],
        ),
    ];
    for (now, expected) in cases {
        assert_eq!(
            found(&conditions(BUCKETS, &SERVED, now), &facts),
            expected,
            "{now:?}"
        );
    }
    let optional = conditions("imagepolicies.image.toolkit.fluxcd.io", &SERVED, &[]);
    let told = found(&optional, &facts);
    assert!(
        told.len() == 2 && told.iter().all(|one| one.starts_with("warned")),
        "{told:?}"
    );
}

#[test]
fn the_apiserver_writes_every_condition_and_others_may_write_what_hides_nothing() {
    let facts = cluster(true, &[]);
    let own = Review {
        user: "system:apiserver",
        ..conditions(BUCKETS, &SERVED, &[("Terminating", "True")])
    };
    let more = [
        ("NonStructuralSchema", "True"),
        ("NamesAccepted", "True"),
        ("Established", "True"),
    ];
    for review in [
        own,
        conditions(BUCKETS, &SERVED, &more),
        conditions(BUCKETS, &[], &SERVED),
        conditions(BUCKETS, &[], &[]),
        conditions("things.example.org", &SERVED, &[]),
    ] {
        assert_eq!(
            found(&review, &facts),
            [""; 0],
            "{:?}",
            review.object["status"]
        );
    }
}

fn role(name: &str, groups: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}]})
}

fn deleted(role: Value) -> Review<'static> {
    Review {
        kind: "rbac.authorization.k8s.io/v1/ClusterRole",
        resource: "clusterroles",
        operation: "DELETE",
        user: "jane",
        old: role,
        ..Review::default()
    }
}

/// Flux's binding to another role than `cluster-admin`, as the community's chart allows.
fn bound_to(role: &str) -> Value {
    let subject = |name| json!({"kind": "ServiceAccount", "namespace": HOME, "name": name});
    let subjects = ["kustomize-controller", "helm-controller"].map(subject);
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "cluster-reconciler"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": subjects})
}

#[test]
fn a_role_that_fluxs_binding_refers_to_is_neither_deleted_nor_emptied() {
    let admin = || role("cluster-admin", &["*"]);
    let platform = || role("platform", &["*"]);
    let by_name = cluster(true, &[admin()]);
    let renamed = cluster(true, &[admin(), platform(), bound_to("platform")]);
    for (role, facts) in [(admin(), &by_name), (platform(), &renamed)] {
        assert_eq!(
            found(&deleted(role.clone()), facts),
            [
                "refused engine-rights-lost : deleting it takes away what flux-system/helm-controller, \
              flux-system/kustomize-controller needs: every resource (*)"
            ]
        );
        let mut emptied = role.clone();
        emptied["rules"] = json!([]);
        let update = Review {
            operation: "UPDATE",
            object: emptied,
            ..deleted(role)
        };
        let told = found(&update, facts);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("refused engine-rights-lost /rules: "),
            "{told:?}"
        );
    }
    // Nothing of Flux refers to these.
    assert_eq!(found(&deleted(admin()), &renamed), [""; 0]);
    let stranger = role("operator", &["*"]);
    let facts = cluster(true, std::slice::from_ref(&stranger));
    assert_eq!(found(&deleted(stranger), &facts), [""; 0]);
}

#[test]
fn a_role_of_the_engine_itself_is_one_finding() {
    let facts = cluster(true, &[]);
    let told = found(
        &deleted(role("crd-controller", &["source.toolkit.fluxcd.io"])),
        &facts,
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("refused engine-deleted "), "{told:?}");
}
