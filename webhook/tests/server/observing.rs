use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep_cluster::FactSource;
use fluxkeep_webhook::Settings;
use hyper::StatusCode;

use crate::client::{Server, counted, deletion, soon};

/// A cluster that is still being read, and the engines that were followed in it.
#[derive(Debug, Default)]
struct Cluster {
    pending: Mutex<BTreeSet<&'static str>>,
    followed: Mutex<Vec<Engine>>,
}

impl FactSource for Cluster {
    fn facts(&self) -> Arc<Facts> {
        Arc::default()
    }

    fn name(&self) -> &'static str {
        "cluster"
    }

    fn as_of(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn pending(&self) -> BTreeSet<&'static str> {
        self.pending.lock().unwrap().clone()
    }

    fn follow(&self, engine: &Engine) {
        self.followed.lock().unwrap().push(engine.clone());
    }
}

/// All metrics of the server, with their types.
const METRICS: [(&str, &str); 25] = [
    ("fluxkeep_admission_reviews", "counter"),
    ("fluxkeep_admission_seconds", "histogram"),
    ("fluxkeep_turned_away", "counter"),
    ("fluxkeep_log_lines_left_out", "counter"),
    ("fluxkeep_connections_given_way", "counter"),
    ("fluxkeep_client_certificates_refused", "counter"),
    ("fluxkeep_findings", "counter"),
    ("fluxkeep_abstentions", "counter"),
    ("fluxkeep_mutations", "counter"),
    ("fluxkeep_facts_age_seconds", "gauge"),
    ("fluxkeep_overrides", "gauge"),
    ("fluxkeep_certificate_not_after_seconds", "gauge"),
    ("fluxkeep_registration_changes", "counter"),
    ("fluxkeep_events", "counter"),
    ("fluxkeep_certificate_rotations", "counter"),
    ("fluxkeep_engine_controllers", "gauge"),
    ("fluxkeep_policy_reloads", "counter"),
    ("fluxkeep_policy_loaded", "gauge"),
    ("fluxkeep_unread_objects", "gauge"),
    ("fluxkeep_changes_seen", "counter"),
    ("fluxkeep_engine_info", "gauge"),
    ("fluxkeep_recovery_writes", "counter"),
    ("fluxkeep_audit_findings", "gauge"),
    ("fluxkeep_upgrade_blocked_definitions", "gauge"),
    ("fluxkeep_build", "info"),
];

#[tokio::test]
async fn it_is_ready_when_nothing_is_pending_and_names_what_is() {
    let server = Server::start(|_| {}).await;
    assert_eq!(server.observe("/readyz").await.status, StatusCode::OK);
    let pending = server.readiness.wait_for("facts");
    let answer = server.observe("/readyz").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "waiting for: facts\n")
    );
    assert_eq!(server.observe("/livez").await.status, StatusCode::OK);
    drop(pending);
    assert_eq!(server.observe("/readyz").await.status, StatusCode::OK);
    assert_eq!(server.observe("/").await.status, StatusCode::NOT_FOUND);
}

/// Waits for the first audit, whose metrics come later than the others.
async fn audited(server: &Server) {
    let line = r#"fluxkeep_upgrade_blocked_definitions{to="2.8"} 1"#;
    counted(server, line).await;
}

#[tokio::test]
async fn the_cluster_is_audited_without_a_review() {
    audited(&Server::start(|_| {}).await).await;
}

#[tokio::test]
async fn it_is_not_ready_before_the_cluster_was_read_and_names_what_was_not() {
    let cluster = Arc::new(Cluster {
        pending: Mutex::new(["deployments", "roles"].into()),
        ..Cluster::default()
    });
    let server = Server::over(Settings::loopback(), cluster.clone()).await;
    let answer = server.observe("/readyz").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (503, "waiting for: deployments, roles\n")
    );
    cluster.pending.lock().unwrap().clear();
    assert_eq!(server.observe("/readyz").await.status, StatusCode::OK);
    let age = server.observe("/metrics").await.text;
    assert!(
        age.contains(r#"fluxkeep_facts_age_seconds{source="cluster"} "#),
        "{age}"
    );
}

#[tokio::test]
async fn the_engine_is_followed_where_the_policy_has_it_and_where_a_changed_one_has_it() {
    let policy = tempfile::NamedTempFile::new().unwrap();
    let write = |namespace: &str| {
        std::fs::write(
            policy.path(),
            format!("engine: {{namespaces: [{namespace}]}}\n"),
        )
        .unwrap();
    };
    write("gitops");
    let mut settings = Settings {
        policy: Some(policy.path().to_owned()),
        ..Settings::loopback()
    };
    settings.limits.tick = std::time::Duration::from_millis(10);
    let cluster = Arc::new(Cluster::default());
    let _server = Server::over(settings, cluster.clone()).await;
    let followed = || -> Vec<_> {
        cluster
            .followed
            .lock()
            .unwrap()
            .iter()
            .map(|one| one.namespaces.join(","))
            .collect()
    };
    assert_eq!(followed(), ["gitops"]);
    write("flux-system");
    let moved = async {
        while followed() != ["gitops", "flux-system"] {
            tokio::task::yield_now().await;
        }
    };
    soon(moved).await;
}

#[tokio::test]
async fn every_metric_is_there_before_the_first_review_and_nothing_else() {
    let server = Server::start(|_| {}).await;
    audited(&server).await;
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let metrics = server.observe_as("/metrics", accept).await;
    assert_eq!(
        metrics.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let types = METRICS.map(|(name, kind)| format!("# TYPE {name} {kind}"));
    assert_eq!(
        metrics
            .text
            .lines()
            .filter(|line| line.starts_with("# TYPE"))
            .collect::<Vec<_>>(),
        types
    );
    assert!(metrics.text.ends_with("# EOF\n"));
    let lines: Vec<_> = metrics.text.lines().collect();
    for line in [
        r#"fluxkeep_admission_reviews_total{door="crd-status",decision="refuse"} 0"#,
        r#"fluxkeep_admission_seconds_count{door="helm-release"} 0"#,
        r#"fluxkeep_findings_total{rule="engine-deleted",door="engine",level="enforce",outcome="refused"} 0"#,
        r#"fluxkeep_certificate_rotations_total{certificate="leaf",result="error"} 0"#,
        r#"fluxkeep_engine_controllers{controller="source-controller",state="present"} 1"#,
        r#"fluxkeep_engine_controllers{controller="source-controller",state="missing"} 0"#,
    ] {
        assert!(lines.contains(&line), "{line} in {lines:#?}");
    }
}

#[tokio::test]
async fn a_scraper_that_accepts_no_openmetrics_gets_the_same_samples_in_the_classic_format() {
    let server = Server::start(|_| {}).await;
    audited(&server).await;
    let open = server
        .observe_as("/metrics", "application/openmetrics-text")
        .await;
    let classic = server.observe("/metrics").await;
    assert_eq!(
        classic.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let samples = |text: &str| -> Vec<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(str::to_owned).collect()
    };
    assert_eq!(samples(&classic.text), samples(&open.text));
    assert!(classic.text.contains("# TYPE fluxkeep_build_info gauge\n"));
    assert!(
        classic
            .text
            .contains("# TYPE fluxkeep_findings_total counter\n")
    );
    assert!(!classic.text.contains("# EOF"));
}

#[tokio::test]
async fn every_line_is_a_name_labels_and_a_number() {
    let server = Server::start(|_| {}).await;
    audited(&server).await;
    server
        .client()
        .await
        .review(deletion("source-controller"))
        .await;
    for line in server
        .observe("/metrics")
        .await
        .text
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(
            METRICS.iter().any(|(name, _)| series.starts_with(name)),
            "{line}"
        );
    }
}

#[tokio::test]
async fn reviews_are_counted_by_door_and_decision_and_never_by_name() {
    let server = Server::start(|_| {}).await;
    let mut client = server.client().await;
    for body in [
        deletion("source-controller"),
        deletion("source-controller"),
        deletion("a-stranger"),
        String::new(),
    ] {
        client.review(body).await;
    }
    let text = server.observe("/metrics").await.text;
    for line in [
        r#"fluxkeep_admission_reviews_total{door="engine",decision="refuse"} 2"#,
        r#"fluxkeep_admission_reviews_total{door="engine",decision="allow"} 1"#,
        r#"fluxkeep_admission_reviews_total{door="none",decision="error"} 1"#,
        r#"fluxkeep_admission_seconds_count{door="engine"} 3"#,
        r#"fluxkeep_findings_total{rule="engine-deleted",door="engine",level="enforce",outcome="refused"} 2"#,
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    assert!(!text.contains("a-stranger") && !text.contains("jane"));
}
