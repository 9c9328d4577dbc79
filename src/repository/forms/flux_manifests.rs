//! Flux's own manifests as a source that Flux reconciles.

use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Resource, Text, Value};

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "flux-manifests",
    role: PinRole::Installs,
    reads: "`spec.ref` of an OCIRepository of `flux-manifests`, or of a GitRepository of `fluxcd/flux2`",
    passes: "a GitRepository whose Kustomizations take the folder `manifests/monitoring` alone",
    read,
};

fn read(text: &Text, index: &Index, drafts: &mut Vec<Draft>) {
    for resource in &text.resources {
        let is_source = is_oci(resource) || is_git(resource, index);
        let Some(url) = resource.node.at(&["spec", "url"]).filter(|_| is_source) else {
            continue;
        };
        let reference = resource.node.at(&["spec", "ref"]);
        let keys = ["digest", "commit", "semver", "tag", "branch"].iter();
        let value = keys
            .filter_map(|key| reference?.get(key))
            .find_map(Value::of);
        let at = value
            .as_ref()
            .map_or(url.inner(), |value| value.span.clone());
        drafts.push(Draft {
            value,
            ..Draft::installs(FORM.id, Scale::Flux, resource.told(), at)
        });
    }
}

fn url(resource: &Resource) -> &str {
    resource
        .node
        .text_at(&["spec", "url"])
        .unwrap_or_default()
        .trim_end_matches('/')
}

fn is_oci(resource: &Resource) -> bool {
    resource.is("source.toolkit.fluxcd.io", "OCIRepository")
        && url(resource).ends_with("/flux-manifests")
}

fn is_git(resource: &Resource, index: &Index) -> bool {
    let url = url(resource).trim_end_matches(".git");
    if !resource.is("source.toolkit.fluxcd.io", "GitRepository") || !url.ends_with("fluxcd/flux2") {
        return false;
    }
    let paths = index.paths.get(&resource.name);
    paths.is_none_or(|paths| {
        paths
            .iter()
            .any(|path| path.starts_with("manifests/install"))
    })
}
