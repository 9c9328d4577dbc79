//! A tenant with rights in one namespace floods the server with every request that he may send.
//! Meanwhile fluxkeep answers for the engine and stays small, and Flux stays unchanged.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod charts;
mod probe;
mod sends;
mod tenant;
mod wide;

use std::sync::atomic::{AtomicBool, Ordering};

use fluxkeep_tests::control_plane::{ControlPlane, Inventory, Webhook};
use fluxkeep_tests::flux::{Flux, Names};
use futures::future::join;
use tokio::sync::Mutex;

use crate::tenant::{NAMESPACE, Tenant};

/// Limit on the server's peak memory in bytes. fluxkeep's chart requests this limit.
const MOST_MEMORY: u64 = 128 << 20;

/// This test's client cannot list the tenant's deep HelmReleases, and the engine has none. The
/// registration follows the existing HelmReleases.
const LEFT_OUT: [&str; 5] = [
    "HelmRelease",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// The flood leaves no processor to another test's helm-controller.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_tenant_sends_the_engines_doors_answer_and_flux_stays_as_it_is() {
    let _alone = ONE_AT_A_TIME.lock().await;
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

/// The objects outside of the tenant's namespace, in which he may write everything.
fn apart_from_the_tenant(inventory: Inventory) -> Inventory {
    let own = format!(" {NAMESPACE}/");
    inventory
        .into_iter()
        .filter(|(object, _)| !object.contains(&own))
        .collect()
}
