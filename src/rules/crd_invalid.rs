//! A CRD that the apiserver refuses for its own content.
//!
//! Helm applies a release's objects one after another, so an invalid CRD stops it half-way and
//! remediation follows. Defects inside a schema (not structural, a bad default, a CEL expression
//! that does not compile) stay unseen. Doors where the apiserver answers are left out.

mod conversion;

use std::cell::LazyCell;
use std::collections::BTreeSet;

use self::conversion::Services;
use crate::case::finding::{Finding, Level};
use crate::case::request::Door;
use crate::case::rule::{Case, Moment, Rule, RuleResult};
use crate::crd::{Definition, Schema, Version};
use crate::object::{Flaw, Object};
use crate::walks::counted;

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "crd-invalid",
    level: Level::Enforce,
    catches: "a CRD that the apiserver refuses for its versions, storage flag, conversion, labels, size or \
              API version",
    breaks: "the apiserver refuses the CRD half-way through the apply, and remediation follows; a conversion \
             webhook whose Service is missing only warns",
    when: Moment::Apply,
    doors: &[Door::ReleaseRecord, Door::Preflight, Door::PostRenderer],
    needs: &[],
    check,
};

/// Problems of one CRD that are named.
const MOST_PROBLEMS: usize = 32;

const CURRENT: &str = "apiextensions.k8s.io/v1";

/// True if the CRD has the only API version that the apiserver still serves.
pub(super) fn is_current(object: &Object) -> bool {
    object.api_version == CURRENT
}

fn check(case: &Case<'_>) -> RuleResult {
    let mut findings = Vec::new();
    let services = LazyCell::new(|| Services::of(case));
    let knows_definitions = case.facts.knows_definitions();
    for (object, live) in case.written() {
        let Some(definition) = object.definition() else {
            continue;
        };
        if !is_current(object) {
            findings.push(gone(object));
            continue;
        }
        // Some checks apply to new CRDs only, so the existence of a live CRD must be known.
        let is_known = live.map_or(knows_definitions, |live| live.definition().is_some());
        let live = live.and_then(Object::definition);
        let mut problems = Vec::new();
        problems.extend(identity(object, definition, live));
        problems.extend(names(definition));
        problems.extend(storage(definition));
        problems.extend(schemas(definition, live));
        problems.extend(preserved(definition, live));
        problems.extend(conversion::refused(definition));
        problems.extend(counted(object.flaws.iter()).map(flaw));
        problems.extend(conversion::unserved(definition, &services));
        let problems = shortened(problems);
        let told = problems.into_iter().map(|problem| problem.about(object));
        let level = if is_known {
            Level::Enforce
        } else {
            Level::Warn
        };
        findings.extend(told.map(|(finding, always)| {
            if always {
                finding
            } else {
                finding.at_most(level)
            }
        }));
    }
    Ok(findings)
}

/// The first problems, and the number of the rest: one CRD may have as many as it has versions.
fn shortened(mut problems: Vec<Problem>) -> Vec<Problem> {
    let untold = problems.len().saturating_sub(MOST_PROBLEMS);
    if untold > 0 {
        problems.truncate(MOST_PROBLEMS);
        let message = format!("it has {untold} more defects");
        let remedy = "Correct those that are named, then try again";
        problems.push(Problem::at("", message, remedy));
    }
    problems
}

/// A defect that the apiserver refuses.
struct Problem {
    path: String,
    message: String,
    remedy: String,
    level: Level,
    /// True if the apiserver refuses the defect in an update, too.
    always: bool,
}

impl Problem {
    fn at(path: &str, message: String, remedy: &str) -> Self {
        Self {
            path: path.to_owned(),
            message,
            remedy: remedy.to_owned(),
            level: Level::Enforce,
            always: true,
        }
    }

    /// Marks a defect that the apiserver refuses in new CRDs only: existing CRDs may keep it.
    fn of_new(self) -> Self {
        Self {
            always: false,
            ..self
        }
    }

    fn warning(self) -> Self {
        Self {
            level: Level::Warn,
            ..self
        }
    }

    fn about(self, object: &Object) -> (Finding, bool) {
        let value = self.path.clone();
        let finding = Finding::about(object, &self.path, self.message, self.remedy);
        (finding.with_value(value).at_most(self.level), self.always)
    }
}

/// The finding for `v1beta1`, gone since Kubernetes 1.22, or for a missing API version.
fn gone(object: &Object) -> Finding {
    let message = format!(
        "apiVersion is {:?}; since Kubernetes 1.22 the apiserver accepts only {CURRENT}",
        object.api_version
    );
    let remedy = format!(
        "Convert it to {CURRENT}: replace spec.version and spec.validation by spec.versions, each with name, \
         served, storage and schema.openAPIV3Schema; or install a release of the chart that does"
    );
    Finding::about(object, "/apiVersion", message, remedy).with_value(object.api_version.clone())
}

/// Checks the name of a new CRD. `crd-group-or-kind-changed` covers updates.
fn identity(
    object: &Object,
    definition: &Definition,
    live: Option<&Definition>,
) -> Option<Problem> {
    let wanted = format!("{}.{}", definition.plural, definition.group);
    if live.is_some() || object.name == wanted {
        return None;
    }
    let message = format!(
        "the name is {:?}, but spec.names.plural and spec.group require {wanted:?}",
        object.name
    );
    let remedy = "Make name, plural and group agree";
    Some(Problem::at("/metadata/name", message, remedy).of_new())
}

/// Checks version names: unique DNS labels that begin with a letter.
fn names(definition: &Definition) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    for (place, version) in definition.versions.iter().enumerate() {
        let name = version.name.as_str();
        let path = format!("/spec/versions/{place}/name");
        if !is_version_name(name) {
            let message = format!("{name:?} is not a valid version name");
            let remedy = "Use lower-case letters, digits and dashes, beginning with a letter, such as v1beta1";
            problems.push(Problem::at(&path, message, remedy));
        } else if !seen.insert(name) {
            let message = format!("version {name} is listed twice");
            problems.push(Problem::at(
                &path,
                message,
                "Keep one entry for each version",
            ));
        }
    }
    problems
}

/// Matches an RFC 1035 label, like `IsDNS1035Label` of apimachinery.
fn is_version_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.len() <= 63
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes
            .iter()
            .all(|byte| is_alphanumeric(byte) || *byte == b'-')
}

fn storage(definition: &Definition) -> Option<Problem> {
    let is_storage = |version: &&Version| version.storage;
    let stored = definition.versions.iter().filter(is_storage);
    let stored: Vec<&str> = stored.map(|version| version.name.as_str()).collect();
    let message = match stored.as_slice() {
        [_] => return None,
        [] => format!(
            "no version has storage: true (it offers {})",
            definition.offered()
        ),
        several => format!("{} have storage: true", several.join(" and ")),
    };
    let remedy = "Set storage: true on exactly one version, normally the one that is stored now";
    Some(Problem::at("/spec/versions", message, remedy))
}

/// Finds versions without `schema.openAPIV3Schema`. An empty one passes.
fn schemas(definition: &Definition, live: Option<&Definition>) -> Vec<Problem> {
    if definition.preserves_unknown {
        return Vec::new();
    }
    let is_bare =
        counted(definition.versions.iter()).all(|version| version.schema == Schema::Missing);
    let mut problems = Vec::new();
    for (place, version) in definition.versions.iter().enumerate() {
        // A live CRD may lack schemas: the apiserver then asks only served versions for one.
        if version.schema != Schema::Missing || !version.served && live.is_some() {
            continue;
        }
        let message = format!("{} has no schema", version.name);
        let remedy = "Add at least schema.openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}";
        let path = format!("/spec/versions/{place}/schema");
        let problem = Problem::at(&path, message, remedy);
        let always = version.served && !is_bare;
        let problem = if always { problem } else { problem.of_new() };
        problems.push(problem);
    }
    problems
}

fn preserved(definition: &Definition, live: Option<&Definition>) -> Option<Problem> {
    let stays = live.is_some_and(|live| live.preserves_unknown);
    if !definition.preserves_unknown || stays {
        return None;
    }
    let message = "preserveUnknownFields is true, which apiextensions.k8s.io/v1 does not accept";
    let remedy = "Remove it, and write x-kubernetes-preserve-unknown-fields: true into the schemas";
    let problem = Problem::at("/spec/preserveUnknownFields", message.to_owned(), remedy);
    Some(if live.is_some() {
        problem
    } else {
        problem.of_new()
    })
}

/// The problem for a flaw of the metadata or the size.
fn flaw(flaw: &Flaw) -> Problem {
    match flaw {
        Flaw::Label { key, value } => Problem::at(
            "/metadata/labels",
            format!("{value:?} is not a valid value of the label {key}"),
            "Use at most 63 letters, digits, dashes, underscores and dots, with a letter or digit at both ends",
        ),
        Flaw::Annotations(bytes) => Problem::at(
            "/metadata/annotations",
            format!("the annotations have {bytes} bytes; the limit is 262144"),
            "Remove some; `kubectl apply --server-side` writes no copy of the object into one",
        ),
        Flaw::Size { bytes, most } => Problem::at(
            "",
            format!("the CRD has at least {bytes} bytes; the apiserver accepts {most}"),
            "Shorten or remove the descriptions in its schemas",
        ),
    }
}
