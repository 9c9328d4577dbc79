//! The alerts: a table, from which the chart's rules and docs/alerts.md are written.

mod cases;
mod table;

use std::collections::BTreeSet;
use std::process::Command;

use fluxkeep::audit::audit;
use fluxkeep::case::policy::Policy;
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_tests::control_plane::{folder, installed, said};
use fluxkeep_tests::now;
use fluxkeep_webhook::{Metrics, ServerState};
use regex::Regex;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{HELMS, objects, of_kind};
use cases::{CASES, Samples};
use table::{ALERTS, Alert};

/// Labels of one scrape target. What is left tells cluster and namespace.
const WITHOUT: &str = "without (instance, pod, node, container, endpoint)";
/// The webhooks of fluxkeep, as the apiserver's metrics name them.
pub(crate) const NAMES: &str = r#"name=~".+[.]fluxkeep[.]io""#;

/// The alert's expression, written out. `FIRST(x)` also sees a counter that begins with its first
/// event, as the apiserver's do: `increase` misses that event.
fn expression(alert: &Alert) -> String {
    let mut text = alert.expr.to_owned();
    if let Some(inner) = text
        .strip_prefix("FIRST(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        text = format!(
            "sum W (increase({inner}[10m])) > 0 or sum W ({inner} unless {inner} offset 10m) > 0"
        );
    }
    text.replace(" W ", &format!(" {WITHOUT} "))
        .replace("{N", &format!("{{{NAMES}"))
}

/// The rules for the chart's template, which puts in the number of replicas and the runbooks.
pub(crate) fn rules() -> Value {
    let rules = ALERTS.iter().map(|alert| {
        let description = format!("{} Look at: {}", alert.impact, alert.look);
        let mut rule = json!({
            "alert": alert.name,
            "expr": expression(alert),
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": description},
        });
        if !alert.hold.is_empty() {
            rule["for"] = json!(alert.hold);
        }
        rule
    });
    json!({"rules": rules.collect::<Vec<_>>()})
}

/// docs/alerts.md, with a section for each alert.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "<!-- Written by `make docs` from tests/tests/chart/alerts/table.rs. -->\n# Alerts\n\nThe chart renders them as a \
         PrometheusRule where the cluster knows that kind. Four need the apiserver's metrics, which some managed \
         control planes hide: FluxkeepUnreachable, FluxkeepFailedOpen, FluxkeepConditionFails and \
         FluxkeepTwinRefused.\n\n| alert | severity | means |\n|---|---|---|\n",
    );
    for alert in &ALERTS {
        let link = format!("[{}](#{})", alert.name, alert.name.to_lowercase());
        page += &[
            "| ",
            &link,
            " | ",
            alert.severity,
            " | ",
            alert.summary,
            " |\n",
        ]
        .concat();
    }
    for alert in &ALERTS {
        page += &section(alert);
    }
    page
}

fn section(alert: &Alert) -> String {
    let hold = match alert.hold {
        "" => "at once".to_owned(),
        hold => format!("after {hold}"),
    };
    [
        "\n## ",
        alert.name,
        "\n\n",
        alert.summary,
        " Severity ",
        alert.severity,
        ", ",
        &hold,
        ".\n\n- **Impact:** ",
        alert.impact,
        "\n- **Look at:** `",
        alert.look,
        "`\n- **Mend:** ",
        alert.mend,
        "\n\n```promql\n",
        &expression(alert),
        "\n```\n",
    ]
    .concat()
}

#[test]
fn each_alert_has_samples_that_fire_it_and_a_look_alike() {
    let names = |names: Vec<&'static str>| names.into_iter().collect::<BTreeSet<_>>();
    let alerts = names(ALERTS.iter().map(|alert| alert.name).collect());
    let cases = names(CASES.iter().map(|case| case.alert).collect());
    assert_eq!(alerts, cases);
    assert!(
        CASES
            .iter()
            .all(|case| !case.fires.is_empty() && !case.silent.is_empty())
    );
}

/// The metrics of a server, as Prometheus reads them.
pub(crate) fn exposed() -> String {
    let snapshot = Snapshot::built_in().unwrap();
    let (facts, policy) = (snapshot.facts(), Policy::default());
    let state = ServerState::new(Arc::new(snapshot), policy.clone());
    let metrics = Metrics::default();
    metrics.audited(&audit(&facts, &policy, now()));
    metrics.expires("leaf", std::time::SystemTime::now());
    metrics.differs("a", false);
    metrics.points_seen("flux-system", &[], Some(""));
    metrics.text(&state)
}

/// Metrics of the server are those that it exposes. The apiserver's were seen in a real one.
#[test]
fn each_expression_asks_for_metrics_that_exist() {
    let text = exposed();
    let name = Regex::new("(fluxkeep|apiserver)_[a-z_]+").unwrap();
    for alert in &ALERTS {
        for found in name.find_iter(&expression(alert)) {
            let found = found.as_str();
            let samples = [format!("\n{found}{{"), format!("\n{found} ")];
            let is_own = samples.iter().any(|sample| text.contains(sample));
            assert!(
                is_own || found.starts_with("apiserver_"),
                "{}: {found}",
                alert.name
            );
        }
    }
}

#[test]
fn the_chart_renders_the_alerts_of_its_values() {
    let given = json!({"replicaCount": 3, "prometheusRule": {"enabled": true, "disabled": ["FluxkeepSlow"],
        "runbookUrl": "https://example.org/alerts#", "extraRules": [{"alert": "Mine", "expr": "vector(1)"}]}});
    for helm in HELMS {
        let all = objects(helm, &given, &[]);
        let rule = of_kind(&all, "PrometheusRule")[0];
        let rules = rule["spec"]["groups"][0]["rules"].as_array().unwrap();
        let named = |name: &str| rules.iter().find(|rule| rule["alert"] == name);
        assert_eq!(rules.len(), ALERTS.len());
        assert!(named("FluxkeepSlow").is_none() && named("Mine").is_some());
        let missing = named("FluxkeepReplicaMissing").unwrap();
        assert_eq!(missing["expr"], "count(fluxkeep_build_info) < 3");
        let link = &missing["annotations"]["runbook_url"];
        assert_eq!(link, "https://example.org/alerts#fluxkeepreplicamissing");
    }
}

/// One test of promtool: how many instances of the alert fire.
fn case(samples: &Samples, fires: bool) -> Value {
    let series = if fires { samples.fires } else { samples.silent };
    let series = series
        .iter()
        .map(|(series, values)| json!({"series": series, "values": values}));
    let expression = format!(
        r#"count(ALERTS{{alertname="{}",alertstate="firing"}})"#,
        samples.alert
    );
    let found = if fires {
        json!([{"labels": "{}", "value": 1}])
    } else {
        json!([])
    };
    json!({
        "name": format!("{} {}", samples.alert, if fires { "fires" } else { "stays silent" }),
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": [{"expr": expression, "eval_time": samples.at, "exp_samples": found}],
    })
}

#[test]
fn promtool_sees_each_alert_fire_and_stay_silent_at_its_look_alike() {
    let Some(promtool) = installed("promtool") else {
        return;
    };
    let folder = folder("alerts");
    let rules = rules();
    let mut files = Vec::new();
    for samples in &CASES {
        let mut all = rules["rules"].as_array().unwrap().iter();
        let rule = all.find(|rule| rule["alert"] == samples.alert).unwrap();
        let group = json!({"groups": [{"name": "fluxkeep", "rules": [rule]}]});
        let (rules, tests) = (
            format!("{}.rules.yaml", samples.alert),
            format!("{}.yaml", samples.alert),
        );
        let cases = [case(samples, true), case(samples, false)];
        let text = json!({"rule_files": [rules], "evaluation_interval": "1m", "tests": cases});
        let group = group.to_string().replace("@REPLICAS@", "2");
        std::fs::write(folder.join(&rules), group).unwrap();
        std::fs::write(folder.join(&tests), text.to_string()).unwrap();
        files.push(tests);
    }
    let output = Command::new(promtool)
        .args(["test", "rules"])
        .args(files)
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
