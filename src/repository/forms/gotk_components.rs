//! The components that `flux bootstrap` or `flux install --export` wrote.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "gotk-components",
    role: PinRole::Installs,
    reads: "the comment `# Flux Version:` at the head of `gotk-components.yaml`",
    passes: "a stub without that comment; the label `app.kubernetes.io/version`",
    read,
};

const HEADER: &str = "# Flux Version:";
/// The header stands in the first lines.
const LINES: usize = 20;

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    if text.nodes.is_empty() {
        return;
    }
    for line in text.lines().take(LINES) {
        let Some(rest) = text.slice(line.clone()).strip_prefix(HEADER) else {
            continue;
        };
        let start = line.end - rest.trim_start().len();
        let value = text.token(start, &[]);
        drafts.push(Draft {
            value: Some(value),
            ..Draft::installs(FORM.id, Scale::Flux, text.name().to_owned(), line)
        });
    }
}
