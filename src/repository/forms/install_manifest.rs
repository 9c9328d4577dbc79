//! The manifest that a release of Flux publishes.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "install-manifest",
    role: PinRole::Installs,
    reads: "`github.com/fluxcd/flux2/releases/download/…/install.yaml` or `manifests.tar.gz` in cloud-init, machine configurations, scripts, Makefiles and templates",
    passes: "the archive of the command-line program; `crd-schemas.tar.gz`; the URL as a pattern; files of `.nix` and `.toml`",
    read,
};

const RELEASES: &str = "fluxcd/flux2/releases/";
const FILES: [&str; 2] = ["install.yaml", "manifests.tar.gz"];
const ENDS: [char; 7] = ['"', '\'', ',', ']', '`', ';', '|'];

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    if text.path.ends_with(".nix") || text.path.ends_with(".toml") {
        return;
    }
    for at in text.find(RELEASES) {
        let url = text.token(at, &ENDS);
        if !FILES.iter().any(|file| url.text.ends_with(file)) {
            continue;
        }
        let rest = url.text.strip_prefix(RELEASES).unwrap_or_default();
        let start = at + RELEASES.len();
        let value = if rest.starts_with("latest/download/") {
            Value {
                text: "latest".to_owned(),
                span: start..start + "latest".len(),
            }
        } else if rest.starts_with("download/") {
            text.token(start + "download/".len(), &['/', '"', '\''])
        } else {
            continue;
        };
        // A pattern of versions in a test or a bot's configuration.
        if value.text.contains(['\\', '[', '*']) || value.text.starts_with('(') {
            continue;
        }
        let thing = "install.yaml".to_owned();
        drafts.push(Draft {
            value: Some(value),
            boots: true,
            ..Draft::installs(FORM.id, Scale::Flux, thing, url.span)
        });
    }
}
