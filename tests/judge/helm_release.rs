//! The HelmRelease door: judged changes, and changes that must stay possible.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep_cluster::{BUILT_IN, FactSource, Snapshot};
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{Review, now};
use serde_json::{Value, json};

fn release(more: &Value) -> Value {
    let chart = json!({"spec": {"chart": "flux2", "version": "2.13.0"}});
    let mut spec = json!({"chart": chart, "releaseName": "flux", "targetNamespace": "flux-system",
        "install": {"remediation": {"retries": 3}}});
    for (key, value) in more.as_object().unwrap() {
        spec.as_object_mut()
            .unwrap()
            .insert(key.clone(), value.clone());
    }
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec})
}

fn written(old: Value, new: Value) -> Answer {
    judged(&Snapshot::built_in().unwrap().facts(), old, new)
}

fn judged(facts: &Facts, old: Value, new: Value) -> Answer {
    let review = Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        operation: if old.is_null() { "CREATE" } else { "UPDATE" },
        object: new,
        old,
        ..Review::default()
    };
    review.answer(facts)
}

/// The built-in cluster, with an engine owned by Helm release `flux`.
fn owned() -> Facts {
    let owner = "metadata:\n  annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}\n";
    let text = BUILT_IN.replace("metadata:\n", owner);
    Facts::of(objects(&text, None))
}

/// A harmless HelmRelease with this chart.
fn from(chart: &Value) -> Value {
    release(&json!({"chart": chart, "install": {}}))
}

fn refused(answer: &Answer) -> Vec<String> {
    answer
        .verdict
        .with(Outcome::Refused)
        .map(|one| format!("{} {}", one.rule, one.path))
        .collect()
}

#[test]
fn a_bad_release_is_refused_when_it_is_created_changed_or_resumed() {
    let bad = release(&json!({}));
    assert_eq!(written(Value::Null, bad.clone()).outcome.name(), "refuse");
    assert_eq!(
        written(release(&json!({"interval": "1m"})), bad.clone())
            .outcome
            .name(),
        "refuse"
    );
    assert_eq!(
        written(release(&json!({"suspend": true})), bad)
            .outcome
            .name(),
        "refuse"
    );
}

#[test]
fn a_bad_release_that_is_there_already_can_be_suspended() {
    assert_eq!(
        written(release(&json!({})), release(&json!({"suspend": true})))
            .outcome
            .name(),
        "allow"
    );
}

#[test]
fn a_write_that_leaves_the_spec_alone_is_not_judged() {
    let mut marked = release(&json!({}));
    marked["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
    assert_eq!(written(release(&json!({})), marked).outcome.name(), "allow");
}

#[test]
fn a_release_for_another_cluster_is_none_of_this_clusters_business() {
    let remote = release(&json!({"kubeConfig": {"secretRef": {"name": "other"}}}));
    let answer = written(Value::Null, remote);
    assert_eq!(answer.outcome.name(), "allow");
    assert!(
        answer.verdict.abstained.is_empty(),
        "{:?}",
        answer.verdict.abstained
    );
}

/// A HelmRelease of an umbrella chart, with a Flux version as deep as these keys.
fn nested(keys: &[String]) -> Value {
    let mut values = json!("2.3.0");
    for key in keys.iter().rev() {
        values = json!({key: values});
    }
    let chart = json!({"spec": {"chart": "umbrella", "version": "1.0.0"}});
    release(&json!({"chart": chart, "install": {}, "values": values}))
}

#[test]
fn a_version_is_read_at_any_depth_of_values() {
    let found = |depth: usize| {
        let keys: Vec<String> = (0..depth).map(|key| format!("flux{key}")).collect();
        let review = Review {
            kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
            resource: "helmreleases",
            object: nested(&keys),
            ..Review::default()
        };
        let mut policy = Policy::default();
        policy.engine.values_paths = vec![keys.join(".")];
        let facts = Snapshot::built_in().unwrap().facts();
        let verdict = answer(&review.bytes(), &facts, &policy, now()).verdict;
        let rule = "flux-version-mismatch";
        let finds = verdict.findings.iter().any(|one| one.rule == rule);
        let lacks = verdict.abstained.iter().find(|one| one.rule == rule);
        (finds, lacks.map(|one| one.needs.name()))
    };
    assert_eq!(found(1), (true, None));
    assert_eq!(found(100), (true, None));
}

#[test]
fn a_chart_that_hides_its_flux_is_let_through_and_said_to_be_unknown() {
    let chart = json!({"spec": {"chart": "umbrella", "version": "1.0.0"}});
    let answer = written(Value::Null, release(&json!({"chart": chart})));
    assert_eq!(answer.outcome.name(), "allow");
    let rules: Vec<_> = answer
        .verdict
        .abstained
        .iter()
        .map(|one| one.rule)
        .collect();
    assert_eq!(
        rules,
        [
            "destructive-remediation",
            "flux-downgraded",
            "flux-minor-skipped",
            "flux-version-mismatch"
        ]
    );
}

#[test]
fn another_identity_is_refused_while_suspended_too_for_it_counts_when_resumed() {
    let was = release(&json!({"suspend": true, "install": {}}));
    let is = release(&json!({"suspend": true, "install": {}, "releaseName": "flux2"}));
    let answer = judged(&owned(), was.clone(), is);
    assert_eq!(
        refused(&answer),
        ["release-identity-changed /spec/releaseName"]
    );
    let older = release(
        &json!({"suspend": true, "install": {}, "upgrade": {"remediation": {"retries": 3}}}),
    );
    assert_eq!(judged(&owned(), was, older).outcome.name(), "allow");
}

#[test]
fn a_release_that_is_sent_to_another_cluster_uninstalls_nothing_here() {
    let remote = release(&json!({"kubeConfig": {"secretRef": {"name": "other"}}}));
    assert_eq!(
        judged(&owned(), release(&json!({})), remote).outcome.name(),
        "allow"
    );
}

#[test]
fn another_source_is_another_chart_only_where_the_names_say_so() {
    let chart = |name: &str, kind: &str| json!({"spec": {"chart": name, "version": "2.14.1", "sourceRef": {"kind": kind}}});
    let flux = release(&json!({"chart": chart("flux2", "HelmRepository"), "install": {}}));
    let renamed = judged(
        &owned(),
        flux.clone(),
        from(&chart("platform", "HelmRepository")),
    );
    assert_eq!(
        refused(&renamed),
        ["release-identity-changed /spec/chart/spec/chart"]
    );
    let mut in_place = from(&chart("platform", "HelmRepository"));
    in_place["spec"]["upgrade"] = json!({"chartNameChangeStrategy": "InPlaceUpdate"});
    assert!(refused(&judged(&owned(), flux.clone(), in_place)).is_empty());
    let moved = judged(
        &owned(),
        flux.clone(),
        from(&chart("charts/flux2", "HelmRepository")),
    );
    assert!(refused(&moved).is_empty(), "{moved:?}");
    let mut oci =
        release(&json!({"chartRef": {"kind": "OCIRepository", "name": "flux2"}, "install": {}}));
    oci["spec"].as_object_mut().unwrap().remove("chart");
    for hidden in [oci, from(&chart("./charts/flux2", "GitRepository"))] {
        let answer = judged(&owned(), flux.clone(), hidden);
        assert!(refused(&answer).is_empty(), "{answer:?}");
        let abstained = answer.verdict.abstained.iter();
        assert!(
            abstained
                .into_iter()
                .any(|one| one.rule == "release-identity-changed"),
            "{answer:?}"
        );
    }
}

#[test]
fn a_chart_in_a_git_repository_has_whatever_version_lies_there() {
    let chart =
        json!({"spec": {"chart": "./charts/flux2", "sourceRef": {"kind": "GitRepository"}}});
    let answer = written(Value::Null, from(&chart));
    assert_eq!(answer.outcome.name(), "allow");
    assert!(
        answer
            .verdict
            .abstained
            .iter()
            .any(|one| one.rule == "flux-version-mismatch")
    );
}

/// A HelmRelease in a cluster whose controllers are newer than any in the catalogue.
fn ahead(version: &str) -> Answer {
    let text = BUILT_IN.replace("-controller:v", "-controller:v9");
    let chart = json!({"spec": {"chart": "flux2", "version": version}});
    judged(&Facts::of(objects(&text, None)), Value::Null, from(&chart))
}

#[test]
fn what_a_range_comes_to_is_not_known_where_the_cluster_is_ahead_of_the_catalogue() {
    let open = ahead(">=2.13");
    assert_eq!(open.outcome.name(), "allow");
    assert!(
        open.verdict
            .abstained
            .iter()
            .any(|one| one.rule == "flux-downgraded"),
        "{open:?}"
    );
    assert_eq!(ahead("2.13.0").outcome.name(), "refuse");
    let range = json!({"spec": {"chart": "flux2", "version": "~2.13.0"}});
    assert_eq!(
        written(Value::Null, from(&range)).outcome.name(),
        "refuse",
        "in a cluster that it knows, it tells"
    );
}

#[test]
fn values_name_the_flux_of_a_release_in_the_engines_namespace_and_not_that_of_a_stranger() {
    let more = json!({"chart": {"spec": {"chart": "tool"}}, "install": {}, "values": {"fluxVersion": "1.2.3"}});
    assert_eq!(refused(&written(Value::Null, release(&more))).len(), 2);
    let mut stranger = release(&more);
    stranger["spec"]["targetNamespace"] = json!("tools");
    assert_eq!(written(Value::Null, stranger).outcome.name(), "allow");
}

#[test]
fn a_value_as_general_as_a_tag_makes_no_chart_flux_unless_the_chart_is_known_to_bring_it() {
    let release = |chart: &str, values: Value| {
        let spec = json!({"chart": {"spec": {"chart": chart}}, "values": values, "targetNamespace": "flux-system",
            "install": {"remediation": {"retries": 3}}});
        let metadata = json!({"name": "scanner", "namespace": "flux-system"});
        written(
            Value::Null,
            json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata, "spec": spec}),
        )
    };
    let tag = json!({"cli": {"tag": "0.45.0"}});
    let scanner = release("scanner", tag.clone());
    assert_eq!(scanner.outcome.name(), "allow");
    assert!(scanner.verdict.findings.is_empty(), "in silence");
    assert_eq!(release("flux", tag.clone()).outcome.name(), "refuse");
    assert_eq!(
        release("umbrella", json!({"flux": tag})).outcome.name(),
        "refuse"
    );
}
