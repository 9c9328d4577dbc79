//! Stale facts: requests about the engine are refused, and others pass with a warning. Requests
//! that need no facts are judged as usual.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::Policy;
use fluxkeep::rules::facts_stale;
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_fixtures::fixture::heard;
use fluxkeep_fixtures::{Review, definition, now, record, redefined, stored};
use jiff::SignedDuration;
use serde_json::{Value, json};

const DEPLOYMENT: &str =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: helm-controller}\n";
const CONFIG_MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: apps}\n";

/// The incident's cluster, last heard 20 minutes ago.
fn stale() -> Facts {
    let facts = Facts::clone(&Snapshot::built_in().unwrap().facts());
    facts.as_heard(heard(Some(now() - SignedDuration::from_mins(20))))
}

fn helm_release(spec: &Value) -> Review<'static> {
    let object = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec});
    Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        object,
        ..Review::default()
    }
}

/// The `spec` of a FluxInstance.
fn version(version: &str) -> Value {
    json!({"distribution": {"version": version, "registry": "ghcr.io/fluxcd"}})
}

/// The update of a FluxInstance, or its creation.
fn flux_instance(namespace: &str, from: Option<Value>, to: Value) -> Review<'static> {
    let object = |spec: Value| {
        json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
            "metadata": {"name": "flux", "namespace": namespace}, "spec": spec})
    };
    Review {
        kind: "fluxcd.controlplane.io/v1/FluxInstance",
        resource: "fluxinstances",
        operation: if from.is_some() { "UPDATE" } else { "CREATE" },
        object: object(to),
        old: from.map_or(Value::Null, object),
        ..Review::default()
    }
}

fn deletion(kind: &'static str, namespace: &str, name: &str) -> Review<'static> {
    let old = json!({"metadata": {"name": name, "namespace": namespace}, "spec": {}});
    Review {
        kind,
        operation: "DELETE",
        old,
        ..Review::default()
    }
}

/// The outcome, and the rules with findings.
fn said(answer: &Answer) -> (&'static str, Vec<&'static str>) {
    (
        answer.outcome.name(),
        answer
            .verdict
            .findings
            .iter()
            .map(|finding| finding.rule)
            .collect(),
    )
}

#[test]
fn what_needs_facts_is_refused_where_it_is_about_the_engine_and_warned_of_elsewhere() {
    for (what, review, outcome, is_told) in cases() {
        let answer = review.answer(&stale());
        let (decision, rules) = said(&answer);
        assert_eq!(
            (decision, rules.contains(&facts_stale::RULE.id)),
            (outcome, is_told),
            "{what}: {rules:?}"
        );
    }
}

/// The review, its decision, and whether `facts-stale` is among the findings.
#[allow(clippy::too_many_lines)] // A table.
fn cases() -> [(&'static str, Review<'static>, &'static str, bool); 14] {
    let engine =
        json!({"chart": {"spec": {"chart": "flux2", "version": "2.14.0"}}, "releaseName": "flux"});
    let stranger = json!({"chart": {"spec": {"chart": "nginx"}}});
    let remote = json!({"chart": {"spec": {"chart": "nginx"}}, "kubeConfig": {"secretRef": {"name": "other"}}});
    let suspended = json!({"chart": {"spec": {"chart": "flux2"}}, "suspend": true});
    [
        (
            "a HelmRelease of Flux",
            helm_release(&engine),
            "refuse",
            true,
        ),
        (
            "a HelmRelease that may be anything",
            helm_release(&stranger),
            "warn",
            true,
        ),
        (
            "a HelmRelease for another cluster",
            helm_release(&remote),
            "allow",
            false,
        ),
        (
            "a HelmRelease that is suspended",
            helm_release(&suspended),
            "allow",
            false,
        ),
        (
            "a record with a controller of Flux",
            stored(record(DEPLOYMENT, &[])),
            "refuse",
            true,
        ),
        (
            "a record without",
            stored(record(CONFIG_MAP, &[])),
            "warn",
            true,
        ),
        (
            "another version of Flux",
            flux_instance("flux-system", Some(version("2.4.x")), version("2.x")),
            "refuse",
            true,
        ),
        (
            "a first FluxInstance over a Flux that runs",
            flux_instance("flux-system", None, version("2.x")),
            "refuse",
            true,
        ),
        (
            "a FluxInstance beside the engine's namespaces",
            flux_instance("apps", None, version("2.x")),
            "warn",
            true,
        ),
        (
            "a FluxInstance with more components",
            flux_instance("flux-system", Some(version("2.x")), {
                let mut spec = version("2.x");
                spec["components"] = json!(["source-controller", "image-reflector-controller"]);
                spec
            }),
            "allow",
            false,
        ),
        (
            "a FluxInstance that is paused",
            {
                let mut review =
                    flux_instance("flux-system", Some(version("2.x")), version("2.3.x"));
                let paused = json!({"fluxcd.controlplane.io/reconcile": "disabled"});
                review.object["metadata"]["annotations"] = paused;
                review
            },
            "allow",
            false,
        ),
        (
            "a controller deleted",
            deletion("apps/v1/Deployment", "flux-system", "helm-controller"),
            "refuse",
            true,
        ),
        (
            "a HelmRelease deleted",
            deletion("helm.toolkit.fluxcd.io/v2/HelmRelease", "apps", "a"),
            "warn",
            true,
        ),
        (
            "a stranger's ConfigMap deleted",
            deletion("/v1/ConfigMap", "apps", "a"),
            "allow",
            false,
        ),
    ]
}

#[test]
fn a_crd_is_judged_by_what_its_review_carries() {
    let old = definition(&[("v1", true, true)], &["v1"]);
    let same = redefined(old.clone(), old.clone()).answer(&stale());
    assert_eq!(said(&same), ("allow", vec![]));
    let dropped = redefined(old, definition(&[("v2", true, true)], &[])).answer(&stale());
    assert_eq!(said(&dropped).0, "refuse");
    assert!(!said(&dropped).1.contains(&facts_stale::RULE.id));
}

#[test]
fn a_cluster_that_was_never_read_is_not_known_and_one_that_was_heard_lately_is() {
    let facts = Facts::clone(&Snapshot::built_in().unwrap().facts());
    let review = stored(record(DEPLOYMENT, &[]));
    let text = |at| {
        let answer = review.answer(&facts.clone().as_heard(heard(at)));
        String::from_utf8(answer.body).unwrap()
    };
    assert!(text(None).contains("customresourcedefinitions were never read"));
    assert!(!text(Some(now())).contains(facts_stale::RULE.id));
}

#[test]
fn a_first_flux_instance_passes_with_a_warning_where_no_flux_was_seen() {
    let facts = Facts::default().as_heard(heard(None));
    let first = flux_instance("flux-system", None, version("2.x"));
    let answer = first.answer(&facts);
    assert_eq!(said(&answer), ("warn", vec![facts_stale::RULE.id]));
}

#[test]
fn a_refusal_says_since_when_and_what_to_do_and_the_policy_can_lift_it() {
    let review = helm_release(&json!({"chart": {"spec": {"chart": "flux2", "version": "2.14.0"}}}));
    let refused = String::from_utf8(review.answer(&stale()).body).unwrap();
    for part in [
        "last seen at 2026-11-24T11:40:00Z",
        "fluxkeep's log",
        "levels: {facts-stale: warn}",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let policy = Policy {
        levels: [(facts_stale::RULE.id, Level::Warn)].into(),
        ..Policy::default()
    };
    let answer = answer(&review.bytes(), &stale(), &policy, now());
    assert_eq!(said(&answer), ("warn", vec![facts_stale::RULE.id]));
}
