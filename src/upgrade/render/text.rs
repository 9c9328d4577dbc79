//! A plan as text for a terminal.

use super::{
    Planned, UpgradePlan, UpgradeStep, cells, commands, edits, head, migration, old_use, reason,
    title, ways_back,
};
use crate::render::printable;

/// A plan in full.
pub(super) fn render(Planned { name, flags, plan }: &Planned) -> String {
    let mut lines = Vec::new();
    match plan {
        Ok(plan) => {
            lines.push(format!("{name}: {}", head(plan)));
            for (place, step) in plan.steps.iter().enumerate() {
                lines.push(String::new());
                lines.push(format!("{}. {}", place + 1, title(step)));
                lines.push(format!("   {}", reason(step)));
                lines.extend(
                    details(step, flags)
                        .into_iter()
                        .map(|line| format!("   {line}")),
                );
            }
            lines.extend(reach(plan));
        }
        Err(why) => lines.push(format!("{name}: {why}")),
    }
    printable(&(lines.join("\n") + "\n"))
}

/// The newest release that needs no migration, if it is not the target.
fn reach(plan: &UpgradePlan) -> Vec<String> {
    let line = match plan.reach() {
        _ if plan.steps.is_empty() => return Vec::new(),
        Some(reach) if *reach == plan.target => return Vec::new(),
        Some(reach) => format!("Without a migration: up to Flux {reach}."),
        None => "Without a migration: no other release.".to_owned(),
    };
    vec![String::new(), line]
}

fn details(step: &UpgradeStep, flags: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match step {
        UpgradeStep::Migrate { migrations, .. } => {
            for one in migrations {
                lines.push(format!("- {}", migration(one)));
            }
            lines.extend(
                commands(migrations, flags)
                    .into_iter()
                    .map(|one| format!("→ {one}")),
            );
        }
        UpgradeStep::Rewrite { uses, .. } => {
            lines.extend(uses.iter().map(|found| format!("- {}", old_use(found))));
        }
        UpgradeStep::Install(installation) => {
            lines.extend(
                edits(installation)
                    .into_iter()
                    .map(|edit| format!("→ {edit}")),
            );
            for finding in installation.verdict.standing() {
                let outcome = finding.outcome().name();
                lines.push(format!("- {outcome} {finding}"));
            }
            for abstained in &installation.verdict.abstained {
                lines.push(format!(
                    "- {} cannot judge: it needs the {}",
                    abstained.rule, abstained.needs
                ));
            }
            lines.extend(ways_back(installation));
        }
    }
    lines
}

/// A line for each cluster.
pub(super) fn table(plans: &[Planned]) -> String {
    let heads = ["CLUSTER", "RUNS", "TARGET", "OUTLOOK", "FIRST STEP"].map(str::to_owned);
    let mut rows = vec![heads];
    rows.extend(plans.iter().map(cells));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let room = width - cell.chars().count() + 2;
            line += cell;
            line.extend(std::iter::repeat_n(' ', room));
        }
        text += line.trim_end();
        text.push('\n');
    }
    printable(&text)
}
