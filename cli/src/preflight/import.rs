//! Live objects that Helm refuses to import, foretold.
//!
//! Before Helm stores anything, it compares each live object's label and annotations with the
//! release. The rule `foreign-owner` refuses objects of other owners; here they get the command that
//! hands all of them over.

use fluxkeep::adoption::owners::holder;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Finding;
use fluxkeep::case::verdict::{Decision, Verdict};
use fluxkeep::helm::{MANAGED_BY, Owner};
use fluxkeep::object::Object;
use fluxkeep::rules::foreign_owner;

use super::Args;
use super::input::Input;
use crate::clusters::quoted;

/// Tells which live objects Helm refuses to import, or which belong to other owners, with the command
/// that adopts them.
pub(super) fn notes(args: &Args, facts: &Facts, input: &Input, verdict: &Verdict) -> Vec<String> {
    let unowned = refused(args, facts, input, verdict);
    let foreign = foreign(args, input, verdict);
    unowned.into_iter().chain(foreign).collect()
}

fn foreign(args: &Args, input: &Input, verdict: &Verdict) -> Option<String> {
    let owner = input.release.owner.as_ref()?;
    let is_foreign = |finding: &&Finding| finding.rule == foreign_owner::RULE.id;
    let count = verdict.standing().filter(is_foreign).count();
    if count == 0 {
        return None;
    }
    Some(format!(
        "foreign-owner: instead of object by object, all that Flux consists of can be handed over to this release. \
         This shows the plan, and how to pause the present owner:\n  {}",
        command(args, owner)
    ))
}

fn refused(args: &Args, facts: &Facts, input: &Input, verdict: &Verdict) -> Option<String> {
    let owner = input.release.owner.as_ref()?;
    let objects = input.release.objects.iter().filter(|new| !new.is_hook());
    let mut unowned = objects.filter(|new| {
        let live = facts.live(&new.key());
        live.is_some_and(|live| !live.is_unread() && is_unowned(live, owner))
    });
    let first = unowned.next()?;
    let what = match unowned.count() {
        0 => format!("{first} exists"),
        more => format!("{first} and {more} more exist"),
    };
    let what = format!(
        "Helm will refuse this release: {what} and cannot be imported into the current release."
    );
    let command = command(args, owner);
    Some(if verdict.decision() == Decision::Refuse {
        format!("{what} Mend the refusals first, then adopt:\n  {command}")
    } else {
        format!(
            "{what} Adopt first, or give Helm --take-ownership (helm-controller 1.1 and newer takes ownership by \
             itself):\n  {command} --yes"
        )
    })
}

/// True if no owner is named, or the release is named without the label that Helm needs.
fn is_unowned(live: &Object, owner: &Owner) -> bool {
    match holder(live) {
        None => true,
        Some(holder) => {
            let is_ours = holder.release().as_ref() == Some(owner);
            let is_labelled = live.labels.get(MANAGED_BY).is_some_and(|by| by == "Helm");
            is_ours && !is_labelled
        }
    }
}

/// The command that plans the adoption of what the manifests hold.
fn command(args: &Args, owner: &Owner) -> String {
    let context = match args.clusters.context.as_slice() {
        [context] => Some(context.as_str()),
        _ => None,
    };
    let flags = args.clusters.flags(context);
    let mut words = vec![format!("fluxkeep adopt{flags}")];
    let Owner { name, namespace } = owner;
    words.push(format!("--release-name {name} --namespace {namespace}"));
    let paths = args.manifests.iter();
    words.extend(paths.map(|path| quoted(&path.to_string_lossy())));
    words.join(" ")
}
