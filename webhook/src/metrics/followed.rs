//! Metrics about the followed cluster, read from the source at each scrape.

use std::sync::atomic::{AtomicU64, Ordering};

use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::collections::{Collection, needed};
use fluxkeep_cluster::{FactSource, SPEC_CHANGED};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    resource: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Change {
    resource: &'static str,
    change: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Engine {
    version: String,
}

/// Unread objects, changes seen, and the engine's version.
#[derive(Debug, Default)]
pub(super) struct Followed {
    unread: Family<Resource, Gauge>,
    changes: Family<Change, Counter<u64, AtomicU64>>,
    engine: Family<Engine, Gauge>,
}

impl Followed {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "fluxkeep_unread_objects",
            "Objects of the cluster that are unreadable; the log names them",
            self.unread.clone(),
        );
        registry.register(
            "fluxkeep_changes_seen",
            "Watch events received, by resource and change; change spec: a CRD's spec changed",
            self.changes.clone(),
        );
        registry.register(
            "fluxkeep_engine_info",
            "Running Flux version, according to its controllers",
            self.engine.clone(),
        );
    }

    pub(super) fn observe(&self, source: &dyn FactSource, facts: &Facts, policy: &Policy) {
        let changes = source.changes();
        for collection in needed(&RULES) {
            let resource = collection.resource;
            let unread = unread(facts, collection);
            self.unread
                .get_or_create(&Resource { resource })
                .set(unread);
            let all = ["added", "modified", "deleted", SPEC_CHANGED];
            let is_definitions = collection.kind == "CustomResourceDefinition";
            for change in all
                .into_iter()
                .filter(|one| *one != SPEC_CHANGED || is_definitions)
            {
                let count = changes
                    .get(&(resource, change))
                    .copied()
                    .unwrap_or_default();
                let counter = self.changes.get_or_create(&Change { resource, change });
                counter.inner().store(count, Ordering::Relaxed);
            }
        }
        self.engine.clear();
        if let Some(running) = facts.running(&policy.engine) {
            let known = running.versions.last();
            let version = known.map_or("unknown".to_owned(), ToString::to_string);
            self.engine.get_or_create(&Engine { version }).set(1);
        }
    }
}

fn unread(facts: &Facts, collection: Collection) -> i64 {
    let of_collection = facts
        .unread()
        .filter(|object| object.kind == collection.kind && object.group() == collection.group);
    i64::try_from(of_collection.count()).unwrap_or(i64::MAX)
}
