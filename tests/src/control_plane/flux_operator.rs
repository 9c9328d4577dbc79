//! flux-operator as a process with its own service account. It installs Flux from the manifests
//! that its Go module carries, so it asks no registry.

#![allow(clippy::indexing_slicing)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::{Cluster, ControlPlane, Process, eventually, program};
use crate::flux::HOME;

/// flux-operator.
#[derive(Debug)]
pub struct FluxOperator {
    /// The program.
    pub process: Process,
}

impl FluxOperator {
    /// Applies its CRDs and its account, and starts it. The namespace of Flux is there already.
    pub async fn start(plane: &ControlPlane, cluster: &Cluster) -> Self {
        let crds = config("crds");
        let applied = cluster.kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()]);
        assert!(applied.status.success(), "{applied:?}");
        cluster.apply_all(&account()).await;
        let kubeconfig = plane.account(cluster, HOME, NAME).await;
        let mut command = Command::new(program(NAME));
        command.arg("--storage-path").arg(config("data"));
        command.args([
            "--metrics-addr=0",
            "--health-addr=0",
            "--web-server-port=0",
            "--enable-leader-election=false",
            "--log-encoding=json",
        ]);
        command
            .env("KUBECONFIG", kubeconfig)
            .env("RUNTIME_NAMESPACE", HOME)
            // It refuses to run without.
            .env("GODEBUG", "fips140=on");
        let process = Process::start(command, &plane.folder.join("flux-operator.log"));
        Self { process }
    }

    /// Waits until Flux is installed as the FluxInstance's spec says now, and returns the
    /// FluxInstance.
    pub async fn installed(&mut self, cluster: &Cluster) -> Value {
        let process = &mut self.process;
        eventually("flux-operator has installed Flux", async || {
            process.is_running();
            let live = cluster.get(&flux_instance("")).await;
            let live = live.map_err(|error| error.to_string())?;
            let conditions = live["status"]["conditions"].as_array().cloned();
            let conditions = conditions.unwrap_or_default();
            let mut ready = conditions.iter().filter(|one| one["type"] == "Ready");
            let is_ready = ready.any(|one| {
                one["status"] == "True"
                    && one["observedGeneration"] == live["metadata"]["generation"]
            });
            if is_ready && is_recorded(&live) {
                Ok(live)
            } else {
                Err(json!(conditions).to_string())
            }
        })
        .await
    }
}

/// True if the status lists what was applied. The operator writes the conditions first and the
/// rest of the status later. Deleted in between, a FluxInstance lists nothing, and nothing goes.
fn is_recorded(instance: &Value) -> bool {
    let status = &instance["status"];
    let applied = &status["lastAppliedRevision"];
    let entries = status["inventory"]["entries"].as_array();
    applied.is_string()
        && *applied == status["lastAttemptedRevision"]
        && entries.is_some_and(|entries| !entries.is_empty())
}

const NAME: &str = "flux-operator";

/// A folder of the operator's module: `crds`, or `data` with the manifests of Flux. The build
/// leaves them beside the program.
fn config(folder: &str) -> PathBuf {
    program(NAME).with_extension("config").join(folder)
}

/// A FluxInstance of this version or range of Flux.
#[must_use]
pub fn flux_instance(version: &str) -> Value {
    json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": HOME},
        "spec": {"distribution": {"version": version, "registry": "ghcr.io/fluxcd"},
            // No node runs the pods that it would wait for.
            "wait": false}})
}

/// The account of the operator, which is cluster-admin, as its chart makes it.
fn account() -> [Value; 2] {
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": HOME}});
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": HOME}]});
    [account, binding]
}
