//! Samples under which each alert fires, and look-alikes under which it stays silent.

/// Samples of an alert: series with promtool's notation of values, one a minute.
pub(crate) struct Samples {
    pub(crate) alert: &'static str,
    /// The time of the evaluation.
    pub(crate) at: &'static str,
    pub(crate) fires: &'static [(&'static str, &'static str)],
    pub(crate) silent: &'static [(&'static str, &'static str)],
}

const fn samples(
    alert: &'static str,
    at: &'static str,
    fires: &'static [(&'static str, &'static str)],
    silent: &'static [(&'static str, &'static str)],
) -> Samples {
    Samples {
        alert,
        at,
        fires,
        silent,
    }
}

pub(crate) const CASES: [Samples; 27] = [
    samples(
        "FluxkeepDown",
        "10m",
        &[(r#"up{job="fluxkeep"}"#, "0x400")],
        &[(r#"fluxkeep_build_info{pod="a"}"#, "1x400")],
    ),
    samples(
        "FluxkeepReplicaMissing",
        "20m",
        &[(r#"fluxkeep_build_info{pod="a"}"#, "1x400")],
        &[
            (r#"fluxkeep_build_info{pod="a"}"#, "1x400"),
            (r#"fluxkeep_build_info{pod="b"}"#, "1x400"),
        ],
    ),
    samples(
        "FluxkeepUnreachable",
        "15m",
        &[(
            r#"apiserver_admission_webhook_rejection_count{name="crd.engine.fluxkeep.io",error_type="calling_webhook_error"}"#,
            "_x10 1x400",
        )],
        &[
            (
                r#"apiserver_admission_webhook_rejection_count{name="crd.engine.fluxkeep.io",error_type="no_error"}"#,
                "0x10 1x400",
            ),
            (
                r#"apiserver_admission_webhook_rejection_count{name="validate.kyverno.svc",error_type="calling_webhook_error"}"#,
                "0x10 1x400",
            ),
        ],
    ),
    samples(
        "FluxkeepFailedOpen",
        "15m",
        &[(
            r#"apiserver_admission_webhook_fail_open_count{name="crd.others.fluxkeep.io"}"#,
            "_x10 1x400",
        )],
        &[(
            r#"apiserver_admission_webhook_fail_open_count{name="crd.others.fluxkeep.io"}"#,
            "3x400",
        )],
    ),
    samples(
        "FluxkeepConditionFails",
        "15m",
        &[(
            r#"apiserver_admission_match_condition_evaluation_errors_total{name="crd.engine.fluxkeep.io"}"#,
            "_x10 1x400",
        )],
        &[(
            r#"apiserver_admission_match_condition_evaluation_errors_total{name="crd.engine.fluxkeep.io"}"#,
            "3x400",
        )],
    ),
    samples(
        "FluxkeepTwinRefused",
        "15m",
        &[(
            r#"apiserver_validating_admission_policy_check_total{policy="engine-deleted.fluxkeep.io",enforcement_action="deny"}"#,
            "_x10 1x400",
        )],
        &[
            (
                r#"apiserver_validating_admission_policy_check_total{policy="engine-deleted.fluxkeep.io",enforcement_action="allow"}"#,
                "_x10 1x400",
            ),
            (
                r#"apiserver_validating_admission_policy_check_total{policy="mine.example.org",enforcement_action="deny"}"#,
                "_x10 1x400",
            ),
        ],
    ),
    samples(
        "FluxkeepRegistrationDiffers",
        "30m",
        &[(
            r#"fluxkeep_registration_differs{pod="a",object="x"}"#,
            "1x400",
        )],
        &[(
            r#"fluxkeep_registration_differs{pod="a",object="x"}"#,
            "0x10 1x3 0x400",
        )],
    ),
    samples(
        "FluxkeepNotAsked",
        "30m",
        &[
            (
                r#"fluxkeep_changes_seen_total{pod="a",resource="customresourcedefinitions",change="spec"}"#,
                "0x5 1x400",
            ),
            (
                r#"fluxkeep_admission_reviews_total{pod="a",door="crd",decision="allow"}"#,
                "7x400",
            ),
            (
                r#"fluxkeep_admission_reviews_total{pod="a",door="engine",decision="allow"}"#,
                "0+1x400",
            ),
        ],
        // Both pods see the change, and one was asked. Status changes ask nobody.
        &[
            (
                r#"fluxkeep_changes_seen_total{pod="a",resource="customresourcedefinitions",change="spec"}"#,
                "0x5 1x400",
            ),
            (
                r#"fluxkeep_changes_seen_total{pod="b",resource="customresourcedefinitions",change="modified"}"#,
                "0+1x400",
            ),
            (
                r#"fluxkeep_admission_reviews_total{pod="b",door="crd",decision="allow"}"#,
                "7x5 8x400",
            ),
        ],
    ),
    samples(
        "FluxkeepRefused",
        "15m",
        &[(
            r#"fluxkeep_findings_total{pod="a",rule="crd-invalid",outcome="refused"}"#,
            "0x10 1x400",
        )],
        &[(
            r#"fluxkeep_findings_total{pod="a",rule="crd-invalid",outcome="warned"}"#,
            "0x10 1x400",
        )],
    ),
    samples(
        "FluxkeepRefusesAgain",
        "3h",
        &[(
            r#"fluxkeep_findings_total{pod="a",rule="crd-invalid",outcome="refused"}"#,
            "0+0.2x400",
        )],
        &[(
            r#"fluxkeep_findings_total{pod="a",rule="crd-invalid",outcome="refused"}"#,
            "0x10 1x400",
        )],
    ),
    samples(
        "FluxkeepUnreadable",
        "15m",
        &[(
            r#"fluxkeep_admission_reviews_total{pod="a",door="none",decision="error"}"#,
            "0x10 1x400",
        )],
        &[(
            r#"fluxkeep_admission_reviews_total{pod="a",door="crd",decision="refuse"}"#,
            "0x10 1x400",
        )],
    ),
    samples(
        "FluxkeepSlow",
        "30m",
        &[
            (
                r#"fluxkeep_admission_seconds_bucket{pod="a",door="crd",le="0.25"}"#,
                "0x400",
            ),
            (
                r#"fluxkeep_admission_seconds_bucket{pod="a",door="crd",le="1.0"}"#,
                "0+10x400",
            ),
            (
                r#"fluxkeep_admission_seconds_bucket{pod="a",door="crd",le="+Inf"}"#,
                "0+10x400",
            ),
        ],
        &[
            (
                r#"fluxkeep_admission_seconds_bucket{pod="a",door="crd",le="0.25"}"#,
                "0+10x400",
            ),
            (
                r#"fluxkeep_admission_seconds_bucket{pod="a",door="crd",le="+Inf"}"#,
                "0+10x400",
            ),
        ],
    ),
    samples(
        "FluxkeepEngineIncomplete",
        "30m",
        &[
            (
                r#"fluxkeep_engine_controllers{pod="a",controller="helm-controller",state="missing"}"#,
                "1x400",
            ),
            (
                r#"fluxkeep_engine_controllers{pod="b",controller="helm-controller",state="missing"}"#,
                "1x400",
            ),
        ],
        // One pod that lags behind proves nothing.
        &[
            (
                r#"fluxkeep_engine_controllers{pod="a",controller="helm-controller",state="missing"}"#,
                "1x400",
            ),
            (
                r#"fluxkeep_engine_controllers{pod="b",controller="helm-controller",state="missing"}"#,
                "0x400",
            ),
        ],
    ),
    samples(
        "FluxkeepNoRecoveryPoint",
        "2h",
        &[(
            r#"fluxkeep_recovery_points{pod="a",namespace="flux-system"}"#,
            "0x400",
        )],
        // The other server has not looked yet.
        &[
            (
                r#"fluxkeep_recovery_points{pod="a",namespace="flux-system"}"#,
                "0x400",
            ),
            (
                r#"fluxkeep_recovery_points{pod="b",namespace="flux-system"}"#,
                "1x400",
            ),
        ],
    ),
    samples(
        "FluxkeepRecoveryPointOutdated",
        "2h",
        &[(
            r#"fluxkeep_recovery_point_differs{pod="a",namespace="flux-system"}"#,
            "1x400",
        )],
        // An upgrade that took half an hour.
        &[(
            r#"fluxkeep_recovery_point_differs{pod="a",namespace="flux-system"}"#,
            "0x30 1x30 0x400",
        )],
    ),
    samples(
        "FluxkeepAuditFinds",
        "20m",
        &[(
            r#"fluxkeep_audit_findings{rule="destructive-remediation",level="enforce",pod="a"}"#,
            "1x400",
        )],
        &[
            (
                r#"fluxkeep_audit_findings{rule="destructive-remediation",level="enforce",pod="a"}"#,
                "0x400",
            ),
            (
                r#"fluxkeep_audit_findings{rule="stored-version-dropped",level="warn",pod="a"}"#,
                "2x400",
            ),
        ],
    ),
    samples(
        "FluxkeepUpgradeBlocked",
        "70m",
        &[(
            r#"fluxkeep_upgrade_blocked_definitions{to="2.9",pod="a"}"#,
            "4x400",
        )],
        &[(
            r#"fluxkeep_upgrade_blocked_definitions{to="2.9",pod="a"}"#,
            "0x400",
        )],
    ),
    samples(
        "FluxkeepFactsStale",
        "30m",
        &[(
            r#"fluxkeep_facts_age_seconds{pod="a",source="cluster"}"#,
            "0+60x400",
        )],
        &[
            (
                r#"fluxkeep_facts_age_seconds{pod="a",source="cluster"}"#,
                "60x400",
            ),
            (
                r#"fluxkeep_facts_age_seconds{pod="a",source="snapshot"}"#,
                "0+60x400",
            ),
        ],
    ),
    samples(
        "FluxkeepCertificateEnds",
        "2h",
        &[(
            r#"fluxkeep_certificate_not_after_seconds{pod="a",certificate="leaf"}"#,
            "1641600x400",
        )],
        &[(
            r#"fluxkeep_certificate_not_after_seconds{pod="a",certificate="leaf"}"#,
            "2592000x400",
        )],
    ),
    samples(
        "FluxkeepCertificateEndsSoon",
        "2h",
        &[(
            r#"fluxkeep_certificate_not_after_seconds{pod="a",certificate="leaf"}"#,
            "172800x400",
        )],
        &[(
            r#"fluxkeep_certificate_not_after_seconds{pod="a",certificate="leaf"}"#,
            "1641600x400",
        )],
    ),
    samples(
        "FluxkeepRotationFails",
        "2h",
        &[(
            r#"fluxkeep_certificate_rotations_total{pod="a",certificate="ca",result="error"}"#,
            "0+1x400",
        )],
        &[(
            r#"fluxkeep_certificate_rotations_total{pod="a",certificate="ca",result="error"}"#,
            "0x10 1x400",
        )],
    ),
    samples(
        "FluxkeepPolicyRejected",
        "30m",
        &[(r#"fluxkeep_policy_loaded{pod="a"}"#, "0x400")],
        &[(r#"fluxkeep_policy_loaded{pod="a"}"#, "1x400")],
    ),
    samples(
        "FluxkeepRegistrationWriteFails",
        "2h",
        &[(
            r#"fluxkeep_registration_changes_total{pod="a",change="failed"}"#,
            "0+1x400",
        )],
        &[(
            r#"fluxkeep_registration_changes_total{pod="a",change="configured"}"#,
            "0+1x400",
        )],
    ),
    samples(
        "FluxkeepOverrideActive",
        "30h",
        &[(
            r#"fluxkeep_overrides{pod="a",rule="x",state="active"}"#,
            "1x2000",
        )],
        &[(
            r#"fluxkeep_overrides{pod="a",rule="x",state="active"}"#,
            "1x600 0x1400",
        )],
    ),
    samples(
        "FluxkeepOverrideExpired",
        "2h",
        &[(
            r#"fluxkeep_overrides{pod="a",rule="x",state="expired"}"#,
            "1x400",
        )],
        &[(
            r#"fluxkeep_overrides{pod="a",rule="x",state="active"}"#,
            "1x400",
        )],
    ),
    samples(
        "FluxkeepAbstains",
        "3h",
        &[(
            r#"fluxkeep_abstentions_total{pod="a",rule="x",door="release-record"}"#,
            "0+1x400",
        )],
        &[(
            r#"fluxkeep_abstentions_total{pod="a",rule="x",door="helm-release"}"#,
            "0+1x400",
        )],
    ),
    samples(
        "FluxkeepEventsLost",
        "15m",
        &[(
            r#"fluxkeep_events_total{pod="a",result="dropped"}"#,
            "0x10 1x400",
        )],
        &[(
            r#"fluxkeep_events_total{pod="a",result="written"}"#,
            "0x10 1x400",
        )],
    ),
];
