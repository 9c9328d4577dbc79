//! A rule's finding, in one shape everywhere.

use std::fmt;

use jiff::Timestamp;

use crate::case::fix::{Edit, Fix};
use crate::case::rule::Moment;
use crate::object::{Key, Object, SourceLocation, group_and_version};
use crate::rules;

/// The page of the rules, if the build names one. Without it, findings have no link: an address
/// without an owner today may belong to a stranger tomorrow.
const DOCS_URL: Option<&str> = option_env!("FLUXKEEP_DOCS_URL");

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule does not run.
    Off,
    /// The finding is counted and written to the audit log.
    Audit,
    /// The finding is shown to the person, and the request passes.
    Warn,
    /// The finding refuses the request.
    Enforce,
}

impl Level {
    /// The name in policies, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

/// The object that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// `None` for a cluster-scoped object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectRef {
    /// The subject of this object.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }

    /// The identity of the object in a cluster.
    #[must_use]
    pub fn key(&self) -> Key {
        Key {
            group: self.group().to_owned(),
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn group(&self) -> &str {
        group_and_version(&self.api_version).0
    }

    /// True if this is the same object, in any version of its API.
    #[must_use]
    pub fn is(&self, object: &Object) -> bool {
        (self.group(), &self.kind, &self.namespace, &self.name)
            == (
                object.group(),
                &object.kind,
                &object.namespace,
                &object.name,
            )
    }
}

/// An override that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The reason for the override.
    pub reason: String,
    /// The end of the override. `None` for a comment in a repository, which Git keeps.
    pub until: Option<Timestamp>,
    /// The object or the policy that contains the override.
    pub by: String,
}

/// Another place of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The content of the place, in words.
    pub message: String,
    /// The place.
    pub source: SourceLocation,
}

/// A defect and its remedy. Findings are ordered by rule, object, path and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id; set by the judge.
    pub rule: &'static str,
    /// The weight here: a rule may lower it, the judge sets the rest.
    pub level: Level,
    /// The object of the finding.
    pub object: ObjectRef,
    /// JSON pointer into the object, for example `/status/storedVersions`; empty for the whole.
    pub path: String,
    /// The defect, with the value.
    pub message: String,
    /// The remedy; a command follows the last line break.
    pub remedy: String,
    /// The wrong value in a few words, for lists of objects; may be empty.
    pub value: String,
    /// The place in a file, if known.
    pub source: Option<SourceLocation>,
    /// Other places that belong to the defect, in files.
    pub related: Vec<Related>,
    /// A change of files that ends the finding, if it is certain.
    pub fix: Option<Fix>,
    /// The override that lets the finding through.
    pub excused: Option<Override>,
    /// The comparison with the state before a change. `None` without such a state.
    pub baseline: Option<Baseline>,
}

/// A finding compared with the state before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// The change brings the finding.
    New,
    /// The finding stood before the change.
    Unchanged,
}

impl Finding {
    /// A finding about an object, at the path of a value.
    #[must_use]
    pub fn about(object: &Object, path: &str, message: String, remedy: String) -> Self {
        Self {
            rule: "",
            level: Level::Enforce,
            object: ObjectRef::of(object),
            path: path.to_owned(),
            message,
            remedy,
            value: String::new(),
            source: object.source.clone(),
            related: Vec::new(),
            fix: None,
            excused: None,
            baseline: None,
        }
    }

    /// A finding about a place in a file of a repository.
    #[must_use]
    pub fn at(source: Option<SourceLocation>, message: String, remedy: String) -> Self {
        let name = source.as_ref().map(|source| source.file.clone());
        let file = Object {
            kind: "File".to_owned(),
            name: name.unwrap_or_default(),
            source,
            ..Object::default()
        };
        Self::about(&file, "", message, remedy)
    }

    /// The same finding, with other places that belong to it.
    #[must_use]
    pub fn with_related(mut self, related: Vec<Related>) -> Self {
        self.related = related;
        self
    }

    /// The same finding with a change of files that ends it. No edits are no fix.
    #[must_use]
    pub fn with_fix(mut self, description: String, edits: Vec<Edit>) -> Self {
        self.fix = (!edits.is_empty()).then_some(Fix { description, edits });
        self
    }

    /// The same finding with a weight of at most `level`.
    #[must_use]
    pub fn at_most(mut self, level: Level) -> Self {
        self.level = self.level.min(level);
        self
    }

    /// The same finding, with its value in a few words.
    #[must_use]
    pub fn with_value(mut self, value: String) -> Self {
        self.value = value;
        self
    }

    /// The same finding with a note on its remedy; a command stays behind the last line break.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.remedy = match self.remedy.rsplit_once('\n') {
            None => format!("{} ({note})", self.remedy),
            Some((advice, command)) => {
                let advice = advice.trim_end_matches(':');
                format!("{advice} ({note}):\n{command}")
            }
        };
        self
    }

    /// The command of the remedy, ready to paste. `None` if the remedy is advice alone.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.remedy.rsplit_once('\n').map(|(_, command)| command)
    }

    /// The defect and the remedy as sentences. A command ends its own line, without a full stop.
    #[must_use]
    pub fn sentences(&self) -> String {
        let stop = if self.command().is_some() { "" } else { "." };
        format!("{}. {}{stop}", self.message, self.remedy)
    }

    /// Link to the explanation of the rule. `None` unless the build names the address of the docs.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        url(self.rule)
    }

    /// The moment of the breakage, which orders texts for people.
    #[must_use]
    pub fn when(&self) -> Moment {
        rules::find(self.rule).map_or(Moment::Unknown, |rule| rule.when)
    }

    /// True if no override lets the finding through, and a change did not leave it as it was.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.excused.is_none() && self.baseline != Some(Baseline::Unchanged)
    }

    /// The outcome of the finding.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (&self.excused, self.level) {
            (Some(_), _) => Outcome::Overridden,
            _ if self.baseline == Some(Baseline::Unchanged) => Outcome::Known,
            (None, Level::Enforce) => Outcome::Refused,
            (None, Level::Warn) => Outcome::Warned,
            (None, Level::Audit | Level::Off) => Outcome::Audited,
        }
    }

    /// The key by which findings are sorted.
    pub(crate) fn order(&self) -> (&str, &ObjectRef, &str, &str) {
        (self.rule, &self.object, &self.path, &self.message)
    }
}

/// The outcome of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The finding refused the request.
    Refused,
    /// The finding was shown as a warning.
    Warned,
    /// The finding was only counted.
    Audited,
    /// An override let the finding through.
    Overridden,
    /// The finding stood before the change that is judged.
    Known,
}

impl Outcome {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Warned => "warned",
            Self::Audited => "audited",
            Self::Overridden => "overridden",
            Self::Known => "known",
        }
    }
}

/// Link to the explanation of a rule. `None` unless the build names the address of the docs.
#[must_use]
pub fn url(rule: &str) -> Option<String> {
    linked(DOCS_URL, rule)
}

/// The page of the rules. `None` unless the build names the address of the docs.
#[must_use]
pub fn docs() -> Option<&'static str> {
    DOCS_URL.filter(|page| !page.is_empty())
}

fn linked(page: Option<&str>, rule: &str) -> Option<String> {
    let page = page.filter(|page| !page.is_empty())?;
    Some(format!("{page}#{rule}"))
}

/// Tells where to read more about a rule: in the terminal, and at the docs if the build names their
/// address.
#[must_use]
pub fn more(rule: &str) -> String {
    let link = url(rule).map(|url| format!(" or {url}"));
    format!("More: fluxkeep explain {rule}{}", link.unwrap_or_default())
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{} {namespace}/{}", self.kind, self.name),
            None => write!(out, "{} {}", self.kind, self.name),
        }
    }
}

/// Writes `rule-id: Kind ns/name at path: defect with the value. Remedy.`; a command follows on its
/// own line.
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule, object, path, ..
        } = self;
        let at = if path.is_empty() { "" } else { " at " };
        write!(out, "{rule}: {object}{at}{path}: {}", self.sentences())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_there_only_where_the_build_names_the_docs() {
        let page = "https://docs.example.org/rules.md";
        let url = linked(Some(page), "foreign-owner");
        assert_eq!(
            url.as_deref(),
            Some("https://docs.example.org/rules.md#foreign-owner")
        );
        assert_eq!(linked(Some(""), "foreign-owner"), None);
        assert_eq!(linked(None, "foreign-owner"), None);
    }

    #[test]
    fn a_command_stays_on_the_last_line_whatever_is_noted() {
        let finding = |remedy: &str| {
            let object = Object::default();
            Finding::about(&object, "", "It is so".to_owned(), remedy.to_owned())
        };
        let advice = finding("Make it 3").with_note("not yet");
        assert_eq!(advice.sentences(), "It is so. Make it 3 (not yet).");
        assert_eq!(advice.command(), None);
        let command = finding("Make it 3:\nkubectl make 3").with_note("not yet");
        assert_eq!(command.command(), Some("kubectl make 3"));
        assert_eq!(
            command.sentences(),
            "It is so. Make it 3 (not yet):\nkubectl make 3"
        );
    }
}
