//! Owners of live objects: releases that take over objects of other tools, at each door.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, missing_docs)]

use fluxkeep::adoption::owners::holder;
use fluxkeep::case::facts::{Facts, Heard};
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::judge::judge;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::{now, record, stored};
use jiff::SignedDuration;
use serde_json::{Value, json};

fn service(metadata: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "source-controller", "namespace": "flux-system"}});
    for (key, value) in metadata.as_object().unwrap() {
        object["metadata"][key] = value.clone();
    }
    object
}

/// The `foreign-owner` refusals of a release `flux` with this live Service.
fn taken_over(live: &Value) -> Vec<String> {
    let facts = Facts::of(objects(&live.to_string(), None));
    let brought = service(&json!({"annotations": {"helm.sh/resource-policy": "keep"}}));
    let verdict = stored(record(&brought.to_string(), &[]))
        .answer(&facts)
        .verdict;
    let findings = verdict.with(Outcome::Refused);
    let foreign = findings.filter(|finding| finding.rule == "foreign-owner");
    foreign
        .map(|finding| format!("{}. {}", finding.message, finding.remedy))
        .collect()
}

#[test]
fn what_argo_cd_tracks_is_foreign_and_what_only_carries_its_charts_label_is_not() {
    let tracked =
        |id: &str| service(&json!({"annotations": {"argocd.argoproj.io/tracking-id": id}}));
    let told = taken_over(&tracked("platform:/Service:flux-system/source-controller")).concat();
    assert!(
        told.contains("Argo CD application platform owns it"),
        "{told}"
    );
    assert!(
        told.contains("kubectl annotate service -n flux-system source-controller argocd.argoproj.io/tracking-id-"),
        "{told}"
    );
    let copied = tracked("platform:/Service:flux-system/webhook-receiver");
    let elsewhere = tracked("platform:/Service:staging/source-controller");
    let chart = service(&json!({"labels": {"app.kubernetes.io/instance": "platform"}}));
    for passes in [copied, elsewhere, chart] {
        assert!(taken_over(&passes).is_empty(), "{passes}");
    }
}

#[test]
fn what_a_flux_instance_applies_is_foreign() {
    let labels = json!({"fluxcd.controlplane.io/name": "flux", "fluxcd.controlplane.io/namespace": "flux-system"});
    let told = taken_over(&service(&json!({"labels": labels}))).concat();
    assert!(
        told.contains("FluxInstance flux-system/flux owns it"),
        "{told}"
    );
    assert!(
        told.contains("fluxcd.controlplane.io/reconcile=disabled"),
        "{told}"
    );
}

#[test]
fn marks_of_a_tool_that_is_gone_from_the_cluster_make_nobody_an_owner() {
    let labels = json!({"fluxcd.controlplane.io/name": "flux", "fluxcd.controlplane.io/namespace": "flux-system"});
    let service = service(&json!({"labels": labels}));
    let definition = |name: &str| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}});
    let beside = |name: &str| json!({"apiVersion": "v1", "kind": "List", "items": [service.clone(), definition(name)]});
    assert_eq!(
        taken_over(&beside("fluxinstances.fluxcd.controlplane.io")).len(),
        1
    );
    assert!(taken_over(&beside("things.example.org")).is_empty());
}

/// Labels stay behind when a Kustomization is suspended and then deleted.
#[test]
fn an_owner_that_was_deleted_owns_nothing_and_an_unseen_one_may() {
    for (space, is_followed, owns) in [
        ("flux-system", true, false),
        ("flux-system", false, true),
        ("elsewhere", true, true),
    ] {
        let labels = json!({"kustomize.toolkit.fluxcd.io/name": "root",
            "kustomize.toolkit.fluxcd.io/namespace": space});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "kustomizations.kustomize.toolkit.fluxcd.io"}});
        let live = json!({"apiVersion": "v1", "kind": "List",
            "items": [service(&json!({"labels": labels})), definition]});
        let heard = Heard {
            resource: "services",
            at: is_followed.then(now),
            bound: SignedDuration::from_mins(1),
        };
        let facts = Facts::of(objects(&live.to_string(), None)).as_heard(heard);
        let holder = facts.objects().find_map(holder).unwrap();
        let is_gone = holder.is_gone(&facts, &Policy::default().engine);
        assert_eq!(is_gone, !owns, "{space}, followed: {is_followed}");
    }
}

#[test]
fn a_release_is_no_stranger_to_what_it_owns_whatever_else_is_written_on_it() {
    let own = service(&json!({
        "labels": {"app.kubernetes.io/instance": "flux"},
        "annotations": {"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": "flux-system"}}));
    assert!(taken_over(&own).is_empty());
}

#[test]
fn a_manifest_of_no_release_may_be_that_of_whoever_owns_the_objects() {
    let labels = json!({"kustomize.toolkit.fluxcd.io/name": "flux-system",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system"});
    let live = service(&json!({"labels": labels}));
    let facts = Facts::of(objects(&live.to_string(), None));
    let release = Release {
        objects: objects(&service(&json!({})).to_string(), None),
        ..Release::default()
    };
    let request = Request {
        door: Door::Preflight,
        operation: Operation::Create,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Release(release),
        gaps: Vec::new(),
    };
    let verdict = judge(&request, &facts, &Policy::default(), now());
    let mut findings = verdict.findings.iter();
    assert!(!findings.any(|finding| finding.rule == "foreign-owner"));
}
