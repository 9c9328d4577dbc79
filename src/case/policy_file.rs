//! Reads a policy file. An invalid entry is refused with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use crate::case::finding::Level;
use crate::case::policy::{LONGEST, OverrideEntry, Policy};
use crate::flux::catalogue::Catalogue;
use crate::flux::engine::Engine;
use crate::rules;
use crate::yaml;

/// The error for a refused policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct InvalidPolicy {
    /// Line, from 1; 0 for the whole file.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// The defect and the remedy.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    levels: BTreeMap<RuleId, Level>,
    engine: Place,
    mutate: Mutate,
    overrides: Vec<Exception>,
    catalogue: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Place {
    namespaces: Option<Spanned<Vec<String>>>,
    values_paths: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Mutate {
    helm_releases: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: RuleId,
    object: Spanned<String>,
    reason: Spanned<String>,
    until: Spanned<String>,
}

/// The id of an existing rule.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleId(pub(crate) &'static str);

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        rules::find(&id).map(|rule| Self(rule.id)).ok_or_else(|| {
            let near = rules::nearest(&id);
            serde::de::Error::custom(format!("unknown rule {id:?}; did you mean {near:?}?"))
        })
    }
}

/// Reads a policy file. An empty file is the default policy.
///
/// # Errors
/// At the first invalid key, rule or override, with its line and column. Also if the file names a
/// catalogue: only [`read_with`] opens catalogues.
pub fn read(text: &str, now: Timestamp) -> Result<Policy, InvalidPolicy> {
    let unopened = |name: &str| Err(format!("the catalogue {name:?} cannot be opened here"));
    read_with(text, now, unopened)
}

/// Like [`read`], but `open` returns the catalogue that the file names.
///
/// # Errors
/// Like [`read`], and with the message of `open` if the catalogue cannot be opened.
pub fn read_with(
    text: &str,
    now: Timestamp,
    open: impl FnOnce(&str) -> Result<Arc<Catalogue>, String>,
) -> Result<Policy, InvalidPolicy> {
    if yaml::documents(text).next().is_none() {
        return Ok(Policy::default());
    }
    let file: File = serde_saphyr::from_str(text).map_err(|error| unreadable(&error))?;
    let mut engine = place(file.engine)?;
    if let Some(name) = file.catalogue {
        engine.catalogue = open(&name.value).map_err(|why| at(&name.referenced, why))?;
    }
    Ok(Policy {
        levels: file
            .levels
            .into_iter()
            .map(|(rule, level)| (rule.0, level))
            .collect(),
        engine,
        mutates_helm_releases: file.mutate.helm_releases,
        overrides: file
            .overrides
            .iter()
            .map(|one| standing(one, now))
            .collect::<Result<_, InvalidPolicy>>()?,
    })
}

fn place(place: Place) -> Result<Engine, InvalidPolicy> {
    let default = Engine::default();
    let namespaces = match place.namespaces {
        None => default.namespaces,
        Some(list)
            if list.value.is_empty() || list.value.iter().any(|name| name.trim().is_empty()) =>
        {
            return Err(at(
                &list.referenced,
                "engine.namespaces must name at least one namespace".to_owned(),
            ));
        }
        Some(list) => list.value,
    };
    Ok(Engine {
        namespaces,
        values_paths: place.values_paths.unwrap_or(default.values_paths),
        catalogue: default.catalogue,
    })
}

fn standing(one: &Exception, now: Timestamp) -> Result<OverrideEntry, InvalidPolicy> {
    if one.reason.value.trim().is_empty() {
        return Err(at(
            &one.reason.referenced,
            "an override needs a reason".to_owned(),
        ));
    }
    if !one.object.value.contains('/') {
        let message = format!(
            "{:?} names no object; write Kind/name or Kind/namespace/name",
            one.object.value
        );
        return Err(at(&one.object.referenced, message));
    }
    let until = end(&one.until, now)?;
    Ok(OverrideEntry {
        rule: one.rule.0,
        object: one.object.value.clone(),
        reason: one.reason.value.trim().to_owned(),
        until,
    })
}

/// A past end is no error: a policy must still load after its overrides have ended.
fn end(until: &Spanned<String>, now: Timestamp) -> Result<Timestamp, InvalidPolicy> {
    let wrong = |message: String| at(&until.referenced, message);
    let time: Timestamp = until.value.parse().map_err(|_| {
        wrong(format!(
            "{:?} is not an RFC 3339 time such as 2026-12-31T12:00:00Z",
            until.value
        ))
    })?;
    if time.duration_since(now) > LONGEST {
        return Err(wrong(format!(
            "{time} is more than 30 days away; an override must end sooner"
        )));
    }
    Ok(time)
}

pub(crate) fn at(location: &Location, message: String) -> InvalidPolicy {
    InvalidPolicy {
        line: location.line(),
        column: location.column(),
        message,
    }
}

pub(crate) fn unreadable(error: &serde_saphyr::Error) -> InvalidPolicy {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or("unreadable");
    // The place stands in front already.
    let bare = first
        .rsplit_once(" at line ")
        .map_or(first, |(bare, _)| bare);
    let message = match bare {
        "expected mapping start" => "expected a map, for example {helmReleases: true}",
        other => other,
    };
    let message = message.to_owned();
    match error.location() {
        Some(location) => at(&location, message),
        None => InvalidPolicy {
            line: 0,
            column: 0,
            message,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        read(text, now()).unwrap_err().to_string()
    }

    fn exception(until: &str, more: &str) -> String {
        format!(
            "overrides:\n  - {{rule: foreign-owner, object: Deployment/a/b, until: \"{until}\"{more}}}\n"
        )
    }

    #[test]
    fn an_empty_file_is_the_default_policy() {
        for text in ["", "# nothing yet\n", "{}\n", "---\n"] {
            assert_eq!(read(text, now()).unwrap(), Policy::default(), "{text:?}");
        }
    }

    #[test]
    fn levels_engine_and_overrides_are_read() {
        let text = "levels: {flux-minor-skipped: enforce, foreign-owner: \"off\"}\n\
                    engine: {namespaces: [flux], valuesPaths: [a.b]}\n";
        let policy = read(
            &(text.to_owned() + &exception("2026-12-01T00:00:00Z", ", reason: \" x \"")),
            now(),
        );
        let policy = policy.unwrap();
        assert_eq!(policy.levels["flux-minor-skipped"], Level::Enforce);
        assert_eq!(policy.levels["foreign-owner"], Level::Off);
        assert_eq!(policy.levels.get("engine-deleted"), None);
        assert_eq!(
            (
                policy.engine.namespaces.as_slice(),
                policy.engine.values_paths.as_slice()
            ),
            (
                ["flux".to_owned()].as_slice(),
                ["a.b".to_owned()].as_slice()
            )
        );
        assert_eq!(policy.overrides.first().unwrap().reason, "x");
    }

    #[test]
    fn nothing_is_mutated_unless_the_file_says_so() {
        let mutates = |text: &str| read(text, now()).unwrap().mutates_helm_releases;
        assert!(mutates("mutate: {helmReleases: true}\n"));
        for text in [
            "mutate: {helmReleases: false}\n",
            "mutate: {}\n",
            "levels: {}\n",
        ] {
            assert!(!mutates(text), "{text}");
        }
        for text in [
            "mutate: {helmRelease: true}\n",
            "mutate: {helmReleases: often}\n",
            "mutate: true\n",
        ] {
            assert!(refusal(text).starts_with("line 1, column "), "{text}");
        }
    }

    #[test]
    fn a_place_is_told_once_and_a_wrong_shape_with_the_right_one() {
        for text in [
            "levels: {engine-deleted: error}\n",
            "mutate: true\n",
            "engine: {namespaces: flux}\n",
        ] {
            let refusal = refusal(text);
            assert_eq!(refusal.matches("line ").count(), 1, "{refusal}");
        }
        let refusal = refusal("mutate: true\n");
        assert!(
            refusal.ends_with("expected a map, for example {helmReleases: true}"),
            "{refusal}"
        );
    }

    #[test]
    fn unknown_keys_and_rules_are_refused_with_their_place() {
        let text = refusal("levels:\n  flux-minor-skiped: warn\n");
        assert!(
            text.starts_with("line 2, column 3: ")
                && text.contains("did you mean \"flux-minor-skipped\""),
            "{text}"
        );
        let text = refusal("engine:\n  namespace: flux\n");
        assert!(
            text.starts_with("line 2, column 3: ") && text.contains("namespace"),
            "{text}"
        );
        let text = refusal("levels: {foreign-owner: loud}\n");
        assert!(text.starts_with("line 1, column 25: "), "{text}");
        for none in ["[]", "['']", "[flux-system, ' ']"] {
            assert!(
                refusal(&format!("engine: {{namespaces: {none}}}\n"))
                    .contains("at least one namespace"),
                "{none}"
            );
        }
        assert!(refusal("levels: [\n").starts_with("line "));
    }

    #[test]
    fn an_override_needs_a_reason_an_object_and_a_near_end() {
        let text = refusal(&exception("2026-12-01T00:00:00Z", ""));
        assert!(
            text.starts_with("line 2") && text.contains("reason"),
            "{text}"
        );
        assert!(
            refusal(&exception("2026-12-01T00:00:00Z", ", reason: \" \""))
                .contains("needs a reason")
        );
        let text = refusal(&exception("2027-01-01T00:00:00Z", ", reason: x"));
        assert!(
            text.contains("line 2, column") && text.contains("more than 30 days away"),
            "{text}"
        );
        assert!(refusal(&exception("tomorrow", ", reason: x")).contains("RFC 3339"));
        let text = exception("2026-12-01T00:00:00Z", ", reason: x").replace("Deployment/a/b", "b");
        assert!(refusal(&text).contains("Kind/name"));
    }

    #[test]
    fn an_override_that_has_ended_still_loads() {
        let policy = read(&exception("2026-11-01T00:00:00Z", ", reason: x"), now()).unwrap();
        assert_eq!(policy.overrides.len(), 1);
    }
}
