//! Plans as JSON.

use serde::Serialize;

use super::{Planned, UpgradePlan, UpgradeStep, outlook, reason};
use crate::case::finding::ObjectRef;
use crate::render::{Report, pretty, report};
use crate::upgrade::{CrdMigration, Installation, Outlook};

#[derive(Serialize)]
struct Document<'a> {
    plans: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(flatten)]
    plan: Option<Plan<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan<'a> {
    running: String,
    target: String,
    outlook: &'static str,
    summary: String,
    reachable_without_migration: Option<String>,
    steps: Vec<Step<'a>>,
}

#[derive(Serialize)]
#[serde(
    tag = "step",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Step<'a> {
    Migrate {
        reason: String,
        before: String,
        migrations: Vec<Migration<'a>>,
    },
    Rewrite {
        reason: String,
        before: String,
        manifests: Vec<Manifests<'a>>,
    },
    Install {
        reason: String,
        to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        chart: Option<String>,
        edits: Vec<Edit<'a>>,
        judged: Report<'a>,
        rollback: Vec<Back<'a>>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Migration<'a> {
    crd: &'a str,
    leaves: &'a [String],
    storage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<u64>,
    command: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifests<'a> {
    crd: &'a str,
    version: &'a str,
    instead: &'a str,
    owner: &'a str,
    objects: &'a [String],
    fields: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edit<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a ObjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    change: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Back<'a> {
    to: String,
    possible: bool,
    refused: &'a [String],
}

pub(super) fn render(plans: &[Planned]) -> String {
    let plans = plans.iter().map(entry).collect();
    pretty(&Document { plans })
}

fn entry(planned: &Planned) -> Entry<'_> {
    let (plan, error) = match &planned.plan {
        Ok(plan) => (Some(self::plan(plan, &planned.flags)), None),
        Err(why) => (None, Some(why.as_str())),
    };
    Entry {
        cluster: &planned.name,
        error,
        plan,
    }
}

fn plan<'a>(plan: &'a UpgradePlan, flags: &str) -> Plan<'a> {
    Plan {
        running: plan.running.to_string(),
        target: plan.target.to_string(),
        outlook: match plan.outlook() {
            Outlook::Reached => "reached",
            Outlook::Safe => "safe",
            Outlook::Prepared => "prepared",
            Outlook::Blocked => "blocked",
        },
        summary: outlook(plan),
        reachable_without_migration: plan.reach().map(ToString::to_string),
        steps: plan.steps.iter().map(|one| step(one, flags)).collect(),
    }
}

fn step<'a>(step: &'a UpgradeStep, flags: &str) -> Step<'a> {
    let reason = reason(step);
    match step {
        UpgradeStep::Migrate { before, migrations } => Step::Migrate {
            reason,
            before: before.to_string(),
            migrations: migrations.iter().map(|one| migration(one, flags)).collect(),
        },
        UpgradeStep::Rewrite { before, uses } => Step::Rewrite {
            reason,
            before: before.to_string(),
            manifests: uses
                .iter()
                .map(|found| Manifests {
                    crd: &found.crd,
                    version: &found.version,
                    instead: &found.instead,
                    owner: &found.owner,
                    objects: &found.objects,
                    fields: &found.fields,
                })
                .collect(),
        },
        UpgradeStep::Install(installation) => install(installation, reason),
    }
}

fn migration<'a>(migration: &'a CrdMigration, flags: &str) -> Migration<'a> {
    Migration {
        crd: &migration.crd,
        leaves: &migration.plan.leaves,
        storage: &migration.plan.storage,
        objects: migration.objects,
        command: migration.command(flags),
    }
}

fn install(installation: &Installation, reason: String) -> Step<'_> {
    let edits = installation.edits.iter().map(|edit| Edit {
        object: edit.object.as_ref(),
        owner: edit.owner.as_deref(),
        change: &edit.change,
    });
    let back = installation.back.iter().map(|way| Back {
        to: way.to.to_string(),
        possible: way.refused.is_empty(),
        refused: &way.refused,
    });
    Step::Install {
        reason,
        to: installation.to.to_string(),
        chart: installation.chart.as_ref().map(ToString::to_string),
        edits: edits.collect(),
        judged: report(&installation.verdict),
        rollback: back.collect(),
    }
}
