//! Flux by Terraform: the resource `flux_bootstrap_git`, and the provider whose default it takes.

use crate::repository::form::Form;
use crate::repository::hcl::{Block, blocks};
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "terraform",
    role: PinRole::Installs,
    reads: "`version` of a `flux_bootstrap_git`; without it, the version of the provider `fluxcd/flux`, which brings its own default",
    passes: "the provider beside a `flux_bootstrap_git` that names its version; providers of other sources",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    if !text.path.ends_with(".tf") {
        return;
    }
    for block in blocks(text, "resource \"flux_bootstrap_git\"") {
        let generates = block.literal("path").map(|path| path.text);
        let found = block.value("version");
        let Some(value) = found else {
            continue;
        };
        drafts.push(Draft {
            value: Some(value),
            boots: true,
            generates,
            ..Draft::installs(
                FORM.id,
                Scale::Flux,
                "flux_bootstrap_git".to_owned(),
                block.head,
            )
        });
    }
    if let Some(path) = &index.provider_bootstraps {
        for block in blocks(text, "required_providers") {
            drafts.extend(provider(text, &block, path));
        }
    }
}

/// The provider, in `flux = { source = "fluxcd/flux", version = "1.5.1" }`.
fn provider(text: &Text, block: &Block<'_>, path: &str) -> Option<Draft> {
    let body = text.slice(block.body.clone());
    let at = block.body.start + body.find("fluxcd/flux\"")?;
    let start = text.slice(block.body.start..at).rfind('{')? + block.body.start;
    let own = Block::at(text, start)?;
    Some(Draft {
        value: own.value("version"),
        boots: true,
        generates: Some(path.to_owned()),
        ..Draft::installs(
            FORM.id,
            Scale::Provider,
            "provider fluxcd/flux".to_owned(),
            at..at + "fluxcd/flux".len(),
        )
    })
}
