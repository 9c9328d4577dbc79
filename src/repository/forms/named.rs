//! Pins that the repository's settings name.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::settings::NamedPlace;
use crate::repository::text::{Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "named",
    role: PinRole::Installs,
    reads: "the values that `pins` in `.fluxkeep.yaml` names, by key or pattern",
    passes: "the same key in another file",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for named in index.named.iter().filter(|named| named.file == text.path) {
        let value = match &named.place {
            NamedPlace::Key(keys) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                let mut nodes = text.nodes.iter();
                nodes.find_map(|node| Value::of(node.at(&keys)?))
            }
            NamedPlace::Pattern(pattern) => {
                let found = pattern.0.captures(&text.text);
                let version = found.as_ref().and_then(|found| found.get(1));
                version.map(|version| Value {
                    text: version.as_str().to_owned(),
                    span: version.range(),
                })
            }
        };
        let Some(value) = value else {
            continue;
        };
        let at = value.span.clone();
        drafts.push(Draft {
            role: named.role,
            value: Some(value),
            ..Draft::installs(FORM.id, Scale::Flux, "named pin".to_owned(), at)
        });
    }
}
