//! What to do next, as a pure function of what is there and the time.
//!
//! Two things make every order of replicas' steps safe. A leaf is issued from `current` alone, and
//! an authority becomes `current` only after every bundle holds it. And a bundle only ever grows,
//! until a life in it is over: a replica that saw less cannot take away what another one needs.

use std::time::SystemTime;

use crate::authorities::REMEMBERED;
use crate::{Authorities, Authority, Bundle, Certificate, Life};

/// The certificate that a replica serves, as far as a plan looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The authority's certificate.
    pub issuer: Certificate,
    /// When it is valid.
    pub life: Life,
}

/// What one replica sees.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// What all replicas share.
    pub authorities: &'a Authorities,
    /// What clients trust, wherever that is written; none while the server is not registered.
    pub bundles: &'a [Bundle],
    /// What every client has certainly learned to trust.
    pub settled: &'a Bundle,
    /// What this replica serves.
    pub leaf: Option<&'a Leaf>,
}

/// One step. Whoever has done it looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make an authority and keep it as the next one.
    Make,
    /// Write this into every bundle that differs from it.
    Publish(Bundle),
    /// Let the next authority be the current one.
    Switch,
    /// Serve a new leaf of the current authority.
    Issue,
    /// Forget previous authorities whose life is over.
    Forget,
    /// Nothing, until time passes or somebody changes something.
    Rest,
}

impl Step {
    /// A short name, for a log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Make => "make",
            Self::Publish(_) => "publish",
            Self::Switch => "switch",
            Self::Issue => "issue",
            Self::Forget => "forget",
            Self::Rest => "rest",
        }
    }
}

/// A step and why it is the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to do.
    pub step: Step,
    /// Why, in words for a log.
    pub reason: &'static str,
}

/// The next step.
#[must_use]
pub fn plan(state: &State<'_>, now: SystemTime) -> Plan {
    let steps = [make, publish, serve, switch, renew, forget];
    let step = steps.into_iter().find_map(|step| step(state, now));
    let (step, reason) = step.unwrap_or_else(|| rest(state));
    Plan { step, reason }
}

type Planned = Option<(Step, &'static str)>;

impl State<'_> {
    /// Whether clients accept what this replica serves.
    #[must_use]
    pub fn is_trusted(&self, now: SystemTime) -> bool {
        let trusted = |leaf: &Leaf| {
            leaf.life.holds(now) && self.bundles.iter().all(|one| one.contains(&leaf.issuer))
        };
        self.leaf.is_some_and(trusted)
    }

    fn current(&self, now: SystemTime) -> Option<&Authority> {
        usable(self.authorities.current.as_ref(), now)
    }

    fn next(&self, now: SystemTime) -> Option<&Authority> {
        usable(self.authorities.next.as_ref(), now)
    }

    /// A client that has not learned of an authority yet rejects its leaf. Who serves nothing that
    /// is accepted has nothing to lose by it.
    fn may_serve_from(&self, authority: &Authority, now: SystemTime) -> bool {
        self.settled.contains(authority.certificate()) || !self.is_trusted(now)
    }

    /// What every bundle is to hold: what is shared, and what is there already, for somebody may
    /// serve from it, as from an authority that was lost, or from another source of certificates.
    fn wanted(&self, now: SystemTime) -> Bundle {
        let shared = self.authorities.bundle();
        let there = self
            .bundles
            .iter()
            .flat_map(Bundle::iter)
            .filter(|one| !shared.contains(one))
            .cloned();
        let there = there.collect::<Bundle>().living(now).newest(REMEMBERED);
        shared.living(now).and(there)
    }
}

fn usable(authority: Option<&Authority>, now: SystemTime) -> Option<&Authority> {
    authority.filter(|authority| authority.certificate().life().holds(now))
}

fn make(state: &State<'_>, now: SystemTime) -> Planned {
    if state.next(now).is_some() {
        return None;
    }
    match state.current(now) {
        None => Some((Step::Make, "there is no authority that is valid now")),
        Some(current) if current.certificate().life().is_due(now) => {
            Some((Step::Make, "two thirds of the authority's life are over"))
        }
        Some(_) => None,
    }
}

fn publish(state: &State<'_>, now: SystemTime) -> Planned {
    let wanted = state.wanted(now);
    let differ = state.bundles.iter().any(|bundle| *bundle != wanted);
    differ.then_some((
        Step::Publish(wanted),
        "a registration does not hold exactly what is to be trusted",
    ))
}

fn serve(state: &State<'_>, now: SystemTime) -> Planned {
    let wanted = state.current(now).is_some() && !state.is_trusted(now);
    wanted.then_some((Step::Issue, "nothing is served that clients accept"))
}

fn switch(state: &State<'_>, now: SystemTime) -> Planned {
    let next = state.next(now)?;
    state
        .may_serve_from(next, now)
        .then_some((Step::Switch, "the next authority is trusted everywhere"))
}

fn renew(state: &State<'_>, now: SystemTime) -> Planned {
    let (current, leaf) = (state.current(now)?, state.leaf?);
    if leaf.issuer != *current.certificate() {
        let may = state.may_serve_from(current, now);
        return may.then_some((Step::Issue, "another authority has become the current one"));
    }
    // One that ends with its authority cannot be bettered by it: that would be tried for ever.
    let is_last = leaf.life.not_after >= current.certificate().life().not_after;
    (leaf.life.is_due(now) && !is_last)
        .then_some((Step::Issue, "two thirds of the certificate's life are over"))
}

fn forget(state: &State<'_>, now: SystemTime) -> Planned {
    state
        .authorities
        .remember_dead(now)
        .then_some((Step::Forget, "a previous authority's life is over"))
}

fn rest(state: &State<'_>) -> (Step, &'static str) {
    let waiting = state.authorities.next.is_some();
    (
        Step::Rest,
        if waiting {
            "clients are still learning to trust the next authority"
        } else {
            "nothing is due"
        },
    )
}
