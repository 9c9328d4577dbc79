//! Following a cluster: its facts, and the effects of cuts, refusals and silence.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod apiserver;
mod faults;
mod following;
mod silence;
mod unread;

use std::fmt::Debug;
use std::time::Duration;

use apiserver::{Apiserver, DEFINITIONS, DEPLOYMENTS, NAMESPACES};
use fluxkeep::flux::engine::Engine;
use fluxkeep_cluster::{FactSource, Live};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// The time without news after which facts are stale.
const BOUND: Duration = Duration::from_mins(5);

const HELM_RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases";

/// A cluster with a CRD, two Namespaces and one of the engine's controllers.
fn cluster() -> Apiserver {
    let server = Apiserver::default();
    server.put(
        DEFINITIONS,
        definition("buckets", "source.toolkit.fluxcd.io", &["v1"]),
    );
    server.put(NAMESPACES, json!({"metadata": {"name": "flux-system"}}));
    server.put(NAMESPACES, json!({"metadata": {"name": "apps"}}));
    server.put(DEPLOYMENTS, controller("source-controller", "v1.4.1"));
    server
}

fn definition(plural: &str, group: &str, stored: &[&str]) -> Value {
    let version = |name: &&str| {
        json!({"name": name, "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "description": "long"}}})
    };
    json!({"metadata": {"name": format!("{plural}.{group}"), "managedFields": [{}]},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": plural},
            "versions": stored.iter().map(version).collect::<Vec<_>>()},
        "status": {"storedVersions": stored}})
}

fn controller(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "flux-system"}, "spec": {"template": {"spec": {"containers": [
        {"name": "manager", "image": format!("ghcr.io/fluxcd/{name}:{version}"), "env": [{"value": "s3cr3t"}]}]}}}})
}

/// Follows the engine in its default namespace.
fn follow(server: &Apiserver) -> Live {
    let live = Live::new(server.client(), Handle::current(), BOUND);
    live.follow(&Engine::default());
    live
}

/// Follows, and waits until everything was read.
async fn followed(server: &Apiserver) -> Live {
    let live = follow(server);
    until(&live, |live| live.pending().is_empty()).await;
    live
}

/// Waits until a condition holds, for at most ten minutes of the test's own time.
async fn until<T: Debug>(of: &T, so: impl Fn(&T) -> bool) {
    let look = async {
        while !so(of) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = timeout(Duration::from_mins(10), look).await;
    assert!(seen.is_ok(), "it never came to that: {of:#?}");
}

/// The known objects, as kind and name.
fn names(live: &Live) -> Vec<String> {
    live.facts().objects().map(ToString::to_string).collect()
}

fn has(live: &Live, name: &str) -> bool {
    names(live).iter().any(|seen| seen == name)
}
