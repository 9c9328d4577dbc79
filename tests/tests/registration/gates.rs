//! The webhook that each review is sent to, if any.

use fluxkeep::case::policy::Policy;
use fluxkeep::helm::release::HelmRelease;
use fluxkeep_tests::apiserver::Apiserver;
use fluxkeep_tests::updates::updates;
use fluxkeep_tests::{Review, definition, record, redefined, stored};
use fluxkeep_webhook::registration::KnownReleases;
use serde_json::{Value, json};

use crate::{apiserver, apiserver_knowing};

/// Asserts that each review is sent to this webhook, or to none.
fn are_sent_to(cases: &[(&str, Review<'_>, &str)]) {
    let apiserver = apiserver(&Policy::default());
    for (told, review, webhook) in cases {
        let asked = apiserver.asks(&review.bytes());
        let expected = Some(format!("{webhook}.fluxkeep.io")).filter(|_| !webhook.is_empty());
        assert_eq!(asked, expected.into_iter().collect::<Vec<_>>(), "{told}");
    }
}

fn crd(name: &str, was: &[(&str, bool, bool)], is: &[(&str, bool, bool)]) -> Review<'static> {
    let named = |versions| {
        let mut object = definition(versions, &["v1"]);
        object["metadata"]["name"] = json!(name);
        object
    };
    redefined(named(was), named(is))
}

const ONE: [(&str, bool, bool); 1] = [("v1", true, true)];
const TWO: [(&str, bool, bool); 2] = [("v1", true, true), ("v2", true, false)];
const FLUX: &str = "things.toolkit.fluxcd.io";
const THING: &str = "things.example.org";

#[test]
fn a_changed_definition_is_asked_about_and_a_strangers_fails_open() {
    are_sent_to(&[
        ("Flux's", crd(FLUX, &ONE, &TWO), "crd.engine"),
        ("a stranger's", crd(THING, &ONE, &TWO), "crd.others"),
        ("an unchanged one", crd(FLUX, &ONE, &ONE), ""),
        (
            "a new one",
            Review {
                operation: "CREATE",
                old: Value::Null,
                ..crd(FLUX, &ONE, &ONE)
            },
            "",
        ),
    ]);
}

#[test]
fn stored_versions_are_asked_about_when_somebody_else_than_the_apiserver_changes_them() {
    let status = |name: &str, user: &'static str, stored: Value| {
        let mut review = Review {
            sub_resource: "status",
            user,
            ..crd(name, &ONE, &ONE)
        };
        review.object["status"]["storedVersions"] = stored;
        review
    };
    are_sent_to(&[
        ("the same list", status(FLUX, "jane", json!(["v1"])), ""),
        (
            "another list",
            status(FLUX, "jane", json!(["v2"])),
            "crd-status.engine",
        ),
        (
            "a stranger's",
            status(THING, "jane", json!(["v2"])),
            "crd-status.others",
        ),
        (
            "no list",
            status(THING, "jane", Value::Null),
            "crd-status.others",
        ),
        (
            "the apiserver's own write",
            status(FLUX, "system:apiserver", json!(["v2"])),
            "",
        ),
    ]);
}

pub(crate) fn release(name: &str, namespace: &str, spec: &Value) -> Review<'static> {
    let metadata = json!({"name": name, "namespace": namespace});
    let kind = "helm.toolkit.fluxcd.io/v2/HelmRelease";
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata, "spec": spec});
    Review {
        kind,
        resource: "helmreleases",
        object,
        ..Review::default()
    }
}

#[test]
fn releases_into_the_engines_namespaces_fail_closed_wherever_they_are_kept_and_fluxkeeps_own_never_does()
 {
    let beside = |name, spec: Value| release(name, "flux-system", &spec);
    are_sent_to(&[
        (
            "beside the engine",
            beside("a", json!({})),
            "helm-release.engine",
        ),
        (
            "into the engine",
            release("a", "a", &json!({"targetNamespace": "flux-system"})),
            "helm-release.engine",
        ),
        (
            "elsewhere",
            release("a", "a", &json!({"targetNamespace": "b"})),
            "helm-release.others",
        ),
        (
            "kept beside the engine, installed elsewhere",
            beside("cilium", json!({"targetNamespace": "kube-system"})),
            "helm-release.others",
        ),
        (
            "of another cluster",
            beside("a", json!({"kubeConfig": {"secretRef": {"name": "b"}}})),
            "helm-release.others",
        ),
        (
            "fluxkeep's own",
            beside("fluxkeep", json!({})),
            "helm-release.others",
        ),
        (
            "fluxkeep's own by its release",
            beside("a", json!({"releaseName": "fluxkeep"})),
            "helm-release.others",
        ),
        ("suspended", beside("a", json!({"suspend": true})), ""),
    ]);
}

/// True for the HelmRelease, and for the record of its Helm release, if they fail open.
fn fail_open(releases: &[&str], name: &str, target: &str) -> [bool; 2] {
    let mut registration = crate::registration();
    registration.releases = releases.iter().map(|&name| name.to_owned()).collect();
    let mut policy = Policy::default();
    policy.engine.namespaces.push(target.to_owned());
    let apiserver = Apiserver::with(registration.manifests(&policy, &KnownReleases::default()));
    let spec = json!({"targetNamespace": target});
    let made = HelmRelease::new(Some(spec.clone())).release("flux-system", name);
    let mut secret = record("", &[]);
    secret["metadata"]["name"] = json!(format!("sh.helm.release.v1.{}.v3", made.unwrap().name));
    let reviews = [release(name, "flux-system", &spec), stored(secret)];
    reviews.map(|review| {
        apiserver
            .asks(&review.bytes())
            .iter()
            .all(|name| name.contains(".others."))
    })
}

#[test]
fn a_release_that_fluxkeep_needs_is_known_by_the_name_that_helm_controller_makes_up_too() {
    let long = "a".repeat(40);
    let shortened = HelmRelease::new(Some(json!({"targetNamespace": long})))
        .release("flux-system", "fluxkeep-of-the-cluster")
        .unwrap()
        .name;
    assert_eq!(
        fail_open(&["fluxkeep"], "fluxkeep", "flux-system"),
        [true, false],
        "by its name alone"
    );
    let both = ["fluxkeep", "flux-system-guard"];
    assert_eq!(fail_open(&both, "guard", "flux-system"), [true, true]);
    assert_eq!(
        fail_open(&["flux-system-guard"], "other", "flux-system"),
        [false, false]
    );
    let whole = format!("{long}-fluxkeep-of-the-cluster");
    for given in [whole.as_str(), &shortened] {
        assert_eq!(
            fail_open(&[given], "fluxkeep-of-the-cluster", &long),
            [true, true],
            "{given}"
        );
        assert_eq!(
            fail_open(&[given], "another", "flux-system"),
            [false, false],
            "{given}"
        );
    }
}

#[test]
fn a_release_is_asked_about_when_its_spec_changes_and_when_it_is_deleted() {
    let changed = |is: &Value, was: &Value| {
        let review = release("a", "flux-system", is);
        let old = release("a", "flux-system", was).object;
        Review {
            operation: "UPDATE",
            old,
            ..review
        }
    };
    let deleted = |review: Review<'static>| Review {
        operation: "DELETE",
        old: review.object,
        object: Value::Null,
        ..review
    };
    are_sent_to(&[
        (
            "another spec",
            changed(&json!({"interval": "1h"}), &json!({"interval": "2h"})),
            "helm-release.engine",
        ),
        (
            "sent away from the engine",
            changed(&json!({"targetNamespace": "b"}), &json!({})),
            "helm-release.engine",
        ),
        (
            "the same spec",
            changed(&json!({"interval": "1h"}), &json!({"interval": "1h"})),
            "",
        ),
        (
            "deleted",
            deleted(release("a", "flux-system", &json!({}))),
            "engine-deleted.engine",
        ),
        (
            "deleted elsewhere",
            deleted(release("a", "a", &json!({}))),
            "engine-deleted.others",
        ),
        (
            "deleted while suspended",
            deleted(release("a", "flux-system", &json!({"suspend": true}))),
            "",
        ),
    ]);
}

#[test]
fn of_secrets_only_release_records_are_asked_about() {
    let named = |name: &str, namespace: &str| {
        let mut secret = record("", &[]);
        secret["metadata"]["name"] = json!(name);
        secret["metadata"]["namespace"] = json!(namespace);
        stored(secret)
    };
    let unnamed = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "a-", "namespace": "a"}});
    are_sent_to(&[
        (
            "beside the engine",
            named("sh.helm.release.v1.flux.v1", "flux-system"),
            "release-record.engine",
        ),
        (
            "elsewhere",
            named("sh.helm.release.v1.shop.v1", "shop"),
            "release-record.others",
        ),
        (
            "fluxkeep's own",
            named("sh.helm.release.v1.fluxkeep.v12", "flux-system"),
            "release-record.others",
        ),
        ("no record", named("token", "flux-system"), ""),
        ("without a name", stored(unnamed), ""),
        (
            "updated",
            Review {
                operation: "UPDATE",
                ..named("sh.helm.release.v1.flux.v1", "flux-system")
            },
            "",
        ),
    ]);
}

#[test]
fn suspending_a_release_asks_nobody_unless_it_becomes_another_one_on_the_way() {
    let apiserver = apiserver(&Policy::default());
    let release = |more: &Value| {
        let chart = json!({"spec": {"chart": "flux2", "version": "2.13.0"}});
        let mut spec = json!({"chart": chart, "targetNamespace": "flux-system"});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec})
    };
    let asked = |old: Value, new: &Value| {
        let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
        let kind = "helm.toolkit.fluxcd.io/v2/HelmRelease";
        let review = Review {
            kind,
            resource: "helmreleases",
            operation,
            object: release(new),
            old,
            ..Review::default()
        };
        apiserver.asks(&review.bytes()).len()
    };
    let old = || release(&json!({}));
    assert_eq!(asked(Value::Null, &json!({"suspend": true})), 0);
    assert_eq!(asked(old(), &json!({"suspend": true})), 0);
    assert_eq!(
        asked(
            old(),
            &json!({"suspend": true, "chart": {"spec": {"chart": "flux2", "version": "2.14.1"}}})
        ),
        0
    );
    for other in [
        json!({"suspend": true, "releaseName": "other"}),
        json!({"suspend": true, "targetNamespace": "other"}),
        json!({"suspend": true, "storageNamespace": "other"}),
        json!({"suspend": true, "chart": {"spec": {"chart": "other"}}}),
        json!({"suspend": true, "chart": null, "chartRef": {"kind": "OCIRepository", "name": "other"}}),
    ] {
        assert_eq!(asked(old(), &other), 1, "{other}");
    }
    assert_eq!(
        asked(release(&json!({"suspend": true})), &json!({})),
        1,
        "resuming is judged"
    );
}

/// Changes that cannot stop a controller.
const UNASKED: [&str; 12] = [
    "kubectl rollout restart",
    "limits",
    "arguments and an environment",
    "two of them",
    "no number of replicas",
    "an autoscaler",
    "fewer of them",
    "started again",
    "the same selector",
    "Helm's older image",
    "an application beside Flux",
    "a stranger of the same name",
];

#[test]
fn ordinary_work_on_a_controller_asks_nobody_and_only_what_may_be_refused_fails_closed() {
    let apiserver = apiserver(&Policy::default());
    for update in updates() {
        let asked = apiserver.asks(&update.body());
        let expected: &[&str] = match update.outcome {
            "refuse" => &["engine-disabled.engine.fluxkeep.io"],
            "warn" => &["engine-disabled.others.fluxkeep.io"],
            _ if UNASKED.contains(&update.told) || asked.is_empty() => &[],
            // Upgrades must not wait for fluxkeep.
            _ => &["engine-disabled.others.fluxkeep.io"],
        };
        assert_eq!(asked, expected, "{}", update.told);
    }
}

const BINDING: &str = "rbac.authorization.k8s.io/v1/ClusterRoleBinding";

// Each caller builds the value for this call.
#[allow(clippy::needless_pass_by_value)]
fn rbac(kind: &str, name: &str, key: &str, value: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, key: value})
}

/// A binding of helm-controllers in these namespaces.
fn binding(name: &str, namespaces: &[&str]) -> Value {
    let account = |namespace: &&str| json!({"kind": "ServiceAccount", "namespace": namespace, "name": "helm-controller"});
    let subjects: Vec<_> = namespaces.iter().map(account).collect();
    rbac("ClusterRoleBinding", name, "subjects", json!(subjects))
}

fn rebound(field_manager: &'static str, old: Value, new: Value) -> Review<'static> {
    Review {
        kind: BINDING,
        resource: "clusterrolebindings",
        operation: "UPDATE",
        user: "jane",
        field_manager,
        object: new,
        old,
        ..Review::default()
    }
}

#[test]
fn a_binding_is_asked_about_when_the_engine_loses_rights_by_it() {
    let engines = |namespaces: &[&str]| binding("cluster-reconciler", namespaces);
    let was = || engines(&["flux-system"]);
    let null = rbac(
        "ClusterRoleBinding",
        "cluster-reconciler",
        "subjects",
        Value::Null,
    );
    let engine = "engine-rights-lost.engine";
    let by_hand = |old, new| rebound("kubectl", old, new);
    let by_helm = rebound("helm", was(), engines(&["flux"]));
    let strangers = by_hand(binding("a", &["flux-system"]), binding("a", &[]));
    let both = || engines(&["flux", "flux-system"]);
    let of_group = |name: &str| {
        let group =
            json!([{"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]);
        rbac(
            "ClusterRoleBinding",
            "cluster-reconciler",
            "subjects",
            group,
        )
    };
    let own = || of_group("system:serviceaccounts:flux-system");
    let of_user = |name: &str| {
        let user = json!([{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}]);
        rbac("ClusterRoleBinding", "cluster-reconciler", "subjects", user)
    };
    let user = || of_user("system:serviceaccount:flux-system:helm-controller");
    are_sent_to(&[
        ("a group gone", by_hand(own(), was()), engine),
        ("a group that stays", by_hand(own(), own()), ""),
        (
            "a stranger's group",
            by_hand(of_group("developers"), was()),
            "",
        ),
        (
            "an account's user gone",
            by_hand(user(), of_user("jane")),
            engine,
        ),
        ("a user spelled as account", by_hand(user(), was()), ""),
        ("an account spelled as user", by_hand(was(), user()), ""),
        ("a stranger's user", by_hand(of_user("jane"), was()), ""),
        ("rewritten", by_hand(was(), engines(&["flux"])), engine),
        ("emptied", by_hand(was(), null), engine),
        ("by Helm", by_helm, "engine-rights-lost.others"),
        ("added", by_hand(was(), both()), ""),
        ("a stranger's account", by_hand(both(), was()), ""),
        ("a stranger's binding", strangers, ""),
    ]);
}

/// A rule of a role.
fn granting(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

#[test]
fn a_role_is_asked_about_when_it_grants_less_of_what_flux_needs() {
    let role = |name: &str, rules: Value| rbac("ClusterRole", name, "rules", rules);
    let sources = |verbs: &[&str]| granting(&["source.toolkit.fluxcd.io"], &["*"], verbs);
    let events = || granting(&[""], &["events"], &["create", "patch"]);
    let was = |name: &str| role(name, json!([sources(&["*"]), events()]));
    let update = |old: Value, new: Value| Review {
        kind: "rbac.authorization.k8s.io/v1/ClusterRole",
        resource: "clusterroles",
        ..rebound("kubectl", old, new)
    };
    let own = |new: Value| update(was("crd-controller"), role("crd-controller", new));
    let mut aggregated = own(json!([]));
    aggregated.object["aggregationRule"] = json!({"clusterRoleSelectors": []});
    let mut named = sources(&["*"]);
    named["resourceNames"] = json!(["a"]);
    let all = || granting(&["*"], &["*"], &["*"]);
    let admin_was = || role("cluster-admin", json!([all()]));
    let admin = |new: Value| update(admin_was(), role("cluster-admin", new));
    let engine = "engine-rights-lost.engine";
    are_sent_to(&[
        ("emptied", own(Value::Null), engine),
        (
            "read only",
            own(json!([sources(&["get"]), events()])),
            engine,
        ),
        ("of some names", own(json!([named, events()])), engine),
        (
            "without events",
            own(json!([sources(&["*"])])),
            "engine-rights-lost.others",
        ),
        (
            "added",
            own(json!([
                sources(&["*"]),
                events(),
                granting(&["apps"], &["*"], &["get"])
            ])),
            "",
        ),
        (
            "spelled out",
            own(json!([
                sources(&["get", "list", "watch", "patch"]),
                events()
            ])),
            "",
        ),
        ("for everything", own(json!([all()])), ""),
        ("aggregated", aggregated, ""),
        ("cluster-admin emptied", admin(json!([])), engine),
        ("cluster-admin as it was", admin(json!([all()])), ""),
        (
            "a stranger's",
            update(was("other"), role("other", json!([]))),
            "",
        ),
    ]);
}

#[test]
fn of_secrets_only_those_of_fluxs_own_sources_are_sent_when_they_are_deleted() {
    let known = KnownReleases {
        secrets: vec!["flux-system/deploy-key".to_owned()],
        ..KnownReleases::default()
    };
    let apiserver = apiserver_knowing(&Policy::default(), &known);
    let asked = |namespace: &str, name: &str, operation: &'static str| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}});
        let object = if operation == "DELETE" {
            Value::Null
        } else {
            secret.clone()
        };
        let review = Review {
            kind: "/v1/Secret",
            resource: "secrets",
            operation,
            user: "jane",
            object,
            old: secret,
            ..Review::default()
        };
        apiserver.asks(&review.bytes())
    };
    assert_eq!(
        asked("flux-system", "deploy-key", "DELETE"),
        ["engine-source-deleted.others.fluxkeep.io"]
    );
    for (namespace, name, operation) in [
        ("flux-system", "token", "DELETE"),
        ("apps", "deploy-key", "DELETE"),
        ("flux-system", "deploy-key", "UPDATE"),
    ] {
        assert!(asked(namespace, name, operation).is_empty(), "{name}");
    }
}

fn kept(name: &str, namespace: &str) -> Review<'static> {
    let mut secret = record("", &[]);
    secret["metadata"]["name"] = json!(format!("sh.helm.release.v1.{name}.v7"));
    secret["metadata"]["namespace"] = json!(namespace);
    stored(secret)
}

/// One layout keeps all HelmReleases beside Flux, the other keeps Flux's own elsewhere.
#[test]
fn records_fail_closed_by_what_is_known_of_their_releases() {
    let known = KnownReleases {
        elsewhere: vec!["flux-system/sh.helm.release.v1.kube-system-cilium.v".to_owned()],
        engines: vec!["apps/sh.helm.release.v1.flux.v".to_owned()],
        owners: vec!["apps/flux".to_owned()],
        ..KnownReleases::default()
    };
    let apiserver = apiserver_knowing(&Policy::default(), &known);
    let cases = [
        (
            "installed elsewhere",
            kept("kube-system-cilium", "flux-system"),
            "others",
        ),
        (
            "a longer name",
            kept("kube-system-cilium-2", "flux-system"),
            "engine",
        ),
        (
            "the first of a release that nobody knows",
            kept("flux", "flux-system"),
            "engine",
        ),
        (
            "the engine's, kept elsewhere",
            kept("flux", "apps"),
            "engine",
        ),
        ("another one there", kept("shop", "apps"), "others"),
        (
            "of this name, elsewhere",
            kept("kube-system-cilium", "apps"),
            "others",
        ),
    ];
    for (told, review, scope) in cases {
        let asked = apiserver.asks(&review.bytes());
        assert_eq!(
            asked,
            [format!("release-record.{scope}.fluxkeep.io")],
            "{told}"
        );
    }
    let owner = release("flux", "apps", &json!({}));
    assert_eq!(
        apiserver.asks(&owner.bytes()),
        ["helm-release.engine.fluxkeep.io"]
    );
    let other = release("shop", "apps", &json!({}));
    assert_eq!(
        apiserver.asks(&other.bytes()),
        ["helm-release.others.fluxkeep.io"]
    );
}
