//! Metrics about recovery points. The label is the engine's namespace, as the policy names it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fluxkeep::recovery::Head;
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfEngine {
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Wrote {
    result: &'static str,
}

/// The number of points, the newest one's age, and whether it is as the engine.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    points: Family<OfEngine, Gauge>,
    age: Family<OfEngine, Gauge>,
    differs: Family<OfEngine, Gauge>,
    writes: Family<Wrote, Counter>,
    /// The time of the newest point, by namespace.
    newest: Mutex<BTreeMap<String, Timestamp>>,
}

impl Recovery {
    pub(super) fn seen(&self, namespace: &str, heads: &[&Head], running: Option<&str>) {
        let label = OfEngine {
            namespace: namespace.to_owned(),
        };
        if heads.is_empty() && running.is_none() {
            // A namespace of the policy without a Flux: no alert shall ask for its point.
            self.points.remove(&label);
            self.differs.remove(&label);
            return;
        }
        let count = i64::try_from(heads.len()).unwrap_or(i64::MAX);
        self.points.get_or_create(&label).set(count);
        let newest = heads.iter().max_by_key(|head| head.taken);
        let is_other = |running: &str| newest.is_none_or(|newest| newest.digest != running);
        let differs = running.is_some_and(is_other);
        self.differs.get_or_create(&label).set(i64::from(differs));
        let mut times = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.and_then(|newest| newest.taken) {
            Some(taken) => drop(times.insert(label.namespace, taken)),
            None => drop(times.remove(namespace)),
        }
    }

    pub(super) fn wrote(&self, result: &'static str) {
        self.writes.get_or_create(&Wrote { result }).inc();
    }

    pub(super) fn start_at_zero(&self) {
        for result in ["written", "overtaken", "failed"] {
            drop(self.writes.get_or_create(&Wrote { result }));
        }
    }

    /// Updates the ages.
    pub(super) fn observe(&self, now: Timestamp) {
        self.age.clear();
        let times = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        for (namespace, taken) in times.iter() {
            let label = OfEngine {
                namespace: namespace.clone(),
            };
            let age = now.duration_since(*taken).as_secs().max(0);
            self.age.get_or_create(&label).set(age);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "fluxkeep_recovery_points",
            "Good recovery points of the Flux in this namespace",
            self.points.clone(),
        );
        registry.register(
            "fluxkeep_recovery_point_age_seconds",
            "Age of the newest recovery point",
            self.age.clone(),
        );
        registry.register(
            "fluxkeep_recovery_point_differs",
            "1 if the running Flux is not as its newest recovery point",
            self.differs.clone(),
        );
        registry.register(
            "fluxkeep_recovery_writes",
            "Writes of recovery points, by result",
            self.writes.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use prometheus_client::encoding::text::encode;

    /// The samples after these heads were seen, at this second.
    fn samples(heads: &[&Head], running: Option<&str>, second: i64) -> String {
        let (recovery, mut registry) = (Recovery::default(), Registry::default());
        recovery.register(&mut registry);
        recovery.seen("flux-system", heads, running);
        recovery.observe(Timestamp::from_second(second).unwrap());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let short = |line: &str| line.replace(r#"{namespace="flux-system"}"#, "");
        samples.map(short).collect::<Vec<_>>().join("; ")
    }

    fn head(digest: &str, second: i64) -> Head {
        Head {
            digest: digest.to_owned(),
            taken: Some(Timestamp::from_second(second).unwrap()),
            ..Head::default()
        }
    }

    #[test]
    fn the_newest_point_gives_the_age_and_is_compared() {
        let (older, newer) = (head("a", 10), head("b", 20));
        let seen = samples(&[&newer, &older], Some("b"), 25);
        assert_eq!(
            seen,
            "fluxkeep_recovery_points 2; fluxkeep_recovery_point_age_seconds 5; fluxkeep_recovery_point_differs 0"
        );
        let seen = samples(&[&newer, &older], Some("a"), 25);
        assert!(seen.ends_with("differs 1"), "{seen}");
    }

    #[test]
    fn an_engine_without_a_point_differs_and_a_namespace_without_an_engine_has_no_sample() {
        let seen = samples(&[], Some("a"), 0);
        assert_eq!(
            seen,
            "fluxkeep_recovery_points 0; fluxkeep_recovery_point_differs 1"
        );
        assert_eq!(samples(&[], None, 0), "");
        let gone = samples(&[&head("a", 10)], None, 70);
        assert_eq!(
            gone,
            "fluxkeep_recovery_points 1; fluxkeep_recovery_point_age_seconds 60; fluxkeep_recovery_point_differs 0"
        );
    }
}
