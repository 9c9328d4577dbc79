//! The settings of a repository: `.fluxkeep.yaml` at its top. Every key is optional.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use globset::{Glob, GlobSet, GlobSetBuilder};
use regex::Regex;
use semver::Version;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::pin::PinRole;
use crate::case::finding::Level;
use crate::case::policy_file::{InvalidPolicy, RuleId, at, unreadable};
use crate::yaml;

/// The name of the file, at the top of the repository.
pub const NAME: &str = ".fluxkeep.yaml";

/// The settings of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The groups, by name. Empty: they are found by the folders.
    pub groups: Vec<(String, Paths)>,
    /// The files that are not read.
    pub ignore: Paths,
    /// The Flux releases of versions of the chart `flux2` that the catalogue lacks.
    pub charts: BTreeMap<Version, Version>,
    /// The pins of no known form.
    pub pins: Vec<NamedPin>,
    /// The levels of rules.
    pub levels: BTreeMap<&'static str, Level>,
}

/// A pin that the settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPin {
    /// The path of the file.
    pub file: String,
    /// The place of the version in the file.
    pub place: NamedPlace,
    /// The role.
    pub role: PinRole,
}

/// The place of a version in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPlace {
    /// The keys of a YAML value.
    Key(Vec<String>),
    /// A pattern, whose first group is the version.
    Pattern(Pattern),
}

/// A regular expression, compared by its text.
#[derive(Debug, Clone)]
pub struct Pattern(pub Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// Patterns of paths, as in `.gitignore`: a folder holds all below it; a name without `/` is one of
/// any folder.
#[derive(Clone, Default)]
pub struct Paths {
    patterns: Vec<String>,
    set: Arc<GlobSet>,
}

impl Paths {
    fn of(patterns: Vec<Spanned<String>>) -> Result<Self, InvalidPolicy> {
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            let text = pattern.value.trim_start_matches("./").trim_end_matches('/');
            let start = if text.contains('/') { "" } else { "**/" };
            let text = text.trim_start_matches('/');
            for form in [format!("{start}{text}"), format!("{start}{text}/**")] {
                let glob =
                    Glob::new(&form).map_err(|error| at(&pattern.referenced, error.to_string()))?;
                set.add(glob);
            }
        }
        let set = set.build().map_err(|error| InvalidPolicy {
            line: 0,
            column: 0,
            message: error.to_string(),
        })?;
        Ok(Self {
            patterns: patterns.into_iter().map(|pattern| pattern.value).collect(),
            set: Arc::new(set),
        })
    }

    /// True if a pattern matches a path or a folder above it.
    #[must_use]
    pub fn hold(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// The patterns as written.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }
}

impl fmt::Debug for Paths {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.patterns.fmt(out)
    }
}

impl PartialEq for Paths {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Paths {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    groups: BTreeMap<String, Vec<Spanned<String>>>,
    ignore: Vec<Spanned<String>>,
    charts: BTreeMap<String, Spanned<String>>,
    pins: Vec<Entry>,
    levels: BTreeMap<RuleId, Level>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: Spanned<String>,
    key: Option<String>,
    pattern: Option<Spanned<String>>,
    #[serde(default)]
    role: Role,
}

#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[default]
    Installs,
    Client,
}

/// Reads the settings. An empty file has none.
///
/// # Errors
/// At the first invalid key, rule, pattern or version, with its line and column.
pub fn settings(text: &str) -> Result<Settings, InvalidPolicy> {
    if yaml::documents(text).next().is_none() {
        return Ok(Settings::default());
    }
    let file: File = serde_saphyr::from_str(text).map_err(|error| unreadable(&error))?;
    let mut settings = Settings {
        ignore: Paths::of(file.ignore)?,
        ..Settings::default()
    };
    for (name, patterns) in file.groups {
        settings.groups.push((name, Paths::of(patterns)?));
    }
    for (chart, flux) in file.charts {
        let (Ok(chart), Ok(release)) = (Version::parse(&chart), Version::parse(&flux.value)) else {
            let message = format!(
                "{chart}: {}: write two versions, such as \"2.19.0\": \"2.9.4\"",
                flux.value
            );
            return Err(at(&flux.referenced, message));
        };
        settings.charts.insert(chart, release);
    }
    for entry in file.pins {
        settings.pins.push(named(entry)?);
    }
    let levels = file.levels.into_iter();
    settings.levels = levels.map(|(rule, level)| (rule.0, level)).collect();
    Ok(settings)
}

fn named(entry: Entry) -> Result<NamedPin, InvalidPolicy> {
    let place = match (entry.key, entry.pattern) {
        (Some(key), None) => NamedPlace::Key(key.split('.').map(str::to_owned).collect()),
        (None, Some(pattern)) => {
            let regex = Regex::new(&pattern.value).ok();
            let regex = regex
                .filter(|regex| regex.captures_len() == 2)
                .ok_or_else(|| {
                    let message = "write a regular expression with one group, which is the version";
                    at(&pattern.referenced, message.to_owned())
                })?;
            NamedPlace::Pattern(Pattern(regex))
        }
        _ => {
            let message = "name the place of the version: either key or pattern";
            return Err(at(&entry.file.referenced, message.to_owned()));
        }
    };
    Ok(NamedPin {
        file: entry.file.value,
        place,
        role: match entry.role {
            Role::Installs => PinRole::Installs,
            Role::Client => PinRole::Client,
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_read_as_git_reads_them() {
        let read = settings("ignore: [labs, infra/*/old, /top.yaml]\n").unwrap();
        for path in [
            "labs/a.yaml",
            "x/labs/y/a.yaml",
            "infra/a/old/b",
            "top.yaml",
        ] {
            assert!(read.ignore.hold(path), "{path}");
        }
        for path in [
            "labs2/a.yaml",
            "infra/a/new/b",
            "x/infra/a/old/b",
            "x/top.yaml",
        ] {
            assert!(!read.ignore.hold(path), "{path}");
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        let refused = |text: &str| settings(text).unwrap_err().to_string();
        assert!(refused("ignored: [a]\n").starts_with("line 1, column"));
        assert!(
            refused("levels: {pin-mismatsh: warn}\n").contains("did you mean \"pin-mismatch\"")
        );
        assert!(refused("charts:\n  \"2.x\": \"2.9.4\"\n").starts_with("line 2"));
        assert!(refused("pins: [{file: a}]\n").contains("either key or pattern"));
        assert!(refused("pins: [{file: a, pattern: 'x'}]\n").contains("one group"));
        assert_eq!(settings("# nothing\n").unwrap(), Settings::default());
    }
}
