//! Charts that a tenant installs through helm-controller: by the tenant's own account, and by
//! helm-controller's account, which may do everything without a lockdown.

use std::path::PathBuf;

use fluxkeep_tests::control_plane::{ControlPlane, HelmController, Webhook, chart, umbrella};
use fluxkeep_tests::flux::{Flux, Names};
use serde_json::{Value, json};

use crate::tenant::{NAMESPACE, Tenant};
use crate::{LEFT_OUT, ONE_AT_A_TIME, apart_from_the_tenant};

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_chart_is_installed_and_what_takes_flux_is_not() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("tenant_charts").await;
    let running = Flux::release("2.4.0").for_newer_controller();
    cluster.apply_all(&running.installed(Names::Install)).await;
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let tenant = Tenant::settle(&plane, &cluster).await;
    let controller = HelmController::start(&plane, &cluster).await;
    let before = apart_from_the_tenant(cluster.inventory(&LEFT_OUT).await);

    for (release, packed) in hostile() {
        tenant
            .cluster
            .apply(&release)
            .await
            .expect("a HelmRelease of his own");
        controller.publish_for(&cluster, &release, &packed).await;
        let why = cluster.condition(&release, "Ready", "InstallFailed").await;
        assert!(why.contains("denied the request"), "{release}: {why}");
    }
    let own = helm_release("own", &json!({"serviceAccountName": NAMESPACE}));
    tenant
        .cluster
        .apply(&own)
        .await
        .expect("a HelmRelease of his own");
    controller
        .publish_for(&cluster, &own, &chart("own", ORDINARY))
        .await;
    cluster.condition(&own, "Ready", "InstallSucceeded").await;

    let after = apart_from_the_tenant(cluster.inventory(&LEFT_OUT).await);
    assert_eq!(before, after, "nothing outside of the tenant's namespace");
}

/// An application, with a hook.
const ORDINARY: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: own}
data: {a: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: own-hook, annotations: {helm.sh/hook: pre-install}}
";

/// An override on the namespace, which permits the deletion of Flux.
const PERMIT: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
  annotations:
    fluxkeep.io/allow: engine-deleted
    fluxkeep.io/reason: because
    fluxkeep.io/until: '2099-01-01T00:00:00Z'
";

/// HelmReleases that helm-controller installs by its own account, and their charts.
fn hostile() -> Vec<(Value, PathBuf)> {
    let older = Flux::release("2.3.0");
    let version = older.chart_version();
    let mut beside = helm_release("umbrella", &json!({}));
    beside["spec"]["chart"]["spec"]["version"] = json!(version);
    let permit = helm_release("permit", &json!({}));
    vec![
        (beside, umbrella(&older)),
        (permit, chart("permit", PERMIT)),
    ]
}

/// A HelmRelease of a chart of its name.
fn helm_release(name: &str, spec: &Value) -> Value {
    let chart = json!({"chart": name, "version": "1.0.0", "interval": "10m",
        "sourceRef": {"kind": "HelmRepository", "name": "charts"}});
    let mut release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": name, "namespace": NAMESPACE},
        // No node runs the pods that it would wait for.
        "spec": {"interval": "10m", "chart": {"spec": chart}, "install": {"disableWait": true}}});
    json_patch::merge(&mut release["spec"], spec);
    release
}
