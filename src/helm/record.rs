//! Helm's release record: the last safe point of any Helm operation.
//!
//! Helm creates the record before the release's first object. A ConfigMap's `data.release` is
//! base64 of gzip of JSON, a Secret's has base64 twice. Source: Helm's storage driver.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
pub(crate) use fluxkeep_yaml::shape;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Prefix of every record's name, before the release's name and version.
pub const NAME: &str = "sh.helm.release.v1.";
/// A stored Secret holds 1 MiB at most; the apiserver's limit on a request is 3 MiB.
pub const MOST_COMPRESSED: usize = 3 << 20;
/// Some 48 times the size of flux2's umbrella chart, 695 kB. Bounds the memory for a record.
pub const MOST_DECOMPRESSED: usize = 32 << 20;

/// Bytes that a Secret or a ConfigMap may hold: `MaxSecretSize` of Kubernetes.
const MOST_STORED: usize = 1 << 20;
/// Bytes at which a record is surely too long. Helm packs with Go's gzip, which may pack somewhat
/// tighter than this program.
const SURELY_TOO_LONG: usize = MOST_STORED / 10 * 11;
/// Bytes that are compressed before the length is looked at again.
const CHUNK: usize = 64 << 10;

/// Statuses with which Helm never creates a record. Source: Helm's `release.Status`.
const HISTORY: [&str; 5] = [
    "deployed",
    "superseded",
    "failed",
    "uninstalling",
    "uninstalled",
];

const GZIP: [u8; 3] = [0x1f, 0x8b, 0x08];

/// The judged parts of a release. Reading skips the configuration and the chart's values, which may
/// contain secrets.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// The release's name.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The namespace into which Helm installs the release.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
    /// Counts installs, upgrades and rollbacks from 1.
    #[serde(default, deserialize_with = "nullable")]
    pub version: u64,
    /// The state of the operation.
    #[serde(default, deserialize_with = "nullable")]
    pub info: Info,
    /// The rendered manifest after all post-renderers, without hooks. Helm omits an empty manifest.
    #[serde(default, deserialize_with = "long_text")]
    pub manifest: String,
    /// The hooks, which Helm runs outside the manifest.
    #[serde(default, deserialize_with = "nullable")]
    pub hooks: Vec<Hook>,
}

/// Helm's notes about a release during an operation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Info {
    /// For example `pending-install` or `deployed`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
}

/// The chart of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Chart {
    /// The name in Chart.yaml.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// The version in Chart.yaml.
    #[serde(deserialize_with = "nullable")]
    pub version: String,
}

/// A hook of a release.
#[derive(Debug, Deserialize)]
pub struct Hook {
    /// The rendered document.
    #[serde(default, deserialize_with = "nullable")]
    pub manifest: String,
    /// The events on which Helm runs the hook, for example `pre-install`.
    #[serde(default, deserialize_with = "nullable")]
    pub events: Vec<String>,
}

/// Reasons for an unreadable release record. No variant repeats the record's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// `data.release` is missing or empty.
    #[error("data.release is missing in the Helm release record")]
    Empty,
    /// Longer than [`MOST_COMPRESSED`].
    #[error("data.release holds {0} bytes, more than the {MOST_COMPRESSED} that a record may have")]
    TooLong(usize),
    /// One of the two layers of base64 is broken.
    #[error("data.release is not base64 (byte {0}), as Helm's storage driver writes it")]
    NotBase64(usize),
    /// The compressed data is broken.
    #[error("data.release is cut off or not gzip, as Helm's storage driver writes it")]
    NotGzip,
    /// The decompressed data exceeds the bound, given in bytes.
    #[error("data.release decompresses to more than {0} bytes")]
    Bomb(usize),
    /// The decompressed data is not a release.
    #[error("the release in data.release is unreadable: {0}")]
    NotARelease(String),
}

/// The kind of object in which Helm stores the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A Secret of type `helm.sh/release.v1`: the apiserver's base64 around Helm's own.
    Secret,
    /// A ConfigMap labelled `owner=helm`: Helm's base64 alone.
    ConfigMap,
}

impl Record {
    /// True for a record of an operation that ended elsewhere, for example in a restored backup.
    /// Helm itself creates records only as pending, before it touches an object.
    #[must_use]
    pub fn is_history(&self) -> bool {
        HISTORY.contains(&self.info.status.as_str())
    }

    /// The hooks that run in the pending operation; all hooks if the status names none. A hook
    /// without events always runs.
    pub fn hooks_that_run(&self) -> impl Iterator<Item = &Hook> {
        let operation = self.info.status.strip_prefix("pending-");
        self.hooks
            .iter()
            .filter(move |hook| operation.is_none_or(|operation| hook.runs_on(operation)))
    }
}

impl Hook {
    /// True if Helm runs the hook on `install`, `upgrade` or `rollback`.
    fn runs_on(&self, operation: &str) -> bool {
        let runs = |event: &String| event.ends_with(operation);
        self.events.is_empty() || self.events.iter().any(runs)
    }
}

/// The release in a record's name: `sh.helm.release.v1.NAME.vN`.
#[must_use]
pub fn release_of(name: &str) -> Option<&str> {
    let (release, _) = name.strip_prefix(NAME)?.rsplit_once(".v")?;
    Some(release)
}

/// Reads `data.release` of a record.
///
/// # Errors
/// If the data differs from Helm's format, or exceeds the bounds above.
pub fn read(data: &str, driver: Driver) -> Result<Record, Unreadable> {
    read_within(MOST_DECOMPRESSED, data, driver)
}

/// Like [`read`], but with a bound of `most` decompressed bytes.
///
/// # Errors
/// Like [`read`].
pub fn read_within(most: usize, data: &str, driver: Driver) -> Result<Record, Unreadable> {
    let json = unpacked(most, data, driver)?;
    serde_json::from_slice(&json).map_err(|error| Unreadable::NotARelease(shape(&error)))
}

/// Reads the name and version of a record's chart.
///
/// # Errors
/// Like [`read`].
pub fn chart(data: &str, driver: Driver) -> Result<Chart, Unreadable> {
    #[derive(Deserialize)]
    struct Release {
        #[serde(default, deserialize_with = "nullable")]
        chart: Metadata,
    }
    #[derive(Default, Deserialize)]
    struct Metadata {
        #[serde(default, deserialize_with = "nullable")]
        metadata: Chart,
    }
    let json = unpacked(MOST_DECOMPRESSED, data, driver)?;
    let release: Release =
        serde_json::from_slice(&json).map_err(|error| Unreadable::NotARelease(shape(&error)))?;
    Ok(release.chart.metadata)
}

/// The JSON of a record.
fn unpacked(most: usize, data: &str, driver: Driver) -> Result<Vec<u8>, Unreadable> {
    let packed = match driver {
        Driver::Secret => base64(&base64(bounded(data.as_bytes())?)?)?,
        Driver::ConfigMap => base64(bounded(data.as_bytes())?)?,
    };
    if packed.starts_with(&GZIP) {
        gunzip(&packed, most)
    } else {
        Ok(packed)
    }
}

/// Writes a release like Helm's storage driver, for callers that act as Helm.
///
/// # Errors
/// If the release cannot be serialized.
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

/// A warning if Helm surely cannot store a release with this manifest. `None` if the record may fit.
/// The record holds the chart and its values, too, so it is longer than this function tells.
#[must_use]
pub fn warning(manifest: &str) -> Option<String> {
    let bytes = stored(manifest)?;
    Some(format!(
        "Helm would store about {bytes} bytes for this release at least, the limit of a Secret is {MOST_STORED}: \
         the release will fail; split the chart"
    ))
}

/// About how many bytes Helm stores for a manifest; `None` if they are not surely too many. The
/// work ends as soon as the answer is known.
fn stored(manifest: &str) -> Option<usize> {
    use std::io::Write as _;
    // Base64 writes three bytes as four, and gzip never makes a text much longer.
    let as_base64 = |packed: usize| packed / 3 * 4;
    if as_base64(manifest.len()) <= SURELY_TOO_LONG {
        return None;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let mut read = 0;
    for chunk in manifest.as_bytes().chunks(CHUNK) {
        gzip.write_all(chunk).ok()?;
        read += chunk.len();
        let packed = as_base64(gzip.get_ref().len());
        if packed > SURELY_TOO_LONG {
            // The rest is taken to be alike.
            return Some(packed.saturating_mul(manifest.len()) / read);
        }
    }
    None
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
    // One byte over the bound tells a fitting record from a longer one.
    let mut reader = MultiGzDecoder::new(packed).take(most as u64 + 1);
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

/// The length in gzip's last four bytes, and one byte with which `read_to_end` finds the end without
/// growing. A false length costs nothing: untouched memory is not resident.
fn announced(packed: &[u8], most: usize) -> usize {
    let length = packed
        .last_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    length.saturating_add(1).min(most)
}

/// Go writes an empty list as `null`, and accepts null for any missing value.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a string of a megabyte. `serde_json` alone would write the string twice, first into a
/// buffer that grows by doubling. The buffer is most of a record's memory.
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

/// Unescapes a JSON string without its quotes. `None` if half of a surrogate pair is missing.
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

/// The character of `\uD83D\uDE00` or `\u00e9`, and the length of the escape.
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
    use std::io::Write as _;

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

    /// Go's reader goes on behind the first member.
    #[test]
    fn a_record_in_several_gzip_members_is_read_whole() {
        let member = |text: &str| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap()
        };
        let packed = [member(r#"{"name": "a", "#), member(r#""manifest": "b"}"#)].concat();
        let record = read(&STANDARD.encode(packed), Driver::ConfigMap).unwrap();
        assert_eq!(record.manifest, "b");
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

    /// Text that packs to about half of its length.
    fn hexadecimal(bytes: usize) -> String {
        let mut state = 1_u64;
        let mut digit = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from_digit((state >> 60) as u32, 16).unwrap_or_default()
        };
        (0..bytes).map(|_| digit()).collect()
    }

    #[test]
    fn a_record_that_may_fit_is_not_warned_about_and_one_that_surely_does_not_is() {
        for fits in [0, 1_000_000, 1_600_000] {
            assert_eq!(warning(&hexadecimal(fits)), None, "{fits}");
        }
        assert_eq!(warning(&"a: b\n".repeat(4_000_000)), None);
        let bytes = stored(&hexadecimal(3_000_000)).unwrap_or_default();
        assert!((1_900_000..2_300_000).contains(&bytes), "{bytes}");
        let told = warning(&hexadecimal(3_000_000)).unwrap_or_default();
        assert!(told.contains("the limit of a Secret is 1048576"), "{told}");
    }
}
