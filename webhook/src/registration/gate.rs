//! The table of gates: the requests that reach each door, and the share of them that fails closed.

use fluxkeep::case::request::Door;
use fluxkeep::case::rule::Rule;
use fluxkeep::rules::{
    RULES, engine_deleted, engine_disabled, engine_label_removed, engine_rights_lost,
    engine_source_deleted,
};

use super::applier::{
    FLUX_GROUP, FLUX_INSTANCES, appliers, is_instance_definition, is_paused, is_redirected,
    prunes_flux, uninstalls,
};
use super::cel::{NEW, OLD, all, any, differs, is_resource, list, not};
use super::disabled::{disables, is_hidden, takes_down};
use super::engine::{
    Profile, is_engine, is_flux_crd, is_helm, is_inside, is_loosened, is_spare, members,
};
use super::release::{
    becomes_another, is_engines_record, is_engines_release, is_record, is_suspended,
    was_or_is_engines_release,
};
use super::rights_lost::{is_bound_role, loses_rights, loses_vital_rights};

/// The admission phase in which the apiserver asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the apiserver's own checks and policies. Only the mutation changes objects here.
    Mutating,
    /// After the apiserver's own checks and policies.
    Validating,
}

impl Phase {
    /// The phase's name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mutating => "mutating",
            Self::Validating => "validating",
        }
    }

    /// The path for callers that name no scope. Their reviews go to the engine's lane.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Mutating => "/mutate",
            Self::Validating => "/validate",
        }
    }
}

/// A kind of request that the apiserver sends to the server.
#[derive(Debug)]
pub struct Gate {
    /// The door's name, or the rule's if the door has a gate for each of its rules.
    pub name: &'static str,
    /// The door that judges the gate's requests.
    pub door: Door,
    /// The phase in which the apiserver asks.
    pub phase: Phase,
    /// The reason for this phase.
    pub why_then: &'static str,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub operations: &'static [&'static str],
    /// API groups, each with its resources.
    pub resources: fn() -> Vec<(&'static str, Vec<&'static str>)>,
    /// Named match conditions; a request is sent only if all hold.
    pub sent: fn(&Profile<'_>) -> Vec<(&'static str, String)>,
    /// The CEL condition for the engine's share: refused, not passed, if the server is unreachable.
    pub closed: fn(&Profile<'_>) -> String,
    /// The engine's share in words, and the damage without a check.
    pub why_closed: &'static str,
    /// The rest in words, and the reason why it passes.
    pub why_open: &'static str,
}

/// All gates. The engine's door has a gate for each of its rules.
pub static GATES: [Gate; 10] = [
    CRD,
    CRD_STATUS,
    HELM_RELEASE,
    FLUX_INSTANCE,
    RELEASE_RECORD,
    ENGINE_DELETED,
    ENGINE_DISABLED,
    ENGINE_LABEL_REMOVED,
    ENGINE_RIGHTS_LOST,
    ENGINE_SOURCE_DELETED,
];

impl Gate {
    /// The rules that this gate's requests are judged by.
    pub fn rules(&self) -> impl Iterator<Item = &'static Rule> {
        let (door, name) = (self.door, self.name);
        RULES.into_iter().filter(move |rule| {
            rule.doors.contains(&door) && (door != Door::Engine || rule.id == name)
        })
    }
}

const CRD: Gate = Gate {
    name: "crd",
    door: Door::Crd,
    phase: Phase::Mutating,
    why_then: "before it asks validating webhooks, the apiserver itself refuses a lost version and names no remedy",
    operations: &["UPDATE"],
    resources: || vec![("apiextensions.k8s.io", vec!["customresourcedefinitions"])],
    sent: |_| vec![("changed", differs("spec"))],
    closed: |_| is_flux_crd(NEW),
    why_closed: "Flux's CRDs: an unchecked change can drop a version with every object stored in it",
    why_open: "CRDs of others: their operators must not wait for fluxkeep",
};

const CRD_STATUS: Gate = Gate {
    name: "crd-status",
    door: Door::CrdStatus,
    phase: Phase::Validating,
    why_then: "the apiserver does not check this status, so the final object counts",
    operations: &["UPDATE"],
    resources: || {
        vec![(
            "apiextensions.k8s.io",
            vec!["customresourcedefinitions/status"],
        )]
    },
    sent: |_| {
        let stored = |object| {
            let has = format!("has({object}.status) && has({object}.status.storedVersions)");
            format!("({has} ? {object}.status.storedVersions : [])")
        };
        let apiserver = "request.userInfo.username == 'system:apiserver'";
        let changed = format!("{} != {}", stored(NEW), stored(OLD));
        let hidden = all([is_flux_crd(NEW), is_hidden()]);
        vec![
            ("not-the-apiserver", not(apiserver)),
            ("stored-versions-or-service-changed", any([changed, hidden])),
        ]
    },
    closed: |_| is_flux_crd(NEW),
    why_closed: "Flux's CRDs: a wrong list makes their objects unreadable, and a wrong condition hides them",
    why_open: "CRDs of others: their migrations must not wait for fluxkeep",
};

const HELM_RELEASE: Gate = Gate {
    name: "helm-release",
    door: Door::HelmRelease,
    phase: Phase::Validating,
    why_then: "helm-controller acts on the object as other webhooks leave it",
    operations: &["CREATE", "UPDATE"],
    resources: helm_releases,
    sent: |_| {
        let changed = any(["request.operation == 'CREATE'".to_owned(), differs("spec")]);
        // Suspending must work while the server is down: it is the most common remedy.
        vec![
            ("intent-changed", changed),
            ("acts", any([not(&is_suspended(NEW)), becomes_another()])),
        ]
    },
    closed: was_or_is_engines_release,
    why_closed: "HelmReleases in any namespace that install into the engine's namespaces: one of them may own Flux",
    why_open: "HelmReleases that install elsewhere, and fluxkeep's own: applications must not wait for fluxkeep",
};

const FLUX_INSTANCE: Gate = Gate {
    name: "flux-instance",
    door: Door::FluxInstance,
    phase: Phase::Validating,
    why_then: "flux-operator acts on the object as other webhooks leave it",
    operations: &["CREATE", "UPDATE"],
    resources: || vec![(FLUX_GROUP, vec![FLUX_INSTANCES])],
    sent: |_| {
        let redirected = any(["request.operation == 'CREATE'".to_owned(), is_redirected()]);
        // Pausing must work while the server is down: it is the most common remedy.
        vec![
            ("intent-changed", redirected),
            ("acts", not(&is_paused(NEW))),
        ]
    },
    closed: |profile| {
        let updated = "request.operation == 'UPDATE'".to_owned();
        all([updated, is_inside(profile.engine)])
    },
    why_closed: "updates in the engine's namespaces: they may change Flux's version or remove controllers",
    why_open: "a new FluxInstance, which may be about to install Flux, and updates elsewhere",
};

const RELEASE_RECORD: Gate = Gate {
    name: "release-record",
    door: Door::ReleaseRecord,
    phase: Phase::Validating,
    why_then: "no webhook changes a record, and Helm acts on the final one",
    operations: &["CREATE"],
    resources: || vec![("", vec!["configmaps", "secrets"])],
    sent: |_| vec![("release-record", is_record())],
    closed: is_engines_record,
    why_closed: "records in the engine's namespaces, and records elsewhere of its releases: the last point at which a \
                 refusal changes nothing",
    why_open: "other records elsewhere, records of releases known to install elsewhere, and fluxkeep's own: \
               the network plugin must not wait for fluxkeep",
};

pub(super) const ENGINE_DELETED: Gate = Gate {
    name: engine_deleted::RULE.id,
    door: Door::Engine,
    phase: Phase::Mutating,
    why_then: "ValidatingAdmissionPolicies run before validating webhooks: the server would not see what the twin refuses",
    operations: &["DELETE"],
    resources: || [members(), helm_releases(), appliers()].concat(),
    sent: |profile| {
        let released = all([is_resource(HELM_RELEASES), not(&is_suspended(OLD))]);
        vec![(
            "engine",
            any([
                is_engine(profile.engine),
                released,
                uninstalls(),
                prunes_flux(profile.engine),
                is_instance_definition(),
            ]),
        )]
    },
    closed: |profile| {
        let release = is_engines_release(OLD, profile);
        format!(
            "{} ? {release} : {}",
            is_resource(HELM_RELEASES),
            not(&is_spare(profile.engine))
        )
    },
    why_closed: "objects that Flux needs, and HelmReleases that install into its namespaces: nothing restores them",
    why_open: "objects that Flux can run without, so the rule only warns (optional controllers, NetworkPolicies, ResourceQuotas, objects known by label only), HelmReleases elsewhere, and fluxkeep's own",
};

const ENGINE_LABEL_REMOVED: Gate = Gate {
    name: engine_label_removed::RULE.id,
    door: Door::Engine,
    phase: Phase::Validating,
    why_then: "the rule only warns",
    operations: &["UPDATE"],
    resources: || {
        members()
            .into_iter()
            .filter(|(group, _)| *group != "apiextensions.k8s.io")
            .collect()
    },
    sent: |profile| {
        vec![
            ("engine", is_engine(profile.engine)),
            ("loosened", is_loosened()),
        ]
    },
    closed: |_| "false".to_owned(),
    why_closed: "nothing: deleting an object known by label only just warns as well",
    why_open: "objects of the engine: the rule only warns",
};

const ENGINE_DISABLED: Gate = Gate {
    name: engine_disabled::RULE.id,
    door: Door::Engine,
    phase: Phase::Validating,
    why_then: "nothing else refuses it, so the final object is what counts",
    operations: &["CREATE", "UPDATE"],
    resources: || {
        vec![
            ("apps", vec!["deployments", "deployments/scale"]),
            ("", vec!["limitranges", "resourcequotas", "services"]),
            ("networking.k8s.io", vec!["networkpolicies"]),
        ]
    },
    sent: |profile| {
        vec![
            ("not-helm", not(&is_helm())),
            ("disabled", disables(profile.engine)),
        ]
    },
    closed: |_| takes_down(),
    why_closed: "an older image, or a removed controller container: older controllers cannot read the stored objects",
    why_open: "changes that one command undoes, so the rule only warns, and upgrades: Flux must not wait for fluxkeep",
};

const ENGINE_RIGHTS_LOST: Gate = Gate {
    name: engine_rights_lost::RULE.id,
    door: Door::Engine,
    phase: Phase::Validating,
    why_then: "nothing else refuses it, so the final object is what counts",
    operations: &["UPDATE", "DELETE"],
    resources: || {
        let resources = vec![
            "clusterroles",
            "clusterrolebindings",
            "roles",
            "rolebindings",
        ];
        vec![("rbac.authorization.k8s.io", resources)]
    },
    sent: |profile| {
        let updated = "request.operation == 'UPDATE'".to_owned();
        let engine = all([updated, format!("({})", is_engine(profile.engine))]);
        vec![
            ("engine", any([engine, is_bound_role(profile.known)])),
            ("rights-lost", loses_rights(profile.engine)),
        ]
    },
    closed: |profile| all([not(&is_helm()), loses_vital_rights(profile.engine)]),
    why_closed: "controllers without rights stop reconciling; a deleted role counts only if Flux's bindings refer to it",
    why_open: "rights that only part of the work or an optional controller needs, so the rule only warns, and Helm's writes: refusing one starts the release's remediation",
};

const ENGINE_SOURCE_DELETED: Gate = Gate {
    name: engine_source_deleted::RULE.id,
    door: Door::Engine,
    phase: Phase::Validating,
    why_then: "the rule only warns",
    operations: &["DELETE"],
    resources: || {
        let sources = vec![
            "gitrepositories",
            "helmrepositories",
            "ocirepositories",
            "buckets",
        ];
        vec![("source.toolkit.fluxcd.io", sources), ("", vec!["secrets"])]
    },
    sent: |profile| {
        let source = all([not(&is_resource("secrets")), is_inside(profile.engine)]);
        let feeds = any([source, is_fetched_with(&profile.known.secrets)]);
        vec![("feeds", feeds)]
    },
    closed: |_| "false".to_owned(),
    why_closed: "nothing: Flux runs on without its source",
    why_open: "sources in the engine's namespaces, and the Secrets that Flux's own sources name: the rule warns if Flux \
               is applied from a deleted one. No other Secret is sent",
};

/// True for one of these Secrets.
fn is_fetched_with(secrets: &[String]) -> String {
    if secrets.is_empty() {
        return "false".to_owned();
    }
    let name = format!("request.namespace + '/' + {OLD}.metadata.name");
    all([
        is_resource("secrets"),
        format!("({name}) in {}", list(secrets)),
    ])
}

pub(super) const HELM_RELEASES: &str = "helmreleases";

pub(super) fn helm_releases() -> Vec<(&'static str, Vec<&'static str>)> {
    vec![("helm.toolkit.fluxcd.io", vec![HELM_RELEASES])]
}
