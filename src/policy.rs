//! What the people who run the cluster decided: a level per rule, the engine's place, overrides.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::engine::Engine;
use crate::finding::Level;
use crate::overrides::{LONGEST, Standing};
use crate::rule::Rule;
use crate::rules;

/// Levels, engine and overrides. The default is every rule's own level and no override.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    levels: BTreeMap<&'static str, Level>,
    /// By what the engine is known.
    pub engine: Engine,
    /// The overrides of the file, in its order.
    pub overrides: Vec<Standing>,
}

/// Why a policy file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Invalid {
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong and what to do.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    levels: BTreeMap<RuleId, Level>,
    engine: Place,
    overrides: Vec<Exception>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Place {
    namespaces: Option<Spanned<Vec<String>>>,
    values_paths: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: RuleId,
    object: Spanned<String>,
    reason: Spanned<String>,
    until: Spanned<String>,
}

/// The id of a rule that exists.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RuleId(&'static str);

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        rules::find(&id).map(|rule| Self(rule.id)).ok_or_else(|| {
            let near = rules::nearest(&id);
            serde::de::Error::custom(format!("there is no rule {id:?}; did you mean {near:?}?"))
        })
    }
}

impl Policy {
    /// Reads a policy file. An empty one is the default policy.
    ///
    /// # Errors
    /// At the first key, rule or override that cannot stand, with its line and column.
    pub fn read(text: &str, now: Timestamp) -> Result<Self, Invalid> {
        if text.lines().all(|line| line.trim_start().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let file: File = serde_saphyr::from_str(text).map_err(|error| unreadable(&error))?;
        Ok(Self {
            levels: file.levels.into_iter().map(|(rule, level)| (rule.0, level)).collect(),
            engine: place(file.engine)?,
            overrides: file.overrides.iter().map(|one| standing(one, now)).collect::<Result<_, Invalid>>()?,
        })
    }

    /// What a finding of this rule weighs at most.
    #[must_use]
    pub fn level(&self, rule: &Rule) -> Level {
        self.levels.get(rule.id).copied().unwrap_or(rule.level)
    }
}

fn place(place: Place) -> Result<Engine, Invalid> {
    let default = Engine::default();
    let namespaces = match place.namespaces {
        None => default.namespaces,
        Some(list) if list.value.is_empty() => {
            return Err(at(&list.referenced, "engine.namespaces must name one at least".to_owned()));
        }
        Some(list) => list.value,
    };
    Ok(Engine { namespaces, values_paths: place.values_paths.unwrap_or(default.values_paths) })
}

fn standing(one: &Exception, now: Timestamp) -> Result<Standing, Invalid> {
    if one.reason.value.trim().is_empty() {
        return Err(at(&one.reason.referenced, "an override needs a reason".to_owned()));
    }
    if !one.object.value.contains('/') {
        let message = format!("{:?} is no object; write Kind/name or Kind/namespace/name", one.object.value);
        return Err(at(&one.object.referenced, message));
    }
    let until = end(&one.until, now)?;
    Ok(Standing {
        rule: one.rule.0,
        object: one.object.value.clone(),
        reason: one.reason.value.trim().to_owned(),
        until,
    })
}

/// An end that has passed is no error: a policy must stay loadable after its overrides ended.
fn end(until: &Spanned<String>, now: Timestamp) -> Result<Timestamp, Invalid> {
    let wrong = |message: String| at(&until.referenced, message);
    let time: Timestamp = until
        .value
        .parse()
        .map_err(|_| wrong(format!("{:?} is no RFC 3339 time, like 2026-12-31T12:00:00Z", until.value)))?;
    if time.duration_since(now) > LONGEST {
        return Err(wrong(format!("{time} is more than 30 days away; an override must end sooner")));
    }
    Ok(time)
}

fn at(location: &Location, message: String) -> Invalid {
    Invalid { line: location.line(), column: location.column(), message }
}

fn unreadable(error: &serde_saphyr::Error) -> Invalid {
    let text = error.without_snippet().to_string();
    let message = text.lines().next().unwrap_or("not readable").to_owned();
    match error.location() {
        Some(location) => at(&location, message),
        None => Invalid { line: 0, column: 0, message },
    }
}
