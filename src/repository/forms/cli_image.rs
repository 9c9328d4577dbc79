//! The image of the `flux` program.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "cli-image",
    role: PinRole::Client,
    reads: "the tag of the image `fluxcd/flux-cli`",
    passes: "an image without a tag",
    read,
};

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    for at in text.find("fluxcd/flux-cli:") {
        let value = text.token(
            at + "fluxcd/flux-cli:".len(),
            &['"', '\'', ',', '@', '}', ']'],
        );
        let thing = "image flux-cli".to_owned();
        drafts.push(Draft {
            role: PinRole::Client,
            value: Some(value),
            ..Draft::installs(FORM.id, Scale::Flux, thing, at..at + 15)
        });
    }
}
