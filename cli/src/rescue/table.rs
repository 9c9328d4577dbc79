//! The plan as a table.

use fluxkeep::rescue::{Action, Obstacle, Plan, Step};

use crate::adopt::table::columns;

/// A row for each step, and the number of objects that stay.
pub(super) fn plan(plan: &Plan) -> String {
    let head = ["OBJECT", "LEFT", "TO DO", "WHY"].map(str::to_owned);
    let mut lines = vec![head];
    lines.extend(plan.steps.iter().map(line));
    let mut parts = Vec::new();
    if !plan.steps.is_empty() {
        parts.push(columns(&lines));
    }
    if plan.equal > 0 {
        parts.push(format!(
            "{} objects are as the recovery point says\n",
            plan.equal
        ));
    }
    parts.concat()
}

fn line(step: &Step) -> [String; 4] {
    let to_do = match step.action {
        Action::Suspend => "suspend",
        Action::Create => "create",
        Action::Change => "correct",
        Action::DeleteRecord => "save and delete",
    };
    [
        step.object.to_string(),
        step.left.clone(),
        to_do.to_owned(),
        step.why.clone(),
    ]
}

/// The obstacles, each with its way out.
pub(super) fn obstacles(obstacles: &[Obstacle]) -> String {
    let line = |obstacle: &Obstacle| format!("{}: {}\n", obstacle.object, obstacle.why);
    obstacles.iter().map(line).collect()
}
