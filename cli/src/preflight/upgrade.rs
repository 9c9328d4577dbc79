//! An upgrade without a chart: the CRDs and controllers of a Flux, from the catalogue.

use anyhow::Context;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::Release;
use fluxkeep::flux::catalogue::FluxRelease;
use fluxkeep::helm::Owner;
use fluxkeep::manifest::{self, Reading};

use super::input::Input;
use crate::Output;
use crate::clusters::named;
use crate::replay::stage;

/// The CRDs and Deployments of the newest release of this version, as a manifest.
///
/// # Errors
/// If the catalogue has no such release.
pub(super) fn input(
    version: &str,
    owner: Option<Owner>,
    policy: &Policy,
    output: &mut Output,
) -> anyhow::Result<Input> {
    let release = named(&policy.engine.catalogue, version)?;
    output.note(&format!(
        "Flux {} by the catalogue: its CRDs and controllers, without a chart's values and other objects",
        release.version
    ));
    let mut documents = Vec::new();
    for object in stage::chart(release, true)? {
        let is_judged = matches!(
            stage::kind(&object),
            "CustomResourceDefinition" | "Deployment"
        );
        let is_brought = object
            .pointer("/metadata/name")
            .and_then(serde_json::Value::as_str)
            .is_some_and(|name| brings(release, name));
        if is_judged && is_brought {
            documents.push(object.to_string());
        }
    }
    let objects = manifest::read(&documents.join("\n---\n"), Reading::default());
    let release = Release {
        owner,
        revision: None,
        stored_in: None,
        objects: objects.context("reading the catalogue's objects")?,
    };
    Ok(Input {
        release,
        too_long: None,
    })
}

/// True if the release has a CRD or a controller of this name.
fn brings(release: &FluxRelease, name: &str) -> bool {
    let mut controllers = release.controllers.iter();
    release.crd(name).is_some() || controllers.any(|controller| controller.name == name)
}
