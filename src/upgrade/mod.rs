//! The way from the running Flux to another release, as ordered steps.
//!
//! The plan plays the steps on a copy of the facts. Before each release, the judge is asked about
//! that release on the cluster as the earlier steps leave it. If a dropped stored version refuses
//! the release, a migration comes first, and the judge is asked again. The way back is judged in the
//! same manner. No prediction is the plan's own.

mod edits;
mod in_use;
mod migrations;
pub(crate) mod offer;
mod path;
mod render;

pub use edits::Edit;
pub use in_use::{CustomResources, OldUse, Written};
pub use migrations::CrdMigration;
pub use path::Unplanned;
pub use render::{PlanFormat, Planned, render};

use std::cmp::Ordering;
use std::collections::BTreeSet;

use jiff::Timestamp;
use semver::Version;

use crate::case::facts::Facts;
use crate::case::finding::{Finding, Level, ObjectRef};
use crate::case::policy::Policy;
use crate::case::rule::Need;
use crate::case::verdict::{Abstained, Decision, Verdict};
use crate::flux::Flux;
use crate::flux::catalogue::FluxRelease;
use crate::flux::engine::Engine;
use crate::judge::judge;
use crate::rules::{destructive_remediation, flux_downgraded};

/// The way to a release of Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradePlan {
    /// The Flux that runs now.
    pub running: Flux,
    /// The release to reach.
    pub target: Version,
    /// The steps, in order. The last one is refused if the target cannot be reached.
    pub steps: Vec<UpgradeStep>,
    /// True if the custom resources were read, so numbers and API versions are known.
    pub knows_resources: bool,
}

/// A step of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpgradeStep {
    /// Stored objects are rewritten, and old versions leave `status.storedVersions`.
    Migrate {
        /// The release that is refused without the migration.
        before: Version,
        /// The migrations, ordered by CRD.
        migrations: Vec<CrdMigration>,
    },
    /// Manifests of custom resources move to an API version that stays.
    Rewrite {
        /// The release that no longer serves the old versions.
        before: Version,
        /// The manifests, grouped by CRD, version and owner.
        uses: Vec<OldUse>,
    },
    /// A release of Flux is installed.
    Install(Box<Installation>),
}

/// A release of Flux that is installed over the running one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The release.
    pub to: Version,
    /// True if the release runs already, and only its CRDs are installed.
    pub repairs: bool,
    /// The newest version of the community's chart `flux2` with this release.
    pub chart: Option<Version>,
    /// The objects and manifests to edit.
    pub edits: Vec<Edit>,
    /// The judge's answer. A finding of an earlier step is not repeated.
    pub verdict: Verdict,
    /// The releases that were passed, newest first, and whether the way back to each is open.
    pub back: Vec<WayBack>,
}

/// The way back to a release that was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    /// The earlier release.
    pub to: Version,
    /// The reasons of the judge; empty if the way is open.
    pub refused: Vec<String>,
}

/// What a plan means for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// The target runs already.
    Reached,
    /// Every step passes as it is.
    Safe,
    /// Every step passes, after migrations or edits of manifests.
    Prepared,
    /// A step is refused, and no migration helps.
    Blocked,
}

impl Outlook {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Safe => "safe",
            Self::Prepared => "safe after preparation",
            Self::Blocked => "blocked",
        }
    }
}

impl UpgradePlan {
    /// What the plan means for the cluster.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        if self.steps.is_empty() {
            return Outlook::Reached;
        }
        if self.blocking().next().is_some() {
            return Outlook::Blocked;
        }
        let is_install = |step: &UpgradeStep| matches!(step, UpgradeStep::Install(_));
        if self.steps.iter().all(is_install) {
            Outlook::Safe
        } else {
            Outlook::Prepared
        }
    }

    /// The installations, in order.
    pub fn installations(&self) -> impl Iterator<Item = &Installation> {
        self.steps.iter().filter_map(|step| match step {
            UpgradeStep::Install(installation) => Some(installation.as_ref()),
            _ => None,
        })
    }

    /// The findings that refuse a step, in the order of the steps.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.installations().flat_map(Installation::refusals)
    }

    /// The newest release on the way that needs no migration. `None` if the first step needs one.
    #[must_use]
    pub fn reach(&self) -> Option<&Version> {
        let mut reach = None;
        for step in &self.steps {
            match step {
                UpgradeStep::Migrate { .. } => break,
                UpgradeStep::Rewrite { .. } => {}
                UpgradeStep::Install(installation) if installation.is_refused() => break,
                UpgradeStep::Install(installation) => reach = Some(&installation.to),
            }
        }
        reach
    }
}

impl Installation {
    /// True if the judge refuses the release or an edit.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.verdict.decision() == Decision::Refuse
    }

    /// The findings that refuse it.
    pub fn refusals(&self) -> impl Iterator<Item = &Finding> {
        refusals(&self.verdict)
    }
}

fn refusals(verdict: &Verdict) -> impl Iterator<Item = &Finding> {
    let standing = verdict.standing();
    standing.filter(|finding| finding.level == Level::Enforce)
}

/// The judge's answer to a release that replaces the running Flux, as the catalogue knows it.
#[must_use]
pub fn judged(facts: &Facts, policy: &Policy, release: &FluxRelease, now: Timestamp) -> Verdict {
    let request = offer::request(facts, &policy.engine, release);
    let mut verdict = judge(&request, facts, policy, now);
    // Without Helm there is no release, so the rules about its name have nothing to compare.
    let is_told = |abstained: &Abstained| abstained.needs != Need::ReleaseName;
    verdict.abstained.retain(is_told);
    verdict
}

/// The newest release, or if a chart installs Flux, the newest release that a chart carries.
#[must_use]
pub fn newest<'a>(facts: &Facts, engine: &'a Engine) -> Option<&'a FluxRelease> {
    let releases = engine.catalogue.releases();
    if edits::is_by_chart(facts, engine) {
        let mut newest_first = releases.iter().rev();
        return newest_first.find(|release| !release.charts.is_empty());
    }
    releases.last()
}

/// Plans the way to a release.
///
/// # Errors
/// If no Flux runs, or the catalogue cannot place the running Flux.
pub fn plan(
    facts: &Facts,
    policy: &Policy,
    resources: Option<&CustomResources>,
    target: &FluxRelease,
    now: Timestamp,
) -> Result<UpgradePlan, Unplanned> {
    let engine = &policy.engine;
    let running = path::running(facts, engine)?;
    let start = path::start(&running, &engine.catalogue)?;
    let prefers_charts = edits::is_by_chart(facts, engine);
    let mut passed = vec![start];
    let mut walk = Walk {
        facts: facts.clone(),
        policy,
        resources,
        now,
        steps: Vec::new(),
        told: BTreeSet::new(),
    };
    let is_ahead = Flux::of_release(target).compare(&running) == Some(Ordering::Greater);
    let mut is_open = true;
    if is_ahead && path::is_behind(facts, start) {
        is_open = walk.install(start, &[], true);
    }
    for release in path::releases(&engine.catalogue, &running, target, prefers_charts) {
        is_open = is_open && walk.install(release, &passed, false);
        if !is_open {
            break;
        }
        passed.push(release);
    }
    Ok(UpgradePlan {
        running,
        target: target.version.clone(),
        steps: walk.steps,
        knows_resources: resources.is_some(),
    })
}

/// The identity of a finding across steps.
type Told = (&'static str, ObjectRef, String);

/// The cluster as the steps so far leave it.
struct Walk<'a> {
    facts: Facts,
    policy: &'a Policy,
    resources: Option<&'a CustomResources>,
    now: Timestamp,
    steps: Vec<UpgradeStep>,
    told: BTreeSet<Told>,
}

impl Walk<'_> {
    /// Adds the steps of a release. Returns false if the release stays refused.
    fn install(&mut self, release: &FluxRelease, passed: &[&FluxRelease], repairs: bool) -> bool {
        self.migrate(release);
        self.rewrite(release);
        let edits = if repairs {
            vec![edits::crds(release)]
        } else {
            edits::edits(&self.facts, &self.policy.engine, release)
        };
        let of_edits = self.edit(&edits);
        let mut verdict = judged(&self.facts, self.policy, release, self.now);
        let is_open = verdict.decision() != Decision::Refuse;
        verdict.join(of_edits);
        self.tell_once(&mut verdict);
        let mut back = Vec::new();
        if is_open {
            for object in offer::applied(&self.facts, &self.policy.engine, release) {
                self.facts.put(object);
            }
            back = self.ways_back(passed);
        }
        self.steps.push(UpgradeStep::Install(Box::new(Installation {
            to: release.version.clone(),
            repairs,
            chart: release.charts.last().cloned(),
            edits,
            verdict,
            back,
        })));
        is_open
    }

    /// Migrates the CRDs whose stored versions refuse the release, if that helps.
    fn migrate(&mut self, release: &FluxRelease) {
        let verdict = judged(&self.facts, self.policy, release, self.now);
        let mut migrations = Vec::new();
        // An override does not make the apiserver accept a CRD, so excused findings count.
        for finding in &verdict.findings {
            let found = migrations::migration(finding, &self.facts, release);
            let Some((mut migration, migrated)) = found else {
                continue;
            };
            migration.objects = self
                .resources
                .and_then(|resources| resources.count(&migration.crd));
            self.facts.put(migrated);
            migrations.push(migration);
        }
        if !migrations.is_empty() {
            self.steps.push(UpgradeStep::Migrate {
                before: release.version.clone(),
                migrations,
            });
        }
    }

    /// Names the manifests in versions that the release no longer serves.
    fn rewrite(&mut self, release: &FluxRelease) {
        let Some(resources) = self.resources else {
            return;
        };
        let uses = resources.lost_by(release, &self.facts);
        if !uses.is_empty() {
            self.steps.push(UpgradeStep::Rewrite {
                before: release.version.clone(),
                uses,
            });
        }
    }

    /// Drops the findings that an earlier step told.
    fn tell_once(&mut self, verdict: &mut Verdict) {
        let told = &mut self.told;
        verdict.findings.retain(|finding| {
            let identity = (finding.rule, finding.object.clone(), finding.path.clone());
            // The other rules are about versions, and find something new at each step.
            finding.rule != destructive_remediation::RULE.id || told.insert(identity)
        });
    }

    /// Judges the edits, and puts the edited objects into the facts.
    fn edit(&mut self, edits: &[Edit]) -> Verdict {
        let mut verdict = Verdict::default();
        for edit in edits {
            let Some(request) = &edit.request else {
                continue;
            };
            verdict.join(judge(request, &self.facts, self.policy, self.now));
            if let Some(edited) = edit.edited() {
                self.facts.put(edited.clone());
            }
        }
        verdict
    }

    /// Judges the way back to each release that was passed.
    fn ways_back(&self, passed: &[&FluxRelease]) -> Vec<WayBack> {
        let mut ways = Vec::new();
        for release in passed.iter().rev() {
            let verdict = judged(&self.facts, self.policy, release, self.now);
            ways.push(WayBack {
                to: release.version.clone(),
                refused: reasons(&verdict),
            });
        }
        ways
    }
}

/// The refusals of a way back in words. `flux-downgraded` sums up the CRDs of the others.
fn reasons(verdict: &Verdict) -> Vec<String> {
    let sums_up = |finding: &&Finding| finding.rule == flux_downgraded::RULE.id;
    let mut refused: Vec<&Finding> = refusals(verdict).collect();
    if refused.iter().any(sums_up) {
        refused.retain(sums_up);
    }
    let words = refused
        .iter()
        .map(|finding| format!("{}: {}", finding.rule, finding.message));
    words.collect()
}
