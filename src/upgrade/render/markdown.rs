//! A plan as Markdown, for a pull request or an issue.

use super::{
    Planned, UpgradeStep, cells, commands, edits, head, migration, old_use, reason, title,
    ways_back,
};
use crate::render::printable;

/// A plan in full: a list of steps, with a box to tick for each.
pub(super) fn render(Planned { name, flags, plan }: &Planned) -> String {
    let mut lines = vec![
        format!("## Upgrade of Flux: {}", plain(name)),
        String::new(),
    ];
    match plan {
        Ok(plan) => {
            lines.push(format!("{}.", plain(&head(plan))));
            lines.push(String::new());
            for step in &plan.steps {
                lines.push(format!(
                    "- [ ] **{}**: {}",
                    plain(&title(step)),
                    plain(&reason(step))
                ));
                lines.extend(
                    details(step, flags)
                        .into_iter()
                        .map(|line| format!("  - {line}")),
                );
            }
        }
        Err(why) => lines.push(plain(why)),
    }
    printable(&(lines.join("\n") + "\n"))
}

fn details(step: &UpgradeStep, flags: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match step {
        UpgradeStep::Migrate { migrations, .. } => {
            for one in migrations {
                lines.push(plain(&migration(one)));
            }
            lines.extend(
                commands(migrations, flags)
                    .into_iter()
                    .map(|one| format!("`{one}`")),
            );
        }
        UpgradeStep::Rewrite { uses, .. } => {
            lines.extend(uses.iter().map(|found| plain(&old_use(found))));
        }
        UpgradeStep::Install(installation) => {
            lines.extend(edits(installation).iter().map(|edit| plain(edit)));
            for finding in installation.verdict.standing() {
                let outcome = finding.outcome().name();
                lines.push(format!("{outcome}: {}", plain(&finding.to_string())));
            }
            for abstained in &installation.verdict.abstained {
                lines.push(format!(
                    "`{}` cannot judge: it needs the {}",
                    abstained.rule, abstained.needs
                ));
            }
            lines.extend(ways_back(installation).iter().map(|way| plain(way)));
        }
    }
    lines
}

/// A row for each cluster.
pub(super) fn table(plans: &[Planned]) -> String {
    let mut lines = vec![
        "| cluster | runs | target | outlook | first step |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for planned in plans {
        let cells = cells(planned).map(|cell| plain(&cell));
        lines.push(format!("| {} |", cells.join(" | ")));
    }
    printable(&(lines.join("\n") + "\n"))
}

/// Text without Markdown's own characters, in one line.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '\n' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '@' => {
                plain.push('\\');
                plain.push(letter);
            }
            other => plain.push(other),
        }
    }
    plain
}
