//! What a rule found: one shape everywhere.

use std::fmt;

use jiff::Timestamp;

use crate::object::{Object, Source};

/// Where the rules are explained, one page a rule.
pub const RULES_URL: &str = "https://fluxkeep.io/rules/";

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
    /// What to do.
    pub remedy: String,
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

    /// Where the rule is explained.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{RULES_URL}{}", self.rule)
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

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{} {namespace}/{}", self.kind, self.name),
            None => write!(out, "{} {}", self.kind, self.name),
        }
    }
}

/// `rule-id: Kind ns/name at path: what is wrong, with the value. What to do. link`
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule,
            object,
            path,
            message,
            remedy,
            ..
        } = self;
        let at = if path.is_empty() { "" } else { " at " };
        write!(
            out,
            "{rule}: {object}{at}{path}: {message}. {remedy}. {RULES_URL}{rule}"
        )
    }
}
