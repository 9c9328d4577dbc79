//! The CRDs that Flux's controllers read, and the rights that they use.

use std::sync::LazyLock;

use super::engine::{CONTROLLERS, is_flux_group};
use crate::object::{Right, Role};

/// A CRD without which its controllers do not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// For example `buckets.source.toolkit.fluxcd.io`.
    pub crd: &'static str,
    /// The controller that reconciles the CRD's objects.
    pub owner: &'static str,
    /// The controllers that only watch the objects.
    pub watchers: &'static [&'static str],
}

/// Every such CRD. ExternalArtifacts are missing: only a feature gate asks for them.
pub const USES: [Use; 14] = [
    of(
        "alerts.notification.toolkit.fluxcd.io",
        "notification-controller",
        &[],
    ),
    of(
        "artifactgenerators.source.extensions.fluxcd.io",
        "source-watcher",
        &[],
    ),
    of(
        "buckets.source.toolkit.fluxcd.io",
        "source-controller",
        &["kustomize-controller"],
    ),
    of(
        "gitrepositories.source.toolkit.fluxcd.io",
        "source-controller",
        &["kustomize-controller"],
    ),
    of(
        "helmcharts.source.toolkit.fluxcd.io",
        "source-controller",
        &["helm-controller"],
    ),
    of(
        "helmreleases.helm.toolkit.fluxcd.io",
        "helm-controller",
        &[],
    ),
    of(
        "helmrepositories.source.toolkit.fluxcd.io",
        "source-controller",
        &[],
    ),
    of(
        "imagepolicies.image.toolkit.fluxcd.io",
        "image-reflector-controller",
        &[],
    ),
    of(
        "imagerepositories.image.toolkit.fluxcd.io",
        "image-reflector-controller",
        &[],
    ),
    of(
        "imageupdateautomations.image.toolkit.fluxcd.io",
        "image-automation-controller",
        &[],
    ),
    of(
        "kustomizations.kustomize.toolkit.fluxcd.io",
        "kustomize-controller",
        &[],
    ),
    of(
        "ocirepositories.source.toolkit.fluxcd.io",
        "source-controller",
        &["helm-controller", "kustomize-controller"],
    ),
    of(
        "providers.notification.toolkit.fluxcd.io",
        "notification-controller",
        &[],
    ),
    of(
        "receivers.notification.toolkit.fluxcd.io",
        "notification-controller",
        &[],
    ),
];

const fn of(crd: &'static str, owner: &'static str, watchers: &'static [&'static str]) -> Use {
    Use {
        crd,
        owner,
        watchers,
    }
}

/// A right that controllers use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// The right itself.
    pub right: Right,
    /// The controllers that use it.
    pub controllers: Vec<&'static str>,
    /// True if the controllers stop without it. Without another, a part of their work fails.
    pub is_vital: bool,
    /// True if the controllers use it in their own namespace alone.
    pub is_local: bool,
}

const READ: [&str; 3] = ["get", "list", "watch"];
/// helm-controller and kustomize-controller apply objects of any kind, unless they impersonate
/// other accounts.
const APPLIERS: [&str; 2] = ["helm-controller", "kustomize-controller"];

static RIGHTS: LazyLock<Vec<Needed>> = LazyLock::new(|| {
    let mut rights = Vec::new();
    for needs in &USES {
        let (resource, group) = needs.crd.split_once('.').unwrap_or((needs.crd, ""));
        let mut readers = vec![needs.owner];
        readers.extend(needs.watchers);
        for verb in READ {
            rights.push(needed(group, resource, verb, &readers));
        }
        let status = format!("{resource}/status");
        for resource in [resource, &status] {
            rights.push(needed(group, resource, "patch", &[needs.owner]));
        }
    }
    // The leader's lease, without which a controller exits.
    for verb in ["create", "get", "update"] {
        let lease = needed("coordination.k8s.io", "leases", verb, &CONTROLLERS);
        rights.push(Needed {
            is_local: true,
            ..lease
        });
    }
    for (resource, verb) in [
        ("events", "create"),
        ("events", "patch"),
        ("secrets", "get"),
    ] {
        let helps = needed("", resource, verb, &CONTROLLERS);
        rights.push(Needed {
            is_vital: false,
            ..helps
        });
    }
    rights.push(needed("*", "*", "*", &APPLIERS));
    rights
});

fn needed(
    group: &'static str,
    resource: &str,
    verb: &'static str,
    controllers: &[&'static str],
) -> Needed {
    Needed {
        right: Right {
            group,
            resource: resource.to_owned(),
            verb,
        },
        controllers: controllers.to_vec(),
        is_vital: true,
        is_local: false,
    }
}

/// Every right that a controller of Flux uses, and whose loss is told. Rights that a later Flux
/// asks for anew are none of them, nor are those without which nothing fails.
#[must_use]
pub fn rights() -> &'static [Needed] {
    &RIGHTS
}

/// True if a role grants Flux's controllers anything on Flux's own resources: a binding of Flux may
/// refer to it, whatever its name.
#[must_use]
pub fn may_serve(role: &Role) -> bool {
    let mut own = RIGHTS.iter().filter(|needed| {
        let group = needed.right.group;
        group == "*" || is_flux_group(group)
    });
    own.any(|needed| role.grants(&needed.right))
}

impl Needed {
    /// The resources in words: an API group of Flux stands for all its resources.
    #[must_use]
    pub fn resources(&self) -> String {
        let Right {
            group, resource, ..
        } = &self.right;
        match *group {
            "*" => "every resource".to_owned(),
            "" => resource.clone(),
            group if is_flux_group(group) => group.to_owned(),
            group => format!("{resource}.{group}"),
        }
    }
}
