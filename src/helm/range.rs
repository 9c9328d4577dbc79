//! Helm's version ranges, with the semantics of Masterminds/semver 3, which Helm uses.
//!
//! `~1.2`, `^2`, `>=2.13.0 <2.15`, `1.2 - 1.4`, `2.x || 3.x`. A pre-release matches only if a
//! comparator of the same alternative names a pre-release. Build metadata never counts. No crate
//! answers like Masterminds/semver; `range/cases.tsv` holds its answers.

use std::cmp::Ordering;

use semver::{BuildMetadata, Prerelease, Version};

/// Longest range in bytes: more than a person writes, and a bound on the parser's work.
pub const LONGEST_RANGE: usize = 256;

/// A version range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    alternatives: Vec<Vec<Comparator>>,
}

/// The error for a text that is not a version range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a version range; use Helm's syntax, for example \"~2.14.0\" or \">=2.13 <2.15\""
)]
pub struct NotARange(String);

/// Reads a version like Helm: a leading `v` and missing numbers are allowed.
///
/// ```
/// use fluxkeep::helm::range::version;
/// assert_eq!(version("v2.4"), version("2.4.0"));
/// ```
#[must_use]
pub fn version(text: &str) -> Option<Version> {
    let (written, rest) = Written::read(text)?;
    rest.is_empty().then_some(())?;
    let numbers =
        [Some(written.major), written.minor, written.patch].map(|part| number(part.unwrap_or("0")));
    let [Some(major), Some(minor), Some(patch)] = numbers else {
        return None;
    };
    let build = BuildMetadata::new(written.build.unwrap_or_default()).ok()?;
    Some(Version {
        major,
        minor,
        patch,
        pre: prerelease(&written)?,
        build,
    })
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// If Helm would refuse the range, too, or if it is longer than [`LONGEST_RANGE`].
    pub fn parse(text: &str) -> Result<Self, NotARange> {
        let wrong = || NotARange(text.chars().take(LONGEST_RANGE).collect());
        if text.len() > LONGEST_RANGE {
            return Err(wrong());
        }
        let plain = without_hyphens(text);
        let alternatives: Option<_> = plain.split("||").map(comparators).collect();
        alternatives
            .map(|alternatives| Self { alternatives })
            .ok_or_else(wrong)
    }

    /// True if the version lies in the range.
    #[must_use]
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|all| {
            let pre = all.iter().any(|one| !one.version.pre.is_empty());
            (pre || version.pre.is_empty()) && all.iter().all(|one| one.matches(version))
        })
    }

    /// The newest of these versions in the range, which Helm would choose.
    #[must_use]
    pub fn newest<'a>(
        &self,
        versions: impl IntoIterator<Item = &'a Version>,
    ) -> Option<&'a Version> {
        versions
            .into_iter()
            .filter(|version| self.matches(version))
            .max_by(|left, right| order(left, right))
    }
}

/// A single `operator version`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    /// Missing and wildcard numbers are 0.
    version: Version,
    precision: Precision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    Tilde,
    Caret,
}

/// The number of parts that a comparator's version gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    /// `*`
    Nothing,
    /// `1`, `1.x`
    Major,
    /// `1.2`, `1.2.x`
    Minor,
    /// `1.2.3`
    Full,
}

impl Comparator {
    fn matches(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.precision == Precision::Full => self.order(version).is_eq(),
            Operator::Equal | Operator::Tilde => self.is_near(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.is_below(version),
            Operator::GreaterEqual => self.order(version).is_ge(),
            Operator::Less => self.order(version).is_lt(),
            Operator::LessEqual => self.reaches(version),
            Operator::Caret => self.is_compatible(version),
        }
    }

    /// Compares the version with the comparator's.
    fn order(&self, version: &Version) -> Ordering {
        order(version, &self.version)
    }

    /// `~1.2.3`: the same minor, not older. `~0.0.0` and `*` accept any version.
    fn is_near(&self, version: &Version) -> bool {
        let own = &self.version;
        let zero = (own.major, own.minor, own.patch) == (0, 0, 0);
        let any = zero && matches!(self.precision, Precision::Nothing | Precision::Full);
        let same = version.major == own.major
            && (version.minor == own.minor || self.precision == Precision::Major);
        self.order(version).is_ge() && (any || same)
    }

    /// `^1.2.3`: not older, and the same up to and including the first non-zero number.
    fn is_compatible(&self, version: &Version) -> bool {
        let own = &self.version;
        if self.order(version).is_lt() || version.major != own.major {
            return false;
        }
        if own.major > 0 || self.precision == Precision::Major {
            return true;
        }
        if own.minor > 0 || self.precision == Precision::Minor {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.precision {
            Precision::Major => version.major != own.major,
            Precision::Minor => {
                (version.major, version.minor) != (own.major, own.minor) || version.pre != own.pre
            }
            Precision::Full | Precision::Nothing => self.order(version).is_ne(),
        }
    }

    /// `>1` begins at 2, `>1.2` at 1.3.
    fn is_below(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.precision {
            Precision::Major => version.major > own.major,
            Precision::Minor => (version.major, version.minor) > (own.major, own.minor),
            Precision::Nothing if version.major != own.major => version.major > own.major,
            Precision::Full | Precision::Nothing => self.order(version).is_gt(),
        }
    }

    /// `<=1` ends before 2, `<=1.2` before 1.3.
    fn reaches(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.precision {
            Precision::Full => self.order(version).is_le(),
            Precision::Major => version.major <= own.major,
            Precision::Minor | Precision::Nothing => {
                (version.major, version.minor) <= (own.major, own.minor)
            }
        }
    }
}

/// Compares by precedence, without build metadata.
fn order(left: &Version, right: &Version) -> Ordering {
    left.cmp_precedence(right)
}

/// A version as written, wildcards included.
struct Written<'a> {
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    pre: Option<&'a str>,
    build: Option<&'a str>,
}

impl<'a> Written<'a> {
    /// Reads the longest version at the front, and returns the rest of the text.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (major, rest) = part(text.strip_prefix('v').unwrap_or(text))?;
        let (minor, rest) = after(rest, '.', part);
        let (patch, rest) = if minor.is_some() {
            after(rest, '.', part)
        } else {
            (None, rest)
        };
        let (pre, rest) = after(rest, '-', identifiers);
        let (build, rest) = after(rest, '+', identifiers);
        Some((
            Self {
                major,
                minor,
                patch,
                pre,
                build,
            },
            rest,
        ))
    }

    fn comparator(&self, operator: Operator) -> Option<Comparator> {
        let given = |part: Option<&'a str>| part.filter(|part| !matches!(*part, "x" | "X" | "*"));
        let (major, minor) = (given(Some(self.major)), given(self.minor));
        let (precision, numbers) = match (major, minor, given(self.patch)) {
            (None, _, _) => (Precision::Nothing, ["0", "0", "0"]),
            (Some(major), None, _) => (Precision::Major, [major, "0", "0"]),
            (Some(major), Some(minor), None) => (Precision::Minor, [major, minor, "0"]),
            (Some(major), Some(minor), Some(patch)) => (Precision::Full, [major, minor, patch]),
        };
        let [Some(major), Some(minor), Some(patch)] = numbers.map(number) else {
            return None;
        };
        let version = Version {
            major,
            minor,
            patch,
            pre: prerelease(self)?,
            build: BuildMetadata::EMPTY,
        };
        Some(Comparator {
            operator,
            version,
            precision,
        })
    }
}

fn number(digits: &str) -> Option<u64> {
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn prerelease(written: &Written<'_>) -> Option<Prerelease> {
    Prerelease::new(written.pre.unwrap_or_default()).ok()
}

/// Reads behind a separator. Returns `None` and the whole text if either is missing.
fn after<'a>(
    text: &'a str,
    separator: char,
    read: fn(&'a str) -> Option<(&'a str, &'a str)>,
) -> (Option<&'a str>, &'a str) {
    match text.strip_prefix(separator).and_then(read) {
        Some((found, rest)) => (Some(found), rest),
        None => (None, text),
    }
}

/// Reads digits or wildcards. Mixtures are accepted here and refused later, like in Masterminds.
fn part(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|one: char| !(one.is_ascii_digit() || "|xX*".contains(one)))
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(part, _)| !part.is_empty())
}

/// Reads identifiers separated by dots.
fn identifiers(text: &str) -> Option<(&str, &str)> {
    let word = |one: char| one.is_ascii_alphanumeric() || one == '-';
    let mut end = text.find(|one| !word(one)).unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    while let Some(next) = text.get(end..).and_then(|rest| rest.strip_prefix('.')) {
        match next.find(|one| !word(one)).unwrap_or(next.len()) {
            0 => break,
            long => end += 1 + long,
        }
    }
    text.split_at_checked(end)
}

/// The comparators of one alternative, separated by blanks or one comma.
fn comparators(text: &str) -> Option<Vec<Comparator>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    loop {
        let (operator, behind) = operator(rest);
        let (written, behind) = Written::read(behind.trim_start_matches(blank))?;
        found.push(written.comparator(operator)?);
        rest = behind.trim_start_matches(blank);
        if rest.is_empty() {
            return Some(found);
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(blank),
            None if rest.len() == behind.len() => return None,
            None => {}
        }
    }
}

fn operator(text: &str) -> (Operator, &str) {
    const OPERATORS: [(&str, Operator); 11] = [
        ("!=", Operator::NotEqual),
        (">=", Operator::GreaterEqual),
        ("=>", Operator::GreaterEqual),
        ("<=", Operator::LessEqual),
        ("=<", Operator::LessEqual),
        ("~>", Operator::Tilde),
        ("~", Operator::Tilde),
        ("^", Operator::Caret),
        (">", Operator::Greater),
        ("<", Operator::Less),
        ("=", Operator::Equal),
    ];
    let named = |(sign, operator): &(&str, Operator)| Some((*operator, text.strip_prefix(sign)?));
    OPERATORS
        .iter()
        .find_map(named)
        .unwrap_or((Operator::Equal, text))
}

fn blank(one: char) -> bool {
    matches!(one, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// Rewrites `1.2 - 1.4` as `>= 1.2, <= 1.4`.
fn without_hyphens(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((from, to, behind)) = hyphen(rest) {
            for part in [">= ", from, ", <= ", to, " "] {
                plain.push_str(part);
            }
            rest = behind;
        } else {
            plain.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    plain
}

/// The two versions of a hyphen range at the front of a text, and the rest of the text.
fn hyphen(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.trim_start_matches(blank);
    let (_, rest) = Written::read(start)?;
    let from = start.get(..start.len() - rest.len())?;
    let sign = rest.trim_start_matches(blank);
    let second = sign.strip_prefix('-')?;
    let end = second.trim_start_matches(blank);
    let spaced = sign.len() < rest.len() && end.len() < second.len();
    let (_, behind) = Written::read(end).filter(|_| spaced)?;
    let to = end.get(..end.len() - behind.len())?;
    Some((from, to, behind.trim_start_matches(blank)))
}

#[cfg(test)]
mod tests;
