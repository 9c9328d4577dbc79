//! The age of facts, and the moment when they count as stale.

use std::time::{Duration, SystemTime};

use fluxkeep_cluster::{FactSource, Live};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::apiserver::Apiserver;
use crate::{BOUND, cluster, followed};

fn age(live: &Live) -> Duration {
    SystemTime::now()
        .duration_since(live.as_of())
        .unwrap_or_default()
}

fn is_stale(live: &Live) -> bool {
    live.facts().stale(Timestamp::now()).is_some()
}

/// Ends all watches every minute, as the apiserver does.
pub(crate) async fn ending(server: Apiserver) {
    loop {
        sleep(Duration::from_mins(1)).await;
        server.cut();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_in_which_nothing_happens_is_not_stale() {
    let server = cluster();
    let live = followed(&server).await;
    tokio::spawn(ending(server));
    for _ in 0..100 {
        sleep(Duration::from_secs(17)).await;
        assert!(age(&live) <= Duration::from_secs(61), "{:?}", age(&live));
        assert!(!is_stale(&live));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bookmark_is_a_word() {
    let server = cluster();
    let live = followed(&server).await;
    sleep(Duration::from_secs(50)).await;
    assert!(age(&live) >= Duration::from_secs(49), "{:?}", age(&live));
    server.bookmark();
    sleep(Duration::from_secs(1)).await;
    assert!(age(&live) <= Duration::from_secs(2), "{:?}", age(&live));
}

#[tokio::test(start_paused = true)]
async fn one_silent_collection_makes_the_facts_stale_after_the_bound_and_its_return_ends_it() {
    let server = cluster();
    let live = followed(&server).await;
    tokio::spawn(ending(server.clone()));
    server.refuse("deployments", 503);
    server.cut();
    sleep(Duration::from_secs(BOUND.as_secs() - 5)).await;
    assert!(!is_stale(&live), "{:?}", age(&live));
    sleep(Duration::from_secs(10)).await;
    let heard = live.facts().stale(Timestamp::now()).unwrap();
    assert_eq!(heard.resource, "deployments");
    assert!(
        live.facts().objects().count() > 0,
        "what was known is still known"
    );
    server.refuse("deployments", 200);
    sleep(Duration::from_secs(31)).await;
    assert!(!is_stale(&live), "{:?}", age(&live));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dead_and_open_is_given_up_and_made_anew() {
    let server = cluster();
    let live = followed(&server).await;
    let before = server.asked(crate::DEPLOYMENTS).len();
    sleep(Duration::from_mins(4)).await;
    let watches = server.asked(crate::DEPLOYMENTS).len() - before;
    assert!((3..=4).contains(&watches), "{watches}");
    assert!(age(&live) <= Duration::from_secs(71), "{:?}", age(&live));
}
