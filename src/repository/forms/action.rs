//! The GitHub action that sets up the `flux` program.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};
use crate::yaml::spans::{Node, NodeBody};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "action",
    role: PinRole::Client,
    reads: "`with.version` of a step that uses `fluxcd/flux2/action`",
    passes: "the reference behind `@`: whatever it is, the action installs the latest version",
    read,
};

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    if text.text.contains("fluxcd/flux2/action") {
        for node in &text.nodes {
            steps(node, drafts);
        }
    }
}

fn steps(node: &Node, drafts: &mut Vec<Draft>) {
    let uses = node.get("uses").and_then(Value::of);
    if let Some(uses) = uses.filter(|uses| uses.text.starts_with("fluxcd/flux2/action")) {
        let value = node.at(&["with", "version"]).and_then(Value::of);
        let is_by_file = node.at(&["with", "version-file"]).is_some();
        if !is_by_file {
            let thing = "action fluxcd/flux2/action".to_owned();
            drafts.push(Draft {
                role: PinRole::Client,
                value,
                ..Draft::installs(FORM.id, Scale::Flux, thing, uses.span)
            });
        }
    }
    match &node.body {
        NodeBody::Map(entries) => entries.iter().for_each(|(_, value)| steps(value, drafts)),
        NodeBody::Seq(items) => items.iter().for_each(|item| steps(item, drafts)),
        NodeBody::Scalar(..) => {}
    }
}
