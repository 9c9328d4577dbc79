//! Metrics. Labels are rule ids, doors and decisions, never object names.

mod audited;
pub(crate) mod classic;
mod followed;
mod recovery;

use std::time::{Duration, SystemTime};

use fluxkeep::admission::{Answer, ReviewOutcome};
use fluxkeep::audit::Audit;
use fluxkeep::case::finding::Level;
use fluxkeep::case::overrides;
use fluxkeep::case::request::Door;
use fluxkeep::case::rule::Rule;
use fluxkeep::recovery::Head;
use fluxkeep::rules::RULES;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::body::TurnedAway;
use crate::registration::Scope;
use crate::state::{ServerState, now};
use crate::tls::Unknown;
use crate::version;
use audited::Audited;
use followed::Followed;
use recovery::Recovery;

/// The door label for requests without a readable review.
pub(crate) const NO_DOOR: &str = "none";

/// The media type of [`Metrics::text`].
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From 50 µs, below the fastest review, to 10 s, a webhook's default timeout.
const SECONDS: [f64; 12] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    door: &'static str,
    decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InLane {
    lane: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLane {
    lane: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotKnown {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtDoor {
    door: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    rule: &'static str,
    door: &'static str,
    level: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Abstention {
    rule: &'static str,
    door: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OverrideState {
    rule: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rotation {
    certificate: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistrationChange {
    change: &'static str,
}

/// A registered object: about a dozen exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DifferenceLabels {
    object: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerState {
    controller: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// All metrics of the server.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    seconds: Family<AtDoor, Histogram>,
    turned_away: Family<InLane, Counter>,
    unlogged: Family<OfLane, Counter>,
    given_way: Family<Stage, Counter>,
    not_known: Family<NotKnown, Counter>,
    findings: Family<FindingLabels, Counter>,
    abstentions: Family<Abstention, Counter>,
    mutations: Counter,
    facts_age: Family<SourceLabel, Gauge>,
    overrides: Family<OverrideState, Gauge>,
    not_after: Family<Certificate, Gauge>,
    rotations: Family<Rotation, Counter>,
    registrations: Family<RegistrationChange, Counter>,
    differences: Family<DifferenceLabels, Gauge>,
    events: Family<EventLabels, Counter>,
    controllers: Family<ControllerState, Gauge>,
    reloads: Family<ReloadLabels, Counter>,
    policy: Gauge,
    followed: Followed,
    recovery: Recovery,
    audited: Audited,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            reviews: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            turned_away: Family::default(),
            unlogged: Family::default(),
            given_way: Family::default(),
            not_known: Family::default(),
            findings: Family::default(),
            abstentions: Family::default(),
            mutations: Counter::default(),
            facts_age: Family::default(),
            overrides: Family::default(),
            not_after: Family::default(),
            rotations: Family::default(),
            registrations: Family::default(),
            differences: Family::default(),
            events: Family::default(),
            controllers: Family::default(),
            reloads: Family::default(),
            policy: Gauge::default(),
            followed: Followed::default(),
            recovery: Recovery::default(),
            audited: Audited::default(),
        };
        metrics.policy.set(1);
        metrics.start_at_zero();
        metrics.registered()
    }
}

impl Metrics {
    /// Counts an answered review.
    pub fn count(&self, answer: &Answer, took: Duration) {
        let door = answer.door().map_or(NO_DOOR, Door::name);
        let decision = answer.outcome.name();
        self.reviews
            .get_or_create(&ReviewLabels { door, decision })
            .inc();
        self.seconds
            .get_or_create(&AtDoor { door })
            .observe(took.as_secs_f64());
        if answer.outcome == ReviewOutcome::Amended {
            self.mutations.inc();
        }
        for finding in &answer.verdict.findings {
            let (level, outcome) = (finding.level.name(), finding.outcome().name());
            self.findings
                .get_or_create(&FindingLabels {
                    rule: finding.rule,
                    door,
                    level,
                    outcome,
                })
                .inc();
        }
        for abstained in &answer.verdict.abstained {
            self.abstentions
                .get_or_create(&Abstention {
                    rule: abstained.rule,
                    door,
                })
                .inc();
        }
    }

    /// Counts a request that got no AdmissionReview in return.
    pub fn failed(&self) {
        self.reviews
            .get_or_create(&ReviewLabels {
                door: NO_DOOR,
                decision: "error",
            })
            .inc();
    }

    /// Counts a request of a lane that was not read or judged, with the reason.
    pub(crate) fn turned_away(&self, scope: Scope, why: TurnedAway) {
        let (lane, reason) = (scope.name(), why.name());
        self.turned_away
            .get_or_create(&InLane { lane, reason })
            .inc();
    }

    /// Counts a log line about a lane's request that was left out, because there were too many.
    pub(crate) fn unlogged(&self, scope: Scope) {
        let lane = scope.name();
        self.unlogged.get_or_create(&OfLane { lane }).inc();
    }

    /// Counts a connection that made room for a newer one, in its `handshake` or when `open`.
    pub(crate) fn gave_way(&self, stage: &'static str) {
        self.given_way.get_or_create(&Stage { stage }).inc();
    }

    /// Counts a caller that was refused in its handshake, with the reason.
    pub(crate) fn not_known(&self, why: Unknown) {
        let reason = why.name();
        self.not_known.get_or_create(&NotKnown { reason }).inc();
    }

    /// Counts a changed policy file, and whether it could be loaded.
    pub fn reloaded(&self, good: bool) {
        let result = if good { "success" } else { "error" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.policy.set(i64::from(good));
    }

    /// Counts a new certificate, or a failure to get one.
    pub fn rotated(&self, certificate: &'static str, good: bool) {
        let result = if good { "success" } else { "error" };
        self.rotations
            .get_or_create(&Rotation {
                certificate,
                result,
            })
            .inc();
    }

    /// Counts a write to the registration, or a failed look.
    pub fn kept(&self, change: &'static str) {
        self.registrations
            .get_or_create(&RegistrationChange { change })
            .inc();
    }

    /// Records the result of an audit of the cluster.
    pub fn audited(&self, audit: &Audit) {
        self.audited.set(audit);
    }

    /// Records whether a registered object differs from the wanted one.
    pub fn differs(&self, object: &str, differs: bool) {
        let object = object.to_owned();
        let gauge = self.differences.get_or_create(&DifferenceLabels { object });
        gauge.set(i64::from(differs));
    }

    /// Clears all recorded differences, since other objects may be wanted now.
    pub(crate) fn forget_differences(&self) {
        self.differences.clear();
    }

    /// Records the recovery points of an engine, and the digest of the running one; `None` if none
    /// runs.
    pub fn points_seen(&self, namespace: &str, heads: &[&Head], running: Option<&str>) {
        self.recovery.seen(namespace, heads, running);
    }

    /// Counts a write of a recovery point as `written`, `overtaken` by another server, or `failed`.
    pub(crate) fn point_written(&self, result: &'static str) {
        self.recovery.wrote(result);
    }

    /// Counts an Event as `written`, `failed`, or `dropped` for lack of room.
    pub fn told(&self, result: &'static str) {
        self.events.get_or_create(&EventLabels { result }).inc();
    }

    /// Records the end of a certificate's life.
    pub fn expires(&self, certificate: &'static str, not_after: SystemTime) {
        let seconds = not_after
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        self.not_after
            .get_or_create(&Certificate { certificate })
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// The OpenMetrics text, with gauges updated from the state.
    #[must_use]
    pub fn text(&self, state: &ServerState) -> String {
        self.observe(state);
        self.encoded()
    }

    /// The OpenMetrics text as counted so far.
    pub(crate) fn encoded(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    fn observe(&self, state: &ServerState) {
        let (facts, policy) = (state.source().facts(), state.policy());
        let age = SystemTime::now()
            .duration_since(state.source().as_of())
            .unwrap_or_default();
        let source = state.source().name();
        self.facts_age
            .get_or_create(&SourceLabel { source })
            .set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        self.followed.observe(state.source(), &facts, &policy);
        self.recovery.observe(now());
        let (present, missing) = facts.controllers(&policy.engine);
        for (names, is_present) in [(&present, true), (&missing, false)] {
            for controller in names {
                let at = |state| ControllerState { controller, state };
                self.controllers
                    .get_or_create(&at("present"))
                    .set(i64::from(is_present));
                self.controllers
                    .get_or_create(&at("missing"))
                    .set(i64::from(!is_present));
            }
        }
        let tally = overrides::tally(&facts, &policy, now());
        for (rule, state) in RULES
            .into_iter()
            .flat_map(|rule| ["active", "expired"].map(|state| (rule.id, state)))
        {
            let count = tally
                .get(&(rule, state == "active"))
                .copied()
                .unwrap_or_default();
            self.overrides
                .get_or_create(&OverrideState { rule, state })
                .set(count);
        }
    }

    /// Creates series at zero: `rate()` misses the event that a series begins with.
    fn start_at_zero(&self) {
        for door in Door::ADMISSION.map(Door::name) {
            for decision in ["allow", "warn", "refuse", "error"] {
                drop(self.reviews.get_or_create(&ReviewLabels { door, decision }));
            }
            drop(self.seconds.get_or_create(&AtDoor { door }));
        }
        drop(self.reviews.get_or_create(&ReviewLabels {
            door: NO_DOOR,
            decision: "error",
        }));
        for (lane, why) in Scope::ALL
            .into_iter()
            .flat_map(|scope| TurnedAway::ALL.map(|why| (scope.name(), why)))
        {
            let reason = why.name();
            drop(self.turned_away.get_or_create(&InLane { lane, reason }));
        }
        for lane in Scope::ALL.map(Scope::name) {
            drop(self.unlogged.get_or_create(&OfLane { lane }));
        }
        for stage in ["handshake", "open"] {
            drop(self.given_way.get_or_create(&Stage { stage }));
        }
        for reason in Unknown::ALL.map(Unknown::name) {
            drop(self.not_known.get_or_create(&NotKnown { reason }));
        }
        self.start_rules_at_zero();
        self.recovery.start_at_zero();
        for result in ["written", "failed", "dropped"] {
            drop(self.events.get_or_create(&EventLabels { result }));
        }
        for change in ["created", "configured", "deleted", "failed"] {
            drop(
                self.registrations
                    .get_or_create(&RegistrationChange { change }),
            );
        }
        for result in ["success", "error"] {
            drop(self.reloads.get_or_create(&ReloadLabels { result }));
            for certificate in ["ca", "leaf", "clients"] {
                drop(self.rotations.get_or_create(&Rotation {
                    certificate,
                    result,
                }));
            }
        }
    }

    /// Uses each rule's default level; series for other levels begin with their first event.
    fn start_rules_at_zero(&self) {
        let at_doors = |rule: &'static Rule| {
            rule.doors
                .iter()
                .filter(|door| Door::ADMISSION.contains(door))
                .map(move |door| (rule, door.name()))
        };
        for (rule, door) in RULES.into_iter().flat_map(at_doors) {
            let outcome = if rule.level == Level::Enforce {
                "refused"
            } else {
                "warned"
            };
            drop(self.findings.get_or_create(&FindingLabels {
                rule: rule.id,
                door,
                level: rule.level.name(),
                outcome,
            }));
            if !rule.needs.is_empty() {
                drop(self.abstentions.get_or_create(&Abstention {
                    rule: rule.id,
                    door,
                }));
            }
        }
        self.audited.start_at_zero();
    }

    fn registered(mut self) -> Self {
        self.register_admission();
        self.register_upkeep();
        self.followed.register(&mut self.registry);
        self.recovery.register(&mut self.registry);
        self.audited.register(&mut self.registry);
        let build = vec![("version", version::VERSION), ("commit", version::COMMIT)];
        self.registry.register(
            "fluxkeep_build",
            "Version and commit of this build",
            Info::new(build),
        );
        self
    }

    /// Registers the metrics that reviews change.
    fn register_admission(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "fluxkeep_admission_reviews",
            "AdmissionReviews, by door and decision",
            self.reviews.clone(),
        );
        registry.register(
            "fluxkeep_admission_seconds",
            "Time to answer an AdmissionReview, without reading its body",
            self.seconds.clone(),
        );
        registry.register(
            "fluxkeep_turned_away",
            "Requests answered with an HTTP error instead of a review, by lane and reason",
            self.turned_away.clone(),
        );
        registry.register(
            "fluxkeep_log_lines_left_out",
            "Log lines about requests that were left out because there were too many, by lane",
            self.unlogged.clone(),
        );
        registry.register(
            "fluxkeep_connections_given_way",
            "Connections closed in favour of newer ones, by stage",
            self.given_way.clone(),
        );
        registry.register(
            "fluxkeep_client_certificates_refused",
            "Callers refused in the TLS handshake, by reason",
            self.not_known.clone(),
        );
        registry.register(
            "fluxkeep_findings",
            "Findings, by rule, door, level and outcome",
            self.findings.clone(),
        );
        registry.register(
            "fluxkeep_abstentions",
            "Abstentions of rules that lacked a fact",
            self.abstentions.clone(),
        );
        registry.register(
            "fluxkeep_mutations",
            "HelmReleases to which fluxkeep added the post-renderer",
            self.mutations.clone(),
        );
    }

    /// Registers the metrics that the server's own work changes.
    fn register_upkeep(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "fluxkeep_facts_age_seconds",
            "Age of the facts, by source",
            self.facts_age.clone(),
        );
        registry.register(
            "fluxkeep_overrides",
            "Overrides in policy file and cluster, by rule and state",
            self.overrides.clone(),
        );
        registry.register(
            "fluxkeep_certificate_not_after_seconds",
            "Expiry of a certificate, as Unix time",
            self.not_after.clone(),
        );
        registry.register(
            "fluxkeep_registration_changes",
            "Writes to registered objects, and failures, by change",
            self.registrations.clone(),
        );
        registry.register(
            "fluxkeep_registration_differs",
            "1 if the registered object differs from this server's settings",
            self.differences.clone(),
        );
        registry.register(
            "fluxkeep_events",
            "Events about refusals, by result",
            self.events.clone(),
        );
        registry.register(
            "fluxkeep_certificate_rotations",
            "Certificate rotations, by certificate and result",
            self.rotations.clone(),
        );
        registry.register(
            "fluxkeep_engine_controllers",
            "1 if the core controller of Flux is in this state",
            self.controllers.clone(),
        );
        registry.register(
            "fluxkeep_policy_reloads",
            "Reloads of the policy file, by result",
            self.reloads.clone(),
        );
        registry.register(
            "fluxkeep_policy_loaded",
            "1 if the policy file is in force, 0 if it is invalid and an earlier one is",
            self.policy.clone(),
        );
    }
}
