//! The images of Flux's controllers: in Deployments, and in lists that change or carry images.

use std::ops::Range;

use crate::flux::engine::CONTROLLERS;
use crate::repository::form::Form;
use crate::repository::index::Index;
use crate::repository::pin::{Draft, PinRole, Scale};
use crate::repository::text::{Text, Value};
use crate::yaml::spans::Node;

/// See the module's documentation.
pub const FORM: Form = Form {
    id: "controller-image",
    role: PinRole::Installs,
    reads: "the tags of controllers' images in Deployments of the controllers' names, in `images` of a kustomization (`newTag`) and of a Zarf package; together they come to the Flux release that has all of them",
    passes: "lists of images in policies and licences; images beside the header of `gotk-components.yaml`; an image without a tag",
    read,
};

fn read(text: &Text, _: &Index, drafts: &mut Vec<Draft>) {
    // The header of `gotk-components.yaml` tells the release.
    let is_generated = text
        .lines()
        .take(20)
        .any(|line| text.slice(line).starts_with("# Flux Version:"));
    for resource in &text.resources {
        if resource.kind == "Deployment" && resource.group == "apps" && !is_generated {
            if CONTROLLERS.contains(&resource.name.as_str()) {
                deployment(&resource.node, drafts);
            }
        } else if resource.kind == "ZarfPackageConfig" {
            zarf(&resource.node, drafts);
        }
    }
    let is_kustomization = matches!(text.name(), "kustomization.yaml" | "kustomization.yml");
    if is_kustomization {
        for image in text
            .nodes
            .iter()
            .filter_map(|node| node.get("images"))
            .flat_map(Node::items)
        {
            renamed(image, drafts);
        }
    }
    // A Zarf package without `metadata` is no object.
    if text.name() == "zarf.yaml" && text.resources.is_empty() {
        text.nodes.iter().for_each(|node| zarf(node, drafts));
    }
}

fn deployment(node: &Node, drafts: &mut Vec<Draft>) {
    let containers = node.at(&["spec", "template", "spec", "containers"]);
    for container in containers.map_or(&[][..], Node::items) {
        image(container.get("image"), false, drafts);
    }
}

fn zarf(node: &Node, drafts: &mut Vec<Draft>) {
    for component in node.get("components").map_or(&[][..], Node::items) {
        for listed in component.get("images").map_or(&[][..], Node::items) {
            image(Some(listed), true, drafts);
        }
    }
}

/// An entry of a kustomization: `name`, maybe `newName`, `newTag`.
fn renamed(entry: &Node, drafts: &mut Vec<Draft>) {
    let name = entry.text_at(&["name"]).unwrap_or_default();
    let tag = entry.get("newTag").and_then(Value::of);
    if let (Some(controller), Some(tag)) = (controller(name), tag) {
        drafts.push(draft(controller, tag, false));
    }
}

/// `ghcr.io/fluxcd/source-controller:v1.4.1`, at the tag.
fn image(node: Option<&Node>, boots: bool, drafts: &mut Vec<Draft>) {
    let Some(written) = node.and_then(Value::of) else {
        return;
    };
    let name = written.text.split('@').next().unwrap_or_default();
    let Some((name, tag)) = name.rsplit_once(':') else {
        return;
    };
    let Some(controller) = controller(name).filter(|_| !tag.contains('/')) else {
        return;
    };
    let start = written.span.start + name.len() + 1;
    let span: Range<usize> = start..start + tag.len();
    let text = tag.to_owned();
    drafts.push(draft(controller, Value { text, span }, boots));
}

/// The controller of an image's name. A mirror keeps the last part.
fn controller(name: &str) -> Option<&'static str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let is_flux = name.contains("fluxcd") || name.contains("flux");
    CONTROLLERS
        .into_iter()
        .find(|controller| *controller == last && is_flux)
}

fn draft(controller: &'static str, tag: Value, boots: bool) -> Draft {
    let at = tag.span.clone();
    Draft {
        value: Some(tag),
        boots,
        ..Draft::installs(
            FORM.id,
            Scale::Controller(controller),
            format!("image {controller}"),
            at,
        )
    }
}
