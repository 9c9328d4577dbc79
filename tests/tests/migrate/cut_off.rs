//! The command is killed at any point, and the next run finishes.

use std::process::Stdio;
use std::time::Duration;

use fluxkeep_tests::control_plane::{eventually, said};

use crate::stage::{NAME, OBJECTS, Stage};

/// Each run is killed once more objects are stored anew than before, so runs end in each phase
/// without a clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_loses_nothing_and_the_next_one_finishes() {
    let stage = Stage::storing_the_old("migrate-killed").await;
    let before = stage.objects().await;
    for part in 1..=4 {
        let wanted = OBJECTS * part / 5;
        let arguments = ["--crd", NAME, "--storage", "v1", "--concurrency", "2"];
        let mut command = stage.command(&arguments);
        let mut child = command
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("so many objects are stored anew", async || {
            let anew = stage.stored().get("v1").copied().unwrap_or_default();
            if anew >= wanted { Ok(()) } else { Err(anew) }
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            stage
                .listed_versions()
                .await
                .contains(&"v1beta1".to_owned())
        );
        assert_eq!(stage.objects().await, before);
    }
    let done = stage.migrate(&["--storage", "v1"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(stage.stored(), [("v1".to_owned(), OBJECTS)].into());
    assert_eq!(stage.objects().await, before);
}

/// An apiserver that goes away ends the command with its reason, and nothing is pruned.
#[tokio::test(flavor = "multi_thread")]
async fn an_apiserver_that_goes_away_is_told_and_nothing_is_pruned() {
    let mut stage = Stage::grown("migrate-gone").await;
    let mut command = stage.command(&["--crd", NAME, "--qps", "50"]);
    let child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("some objects are stored anew", async || {
        let anew = stage.stored().get("v1").copied().unwrap_or_default();
        if anew > 10 { Ok(()) } else { Err(anew) }
    })
    .await;
    stage.plane.apiserver.kill();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
    let output = tokio::time::timeout(Duration::from_mins(2), output)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("not pruned"), "{}", said(&output));
    stage.plane.restart_apiserver().await;
    assert_eq!(stage.listed_versions().await, ["v1beta1", "v1"]);
    let done = stage.migrate(&[]);
    assert!(done.status.success(), "{}", said(&done));
}
