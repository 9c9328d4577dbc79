//! Names that strangers choose stand in the registration's conditions.

use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::flux::engine::Engine;
use fluxkeep::manifest::{Reading, read};
use fluxkeep_tests::control_plane::{ControlPlane, Webhook, eventually};
use fluxkeep_tests::now;
use fluxkeep_webhook::registration::{Address, KnownReleases, Registration};
use serde_json::{Value, json};

use crate::elsewhere::{into, knows};
use crate::objects::{controller, helm_release, one_version};

fn configuration() -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "fluxkeep"}})
}

/// Releases that Helm never makes: the CRD checks none of these names.
fn impossible() -> Vec<Value> {
    let names = ["a\rb", "a\nb", "a\u{0}b", "'", "\u{2028}"];
    let mut releases = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        for field in ["releaseName", "storageNamespace"] {
            let own = format!("a{number}-{}", field.to_lowercase());
            let mut release = into(&own, "apps", "flux-system");
            release["spec"]["suspend"] = json!(true);
            release["spec"][field] = json!(name);
            releases.push(release);
        }
    }
    releases
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_that_a_stranger_chooses_keeps_the_registration_from_being_restored() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("impossible_names").await;
    for namespace in ["flux-system", "apps"] {
        cluster.namespace(namespace).await;
    }
    let definition = one_version("helmreleases.helm.toolkit.fluxcd.io");
    cluster.apply_all(&[definition]).await;
    let mut webhook = Webhook::guarding(&plane, &cluster).await;
    cluster.apply_all(&impossible()).await;
    // The server learns of the releases in their order, so it knows all once it knows the last.
    cluster
        .apply_all(&[into("flux", "apps", "flux-system")])
        .await;
    knows(&cluster, "flux-system-flux").await;
    for restarted in [false, true] {
        if restarted {
            webhook.process.kill();
        }
        cluster.delete(&configuration()).await.unwrap();
        if restarted {
            webhook.restart().await;
        }
        knows(&cluster, "flux-system-flux").await;
    }
}

/// A name of this length that differs by number.
fn long(number: usize, length: usize) -> String {
    format!("n{number:0width$}", width = length - 1)
}

/// More HelmReleases than a condition can list, with names as long as they can be.
fn many() -> Vec<Value> {
    let owner = json!({"annotations": {"meta.helm.sh/release-name": "umbrella",
        "meta.helm.sh/release-namespace": "apps"}});
    let mut objects = vec![controller(&owner)];
    for number in 0..600 {
        let mut network = into(&long(number, 253), "flux-system", "kube-system");
        network["spec"]["releaseName"] = json!(long(number, 53));
        let mut inside = into(&long(number, 253), &long(number, 63), "flux-system");
        inside["spec"]["releaseName"] = json!(long(number, 53));
        let mut owner = helm_release(&long(number, 253), &long(number, 63));
        owner["spec"] = json!({"targetNamespace": "apps", "releaseName": "umbrella"});
        owner["metadata"]["name"] = json!(format!("o{}", long(number, 252)));
        objects.extend([network, inside, owner]);
    }
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_lists_are_taken_by_the_apiserver() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("longest_lists").await;
    let mut objects = Vec::new();
    for object in many() {
        objects.extend(read(&object.to_string(), Reading::default()).unwrap());
    }
    let known = KnownReleases::of(&Facts::of(objects), &Engine::default(), now());
    for list in [&known.elsewhere, &known.engines, &known.owners] {
        assert!(list.len() > 100, "{}", list.len());
    }
    let registration = Registration {
        address: Address::Url("https://fluxkeep.example.org".to_owned()),
        authority: None,
        releases: vec!["fluxkeep".to_owned()],
    };
    for manifest in registration.manifests(&Policy::default(), &known) {
        eventually("the apiserver takes it", async || {
            cluster.apply(&manifest.body).await
        })
        .await;
    }
}
