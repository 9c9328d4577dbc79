//! Log lines about reviews: rules, names and reasons, but no content of objects.

use fluxkeep::admission::mutation::FIELD;
use fluxkeep::admission::{Answer, Envelope, ReviewOutcome};
use fluxkeep::case::request::Door;

use crate::metrics::NO_DOOR;

/// True if a review is logged at the default level: it has findings, was amended or could not be read.
pub(crate) fn is_notable(answer: &Answer) -> bool {
    let is_quiet = matches!(answer.outcome, ReviewOutcome::Judged(_));
    !is_quiet || !answer.verdict.findings.is_empty()
}

/// Logs one line about a review, at level debug if it is not notable. `left_out` counts the lines that
/// were left out before.
pub(crate) fn review(answer: &Answer, left_out: Option<u64>) {
    let door = answer.door().map_or(NO_DOOR, Door::name);
    let envelope = answer.envelope.as_ref();
    // The apiserver's audit log names the review by the same uid.
    let uid = envelope.map_or("", |envelope| &envelope.uid);
    let user = envelope.map_or("", Envelope::user);
    match &answer.outcome {
        ReviewOutcome::NotAReview(reason) => {
            tracing::warn!(door, uid, reason, left_out, "review unreadable");
        }
        ReviewOutcome::Amended => {
            let object = envelope.map(tracing::field::display);
            tracing::info!(
                door,
                uid,
                user,
                added = FIELD,
                object,
                left_out,
                "review amended"
            );
        }
        ReviewOutcome::Judged(decision) => {
            let decision = decision.name();
            let findings = &answer.verdict.findings;
            let Some(first) = findings.first() else {
                tracing::debug!(door, decision, uid, "review judged");
                return;
            };
            let (rules, count) = (answer.verdict.rule_ids(), findings.len());
            let object = &first.object;
            tracing::info!(door, decision, uid, user, rules, %object, findings = count, left_out, "review judged");
        }
    }
}

/// The lines that a test logs.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Lines(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Lines {
    /// A log at every level that writes to these lines.
    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync {
        let writer = self.clone();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false);
        log.with_writer(move || writer.clone()).finish()
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        let text = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
impl std::io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        let mut lines = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluxkeep::admission::answer_mutating;
    use fluxkeep::case::facts::Facts;
    use fluxkeep::case::policy::Policy;

    /// The log lines, at any level, about a review of this Deployment's deletion.
    fn logged(name: &str, object: &str) -> String {
        let body = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"the-uid",
            "kind":{{"group":"apps","version":"v1","kind":"Deployment"}},"resource":{{"resource":"deployments"}},
            "name":"{name}","namespace":"flux-system","operation":"DELETE","userInfo":{{"username":"jane"}},
            "oldObject":{object}}}}}"#
        );
        let answer = fluxkeep::admission::answer(
            body.as_bytes(),
            &Facts::default(),
            &Policy::default(),
            crate::state::now(),
        );
        told(&answer)
    }

    fn told(answer: &Answer) -> String {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.subscriber(), || review(answer, None));
        lines.text()
    }

    fn deployment(name: &str) -> String {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","namespace":"flux-system",
            "annotations":{{"note":"hunter2"}}}},"spec":{{"template":{{"spec":{{"containers":[{{"image":"x","env":[
            {{"name":"TOKEN","value":"hunter2"}}]}}]}}}}}}}}"#
        )
    }

    #[test]
    fn a_refusal_is_one_line_with_rule_object_and_uid_and_nothing_of_the_content() {
        let line = logged("source-controller", &deployment("source-controller"));
        assert_eq!(line.lines().count(), 1, "{line}");
        let told = [
            r#"decision="refuse""#,
            r#"uid="the-uid""#,
            r#"user="jane""#,
            r#"rules="engine-deleted""#,
            r#"door="engine""#,
        ];
        for part in told
            .into_iter()
            .chain(["object=Deployment flux-system/source-controller"])
        {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("hunter2"), "{line}");
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_content() {
        let line = logged(
            "source-controller",
            r#"{"metadata":{"name":["hunter2"]},"spec":"hunter2"}"#,
        );
        assert!(
            line.contains(r#"rules="engine-deleted,review-unreadable""#)
                && line.contains("the-uid"),
            "{line}"
        );
        assert!(!line.contains("hunter2"), "{line}");
    }

    #[test]
    fn what_is_added_to_an_object_is_one_line_and_nothing_of_its_values() {
        let body = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"the-uid",
            "kind":{"group":"helm.toolkit.fluxcd.io","version":"v2","kind":"HelmRelease"},
            "resource":{"resource":"helmreleases"},"name":"flux","namespace":"flux-system","operation":"CREATE",
            "userInfo":{"username":"jane"},"object":{"metadata":{"name":"flux","namespace":"flux-system"},
            "spec":{"values":{"token":"hunter2"},"chart":{"spec":{"chart":"flux2"}}}}}}"#;
        let policy = Policy {
            mutates_helm_releases: true,
            ..Policy::default()
        };
        let answer = answer_mutating(
            body.as_bytes(),
            &Facts::default(),
            &policy,
            crate::state::now(),
        );
        let line = told(&answer);
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in [
            "INFO",
            r#"user="jane""#,
            "object=HelmRelease flux-system/flux",
            r#"added="spec.postRenderers""#,
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("hunter2"), "{line}");
    }

    #[test]
    fn a_review_without_findings_is_told_at_debug_only() {
        assert!(logged("a-stranger", &deployment("a-stranger")).contains("DEBUG"));
    }
}
