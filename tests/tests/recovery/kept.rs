//! Servers keep recovery points in their own namespace.

use fluxkeep::recovery::store::{Slot, name};
use fluxkeep::recovery::{Point, Unusable};
use fluxkeep_tests::control_plane::{Webhook, eventually};
use fluxkeep_tests::flux::HOME;
use serde_json::{Value, json};

use crate::stage::{KEEPER, Stage, deployment, flux, secret};

fn has_argument(point: &Point, argument: &str) -> bool {
    let text = serde_json::to_string(point.objects()).unwrap();
    text.contains(&format!("\"args\":[\"{argument}\"]"))
}

fn config_map(slot: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name(HOME, slot, 1), "namespace": KEEPER}})
}

/// Waits until the server's log tells why no point is written.
async fn tells(server: &Webhook, why: &str) {
    eventually(&format!("the log tells that {why}"), async || {
        let text = std::fs::read_to_string(&server.process.log).unwrap_or_default();
        let mut lines = text.lines();
        let told = |line: &str| line.contains("no recovery point is written") && line.contains(why);
        if lines.any(told) { Ok(()) } else { Err(text) }
    })
    .await;
}

/// The account has only the rights that the documentation names.
#[tokio::test(flavor = "multi_thread")]
async fn a_point_is_written_once_all_controllers_are_available() {
    let stage = Stage::set("points-first").await;
    stage.cluster.apply_all(&[secret()]).await;
    stage.report(&deployment("helm-controller"), 0).await;
    let server = stage.server().await;
    let why = "Deployment flux-system/helm-controller: 0 of 1 pods are available";
    tells(&server, why).await;
    assert_eq!(stage.points().await.len(), 0);
    stage.make_available().await;

    let point = stage.newest("the first point", |_| true).await;
    assert_eq!(stage.differs(&point).await, []);
    assert_eq!(point.head.flux.as_deref(), Some("2.4.0"));
    let text = serde_json::to_string(point.objects()).unwrap();
    assert!(!text.contains("Secret") && !text.contains("hunter2"));
    eventually("the metrics tell of the point", async || {
        let of = |metric: &str| format!(r#"{metric}{{namespace="flux-system"}}"#);
        let points = server.counted(&of("fluxkeep_recovery_points")).await;
        let differs = server.counted(&of("fluxkeep_recovery_point_differs")).await;
        let written = r#"fluxkeep_recovery_writes_total{result="written"}"#;
        let written = server.counted(written).await;
        let seen = format!("{points} {differs} {written}");
        if seen == "1 0 1" { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_makes_a_point_and_the_last_three_stay() {
    let stage = Stage::set("points-three").await;
    let _server = stage.server().await;
    stage.newest("the first point", |_| true).await;
    for argument in ["--a", "--b", "--c"] {
        stage.change(argument).await;
        let what = format!("a point with {argument}");
        stage
            .newest(&what, |point| has_argument(point, argument))
            .await;
    }
    let points = stage.points().await;
    let arguments = ["--a", "--b", "--c"];
    assert_eq!(points.len(), 3);
    for (point, argument) in points.iter().zip(arguments) {
        assert!(has_argument(point, argument), "{argument}");
    }
    // The engine goes back: its point gets a new time, and no other is lost.
    stage.change("--a").await;
    stage
        .newest("the point of before", |point| has_argument(point, "--a"))
        .await;
    let digests = |points: Vec<Point>| {
        let mut digests: Vec<_> = points.into_iter().map(|point| point.head.digest).collect();
        digests.sort();
        digests
    };
    assert_eq!(digests(stage.points().await), digests(points));
}

/// The Namespace of Flux goes with all that is in it; the point stays and brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_namespace_of_flux_the_point_is_left() {
    let mut stage = Stage::set("points-left").await;
    let server = stage.server().await;
    let point = stage.newest("the first point", |_| true).await;
    // They would report that no pod runs, so they start now.
    stage.plane.start_controllers();
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}});
    stage.cluster.delete(&home).await.unwrap();
    eventually("the Namespace is gone", async || {
        match stage.cluster.get(&home).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    eventually("the server knows", async || {
        let missing =
            r#"fluxkeep_engine_controllers{controller="helm-controller",state="missing"}"#;
        let missing = server.counted(missing).await;
        if missing > 0.5 { Ok(()) } else { Err(missing) }
    })
    .await;
    assert_eq!(stage.points().await, std::slice::from_ref(&point));
    stage.cluster.apply_all(point.objects()).await;
    assert_eq!(stage.differs(&point).await, []);
}

/// Labelled as Flux's, with annotations that gzip cannot make much shorter.
fn bulky(place: u64) -> Value {
    let mut state = place + 1;
    let mut random = || {
        // Knuth's linear congruential generator; the high bits are the random ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((state >> 58) & 0x3f).unwrap())
    };
    let text: String = (0..240_000).map(|_| random()).collect();
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": format!("bulky-{place}"),
        "namespace": HOME, "labels": {"app.kubernetes.io/part-of": "flux"}, "annotations": {"x": text}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_that_one_config_map_cannot_hold_is_several() {
    let stage = Stage::set("points-parts").await;
    let bulky: Vec<Value> = (0..6).map(bulky).collect();
    stage.cluster.apply_all(&bulky).await;
    let _server = stage.server().await;
    let point = stage.newest("the first point", |_| true).await;
    assert_eq!(stage.slots().await[0].parts.len(), 2);
    let of_flux = flux().len();
    assert_eq!(point.head.objects, of_flux + bulky.len());

    for account in &bulky {
        stage.cluster.delete(account).await.unwrap();
    }
    let small = stage
        .newest("a small point", |newest| newest.head.objects == of_flux)
        .await;
    assert_eq!(stage.differs(&small).await, []);
}

/// Both see every change. Once the slots are full, each point is written exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_fight() {
    let stage = Stage::set("points-two").await;
    let servers = [stage.server().await, stage.server().await];
    let all_know = async || {
        for server in &servers {
            eventually("both know the newest point", async || {
                let differs = r#"fluxkeep_recovery_point_differs{namespace="flux-system"}"#;
                let points = r#"fluxkeep_recovery_points{namespace="flux-system"}"#;
                let (differs, points) =
                    (server.counted(differs).await, server.counted(points).await);
                if differs < 0.5 && points > 2.5 {
                    Ok(())
                } else {
                    Err((differs, points))
                }
            })
            .await;
        }
    };
    let written = async || {
        let written = r#"fluxkeep_recovery_writes_total{result="written"}"#;
        servers[0].counted(written).await + servers[1].counted(written).await
    };
    for argument in ["--first", "--second", "--third"] {
        stage.change(argument).await;
        let what = format!("a point with {argument}");
        stage
            .newest(&what, |point| has_argument(point, argument))
            .await;
    }
    all_know().await;
    let before = written().await;
    for argument in ["--a", "--b", "--c", "--d"] {
        stage.change(argument).await;
        let what = format!("a point with {argument}");
        stage
            .newest(&what, |point| has_argument(point, argument))
            .await;
        all_know().await;
    }
    let more = written().await - before;
    assert!((more - 4.0).abs() < 0.5, "{more} writes of 4 points");
    assert_eq!(stage.points().await.len(), 3);
}

/// The newest point is spoilt: the next look writes it again into the same slot.
#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_point_is_replaced() {
    let stage = Stage::set("points-spoilt").await;
    let mut server = stage.server().await;
    let point = stage.newest("the first point", |_| true).await;
    let mut spoilt = config_map(1);
    spoilt["binaryData"] = json!({"point.gz": "H4sIAAAA"});
    stage.cluster.apply(&spoilt).await.unwrap();
    let slots = stage.slots().await;
    assert!(
        matches!(slots[0].slot, Slot::Bad(Unusable::Spoilt(_))),
        "{:?}",
        slots[0].slot
    );
    server.restart().await;
    let again = stage.newest("the point again", |_| true).await;
    assert_eq!(again.head.digest, point.head.digest);
    assert_eq!(stage.slots().await[0].head(), Some(&again.head));
}

/// After half an uninstall, the points are those of the whole engine.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_lost_a_controller_makes_no_point() {
    let stage = Stage::set("points-half").await;
    let server = stage.server().await;
    let point = stage.newest("the first point", |_| true).await;
    let lost = deployment("notification-controller");
    stage.cluster.delete(&lost).await.unwrap();
    let why = "the newest point has notification-controller";
    tells(&server, why).await;
    assert_eq!(stage.points().await, [point]);
    assert_eq!(stage.slots().await[1].slot, Slot::Empty);
}
