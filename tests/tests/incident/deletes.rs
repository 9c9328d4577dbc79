//! Deletions of the engine are refused for all users, until a person grants an override.

use std::collections::BTreeSet;

use fluxkeep_tests::control_plane::{
    Helm, HelmController, Webhook, eventually, helm_release, said,
};
use fluxkeep_tests::flux::{HOME, Names};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use serde_json::{Value, json};

use crate::stage::{Stage, gone, running};

/// Optional controllers, of which only the CRDs are protected.
const OPTIONAL: [&str; 2] = ["image-automation-controller", "image-reflector-controller"];

/// NetworkPolicies, without which Flux also runs.
const POLICIES: [&str; 3] = ["allow-egress", "allow-scraping", "allow-webhooks"];

/// The least number of a release's objects that Flux needs.
const REFUSED: f64 = 29.0;

/// The first command of the refusal's remedy.
const SUSPEND: [&str; 8] = [
    "patch",
    "helmrelease",
    "-n",
    HOME,
    "flux",
    "--type=merge",
    "-p",
    r#"'{"spec":{"suspend":true}}'"#,
];

#[tokio::test]
async fn deleting_any_object_of_the_engine_is_refused() {
    let stage = Stage::set("deletes", Names::Install).await;
    let _webhook = stage.guarded().await;
    let before = stage.inventory().await;
    for object in running()
        .installed(Names::Install)
        .iter()
        .filter(|object| !is_spare(object))
    {
        let refused = stage
            .cluster
            .delete(object)
            .await
            .expect_err("it is a part of Flux")
            .to_string();
        assert!(refused.contains("engine-deleted"), "{object}: {refused}");
    }
    let refused = delete_core_controllers_at_once(&stage)
        .await
        .expect_err("they are Flux")
        .to_string();
    assert!(refused.contains("engine-deleted"), "{refused}");
    assert_eq!(stage.inventory().await, before);
}

#[tokio::test]
async fn kubectl_reads_why_and_force_does_not_help() {
    let stage = Stage::set("kubectl-deletes", Names::Install).await;
    let _webhook = stage.guarded().await;
    let before = stage.inventory().await;
    let asked = ["delete", "--namespace", HOME, "--force", "--wait=false"];
    let crd = ["crd", "helmreleases.helm.toolkit.fluxcd.io"];
    for what in [["deployment", "helm-controller"], crd, ["namespace", HOME]] {
        let output = stage.cluster.kubectl(&[&asked[..], &what].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("denied the request: engine-deleted: "),
            "{text}"
        );
        assert!(
            text.contains(
                "kubectl annotate --overwrite namespace flux-system fluxkeep.io/allow=engine-deleted"
            ),
            "{text}"
        );
    }
    assert_eq!(stage.inventory().await, before);
}

#[tokio::test]
async fn uninstalling_the_engines_release_by_helm_3_leaves_the_engine() {
    uninstalling_leaves_the_engine("uninstall-helm-3", Helm::Three).await;
}

#[tokio::test]
async fn uninstalling_the_engines_release_by_helm_4_leaves_the_engine() {
    uninstalling_leaves_the_engine("uninstall-helm-4", Helm::Four).await;
}

async fn uninstalling_leaves_the_engine(test: &str, helm: Helm) {
    let stage = Stage::set(test, Names::Install).await;
    let webhook = stage.guarded().await;
    stage.adopt(helm);
    let before = stage.inventory().await;
    let output = helm.run(&stage.cluster, &["uninstall", "flux"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    stage.recorded(&["uninstalling"]).await;
    let optional = OPTIONAL.iter().flat_map(|name| {
        ["Deployment", "ServiceAccount"].map(|kind| format!("{kind} {HOME}/{name}"))
    });
    let policies = POLICIES.map(|name| format!("NetworkPolicy {HOME}/{name}"));
    let spare: BTreeSet<_> = optional.chain(policies).collect();
    assert_eq!(gone(&before, &stage.inventory().await), spare);
    let refused = counted(&webhook, "refused").await;
    assert!(refused >= REFUSED, "only {refused} refusals were counted");
}

#[tokio::test]
async fn the_engines_helm_release_goes_only_when_it_is_suspended_and_leaves_the_engine() {
    let stage = Stage::set("helm-release-deleted", Names::Install).await;
    let _webhook = stage.guarded().await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    stage.release(&controller, &running(), |_| ()).await;
    stage.told("Ready", "InstallSucceeded").await;
    let before = stage.inventory().await;
    let release = helm_release(&running());
    let refused = stage
        .cluster
        .delete(&release)
        .await
        .expect_err("it would uninstall Flux")
        .to_string();
    assert!(
        refused.contains("engine-deleted: HelmRelease flux-system/flux"),
        "{refused}"
    );
    assert!(
        refused.contains(&format!("kubectl {}", SUSPEND.join(" "))),
        "{refused}"
    );
    let suspended = stage
        .cluster
        .kubectl(&SUSPEND.map(|word| word.trim_matches('\'')));
    assert!(suspended.status.success(), "{}", said(&suspended));
    stage
        .cluster
        .delete(&release)
        .await
        .expect("helm-controller leaves what it is suspended for");
    eventually("the HelmRelease is gone", async || {
        match stage.cluster.get(&release).await {
            Err(kube::Error::Api(missing)) if missing.code == 404 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(stage.inventory().await, before);
}

#[tokio::test]
async fn a_reason_and_an_end_on_the_engines_namespace_let_the_uninstall_through_and_are_counted() {
    let stage = Stage::set("break-glass", Names::Install).await;
    let webhook = stage.guarded().await;
    stage.adopt(Helm::Three);
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    let until = format!("fluxkeep.io/until={until}");
    let why = [
        "fluxkeep.io/allow=engine-deleted",
        "fluxkeep.io/reason=moving to another cluster",
        &until,
    ];
    let annotated = stage
        .cluster
        .kubectl(&[&["annotate", "namespace", HOME][..], &why].concat());
    assert!(annotated.status.success(), "{}", said(&annotated));
    // The server and the apiserver's policy each notice the override separately.
    eventually("the override is seen", async || {
        let (deployment, dry) = (deployments(&stage).await, DeleteParams::default().dry_run());
        deployment
            .delete("helm-controller", &dry)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    let before = stage.inventory().await;
    Helm::Three.runs(&stage.cluster, &["uninstall", "--wait", "flux"]);
    let lost = gone(&before, &stage.inventory().await);
    assert_eq!(
        lost.len(),
        running().charted().len() + 1,
        "the engine and its record: {lost:?}"
    );
    let excused = counted(&webhook, "overridden").await;
    assert!(excused >= REFUSED, "only {excused} were counted");
}

/// Deletes all core controllers in one request (DELETECOLLECTION).
async fn delete_core_controllers_at_once(stage: &Stage) -> kube::Result<()> {
    let core = format!(
        "app.kubernetes.io/part-of=flux,app.kubernetes.io/component notin ({})",
        OPTIONAL.join(",")
    );
    let core = ListParams::default().labels(&core);
    deployments(stage)
        .await
        .delete_collection(&DeleteParams::default(), &core)
        .await
        .map(|_| ())
}

async fn deployments(stage: &Stage) -> Api<DynamicObject> {
    let deployment =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": HOME}});
    stage.cluster.api(&deployment).await
}

/// The engine's deletions that the server counted with this outcome.
async fn counted(webhook: &Webhook, outcome: &str) -> f64 {
    let labels =
        format!(r#"rule="engine-deleted",door="engine",level="enforce",outcome="{outcome}""#);
    webhook
        .counted(&format!("fluxkeep_findings_total{{{labels}}}"))
        .await
}

/// True if Flux runs on without the object, so that its deletion only warns.
fn is_spare(object: &Value) -> bool {
    let is_optional = OPTIONAL
        .iter()
        .any(|name| object["metadata"]["name"] == *name);
    is_optional || object["kind"] == "NetworkPolicy" || object["kind"] == "ResourceQuota"
}
