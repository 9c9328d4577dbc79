//! An object of the engine in a release without `helm.sh/resource-policy: keep`.
//!
//! Helm's uninstall reads the annotation from the stored manifest: without it there, every
//! remediation and every `helm uninstall` takes the object along.

use crate::finding::{Finding, Level};
use crate::helm::RESOURCE_POLICY;
use crate::object::Object;
use crate::request::Door;
use crate::rule::{Case, Found, Moment, Rule};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-object-unkept",
    level: Level::Warn,
    catches: "an engine object in a release without `helm.sh/resource-policy: keep`",
    breaks: "an uninstall of the release, by hand or by remediation, deletes the object",
    when: Moment::Later,
    doors: &[Door::ReleaseRecord, Door::PostRenderer],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> Found {
    let written = case.engine_written().map(|(_, new, _)| new);
    Ok(written
        .filter(|object| !object.is_hook() && !object.is_kept())
        .map(finding)
        .collect())
}

fn finding(object: &Object) -> Finding {
    let message = match object.annotations.get(RESOURCE_POLICY) {
        Some(value) => {
            format!("{RESOURCE_POLICY} is {value:?}, so that uninstalling the release deletes it")
        }
        None => {
            format!("{RESOURCE_POLICY} is missing, so that uninstalling the release deletes it")
        }
    };
    let remedy = format!("Write {RESOURCE_POLICY}: keep on it with a post-renderer");
    Finding::about(
        object,
        "/metadata/annotations/helm.sh~1resource-policy",
        message,
        remedy,
    )
}
