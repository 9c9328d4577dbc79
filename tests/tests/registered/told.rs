//! Events after a refusal, as people see them.

use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::objects::{BUCKETS, controller, helm_release, one_version};
use crate::stage::{BY_WEBHOOK, said};

/// The Deployment of a Flux owned by Helm release `flux`, and that release's HelmRelease.
fn owned() -> [Value; 2] {
    let owner = json!({"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": "flux-system"});
    [
        controller(&json!({"annotations": owner})),
        helm_release("flux", "flux-system"),
    ]
}

/// The output of `kubectl describe` for an object.
fn described(cluster: &Cluster, object: &str) -> String {
    String::from_utf8(
        cluster
            .kubectl(&["describe", "--namespace", "flux-system", object])
            .stdout,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deletion_shows_once_on_the_object_and_on_its_helm_release() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("refused_deletion").await;
    cluster.namespace("flux-system").await;
    cluster
        .apply_all(&["helmreleases.helm.toolkit.fluxcd.io", BUCKETS].map(one_version))
        .await;
    cluster.apply_all(&owned()).await;
    let own = plane.own_account(&cluster).await;
    cluster.may_be_told().await;
    let webhook = Webhook::launch(&plane, &own, ["--events"], true).await;
    let [deployment, _] = owned();
    eventually("the deletion is refused by the webhook", async || {
        let dry = DeleteParams::default().dry_run();
        let said = said(
            cluster
                .api(&deployment)
                .await
                .delete("helm-controller", &dry)
                .await,
        );
        if said.contains(BY_WEBHOOK) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    assert!(
        !described(&cluster, "deployment/helm-controller").contains("DeletionRefused"),
        "nothing of a dry run"
    );
    for _ in 0..3 {
        assert!(said(cluster.delete(&deployment).await).contains(BY_WEBHOOK));
        assert!(said(cluster.delete(&one_version(BUCKETS)).await).contains(BY_WEBHOOK));
    }
    for (object, part) in shown() {
        told_once(&cluster, object, part).await;
    }
    assert!(
        webhook
            .counted(r#"fluxkeep_events_total{result="written"}"#)
            .await
            >= 2.0
    );
}

/// Objects, each with the text that its Event shows.
fn shown() -> [(&'static str, &'static str); 3] {
    [
        (
            "deployment/helm-controller",
            "engine-deleted: Deployment flux-system/helm-controller: admin deletes",
        ),
        (
            "crd/buckets.source.toolkit.fluxcd.io",
            "engine-deleted: CustomResourceDefinition buckets",
        ),
        (
            "helmrelease/flux",
            "fluxkeep rescue --release flux -n flux-system --yes",
        ),
    ]
}

async fn told_once(cluster: &Cluster, object: &str, part: &str) {
    eventually(&format!("{object} shows {part:?}"), async || {
        let shown = described(cluster, object);
        let events: Vec<_> = shown
            .lines()
            .filter(|line| line.contains("DeletionRefused"))
            .collect();
        let is_told =
            matches!(events.as_slice(), [one] if one.contains(part) && one.contains("(x3 over"));
        if is_told { Ok(()) } else { Err(shown) }
    })
    .await;
}
