//! A rule is a constant: who it is, what it costs to break it, and a plain function.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::engine::{Engine, Part};
use crate::facts::Facts;
use crate::finding::{Finding, Level};
use crate::flux::Flux;
use crate::helm::{Owner, release};
use crate::object::{Key, Object};
use crate::policy::Policy;
use crate::request::{Change, Door, Release, Request, Subject};

/// What a rule has to say: its findings, or which fact it lacks.
pub type Found = Result<Vec<Finding>, Need>;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Kebab-case, named after the pattern that it catches; never renamed.
    pub id: &'static str,
    /// What a finding weighs unless the policy says otherwise.
    pub level: Level,
    /// What it catches, in one line.
    pub catches: &'static str,
    /// What breaks when the request is let through; the reason for the level.
    pub breaks: &'static str,
    /// The moment at which that breaks, which orders texts for people.
    pub when: Moment,
    /// Where it is asked.
    pub doors: &'static [Door],
    /// What it has to know of the cluster or the request; without it, it abstains.
    pub needs: &'static [Need],
    /// The judgement itself.
    pub check: fn(&Case<'_>) -> Found,
}

/// The earliest moment at which something breaks if what a rule catches is let through. Texts for
/// people tell findings in this order, then by rule, object and path: the cause comes before what
/// follows from it. A rule takes the first variant that is true of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// While the object or the release is applied: the apiserver or Helm refuses an object, and what
    /// stands behind it is not written.
    Apply,
    /// Once this request is done: objects, rights, or the way to read them are gone.
    Done,
    /// While what was installed runs: controllers or clients meet what they cannot work with.
    Run,
    /// Later: at the next failure, uninstall, upgrade, or outage of the server.
    Later,
    /// Not known: the rule says that something could not be judged.
    Unknown,
}

impl Moment {
    /// The moment, for the page of a rule.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "while the object or the release is applied",
            Self::Done => "once the request is done",
            Self::Run => "while what was installed runs",
            Self::Later => {
                "later: at the next failure, uninstall, upgrade, or outage of the server"
            }
            Self::Unknown => "not known: something could not be judged",
        }
    }
}

impl Rule {
    /// What its findings weigh at most under this policy.
    #[must_use]
    pub fn weight(&self, policy: &Policy) -> Level {
        policy.levels.get(self.id).copied().unwrap_or(self.level)
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
    /// The place of a Flux among the releases, where the catalogue does not know it.
    FluxOrder,
    /// The name and namespace of the release that a manifest belongs to.
    ReleaseName,
    /// Every document of the manifest. One may have been unreadable.
    Documents,
    /// The live objects that a release writes over. One may have been unreadable.
    LiveObjects,
    /// The HelmRelease that a release is made of. It may have been unreadable.
    HelmRelease,
}

impl Need {
    /// What is lacking, in the words of a report.
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
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Everything that a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// What is true of the cluster.
    pub facts: &'a Facts,
    /// What the people who run the cluster decided.
    pub policy: &'a Policy,
    /// When it is asked.
    pub now: Timestamp,
}

impl<'a> Case<'a> {
    /// By what the engine is known.
    #[must_use]
    pub fn engine(&self) -> &'a Engine {
        &self.policy.engine
    }

    /// The change of one object, if the request is one.
    #[must_use]
    pub fn change(&self) -> Option<&'a Change> {
        if let Subject::Change(change) = &self.request.subject {
            Some(change)
        } else {
            None
        }
    }

    /// The release, if the request is one.
    #[must_use]
    pub fn release(&self) -> Option<&'a Release> {
        if let Subject::Release(release) = &self.request.subject {
            Some(release)
        } else {
            None
        }
    }

    /// What is written, each with the object as it lives. A change knows its own old object; only
    /// a release looks into the facts.
    pub fn written(&self) -> impl Iterator<Item = (&'a Object, Option<&'a Object>)> {
        let (facts, change, release) = (self.facts, self.change(), self.release());
        let single = change.and_then(|change| Some((change.new.as_ref()?, change.old.as_ref())));
        let many = release.into_iter().flat_map(|release| &release.objects);
        single
            .into_iter()
            .chain(many.map(|new| (new, facts.live(&new.key()))))
    }

    /// What is written over an object that lives.
    pub fn rewritten(&self) -> impl Iterator<Item = (&'a Object, &'a Object)> {
        self.written().filter_map(|(new, live)| Some((new, live?)))
    }

    /// The engine's objects that are written, with their part and the object as it lives.
    pub fn engine_written(&self) -> impl Iterator<Item = (Part, &'a Object, Option<&'a Object>)> {
        let engine = self.engine();
        self.written()
            .filter_map(|(new, live)| Some((engine.part(new)?, new, live)))
    }

    /// Asks that everything was read: what a release seems to lack may stand in a document that was not.
    ///
    /// # Errors
    /// If anything of the request was not read.
    pub fn is_whole(&self) -> Result<(), Need> {
        if self.request.gaps.iter().any(|gap| gap.is_opaque) {
            return Err(Need::Documents);
        }
        Ok(())
    }

    /// The facts that this release lacks because an object of the cluster could not be read. A change
    /// carries its own old object.
    #[must_use]
    pub fn unreadable(&self) -> Vec<Need> {
        let mut lacking = Vec::new();
        let Some(release) = self.release() else {
            return lacking;
        };
        let is_unread = |key: &Key| self.facts.is_unread(key);
        let written = release.objects.iter().map(Object::key);
        if written.into_iter().any(|key| is_unread(&key)) {
            lacking.push(Need::LiveObjects);
        }
        let origins = release.objects.iter().filter_map(release::origin);
        if origins.into_iter().any(|key| is_unread(&key)) {
            lacking.push(Need::HelmRelease);
        }
        lacking
    }

    /// The Flux that runs in the cluster; none where the cluster has no Flux. Of several, the one in
    /// the release's own namespace counts.
    ///
    /// # Errors
    /// When the facts hold parts of the engine and none of its controllers.
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

    /// The Helm releases that own the engine. Images that tell no version still tell their owner.
    ///
    /// # Errors
    /// When the facts hold parts of the engine, none of its controllers and nobody who owns any.
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

    /// The name and namespace of the release that is installed or upgraded.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        match &self.request.subject {
            Subject::Release(release) => release.owner.clone(),
            Subject::Change(change) => change.new.as_ref().or(change.old.as_ref())?.installs(),
        }
    }
}
