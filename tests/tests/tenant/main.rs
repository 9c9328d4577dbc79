//! A tenant: a user with rights in one namespace only, who sends everything that he may, many at once.
//! Meanwhile fluxkeep answers for the engine, stays small, and Flux stays as it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

mod probe;
mod sends;
mod tenant;

use std::sync::atomic::{AtomicBool, Ordering};

use fluxkeep_tests::control_plane::{ControlPlane, Inventory, Webhook};
use fluxkeep_tests::flux::{Flux, Names};
use futures::future::join;

use crate::tenant::{NAMESPACE, Tenant};

/// The most memory that the server may ever have held, in bytes. fluxkeep's chart asks for this limit.
const MOST_MEMORY: u64 = 128 << 20;

/// HelmReleases are so deep that this test's own client cannot list them; the engine has none. The
/// registration follows the HelmReleases that there are.
const LEFT_OUT: [&str; 5] = [
    "HelmRelease",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_tenant_sends_the_engines_doors_answer_and_flux_stays_as_it_is() {
    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("tenant").await;
    cluster
        .apply_all(&Flux::release("2.4.0").installed(Names::Install))
        .await;
    let webhook = Webhook::guarding(&plane, &cluster).await;
    let tenant = Tenant::settle(&plane, &cluster).await;
    let before = apart_from_the_tenant(cluster.inventory(&LEFT_OUT).await);

    let is_over = AtomicBool::new(false);
    let flood = async {
        let sent = tenant.floods().await;
        is_over.store(true, Ordering::Relaxed);
        sent
    };
    let (sent, probed) = join(flood, probe::asks(&cluster, &is_over)).await;

    println!("{sent} requests of the tenant; {probed}");
    assert_eq!(probed.unanswered, Vec::<String>::new());
    assert!(probed.answered > 0, "{probed}");
    let peak = webhook.process.peak_memory();
    assert!(peak < MOST_MEMORY, "the server held {peak} bytes");
    let after = apart_from_the_tenant(cluster.inventory(&LEFT_OUT).await);
    assert_eq!(before, after, "nothing outside of the tenant's namespace");
}

/// Objects that the tenant may not write. He may write everything in his own namespace.
fn apart_from_the_tenant(inventory: Inventory) -> Inventory {
    let own = format!(" {NAMESPACE}/");
    inventory
        .into_iter()
        .filter(|(object, _)| !object.contains(&own))
        .collect()
}
