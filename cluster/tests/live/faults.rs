//! Cut connections, refusals and forgotten versions.

use std::time::Duration;

use fluxkeep_cluster::FactSource;
use tokio::time::{Instant, sleep};

use crate::apiserver::{DEFINITIONS, DEPLOYMENTS};
use crate::{cluster, controller, definition, follow, followed, has, until};

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_cut_goes_on_where_it_was_and_misses_nothing() {
    let server = cluster();
    let live = followed(&server).await;
    for round in 0..3 {
        server.cut();
        server.put(DEPLOYMENTS, controller(&format!("one{round}"), "v1"));
        until(&live, |live| {
            has(live, &format!("Deployment flux-system/one{round}"))
        })
        .await;
    }
    assert_eq!(
        server.asked(DEPLOYMENTS),
        ["list", "watch", "watch", "watch", "watch"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_apiserver_has_forgotten_is_listed_anew_and_what_went_meanwhile_is_gone() {
    let server = cluster();
    let live = followed(&server).await;
    server.put(DEPLOYMENTS, controller("helm-controller", "v1.1.0"));
    until(&live, |live| {
        has(live, "Deployment flux-system/helm-controller")
    })
    .await;
    server.lose(DEPLOYMENTS, "source-controller");
    server.cut();
    until(&live, |live| {
        !has(live, "Deployment flux-system/source-controller")
    })
    .await;
    assert!(has(&live, "Deployment flux-system/helm-controller"));
    assert_eq!(
        server.asked(DEPLOYMENTS)[..4],
        ["list", "watch", "watch", "list"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_pages_run_out_begins_again() {
    let server = cluster();
    for number in 0..30 {
        server.put(
            DEFINITIONS,
            definition(&format!("things{number}"), "example.org", &["v1"]),
        );
    }
    server.expire_tokens(2);
    let live = followed(&server).await;
    assert_eq!(
        live.facts()
            .objects()
            .filter(|one| one.definition().is_some())
            .count(),
        31
    );
    assert_eq!(
        server.asked(DEFINITIONS)[..5],
        ["list", "page", "list", "page", "list"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_collection_that_is_refused_holds_readiness_back_and_names_itself() {
    let server = cluster();
    server.refuse("deployments", 403);
    let live = follow(&server);
    until(&live, |live| live.pending() == ["deployments"].into()).await;
    let heard = live.facts().stale(jiff::Timestamp::now()).unwrap();
    assert_eq!((heard.resource, heard.at), ("deployments", None));
    server.refuse("deployments", 200);
    until(&live, |live| live.pending().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_is_down_is_asked_ever_more_seldom() {
    let server = cluster();
    let live = followed(&server).await;
    server.refuse("deployments", 503);
    server.cut();
    sleep(Duration::from_mins(10)).await;
    let asked = server.asked(DEPLOYMENTS).len();
    assert!((20..40).contains(&asked), "{asked} requests in ten minutes");
    let (back, before) = (Instant::now(), live.facts().objects().count());
    server.put(DEPLOYMENTS, controller("helm-controller", "v1.1.0"));
    server.refuse("deployments", 200);
    until(&live, |live| live.facts().objects().count() == before + 1).await;
    assert!(
        back.elapsed() <= Duration::from_secs(31),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_in_an_outage_is_listed_as_soon_as_the_apiserver_answers() {
    let server = cluster();
    let live = followed(&server).await;
    server.refuse("deployments", 503);
    server.cut();
    sleep(Duration::from_secs(610)).await;
    server.lose(DEPLOYMENTS, "source-controller");
    let back = Instant::now();
    server.refuse("deployments", 200);
    until(&live, |live| {
        !has(live, "Deployment flux-system/source-controller")
    })
    .await;
    assert!(
        back.elapsed() <= Duration::from_secs(31),
        "{:?}",
        back.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_forgets_everything_at_once_is_not_asked_without_a_pause() {
    let server = cluster();
    let live = followed(&server).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(5) {
        server.forget();
        sleep(Duration::from_millis(5)).await;
    }
    let asked = server.asked(DEPLOYMENTS).len();
    assert!(asked < 80, "{asked} lists and watches in five minutes");
    assert!(live.pending().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_ends_every_watch_at_once_is_not_asked_without_a_pause() {
    let server = cluster();
    let live = followed(&server).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(5) {
        server.cut();
        sleep(Duration::from_millis(5)).await;
    }
    let asked = server.asked(DEPLOYMENTS).len();
    assert!(asked < 40, "{asked} watches in five minutes");
    assert!(live.pending().is_empty());
}
