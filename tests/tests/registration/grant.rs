//! The right to grant an override, by user, manager and object.

use fluxkeep::case::policy::Policy;
use fluxkeep_tests::Review;
use fluxkeep_tests::apiserver::namespace;
use serde_json::{Value, json};

use crate::apiserver;

/// A write that replaces `old` annotations by `new`; `about` is kind, resource, name, namespace.
struct Write {
    about: [&'static str; 4],
    old: Value,
    new: Value,
    user: &'static str,
    manager: &'static str,
}

const HOME: [&str; 4] = ["/v1/Namespace", "namespaces", "flux-system", ""];
const CONTROLLER: [&str; 4] = [
    "apps/v1/Deployment",
    "deployments",
    "source-controller",
    "flux-system",
];
const DEFINITION: [&str; 4] = [
    "apiextensions.k8s.io/v1/CustomResourceDefinition",
    "customresourcedefinitions",
    "things.example.org",
    "",
];
const RELEASE: [&str; 4] = [
    "helm.toolkit.fluxcd.io/v2/HelmRelease",
    "helmreleases",
    "flux",
    "apps",
];
const INSTANCE: [&str; 4] = [
    "fluxcd.controlplane.io/v1/FluxInstance",
    "fluxinstances",
    "flux",
    "flux-system",
];
const KUSTOMIZATION: [&str; 4] = [
    "kustomize.toolkit.fluxcd.io/v1/Kustomization",
    "kustomizations",
    "flux-system",
    "flux-system",
];
const STRANGER: [&str; 4] = ["apps/v1/Deployment", "deployments", "shop", "shop"];

fn granted() -> Value {
    json!({"fluxkeep.io/allow": "engine-deleted", "fluxkeep.io/reason": "x", "fluxkeep.io/until": "2026-12-01T00:00:00Z"})
}

fn write(about: [&'static str; 4], old: Value, new: Value) -> Write {
    let (user, manager) = ("jane", "kubectl-annotate");
    Write {
        about,
        old,
        new,
        user,
        manager,
    }
}

/// True for each refusal: once with the right to grant overrides, once without.
fn refused(write: &Write) -> [bool; 2] {
    let [kind, resource, name, space] = write.about;
    let object = |annotations: &Value| {
        let mut metadata = json!({"name": name, "annotations": annotations});
        if !space.is_empty() {
            metadata["namespace"] = json!(space);
        }
        json!({"metadata": metadata})
    };
    let review = Review {
        kind,
        resource,
        operation: if write.old.is_null() {
            "CREATE"
        } else {
            "UPDATE"
        },
        user: write.user,
        field_manager: write.manager,
        object: object(&write.new),
        old: if write.old.is_null() {
            Value::Null
        } else {
            object(&write.old)
        },
        ..Review::default()
    };
    let home = namespace("flux-system", &json!({}));
    let (may, may_not) = (
        apiserver(&Policy::default()),
        apiserver(&Policy::default()).forbidding(),
    );
    [may, may_not].map(|apiserver| !apiserver.refuses(&review.bytes(), &home).is_empty())
}

#[test]
fn whoever_may_grant_overrides_does_and_nobody_else() {
    for about in [
        HOME,
        CONTROLLER,
        DEFINITION,
        RELEASE,
        INSTANCE,
        KUSTOMIZATION,
    ] {
        assert_eq!(
            refused(&write(about, json!({}), granted())),
            [false, true],
            "{about:?}"
        );
        assert_eq!(
            refused(&write(about, Value::Null, granted())),
            [false, true],
            "{about:?}, created"
        );
    }
    let mut longer = granted();
    longer["fluxkeep.io/until"] = json!("2026-12-20T00:00:00Z");
    assert_eq!(
        refused(&write(HOME, granted(), longer)),
        [false, true],
        "a later end"
    );
}

#[test]
fn what_grants_nothing_is_free() {
    let none = [false, false];
    assert_eq!(
        refused(&write(STRANGER, json!({}), granted())),
        none,
        "no override counts there"
    );
    for about in [
        HOME,
        CONTROLLER,
        DEFINITION,
        RELEASE,
        INSTANCE,
        KUSTOMIZATION,
    ] {
        assert_eq!(
            refused(&write(about, granted(), json!({}))),
            none,
            "{about:?}: taken off"
        );
        assert_eq!(
            refused(&write(about, granted(), granted())),
            none,
            "{about:?}: as it was"
        );
        let mut noted = granted();
        noted["example.org/note"] = json!("y");
        assert_eq!(
            refused(&write(about, granted(), noted)),
            none,
            "{about:?}: another one"
        );
    }
    let ended = json!({"fluxkeep.io/allow": "engine-deleted"});
    assert_eq!(
        refused(&write(HOME, granted(), ended)),
        none,
        "reason and end taken off"
    );
}

/// helm-controller and kustomize-controller have all rights, but write for others.
#[test]
fn a_chart_grants_nothing_and_a_repository_only_what_stands_on_a_helm_release_or_a_strangers_definition()
 {
    let by = |about, user, manager| {
        refused(&Write {
            user,
            manager,
            ..write(about, json!({}), granted())
        })[0]
    };
    let (helm, kustomize) = (
        "system:serviceaccount:flux-system:helm-controller",
        "system:serviceaccount:flux-system:kustomize-controller",
    );
    for about in [HOME, CONTROLLER, INSTANCE, KUSTOMIZATION] {
        assert!(
            by(about, helm, "") && by(about, "jane", "helm"),
            "{about:?}"
        );
        assert!(
            by(about, kustomize, "") && by(about, "tenant", "kustomize-controller"),
            "{about:?}"
        );
    }
    assert!(by(RELEASE, helm, "") && by(RELEASE, "tenant", "helm-controller"));
    assert!(
        !by(RELEASE, kustomize, "kustomize-controller"),
        "written in Git"
    );
    assert!(
        !by(DEFINITION, kustomize, "kustomize-controller")
            && !by(DEFINITION, helm, "helm-controller")
    );
}
