//! A FluxInstance whose version selects a release that the apiserver would refuse, because the
//! cluster holds objects in versions which that release's CRDs no longer offer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep_fixtures::Review;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, HOME, Names};
use serde_json::{Value, json};

const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";
const POLICIES: &str = "imagepolicies.image.toolkit.fluxcd.io";

/// A cluster with this Flux. Each of these CRDs holds objects in one version more.
fn cluster(version: &str, stored: &[(&str, &str)]) -> Facts {
    let mut flux = Flux::release(version).installed(Names::Install);
    for object in &mut flux {
        for (crd, old) in stored {
            if object["metadata"]["name"] == *crd && object["kind"] == "CustomResourceDefinition" {
                let versions = object["spec"]["versions"].as_array().unwrap();
                let storage = versions.iter().find(|one| one["storage"] == true).unwrap();
                object["status"]["storedVersions"] = json!([old, storage["name"]]);
            }
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": flux});
    Facts::of(objects(&list.to_string(), None))
}

fn instance(version: &str, components: &[&str]) -> Value {
    json!({"apiVersion": "fluxcd.controlplane.io/v1", "kind": "FluxInstance",
        "metadata": {"name": "flux", "namespace": HOME},
        "spec": {"distribution": {"version": version, "registry": "ghcr.io/fluxcd"}, "components": components}})
}

const CORE: [&str; 4] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
];

/// The findings of `stored-version-dropped`, as `outcome path: message. remedy`, and the abstentions.
fn found(old: Value, new: Value, facts: &Facts) -> (Vec<String>, Vec<&'static str>) {
    let review = Review {
        kind: "fluxcd.controlplane.io/v1/FluxInstance",
        resource: "fluxinstances",
        operation: if old.is_null() { "CREATE" } else { "UPDATE" },
        user: "jane",
        object: new,
        old,
        ..Review::default()
    };
    let verdict = review.answer(facts).verdict;
    let rule = "stored-version-dropped";
    let findings = verdict.findings.iter().filter(|one| one.rule == rule);
    let told = findings.map(|one| {
        let outcome = one.outcome().name();
        format!("{outcome} {}: {}. {}", one.path, one.message, one.remedy)
    });
    let abstained = verdict.abstained.iter().filter(|one| one.rule == rule);
    (
        told.collect(),
        abstained.map(|one| one.needs.name()).collect(),
    )
}

fn created(version: &str, components: &[&str], facts: &Facts) -> Vec<String> {
    let (told, abstained) = found(Value::Null, instance(version, components), facts);
    assert_eq!(abstained, [""; 0], "{version}");
    told
}

fn newest() -> String {
    Catalogue::built_in().newest().unwrap().version.to_string()
}

#[test]
fn a_range_that_selects_a_release_which_the_apiserver_refuses_is_warned_of() {
    let old = cluster("2.4.0", &[(BUCKETS, "v1beta1")]);
    let told = created("2.x", &CORE, &old);
    assert_eq!(told.len(), 1, "{told:?}");
    let begin = format!(
        "warned /spec/distribution/version: 2.x selects Flux {}, whose CRDs no longer offer versions in which the \
         cluster holds objects: ",
        newest()
    );
    assert!(told[0].starts_with(&begin), "{told:?}");
    assert!(
        told[0].contains("buckets.source.toolkit.fluxcd.io: v1beta1"),
        "{told:?}"
    );
    // The release of the remedy is accepted, and the next one is not.
    let step = told[0]
        .split(". Set it to ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(created(step, &CORE, &old), [""; 0], "{step}");
    let releases = Catalogue::built_in().releases();
    let after = releases
        .iter()
        .position(|one| one.version.to_string() == step)
        .unwrap()
        + 1;
    let refused = created(&releases[after].version.to_string(), &CORE, &old);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].starts_with("refused "),
        "a version is no prediction: {refused:?}"
    );
}

#[test]
fn a_range_passes_where_what_is_stored_is_migrated_or_nothing_moves() {
    let range = || instance("2.x", &CORE);
    let last = cluster(&newest(), &[]);
    assert_eq!(
        created("2.x", &CORE, &last),
        [""; 0],
        "everything is migrated"
    );
    let grown = cluster("2.6.4", &[]);
    let begin = created("2.6.x", &CORE, &grown);
    assert_eq!(begin, [""; 0], "the running minor");
    let old = cluster("2.4.0", &[(BUCKETS, "v1beta1")]);
    let (told, _) = found(range(), range(), &old);
    assert_eq!(told, [""; 0], "an update that moves nothing");
    let mut paused = range();
    paused["metadata"]["annotations"] = json!({"fluxcd.controlplane.io/reconcile": "disabled"});
    let (told, _) = found(Value::Null, paused, &old);
    assert_eq!(told, [""; 0], "flux-operator applies nothing");
}

#[test]
fn only_the_definitions_of_the_chosen_components_count() {
    let grown = cluster(&newest(), &[(POLICIES, "v1beta1")]);
    assert_eq!(created("2.x", &CORE, &grown), [""; 0]);
    let with_images = [&CORE[..], &["image-reflector-controller"]].concat();
    let told = created("2.x", &with_images, &grown);
    assert!(told.len() == 1 && told[0].contains(POLICIES), "{told:?}");
}

#[test]
fn what_the_catalogue_or_the_facts_lack_is_no_finding_and_no_silence() {
    let old = cluster("2.4.0", &[(BUCKETS, "v1beta1")]);
    let unknown =
        |version: &str, facts: &Facts| found(Value::Null, instance(version, &CORE), facts);
    assert_eq!(
        unknown("2.99.0", &old),
        (vec![], vec!["flux release in the catalogue"])
    );
    assert_eq!(
        unknown("3.x", &old),
        (vec![], vec!["flux release in the catalogue"])
    );
    assert_eq!(
        unknown("stable", &old),
        (vec![], vec!["flux release in the catalogue"])
    );
    assert_eq!(
        unknown("2.x", &Facts::default()),
        (vec![], vec!["custom resource definitions of the cluster"])
    );
}
