//! What a rule found: one shape everywhere.

use std::fmt;

use jiff::Timestamp;

use crate::object::{Object, Source};
use crate::rule::Moment;
use crate::rules;

/// The page with the rules, where a build names one; without it nothing links anywhere: an address that
/// nobody owns today is a stranger's tomorrow.
const DOCS_URL: Option<&str> = option_env!("FLUXKEEP_DOCS_URL");

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rule is not asked.
    Off,
    /// It is counted and written to the audit log.
    Audit,
    /// It is shown to the person, and let through.
    Warn,
    /// It refuses the request.
    Enforce,
}

impl Level {
    /// Its name in policies, metrics and reports.
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
pub struct Subject {
    /// For example `apps/v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// None for what is cluster-scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl Subject {
    /// This object.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }

    /// Whether this object is meant, in whatever version of its API it was read.
    #[must_use]
    pub fn is(&self, object: &Object) -> bool {
        let group = self
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        (group, &self.kind, &self.namespace, &self.name)
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
    /// Why.
    pub reason: String,
    /// When it ends.
    pub until: Timestamp,
    /// The object or the policy that it stands in.
    pub by: String,
}

/// One thing that is wrong, with its cure. Ordered by rule, object, path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id; set by the judge.
    pub rule: &'static str,
    /// What it weighs here; rules may lower it, the judge sets the rest.
    pub level: Level,
    /// What it is about.
    pub object: Subject,
    /// A JSON pointer into the object, for example `/status/storedVersions`; empty for all of it.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to do; a command stands behind the last line break.
    pub remedy: String,
    /// The value that is wrong, in a few words, for lists of objects; may be empty.
    pub value: String,
    /// The place in a file, where one is known.
    pub source: Option<Source>,
    /// The override that lets it through.
    pub excused: Option<Override>,
}

impl Finding {
    /// A finding about an object, at the path of a value in it.
    #[must_use]
    pub fn about(object: &Object, path: &str, message: String, remedy: String) -> Self {
        Self {
            rule: "",
            level: Level::Enforce,
            object: Subject::of(object),
            path: path.to_owned(),
            message,
            remedy,
            value: String::new(),
            source: object.source.clone(),
            excused: None,
        }
    }

    /// The same finding, weighing no more than `level`.
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

    /// The command of the remedy, ready to be pasted; `None` if the remedy is advice alone.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.remedy.rsplit_once('\n').map(|(_, command)| command)
    }

    /// What is wrong and what to do, as sentences. A command ends its own line, without a full stop.
    #[must_use]
    pub fn sentences(&self) -> String {
        let stop = if self.command().is_some() { "" } else { "." };
        format!("{}. {}{stop}", self.message, self.remedy)
    }

    /// Where the rule is explained; `None` unless the build names the address of the docs.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        url(self.rule)
    }

    /// When it breaks, which orders texts for people.
    #[must_use]
    pub fn when(&self) -> Moment {
        rules::find(self.rule).map_or(Moment::Unknown, |rule| rule.when)
    }

    /// What became of it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (&self.excused, self.level) {
            (Some(_), _) => Outcome::Overridden,
            (None, Level::Enforce) => Outcome::Refused,
            (None, Level::Warn) => Outcome::Warned,
            (None, Level::Audit | Level::Off) => Outcome::Audited,
        }
    }

    /// What findings are sorted by.
    pub(crate) fn order(&self) -> (&str, &Subject, &str, &str) {
        (self.rule, &self.object, &self.path, &self.message)
    }
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It refused the request.
    Refused,
    /// It was shown as a warning.
    Warned,
    /// It was only counted.
    Audited,
    /// An override let it through.
    Overridden,
}

impl Outcome {
    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Warned => "warned",
            Self::Audited => "audited",
            Self::Overridden => "overridden",
        }
    }
}

/// Where a rule is explained; `None` unless the build names the address of the docs.
#[must_use]
pub fn url(rule: &str) -> Option<String> {
    linked(DOCS_URL, rule)
}

fn linked(page: Option<&str>, rule: &str) -> Option<String> {
    let page = page.filter(|page| !page.is_empty())?;
    Some(format!("{page}#{rule}"))
}

/// Where to read more of a rule: always in the terminal, and at the address of the docs where the build
/// names one.
#[must_use]
pub fn more(rule: &str) -> String {
    let link = url(rule).map(|url| format!(" or {url}"));
    format!("More: fluxkeep explain {rule}{}", link.unwrap_or_default())
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{} {namespace}/{}", self.kind, self.name),
            None => write!(out, "{} {}", self.kind, self.name),
        }
    }
}

/// `rule-id: Kind ns/name at path: what is wrong, with the value. What to do.`; a command follows on a
/// line of its own.
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
