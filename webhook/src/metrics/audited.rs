//! Metrics about the last audit of the cluster.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fluxkeep::audit::Audit;
use fluxkeep::case::request::Door;
use fluxkeep::case::rule::Rule;
use fluxkeep::rules::RULES;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct AuditFinding {
    rule: &'static str,
    level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct Upgrade {
    to: String,
}

/// The findings of the last audit, and the CRDs that block upgrades.
#[derive(Debug, Default)]
pub(super) struct Audited {
    findings: Family<AuditFinding, Gauge>,
    blocked: Family<Upgrade, Gauge>,
    /// The series of the last audit.
    last: Mutex<(BTreeMap<AuditFinding, i64>, BTreeMap<Upgrade, i64>)>,
}

impl Audited {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "fluxkeep_audit_findings",
            "Findings of the last audit of the cluster, by rule and level",
            self.findings.clone(),
        );
        registry.register(
            "fluxkeep_upgrade_blocked_definitions",
            "CRDs that the apiserver would refuse in an upgrade of Flux to this minor",
            self.blocked.clone(),
        );
    }

    /// Creates series at zero, with each rule's default level. An audit asks at three doors.
    pub(super) fn start_at_zero(&self) {
        let doors = [Door::HelmRelease, Door::FluxInstance, Door::Preflight];
        let is_asked = |rule: &&Rule| rule.doors.iter().any(|door| doors.contains(door));
        for rule in RULES.into_iter().filter(is_asked) {
            let (rule, level) = (rule.id, rule.level.name());
            drop(self.findings.get_or_create(&AuditFinding { rule, level }));
        }
    }

    /// Sets the series. A series of the last audit falls to zero, or ends if its minor is no
    /// upgrade any more.
    pub(super) fn set(&self, audit: &Audit) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (findings, blocked) = &mut *last;
        for count in findings.values_mut() {
            *count = 0;
        }
        for finding in audit.verdict.standing() {
            let (rule, level) = (finding.rule, finding.level.name());
            *findings.entry(AuditFinding { rule, level }).or_default() += 1;
        }
        for (labels, count) in findings.iter() {
            self.findings.get_or_create(labels).set(*count);
        }
        let mut upgrades = BTreeMap::new();
        for (release, crds) in &audit.upgrades {
            let to = format!("{}.{}", release.major, release.minor);
            let count = i64::try_from(crds.len()).unwrap_or(i64::MAX);
            upgrades.insert(Upgrade { to }, count);
        }
        for labels in blocked
            .keys()
            .filter(|labels| !upgrades.contains_key(labels))
        {
            self.blocked.remove(labels);
        }
        for (labels, count) in &upgrades {
            self.blocked.get_or_create(labels).set(*count);
        }
        *blocked = upgrades;
    }
}
