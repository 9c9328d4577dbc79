//! Measures the engine's doors beside a tenant who sends everything that a tenant can send, at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fluxkeep::helm::record::Driver;
use fluxkeep_tests::{Review, packed, secret, stored};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::hostile::{ENGINE, OTHERS, record, waits};
use crate::input::Inputs;
use crate::process::{Memory, forget_peak, mib};
use crate::served::Served;
use crate::table::{Table, text};

/// Requests of the tenant at once: the number of the tenant simulator in the tests.
const AT_ONCE: usize = 200;
const TENANT: &str = "tenant";

pub(crate) fn measure(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    Runtime::new()?.block_on(flooded(table, inputs))
}

/// Measures each door alone, then beside the flood, in the same server.
async fn flooded(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    let served = Arc::new(Served::start(None)?);
    let doors = doors(inputs);
    let mut calm = Vec::new();
    for (_, review) in &doors {
        calm.push(waits(&served, review).await?);
    }
    let process = served.process();
    let idle = mib(&process, Memory::Now)?;
    forget_peak(&process)?;
    let mut asking = JoinSet::new();
    let sends = Arc::new(sends());
    for number in 0..AT_ONCE {
        asking.spawn(send_for_ever(served.clone(), sends.clone(), number));
    }
    let mut longest = Duration::ZERO;
    for ((door, review), calm) in doors.iter().zip(&calm) {
        let beside = waits(&served, review).await?;
        longest = longest.max(beside.longest);
        table.row(
            &format!("{AT_ONCE} requests of a tenant at once: the engine's door {door}"),
            &beside.text(),
            &format!("without the tenant: {}", calm.text()),
            "longest ≤ 1 s",
        );
    }
    asking.shutdown().await;
    let peak = mib(&process, Memory::Peak)?;
    let title = format!("{AT_ONCE} requests of a tenant at once");
    table.row(
        &format!("{title}: longest of all waits"),
        &text(longest),
        "",
        "≤ 1 s",
    );
    table.row(
        &format!("{title}: memory"),
        &format!("{peak:.1} MiB at most"),
        &format!("without the tenant: {idle:.1} MiB"),
        "≤ 128 MiB",
    );
    Ok(())
}

/// A review about the engine for each door.
fn doors(inputs: &Inputs) -> Vec<(&'static str, Bytes)> {
    let record = stored(secret(&inputs.packed)).bytes();
    let chart = json!({"spec": {"chart": "flux2", "version": "2.14.0"}});
    let release = release("flux", "flux-system", &json!({"chart": chart}));
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "source-controller", "namespace": "flux-system"}});
    let deletion = Review {
        kind: "apps/v1/Deployment",
        resource: "deployments",
        operation: "DELETE",
        old: deployment,
        ..Review::default()
    };
    let reviews = [
        ("crd", inputs.update.clone()),
        ("release-record", record),
        ("helm-release", release),
        ("engine", deletion.bytes()),
    ];
    reviews
        .map(|(door, body)| (door, Bytes::from(body)))
        .to_vec()
}

/// The tenant's reviews, each with the path to which the apiserver would send it.
fn sends() -> Vec<(&'static str, Bytes)> {
    let records = [
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n",
        "a: [",
        "",
    ];
    let mut sends = vec![(OTHERS, record())];
    for manifest in records {
        let data = packed("x", TENANT, manifest, &[], Driver::ConfigMap);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"release": data},
            "metadata": {"name": "sh.helm.release.v1.x.v1", "namespace": TENANT, "labels": {"owner": "helm"}}});
        let review = Review {
            object,
            ..Review::default()
        };
        sends.push((OTHERS, review.bytes()));
    }
    let deep = (0..500).fold(json!(1), |inner, _| json!({"a": inner}));
    let chart = json!({"spec": {"chart": "x"}});
    sends.push((
        OTHERS,
        release("x", TENANT, &json!({"chart": chart, "values": deep})),
    ));
    // What installs beside Flux is the engine's share, whoever writes it.
    let into = json!({"chart": chart, "targetNamespace": "flux-system", "releaseName": "x"});
    sends.push((ENGINE, release("x", TENANT, &into)));
    let sends = sends.into_iter();
    sends
        .map(|(path, body)| (path, Bytes::from(body)))
        .collect()
}

/// The review of a HelmRelease's creation.
fn release(name: &str, namespace: &str, spec: &Value) -> Vec<u8> {
    Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        object: json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}),
        ..Review::default()
    }
    .bytes()
}

async fn send_for_ever(
    served: Arc<Served>,
    sends: Arc<Vec<(&'static str, Bytes)>>,
    number: usize,
) -> anyhow::Result<()> {
    let client = served.client()?;
    for (path, review) in sends.iter().cycle().skip(number) {
        served.post(&client, path, review).await?;
    }
    Ok(())
}
