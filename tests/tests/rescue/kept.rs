//! The points that servers keep in the cluster.

use fluxkeep::recovery::Point;
use fluxkeep::recovery::store::config_map;
use fluxkeep_tests::flux::Names;
use serde_json::{Value, json};

use crate::cut_off::lose;
use crate::rescuer::Rescuer;
use crate::stage::{Stage, running};
use crate::wiped::is_whole;

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_point_in_the_cluster_is_taken_unless_another_is_named() {
    let stage = Stage::set("rescue-kept", Names::Install).await;
    let rescuer = Rescuer::of(&stage.cluster);
    let before = stage.inventory().await;
    stage.cluster.namespace("fluxkeep").await;
    let older = kept(&stage, &rescuer, 2).await;
    let mut changed = service();
    changed["metadata"]["labels"] = json!({"changed": "yes"});
    stage.cluster.apply(&changed).await.unwrap();
    let newest = kept(&stage, &rescuer, 1).await;
    assert_ne!(older, newest);
    lose(&stage).await;
    let shown = rescuer.runs(&[]);
    assert!(
        shown.contains(
            "Recovery point: ConfigMap fluxkeep/fluxkeep-recovery-flux-system-1: Flux 2.4.0"
        ),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("--digest {} takes it", &older[..12])),
        "{shown}"
    );
    let other = rescuer.runs(&["--digest", &older[..8]]);
    assert!(
        other.contains("fluxkeep-recovery-flux-system-2: Flux 2.4.0"),
        "{other}"
    );

    rescuer.runs(&["--yes"]);
    is_whole(&stage, &before).await;
    let live = stage.cluster.get(&service()).await.unwrap();
    assert_eq!(live["metadata"]["labels"]["changed"], "yes");
}

/// Keeps a point of the present engine in this slot; returns its digest.
async fn kept(stage: &Stage, rescuer: &Rescuer, slot: usize) -> String {
    let file = rescuer.folder.join(rescuer.snapshot());
    let mut point = Point::decode(&[std::fs::read(file).unwrap()]).unwrap();
    // Points of one second have no order.
    if slot == 2 {
        point.head.taken = Some(jiff::Timestamp::UNIX_EPOCH);
    }
    let bytes = point.encode().concat();
    let map = config_map("fluxkeep", &point.head, slot, (1, 1), &bytes);
    stage.cluster.apply(&map).await.unwrap();
    point.head.digest
}

fn service() -> Value {
    let objects = running().installed(Names::Install);
    let mut services = objects.into_iter().filter(|one| one["kind"] == "Service");
    services.next().unwrap()
}
