//! The table of panels. The chart's dashboard is written from it.

/// A row of panels under a title.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: &'static [Panel],
}

/// A panel with its queries.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    /// Grafana's name of the unit.
    pub(crate) unit: &'static str,
    /// Columns of the 24 that a row has.
    pub(crate) width: u64,
    /// Expressions, each with the legend of its series. `N` is short for the names of the webhooks.
    pub(crate) queries: &'static [(&'static str, &'static str)],
}

/// The form of a panel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// One number.
    Number(Limits),
    /// The legend of one series.
    Word,
    /// A line for each series.
    Lines,
    /// A line of the table for each series.
    Table,
    /// Buckets over time.
    Heatmap,
}

/// The values from which a number is orange and red.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limits {
    /// Every value is good.
    None,
    /// High values are bad.
    Above(f64, f64),
    /// Low values are bad.
    Below(f64, f64),
}

const DAY: f64 = 86_400.0;

const fn number(
    title: &'static str,
    about: &'static str,
    unit: &'static str,
    limits: Limits,
    query: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        about,
        kind: Kind::Number(limits),
        unit,
        width: 3,
        queries: query,
    }
}

const fn lines(
    title: &'static str,
    about: &'static str,
    unit: &'static str,
    queries: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel {
        title,
        about,
        kind: Kind::Lines,
        unit,
        width: 8,
        queries,
    }
}

pub(crate) const ROWS: [Row; 5] = [
    Row {
        title: "Is Flux guarded",
        panels: &[
            number(
                "Servers",
                "Servers of fluxkeep that answer Prometheus.",
                "none",
                Limits::Below(2.0, 1.0),
                &[("count(fluxkeep_build_info)", "")],
            ),
            Panel {
                title: "Flux",
                about: "The version of Flux that runs, according to its controllers.",
                kind: Kind::Word,
                unit: "none",
                width: 3,
                queries: &[("max by (version) (fluxkeep_engine_info)", "{{version}}")],
            },
            number(
                "Controllers missing",
                "Core controllers of Flux without a Deployment.",
                "none",
                Limits::Above(1.0, 1.0),
                &[(
                    r#"sum(min by (controller) (fluxkeep_engine_controllers{state="missing"}))"#,
                    "",
                )],
            ),
            number(
                "Refused in a day",
                "Findings that refused a write.",
                "none",
                Limits::Above(1.0, 10.0),
                &[(
                    r#"ceil(sum(increase(fluxkeep_findings_total{outcome="refused"}[1d])))"#,
                    "",
                )],
            ),
            number(
                "Age of the facts",
                "Time since a server last heard the cluster. After five minutes, releases of Flux are refused.",
                "s",
                Limits::Above(120.0, 180.0),
                &[("max(fluxkeep_facts_age_seconds)", "")],
            ),
            number(
                "Certificate ends in",
                "Life that is left of the certificate that ends first.",
                "s",
                Limits::Below(20.0 * DAY, 3.0 * DAY),
                &[("min(fluxkeep_certificate_not_after_seconds) - time()", "")],
            ),
            number(
                "Overrides in force",
                "Exceptions in the policy and in the cluster.",
                "none",
                Limits::Above(1.0, 100.0),
                &[(
                    r#"sum(max by (rule) (fluxkeep_overrides{state="active"}))"#,
                    "",
                )],
            ),
            number(
                "Registration differs",
                "Webhook configurations and policies that are missing or were changed.",
                "none",
                Limits::Above(1.0, 1.0),
                &[("sum(max by (object) (fluxkeep_registration_differs))", "")],
            ),
        ],
    },
    Row {
        title: "What was refused",
        panels: &[
            lines(
                "Findings",
                "By rule and outcome.",
                "none",
                &[(
                    "sum by (rule, outcome) (increase(fluxkeep_findings_total[$__rate_interval])) > 0",
                    "{{rule}} {{outcome}}",
                )],
            ),
            Panel {
                title: "Refusals",
                about: "By rule and door, in the time shown. `fluxkeep explain RULE` has the cure.",
                kind: Kind::Table,
                unit: "none",
                width: 8,
                queries: &[(
                    r#"sort_desc(ceil(sum by (rule, door) (increase(fluxkeep_findings_total{outcome="refused"}[$__range]))) > 0)"#,
                    "{{rule}} {{door}}",
                )],
            },
            Panel {
                title: "Alerts that fire",
                about: "docs/alerts.md has a section for each.",
                kind: Kind::Table,
                unit: "none",
                width: 8,
                queries: &[(
                    r#"max by (alertname, severity) (ALERTS{alertname=~"Fluxkeep.+",alertstate="firing"})"#,
                    "{{alertname}} {{severity}}",
                )],
            },
        ],
    },
    Row {
        title: "Reviews",
        panels: &[
            lines(
                "Reviews by door",
                "The doors are described in the documentation.",
                "reqps",
                &[(
                    "sum by (door) (rate(fluxkeep_admission_reviews_total[$__rate_interval]))",
                    "{{door}}",
                )],
            ),
            lines(
                "Reviews by decision",
                "`error` means that a request was no review.",
                "reqps",
                &[(
                    "sum by (decision) (rate(fluxkeep_admission_reviews_total[$__rate_interval]))",
                    "{{decision}}",
                )],
            ),
            lines(
                "Rules that abstained",
                "A rule abstains if it lacks a fact. At the door helm-release this is normal: a chart may hide its Flux.",
                "none",
                &[(
                    "sum by (rule) (increase(fluxkeep_abstentions_total[$__rate_interval])) > 0",
                    "{{rule}}",
                )],
            ),
            Panel {
                title: "Time to answer",
                about: "As the server measures it.",
                kind: Kind::Heatmap,
                unit: "s",
                width: 8,
                queries: &[(
                    "sum by (le) (increase(fluxkeep_admission_seconds_bucket[$__rate_interval]))",
                    "{{le}}",
                )],
            },
            lines(
                "Time to answer, slowest 1 %",
                "By door.",
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (door, le) (rate(fluxkeep_admission_seconds_bucket[$__rate_interval])))",
                    "{{door}}",
                )],
            ),
            lines(
                "Turned away",
                "Requests that were not judged, by lane and reason.",
                "none",
                &[(
                    "sum by (lane, reason) (increase(fluxkeep_turned_away_total[$__rate_interval]))",
                    "{{lane}} {{reason}}",
                )],
            ),
        ],
    },
    Row {
        title: "What the apiserver sees",
        panels: &[
            lines(
                "Requests by webhook",
                "Needs the apiserver's metrics, as do the next panels.",
                "reqps",
                &[(
                    "sum by (name) (rate(apiserver_admission_webhook_request_total{N}[$__rate_interval]))",
                    "{{name}}",
                )],
            ),
            lines(
                "Time to answer, slowest 1 %",
                "As the apiserver measures it, network included.",
                "s",
                &[(
                    "histogram_quantile(0.99, sum by (name, le) (rate(apiserver_admission_webhook_admission_duration_seconds_bucket{N}[$__rate_interval])))",
                    "{{name}}",
                )],
            ),
            lines(
                "Not answered, or refused by a policy",
                "Writes that the server did not decide. `refused`: the webhook fails closed. `passed`: it fails open.",
                "none",
                &[
                    (
                        r#"sum by (name, error_type) (apiserver_admission_webhook_rejection_count{N,error_type!="no_error"})"#,
                        "refused: {{name}} {{error_type}}",
                    ),
                    (
                        "sum by (name) (apiserver_admission_webhook_fail_open_count{N})",
                        "passed: {{name}}",
                    ),
                    (
                        r#"sum by (policy) (apiserver_validating_admission_policy_check_total{policy=~".+[.]fluxkeep[.]io",enforcement_action="deny"})"#,
                        "policy: {{policy}}",
                    ),
                ],
            ),
        ],
    },
    Row {
        title: "Upkeep",
        panels: &[
            lines(
                "Certificates renewed",
                "By certificate and result.",
                "none",
                &[(
                    "sum by (certificate, result) (increase(fluxkeep_certificate_rotations_total[$__rate_interval]))",
                    "{{certificate}} {{result}}",
                )],
            ),
            lines(
                "Policy and registration",
                "Reloads of the policy file, and writes of a server that keeps its own registration.",
                "none",
                &[
                    (
                        "sum by (result) (increase(fluxkeep_policy_reloads_total[$__rate_interval]))",
                        "policy {{result}}",
                    ),
                    (
                        "sum by (change) (increase(fluxkeep_registration_changes_total[$__rate_interval]))",
                        "registration {{change}}",
                    ),
                ],
            ),
            lines(
                "Seen and told",
                "Changes of the cluster that the servers saw, and Events that they wrote.",
                "none",
                &[
                    (
                        "sum by (resource) (increase(fluxkeep_changes_seen_total[$__rate_interval])) > 0",
                        "{{resource}}",
                    ),
                    (
                        "sum by (result) (increase(fluxkeep_events_total[$__rate_interval]))",
                        "events {{result}}",
                    ),
                ],
            ),
            lines(
                "Recovery points",
                "Points from which a lost Flux is brought back. `differs` at 1: the newest is not as the Flux that runs.",
                "none",
                &[
                    (
                        "max by (namespace) (fluxkeep_recovery_points)",
                        "{{namespace}}",
                    ),
                    (
                        "min by (namespace) (fluxkeep_recovery_point_differs)",
                        "{{namespace}} differs",
                    ),
                ],
            ),
        ],
    },
];
