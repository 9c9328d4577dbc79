//! Renders a plan for people, programs and pull requests.

mod json;
mod markdown;
mod text;

use super::{CrdMigration, Installation, OldUse, Outlook, UpgradePlan, UpgradeStep, WayBack};

/// Objects that a text names before it counts the rest.
const NAMED: usize = 3;

/// The output format of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFormat {
    /// Text for a terminal.
    Text,
    /// fluxkeep's own JSON.
    Json,
    /// Markdown for a pull request.
    Markdown,
}

impl PlanFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Text, Self::Json, Self::Markdown];

    /// The name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Markdown => "markdown",
        }
    }
}

/// A cluster and its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The cluster's name, for people.
    pub name: String,
    /// The flags with which commands reach this cluster, each after a space; may be empty.
    pub flags: String,
    /// The plan, or the reason why there is none.
    pub plan: Result<UpgradePlan, String>,
}

/// Renders the plans: one in full, several as a table with a line for each cluster. JSON holds every
/// plan in full.
#[must_use]
pub fn render(plans: &[Planned], format: PlanFormat) -> String {
    match (format, plans) {
        (PlanFormat::Json, plans) => json::render(plans),
        (PlanFormat::Text, [one]) => text::render(one),
        (PlanFormat::Text, many) => text::table(many),
        (PlanFormat::Markdown, [one]) => markdown::render(one),
        (PlanFormat::Markdown, many) => markdown::table(many),
    }
}

/// A cluster's cells of the table: running Flux, target, outlook, first step.
fn cells(Planned { name, plan, .. }: &Planned) -> [String; 5] {
    match plan {
        Ok(plan) => [
            name.clone(),
            plan.running.to_string(),
            plan.target.to_string(),
            outlook(plan),
            first(plan),
        ],
        Err(why) => [
            name.clone(),
            "unknown".to_owned(),
            String::new(),
            format!("error: {why}"),
            String::new(),
        ],
    }
}

/// The outlook, with the rules that block.
fn outlook(plan: &UpgradePlan) -> String {
    let mut rules: Vec<&str> = plan.blocking().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    match plan.outlook() {
        Outlook::Blocked => format!("blocked by {}", rules.join(", ")),
        other => other.name().to_owned(),
    }
}

/// The first step in a few words.
fn first(plan: &UpgradePlan) -> String {
    match plan.steps.first() {
        None => "none".to_owned(),
        Some(step) => title(step),
    }
}

/// A step's title.
fn title(step: &UpgradeStep) -> String {
    match step {
        UpgradeStep::Migrate { migrations, .. } => {
            format!("migrate {}", counted(migrations.len(), "CRD"))
        }
        UpgradeStep::Rewrite { uses, .. } => {
            let objects = uses.iter().map(|found| found.objects.len()).sum();
            format!("edit {}", counted(objects, "manifest"))
        }
        UpgradeStep::Install(installation) if installation.repairs => {
            format!("install the CRDs of Flux {}", installation.to)
        }
        UpgradeStep::Install(installation) => match &installation.chart {
            Some(chart) => format!("install Flux {} (chart flux2 {chart})", installation.to),
            None => format!("install Flux {}", installation.to),
        },
    }
}

/// The reason for a step.
fn reason(step: &UpgradeStep) -> String {
    match step {
        UpgradeStep::Migrate { before, .. } => format!(
            "the apiserver refuses the CRDs of Flux {before} while storedVersions lists versions that they drop"
        ),
        UpgradeStep::Rewrite { before, .. } => {
            format!("Flux {before} no longer serves the API versions of these manifests")
        }
        UpgradeStep::Install(installation) if installation.is_refused() => {
            "it is refused until the findings are mended".to_owned()
        }
        UpgradeStep::Install(installation) if installation.repairs => {
            "the release runs, but the cluster's CRDs are older".to_owned()
        }
        UpgradeStep::Install(_) => "Flux supports upgrades from minor to minor".to_owned(),
    }
}

/// A migration in a line: `crd: v1beta1, v1beta2 → v1 (12 objects)`.
fn migration(migration: &CrdMigration) -> String {
    let plan = &migration.plan;
    let objects = match migration.objects {
        Some(objects) => format!(
            " ({})",
            counted(usize::try_from(objects).unwrap_or(usize::MAX), "object")
        ),
        None => String::new(),
    };
    format!(
        "{}: {} → {}{objects}",
        migration.crd,
        plan.leaves.join(", "),
        plan.storage
    )
}

/// The commands of migrations: one for all CRDs whose storage version stays.
fn commands(migrations: &[CrdMigration], flags: &str) -> Vec<String> {
    let is_moved = |one: &&CrdMigration| one.plan.moves_from.is_some();
    let mut stay = migrations.iter().filter(|one| !is_moved(one)).peekable();
    let mut commands = Vec::new();
    if stay.peek().is_some() {
        let crds: Vec<String> = stay.map(|one| format!(" --crd {}", one.crd)).collect();
        commands.push(format!("fluxkeep migrate{flags}{}", crds.concat()));
    }
    let moved = migrations.iter().filter(is_moved);
    commands.extend(moved.map(|one| one.command(flags)));
    commands
}

/// Old manifests in a line.
fn old_use(found: &OldUse) -> String {
    let (_, group) = found.crd.split_once('.').unwrap_or_default();
    let named = names(&found.objects);
    let fields = if found.fields.is_empty() {
        String::new()
    } else {
        format!("; fields that go: {}", found.fields.join(", "))
    };
    format!(
        "{named}, written by {}: apiVersion {group}/{} → {group}/{}{fields}",
        found.owner, found.version, found.instead
    )
}

/// The first objects, and the number of the others.
fn names(objects: &[String]) -> String {
    let shown: Vec<&str> = objects.iter().take(NAMED).map(String::as_str).collect();
    match objects.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The edits of an installation, a line each.
fn edits(installation: &Installation) -> Vec<String> {
    let line = |edit: &super::Edit| match (&edit.object, &edit.owner) {
        (Some(object), Some(owner)) => format!("{object} (applied by {owner}): {}", edit.change),
        (Some(object), None) => format!("{object}: {}", edit.change),
        (None, Some(owner)) => format!("{owner}: {}", edit.change),
        (None, None) => edit.change.clone(),
    };
    installation.edits.iter().map(line).collect()
}

/// The releases to which the way back is open, and those to which it is not. The reasons are those
/// of the newest closed one; older ones have the same and more.
fn ways_back(installation: &Installation) -> Vec<String> {
    let mut open = Vec::new();
    let mut closed = Vec::new();
    for way in &installation.back {
        let list = if way.refused.is_empty() {
            &mut open
        } else {
            &mut closed
        };
        list.push(way);
    }
    let mut lines = Vec::new();
    if !open.is_empty() {
        lines.push(format!("possible: back to {}", versions(&open)));
    }
    if let Some((newest, older)) = closed.split_first() {
        let reasons = newest.refused.join("; ");
        lines.push(format!("not possible: back to {}: {reasons}", newest.to));
        if !older.is_empty() {
            lines.push(format!("nor back to {}", versions(older)));
        }
    }
    lines
}

fn versions(ways: &[&WayBack]) -> String {
    let versions: Vec<String> = ways.iter().map(|way| way.to.to_string()).collect();
    versions.join(", ")
}

/// The head of a plan: where it leads, and what it takes.
fn head(plan: &UpgradePlan) -> String {
    let installs = plan.installations().count();
    let others = plan.steps.len() - installs;
    let outlook = outlook(plan);
    if plan.steps.is_empty() {
        return format!("{} runs; nothing to do", plan.running);
    }
    let mut parts = vec![counted(installs, "upgrade")];
    if others > 0 {
        parts.push(counted(others, "preparation"));
    }
    format!(
        "{} to Flux {}: {}, {outlook}",
        plan.running,
        plan.target,
        parts.join(", ")
    )
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
