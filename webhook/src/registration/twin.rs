//! The twin: ValidatingAdmissionPolicies that make the apiserver itself refuse the loss of the
//! engine, without the server.
//!
//! The policies and the webhook's gates share their sources, so both know the same engine. A policy
//! lacks the facts, so it cannot tell which HelmRelease owns Flux. It lacks the policy file's
//! overrides and a clock. The server writes the start of the day and each past end of an override
//! into the policy. Without a server, an override therefore outlives its end.

use std::collections::BTreeMap;

use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::rule::Rule;
use fluxkeep::flux::engine::Engine;
use fluxkeep::object::{ALLOW, REASON, UNTIL};
use fluxkeep::rules::engine_deleted;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ParamKind, ParamRef, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec, Validation,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::applier::{KUSTOMIZATIONS, uninstalls};
use super::cel::{OLD, any, not, text};
use super::engine::{is_engine, is_spare};
use super::gate::{ENGINE_DELETED, Gate, HELM_RELEASES};
use super::webhook::match_conditions;
use super::{DOMAIN, KnownReleases, grant, metadata};

/// A rule that is also enforced by a policy.
struct Twin {
    rule: &'static Rule,
    /// The gate that gives the operations and resources.
    gate: &'static Gate,
    conditions: fn(&Engine) -> Vec<(&'static str, String)>,
    /// The user's action, for the message.
    does: &'static str,
    /// The remedy, for an engine in the given namespace.
    remedy: fn(&str) -> String,
}

static TWINS: [Twin; 1] = [Twin {
    rule: &engine_deleted::RULE,
    gate: &ENGINE_DELETED,
    conditions: |engine| {
        vec![
            ("engine", any([is_engine(engine), uninstalls()])),
            ("required", not(&is_spare(engine))),
        ]
    },
    does: "deletes a part of Flux",
    remedy: engine_deleted::remedy,
}];

/// The policies, with a binding for each engine namespace, whose override counts.
pub(super) fn twins(
    policy: &Policy,
    known: &KnownReleases,
) -> Vec<(
    ValidatingAdmissionPolicy,
    Vec<ValidatingAdmissionPolicyBinding>,
)> {
    let twins = TWINS
        .iter()
        .filter(|twin| twin.rule.weight(policy) != Level::Off);
    twins
        .map(|twin| (twin.policy(&policy.engine, known), twin.bindings(policy)))
        .chain(grant::policy(policy))
        .collect()
}

impl Twin {
    fn name(&self) -> String {
        format!("{}.{DOMAIN}", self.rule.id)
    }

    fn policy(&self, engine: &Engine, known: &KnownReleases) -> ValidatingAdmissionPolicy {
        let home = ParamKind {
            api_version: Some("v1".to_owned()),
            kind: Some("Namespace".to_owned()),
        };
        let spec = ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            match_constraints: Some(self.constraints()),
            match_conditions: Some(match_conditions((self.conditions)(engine))),
            param_kind: Some(home),
            validations: Some(vec![self.validation(known)]),
            audit_annotations: Some(Vec::new()),
            variables: Some(Vec::new()),
        };
        ValidatingAdmissionPolicy {
            metadata: metadata(&self.name()),
            spec: Some(spec),
            status: None,
        }
    }

    fn constraints(&self) -> MatchResources {
        // Only the facts tell which HelmRelease owns the engine and which Kustomization applies it.
        let asked = (self.gate.resources)().into_iter();
        let known = asked.filter(|(_, resources)| {
            *resources != [HELM_RELEASES] && *resources != [KUSTOMIZATIONS]
        });
        let rules = known.map(|(group, resources)| NamedRuleWithOperations {
            api_groups: Some(vec![group.to_owned()]),
            api_versions: Some(vec!["*".to_owned()]),
            operations: Some(strings(self.gate.operations)),
            resources: Some(strings(&resources)),
            scope: Some("*".to_owned()),
            resource_names: None,
        });
        MatchResources {
            resource_rules: Some(rules.collect()),
            ..everything()
        }
    }

    fn validation(&self, known: &KnownReleases) -> Validation {
        Validation {
            expression: self.is_excused(known),
            message_expression: Some(self.message()),
            // Without a reason the apiserver answers 422, which clients take for an invalid object.
            reason: Some("Forbidden".to_owned()),
            message: None,
        }
    }

    /// The CEL expression for a valid override: it names the rule, a reason and an end. The end
    /// must lie after `as_of`, the time that the server wrote last.
    fn is_excused(&self, known: &KnownReleases) -> String {
        let marks = [OLD, "params"].map(|holder| {
            format!("has({holder}.metadata.annotations) ? {holder}.metadata.annotations : {{}}")
        });
        let says = |key: &str, pattern: &str| {
            let key = text(key);
            format!("{key} in marks && marks[{key}].matches({})", text(pattern))
        };
        let allows = says(ALLOW, &format!(r"(^|,)\s*{}\s*(,|$)", self.rule.id));
        let mut excuses = vec![allows, says(REASON, r"\S"), says(UNTIL, RFC_3339)];
        if let Some(as_of) = known.as_of {
            let (until, as_of) = (text(UNTIL), text(&as_of.to_string()));
            excuses.push(format!("timestamp(marks[{until}]) > timestamp({as_of})"));
        }
        format!(
            "[{}].exists(marks,\n{})",
            marks.join(", "),
            excuses.join(" &&\n")
        )
    }

    /// The message: the webhook's text as far as CEL can build it.
    fn message(&self) -> String {
        // The apiserver drops a message with a line break.
        let remedy = (self.remedy)(HOME).replace('\n', " ");
        let rest = format!(" {}. {remedy}", self.does);
        let rest = text(&rest).replace(HOME, "' + params.metadata.name + '");
        let words = [
            text(&format!("{}: ", self.rule.id)),
            "request.kind.kind + ' '".to_owned(),
            format!("(has({OLD}.metadata.namespace) ? {OLD}.metadata.namespace + '/' : '')"),
            format!("{OLD}.metadata.name + ': ' + request.userInfo.username"),
            rest,
        ];
        words.join(" + ")
    }

    /// A binding for each engine namespace: an override on the Namespace counts.
    fn bindings(&self, policy: &Policy) -> Vec<ValidatingAdmissionPolicyBinding> {
        let binding = |name: String, spec: ValidatingAdmissionPolicyBindingSpec| {
            let actions = Some(actions(self.rule.weight(policy)));
            let spec = Some(ValidatingAdmissionPolicyBindingSpec {
                validation_actions: actions,
                ..spec
            });
            ValidatingAdmissionPolicyBinding {
                metadata: metadata(&name),
                spec,
            }
        };
        let bare = ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(self.name()),
            match_resources: Some(everything()),
            ..Default::default()
        };
        let homes = policy.engine.namespaces.iter();
        let bound = |home: &String| ValidatingAdmissionPolicyBindingSpec {
            param_ref: Some(param(home)),
            match_resources: Some(inside(home)),
            ..bare.clone()
        };
        homes
            .map(|home| binding(format!("{}.{home}.{DOMAIN}", self.rule.id), bound(home)))
            .collect()
    }
}

/// Matches objects in the namespace, the Namespace itself and all cluster-scoped objects. So each
/// engine's Namespace can excuse its own objects and the cluster-scoped ones.
fn inside(home: &str) -> MatchResources {
    let labels = BTreeMap::from([("kubernetes.io/metadata.name".to_owned(), home.to_owned())]);
    let selector = LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    };
    MatchResources {
        namespace_selector: Some(selector),
        ..everything()
    }
}

/// The apiserver's defaults, spelled out: only fields that are written are restored after a change.
pub(super) fn everything() -> MatchResources {
    MatchResources {
        exclude_resource_rules: Some(Vec::new()),
        match_policy: Some("Equivalent".to_owned()),
        namespace_selector: Some(LabelSelector::default()),
        object_selector: Some(LabelSelector::default()),
        resource_rules: None,
    }
}

/// The engine's Namespace as the parameter. The apiserver reads the parameter before the match
/// conditions, so `Deny` without a Namespace would refuse deletions of strangers.
fn param(home: &str) -> ParamRef {
    ParamRef {
        name: Some(home.to_owned()),
        parameter_not_found_action: Some("Allow".to_owned()),
        ..ParamRef::default()
    }
}

pub(super) fn actions(level: Level) -> Vec<String> {
    let actions: &[&str] = match level {
        Level::Enforce => &["Deny", "Audit"],
        Level::Warn => &["Warn", "Audit"],
        Level::Audit | Level::Off => &["Audit"],
    };
    strings(actions)
}

pub(super) fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Placeholder for the engine's namespace, which CEL fills in from the parameter.
const HOME: &str = "{home}";
/// The timestamps that CEL's `timestamp` can parse.
const RFC_3339: &str = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$";
