//! Flux's manifests as a remote base of kustomize.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::Text;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "kustomize-remote",
    role: PinRole::Installs,
    reads: "`github.com/fluxcd/flux2/manifests/install?ref=…` in a Kustomization of kustomize or in `kubectl apply -k`",
    passes: "`manifests/monitoring`, which installs no controller",
    read,
};

/// The folders of manifests that install controllers or their CRDs.
const FOLDERS: [&str; 3] = ["install", "bases", "crds"];

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    for at in text.find("fluxcd/flux2") {
        let url = text.token(at, &['"', '\'', ',', ']', '`']);
        let rest = url.text.strip_prefix("fluxcd/flux2").unwrap_or_default();
        let rest = rest
            .strip_prefix(".git")
            .unwrap_or(rest)
            .trim_start_matches('/');
        let Some(path) = rest.strip_prefix("manifests") else {
            continue;
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let folder = path.trim_matches('/').split('/').next().unwrap_or_default();
        if !folder.is_empty() && !FOLDERS.contains(&folder) || !is_remote(text, at) {
            continue;
        }
        let parameter = query.split('&').find_map(|one| one.strip_prefix("ref="));
        let value = parameter.and_then(|reference| {
            let start = at + url.text.find("ref=")? + "ref=".len();
            Some(text.token(start, &['"', '\'', ',', ']', '`', '&']))
                .filter(|_| !reference.is_empty())
        });
        let thing = "kustomize base fluxcd/flux2".to_owned();
        drafts.push(Draft {
            value,
            boots: true,
            ..Draft::installs(FORM.id, Scale::Flux, thing, url.span)
        });
    }
}

/// True behind the host of a Git URL.
fn is_remote(text: &Text, at: usize) -> bool {
    let before = text.slice(text.line(at).start..at);
    before.ends_with("github.com/") || before.ends_with("github.com:")
}
