//! The tenant with his namespace, rights and flood.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fluxkeep_tests::control_plane::{Cluster, ControlPlane};
use futures::future::join_all;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::sends::sends;

/// The tenant's namespace and the name of his account.
pub(crate) const NAMESPACE: &str = "tenant";

/// Concurrent requests.
const AT_ONCE: usize = 200;
/// The flood's duration: long enough for queues to fill and memory to grow.
const LASTS: Duration = Duration::from_mins(1);

/// A client with the tenant's account.
pub(crate) struct Tenant {
    /// The cluster, as he is let into it.
    pub(crate) cluster: Cluster,
}

impl Tenant {
    /// Creates the namespace and an account with all rights in that namespace only.
    pub(crate) async fn settle(plane: &ControlPlane, cluster: &Cluster) -> Self {
        cluster.namespace(NAMESPACE).await;
        cluster.apply_all(&rights()).await;
        let may = json!({"group": "", "resource": "configmaps", "verb": "create", "namespace": NAMESPACE});
        cluster.until_allowed(NAMESPACE, &may, true).await;
        let kubeconfig = plane.account(cluster, NAMESPACE, NAMESPACE).await;
        let cluster = plane.cluster_as("tenant", &kubeconfig).await;
        Self { cluster }
    }

    /// Sends requests during the flood's duration and returns their number.
    pub(crate) async fn floods(&self) -> usize {
        let (sent, end) = (AtomicUsize::new(0), Instant::now() + LASTS);
        let sender = async || {
            while Instant::now() < end {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                send(&self.cluster, number).await;
            }
        };
        join_all((0..AT_ONCE).map(|_| sender())).await;
        sent.load(Ordering::Relaxed)
    }
}

/// Sends one request. Every other request is a dry run, which stores nothing but costs the server
/// as much. The answer does not matter here.
async fn send(cluster: &Cluster, number: usize) {
    let sends = sends();
    let mut object = sends[number % sends.len()].clone();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    object["metadata"]["name"] = json!(name.replace("NUMBER", &number.to_string()));
    let parameters = PostParams {
        dry_run: number.is_multiple_of(2),
        ..PostParams::default()
    };
    let written: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let _ = cluster
        .api(&object)
        .await
        .create(&parameters, &written)
        .await;
}

fn rights() -> [Value; 3] {
    let metadata = json!({"name": NAMESPACE, "namespace": NAMESPACE});
    let group = "rbac.authorization.k8s.io";
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata, "rules": everything}),
        json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": NAMESPACE},
            "subjects": [{"kind": "ServiceAccount", "name": NAMESPACE, "namespace": NAMESPACE}]}),
    ]
}
