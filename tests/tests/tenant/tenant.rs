//! The tenant: his namespace, his rights, and his flood.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fluxkeep_tests::control_plane::{Cluster, ControlPlane};
use futures::future::join_all;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::sends::sends;

/// The tenant's namespace, and the name of his account.
pub(crate) const NAMESPACE: &str = "tenant";

/// Requests in flight at a time.
const AT_ONCE: usize = 200;
/// How long the flood lasts: long enough for queues to fill and for memory to grow.
const LASTS: Duration = Duration::from_mins(1);

/// Speaks as the tenant.
pub(crate) struct Tenant {
    cluster: Cluster,
}

impl Tenant {
    /// Makes the namespace, the account, and its rights: everything, in that namespace alone.
    pub(crate) async fn settle(plane: &ControlPlane, cluster: &Cluster) -> Self {
        cluster.namespace(NAMESPACE).await;
        cluster.apply_all(&rights()).await;
        let may = json!({"group": "", "resource": "configmaps", "verb": "create", "namespace": NAMESPACE});
        cluster.until_allowed(NAMESPACE, &may, true).await;
        let kubeconfig = plane.account(cluster, NAMESPACE, NAMESPACE).await;
        let cluster = plane.cluster_as("tenant", &kubeconfig).await;
        Self { cluster }
    }

    /// Sends for as long as the flood lasts, and returns the number of requests.
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

/// One request; every other one is a dry run, which stores nothing and costs the server as much. What
/// the apiserver says to it is not the question here.
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
