//! A release whose controllers read CRDs that the cluster does not serve, with a hook Job that may
//! apply them after the record.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::case::facts::Facts;
use fluxkeep::helm::record::Driver;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, Names};
use fluxkeep_fixtures::{packed_as, secret, stored};
use serde_json::{Value, json};

/// Flux 2.4.0, owned by Helm release `flux`.
fn live() -> Facts {
    let mut flux = Flux::release("2.4.0").installed(Names::Install);
    for object in &mut flux {
        object["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "flux",
            "meta.helm.sh/release-namespace": "flux-system"});
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": flux});
    Facts::of(objects(&list.to_string(), None))
}

/// The finding of `flux-crds-unserved` when Flux 2.6 is upgraded to without CRDs, but with this hook.
fn found(hook: &Value) -> Vec<String> {
    let flux = Flux::release("2.6.4").installed(Names::Install);
    let controllers = flux.iter().filter(|one| one["kind"] == "Deployment");
    let documents: Vec<String> = controllers.map(ToString::to_string).collect();
    let manifest = documents.join("\n---\n");
    let hooks = [hook.to_string()];
    let hooks: Vec<&str> = hooks.iter().map(String::as_str).collect();
    let data = packed_as(2, "flux", "flux-system", &manifest, &hooks, Driver::Secret);
    let verdict = stored(secret(&data)).answer(&live()).verdict;
    let findings = verdict.findings.iter();
    let unserved = findings.filter(|one| one.rule == "flux-crds-unserved");
    unserved
        .map(|one| format!("{} {}", one.outcome().name(), one.message))
        .collect()
}

fn job(kind: &str, name: &str, events: &str) -> Value {
    json!({"apiVersion": if kind == "Job" { "batch/v1" } else { "v1" }, "kind": kind,
        "metadata": {"name": name, "namespace": "flux-system", "annotations": {"helm.sh/hook": events}}})
}

#[test]
fn a_hook_that_may_apply_the_definitions_makes_it_a_warning_that_names_the_hook() {
    for events in [
        "pre-upgrade",
        "pre-install,pre-upgrade",
        "post-install, pre-upgrade",
    ] {
        let told = found(&job("Job", "apply-crds", events));
        assert_eq!(told.len(), 1, "{events}");
        let is_told = told[0].starts_with("warned ")
            && told[0].ends_with(", unless hook Job flux-system/apply-crds applies it");
        assert!(is_told, "{events}: {told:?}");
    }
}

#[test]
fn a_hook_that_applies_nothing_in_time_changes_nothing() {
    for hook in [
        job("Job", "apply-crds", "post-upgrade"),
        job("Job", "apply-crds", "test"),
        job("Job", "flux2-flux-check", "pre-install,pre-upgrade"),
        job("ServiceAccount", "apply-crds", "pre-upgrade"),
    ] {
        let told = found(&hook);
        assert!(
            told.len() == 1 && told[0].starts_with("refused "),
            "{hook}: {told:?}"
        );
    }
}
