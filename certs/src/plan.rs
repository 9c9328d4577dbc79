//! Chooses the next step as a pure function of state and time. The first step that is due wins:
//!
//! 1. Make: there is no next authority, and the current one is invalid or two thirds of its life
//!    are over. The caller stores a next authority.
//! 2. Publish: a bundle differs from the wanted one. The caller writes the bundles.
//! 3. Issue: clients do not accept the served leaf. The caller serves a leaf of the current
//!    authority.
//! 4. Switch: the next authority has settled in every bundle, or clients do not accept the served
//!    leaf. Next becomes current; of the former current one, only the certificate stays.
//! 5. Issue: the leaf's authority is a former one and the current one has settled, or two thirds
//!    of the leaf's life are over.
//! 6. Forget: a previous authority has expired. The caller stores the others.
//! 7. Rest: nothing is due.
//!
//! Two rules make every order of replicas' steps safe. Leaves are issued from `current` only, and
//! an authority becomes `current` only after every bundle holds it. Bundles drop only expired and
//! surplus certificates, so a replica that saw less cannot remove one that another needs.

use std::time::SystemTime;

use crate::authorities::REMEMBERED;
use crate::{Authorities, Authority, Bundle, Certificate, Life};

/// The certificate that a replica serves, as the plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The authority's certificate.
    pub issuer: Certificate,
    /// The leaf's validity.
    pub life: Life,
}

/// The state as one replica sees it.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// The authorities that all replicas share.
    pub authorities: &'a Authorities,
    /// The bundles that clients trust; empty while the server is not registered.
    pub bundles: &'a [Bundle],
    /// The certificates that every client has had time to learn.
    pub settled: &'a Bundle,
    /// The leaf that this replica serves.
    pub leaf: Option<&'a Leaf>,
}

/// A step. After it, the caller looks again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStep {
    /// Make an authority and store it as the next one.
    Make,
    /// Write this into every bundle that differs.
    Publish(Bundle),
    /// Make the next authority the current one.
    Switch,
    /// Serve a new leaf of the current authority.
    Issue,
    /// Remove expired previous authorities.
    Forget,
    /// Do nothing until time passes or the state changes.
    Rest,
}

impl RotationStep {
    /// A short name for the log.
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

/// A step with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPlan {
    /// The step.
    pub step: RotationStep,
    /// The reason in words, for the log.
    pub reason: &'static str,
}

/// The next step.
#[must_use]
pub fn plan(state: &State<'_>, now: SystemTime) -> RotationPlan {
    let steps = [make, publish, serve, switch, renew, forget];
    let step = steps.into_iter().find_map(|step| step(state, now));
    let (step, reason) = step.unwrap_or_else(|| rest(state));
    RotationPlan { step, reason }
}

type Planned = Option<(RotationStep, &'static str)>;

impl State<'_> {
    /// True if all clients accept this replica's leaf.
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

    /// True if every client has learned of the authority. Also true if the present leaf is not
    /// accepted, so that nothing is lost.
    fn may_serve_from(&self, authority: &Authority, now: SystemTime) -> bool {
        self.settled.contains(authority.certificate()) || !self.is_trusted(now)
    }

    /// The content that every bundle should have. Certificates of unknown origin are kept: a
    /// replica may serve from a lost authority or another source.
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
        None => Some((RotationStep::Make, "no valid authority exists")),
        Some(current) if current.certificate().life().is_due(now) => Some((
            RotationStep::Make,
            "two thirds of the authority's lifetime have passed",
        )),
        Some(_) => None,
    }
}

fn publish(state: &State<'_>, now: SystemTime) -> Planned {
    let wanted = state.wanted(now);
    let differ = state.bundles.iter().any(|bundle| *bundle != wanted);
    differ.then_some((
        RotationStep::Publish(wanted),
        "a caBundle differs from the trusted authorities",
    ))
}

fn serve(state: &State<'_>, now: SystemTime) -> Planned {
    let wanted = state.current(now).is_some() && !state.is_trusted(now);
    wanted.then_some((
        RotationStep::Issue,
        "no certificate that clients accept is served",
    ))
}

fn switch(state: &State<'_>, now: SystemTime) -> Planned {
    let next = state.next(now)?;
    state
        .may_serve_from(next, now)
        .then_some((RotationStep::Switch, "all clients trust the next authority"))
}

fn renew(state: &State<'_>, now: SystemTime) -> Planned {
    let (current, leaf) = (state.current(now)?, state.leaf?);
    if leaf.issuer != *current.certificate() {
        let may = state.may_serve_from(current, now);
        return may.then_some((RotationStep::Issue, "the current authority has changed"));
    }
    // Reissuing cannot extend a leaf that expires with its authority; every look would reissue.
    let is_last = leaf.life.not_after >= current.certificate().life().not_after;
    (leaf.life.is_due(now) && !is_last).then_some((
        RotationStep::Issue,
        "two thirds of the certificate's lifetime have passed",
    ))
}

fn forget(state: &State<'_>, now: SystemTime) -> Planned {
    state
        .authorities
        .remember_dead(now)
        .then_some((RotationStep::Forget, "a previous authority has expired"))
}

fn rest(state: &State<'_>) -> (RotationStep, &'static str) {
    let waiting = state.authorities.next.is_some();
    (
        RotationStep::Rest,
        if waiting {
            "waiting until all clients trust the next authority"
        } else {
            "nothing is due"
        },
    )
}
