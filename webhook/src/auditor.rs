//! The audit in the background: every ten minutes, and soon after a change of the cluster or the
//! policy.
//!
//! An audit runs on a thread of its own, since it takes milliseconds that no review should wait
//! for. Replicas audit at different times.

use std::sync::Arc;
use std::time::Duration;

use fluxkeep::audit::{Audit, audit};
use fluxkeep::case::facts::Seen;
use fluxkeep::case::finding::Finding;
use fluxkeep::case::policy::Policy;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::registration::jitter;
use crate::state::{ServerState, now};

/// Interval between audits of a cluster without changes: overrides end with time.
const EVERY: Duration = Duration::from_mins(10);
/// Least time between audits: the changes of an upgrade come by the dozen.
const REST: Duration = Duration::from_secs(30);
/// New findings that an audit logs one by one.
const LOGGED: usize = 20;

/// Audits the cluster in the background.
#[derive(Debug)]
pub(crate) struct Auditor {
    state: Arc<ServerState>,
    metrics: Arc<Metrics>,
    /// The facts and the policy of the last audit.
    seen: Option<(Seen, Arc<Policy>)>,
    last: Audit,
    /// The time of the next audit without a change.
    due: Instant,
    /// The time before which no change leads to an audit.
    rested: Instant,
}

impl Auditor {
    pub(crate) fn new(state: Arc<ServerState>, metrics: Arc<Metrics>) -> Self {
        Self {
            state,
            metrics,
            seen: None,
            last: Audit::default(),
            due: Instant::now(),
            rested: Instant::now(),
        }
    }

    /// Audits if it is time. Facts that are incomplete or stale are not audited.
    pub(crate) async fn look(&mut self) {
        let (facts, policy) = (self.state.source().facts(), self.state.policy());
        let is_known = self.state.source().pending().is_empty() && facts.stale(now()).is_none();
        let has_changed = match &self.seen {
            Some((seen, known)) => !facts.is_as(seen) || !Arc::ptr_eq(known, &policy),
            None => true,
        };
        let is_time = self.due <= Instant::now() || has_changed && self.rested <= Instant::now();
        if !is_known || !is_time {
            return;
        }
        self.seen = Some((facts.seen(), policy.clone()));
        self.due = Instant::now() + EVERY - jitter(EVERY);
        self.rested = Instant::now() + REST + jitter(REST);
        match spawn_blocking(move || audit(&facts, &policy, now())).await {
            Ok(audited) => self.tell(audited),
            Err(error) => tracing::error!(%error, "the audit of the cluster failed"),
        }
    }

    /// Sets the gauges, and logs the findings that the last audit did not have.
    fn tell(&mut self, audited: Audit) {
        self.metrics.audited(&audited);
        let known: Vec<&Finding> = self.last.verdict.standing().collect();
        let new = audited.verdict.standing();
        let new: Vec<&Finding> = new.filter(|finding| !known.contains(finding)).collect();
        for finding in new.iter().take(LOGGED) {
            tracing::warn!(%finding, level = finding.level.name(), "the audit found a defect in the cluster");
        }
        if let Some(more) = new.len().checked_sub(LOGGED).filter(|more| *more > 0) {
            tracing::warn!(more, "the audit found more; `fluxkeep audit` lists them");
        }
        self.last = audited;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::time::SystemTime;

    use fluxkeep::case::facts::Facts;
    use fluxkeep::manifest::{Reading, read};
    use fluxkeep_cluster::{BUILT_IN, FactSource};
    use tokio::time::advance;

    use super::*;

    #[derive(Debug, Default)]
    struct Cluster {
        facts: Mutex<Facts>,
        pending: Mutex<BTreeSet<&'static str>>,
    }

    impl FactSource for Cluster {
        fn facts(&self) -> Arc<Facts> {
            Arc::new(self.facts.lock().unwrap().clone())
        }

        fn name(&self) -> &'static str {
            "cluster"
        }

        fn as_of(&self) -> SystemTime {
            SystemTime::now()
        }

        fn pending(&self) -> BTreeSet<&'static str> {
            self.pending.lock().unwrap().clone()
        }
    }

    /// A HelmRelease that would uninstall Flux.
    const HAZARD: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux, namespace: flux-system}\n\
        spec: {releaseName: flux, install: {remediation: {retries: 3}}, chart: {spec: {chart: flux2, version: 2.14.1}}}\n";
    const FOUND: &str =
        r#"fluxkeep_audit_findings{rule="destructive-remediation",level="enforce"}"#;

    fn auditor() -> (Arc<Cluster>, Auditor) {
        let cluster = Arc::new(Cluster::default());
        let objects = read(BUILT_IN, Reading::default()).unwrap();
        *cluster.facts.lock().unwrap() = Facts::of(objects);
        let state = ServerState::new(cluster.clone(), Policy::default());
        let metrics = Arc::new(Metrics::default());
        (cluster, Auditor::new(Arc::new(state), metrics))
    }

    fn shows(auditor: &Auditor, line: &str) -> bool {
        auditor.metrics.text(&auditor.state).contains(line)
    }

    fn hazard() -> fluxkeep::object::Object {
        read(HAZARD, Reading::default()).unwrap().remove(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_audited_after_a_rest_and_a_mended_defect_falls_to_zero() {
        let (cluster, mut auditor) = auditor();
        auditor.look().await;
        assert!(shows(
            &auditor,
            "fluxkeep_upgrade_blocked_definitions{to=\"2.8\"} 1\n"
        ));
        assert!(!shows(&auditor, &format!("{FOUND} 1\n")));
        cluster.facts.lock().unwrap().put(hazard());
        auditor.look().await;
        assert!(
            !shows(&auditor, &format!("{FOUND} 1\n")),
            "the auditor rests"
        );
        advance(REST * 2).await;
        auditor.look().await;
        assert!(shows(&auditor, &format!("{FOUND} 1\n")));
        cluster.facts.lock().unwrap().remove(&hazard().key());
        advance(REST * 2).await;
        auditor.look().await;
        assert!(shows(&auditor, &format!("{FOUND} 0\n")));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_change_an_audit_comes_every_ten_minutes() {
        let (_cluster, mut auditor) = auditor();
        auditor.look().await;
        let due = auditor.due;
        advance(REST * 4).await;
        auditor.look().await;
        assert_eq!(auditor.due, due, "nothing changed");
        advance(EVERY).await;
        auditor.look().await;
        assert!(auditor.due > due);
    }

    #[tokio::test(start_paused = true)]
    async fn facts_that_are_not_read_yet_are_not_audited() {
        let (cluster, mut auditor) = auditor();
        *cluster.pending.lock().unwrap() = ["deployments"].into();
        auditor.look().await;
        assert!(!shows(&auditor, "fluxkeep_upgrade_blocked_definitions{"));
        cluster.pending.lock().unwrap().clear();
        auditor.look().await;
        assert!(shows(&auditor, "fluxkeep_upgrade_blocked_definitions{"));
    }
}
