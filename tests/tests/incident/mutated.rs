//! With only the server's mutation, the incident runs its course, but all objects stay.

use fluxkeep::helm::post_renderer::stanza;
use fluxkeep::rules::RULES;
use fluxkeep_tests::control_plane::{HelmController, Webhook, eventually, folder, helm_release};
use fluxkeep_tests::flux::Names;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::kept::identities;
use crate::stage::{Stage, older};

/// The server refuses nothing, so only its mutation protects Flux from the uninstall. With
/// bootstrap's names, everything would otherwise be deleted.
#[tokio::test]
async fn with_the_mutation_alone_three_remediations_delete_nothing() {
    let stage = Stage::set("incident-mutated", Names::Bootstrap).await;
    let webhook = mutating(&stage).await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = identities(&stage).await;
    stage.release(&controller, &older(), risky).await;
    let live = stage.cluster.get(&helm_release(&older())).await.unwrap();
    assert_eq!(live["spec"]["postRenderers"], json!([stanza()]));
    assert_eq!(
        live["metadata"]["annotations"]["fluxkeep.io/added"],
        "spec.postRenderers"
    );
    stage.told("Stalled", "RetriesExceeded").await;
    assert_eq!(identities(&stage).await, before);
    let labels =
        r#"rule="stored-version-dropped",door="release-record",level="audit",outcome="audited""#;
    let seen = webhook
        .counted(&format!("fluxkeep_findings_total{{{labels}}}"))
        .await;
    assert!(seen > 0.0, "the release was seen, and not stopped");
}

/// The incident's remediation. The chart hides its Flux, so the values name the version.
fn risky(spec: &mut Value) {
    spec["install"]["remediation"] = json!({"retries": 3});
    spec["values"] = json!({"flux": {"version": older().version()}});
}

/// A registered server that adds the post-renderer and only counts its findings.
async fn mutating(stage: &Stage) -> Webhook {
    let levels: Vec<_> = RULES
        .iter()
        .map(|rule| format!("{}: audit", rule.id))
        .collect();
    let policy = folder("policy").join("policy.yaml");
    std::fs::write(
        &policy,
        format!(
            "levels: {{{}}}\nmutate: {{helmReleases: true}}\n",
            levels.join(", ")
        ),
    )
    .unwrap();
    let own = stage.plane.own_account(&stage.cluster).await;
    let webhook = Webhook::launch(
        &stage.plane,
        &own,
        ["--policy", policy.to_str().unwrap()],
        true,
    )
    .await;
    let mut probe = helm_release(&older());
    risky(&mut probe["spec"]);
    let releases = stage.cluster.api(&probe).await;
    eventually("the apiserver asks for what is to be added", async || {
        let dry = PatchParams::apply("a-test").dry_run();
        let tried = releases
            .patch("flux", &dry, &Patch::Apply(&probe))
            .await
            .map_err(|error| error.to_string())?;
        if tried.data["spec"]["postRenderers"].is_array() {
            Ok(())
        } else {
            Err(json!(tried).to_string())
        }
    })
    .await;
    webhook
}
