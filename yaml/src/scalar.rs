//! Resolves a scalar like go-yaml v2, and converts it to JSON like sigs.k8s.io/yaml.
//!
//! Source: `resolve.go`, `decode.go` of go.yaml.in/yaml/v2; sigs.k8s.io/yaml's
//! `convertToJSONableObject`.

use std::borrow::Cow;

use granit_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// A scalar by its type in Go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// A number above the largest `i64`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// The text of a key and its type in Go, where `1` and `"1"` are different keys of a map.
pub(crate) struct Key<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: KeyKind,
}

/// The type of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Text,
    Bool,
    Int,
    /// Different floats may have the same text.
    Float,
}

/// Go refuses the scalar, or Go's result is not predictable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

const CORE: &str = "tag:yaml.org,2002:";

/// Resolves a text to its scalar.
pub(crate) fn resolve<'a>(
    text: Cow<'a, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Scalar<'a>, Refused> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => plain(text),
            _ => Scalar::Text(text),
        });
    };
    let Some(name) = tag.suffix_in_namespace(CORE) else {
        return Ok(Scalar::Text(text));
    };
    match &*name {
        "binary" => binary(&text),
        // Go's set of valid dates is not known here.
        "timestamp" => Err(Refused),
        "null" | "bool" | "int" | "float" => typed(&name, text),
        // `!!str`, and tags that Go does not know.
        _ => Ok(Scalar::Text(text)),
    }
}

/// True for a merge key.
pub(crate) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    text == "<<"
        && match tag {
            None => style == ScalarStyle::Plain,
            Some(tag) => {
                let is_bare = format!("{}{}", tag.handle(), tag.suffix()) == "!";
                is_bare
                    || tag
                        .suffix_in_namespace(CORE)
                        .is_some_and(|name| name == "merge")
            }
        }
}

fn typed<'a>(name: &str, text: Cow<'a, str>) -> Result<Scalar<'a>, Refused> {
    match (name, plain(text)) {
        ("null", Scalar::Null) => Ok(Scalar::Null),
        ("bool", Scalar::Bool(value)) => Ok(Scalar::Bool(value)),
        ("int", Scalar::Int(value)) => Ok(Scalar::Int(value)),
        ("int", Scalar::Uint(value)) => Ok(Scalar::Uint(value)),
        ("float", Scalar::Float(value)) => Ok(Scalar::Float(value)),
        #[allow(clippy::cast_precision_loss)] // Go converts in the same way.
        ("float", Scalar::Int(value)) => Ok(Scalar::Float(value as f64)),
        _ => Err(Refused),
    }
}

/// Resolves a scalar without a tag and quotes.
fn plain(text: Cow<'_, str>) -> Scalar<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.bytes().next() {
        Some(b'.') => float(&text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let bare = text.replace('_', "");
            integer(&bare).or_else(|| float(&bare))
        }
        _ => None,
    };
    number.unwrap_or(Scalar::Text(text))
}

/// Reads an integer like Go's `strconv.ParseInt` with base 0.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (is_negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // Rust would accept a second sign here.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, base).ok()?;
    if is_negative {
        return 0_i64.checked_sub_unsigned(size).map(Scalar::Int);
    }
    match i64::try_from(size) {
        Ok(value) => Some(Scalar::Int(value)),
        // `ParseUint` accepts no sign.
        Err(_) => (!text.starts_with('+')).then_some(Scalar::Uint(size)),
    }
}

/// Reads a finite number of the form `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn float(text: &str) -> Option<Scalar<'static>> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && is_digits(fraction),
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => !mantissa.is_empty() && is_digits(mantissa),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    let value: f64 = text.parse().ok().filter(|_| is_mantissa && is_exponent)?;
    value.is_finite().then_some(Scalar::Float(value))
}

/// Decodes base64 with line ends anywhere. Go replaces bytes that are not UTF-8; here they fail.
fn binary(text: &str) -> Result<Scalar<'static>, Refused> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !b"\r\n".contains(byte))
        .collect();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    let mut is_over = false;
    for four in digits.chunks(4) {
        let count = four.iter().take_while(|digit| **digit != b'=').count();
        let is_padded = four.iter().skip(count).all(|digit| *digit == b'=');
        if is_over || four.len() != 4 || count < 2 || !is_padded {
            return Err(Refused);
        }
        let mut bits = 0_u32;
        for digit in four.iter().take(count) {
            bits = bits << 6 | sextet(*digit).ok_or(Refused)?;
        }
        let [_, first, second, third] = (bits << (6 * (4 - count))).to_be_bytes();
        bytes.extend([first, second, third].into_iter().take(count - 1));
        is_over = count < 4;
    }
    let text = String::from_utf8(bytes).map_err(|_| Refused)?;
    Ok(Scalar::Text(text.into()))
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

impl<'a> Scalar<'a> {
    /// The value in JSON, which has no infinity.
    pub(crate) fn value(self) -> Result<Value, Refused> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::Uint(value) => value.into(),
            Self::Float(value) => Value::Number(written(value).ok_or(Refused)?),
            Self::Text(text) => Value::String(text.into_owned()),
        })
    }

    /// The text of a key. Go accepts neither null nor a number above the largest `i64`.
    pub(crate) fn key(self) -> Result<Key<'a>, Refused> {
        let (name, kind) = match self {
            Self::Text(name) => (name, KeyKind::Text),
            Self::Bool(value) => (value.to_string().into(), KeyKind::Bool),
            Self::Int(value) => (value.to_string().into(), KeyKind::Int),
            Self::Float(value) => (short(value).into(), KeyKind::Float),
            Self::Null | Self::Uint(_) => return Err(Refused),
        };
        Ok(Key { name, kind })
    }
}

/// A float as read from Go's JSON: below 1e21, a float without a fraction is an integer.
fn written(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 && !(value == 0.0 && value.is_sign_negative()) {
        let digits = format!("{value:.0}");
        if let Ok(value) = digits.parse::<u64>() {
            return Some(value.into());
        }
        if let Ok(value) = digits.parse::<i64>() {
            return Some(value.into());
        }
    }
    Number::from_f64(value)
}

/// Formats like Go's `FormatFloat(value, 'g', -1, 32)`.
#[allow(clippy::cast_possible_truncation)] // To 32 bits, like Go.
fn short(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        plain(text.into())
            .value()
            .unwrap_or_else(|_| json!("refused"))
    }

    /// Each result is from sigs.k8s.io/yaml v1.6.0. The test suite compares many more.
    #[test]
    fn a_plain_scalar_is_what_go_takes_it_for() {
        for (text, expected) in [
            ("y", json!(true)),
            ("Off", json!(false)),
            ("oFF", json!("oFF")),
            ("~", json!(null)),
            ("nULL", json!("nULL")),
            ("010", json!(8)),
            ("08", json!(8)),
            ("0o17", json!(15)),
            ("-0b11", json!(-3)),
            ("1_000", json!(1000)),
            ("0x", json!("0x")),
            ("+-1", json!("+-1")),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("1e3", json!(1000)),
            ("1.50", json!(1.5)),
            ("1e400", json!("1e400")),
            (".inf", json!("refused")),
            ("1:30", json!("1:30")),
            ("2001-01-01", json!("2001-01-01")),
            ("1.2.3", json!("1.2.3")),
            (".", json!(".")),
            ("-", json!("-")),
            ("<<", json!("<<")),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
