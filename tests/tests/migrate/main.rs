//! `fluxkeep migrate` on a real apiserver. etcd shows the version in which each object is stored.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    missing_docs
)]

mod cut_off;
mod grown;
mod job;
mod rights;
mod stage;

use fluxkeep_tests::control_plane::said;
use serde_json::json;

use stage::{GROUP, NAME, OBJECTS, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn all_objects_are_stored_anew_and_the_upgrade_passes() {
    let stage = Stage::grown("migrate-all").await;
    let before = stage.objects().await;
    let upgrade = Stage::definition("v1*");
    let refused = stage.cluster.apply(&upgrade).await.unwrap_err().to_string();
    assert!(refused.contains("storedVersions"), "{refused}");

    let shown = stage.migrate(&["--dry-run"]);
    assert!(shown.status.success(), "{}", said(&shown));
    let plan =
        format!("would rewrite {OBJECTS} objects as v1, and take v1beta1 off storedVersions");
    assert!(said(&shown).contains(&plan), "{}", said(&shown));
    assert_eq!(stage.stored()["v1beta1"], OBJECTS - 1);

    let done = stage.migrate(&[]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(stage.stored(), [("v1".to_owned(), OBJECTS)].into());
    assert_eq!(stage.listed_versions().await, ["v1"]);
    assert_eq!(stage.objects().await, before);
    stage
        .cluster
        .apply(&upgrade)
        .await
        .expect("the upgrade passes");
    assert_eq!(stage.objects().await.len(), before.len());

    let again = said(&stage.migrate(&[]));
    assert!(
        again.contains("nothing to do, storedVersions is [v1]"),
        "{again}"
    );
}

/// The writer's last write of each object is there in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_beside_it_loses_no_write() {
    let stage = Stage::grown("migrate-writer").await;
    let written = stage.while_writing(|| stage.migrate(&[])).await;
    let (done, counts) = written;
    assert!(done.status.success(), "{}", said(&done));
    assert!(counts.values().any(|count| *count > 1), "{counts:?}");
    for (name, object) in stage.objects().await {
        let seen = object["spec"]["count"].as_u64().unwrap_or_default();
        assert_eq!(
            seen,
            counts.get(&name).copied().unwrap_or_default(),
            "{name}"
        );
    }
    assert_eq!(stage.stored(), [("v1".to_owned(), OBJECTS)].into());
}

/// As strimzi's KafkaTopic: the version to leave is the storage version.
#[tokio::test(flavor = "multi_thread")]
async fn the_storage_flag_moves_only_when_asked_for() {
    let stage = Stage::storing_the_old("migrate-flag").await;
    let file = stage.file("new.json", &Stage::definition("v1*"));
    let for_new = ["--for", file.as_str()];
    let refused = stage.run(&for_new);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("add --storage v1 to move the storage flag first"),
        "{}",
        said(&refused)
    );
    assert_eq!(stage.stored(), [("v1beta1".to_owned(), OBJECTS)].into());

    let done = stage.run(&["--for", file.as_str(), "--storage", "v1"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(stage.stored(), [("v1".to_owned(), OBJECTS)].into());
    stage
        .cluster
        .apply(&Stage::definition("v1*"))
        .await
        .expect("the upgrade passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_may_not_be_written_keeps_the_list_and_the_flag_as_they_were() {
    let stage = Stage::storing_the_old("migrate-refused").await;
    stage.refuse_writes_of("thing-7").await;
    let failed = stage.migrate(&["--storage", "v1"]);
    let told = said(&failed);
    assert_eq!(failed.status.code(), Some(1), "{told}");
    assert!(
        told.contains("thing-7") && told.contains("the storage flag is back at v1beta1"),
        "{told}"
    );
    let live = stage.live().await;
    assert_eq!(
        live["spec"]["versions"][1]["storage"],
        json!(true),
        "{live}"
    );
    assert!(
        stage
            .listed_versions()
            .await
            .contains(&"v1beta1".to_owned())
    );
    assert_eq!(stage.objects().await.len(), OBJECTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_is_named_and_nothing_is_written() {
    let stage = Stage::grown("migrate-wrong").await;
    for (arguments, told) in [
        (
            &["--crd", "things.nowhere.org"][..],
            "the cluster has no CRD things.nowhere.org",
        ),
        (
            &["--group", "nowhere.org"],
            "the cluster has no CRD of group nowhere.org",
        ),
        (
            &["--group", GROUP, "--storage", "v1"],
            "add --crd NAME or --for MANIFEST",
        ),
        (&[], "the cluster has no CRD of Flux"),
    ] {
        let output = stage.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(told), "{}", said(&output));
    }
    let unknown = stage.run(&["--crd", NAME, "--storage", "v7"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        said(&unknown).contains("the CRD has no version v7; it has v1, v1beta1"),
        "{}",
        said(&unknown)
    );
    assert_eq!(stage.stored()["v1beta1"], OBJECTS - 1);
}
