//! Helm's release record: the last safe point of any Helm operation.
//!
//! Helm creates it before the first object of the release. In a Secret, `data.release` is base64 of
//! base64 of gzip of JSON; in a ConfigMap, base64 of gzip of JSON. Source: Helm's storage driver.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
pub(crate) use fluxkeep_yaml::shape;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the name of every record begins with; the release and its version follow.
pub const NAME: &str = "sh.helm.release.v1.";
/// A stored Secret holds 1 MiB at most; the apiserver's limit on a request is 3 MiB.
pub const MOST_COMPRESSED: usize = 3 << 20;
/// Forty times what the umbrella of flux2, 695 kB, comes to; memory for a record stays bounded.
pub const MOST_DECOMPRESSED: usize = 32 << 20;

/// The statuses of a release that Helm has stored before. Source: Helm's `release.Status`.
const HISTORY: [&str; 5] = [
    "deployed",
    "superseded",
    "failed",
    "uninstalling",
    "uninstalled",
];

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The parts of a release that are judged. The configuration and the chart's values, where secrets
/// would be, are skipped while reading.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// The release's name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The namespace that it is installed into.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Counts installs, upgrades and rollbacks from 1.
    #[serde(default, deserialize_with = "nullable")]
    pub version: u64,
    /// How far the operation is.
    #[serde(default, deserialize_with = "nullable")]
    pub info: Info,
    /// The rendered manifest after all post-renderers, without hooks. Helm leaves an empty one out.
    #[serde(default, deserialize_with = "long_text")]
    pub manifest: String,
    /// What Helm runs beside the manifest.
    #[serde(default, deserialize_with = "nullable")]
    pub hooks: Vec<Hook>,
}

/// What Helm notes of a release while it works on it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Info {
    /// For example `pending-install` or `deployed`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
}

/// One hook of a release.
#[derive(Debug, Deserialize)]
pub struct Hook {
    /// Its rendered document.
    #[serde(default, deserialize_with = "nullable")]
    pub manifest: String,
    /// When Helm runs it, for example `pre-install`.
    #[serde(default, deserialize_with = "nullable")]
    pub events: Vec<String>,
}

/// Why a release record cannot be read. No variant repeats what the record holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// `data.release` is missing or empty.
    #[error("data.release is missing; a Helm release record carries it")]
    Empty,
    /// Longer than [`MOST_COMPRESSED`].
    #[error("data.release holds {0} bytes, more than the {MOST_COMPRESSED} that a record may have")]
    TooLong(usize),
    /// One of the two layers of base64 is broken.
    #[error("data.release is not base64 (byte {0}); it must be as Helm's storage driver writes it")]
    NotBase64(usize),
    /// The compressed data is broken.
    #[error("data.release is not gzip, or cut off; it must be as Helm's storage driver writes it")]
    NotGzip,
    /// Longer than it may be once decompressed, which is so many bytes.
    #[error("data.release decompresses to more than {0} bytes")]
    Bomb(usize),
    /// The decompressed data is not a release.
    #[error("the release inside data.release is not readable: {0}")]
    NotARelease(String),
}

/// Where the record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A Secret of type `helm.sh/release.v1`: the apiserver's base64 around Helm's own.
    Secret,
    /// A ConfigMap labelled `owner=helm`: Helm's base64 alone.
    ConfigMap,
}

impl Record {
    /// Whether it tells of something that ended elsewhere, as a backup's records do when they are
    /// restored. Helm itself creates records only as pending, before it touches an object.
    #[must_use]
    pub fn is_history(&self) -> bool {
        HISTORY.contains(&self.info.status.as_str())
    }

    /// The hooks that the operation runs which the record was created for. A record lists those of
    /// every operation; one without events counts as run.
    pub fn hooks_that_run(&self) -> impl Iterator<Item = &Hook> {
        let operation = self.info.status.strip_prefix("pending-");
        self.hooks
            .iter()
            .filter(move |hook| operation.is_none_or(|operation| hook.runs_on(operation)))
    }
}

impl Hook {
    /// Whether Helm runs it on `install`, `upgrade` or `rollback`.
    fn runs_on(&self, operation: &str) -> bool {
        let runs = |event: &String| event.ends_with(operation);
        self.events.is_empty() || self.events.iter().any(runs)
    }
}

/// The release that a record belongs to, by the record's name: `sh.helm.release.v1.NAME.vN`.
#[must_use]
pub fn release_of(name: &str) -> Option<&str> {
    let (release, _) = name.strip_prefix(NAME)?.rsplit_once(".v")?;
    Some(release)
}

/// Reads `data.release` of a record.
///
/// # Errors
/// When the data is not what Helm writes, or larger than the bounds above.
pub fn read(data: &str, driver: Driver) -> Result<Record, Unreadable> {
    read_within(MOST_DECOMPRESSED, data, driver)
}

/// As [`read`], where the data may have `most` bytes once decompressed.
///
/// # Errors
/// As [`read`].
pub fn read_within(most: usize, data: &str, driver: Driver) -> Result<Record, Unreadable> {
    let packed = match driver {
        Driver::Secret => base64(&base64(bounded(data.as_bytes())?)?)?,
        Driver::ConfigMap => base64(bounded(data.as_bytes())?)?,
    };
    let json = if packed.starts_with(&GZIP) {
        gunzip(&packed, most)?
    } else {
        packed
    };
    serde_json::from_slice(&json).map_err(|error| Unreadable::NotARelease(shape(&error)))
}

/// Writes a release as Helm's storage driver would, for whoever plays Helm's part.
///
/// # Errors
/// When the release cannot be serialized.
pub fn write(release: &impl serde::Serialize, driver: Driver) -> serde_json::Result<String> {
    use std::io::Write as _;
    let json = serde_json::to_vec(release)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&json).map_err(serde_json::Error::io)?;
    let inner = STANDARD.encode(gzip.finish().map_err(serde_json::Error::io)?);
    Ok(match driver {
        Driver::Secret => STANDARD.encode(inner),
        Driver::ConfigMap => inner,
    })
}

fn bounded(data: &[u8]) -> Result<&[u8], Unreadable> {
    match data.len() {
        0 => Err(Unreadable::Empty),
        long if long > MOST_COMPRESSED => Err(Unreadable::TooLong(long)),
        _ => Ok(data),
    }
}

fn base64(data: &[u8]) -> Result<Vec<u8>, Unreadable> {
    use base64::DecodeError::{InvalidByte, InvalidLastSymbol, InvalidLength, InvalidPadding};
    STANDARD.decode(data).map_err(|error| match error {
        InvalidByte(at, _) | InvalidLastSymbol(at, _) | InvalidLength(at) => {
            Unreadable::NotBase64(at)
        }
        InvalidPadding => Unreadable::NotBase64(data.len()),
    })
}

fn gunzip(packed: &[u8], most: usize) -> Result<Vec<u8>, Unreadable> {
    // One byte over the bound tells a record that fits from one that does not.
    let mut reader = GzDecoder::new(packed).take(most as u64 + 1);
    let mut json = Vec::with_capacity(announced(packed, most));
    reader
        .read_to_end(&mut json)
        .map_err(|_| Unreadable::NotGzip)?;
    if json.len() > most {
        Err(Unreadable::Bomb(most))
    } else {
        Ok(json)
    }
}

/// The length that gzip's last four bytes announce, plus one to see the end without growing. Memory
/// that is announced and not written is not resident.
fn announced(packed: &[u8], most: usize) -> usize {
    let length = packed
        .last_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    length.saturating_add(1).min(most)
}

/// Go writes an empty list as `null`, and takes null for any value that is left out.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A string of a megabyte: `serde_json` by itself would write it twice, into a buffer that grows by
/// doubling first, which is most of the memory that a record takes.
fn long_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    use serde::de::Error as _;
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    if raw == "null" {
        return Ok(String::new());
    }
    let quoted = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    quoted
        .and_then(unescaped)
        .ok_or_else(|| D::Error::custom("a manifest is text"))
}

/// The text of a JSON string, given without its quotes. None where half of a surrogate pair is missing.
fn unescaped(mut rest: &str) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at_checked(at)?;
        text.push_str(before);
        let (character, length) = match *escape.as_bytes().get(1)? {
            b'n' => ('\n', 2),
            b't' => ('\t', 2),
            b'r' => ('\r', 2),
            b'b' => ('\u{8}', 2),
            b'f' => ('\u{c}', 2),
            b'u' => utf16(escape)?,
            itself => (char::from(itself), 2),
        };
        text.push(character);
        rest = escape.get(length..)?;
    }
    text.push_str(rest);
    Some(text)
}

/// The character of `\uD83D\uDE00` or `\u00e9`, and the length of that.
fn utf16(escape: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let first = unit(2)?;
    let second = escape
        .get(6..8)
        .filter(|next| *next == "\\u")
        .and_then(|_| unit(8));
    let character = char::decode_utf16([first].into_iter().chain(second))
        .next()?
        .ok()?;
    Some((character, 6 * character.len_utf16()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_read_as_serde_json_reads_it(
            text in any::<String>(),
            units in prop::collection::vec(any::<u16>(), 0..6),
        ) {
            let written = serde_json::to_string(&text).unwrap();
            let plain = &written[1..written.len() - 1];
            let escapes = units.iter().fold(String::new(), |escapes, unit| format!("{escapes}\\u{unit:04x}"));
            for quoted in [plain.to_owned(), format!("{escapes}{plain}"), format!("{plain}{escapes}")] {
                let expected = serde_json::from_str(&format!("\"{quoted}\"")).ok();
                prop_assert_eq!(unescaped(&quoted), expected, "{}", quoted);
            }
        }
    }

    #[test]
    fn every_short_escape_is_known() {
        assert_eq!(
            unescaped(r#"\"\\\/\b\f\n\r\té"#).unwrap(),
            "\"\\/\u{8}\u{c}\n\r\té"
        );
    }

    #[test]
    fn an_empty_manifest_may_be_left_out() {
        for manifest in ["", r#", "manifest": null"#, r#", "manifest": """#] {
            let json = format!(r#"{{"name": "a"{manifest}}}"#);
            let record = read(&STANDARD.encode(json), Driver::ConfigMap).unwrap();
            assert_eq!(record.manifest, "", "{manifest}");
        }
    }

    #[test]
    fn a_manifest_is_text() {
        for manifest in ["1", "{}", r#""\ud800""#] {
            let json = format!(r#"{{"name": "a", "manifest": {manifest}}}"#);
            let data = STANDARD.encode(json);
            assert!(
                matches!(
                    read(&data, Driver::ConfigMap),
                    Err(Unreadable::NotARelease(_))
                ),
                "{manifest}"
            );
        }
    }
}
