//! Replicas against an apiserver that answers as the real one does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod apiserver;
mod replica;

use std::time::Duration;

use fluxkeep_certs::{Authority, Terms};
use serde_json::json;
use tokio::time::advance;

use self::apiserver::{Apiserver, SECRET, SECRETS, registration};
use self::replica::Replica;
use super::store::TYPE;

const DAY: Duration = Duration::from_hours(24);

/// The number of certificates that the apiserver trusts.
fn trusted(apiserver: &Apiserver) -> usize {
    apiserver.bundles()[0].matches("BEGIN").count()
}

#[tokio::test(start_paused = true)]
async fn from_nothing_one_look_makes_an_authority_that_is_trusted_before_it_serves() {
    let apiserver = Apiserver::new();
    let mut replica = Replica::new(&apiserver);
    assert_eq!(replica.readiness.pending(), ["certificate"]);
    assert!(
        !replica.is_accepted(&apiserver).await,
        "nothing is served yet"
    );
    replica.look().await;
    assert!(replica.is_accepted(&apiserver).await);
    assert!(replica.readiness.pending().is_empty());
    let configurations = [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ];
    let [mutating, validating] =
        configurations.map(|plural| format!("PATCH {}", registration(plural)));
    let (create, switch) = (format!("POST {SECRETS}"), format!("PUT {SECRET}"));
    assert_eq!(apiserver.writes(), [create, mutating, validating, switch]);
    replica.look().await;
    assert!(apiserver.writes().is_empty(), "at rest nothing is written");
}

#[tokio::test(start_paused = true)]
async fn replicas_that_start_at_once_agree_on_one_authority() {
    let apiserver = Apiserver::new();
    let mut replicas = [(); 3].map(|()| Replica::new(&apiserver));
    let [one, two, three] = &mut replicas;
    tokio::join!(one.look(), two.look(), three.look());
    for replica in &replicas {
        assert!(replica.is_accepted(&apiserver).await);
        assert_eq!(
            replica.counted("ca", "error"),
            0,
            "to be overtaken is no failure"
        );
    }
    assert_eq!(trusted(&apiserver), 1);
    let created = apiserver
        .writes()
        .iter()
        .filter(|write| write.starts_with("POST"))
        .count();
    assert_eq!(created, 1);
}

#[tokio::test(start_paused = true)]
async fn an_authority_is_rotated_twice_and_every_replica_is_accepted_at_every_moment() {
    let apiserver = Apiserver::new();
    let mut replicas = [(); 2].map(|()| Replica::new(&apiserver));
    for day in 0..2 * 365 {
        let [one, two] = &mut replicas;
        if day % 2 == 0 {
            tokio::join!(one.look(), two.look())
        } else {
            tokio::join!(two.look(), one.look())
        };
        for replica in &replicas {
            assert!(replica.is_accepted(&apiserver).await, "day {day}");
        }
        apiserver.pass(DAY);
        advance(DAY).await;
    }
    let switches: u64 = replicas
        .iter()
        .map(|replica| replica.counted("ca", "success"))
        .sum();
    assert_eq!(switches, 3, "the first, and two rotations");
    assert!(
        replicas
            .iter()
            .all(|replica| replica.counted("leaf", "success") > 10)
    );
    assert!((1..=2).contains(&trusted(&apiserver)), "the first is gone");
}

#[tokio::test(start_paused = true)]
async fn what_was_served_stays_until_the_next_authority_has_settled() {
    let apiserver = Apiserver::new();
    let mut replica = Replica::new(&apiserver);
    replica.look().await;
    apiserver.pass(DAY * 200);
    replica.look().await;
    apiserver.pass(DAY * 50);
    for _ in 0..9 {
        replica.look().await;
        assert_eq!(
            (trusted(&apiserver), replica.counted("ca", "success")),
            (2, 1)
        );
        advance(Duration::from_mins(1)).await;
    }
    advance(Duration::from_mins(1)).await;
    replica.look().await;
    assert_eq!(replica.counted("ca", "success"), 2);
    assert!(replica.is_accepted(&apiserver).await);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_past_every_life_and_back_is_recovered_from_in_one_look() {
    let apiserver = Apiserver::new();
    let mut replicas = [(); 2].map(|()| Replica::new(&apiserver));
    let start = apiserver.now();
    for day in [0, 4000, 4010, 10, 5000] {
        apiserver.set(start + DAY * day);
        let [one, two] = &mut replicas;
        tokio::join!(one.look(), two.look());
        for replica in &replicas {
            assert!(replica.is_accepted(&apiserver).await, "day {day}");
        }
    }
}

/// Both replicas look every minute for half an hour, and both stay accepted throughout.
async fn half_an_hour(replicas: &mut [Replica; 2], apiserver: &Apiserver) {
    let [one, two] = replicas;
    for minute in 0..30 {
        tokio::join!(one.look(), two.look());
        assert!(
            one.is_accepted(apiserver).await && two.is_accepted(apiserver).await,
            "minute {minute}"
        );
        advance(Duration::from_mins(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_lost_or_spoilt_is_made_anew_and_every_replica_is_accepted_meanwhile() {
    let apiserver = Apiserver::new();
    let mut replicas = [(); 2].map(|()| Replica::new(&apiserver));
    half_an_hour(&mut replicas, &apiserver).await;
    let spoilt = |data| json!({"metadata": {}, "type": TYPE, "data": data});
    for (certificates, secret) in [
        (2, None),
        (3, Some(spoilt(json!({"current.crt": "eA=="})))),
        (4, Some(spoilt(json!({})))),
    ] {
        apiserver.delete(SECRET);
        if let Some(secret) = secret {
            apiserver.put(SECRET, secret);
        }
        half_an_hour(&mut replicas, &apiserver).await;
        assert_eq!(trusted(&apiserver), certificates);
    }
}

#[tokio::test(start_paused = true)]
async fn registrations_that_are_made_anew_are_put_right_by_any_replica() {
    let apiserver = Apiserver::new();
    let mut replicas = [(); 2].map(|()| Replica::new(&apiserver));
    half_an_hour(&mut replicas, &apiserver).await;
    apiserver.register();
    assert!(!replicas[0].is_accepted(&apiserver).await);
    replicas[1].look().await;
    assert!(replicas[0].is_accepted(&apiserver).await);
}

#[tokio::test(start_paused = true)]
async fn without_a_registration_it_serves_and_is_not_ready() {
    let apiserver = Apiserver::new();
    for plural in [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ] {
        apiserver.delete(&registration(plural));
    }
    let mut replica = Replica::new(&apiserver);
    replica.look().await;
    assert!(replica.current.identity().is_some());
    assert_eq!(
        replica.readiness.pending(),
        ["certificate"],
        "the apiserver knows nothing of it"
    );
    apiserver.register();
    replica.look().await;
    assert!(replica.readiness.pending().is_empty() && replica.is_accepted(&apiserver).await);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_secret_is_never_written() {
    let apiserver = Apiserver::new();
    let theirs = json!({"metadata": {"name": "authority"}, "type": "kubernetes.io/tls", "data": {"tls.key": "eA=="}});
    apiserver.put(SECRET, theirs);
    let before = apiserver.object(SECRET);
    let mut replica = Replica::new(&apiserver);
    replica.look().await;
    assert_eq!(apiserver.object(SECRET), before);
    assert!(apiserver.writes().is_empty());
    assert!(
        replica.reconciler.told.contains("kubernetes.io/tls")
            && replica.reconciler.told.contains("--tls-secret")
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_the_right_that_lacks_and_what_is_served_stays() {
    let apiserver = Apiserver::new();
    apiserver.refuse(|(method, path, _)| {
        (method == "PATCH" && path.contains("validating")).then_some(403)
    });
    let mut replica = Replica::new(&apiserver);
    replica.look().await;
    replica.look().await;
    let told = &replica.reconciler.told;
    assert!(
        told.contains("writing ") && told.contains("validatingwebhookconfigurations/fluxkeep"),
        "{told}"
    );
    assert!(
        told.contains("is refused (403)")
            && told.contains("grant fluxkeep's ServiceAccount this right"),
        "{told}"
    );
    assert_eq!(replica.counted("ca", "error"), 2);
    assert!(
        replica.current.identity().is_none(),
        "nothing is served that is not trusted everywhere"
    );
    apiserver.refuse(|_| None);
    replica.look().await;
    assert!(replica.is_accepted(&apiserver).await && replica.reconciler.told.is_empty());
    apiserver.refuse(|_| Some(503));
    replica.look().await;
    assert!(replica.is_accepted(&apiserver).await);
    assert_eq!(
        replica.counted("ca", "error"),
        2,
        "what cannot be read is no failed rotation"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_comes_too_late_is_no_failure() {
    let apiserver = Apiserver::new();
    let mut replica = Replica::new(&apiserver);
    apiserver.refuse(|(method, ..)| (method == "PUT").then_some(404));
    replica.look().await;
    apiserver.refuse(|(method, ..)| (method == "PUT").then_some(409));
    replica.look().await;
    assert_eq!(
        (
            replica.reconciler.told.as_str(),
            replica.counted("ca", "error")
        ),
        ("", 0)
    );
    apiserver.refuse(|_| None);
    replica.look().await;
    assert!(replica.is_accepted(&apiserver).await);
}

#[tokio::test(start_paused = true)]
async fn no_key_leaves_the_secret() {
    let apiserver = Apiserver::new();
    let mut replica = Replica::new(&apiserver);
    replica.look().await;
    let key: k8s_openapi::ByteString =
        serde_json::from_value(apiserver.object(SECRET)["data"]["current.key"].clone()).unwrap();
    let key = String::from_utf8(key.0).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(
        !apiserver.bundles().concat().contains(line)
            && apiserver.bundles()[0].contains("BEGIN CERTIFICATE")
    );
    assert!(
        Authority::read(apiserver.bundles()[0].as_bytes(), key.as_bytes(), "here").is_ok(),
        "it is the key"
    );
    assert!(!format!("{:?}", apiserver.place()).contains(line));
    assert_eq!(apiserver.place().terms, Terms::default());
}
