//! The `flux` program in the lists of tool managers.

use std::ops::Range;

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "tool",
    role: PinRole::Client,
    reads: "the program `flux` in `.mise.toml`, `.tool-versions`, `aqua.yaml`, `devbox.json` and a `Brewfile`",
    passes: "programs that are called almost like it, such as npm's `flux` and `influx-cli`; a formula without a version; Nix, whose package follows its channel",
    read,
};

/// The program's names in tool managers.
const NAMES: [&str; 5] = [
    "flux2",
    "aqua:fluxcd/flux2",
    "ubi:fluxcd/flux2",
    "github:fluxcd/flux2",
    "asdf:flux2",
];

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    let name = text.name();
    let is_mise = name.ends_with("mise.toml") || text.path.contains("mise/config");
    let is_aqua = name.starts_with("aqua") || name.starts_with(".aqua");
    for line in text.lines() {
        let value = if is_mise {
            mise(text, line.clone())
        } else if name == ".tool-versions" {
            asdf(text, line.clone())
        } else if is_aqua {
            behind(text, line.clone(), "fluxcd/flux2@")
        } else if name == "devbox.json" {
            devbox(text, line.clone())
        } else if name == "Brewfile" {
            behind(text, line.clone(), "fluxcd/tap/flux@")
        } else {
            return;
        };
        let Some(value) = value else {
            continue;
        };
        let thing = "program flux".to_owned();
        drafts.push(Draft {
            role: PinRole::Client,
            value: Some(value),
            ..Draft::installs(FORM.id, Scale::Flux, thing, line)
        });
    }
}

/// `flux2 = "2.8.8"`, `"aqua:fluxcd/flux2" = "2.8.8"`, `flux2 = { version = "2.8.8" }`.
fn mise(text: &Text, line: Range<usize>) -> Option<Value> {
    let content = text.slice(line.clone());
    let (key, rest) = content.split_once('=')?;
    if !NAMES.contains(&key.trim().trim_matches(['"', '\''])) {
        return None;
    }
    let digit = rest.find(|letter: char| letter.is_ascii_alphanumeric())?;
    let start = line.end - rest.len() + digit;
    let inner = text.slice(start..line.end);
    let skip = if inner.starts_with("version") {
        inner.find(|letter: char| letter.is_ascii_digit())?
    } else {
        0
    };
    Some(text.token(start + skip, &['"', '\'', ',', ']', '}']))
}

/// `flux2 2.9.4`.
fn asdf(text: &Text, line: Range<usize>) -> Option<Value> {
    let rest = text.slice(line.clone()).strip_prefix("flux2 ")?;
    let start = line.end - rest.trim_start().len();
    Some(text.token(start, &[]))
}

/// The version behind a name: `- name: fluxcd/flux2@v2.9.4`, `brew "fluxcd/tap/flux@2.9.4"`.
fn behind(text: &Text, line: Range<usize>, name: &str) -> Option<Value> {
    let at = text.slice(line.clone()).find(name)?;
    Some(text.token(line.start + at + name.len(), &['"', '\'', ',']))
}

/// `"fluxcd@2.4.0"` in a list of packages, or `"fluxcd": "2.4.0"` in a map.
fn devbox(text: &Text, line: Range<usize>) -> Option<Value> {
    let content = text.slice(line.clone());
    let start = ["\"fluxcd@", "\"fluxcd\": \""]
        .iter()
        .find_map(|mark| Some(content.find(mark)? + mark.len()))?;
    Some(text.token(line.start + start, &['"', ',', ']']))
}
