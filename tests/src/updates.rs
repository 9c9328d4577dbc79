//! Updates of the engine's Deployments, their scale and its Services, and quotas beside them, with
//! their outcomes. The list serves tests of the judge and of the gates.

#![allow(clippy::indexing_slicing)]

use serde_json::{Value, json};

use crate::Review;

/// An update of an object, and its outcome.
#[derive(Debug, Clone)]
pub struct Update {
    /// The user's action, for the message of a failed test.
    pub told: &'static str,
    /// The live object; null for a new one.
    pub old: Value,
    /// The written object.
    pub new: Value,
    /// The writing user.
    pub user: &'static str,
    /// The client's field manager.
    pub field_manager: &'static str,
    /// The judge's decision: `refuse`, `warn`, or `allow` without a warning.
    pub outcome: &'static str,
}

const JANE: &str = "jane";
const KUSTOMIZE: &str = "system:serviceaccount:flux-system:kustomize-controller";
const AUTOSCALER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
const HELM: &str = "system:serviceaccount:flux-system:helm-controller";

/// All updates. Flux 2.4.0 runs.
#[must_use]
pub fn updates() -> Vec<Update> {
    [refused(), warned(), silent(), roomy(), strangers()].concat()
}

fn refused() -> Vec<Update> {
    vec![
        changed("an older image that the catalogue lacks", "refuse", |pod| {
            pod["containers"][0]["image"] = image("v0.36.1");
        }),
        changed("its container gone", "refuse", |pod| {
            pod["containers"] = json!([{"name": "sidecar", "image": "nginx:1.27"}]);
        }),
    ]
}

fn warned() -> Vec<Update> {
    let spec =
        |told, change: fn(&mut Value)| edited(told, "warn", |object| change(&mut object["spec"]));
    vec![
        spec("scaled to zero", |spec| spec["replicas"] = json!(0)),
        spec("paused", |spec| spec["paused"] = json!(true)),
        changed("an image of no version", "warn", |pod| {
            pod["containers"][0]["image"] = image("latest");
        }),
        changed("another image", "warn", |pod| {
            pod["containers"][0]["image"] = json!("nginx:1.27");
        }),
        changed("another account", "warn", |pod| {
            pod["serviceAccountName"] = json!("default");
        }),
        changed("nodes that may not be there", "warn", |pod| {
            pod["nodeSelector"] = json!({"disk": "fast"});
        }),
        scaled("kubectl scale --replicas=0", "warn", JANE, (1, 0)),
        selected("another selector", "warn", "source-controller", "other"),
        service("no selector", "warn", |spec| spec["selector"] = Value::Null),
        service("a Service that is an alias", "warn", |spec| {
            spec["type"] = json!("ExternalName");
            spec["externalName"] = json!("example.org");
        }),
        quota(
            "a quota that falls to no pods",
            "warn",
            &pods("10"),
            &pods("0"),
        ),
        quota("a new quota of no pods", "warn", &Value::Null, &pods("0")),
        quota(
            "a new quota of no memory",
            "warn",
            &Value::Null,
            &json!({"hard": {"limits.memory": "0"}}),
        ),
        created(
            "limits that no container meets",
            "warn",
            "LimitRange",
            &json!({"limits": [{"type": "Container", "max": {"cpu": "0"}}]}),
        ),
    ]
}

fn silent() -> Vec<Update> {
    let quiet = |told, change: fn(&mut Value)| changed(told, "allow", change);
    let spec =
        |told, change: fn(&mut Value)| edited(told, "allow", |object| change(&mut object["spec"]));
    let newer = quiet("a newer image", |pod| {
        pod["containers"][0]["image"] = image("v1.5.0");
    });
    vec![
        edited("kubectl rollout restart", "allow", |object| {
            object["spec"]["template"]["metadata"]["annotations"] =
                json!({"kubectl.kubernetes.io/restartedAt": "2026-11-24T12:00:00Z"});
        }),
        quiet("limits", |pod| {
            pod["containers"][0]["resources"] = json!({"limits": {"memory": "2Gi"}});
        }),
        quiet("arguments and an environment", |pod| {
            pod["containers"][0]["args"] = json!(["--concurrent=20"]);
            pod["containers"][0]["env"] = json!([{"name": "HTTPS_PROXY", "value": "http://proxy"}]);
        }),
        quiet("a sidecar", |pod| {
            let sidecar = json!({"name": "proxy", "image": "envoy:1.31.0"});
            pod["containers"]
                .as_array_mut()
                .expect("containers")
                .push(sidecar);
        }),
        quiet("a digest beside the tag", |pod| {
            pod["containers"][0]["image"] = image("v1.4.1@sha256:0123");
        }),
        quiet("a mirror of the same version", |pod| {
            pod["containers"][0]["image"] =
                json!("mirror.example.org:5000/fluxcd/source-controller:v1.4.1");
        }),
        quiet("nodes of an operating system", |pod| {
            pod["nodeSelector"] = json!({"kubernetes.io/os": "linux"});
        }),
        spec("two of them", |spec| spec["replicas"] = json!(2)),
        spec("no number of replicas", |spec| {
            spec.as_object_mut().expect("a spec").remove("replicas");
        }),
        Update {
            user: KUSTOMIZE,
            field_manager: "kustomize-controller",
            told: "bootstrap's upgrade",
            ..newer.clone()
        },
        newer,
        scaled("an autoscaler", "allow", AUTOSCALER, (1, 3)),
        scaled("fewer of them", "allow", JANE, (3, 1)),
        scaled("started again", "allow", JANE, (0, 1)),
        selected(
            "the same selector",
            "allow",
            "source-controller",
            "source-controller",
        ),
    ]
}

/// Quotas and limits that leave room for Flux.
fn roomy() -> Vec<Update> {
    vec![
        quota("a smaller quota", "allow", &pods("10"), &pods("7")),
        quota("a new quota", "allow", &Value::Null, &pods("10")),
        quota(
            "a quota of no pods as it was",
            "allow",
            &pods("0"),
            &pods("0"),
        ),
        quota(
            "a quota of no load balancers",
            "allow",
            &Value::Null,
            &json!({"hard": {"services.loadbalancers": "0"}}),
        ),
        quota(
            "a quota of other pods",
            "allow",
            &Value::Null,
            &json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]}),
        ),
        created(
            "ordinary limits",
            "allow",
            "LimitRange",
            &json!({"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "0"}}]}),
        ),
    ]
}

/// Updates by Helm, of optional controllers, and of strangers' objects.
fn strangers() -> Vec<Update> {
    let stopped = || edited("", "allow", |object| object["spec"]["replicas"] = json!(0));
    let renamed = |told, name: &str, namespace: &str| {
        let mut update = stopped();
        update.told = told;
        for object in [&mut update.old, &mut update.new] {
            object["metadata"]["name"] = json!(name);
            object["metadata"]["namespace"] = json!(namespace);
        }
        update
    };
    let older = changed("Helm's older image", "allow", |pod| {
        pod["containers"][0]["image"] = image("v1.3.0");
    });
    vec![
        Update {
            field_manager: "helm",
            ..older.clone()
        },
        Update {
            user: HELM,
            field_manager: "",
            ..older
        },
        renamed(
            "an optional controller",
            "image-reflector-controller",
            "flux-system",
        ),
        renamed("an application beside Flux", "podinfo", "flux-system"),
        renamed("a stranger of the same name", "source-controller", "apps"),
        selected("an application's Service", "allow", "podinfo", "other"),
        {
            let mut elsewhere = quota("a stranger's quota", "allow", &Value::Null, &pods("0"));
            elsewhere.new["metadata"]["namespace"] = json!("apps");
            elsewhere
        },
    ]
}

/// An image of source-controller.
fn image(tag: &str) -> Value {
    json!(format!("ghcr.io/fluxcd/source-controller:{tag}"))
}

fn deployment() -> Value {
    let labels = json!({"app": "source-controller"});
    let container =
        json!({"name": "manager", "image": image("v1.4.1"), "args": ["--log-level=info"]});
    let pod = json!({"serviceAccountName": "source-controller", "containers": [container]});
    let metadata = json!({"name": "source-controller", "namespace": "flux-system",
        "labels": {"app.kubernetes.io/part-of": "flux"}});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}}})
}

fn update(told: &'static str, outcome: &'static str, old: Value, new: Value) -> Update {
    Update {
        told,
        old,
        new,
        user: JANE,
        field_manager: "kubectl",
        outcome,
    }
}

fn edited(told: &'static str, outcome: &'static str, change: impl Fn(&mut Value)) -> Update {
    let mut new = deployment();
    change(&mut new);
    update(told, outcome, deployment(), new)
}

/// An update of the pod template's spec.
fn changed(told: &'static str, outcome: &'static str, change: impl Fn(&mut Value)) -> Update {
    edited(told, outcome, |object| {
        change(&mut object["spec"]["template"]["spec"]);
    })
}

fn scaled(
    told: &'static str,
    outcome: &'static str,
    user: &'static str,
    (from, to): (u8, u8),
) -> Update {
    // The apiserver omits the replicas of a Scale if they are 0.
    let scale = |replicas: u8| {
        let spec = if replicas == 0 {
            json!({})
        } else {
            json!({"replicas": replicas})
        };
        let metadata = json!({"name": "source-controller", "namespace": "flux-system"});
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": spec})
    };
    Update {
        user,
        ..update(told, outcome, scale(from), scale(to))
    }
}

/// An update of source-controller's Service.
fn service(told: &'static str, outcome: &'static str, change: impl Fn(&mut Value)) -> Update {
    let same = "source-controller";
    let mut update = selected(told, outcome, same, same);
    change(&mut update.new["spec"]);
    update
}

/// The spec of a quota with this many pods.
fn pods(count: &str) -> Value {
    json!({"hard": {"pods": count}})
}

/// A quota in the engine's namespace with these specs; it is new if the old spec is null.
fn quota(told: &'static str, outcome: &'static str, old: &Value, new: &Value) -> Update {
    let mut update = created(told, outcome, "ResourceQuota", new);
    if !old.is_null() {
        update.old = update.new.clone();
        update.old["spec"] = old.clone();
    }
    update
}

/// A new object in the engine's namespace.
fn created(told: &'static str, outcome: &'static str, kind: &str, spec: &Value) -> Update {
    let metadata = json!({"name": "limits", "namespace": "flux-system"});
    let new = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec});
    update(told, outcome, Value::Null, new)
}

fn selected(told: &'static str, outcome: &'static str, name: &str, to: &str) -> Update {
    let service = |app: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "flux-system"},
            "spec": {"selector": {"app": app}, "ports": [{"port": 80}]}})
    };
    update(told, outcome, service(name), service(to))
}

impl Update {
    /// The review of this update.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let (kind, resource, sub_resource) = match self.new["kind"].as_str() {
            Some("Scale") => ("autoscaling/v1/Scale", "deployments", "scale"),
            Some("Service") => ("/v1/Service", "services", ""),
            Some("ResourceQuota") => ("/v1/ResourceQuota", "resourcequotas", ""),
            Some("LimitRange") => ("/v1/LimitRange", "limitranges", ""),
            _ => ("apps/v1/Deployment", "deployments", ""),
        };
        let review = Review {
            kind,
            resource,
            sub_resource,
            operation: if self.old.is_null() {
                "CREATE"
            } else {
                "UPDATE"
            },
            user: self.user,
            field_manager: self.field_manager,
            object: self.new.clone(),
            old: self.old.clone(),
        };
        review.bytes()
    }
}
