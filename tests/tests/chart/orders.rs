//! What others do with an installed chart: they correct drift, force an upgrade, take a right away.

use std::path::PathBuf;

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Helm, HelmController, Process, eventually, fetch, folder, said,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::installed::{bundles, helm, server};
use crate::{HELMS, chart};

const NAME: &str = "fluxkeep";

async fn is_ready(process: &mut Process, observe: u16) {
    eventually("the server is ready", async || {
        process.is_running();
        match fetch(&format!("http://127.0.0.1:{observe}/readyz")).await {
            Ok((200, _)) => Ok(()),
            other => Err(other),
        }
    })
    .await;
}

async fn policy(cluster: &Cluster) -> Value {
    let file = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fluxkeep-policy", "namespace": NAME}});
    cluster.get(&file).await.unwrap()["data"].clone()
}

/// The chart, packed.
fn packed() -> PathBuf {
    let folder = folder("chart");
    let output = Helm::Three.offline(&[
        "package",
        &chart(),
        "--destination",
        folder.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    folder.join("fluxkeep-0.1.0.tgz")
}

/// A HelmRelease of the chart whose drift helm-controller corrects.
fn release() -> Value {
    let spec = json!({"chart": "fluxkeep", "version": "0.1.0", "sourceRef": {"kind": "HelmRepository", "name": "charts"}});
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": NAME, "namespace": NAME},
        "spec": {"interval": "1h", "releaseName": NAME, "chart": {"spec": spec}, "driftDetection": {"mode": "enabled"},
            // Without nodes, no pod would ever become ready.
            "install": {"disableWait": true}, "upgrade": {"disableWait": true}}})
}

/// Lets helm-controller look at the release once.
async fn reconciled(cluster: &Cluster, at: &str) {
    let asked =
        Patch::Merge(json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": at}}}));
    let releases = cluster.api(&release()).await;
    releases
        .patch(NAME, &PatchParams::default(), &asked)
        .await
        .unwrap();
    eventually("helm-controller looked", async || {
        let live = cluster
            .get(&release())
            .await
            .map_err(|error| error.to_string())?;
        let is_done = live["status"]["lastHandledReconcileAt"] == at;
        if is_done {
            Ok(())
        } else {
            Err(live["status"].to_string())
        }
    })
    .await;
}

async fn drifts(cluster: &Cluster) -> usize {
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"namespace": NAME}});
    let events = cluster
        .api(&event)
        .await
        .list(&ListParams::default())
        .await
        .unwrap();
    let about_drift = |event: &Value| {
        event["reason"]
            .as_str()
            .unwrap_or_default()
            .starts_with("Drift")
    };
    events
        .items
        .iter()
        .filter(|event| about_drift(&event.data))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_controller_that_corrects_drift_never_touches_the_bundles() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_drift").await;
    let flux = Flux::release("2.4.0").for_newer_controller();
    cluster.apply_all(&flux.installed(Names::Install)).await;
    cluster.namespace(NAME).await;
    let controller = HelmController::start(&plane, &cluster).await;
    cluster.apply(&release()).await.unwrap();
    controller
        .publish_for(&cluster, &release(), &packed())
        .await;
    cluster
        .condition(&release(), "Ready", "InstallSucceeded")
        .await;
    let (mut process, observe) = server(&plane, &cluster, &policy(&cluster).await).await;
    is_ready(&mut process, observe).await;

    let written = bundles(&cluster).await;
    assert!(written.0.iter().all(Value::is_string), "{written:?}");
    for round in 0..10 {
        reconciled(&cluster, &format!("round {round}")).await;
        assert_eq!(bundles(&cluster).await, written, "round {round}");
    }
    assert_eq!(drifts(&cluster).await, 0);

    // What a person changes is corrected, so the looks above were real.
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "namespace": NAME}});
    let more = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let deployments = cluster.api(&deployment).await;
    deployments
        .patch(NAME, &PatchParams::default(), &more)
        .await
        .unwrap();
    reconciled(&cluster, "after a change").await;
    eventually("the change is corrected", async || {
        let live = cluster
            .get(&deployment)
            .await
            .map_err(|error| error.to_string())?;
        if live["spec"]["replicas"] == 2 {
            Ok(())
        } else {
            Err(live["spec"]["replicas"].to_string())
        }
    })
    .await;
    assert!(drifts(&cluster).await > 0);
    assert_eq!(bundles(&cluster).await, written);
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_that_a_forced_upgrade_wipes_are_back() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_forced").await;
    for namespace in [NAME, HOME] {
        cluster.namespace(namespace).await;
    }
    let forced: [&[&str]; 2] = [&["--force"], &["--force-replace", "--server-side=false"]];
    for (version, force) in HELMS.into_iter().zip(forced) {
        helm(version, &cluster, &["install"], &json!({}));
        let (mut process, observe) = server(&plane, &cluster, &policy(&cluster).await).await;
        is_ready(&mut process, observe).await;
        let (_, generations) = bundles(&cluster).await;
        helm(
            version,
            &cluster,
            &[&["upgrade"], force].concat(),
            &json!({}),
        );
        // The Secret is emptied, too, so the authority may be a new one.
        eventually("the bundles are back", async || {
            let (found, _) = bundles(&cluster).await;
            if found.iter().all(Value::is_string) {
                Ok(())
            } else {
                Err(found)
            }
        })
        .await;
        is_ready(&mut process, observe).await;
        let (_, touched) = bundles(&cluster).await;
        assert_ne!(touched, generations, "{version:?}: nothing was wiped");
        version.runs(&cluster, &["uninstall", NAME, "--namespace", NAME]);
        process.kill();
    }
}

/// A role of the chart, and the place of one of its rules.
#[derive(Debug, Clone)]
struct Right {
    role: Value,
    index: usize,
}

impl Right {
    fn rule(&self) -> &Value {
        &self.role["rules"][self.index]
    }

    fn resource(&self) -> &str {
        self.rule()["resources"][0].as_str().unwrap()
    }

    /// Takes the right from the role, or gives it back.
    async fn set(&self, cluster: &Cluster, allowed: bool) {
        let mut rules = self.role["rules"].as_array().unwrap().clone();
        if !allowed {
            rules.remove(self.index);
        }
        let name = self.role["metadata"]["name"].as_str().unwrap();
        let patch = Patch::Merge(json!({"rules": rules}));
        let api = cluster.api(&self.role).await;
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        let namespace = &self.role["metadata"]["namespace"];
        let what = json!({"group": self.rule()["apiGroups"][0], "resource": self.resource(), "verb": self.rule()["verbs"][0],
            "name": self.rule()["resourceNames"][0], "namespace": namespace});
        cluster.until_allowed(NAME, &what, allowed).await;
    }
}

/// The rights of the chart's account, but for those about Events and recovery points, whose writers have
/// tests of their own.
async fn rights(cluster: &Cluster) -> Vec<Right> {
    let group = "rbac.authorization.k8s.io/v1";
    let mut found = Vec::new();
    for (kind, namespace, name) in [
        ("ClusterRole", "", "fluxkeep-facts"),
        ("ClusterRole", "", "fluxkeep-registration"),
        ("Role", HOME, NAME),
        ("Role", NAME, "fluxkeep-authority"),
    ] {
        let role = json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
        let role = cluster.get(&role).await.unwrap();
        let count = role["rules"].as_array().unwrap().len();
        found.extend((0..count).map(|index| Right {
            role: role.clone(),
            index,
        }));
    }
    found
}

/// A CRD of flux-operator, without which nobody asks for its objects.
fn flux_instances() -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "fluxinstances.fluxcd.controlplane.io"},
        "spec": {"group": "fluxcd.controlplane.io", "scope": "Namespaced",
            "names": {"kind": "FluxInstance", "plural": "fluxinstances", "singular": "fluxinstance"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_of_its_rights_the_server_tells_which_it_lacks() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("chart_rights").await;
    cluster
        .apply_all(&Flux::release("2.4.0").installed(Names::Install))
        .await;
    cluster.apply(&flux_instances()).await.unwrap();
    cluster.namespace(NAME).await;
    helm(
        Helm::Four,
        &cluster,
        &["install"],
        &json!({"events": {"enabled": false}, "recovery": {"enabled": false}}),
    );
    let mut rights = rights(&cluster).await;
    // Once a bundle is written, nobody needs the right to patch.
    rights.sort_by_key(|right| right.rule()["verbs"][0] != "patch");
    assert!(rights.len() > 10, "{rights:#?}");
    let file = policy(&cluster).await;
    for right in rights {
        right.set(&cluster, false).await;
        let (mut process, _) = server(&plane, &cluster, &file).await;
        let resource = right.resource();
        eventually(&format!("{} is told", right.rule()), async || {
            process.is_running();
            let log = process.tail(50);
            let is_told = |line: &str| line.contains("forbidden") && line.contains(resource);
            if log.lines().any(is_told) {
                Ok(())
            } else {
                Err(log)
            }
        })
        .await;
        process.kill();
        right.set(&cluster, true).await;
    }
}
