//! Derives from an answer the notes to write and their objects.

use fluxkeep::admission::Answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::{Finding, ObjectRef, Outcome as Became, more};
use fluxkeep::case::request::{Change, Operation, Subject as About};
use fluxkeep::helm::Owner;
use fluxkeep::render::message::refusal;
use fluxkeep::rules::engine_deleted::way_out_of_uninstalling;

/// Limit of the new Events API; kubectl shows the message in one line.
const LONGEST: usize = 1_024;

/// A note about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventNote {
    /// The object that the note is about.
    pub(super) about: ObjectRef,
    /// The reason in one word, for programs.
    pub(super) reason: &'static str,
    /// The message, for people.
    pub(super) message: String,
}

/// The notes about a refusal. A deletion: one on the object, and one on each HelmRelease of its Helm
/// release. A release: one on each of its HelmReleases. A dry run gives none.
pub(super) fn plan(answer: &Answer, facts: &Facts) -> Vec<EventNote> {
    let findings: Vec<&Finding> = answer.verdict.with(Became::Refused).collect();
    let request = answer
        .request
        .as_ref()
        .filter(|request| !request.dry_run && !findings.is_empty());
    let Some(request) = request else {
        return Vec::new();
    };
    match (&request.subject, request.operation) {
        (About::Change(change), Operation::Delete) => deletion(change, &findings, facts),
        (About::Release(release), _) => {
            let told = |about| told(about, "ReleaseRefused", refusal(&findings));
            release
                .owner
                .iter()
                .flat_map(|owner| facts.helm_releases(owner))
                .map(ObjectRef::of)
                .map(told)
                .collect()
        }
        (About::Change(_) | About::Repository(_), _) => Vec::new(),
    }
}

fn deletion(change: &Change, findings: &[&Finding], facts: &Facts) -> Vec<EventNote> {
    let (Some(old), Some(first)) = (&change.old, findings.first()) else {
        return Vec::new();
    };
    let owner = old.owner();
    let on_release = |release| {
        let advice = owner.as_ref().and_then(advice).unwrap_or_default();
        let message = format!(
            "{}: {}: {}. {advice}{}",
            first.rule,
            first.object,
            first.message,
            more(first.rule)
        );
        told(ObjectRef::of(release), "DeletionRefused", message)
    };
    let releases = owner
        .iter()
        .flat_map(|owner| facts.helm_releases(owner))
        .map(on_release);
    [told(
        ObjectRef::of(old),
        "DeletionRefused",
        first.to_string(),
    )]
    .into_iter()
    .chain(releases)
    .collect()
}

/// Says how to go on after Helm could not delete an object of its release. Without the command
/// people delete the record, and Helm installs, fails and uninstalls again.
fn advice(owner: &Owner) -> Option<String> {
    let command = way_out_of_uninstalling(owner)?;
    Some(format!(
        "The Helm release may now be `uninstalling`. Correct this HelmRelease, then: {command}. "
    ))
}

fn told(about: ObjectRef, reason: &'static str, message: String) -> EventNote {
    let message = if message.len() > LONGEST {
        let end = message.floor_char_boundary(LONGEST - '…'.len_utf8());
        format!("{}…", message.get(..end).unwrap_or_default())
    } else {
        message
    };
    EventNote {
        about,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use fluxkeep::case::policy::Policy;
    use fluxkeep::manifest::{self, Reading};
    use fluxkeep::object::Object;
    use serde_json::{Value, json};

    const CONTROLLER: &str = "source-controller";

    fn facts() -> Facts {
        let release = |name: &str, release: &str| {
            json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"name": name, "namespace": "flux-system"}, "spec": {"releaseName": release}})
        };
        let text = [release("flux", "flux"), release("shop", "shop")]
            .map(|object| object.to_string())
            .join("\n---\n");
        Facts::of(manifest::read(&text, Reading::default()).unwrap())
    }

    fn controller(name: &str, owner: Option<&str>) -> Value {
        let owner = owner
            .map(|owner| json!({"meta.helm.sh/release-name": owner, "meta.helm.sh/release-namespace": "flux-system"}));
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "flux-system", "annotations": owner}})
    }

    fn planned(operation: &str, dry_run: bool, old: &Value) -> Vec<EventNote> {
        let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": "1",
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "resource": {"resource": "deployments"},
            "namespace": "flux-system", "name": old["metadata"]["name"], "operation": operation,
            "userInfo": {"username": "jane"}, "oldObject": old, "object": old, "dryRun": dry_run}});
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let answer = fluxkeep::admission::answer(
            review.to_string().as_bytes(),
            &facts(),
            &Policy::default(),
            now,
        );
        plan(&answer, &facts())
    }

    #[test]
    fn a_refused_deletion_is_told_on_the_object_and_on_the_helm_release_that_owns_it() {
        let told = planned("DELETE", false, &controller(CONTROLLER, Some("flux")));
        let on: Vec<_> = told
            .iter()
            .map(|told| (told.about.to_string(), told.reason))
            .collect();
        let expected = [
            "Deployment flux-system/source-controller",
            "HelmRelease flux-system/flux",
        ];
        assert_eq!(
            on,
            expected.map(|about| (about.to_owned(), "DeletionRefused"))
        );
        assert!(
            told[0].message.starts_with(
                "engine-deleted: Deployment flux-system/source-controller: jane deletes"
            )
        );
        assert!(
            told[1].message.contains("source-controller")
                && told[1]
                    .message
                    .contains("fluxkeep rescue --release flux -n flux-system --yes")
        );
    }

    #[test]
    fn nothing_is_told_of_a_dry_run_of_what_passes_and_of_who_is_not_owned() {
        let owned = controller(CONTROLLER, Some("flux"));
        assert_eq!(planned("DELETE", true, &owned), []);
        assert_eq!(planned("UPDATE", false, &owned), []);
        assert_eq!(
            planned("DELETE", false, &controller("a-stranger", Some("flux"))),
            []
        );
        assert_eq!(
            planned("DELETE", false, &controller(CONTROLLER, Some("another"))).len(),
            1
        );
        assert_eq!(
            planned("DELETE", false, &controller(CONTROLLER, None)).len(),
            1
        );
    }

    #[test]
    fn a_text_is_never_longer_than_an_event_takes() {
        let told = told(
            ObjectRef::of(&Object::default()),
            "DeletionRefused",
            "…".repeat(LONGEST),
        );
        assert!(
            told.message.len() <= LONGEST && told.message.ends_with('…'),
            "{}",
            told.message.len()
        );
    }
}
