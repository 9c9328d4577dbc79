//! The rights of a rescue: printed as a ClusterRole, and checked before the first write.

use std::collections::BTreeMap;

use anyhow::bail;
use fluxkeep::recovery::Point;
use fluxkeep::recovery::key;
use fluxkeep::rescue::{Action, Plan, Right, Step, rights};
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_cluster::recovery::target;
use fluxkeep_cluster::write::Writer;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

/// Resource and verb by group and names.
type Rules = BTreeMap<(String, String, Vec<String>), Vec<String>>;

/// The ClusterRole of the whole rescue from this point, or of the mending of one release.
pub(super) fn role(point: Option<&Point>, asks_for_points: bool) -> Value {
    let mut rules = Rules::new();
    let mut add = |group: &str, resource: &str, names: &[String], verb: &str| {
        let place = (group.to_owned(), resource.to_owned(), names.to_vec());
        let verbs = rules.entry(place).or_default();
        if !verbs.iter().any(|known| known == verb) {
            verbs.push(verb.to_owned());
        }
    };
    for rule in cluster_rules(&RULES).iter().chain(&engine_rules(&RULES)) {
        let group = rule.api_groups.iter().flatten().next();
        for resource in rule.resources.iter().flatten() {
            add(group.map_or("", String::as_str), resource, &[], "list");
        }
    }
    add("", "secrets", &[], "list");
    add("", "secrets", &[], "delete");
    add("helm.toolkit.fluxcd.io", "helmreleases", &[], "patch");
    add("kustomize.toolkit.fluxcd.io", "kustomizations", &[], "get");
    if let Some(point) = point {
        add("", "namespaces", &["kube-system".to_owned()], "get");
        let mut by_place: BTreeMap<(String, String, &str), Vec<String>> = BTreeMap::new();
        for right in whole(point) {
            let place = (right.group, right.resource, right.verb);
            by_place.entry(place).or_default().extend(right.name);
        }
        for ((group, resource, verb), names) in by_place {
            add(&group, &resource, &names, verb);
        }
    }
    if asks_for_points {
        add("", "configmaps", &[], "list");
        add("", "configmaps", &[], "get");
    }
    let rules: Vec<Value> = rules.into_iter().map(rule).collect();
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "fluxkeep-rescue"}, "rules": rules})
}

fn rule(((group, resource, names), verbs): ((String, String, Vec<String>), Vec<String>)) -> Value {
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if let (false, Some(fields)) = (names.is_empty(), rule.as_object_mut()) {
        fields.insert("resourceNames".to_owned(), json!(names));
    }
    rule
}

/// The rights on the point's objects if all of them are lost.
fn whole(point: &Point) -> Vec<Right> {
    let lost = |object: &Value| Step {
        action: Action::Create,
        object: key(object),
        left: String::new(),
        why: String::new(),
    };
    let plan = Plan {
        steps: point.objects().iter().map(lost).collect(),
        ..Plan::default()
    };
    let mut all = rights(&plan, Some(point));
    for object in point.keys() {
        all.extend(target(&object).map(|target| Right {
            group: object.group.clone(),
            resource: target.resource.plural,
            verb: "get",
            namespace: object.namespace.clone(),
            name: Some(object.name.clone()),
        }));
    }
    all
}

/// Asks the apiserver for each right before the first write.
///
/// # Errors
/// If a right is missing.
pub(super) async fn check(
    writer: &Writer,
    plan: &Plan,
    point: Option<&Point>,
) -> anyhow::Result<()> {
    let api: Api<SelfSubjectAccessReview> = Api::all(writer.client().clone());
    for right in rights(plan, point) {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(right.group.clone()),
                    resource: Some(right.resource.clone()),
                    verb: Some(right.verb.to_owned()),
                    namespace: right.namespace.clone(),
                    name: right.name.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = api.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| writer.failed("asking for", "the rights", &error))?;
        if !answer.status.is_some_and(|status| status.allowed) {
            let name = right.name.unwrap_or_default();
            bail!(
                "you may not {} {} {name}; `fluxkeep rescue --print-rbac` prints the rights; nothing was written",
                right.verb,
                right.resource
            );
        }
    }
    Ok(())
}
