//! The real flux-operator: its changes to Flux, and the refused ones.

use fluxkeep::helm::record::Driver;
use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, FluxOperator, Webhook, eventually, flux_instance, own,
};
use fluxkeep_tests::flux::HOME;
use fluxkeep_tests::{packed, secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::process::Command;

use crate::stage::{BY_WEBHOOK, said};

const INSTANCE: &str = "fluxinstance/flux";
const FOUR: [&str; 4] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
];
const OPTIONAL: &str = "image-reflector-controller";

/// A cluster in which flux-operator runs.
struct Stage {
    // First, so that a failed test's picture of it is taken before the plane ends.
    cluster: Cluster,
    plane: ControlPlane,
    webhook: Option<Webhook>,
    operator: FluxOperator,
}

impl Stage {
    /// With fluxkeep, or without.
    async fn set(test: &str, is_guarded: bool) -> Self {
        let plane = ControlPlane::start().await;
        let cluster = plane.cluster(test).await;
        for namespace in [HOME, "elsewhere"] {
            cluster.namespace(namespace).await;
        }
        let webhook = if is_guarded {
            Some(Webhook::guarding(&plane, &cluster).await)
        } else {
            None
        };
        let operator = FluxOperator::start(&plane, &cluster).await;
        Self {
            cluster,
            plane,
            webhook,
            operator,
        }
    }

    /// Has flux-operator install the newest Flux of a range.
    async fn installs(&mut self, range: &str) -> Value {
        self.cluster.apply_all(&[flux_instance(range)]).await;
        self.operator.installed(&self.cluster).await
    }

    /// How many reviews fluxkeep has refused.
    async fn refusals(&self) -> f64 {
        let mut sum = 0.0;
        let doors = [
            "crd",
            "crd-status",
            "engine",
            "flux-instance",
            "helm-release",
            "release-record",
        ];
        for door in doors {
            let labels = format!(r#"{{door="{door}",decision="refuse"}}"#);
            let sample = format!("fluxkeep_admission_reviews_total{labels}");
            sum += self.webhook.as_ref().unwrap().counted(&sample).await;
        }
        sum
    }

    /// Returns kubectl's stderr for a dry-run merge patch of the FluxInstance: refusals and
    /// warnings.
    fn tried(&self, patch: &Value) -> String {
        let patch = patch.to_string();
        let output = self.cluster.kubectl(&[
            "patch",
            INSTANCE,
            "--namespace",
            HOME,
            "--type=merge",
            "--dry-run=server",
            "--patch",
            &patch,
        ]);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn tried_version(&self, version: &str) -> String {
        self.tried(&json!({"spec": {"distribution": {"version": version}}}))
    }

    async fn patched(&self, patch: Value) -> String {
        let instances = self.cluster.api(&flux_instance("")).await;
        let patch = Patch::Merge(patch);
        said(
            instances
                .patch("flux", &PatchParams::default(), &patch)
                .await,
        )
    }

    /// Returns the apiserver's answer to a dry-run deletion.
    async fn tried_deletion(&self, object: &Value) -> String {
        let name = object["metadata"]["name"].as_str().unwrap();
        let dry = DeleteParams::default().dry_run();
        said(self.cluster.api(object).await.delete(name, &dry).await)
    }

    async fn until_gone(&self, object: &Value) {
        eventually(&format!("{object} is gone"), async || {
            match self.cluster.get(object).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                left => Err(format!("{left:?}")),
            }
        })
        .await;
    }

    async fn image(&self, controller: &str) -> String {
        let live = self.cluster.get(&deployment(controller)).await.unwrap();
        let image = live.pointer("/spec/template/spec/containers/0/image");
        image.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Returns the output of `fluxkeep adopt`. Without `--yes` the command only shows its plan.
    fn adoption(&self) -> String {
        let mut command = Command::new(own("fluxkeep"));
        command.args(["adopt", "--release-name=flux", "--namespace", HOME]);
        command
            .arg("--kubeconfig")
            .arg(self.plane.kubeconfig())
            .current_dir(&self.plane.folder);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8(said).unwrap()
    }
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": HOME}})
}

fn crd(name: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}})
}

fn buckets() -> Value {
    crd("buckets.source.toolkit.fluxcd.io")
}

/// A Bucket of Flux 2.3, which stores none as v1.
fn bucket() -> Value {
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1beta2", "kind": "Bucket",
        "metadata": {"name": "a", "namespace": "elsewhere"},
        "spec": {"interval": "1h", "bucketName": "a", "endpoint": "example.org"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_guard_flux_operator_installs_flux_and_upgrades_it_and_nothing_is_refused() {
    let mut stage = Stage::set("operator_upgrades", true).await;
    let before = stage.refusals().await;
    stage.installs("2.3.x").await;
    stage.cluster.apply_all(&[bucket()]).await;
    stage.installs("2.4.x").await;
    assert!(stage.image("source-controller").await.contains(":v1.4.1@"));
    eventually("flux-operator has rewritten what was stored", async || {
        let live = stage.cluster.get(&buckets()).await;
        let live = live.map_err(|error| error.to_string())?;
        if live["status"]["storedVersions"] == json!(["v1"]) {
            Ok(())
        } else {
            Err(live["status"].to_string())
        }
    })
    .await;
    let mut kept = bucket();
    kept["apiVersion"] = json!("source.toolkit.fluxcd.io/v1");
    assert!(stage.cluster.get(&kept).await.is_ok());
    let after = stage.refusals().await;
    assert!((after - before).abs() < f64::EPSILON, "{before} {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_fluxkeep_deleting_a_flux_instance_deletes_flux_and_its_crds() {
    let mut stage = Stage::set("operator_uninstalls", false).await;
    stage.installs("2.4.x").await;
    stage.cluster.delete(&flux_instance("")).await.unwrap();
    for gone in [deployment("source-controller"), buckets()] {
        stage.until_gone(&gone).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_flux_by_its_flux_instance_is_refused_and_what_keeps_it_passes() {
    let mut stage = Stage::set("operator_guarded", true).await;
    let mut instance = flux_instance("2.4.x");
    instance["spec"]["components"] = json!([&FOUR[..], &[OPTIONAL]].concat());
    stage.cluster.apply_all(&[instance]).await;
    stage.operator.installed(&stage.cluster).await;
    knows_the_running_flux(&stage).await;
    refuses_what_takes_flux(&stage).await;
    passes_what_keeps_flux(&stage).await;
    knows_the_owner(&stage).await;
    takes_an_optional_controller_away(&mut stage).await;
    paused_it_goes_alone(&stage).await;
}

/// The server learns of installed objects a moment later.
async fn knows_the_running_flux(stage: &Stage) {
    eventually("an older Flux is refused", async || {
        match stage.tried_version("2.3.x") {
            said if said.contains("denied the request: flux-downgraded: ") => Ok(()),
            said => Err(said),
        }
    })
    .await;
}

async fn refuses_what_takes_flux(stage: &Stage) {
    let said = stage.tried_deletion(&flux_instance("")).await;
    assert!(said.contains(BY_WEBHOOK), "{said}");
    assert!(
        said.contains("fluxcd.controlplane.io/reconcile=disabled"),
        "{said}"
    );
    let definition = crd("fluxinstances.fluxcd.controlplane.io");
    let said = stage.tried_deletion(&definition).await;
    assert!(said.contains(BY_WEBHOOK), "{said}");
    let fewer = json!(["source-controller", "kustomize-controller"]);
    let said = stage.tried(&json!({"spec": {"components": fewer}}));
    assert!(
        said.contains("denied the request: controller-missing: "),
        "{said}"
    );
}

async fn passes_what_keeps_flux(stage: &Stage) {
    for range in ["2.4.x", "2.4.0", "2.5.x"] {
        assert_eq!(stage.tried_version(range), "", "{range}");
    }
    // The newest release of these ranges drops versions that the cluster stores.
    for range in ["2.x", ">=2.4.0"] {
        let said = stage.tried_version(range);
        assert!(
            said.starts_with("Warning: stored-version-dropped: "),
            "{said}"
        );
        assert!(!said.contains("denied"), "{said}");
    }
    let said = stage.tried_version("2.6.x");
    assert!(said.contains("Warning: flux-minor-skipped: "), "{said}");
    assert!(!said.contains("denied"), "{said}");
    let mut elsewhere = flux_instance("2.3.x");
    elsewhere["metadata"]["namespace"] = json!("elsewhere");
    stage.cluster.apply_all(&[elsewhere.clone()]).await;
    assert_eq!(stage.tried_deletion(&elsewhere).await, "");
    let more = [&FOUR[..], &[OPTIONAL, "image-automation-controller"]].concat();
    assert_eq!(stage.tried(&json!({"spec": {"components": more}})), "");
}

/// A Helm release over the objects that the FluxInstance applied, and its adoption.
async fn knows_the_owner(stage: &Stage) {
    let mut written = stage.cluster.get(&deployment("source-controller")).await;
    let object = written.as_mut().unwrap();
    object["metadata"] = json!({"name": "source-controller", "namespace": HOME});
    object["status"] = Value::Null;
    let data = packed("flux", HOME, &object.to_string(), &[], Driver::Secret);
    let record = secret(&data);
    let answer = said(stage.cluster.create(&record).await);
    let told = "FluxInstance flux-system/flux owns it in the cluster";
    assert!(
        answer.contains("foreign-owner: ") && answer.contains(told),
        "{answer}"
    );
    let plan = stage.adoption();
    let paused = "kubectl annotate --overwrite fluxinstance -n flux-system flux fluxcd.controlplane.io/reconcile=disabled";
    assert!(plan.contains(paused), "{plan}");
}

/// The operator deletes the controller and fails once at the CRD, which keeps its objects. It then
/// leaves the CRD alone, so Flux is ready again.
async fn takes_an_optional_controller_away(stage: &mut Stage) {
    let fewer = json!({"spec": {"components": FOUR}});
    let said = stage.tried(&fewer);
    assert!(said.contains("Warning: controller-missing: "), "{said}");
    assert_eq!(stage.patched(fewer).await, "");
    stage.until_gone(&deployment(OPTIONAL)).await;
    stage.operator.installed(&stage.cluster).await;
    let kept = crd("imagerepositories.image.toolkit.fluxcd.io");
    assert!(stage.cluster.get(&kept).await.is_ok());
}

async fn paused_it_goes_alone(stage: &Stage) {
    let paused = json!({"fluxcd.controlplane.io/reconcile": "disabled"});
    let pause = json!({"metadata": {"annotations": paused}});
    assert_eq!(stage.patched(pause).await, "");
    stage.cluster.delete(&flux_instance("")).await.unwrap();
    stage.until_gone(&flux_instance("")).await;
    for stays in [deployment("source-controller"), buckets()] {
        assert!(stage.cluster.get(&stays).await.is_ok(), "{stays}");
    }
}
