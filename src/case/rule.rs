//! A rule is a constant: its identity, the cost of breaking it, and a plain function.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::case::facts::Facts;
use crate::case::finding::{Finding, Level};
use crate::case::policy::Policy;
use crate::case::request::{Change, Door, Release, Request, Subject};
use crate::flux::Flux;
use crate::flux::engine::{Engine, Part};
use crate::helm::{Owner, release};
use crate::object::{Key, Object};
use crate::repository::Repository;
use crate::rules;
use crate::walks::counted;

/// A rule's findings, or the fact that the rule lacks.
pub type RuleResult = Result<Vec<Finding>, Need>;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, named after the pattern that it catches; never renamed.
    pub id: &'static str,
    /// The weight of a finding, unless the policy sets another.
    pub level: Level,
    /// The pattern that the rule catches, in one line.
    pub catches: &'static str,
    /// The breakage if the request passes; the reason for the level.
    pub breaks: &'static str,
    /// The moment of the breakage, which orders texts for people.
    pub when: Moment,
    /// The doors that ask the rule.
    pub doors: &'static [Door],
    /// The facts about cluster or request that the rule reads. `cluster/` follows the collections that
    /// serve them. A rule abstains for lack of one of these, and of no other.
    pub needs: &'static [Need],
    /// The judgement itself.
    pub check: fn(&Case<'_>) -> RuleResult,
}

/// The earliest moment of breakage if a rule's pattern passes. Texts for people order findings by
/// moment, then by rule, object and path: causes come before consequences. A rule has the first
/// variant that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// During the apply: the apiserver or Helm refuses an object, and later objects are not
    /// written.
    Apply,
    /// Once this request is done: objects, rights, or the way to read objects are gone.
    Done,
    /// At run time: controllers or clients meet objects that they cannot handle.
    Run,
    /// Later: at the next failure, uninstall, upgrade, or outage of the server.
    Later,
    /// Unknown: the rule reports something that could not be judged.
    Unknown,
}

impl Moment {
    /// The moment, for the page of a rule.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "while the object or the release is applied",
            Self::Done => "once the request is done",
            Self::Run => "at run time, after the change",
            Self::Later => {
                "later: at the next failure, uninstall, upgrade, or outage of the server"
            }
            Self::Unknown => "unknown: something could not be judged",
        }
    }
}

impl Rule {
    /// The most that its findings weigh under this policy.
    #[must_use]
    pub fn weight(&self, policy: &Policy) -> Level {
        policy.levels.get(self.id).copied().unwrap_or(self.level)
    }

    /// The most that its findings weigh at a door under this policy.
    #[must_use]
    pub fn weight_at(&self, policy: &Policy, door: Door) -> Level {
        if door == Door::Check {
            policy
                .levels
                .get(self.id)
                .copied()
                .unwrap_or(self.level_at_check())
        } else {
            self.weight(policy)
        }
    }

    /// The default level at the door `check`. A repository shows the objects that use a withdrawn
    /// version, which other doors can only guess.
    #[must_use]
    pub fn level_at_check(&self) -> Level {
        if self.id == rules::served_version_withdrawn::RULE.id {
            Level::Enforce
        } else {
            self.level
        }
    }
}

/// A fact without which a rule abstains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The CustomResourceDefinitions of the cluster.
    Definitions,
    /// The controllers' Deployments in the cluster.
    RunningFlux,
    /// The Flux version of a chart that hides it.
    ChartFlux,
    /// The name of a chart that comes from a folder or an OCI repository.
    ChartName,
    /// The FluxInstance in the cluster.
    FluxInstance,
    /// The Kustomizations in the engine's namespaces.
    Kustomizations,
    /// The order of a Flux among the releases, if the catalogue lacks it.
    FluxOrder,
    /// The name and namespace of a manifest's release.
    ReleaseName,
    /// Every document of the manifest. A document may be unreadable.
    Documents,
    /// The live objects that a release overwrites. An object may be unreadable.
    LiveObjects,
    /// The HelmRelease behind a release. The HelmRelease may be unreadable.
    HelmRelease,
    /// The version of a pin: a reference that nothing defines, or a chart outside the catalogue.
    PinValue,
}

impl Need {
    /// The missing fact, in the words of a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Definitions => "custom resource definitions of the cluster",
            Self::RunningFlux => "flux version of the cluster",
            Self::ChartFlux => "flux version of the chart",
            Self::ChartName => "name of the chart",
            Self::FluxInstance => "FluxInstance of the cluster",
            Self::Kustomizations => "Kustomizations of the engine's namespaces",
            Self::FluxOrder => "flux release in the catalogue",
            Self::ReleaseName => "name and namespace of the release",
            Self::Documents => "whole manifest",
            Self::LiveObjects => "readable state of every live object",
            Self::HelmRelease => "readable HelmRelease behind the release",
            Self::PinValue => "Flux version of every pin",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Everything that a rule may read.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The question.
    pub request: &'a Request,
    /// The state of the cluster.
    pub facts: &'a Facts,
    /// The decisions of the people who run the cluster.
    pub policy: &'a Policy,
    /// The time of the question.
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    /// The profile that identifies the engine.
    #[must_use]
    pub fn engine(&self) -> &'a Engine {
        &self.policy.engine
    }

    /// The change of an object. `None` for a release.
    #[must_use]
    pub fn change(&self) -> Option<&'a Change> {
        if let Subject::Change(change) = &self.request.subject {
            Some(change)
        } else {
            None
        }
    }

    /// The release. `None` for a change.
    #[must_use]
    pub fn release(&self) -> Option<&'a Release> {
        if let Subject::Release(release) = &self.request.subject {
            Some(release)
        } else {
            None
        }
    }

    /// The Git repository. `None` at any other door.
    #[must_use]
    pub fn repository(&self) -> Option<&'a Repository> {
        if let Subject::Repository(repository) = &self.request.subject {
            Some(repository)
        } else {
            None
        }
    }

    /// The release's objects, in order; empty for a change.
    pub fn brought(&self) -> impl Iterator<Item = &'a Object> {
        let release = self.release().into_iter();
        counted(release.flat_map(|release| &release.objects))
    }

    /// The keys of the written objects. A rule that asks for many keys builds the set once: a walk
    /// over the release for each key would cost their product.
    #[must_use]
    pub fn written_keys(&self) -> BTreeSet<Key> {
        self.written().map(|(new, _)| new.key()).collect()
    }

    /// The written objects, each with its live object. A change carries its own old object; only a
    /// release looks into the facts.
    pub fn written(&self) -> impl Iterator<Item = (&'a Object, Option<&'a Object>)> {
        let (facts, change) = (self.facts, self.change());
        let single = change.and_then(|change| Some((change.new.as_ref()?, change.old.as_ref())));
        let many = self.brought().map(|new| (new, facts.live(&new.key())));
        single.into_iter().chain(many)
    }

    /// The written objects that overwrite a live object.
    pub fn rewritten(&self) -> impl Iterator<Item = (&'a Object, &'a Object)> {
        self.written().filter_map(|(new, live)| Some((new, live?)))
    }

    /// The engine's written objects, with their part and live object.
    pub fn engine_written(&self) -> impl Iterator<Item = (Part, &'a Object, Option<&'a Object>)> {
        let engine = self.engine();
        self.written()
            .filter_map(|(new, live)| Some((engine.part(new)?, new, live)))
    }

    /// Checks that everything was read: an unread document may hold a missing object.
    ///
    /// # Errors
    /// If an opaque part of the request was not read.
    pub fn require_whole(&self) -> Result<(), Need> {
        if self.request.gaps.iter().any(|gap| gap.is_opaque) {
            return Err(Need::Documents);
        }
        Ok(())
    }

    /// The facts that no rule can have for this request. A release lacks live objects that could not
    /// be read. A change lacks none: it carries its own old object. A repository may hide the version
    /// of a pin.
    #[must_use]
    pub fn missing_facts(&self) -> Vec<Need> {
        let mut lacking = Vec::new();
        if self.repository().is_some_and(Repository::has_unknown_pins) {
            lacking.push(Need::PinValue);
        }
        let catalogue = &self.engine().catalogue;
        if self
            .repository()
            .is_some_and(|repository| repository.is_beyond(catalogue))
        {
            lacking.push(Need::FluxOrder);
        }
        let is_unread = |key: &Key| self.facts.is_unread(key);
        let written = self.brought().map(Object::key);
        if written.into_iter().any(|key| is_unread(&key)) {
            lacking.push(Need::LiveObjects);
        }
        let origins = self.brought().filter_map(release::origin);
        if origins.into_iter().any(|key| is_unread(&key)) {
            lacking.push(Need::HelmRelease);
        }
        lacking
    }

    /// The running Flux. `None` if the cluster has no Flux. If there are several, the Flux in the
    /// release's own namespace counts.
    ///
    /// # Errors
    /// If the facts hold parts of the engine, but no version of any controller.
    pub fn running(&self) -> Result<Option<Flux>, Need> {
        let home = self.owner().map(|owner| owner.namespace);
        let near = self
            .facts
            .engine(self.engine())
            .filter(|object| object.namespace == home);
        match Flux::of(near, &self.engine().catalogue).or_else(|| self.facts.running(self.engine()))
        {
            None if self.facts.engine(self.engine()).next().is_some() => Err(Need::RunningFlux),
            running => Ok(running),
        }
    }

    /// The Helm releases that own the engine. Images without a version still show their owner.
    ///
    /// # Errors
    /// If the facts hold parts of the engine, but neither a core controller nor an owner.
    pub fn owners(&self) -> Result<BTreeSet<Owner>, Need> {
        let owners = self.facts.owners(self.engine());
        let (controllers, _) = self.facts.controllers(self.engine());
        let unseen = controllers.is_empty() && self.facts.engine(self.engine()).next().is_some();
        if owners.is_empty() && unseen {
            Err(Need::RunningFlux)
        } else {
            Ok(owners)
        }
    }

    /// True if a HelmRelease that names this release also makes it. Every tenant may name Flux's
    /// release, so the name alone proves nothing. A proof is the HelmRelease's labels on the
    /// release's objects, a namespace of the engine, or helm-controller as the record's writer if
    /// no object names another HelmRelease.
    #[must_use]
    pub fn makes(&self, helm_release: &Object, release: &Release) -> bool {
        let namespace = helm_release.namespace.as_deref();
        if namespace.is_some_and(|namespace| self.engine().is_home(namespace)) {
            return true;
        }
        let key = helm_release.key();
        let mut origins = counted(release.objects.iter()).filter_map(release::origin);
        match origins.next() {
            Some(first) => first == key || origins.any(|origin| origin == key),
            None => self.request.writer.is_helm_controller(),
        }
    }

    /// The name and namespace of the installed or upgraded release.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        match &self.request.subject {
            Subject::Release(release) => release.owner.clone(),
            Subject::Change(change) => change.new.as_ref().or(change.old.as_ref())?.installs(),
            Subject::Repository(_) => None,
        }
    }
}
