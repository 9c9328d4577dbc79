//! The built-in authority against a real apiserver, which verifies the certificates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod expired;
mod load;
mod replica;
mod stage;

use std::time::{Duration, SystemTime};

use fluxkeep_certs::{Authority, Terms};
use fluxkeep_tests::control_plane::{ControlPlane, eventually};
use fluxkeep_webhook::registration::{Address, Kept, Registration, RegistrationClient};

use crate::load::{Load, ask_each};
use crate::replica::{Replica, is_issued_by};
use crate::stage::{Stage, WEBHOOKS};

/// Short lifetimes, so that leaves rotate during a test. No test waits for exactly one of these
/// periods.
const TERMS: Terms = Terms {
    authority: Duration::from_hours(24),
    leaf: Duration::from_secs(36),
    skew: Duration::ZERO,
    // The apiserver learns of a bundle within this time, even on a busy machine.
    settle: Duration::from_secs(8),
};

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_rotate_everything_twice_under_load_and_no_admission_fails() {
    let plane = ControlPlane::start().await;
    let stage = Stage::set(&plane, "rotation").await;
    let (one, two) = tokio::join!(Replica::start(&stage, TERMS), Replica::start(&stage, TERMS));
    let replicas = [one, two];
    for replica in &replicas {
        replica.ready().await;
    }
    stage
        .behind
        .send_replace(replicas.iter().map(|replica| replica.admission).collect());
    eventually("the apiserver has learned of them", async || {
        ask_each(&stage).await
    })
    .await;
    let load = Load::start(&stage);
    load.grows().await;
    for _ in 0..2 {
        let next = Authority::new(SystemTime::now(), &TERMS).unwrap();
        let certificate = next.certificate().clone();
        let mut authorities = stage.authorities().await;
        authorities.next = Some(next);
        stage.keep(&authorities).await;
        for replica in &replicas {
            eventually("the next authority is served", async || {
                is_issued_by(replica.admission, &certificate).await
            })
            .await;
        }
        load.grows().await;
    }
    let rotated = r#"fluxkeep_certificate_rotations_total{certificate="leaf",result="success"}"#;
    for replica in &replicas {
        eventually("leaves follow each other", async || {
            let count = replica.counted(rotated).await;
            if count >= 4 { Ok(()) } else { Err(count) }
        })
        .await;
    }
    load.grows().await;
    assert_eq!(
        load.end().await,
        Vec::<String>::new(),
        "every admission is answered"
    );
    for replica in &replicas {
        let reviewed = r#"fluxkeep_admission_reviews_total{door="engine",decision="allow"}"#;
        assert!(replica.counted(reviewed).await > 20, "each took its part");
        let failed = r#"fluxkeep_certificate_rotations_total{certificate="ca",result="error"}"#;
        assert_eq!(replica.counted(failed).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_can_take_webhooks_out_and_put_them_in() {
    let plane = ControlPlane::start().await;
    let stage = Stage::set(&plane, "registering").await;
    let replica = Replica::start(&stage, Terms::default()).await;
    replica.ready().await;
    let authorities = stage.authorities().await;
    let certificate = authorities.current.as_ref().unwrap().certificate();
    for webhooks in [WEBHOOKS, 3, WEBHOOKS] {
        stage.register(webhooks).await;
        eventually("each webhook has its bundle", async || {
            let bundles = stage.bundles().await;
            if bundles.len() == webhooks
                && bundles.iter().all(|bundle| bundle.contains(certificate))
            {
                return Ok(());
            }
            Err(bundles)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_put_back_is_trusted_without_waiting_for_the_next_look() {
    let plane = ControlPlane::start().await;
    let stage = Stage::set(&plane, "put-back").await;
    let cluster = RegistrationClient::new(stage.cluster.client.clone(), false);
    let address = Address::Url("https://127.0.0.1:9".to_owned());
    let registration = Registration {
        address,
        authority: None,
        releases: Vec::new(),
    };
    let replica = Replica::with(&stage, Terms::default(), |settings| {
        settings.kept = Some(Kept {
            cluster,
            registration,
        });
        settings.limits.keep = Duration::from_millis(100);
        settings.limits.tick = Duration::from_hours(1);
    })
    .await;
    replica.ready().await;
    for _ in 0..2 {
        stage.unregister().await;
        eventually("it is put back and trusted", async || {
            let bundles = stage.bundles().await;
            let trusted =
                !bundles.is_empty() && bundles.iter().all(|bundle| bundle.iter().next().is_some());
            if trusted { Ok(()) } else { Err(bundles) }
        })
        .await;
    }
}
