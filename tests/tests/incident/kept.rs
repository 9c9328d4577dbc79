//! With only the stanza that `fluxkeep-postrenderer hook` writes, the incident runs its course, but
//! all objects stay.

use std::collections::BTreeMap;

use fluxkeep::helm::post_renderer::stanza;
use fluxkeep_tests::control_plane::HelmController;
use fluxkeep_tests::flux::Names;
use serde_json::{Value, json};

use crate::stage::{Stage, older, running};

/// With bootstrap's names, everything would otherwise be deleted.
#[tokio::test]
async fn with_the_hooks_post_renderer_three_remediations_delete_nothing() {
    let stage = Stage::set("incident-kept", Names::Bootstrap).await;
    let controller = HelmController::start(&stage.plane, &stage.cluster).await;
    let before = identities(&stage).await;
    let change = |spec: &mut Value| {
        spec["install"]["remediation"] = json!({"retries": 3});
        spec["postRenderers"] = json!([stanza()]);
    };
    stage.release(&controller, &older(), change).await;
    stage.told("Stalled", "RetriesExceeded").await;
    assert_eq!(identities(&stage).await, before);
}

/// The uid of every object of the engine, which shows a deletion and recreation.
pub(crate) async fn identities(stage: &Stage) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for object in running().installed(Names::Bootstrap) {
        let live = stage.cluster.get(&object).await.unwrap();
        assert!(live["metadata"]["deletionTimestamp"].is_null(), "{live}");
        found.insert(
            format!("{} {}", object["kind"], object["metadata"]["name"]),
            live["metadata"]["uid"].clone(),
        );
    }
    assert!(found.len() > 30, "{found:?}");
    found
}
