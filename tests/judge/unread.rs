//! Unreadable objects of the cluster: requests about them do not pass silently, and other requests
//! are judged as usual.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::admission::Answer;
use fluxkeep::case::facts::Facts;
use fluxkeep::object::{Body, Key, Object};
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_fixtures::{definition, owned, record, stored};

/// The incident's cluster.
fn facts() -> Facts {
    Facts::clone(&Snapshot::built_in().unwrap().facts())
}

fn crd(name: &str) -> Object {
    Object {
        api_version: "apiextensions.k8s.io/v1".to_owned(),
        kind: "CustomResourceDefinition".to_owned(),
        name: name.to_owned(),
        body: Body::Unread,
        ..Object::default()
    }
}

fn helm_release(name: &str) -> Object {
    Object {
        api_version: "helm.toolkit.fluxcd.io/v2".to_owned(),
        kind: "HelmRelease".to_owned(),
        namespace: Some("tenant".to_owned()),
        name: name.to_owned(),
        body: Body::Unread,
        ..Object::default()
    }
}

/// A CRD that serves only v2.
fn offering_v2(name: &str, group: &str) -> String {
    let mut crd = definition(&[("v2", true, true)], &[]);
    crd["metadata"]["name"] = format!("{name}.{group}").into();
    crd["spec"]["group"] = group.into();
    crd["spec"]["names"]["plural"] = name.into();
    format!("---\n{crd}\n")
}

fn installed(manifest: &str, facts: &Facts) -> Answer {
    stored(record(manifest, &[])).answer(facts)
}

/// The rules that abstained, each with the missing fact.
fn abstained(answer: &Answer) -> Vec<String> {
    let abstained = answer.verdict.abstained.iter();
    abstained
        .map(|one| format!("{}: {}", one.rule, one.needs))
        .collect()
}

fn found(answer: &Answer) -> Vec<String> {
    let findings = answer.verdict.findings.iter();
    findings
        .map(|finding| format!("{} {}", finding.rule, finding.object.name))
        .collect()
}

#[test]
fn a_strangers_crd_that_could_not_be_read_makes_what_compares_with_it_abstain_by_name() {
    let mut facts = facts();
    facts.put(crd("things.example.org"));
    let answer = installed(&offering_v2("things", "example.org"), &facts);
    assert_eq!(answer.outcome.name(), "allow", "{:?}", found(&answer));
    let lacked = "stored-version-dropped: readable state of every live object".to_owned();
    assert!(
        abstained(&answer).contains(&lacked),
        "{:?}",
        abstained(&answer)
    );
}

#[test]
fn what_is_found_beside_it_still_counts() {
    let mut facts = facts();
    facts.put(crd("things.example.org"));
    let both =
        offering_v2("things", "example.org") + &offering_v2("buckets", "source.toolkit.fluxcd.io");
    let answer = installed(&both, &facts);
    assert_eq!(answer.outcome.name(), "refuse");
    let dropped = "stored-version-dropped buckets.source.toolkit.fluxcd.io".to_owned();
    assert!(found(&answer).contains(&dropped), "{:?}", found(&answer));
}

#[test]
fn a_crd_of_flux_that_could_not_be_read_refuses_the_release_that_writes_over_it_and_no_other() {
    let mut facts = facts();
    facts.put(crd("buckets.source.toolkit.fluxcd.io"));
    let answer = installed(&offering_v2("buckets", "source.toolkit.fluxcd.io"), &facts);
    assert_eq!(answer.outcome.name(), "refuse");
    let unknown = "facts-stale buckets.source.toolkit.fluxcd.io".to_owned();
    assert!(found(&answer).contains(&unknown), "{:?}", found(&answer));
    let other = installed(&offering_v2("others", "example.org"), &facts);
    assert_eq!(other.outcome.name(), "allow", "{:?}", found(&other));
    assert!(
        abstained(&other)
            .iter()
            .all(|one| !one.contains("readable"))
    );
}

#[test]
fn a_downgrade_over_a_crd_that_could_not_be_read_is_not_called_harmless() {
    let mut facts = facts();
    facts.put(crd("buckets.source.toolkit.fluxcd.io"));
    let older = owned("helm-controller", "ghcr.io/fluxcd/helm-controller:v1.0.1")
        + &offering_v2("buckets", "source.toolkit.fluxcd.io");
    let answer = installed(&older, &facts);
    let mut findings = answer.verdict.findings.iter();
    let downgraded = findings.find(|one| one.rule == "flux-downgraded").unwrap();
    assert!(downgraded.message.ends_with("is unknown"), "{downgraded}");
}

#[test]
fn an_engine_object_that_could_not_be_read_may_be_one_that_the_release_drops() {
    let mut facts = facts();
    let owner = owned(
        "source-controller",
        "ghcr.io/fluxcd/source-controller:v1.4.1",
    );
    let read = fluxkeep::manifest::read(&owner, fluxkeep::manifest::Reading::default());
    facts.put(read.unwrap().remove(0));
    let quiet = installed(&owner, &facts);
    let rule = "engine-object-removed: ";
    assert!(!abstained(&quiet).iter().any(|one| one.starts_with(rule)));
    let key = Key {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: Some("flux-system".to_owned()),
        name: "helm-controller".to_owned(),
    };
    let unread = Object {
        body: Body::Unread,
        ..facts.live(&key).unwrap().clone()
    };
    facts.put(unread);
    let answer = installed(&owner, &facts);
    assert!(
        abstained(&answer).iter().any(|one| one.starts_with(rule)),
        "{:?}",
        abstained(&answer)
    );
}

#[test]
fn a_helm_release_that_could_not_be_read_concerns_its_own_release_alone() {
    let mut facts = facts();
    facts.put(helm_release("bad"));
    let made_by = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: \
             {{helm.toolkit.fluxcd.io/name: {name}, helm.toolkit.fluxcd.io/namespace: tenant}}\n"
        )
    };
    let lacked = "flux-version-mismatch: readable HelmRelease behind the release".to_owned();
    let own = installed(&made_by("bad"), &facts);
    assert_eq!(own.outcome.name(), "allow");
    assert_eq!(abstained(&own), [lacked]);
    let other = installed(&made_by("good"), &facts);
    assert_eq!(abstained(&other), Vec::<String>::new());
}

#[test]
fn a_controller_that_could_not_be_read_is_not_missing() {
    let mut facts = facts();
    let engine = fluxkeep::flux::engine::Engine::default();
    let deployment = facts
        .objects()
        .find(|object| object.kind == "Deployment" && object.name == "helm-controller")
        .unwrap();
    let unread = Object {
        body: Body::Unread,
        ..deployment.clone()
    };
    facts.put(unread);
    assert_eq!(facts.controllers(&engine).1, Vec::<&str>::new());
}
