//! The alerts and the dashboard in a real Prometheus, which scrapes a real server and the apiserver.

use std::time::{SystemTime, UNIX_EPOCH};

use fluxkeep_tests::control_plane::{
    Cluster, ControlPlane, Prometheus, Series, Webhook, asked, eventually, helm_release,
};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::dashboard::{Answered, Line, draw};
use crate::{HELMS, objects, of_kind, root};

/// Names the file for the picture of the dashboard. The story is then told for some minutes.
const PICTURE: &str = "FLUXKEEP_DASHBOARD_PICTURE";

const WORDS: &str = "Drawn by fluxkeep's own test from charts/fluxkeep/files/dashboard.json and what a real Prometheus returned for its \
    queries. The test provoked the refusals within minutes. Grafana looks different.";

/// The groups of rules, as the chart renders them for one server.
fn groups() -> Value {
    let given = json!({"replicaCount": 1, "prometheusRule": {"enabled": true}});
    let all = objects(HELMS[1], &given, &[]);
    of_kind(&all, "PrometheusRule")[0]["spec"]["groups"].clone()
}

fn alert(name: &str, state: &str) -> String {
    format!(r#"ALERTS{{alertname="{name}",alertstate="{state}"}}"#)
}

async fn fires(prometheus: &Prometheus, name: &str) {
    prometheus.holds(name, &alert(name, "firing")).await;
}

/// A CRD of a stranger. Each description is another spec.
fn definition(description: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "description": description}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

fn controller() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "source-controller", "namespace": HOME}})
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_through_the_apiserver_fires_its_alert_and_every_panel_has_data() {
    let plane = ControlPlane::start().await;
    let Some(mut prometheus) = Prometheus::start(&plane, &groups()).await else {
        return;
    };
    let cluster = plane.cluster("chart_monitored").await;
    cluster
        .apply_all(&Flux::release("2.4.0").installed(Names::Install))
        .await;
    cluster.apply(&definition("first")).await.unwrap();

    a_server_that_nobody_asks(&plane, &cluster, &prometheus).await;
    let begin = now();
    let own = plane.own_account(&cluster).await;
    cluster.may_be_told().await;
    cluster.may_keep_points().await;
    let arguments = ["--events", "--recovery-points", "fluxkeep"];
    let mut webhook = Webhook::launch(&plane, &own, arguments, true).await;
    asked(&cluster).await;
    prometheus.scrape(&webhook).await;
    what_passes_fires_nothing(&cluster, &prometheus).await;
    let rounds = if std::env::var_os(PICTURE).is_some() {
        30
    } else {
        1
    };
    for round in 0..rounds {
        story(&cluster, round).await;
    }
    fires(&prometheus, "FluxkeepRefused").await;
    let told = r#"fluxkeep_events_total{result="written"} > 0"#;
    prometheus.holds("an Event is written", told).await;

    webhook.process.kill();
    without_a_server(&cluster, &prometheus).await;
    webhook.restart().await;
    let is_mended = "sum(fluxkeep_registration_differs) == 0 and on () fluxkeep_build_info";
    prometheus
        .holds("the registration is there again", is_mended)
        .await;
    let answered = every_panel(&prometheus, begin).await;
    prometheus.process.is_running();
    if let Some(path) = std::env::var_os(PICTURE) {
        std::fs::write(path, draw(&answered, (begin, now()), WORDS)).unwrap();
    }
}

/// The server follows the cluster, but is not registered.
async fn a_server_that_nobody_asks(
    plane: &ControlPlane,
    cluster: &Cluster,
    prometheus: &Prometheus,
) {
    let webhook = Webhook::start(plane, [] as [&str; 0]).await;
    prometheus.scrape(&webhook).await;
    // A label is no change that the registration asks about.
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    let definitions = cluster.api(&definition("")).await;
    definitions
        .patch("widgets.example.org", &PatchParams::default(), &labelled)
        .await
        .unwrap();
    let seen = r#"increase(fluxkeep_changes_seen_total{resource="customresourcedefinitions",change="modified"}[1m]) > 0"#;
    prometheus.holds("the label is seen", seen).await;
    let pending = alert("FluxkeepNotAsked", "pending");
    assert!(prometheus.query(&pending).await.is_empty());
    cluster.apply(&definition("not asked")).await.unwrap();
    prometheus.holds("nobody asks the server", &pending).await;
}

async fn what_passes_fires_nothing(cluster: &Cluster, prometheus: &Prometheus) {
    cluster.apply(&definition("asked")).await.unwrap();
    let passed =
        r#"increase(fluxkeep_admission_reviews_total{door="crd",decision="allow"}[1m]) > 0"#;
    prometheus.holds("the review is counted", passed).await;
    eventually("the server is asked now", async || {
        match prometheus
            .query(&alert("FluxkeepNotAsked", "pending"))
            .await
        {
            found if found.is_empty() => Ok(()),
            found => Err(found),
        }
    })
    .await;
    let fired = prometheus.query(&alert("FluxkeepRefused", "firing")).await;
    assert!(fired.is_empty(), "{fired:?}");
}

/// Writes that pass, one that is refused, and one over which rules abstain.
async fn story(cluster: &Cluster, round: usize) {
    for change in 0..=(round % 5) {
        let text = format!("round {round}, change {change}");
        cluster.apply(&definition(&text)).await.unwrap();
    }
    let refused = cluster.delete(&controller()).await.unwrap_err().to_string();
    assert!(refused.contains("engine-deleted: "), "{refused}");
    // The chart hides its Flux.
    let mut release = helm_release(&Flux::release("2.4.0"));
    release["metadata"]["name"] = json!(format!("hidden-{round}"));
    cluster.apply(&release).await.unwrap();
    if std::env::var_os(PICTURE).is_some() {
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    }
}

/// The engine's webhooks fail closed and the others open; without webhooks the policies refuse.
async fn without_a_server(cluster: &Cluster, prometheus: &Prometheus) {
    let refused = cluster.delete(&controller()).await.unwrap_err().to_string();
    assert!(refused.contains("failed calling webhook"), "{refused}");
    cluster.apply(&definition("passed unseen")).await.unwrap();
    fires(prometheus, "FluxkeepUnreachable").await;
    fires(prometheus, "FluxkeepFailedOpen").await;
    for kind in [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ] {
        let webhooks = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "fluxkeep"}});
        cluster.delete(&webhooks).await.unwrap();
    }
    eventually("the policy refuses", async || {
        match cluster.delete(&controller()).await {
            Err(error) if error.to_string().contains("ValidatingAdmissionPolicy") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    fires(prometheus, "FluxkeepTwinRefused").await;
}

/// The panels of the chart's file, each with the data that each of its queries returns.
async fn every_panel(prometheus: &Prometheus, begin: f64) -> Vec<Answered> {
    let text =
        std::fs::read_to_string(root().join("charts/fluxkeep/files/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut answered = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let mut lines = Vec::new();
        for target in panel["targets"].as_array().into_iter().flatten() {
            lines.extend(answer(prometheus, target, begin).await);
        }
        answered.push(Answered {
            panel: panel.clone(),
            lines,
        });
    }
    let annotation = dashboard["annotations"]["list"][0].clone();
    assert!(!answer(prometheus, &annotation, begin).await.is_empty());
    answered
}

/// The data of a query. Grafana's variables have the values that it would give them here.
async fn answer(prometheus: &Prometheus, target: &Value, begin: f64) -> Vec<Line> {
    let expression = target["expr"].as_str().unwrap();
    let written = expression
        .replace("$__rate_interval", "10s")
        .replace("$__range", "1h");
    assert!(!written.contains('$'), "{written}");
    let legend = target["legendFormat"].as_str().unwrap_or_default();
    eventually(expression, async || {
        let found = if target["instant"] == true {
            prometheus.query(&written).await
        } else {
            prometheus.range(&written, (begin, now())).await
        };
        let lines: Vec<_> = found.iter().map(|series| line(legend, series)).collect();
        let has_data = lines
            .iter()
            .flat_map(|line| &line.samples)
            .any(|(_, value)| value.is_finite());
        if has_data { Ok(lines) } else { Err(lines) }
    })
    .await
}

/// A series with its legend: `{{label}}` stands for the label's value.
fn line(legend: &str, series: &Series) -> Line {
    let mut name = legend.to_owned();
    for (label, value) in &series.labels {
        name = name.replace(&["{{", label, "}}"].concat(), value);
    }
    assert!(!name.contains("{{"), "{legend} with {:?}", series.labels);
    Line {
        name,
        samples: series.samples(),
    }
}
