//! Overrides: one way for all rules to let a finding through, with a reason and an end.
//!
//! An override counts in four places: on the live object of the finding; on the request's own
//! object (HelmRelease, FluxInstance, CRD) unless a chart wrote it; on the engine's Namespace for
//! deletions; in the policy file. An override in a rendered manifest never counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::case::facts::Facts;
use crate::case::finding::{Finding, ObjectRef, Override};
use crate::case::policy::{LONGEST, OverrideEntry, Policy};
use crate::case::request::{Door, Operation};
use crate::case::rule::Case;
use crate::flux::engine::Engine;
use crate::helm::MANAGED_BY;
use crate::object::{ALLOW, Key, Object, REASON, UNTIL};
use crate::rules::{RULES, engine_deleted};

/// The override, or the reason why it does not count.
pub type Claim = Result<Override, String>;

/// The overrides that a case may claim, gathered once for all its findings.
pub struct Overrides<'a> {
    case: Case<'a>,
    /// The live Namespaces of the engine, ordered by name.
    homes: Vec<&'a Object>,
    /// The objects on which the judged manifest brings an override: Helm may have put it there.
    brought: BTreeSet<Key>,
}

impl<'a> Overrides<'a> {
    /// The overrides of a case.
    #[must_use]
    pub fn of(case: &Case<'a>) -> Self {
        let names: BTreeSet<&String> = case.engine().namespaces.iter().collect();
        let homes = names.into_iter().map(|name| Key {
            group: String::new(),
            kind: "Namespace".to_owned(),
            namespace: None,
            name: name.clone(),
        });
        let brought = case.brought();
        let brought = brought.filter(|object| object.annotations.contains_key(ALLOW));
        Self {
            case: *case,
            homes: homes.filter_map(|key| case.facts.live(&key)).collect(),
            brought: brought.map(Object::key).collect(),
        }
    }

    /// The first override for a finding that counts, else the reason why none does.
    #[must_use]
    pub fn claim(&self, finding: &Finding) -> Option<Claim> {
        let now = self.case.now;
        let mut claims = Vec::new();
        for standing in &self.case.policy.overrides {
            if meets(standing, finding) {
                claims.push(ended(standing, now));
            }
        }
        for object in self.holders(finding) {
            if let Some(claim) = noted(object, finding.rule, now) {
                claims.push(claim.and_then(|counts| self.by_hand(object, counts)));
            }
        }
        claims.sort_by_key(Result::is_err);
        claims.into_iter().next()
    }

    /// The objects whose annotations may excuse a finding.
    fn holders(&self, finding: &Finding) -> Vec<&'a Object> {
        let about = |object: &&Object| finding.object.is(object);
        let case = &self.case;
        let old = case.change().and_then(|change| change.old.as_ref());
        let live = old
            .filter(about)
            .or_else(|| case.facts.live(&finding.object.key()));
        let homes = self.homes.iter().copied();
        live.into_iter()
            .chain(own(case).filter(about))
            .chain(homes.filter(|home| covers(home, finding, case.engine())))
            .collect()
    }

    /// Rejects an override that the judged manifest brings, too.
    fn by_hand(&self, object: &Object, counts: Override) -> Claim {
        if self.brought.contains(&object.key()) {
            return Err(format!(
                "the override on {} does not count: the release brings it; annotate the live object by hand",
                counts.by
            ));
        }
        Ok(counts)
    }
}

/// The number of overrides in policy and cluster, by rule and by whether they count now.
#[must_use]
pub fn tally(
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> BTreeMap<(&'static str, bool), i64> {
    let standing = policy
        .overrides
        .iter()
        .map(|one| (one.rule, ended(one, now).is_ok()));
    let noted = facts.objects().flat_map(|object| {
        let rules = RULES.into_iter().map(|rule| rule.id);
        rules.filter_map(|rule| Some((rule, noted(object, rule, now)?.is_ok())))
    });
    let mut tally = BTreeMap::new();
    for key in standing.chain(noted) {
        *tally.entry(key).or_default() += 1;
    }
    tally
}

fn meets(standing: &OverrideEntry, finding: &Finding) -> bool {
    let object = &finding.object;
    let short = format!("{}/{}", object.kind, object.name);
    let full = object
        .namespace
        .as_ref()
        .map(|space| format!("{}/{space}/{}", object.kind, object.name));
    standing.rule == finding.rule
        && (full.as_ref() == Some(&standing.object) || full.is_none() && short == standing.object)
}

fn ended(standing: &OverrideEntry, now: Timestamp) -> Claim {
    limited(&standing.reason, standing.until, "the policy", now)
}

/// True if an engine's Namespace may excuse the deletion. With several engines, each Namespace
/// covers its own. Cluster-scoped objects and objects outside the engine belong to all.
fn covers(home: &Object, finding: &Finding, engine: &Engine) -> bool {
    let ObjectRef {
        kind,
        namespace,
        name,
        ..
    } = &finding.object;
    let space = if kind == "Namespace" {
        Some(name)
    } else {
        namespace.as_ref()
    };
    let space = space.filter(|space| engine.is_home(space));
    finding.rule == engine_deleted::RULE.id && space.is_none_or(|space| *space == home.name)
}

/// The request's own object, if a person wrote it.
fn own<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Object> {
    let meant = matches!(
        case.request.door,
        Door::HelmRelease | Door::FluxInstance | Door::Crd
    ) && case.request.operation != Operation::Delete
        && !case.request.writer.is_helm();
    let new = case.change().and_then(|change| change.new.as_ref());
    let by_hand = |object: &&Object| {
        object
            .labels
            .get(MANAGED_BY)
            .is_none_or(|tool| tool != "Helm")
    };
    new.filter(|_| meant).filter(by_hand).into_iter()
}

/// The override for a rule in an object's annotations, if any.
fn noted(object: &Object, rule: &str, now: Timestamp) -> Option<Claim> {
    let rules = object.annotations.get(ALLOW)?;
    rules
        .split(',')
        .any(|one| one.trim() == rule)
        .then(|| read(object, now))
}

fn read(object: &Object, now: Timestamp) -> Claim {
    let text = |key: &str| {
        object
            .annotations
            .get(key)
            .map(|text| text.trim())
            .unwrap_or_default()
    };
    if text(REASON).is_empty() {
        return Err(format!(
            "the override on {object} does not count: {REASON} is missing"
        ));
    }
    if text(UNTIL).is_empty() {
        return Err(format!(
            "the override on {object} does not count: {UNTIL} is missing"
        ));
    }
    let until = object.annotations.get(UNTIL).and_then(|until| time(until));
    let until = until.ok_or_else(|| {
        format!(
            "the override on {object} does not count: {UNTIL} is not an RFC 3339 time in UTC such as \
             2026-01-31T18:00:00Z"
        )
    })?;
    limited(text(REASON), until, &object.to_string(), now)
}

/// Parses an RFC 3339 time in the one spelling that the apiserver's policies accept, too.
fn time(text: &str) -> Option<Timestamp> {
    let zeroed = |character: char| match character {
        '0'..='9' => '0',
        other => other,
    };
    let shape: String = text.chars().map(zeroed).collect();
    let rest = shape.strip_prefix("0000-00-00T00:00:00")?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    if !["Z", "+00:00", "-00:00"].contains(&zone) {
        return None;
    }
    text.parse().ok()
}

/// Checks that the end is in the future, and near enough.
fn limited(reason: &str, until: Timestamp, by: &str, now: Timestamp) -> Claim {
    if until <= now {
        return Err(format!(
            "the override on {by} does not count: it ended at {until}; set a later end"
        ));
    }
    if until.duration_since(now) > LONGEST {
        return Err(format!(
            "the override on {by} does not count: {until} is more than 30 days away; set an earlier end"
        ));
    }
    Ok(Override {
        reason: reason.to_owned(),
        until: Some(until),
        by: by.to_owned(),
    })
}
