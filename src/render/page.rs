//! The page of a rule, for docs and terminal.

use crate::case::request::Door;
use crate::case::rule::Rule;

/// The table's entry of a rule, as Markdown that also reads well as plain text.
#[must_use]
pub fn page(rule: &Rule) -> String {
    let doors: Vec<&str> = rule.doors.iter().map(|door| door.name()).collect();
    let needs: Vec<&str> = rule.needs.iter().map(|need| need.name()).collect();
    let needs = if needs.is_empty() {
        "nothing beyond the request".to_owned()
    } else {
        needs.join(", ")
    };
    let lines = [
        format!("Catches {}.\n\n", rule.catches),
        format!("- Default level: {}\n", level(rule)),
        format!("- What breaks: {}\n", rule.breaks),
        format!("- When: {}\n", rule.when.name()),
        format!("- Doors: {}\n", doors.join(", ")),
        format!("- Needs: {needs}\n"),
    ];
    lines.concat()
}

fn level(rule: &Rule) -> String {
    let level = format!("`{}`", rule.level.name());
    let at_check = rule.level_at_check();
    if at_check == rule.level || !rule.doors.contains(&Door::Check) {
        level
    } else {
        format!("{level}; at the door `check` `{}`", at_check.name())
    }
}
