//! Objects that the apiserver makes six times as long in a review.

use fluxkeep_tests::control_plane::{ControlPlane, Webhook, eventually};
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::objects::{helm_release, one_version};
use crate::stage::said;

/// A HelmRelease within the apiserver's limit for a request, all of whose values are escaped.
fn escaped(namespace: &str) -> Value {
    let mut release = helm_release("escaped", namespace);
    release["spec"]["values"] = json!({"page": "<".repeat(2_900_000)});
    release
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_review_is_too_long_is_refused_with_the_reason_and_a_strangers_passes() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("escaped_reviews").await;
    for namespace in ["flux-system", "apps"] {
        cluster.namespace(namespace).await;
    }
    let definition = one_version("helmreleases.helm.toolkit.fluxcd.io");
    cluster.apply_all(&[definition]).await;
    let _webhook = Webhook::guarding(&plane, &cluster).await;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    for (namespace, wanted) in [
        (
            "flux-system",
            "denied the request: review-unreadable: HelmRelease flux-system/escaped: fluxkeep cannot read it: \
             its review is longer than 8 MiB",
        ),
        ("apps", ""),
    ] {
        let release = escaped(namespace);
        let object = serde_json::from_value(release.clone()).unwrap();
        eventually(namespace, async || {
            let said = said(cluster.api(&release).await.create(&dry, &object).await);
            if said.contains(wanted) && said.is_empty() == wanted.is_empty() {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }
}
