//! A false list in `status.storedVersions`.
//!
//! The apiserver accepts any list. A list without the storage version, or with a version that the
//! spec lacks, blocks every later write of the CRD. Objects stored in a version that was taken off
//! become unreadable (GET 500, LIST of the whole kind 429). The rule trusts only the apiserver. A
//! version may be taken off *after* its objects were rewritten, which the rule cannot see. Every
//! storage migration ends this way, so the missing version alone only warns.

use std::collections::BTreeSet;

use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::crd::Definition;
use crate::crd::migration::{move_storage, rewrite};
use crate::object::Object;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "stored-versions-pruned",
    level: Level::Enforce,
    catches: "a `storedVersions` list that drops a version in which objects may be stored, lacks the storage version, \
              or names a version that the spec lacks",
    breaks: "objects become unreadable, or every later write of the CRD is refused",
    when: Moment::Done,
    doors: &[Door::CrdStatus],
    needs: &[],
    check,
};

fn check(case: &Case<'_>) -> RuleResult {
    let change = case
        .change()
        .filter(|_| !case.request.writer.is_apiserver());
    let pair = change.and_then(|change| Some((change.old.as_ref()?, change.new.as_ref()?)));
    let Some((old, new)) = pair else {
        return Ok(Vec::new());
    };
    let Some((was, is)) = old.definition().zip(new.definition()) else {
        return Ok(Vec::new());
    };
    // A write of conditions alone need not mend an older defect.
    if was.stored == is.stored {
        return Ok(Vec::new());
    }
    let findings = [
        without_storage(new, was, is),
        unknown(new, was, is),
        pruned(new, was, is),
    ];
    Ok(findings.into_iter().flatten().collect())
}

/// A status write cannot change the spec, so the old object's spec counts.
fn without_storage(object: &Object, was: &Definition, is: &Definition) -> Option<Finding> {
    let storage = was
        .storage()
        .filter(|storage| !is.stored.iter().any(|stored| stored == storage))?;
    let message = format!(
        "storedVersions [{}] lacks {storage}, in which objects are stored",
        is.stored.join(", ")
    );
    // The writer wants to keep another version, which must become the storage version first.
    let offered = was.names();
    let mut kept = is
        .stored
        .iter()
        .filter(|one| offered.contains(one.as_str()));
    let command = kept.find_map(|version| move_storage(&object.name, was, version));
    let remedy = match command {
        Some(command) => format!(
            "Keep {storage} in the list. To remove it, make another version the storage version first, \
             then rewrite the objects and prune:\n{command}"
        ),
        None => format!("Keep {storage} in the list"),
    };
    Some(Finding::about(
        object,
        "/status/storedVersions",
        message,
        remedy,
    ))
}

fn unknown(object: &Object, was: &Definition, is: &Definition) -> Option<Finding> {
    let offered = was.names();
    let is_unknown = |version: &&String| !offered.contains(version.as_str());
    let unknown = is.stored.iter().filter(is_unknown).map(String::as_str);
    let lacking: Vec<_> = unknown.collect();
    let first = lacking.first()?;
    let message = format!(
        "storedVersions names {}, but spec.versions has {}",
        lacking.join(", "),
        was.offered()
    );
    let remedy = format!("Remove {first} from the list, or add it to spec.versions first");
    Some(Finding::about(
        object,
        "/status/storedVersions",
        message,
        remedy,
    ))
}

fn pruned(object: &Object, was: &Definition, is: &Definition) -> Option<Finding> {
    let storage = was.storage()?;
    let kept: BTreeSet<&String> = is.stored.iter().collect();
    let gone = |version: &&String| version.as_str() != storage && !kept.contains(version);
    let gone: Vec<_> = was.stored.iter().filter(gone).map(String::as_str).collect();
    let message = format!(
        "{} is removed from storedVersions; objects still stored in it become unreadable",
        gone.join(", ")
    );
    let remedy = format!(
        "Make sure that every object is rewritten as {storage} first:\n{}",
        rewrite(&object.name, was)
    );
    let finding = || Finding::about(object, "/status/storedVersions", message, remedy);
    (!gone.is_empty()).then(|| finding().at_most(Level::Warn))
}
