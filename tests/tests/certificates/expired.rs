//! Certificates that expire unnoticed: before the program starts, or while it is paused.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, SystemTime};

use fluxkeep_certs::{Authorities, Authority, Terms};
use fluxkeep_cluster::BUILT_IN;
use fluxkeep_tests::control_plane::{ControlPlane, Process, eventually, own};

use crate::load::{ask_each, ask_one};
use crate::replica::is_issued_by;
use crate::stage::{NAMESPACE, SECRET, Stage};

/// An expiring certificate's remaining life: far more than a start takes on a busy machine.
const LEFT: Duration = Duration::from_secs(45);

/// An authority that expires at `end`.
fn ending_at(end: SystemTime) -> Authority {
    let terms = Terms::default();
    Authority::new(end - terms.authority, &terms).unwrap()
}

/// The program, as the replica that the apiserver asks.
struct Program(Process);

impl Program {
    async fn start(plane: &ControlPlane, stage: &Stage) -> Self {
        let mut program = Command::new(own("fluxkeep-webhook"));
        program.args([
            "--listen=127.0.0.1:0",
            "--observe=127.0.0.1:0",
            "--linger=0",
            "--log-format=text",
        ]);
        program.args([
            "--tls-secret",
            &format!("{NAMESPACE}/{SECRET}"),
            "--tls-names=127.0.0.1",
        ]);
        let snapshot = plane.folder.join("snapshot.yaml");
        std::fs::write(&snapshot, BUILT_IN).unwrap();
        program.arg("--snapshot").arg(&snapshot);
        for variable in ["KUBECONFIG", "FLUXKEEP_KUBECONFIG"] {
            program.env(variable, &stage.kubeconfig);
        }
        let mut program = Self(Process::start(
            program,
            &plane.folder.join("fluxkeep-webhook.log"),
        ));
        let address = eventually("the program tells its address", async || {
            program.0.is_running();
            program.address().ok_or("nothing yet")
        })
        .await;
        stage.behind.send_replace(vec![address]);
        program
    }

    fn address(&self) -> Option<SocketAddr> {
        self.0
            .tail(99)
            .split_once("admission=")?
            .1
            .split(' ')
            .next()?
            .parse()
            .ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_replaces_what_expired_while_nobody_looked() {
    let plane = ControlPlane::start().await;
    let stage = Stage::set(&plane, "expired").await;
    let dead = ending_at(SystemTime::now() - Duration::from_hours(365 * 24));
    let certificate = dead.certificate().clone();
    stage
        .keep(&Authorities {
            current: Some(dead),
            ..Authorities::default()
        })
        .await;
    let program = Program::start(&plane, &stage).await;
    eventually("its authority is registered", async || {
        let bundles = stage.bundles().await;
        let current = stage.authorities().await.current;
        let current = current
            .filter(|current| *current.certificate() != certificate)
            .ok_or("the dead one")?;
        let trusted = bundles
            .iter()
            .all(|bundle| bundle.contains(current.certificate()) && !bundle.contains(&certificate));
        if trusted { Ok(()) } else { Err("the bundles") }
    })
    .await;
    eventually("the apiserver has learned of it", async || {
        ask_each(&stage).await
    })
    .await;
    assert!(!program.0.tail(99).contains("PRIVATE KEY"));
}

/// Simulates a suspended machine or a clock jump: everything that it serves has expired. Existing
/// connections are cut, since the apiserver would not check a certificate on them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stood_still_until_all_that_it_served_had_ended_is_trusted_again() {
    let plane = ControlPlane::start().await;
    let stage = Stage::set(&plane, "stood-still").await;
    let end = SystemTime::now() + LEFT;
    let ending = ending_at(end);
    let certificate = ending.certificate().clone();
    stage
        .keep(&Authorities {
            current: Some(ending),
            ..Authorities::default()
        })
        .await;
    let program = Program::start(&plane, &stage).await;
    let address = program.address().unwrap();
    eventually("the apiserver asks it", async || ask_each(&stage).await).await;
    is_issued_by(address, &certificate).await.unwrap();
    program.0.pause();
    let refused = ask_one(&stage).await.unwrap_err();
    assert!(refused.contains("failed calling webhook"), "{refused}");
    // Certificates expire at whole seconds.
    let left = (end + Duration::from_secs(1))
        .duration_since(SystemTime::now())
        .expect("it ends while it stands still");
    tokio::time::sleep(left).await;
    program.0.resume();
    stage.behind.send_replace(vec![address]);
    eventually("the apiserver trusts it again", async || {
        ask_each(&stage).await
    })
    .await;
    is_issued_by(
        address,
        stage.authorities().await.current.unwrap().certificate(),
    )
    .await
    .unwrap();
}
