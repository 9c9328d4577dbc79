//! The Grafana dashboard: a table, from which the chart's JSON is written.

mod picture;
mod table;

use std::io::Write;
use std::process::{Command, Stdio};

use fluxkeep_tests::control_plane::{program, said};
use regex::Regex;
use serde_json::{Value, json};

use crate::alerts::{NAMES, exposed};
use crate::{HELMS, objects, of_kind, root};
pub(crate) use picture::{Answered, Line, draw};
use table::Limits;
use table::{Kind, Panel, ROWS};

/// Heights of a row of numbers and of all others, in Grafana's grid.
const LOW: u64 = 4;
const HIGH: u64 = 8;
/// The data source that a user picks. Provisioning resolves neither a uid nor `${DS_PROMETHEUS}`.
const SOURCE: &str = "${datasource}";
/// One point in a graph for each refusal.
const REFUSALS: &str =
    r#"sum by (rule) (increase(fluxkeep_findings_total{outcome="refused"}[$__rate_interval])) > 0"#;

/// The expression, written out.
fn expression(text: &str) -> String {
    text.replace("{N", &format!("{{{NAMES}"))
}

/// The dashboard for `charts/fluxkeep/files/dashboard.json`: a line for each panel.
pub(crate) fn text() -> String {
    let mut dashboard = dashboard();
    let panels = dashboard["panels"].take();
    let lines = panels.as_array().unwrap().iter().map(Value::to_string);
    let lines: Vec<_> = lines.collect();
    let list = format!("\"panels\": [\n{}\n  ]", lines.join(",\n"));
    let text = serde_json::to_string_pretty(&dashboard).unwrap() + "\n";
    text.replace("\"panels\": null", &list)
}

fn dashboard() -> Value {
    let source = json!({"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "hide": 0,
        "current": {"selected": true, "text": "default", "value": "default"}});
    let refusals = json!({"name": "Refusals", "datasource": prometheus(), "enable": true, "iconColor": "red",
        "expr": REFUSALS, "step": "1m", "titleFormat": "fluxkeep refused", "textFormat": "{{rule}}"});
    json!({
        "uid": "fluxkeep",
        "title": "fluxkeep",
        "description": "Written by `make docs` from tests/tests/chart/dashboard/table.rs.",
        "tags": ["fluxkeep", "flux"],
        "schemaVersion": 39,
        "editable": true,
        "graphTooltip": 1,
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [source]},
        "annotations": {"list": [refusals]},
        "panels": panels(),
    })
}

fn prometheus() -> Value {
    json!({"type": "prometheus", "uid": SOURCE})
}

/// All rows with their panels, placed from left to right and from top to bottom.
fn panels() -> Vec<Value> {
    let (mut panels, mut y) = (Vec::new(), 0);
    for row in &ROWS {
        let place = json!({"x": 0, "y": y, "w": 24, "h": 1});
        panels.push(json!({"id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false, "gridPos": place,
            "panels": []}));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in row.panels {
            if x + panel.width > 24 {
                (x, y) = (0, y + height);
            }
            height = height_of(panel.kind);
            let place = json!({"x": x, "y": y, "w": panel.width, "h": height});
            panels.push(written(panel, panels.len() + 1, &place));
            x += panel.width;
        }
        y += height;
    }
    panels
}

fn height_of(kind: Kind) -> u64 {
    match kind {
        Kind::Number(_) | Kind::Word => LOW,
        Kind::Lines | Kind::Table | Kind::Heatmap => HIGH,
    }
}

fn written(panel: &Panel, id: usize, place: &Value) -> Value {
    let targets = panel
        .queries
        .iter()
        .zip('A'..)
        .map(|(query, id)| target(panel, *query, id));
    json!({
        "id": id,
        "type": kind(panel.kind),
        "title": panel.title,
        "description": panel.about,
        "datasource": prometheus(),
        "gridPos": place,
        "targets": targets.collect::<Vec<_>>(),
        "options": options(panel.kind),
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
    })
}

fn target(panel: &Panel, (expr, legend): (&str, &str), id: char) -> Value {
    let is_now = matches!(panel.kind, Kind::Number(_) | Kind::Word | Kind::Table);
    let format = match panel.kind {
        Kind::Table => "table",
        Kind::Heatmap => "heatmap",
        Kind::Number(_) | Kind::Word | Kind::Lines => "time_series",
    };
    json!({"refId": id.to_string(), "datasource": prometheus(), "expr": expression(expr), "legendFormat": legend,
        "format": format, "instant": is_now, "range": !is_now})
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Number(_) | Kind::Word => "stat",
        Kind::Lines => "timeseries",
        Kind::Table => "table",
        Kind::Heatmap => "heatmap",
    }
}

fn options(kind: Kind) -> Value {
    match kind {
        Kind::Number(_) | Kind::Word => stat(if kind == Kind::Word { "name" } else { "value" }),
        Kind::Lines => json!({
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": true},
        }),
        Kind::Table => json!({"frameIndex": 0, "showHeader": true}),
        Kind::Heatmap => json!({
            "calculate": false,
            "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "exponent": 0.5, "steps": 64, "reverse": false},
            "showValue": "never",
            "cellGap": 1,
            "yAxis": {"unit": "s", "axisPlacement": "left"},
            "legend": {"show": true},
            "tooltip": {"mode": "single"},
            "exemplars": {"color": "orange"},
        }),
    }
}

fn stat(text: &str) -> Value {
    json!({"graphMode": "none", "colorMode": "value", "justifyMode": "auto", "textMode": text, "wideLayout": true,
        "showPercentChange": false, "percentChangeColorMode": "standard", "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "values": false, "fields": ""}})
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults = json!({"unit": panel.unit});
    match panel.kind {
        Kind::Number(limits) => defaults["thresholds"] = thresholds(limits),
        Kind::Word => defaults["thresholds"] = thresholds(Limits::None),
        Kind::Lines => {
            defaults["min"] = json!(0);
            defaults["custom"] = json!({"drawStyle": "line", "fillOpacity": 10, "showPoints": "auto", "spanNulls": false});
        }
        Kind::Table | Kind::Heatmap => {}
    }
    defaults
}

fn thresholds(limits: Limits) -> Value {
    let steps = match limits {
        Limits::None => json!([{"color": "green", "value": null}]),
        Limits::Above(orange, red) => {
            json!([{"color": "green", "value": null}, {"color": "orange", "value": orange},
            {"color": "red", "value": red}])
        }
        // A step counts from its value on.
        Limits::Below(orange, red) => {
            json!([{"color": "red", "value": null}, {"color": "orange", "value": red},
            {"color": "green", "value": orange}])
        }
    };
    json!({"mode": "absolute", "steps": steps})
}

/// All expressions of the dashboard, the annotation's included.
pub(crate) fn expressions() -> Vec<String> {
    let panels = ROWS.iter().flat_map(|row| row.panels);
    let queries = panels.flat_map(|panel| panel.queries);
    let queries = queries.map(|(query, _)| expression(query));
    queries.chain([expression(REFUSALS)]).collect()
}

/// The answer of Grafana's own types to a dashboard; empty if they take it.
fn checked(dashboard: &str) -> String {
    let mut command = Command::new(program("dashboard"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(dashboard.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.success(), output.stdout.is_empty());
    said(&output)
}

#[test]
fn grafanas_own_types_take_it_and_neither_an_unknown_key_nor_a_missing_one() {
    let good = text();
    assert_eq!(checked(&good), "");
    for (from, to, named) in [
        ("\"legendFormat\"", "\"legend\"", "legend"),
        ("\"calcs\":[\"lastNotNull\"],", "", "calcs"),
        ("\"schemaVersion\"", "\"schema\"", "schema"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good, "{from}");
        let said = checked(&bad);
        assert!(said.contains(named), "{from}: {said}");
    }
}

#[test]
fn each_query_asks_for_metrics_that_exist() {
    let text = exposed();
    let name = Regex::new("fluxkeep_[a-z_]+").unwrap();
    for expression in expressions() {
        for found in name.find_iter(&expression) {
            let samples = [
                format!("\n{}{{", found.as_str()),
                format!("\n{} ", found.as_str()),
            ];
            assert!(
                samples.iter().any(|sample| text.contains(sample)),
                "{expression}"
            );
        }
    }
}

#[test]
fn the_chart_ships_it_where_a_sidecar_finds_it() {
    let file = root().join("charts/fluxkeep/files/dashboard.json");
    let file = std::fs::read_to_string(file).unwrap();
    let given = json!({"grafanaDashboard": {"labels": {"grafana_dashboard": "yes"}, "annotations": {"folder": "Flux"},
        "namespace": "monitoring"}});
    for helm in HELMS {
        let all = objects(helm, &given, &[]);
        let maps = of_kind(&all, "ConfigMap");
        let map = maps
            .iter()
            .find(|map| map["data"]["fluxkeep.json"].is_string())
            .unwrap();
        assert_eq!(
            map["data"]["fluxkeep.json"].as_str().unwrap().trim(),
            file.trim()
        );
        assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "yes");
        assert_eq!(map["metadata"]["annotations"]["folder"], "Flux");
        assert_eq!(map["metadata"]["namespace"], "monitoring");
        let off = objects(helm, &json!({"grafanaDashboard": {"enabled": false}}), &[]);
        assert_eq!(of_kind(&off, "ConfigMap").len(), maps.len() - 1);
    }
}
