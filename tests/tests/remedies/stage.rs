//! A cluster with Flux and the server, and requests to both.

use fluxkeep::helm::record::Driver;
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually};
use fluxkeep_tests::flux::{Flux, Names};
use fluxkeep_tests::packed;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::shell::Shell;

/// The cluster, and a shell connected to it.
pub(crate) struct Stage {
    // Dropped first, so that a failed test's state is written before the control plane ends.
    pub(crate) cluster: Cluster,
    pub(crate) shell: Shell,
    plane: ControlPlane,
    webhook: Option<Webhook>,
}

impl Stage {
    /// Starts a cluster with Flux 2.4.0, still unguarded.
    pub(crate) async fn set(test: &str) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        cluster
            .apply_all(&Flux::release("2.4.0").installed(Names::Install))
            .await;
        for namespace in ["one", "two"] {
            cluster.namespace(namespace).await;
        }
        let shell = Shell::of(&cluster);
        Self {
            cluster,
            shell,
            plane,
            webhook: None,
        }
    }

    /// Starts the server, which guards the cluster from now on.
    pub(crate) async fn guard(&mut self) {
        self.webhook = Some(Webhook::guarding(&self.plane, &self.cluster).await);
    }

    /// The refusal when Helm stores a release with these objects; empty for a success.
    pub(crate) async fn stored(&self, release: &str, namespace: &str, objects: &[Value]) -> String {
        let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let manifest = documents.join("\n---\n");
        let data = packed(release, namespace, &manifest, &[], Driver::Secret);
        let record = json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
            "metadata": {"name": format!("sh.helm.release.v1.{release}.v1"), "namespace": namespace,
                "labels": {"owner": "helm", "name": release, "status": "pending-install", "version": "1"}},
            "data": {"release": data}});
        let dry = PostParams {
            dry_run: true,
            field_manager: Some("helm".to_owned()),
        };
        let object = serde_json::from_value(record.clone()).unwrap();
        said(self.cluster.api(&record).await.create(&dry, &object).await)
    }

    /// As [`Self::stored`], repeated until the answer differs from `before`.
    pub(crate) async fn stored_after(&self, before: &str, objects: &[Value]) -> String {
        eventually("the server has seen the change", async || {
            let now = self.stored("stranger", "one", objects).await;
            if now == before { Err(now) } else { Ok(now) }
        })
        .await
    }
}

/// The message of a refused request; empty for a success.
pub(crate) fn said<T>(answer: kube::Result<T>) -> String {
    match answer {
        Ok(_) => String::new(),
        Err(kube::Error::Api(status)) => status.message.clone(),
        Err(other) => panic!("{other}"),
    }
}
