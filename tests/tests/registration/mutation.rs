//! The HelmReleases that are sent to the mutation.

use fluxkeep::case::policy::Policy;
use fluxkeep::helm::post_renderer::stanza;
use fluxkeep_tests::Review;
use fluxkeep_webhook::registration::KnownReleases;
use serde_json::{Value, json};

use crate::gates::release;
use crate::{apiserver, registration};

const MUTATION: &str = "post-renderer.mutation.fluxkeep.io";

fn policy() -> Policy {
    Policy {
        mutates_helm_releases: true,
        ..Policy::default()
    }
}

/// True if the creation of a HelmRelease in a stranger's namespace is sent.
fn is_sent(name: &str, spec: &Value) -> bool {
    asked(&release(name, "a", spec)).contains(&MUTATION.to_owned())
}

fn asked(review: &Review<'_>) -> Vec<String> {
    apiserver(&policy()).asks(&review.bytes())
}

#[test]
fn nothing_is_registered_to_change_anything_unless_the_policy_wants_it() {
    let names = |policy: &Policy| {
        let configurations = registration()
            .manifests(policy, &KnownReleases::default())
            .into_iter();
        let webhooks = configurations
            .filter_map(|manifest| manifest.body.get("webhooks")?.as_array().cloned());
        webhooks
            .flatten()
            .map(|webhook| webhook["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let mut wanted = names(&policy());
    assert_eq!(
        wanted.iter().position(|name| name == MUTATION),
        Some(4),
        "last of the mutating phase: {wanted:?}"
    );
    wanted.retain(|name| name != MUTATION);
    assert_eq!(wanted, names(&Policy::default()));
}

#[test]
fn it_is_about_helm_releases_alone_fails_open_and_is_asked_again() {
    let manifests = registration().manifests(&policy(), &KnownReleases::default());
    let mutating = manifests
        .iter()
        .find(|one| one.body["kind"] == "MutatingWebhookConfiguration")
        .unwrap();
    let webhooks = mutating.body["webhooks"].as_array().unwrap();
    let webhook = webhooks
        .iter()
        .find(|webhook| webhook["name"] == MUTATION)
        .unwrap();
    let rule = json!({"apiGroups": ["helm.toolkit.fluxcd.io"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
        "resources": ["helmreleases"], "scope": "*"});
    assert_eq!(webhook["rules"], json!([rule]));
    assert_eq!(
        webhook["clientConfig"]["url"],
        "https://fluxkeep.example.org/mutate/others"
    );
    let how = [
        "failurePolicy",
        "reinvocationPolicy",
        "sideEffects",
        "matchPolicy",
    ]
    .map(|key| webhook[key].clone());
    assert_eq!(
        how,
        ["Ignore", "IfNeeded", "None", "Equivalent"].map(Value::from)
    );
}

#[test]
fn a_release_that_may_lack_the_stanza_is_sent_wherever_it_stands_and_fluxkeeps_own_never_is() {
    let other = json!({"kustomize": {"images": [{"name": "a", "newTag": "b"}]}});
    let with = |renderers: Value| json!({"postRenderers": renderers});
    let patched = |patch: Value| json!([{"kustomize": {"patches": [patch]}}]);
    let mut narrow = stanza()["kustomize"]["patches"][0].clone();
    narrow["target"]["name"] = json!("x");
    let cases = [
        (true, "a", json!({})),
        (true, "a", with(json!([]))),
        (true, "a", with(json!([other]))),
        (true, "a", with(patched(narrow))),
        (true, "a", with(patched(json!({"patch": "kind: X"})))),
        (true, "a", with(patched(json!({"target": {"kind": ".*"}})))),
        (true, "a", json!({"suspend": false})),
        (false, "a", with(json!([stanza()]))),
        (false, "a", with(json!([other, stanza(), other]))),
        (false, "a", json!({"suspend": true})),
        (
            false,
            "a",
            json!({"kubeConfig": {"secretRef": {"name": "b"}}}),
        ),
        (false, "fluxkeep", json!({})),
        (false, "a", json!({"releaseName": "fluxkeep"})),
    ];
    for (expected, name, spec) in cases {
        assert_eq!(is_sent(name, &spec), expected, "{name} {spec}");
    }
}

/// kustomize-controller may resend an unchanged file, and the release may own Flux by now.
#[test]
fn an_update_is_sent_though_it_changes_nothing_until_the_release_is_deleted() {
    let new = release("a", "a", &json!({}));
    let update = Review {
        operation: "UPDATE",
        old: new.object.clone(),
        ..new.clone()
    };
    assert_eq!(asked(&update), [MUTATION]);
    let mut leaving = update;
    leaving.object["metadata"]["deletionTimestamp"] = json!("2026-11-24T12:00:00Z");
    assert_eq!(asked(&leaving), [""; 0]);
    let deleted = Review {
        operation: "DELETE",
        old: new.object,
        object: Value::Null,
        ..new
    };
    assert_eq!(asked(&deleted), ["engine-deleted.others.fluxkeep.io"]);
}
