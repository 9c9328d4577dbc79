//! No content of a Secret, a value or a record's configuration leaks into logs of any level,
//! answers or errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use fluxkeep::helm::record::{Driver, write};
use fluxkeep_cli::client::{Client, Http};
use fluxkeep_cluster::Snapshot;
use fluxkeep_tests::{Review, record, secret, stored};
use fluxkeep_webhook::{Bound, Limits, Settings};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing_subscriber::fmt::MakeWriter;

const PLANTED: &str = "hunter2";

/// The log of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Reviews with the planted value in places where people keep secrets, valid or not.
fn reviews() -> Vec<Vec<u8>> {
    let packed = |release: Value| stored(secret(&write(&release, Driver::Secret).unwrap())).bytes();
    let plain = |manifest: &str| stored(record(manifest, &[])).bytes();
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "a", "namespace": "b", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED}},
        "spec": {"values": {"password": PLANTED}, "releaseName": {"wrong": PLANTED}}});
    let wrong = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": [PLANTED]}});
    let helm = |object: &Value| Review {
        kind: "helm.toolkit.fluxcd.io/v2/HelmRelease",
        resource: "helmreleases",
        object: object.clone(),
        ..Review::default()
    };
    let mut cut = helm(&release).bytes();
    cut.truncate(cut.len() - 60);
    vec![
        plain("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {token: hunter2}\n"),
        plain("apiVersion: v1\nkind: Secret\nmetadata: {name: [hunter2]}\n"),
        plain("kind: hunter2: [\n"),
        plain("a: &hunter2 1\nkind: *hunter22\n"),
        packed(json!({"name": "x", "manifest": {"token": PLANTED}})),
        packed(json!({"name": PLANTED})),
        packed(json!(PLANTED)),
        stored(secret(PLANTED)).bytes(),
        helm(&release).bytes(),
        helm(&wrong).bytes(),
        cut,
        PLANTED.as_bytes().to_vec(),
        format!("{{\"{PLANTED}\": \"{PLANTED}").into_bytes(),
    ]
}

#[tokio::test]
async fn a_planted_secret_shows_in_no_log_and_no_answer() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone());
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let limits = Limits {
        linger: std::time::Duration::ZERO,
        ..Limits::default()
    };
    let source = Arc::new(Snapshot::built_in().unwrap());
    let bound = Bound::bind(
        Settings {
            limits,
            ..Settings::loopback()
        },
        source,
    )
    .await
    .unwrap();
    let client = Client::trusting(bound.authority_pem().unwrap(), Http::One).unwrap();
    let url = format!(
        "https://localhost:{}/validate",
        bound.admission_address().unwrap().port()
    );
    let metrics = format!("http://{}/metrics", bound.observe_address().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(bound.serve(async { drop(stopped.await) }));
    for review in reviews() {
        let answer = client.post(&url, review).await.unwrap();
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(!text.contains(PLANTED), "{text}");
    }
    let counted = client.get(&metrics).await.unwrap();
    assert!(!String::from_utf8_lossy(counted.body()).contains(PLANTED));
    drop(stop);
    server.await.unwrap().unwrap();
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        logged.contains("review unreadable"),
        "the log was listened to: {logged}"
    );
    let lines: Vec<_> = logged
        .lines()
        .filter(|line| line.contains(PLANTED))
        .collect();
    assert!(lines.is_empty(), "{lines:?}");
}
