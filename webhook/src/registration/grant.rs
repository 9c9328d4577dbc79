//! The right to grant an override: a policy that asks RBAC in the apiserver.
//!
//! An override opens the guard, so the right to write its annotation is the right to delete Flux.
//! Without the policy, everyone whose charts Helm applies has that right.

use fluxkeep::case::finding::{Level, more};
use fluxkeep::case::policy::Policy;
use fluxkeep::object::{ALLOW, REASON, UNTIL};
use fluxkeep::rules::override_in_release::RULE;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec, Validation,
};

use super::applier::{FLUX_INSTANCES, KUSTOMIZATIONS, appliers};
use super::cel::{NEW, OLD, all, any, is_resource, is_resource_in, list, not, text};
use super::engine::{is_engine_as, is_helm, members};
use super::gate::{HELM_RELEASES, helm_releases};
use super::twin::{actions, everything, strings};
use super::webhook::match_conditions;
use super::{DOMAIN, metadata};

/// RBAC must allow `grant` on `overrides` of this group. No API serves that resource.
const GROUP: &str = DOMAIN;
const RESOURCE: &str = "overrides";
const VERB: &str = "grant";
const DEFINITIONS: &str = "customresourcedefinitions";

type Registered = (
    ValidatingAdmissionPolicy,
    Vec<ValidatingAdmissionPolicyBinding>,
);

/// The policy and its binding, at the level of the rule that refuses the same in a release.
pub(super) fn policy(policy: &Policy) -> Option<Registered> {
    let level = RULE.weight(policy);
    if level == Level::Off {
        return None;
    }
    let name = format!("{}.{DOMAIN}", RULE.id);
    let spec = ValidatingAdmissionPolicySpec {
        failure_policy: Some("Fail".to_owned()),
        match_constraints: Some(constraints()),
        match_conditions: Some(match_conditions(conditions(policy))),
        validations: Some(vec![validation(policy)]),
        audit_annotations: Some(Vec::new()),
        variables: Some(Vec::new()),
        param_kind: None,
    };
    let bound = ValidatingAdmissionPolicyBindingSpec {
        policy_name: Some(name.clone()),
        match_resources: Some(everything()),
        validation_actions: Some(actions(level)),
        param_ref: None,
    };
    let binding = ValidatingAdmissionPolicyBinding {
        metadata: metadata(&name),
        spec: Some(bound),
    };
    let policy = ValidatingAdmissionPolicy {
        metadata: metadata(&name),
        spec: Some(spec),
        status: None,
    };
    Some((policy, vec![binding]))
}

/// Covers each kind that can hold an override. Status writes count: they can set annotations too.
fn constraints() -> MatchResources {
    let kinds = [members(), helm_releases(), appliers()]
        .concat()
        .into_iter();
    let rules = kinds.map(|(group, resources)| {
        let mut paths = strings(&resources);
        paths.extend(
            resources
                .iter()
                .map(|resource| format!("{resource}/status")),
        );
        if resources.contains(&"namespaces") {
            paths.push("namespaces/finalize".to_owned());
        }
        NamedRuleWithOperations {
            api_groups: Some(vec![group.to_owned()]),
            api_versions: Some(vec!["*".to_owned()]),
            operations: Some(strings(&["CREATE", "UPDATE"])),
            resources: Some(paths),
            scope: Some("*".to_owned()),
            resource_names: None,
        }
    });
    MatchResources {
        resource_rules: Some(rules.collect()),
        ..everything()
    }
}

fn conditions(policy: &Policy) -> Vec<(&'static str, String)> {
    let held = any([
        is_engine_as(NEW, &policy.engine),
        is_resource_in(&[DEFINITIONS, HELM_RELEASES, FLUX_INSTANCES, KUSTOMIZATIONS]),
    ]);
    vec![
        ("named", format!("has({NEW}.metadata.name)")),
        ("grants", grants()),
        ("holds-an-override", held),
    ]
}

/// True if a write sets or changes an override. Removing an override needs no right.
fn grants() -> String {
    let [old, new] = [OLD, NEW].map(|object| {
        let marks = format!("{object}.metadata.annotations");
        format!("({object} != null && has({marks}) ? {marks} : {{}})")
    });
    let keys = list(&[ALLOW, REASON, UNTIL]);
    let differs = format!("key in {new} && (!(key in {old}) || {new}[key] != {old}[key])");
    all([
        format!("{} in {new}", text(ALLOW)),
        format!("{keys}.exists(key, {differs})"),
    ])
}

/// Allows users that RBAC permits. Controllers, mostly permitted, write for others: Helm's
/// overrides count on strangers' CRDs only, kustomize-controller's there and on HelmReleases.
fn validation(policy: &Policy) -> Validation {
    let appliers = is_resource_in(&[FLUX_INSTANCES, KUSTOMIZATIONS]);
    let engine = any([format!("({})", is_engine_as(NEW, &policy.engine)), appliers]);
    let kustomize = any([
        "request.userInfo.username.endsWith(':kustomize-controller')".to_owned(),
        "has(request.options) && has(request.options.fieldManager) && \
         request.options.fieldManager == 'kustomize-controller'"
            .to_owned(),
    ]);
    let by_chart = all([any([engine.clone(), is_resource(HELM_RELEASES)]), is_helm()]);
    let by_repository = all([engine, kustomize]);
    let space = format!("(has({NEW}.metadata.namespace) ? {NEW}.metadata.namespace : '')");
    let may = format!(
        "authorizer.group({}).resource({}).namespace({space}).check({}).allowed()",
        text(GROUP),
        text(RESOURCE),
        text(VERB)
    );
    Validation {
        expression: [not(&by_chart), not(&by_repository), may].join(" &&\n"),
        message_expression: Some(message()),
        reason: Some("Forbidden".to_owned()),
        message: None,
    }
}

fn message() -> String {
    let rest = format!(
        " may not grant an override by {ALLOW}. RBAC must allow the verb {VERB} on {RESOURCE} of API group {GROUP}, for a \
         cluster-scoped object by a ClusterRoleBinding. Helm and kustomize-controller may never on Flux and its \
         appliers, nor Helm on a HelmRelease. {}",
        more(RULE.id)
    );
    let words = [
        text(&format!("{}: ", RULE.id)),
        "request.kind.kind + ' '".to_owned(),
        format!("(has({NEW}.metadata.namespace) ? {NEW}.metadata.namespace + '/' : '')"),
        format!("{NEW}.metadata.name + ': ' + request.userInfo.username"),
        text(&rest),
    ];
    words.join(" + ")
}
