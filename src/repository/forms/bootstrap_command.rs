//! The commands `flux bootstrap` and `flux install`.

use crate::repository::chart_use::words;
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "bootstrap-command",
    role: PinRole::Installs,
    reads: "`flux bootstrap` and `flux install` with `--version` in scripts and pipelines",
    passes: "the commands without `--version`, which install the program's own version; `flux reconcile` and others",
    read,
};

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    for at in text.find("flux ") {
        let words = words(text, at);
        let verb = words.get(1).map(|word| word.text.as_str());
        if !matches!(verb, Some("bootstrap" | "install")) || !begins(text, at) {
            continue;
        }
        if let Some(value) = option(&words, "--version") {
            let generates = option(&words, "--path").map(|path| {
                path.text
                    .trim_start_matches("./")
                    .trim_matches('/')
                    .to_owned()
            });
            let thing = format!("flux {}", verb.unwrap_or_default());
            drafts.push(Draft {
                value: Some(value),
                boots: true,
                generates,
                ..Draft::installs(FORM.id, Scale::Flux, thing, at..at + "flux".len())
            });
        }
    }
}

/// True at the start of a word.
fn begins(text: &Text, at: usize) -> bool {
    let before = text.slice(text.line(at).start..at);
    before
        .chars()
        .last()
        .is_none_or(|last| last.is_whitespace() || "/;&|(\"'@".contains(last))
}

/// The value of an option, `--name VALUE` or `--name=VALUE`.
#[must_use]
pub fn option(words: &[Value], name: &str) -> Option<Value> {
    for (place, word) in words.iter().enumerate() {
        if word.text == name {
            return words.get(place + 1).cloned();
        }
        if let Some(value) = word
            .text
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            let value = value.trim_matches(['"', '\'']);
            let start = word.span.start + word.text.find(value).unwrap_or_default();
            return Some(Value {
                text: value.to_owned(),
                span: start..start + value.len(),
            });
        }
    }
    None
}
