//! helm-controller as a process with its own service account, and charts published for it in
//! source-controller's place.

#![allow(clippy::indexing_slicing)]

use std::convert::Infallible;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Cluster, ControlPlane, Process, eventually, folder, program};
use crate::flux::{Flux, HOME};

/// helm-controller, and the folder from which it fetches charts.
#[derive(Debug)]
pub struct HelmController {
    /// The process.
    pub process: Process,
    charts: PathBuf,
    url: String,
}

impl HelmController {
    /// Starts helm-controller as its existing service account in `flux-system`.
    pub async fn start(plane: &ControlPlane, cluster: &Cluster) -> Self {
        let kubeconfig = plane.account(cluster, HOME, "helm-controller").await;
        let mut command = Command::new(program("helm-controller"));
        command.args([
            "--watch-all-namespaces",
            "--metrics-addr=0",
            "--health-addr=0",
            "--log-encoding=json",
        ]);
        command
            .env("KUBECONFIG", kubeconfig)
            .env("RUNTIME_NAMESPACE", HOME);
        let process = Process::start(command, &plane.folder.join("helm-controller.log"));
        let charts = folder("artifacts");
        let url = serve(charts.clone()).await;
        Self {
            process,
            charts,
            url,
        }
    }

    /// Publishes a packed chart as the artifact of the HelmChart that helm-controller makes of
    /// HelmRelease `flux`.
    pub async fn publish(&self, cluster: &Cluster, flux: &Flux, packed: &Path) {
        self.publish_for(cluster, &helm_release(flux), packed).await;
    }

    /// Publishes a packed chart as the artifact of the HelmChart that helm-controller makes of this
    /// HelmRelease.
    pub async fn publish_for(&self, cluster: &Cluster, release: &Value, packed: &Path) {
        let bytes = std::fs::read(packed).expect("a packed chart");
        let file = packed.file_name().expect("a file").to_string_lossy();
        std::fs::write(self.charts.join(&*file), &bytes).expect("a writable folder");
        let asked_for = &release["spec"]["chart"]["spec"];
        let chart = eventually("helm-controller asks for the chart", async || {
            let chart = cluster
                .get(&helm_chart(release))
                .await
                .map_err(|error| error.to_string())?;
            if chart["spec"]["version"] == asked_for["version"] {
                Ok(chart)
            } else {
                Err(chart.to_string())
            }
        })
        .await;
        let generation = &chart["metadata"]["generation"];
        let at = "2026-11-24T12:00:00Z";
        let ready = json!({"type": "Ready", "status": "True", "reason": "ChartPullSucceeded", "message": "pulled",
            "observedGeneration": generation, "lastTransitionTime": at});
        let artifact = json!({"url": format!("{}/{file}", self.url), "path": file, "revision": asked_for["version"],
            "digest": checksum(&bytes), "lastUpdateTime": at, "size": bytes.len()});
        let status = json!({"observedGeneration": generation, "artifact": artifact, "conditions": [ready],
            "observedChartName": asked_for["chart"], "url": artifact["url"]});
        cluster
            .patch_status(&helm_chart(release), &status)
            .await
            .expect("a status as source-controller writes it");
    }
}

/// The HelmChart that helm-controller makes of a HelmRelease.
fn helm_chart(release: &Value) -> Value {
    let [namespace, name] =
        ["namespace", "name"].map(|key| release["metadata"][key].as_str().expect("a HelmRelease"));
    json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
        "metadata": {"name": format!("{namespace}-{name}"), "namespace": namespace}})
}

/// A HelmRelease `flux` of the chart `umbrella` that carries this Flux.
#[must_use]
pub fn helm_release(flux: &Flux) -> Value {
    let chart = json!({"chart": "umbrella", "version": flux.chart_version(), "interval": "10m",
        "sourceRef": {"kind": "HelmRepository", "name": "charts"}});
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": HOME},
        "spec": {"interval": "10m", "releaseName": "flux", "targetNamespace": HOME, "chart": {"spec": chart},
            // Without nodes, no pod would ever become ready.
            "install": {"disableWait": true}, "upgrade": {"disableWait": true}, "uninstall": {"disableWait": true}}})
}

fn checksum(bytes: &[u8]) -> String {
    let sum = digest(&SHA256, bytes);
    sum.as_ref()
        .iter()
        .fold("sha256:".to_owned(), |text, byte| {
            format!("{text}{byte:02x}")
        })
}

/// Serves a folder's files on a loopback port while the test's runtime lives.
async fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let folder = folder.clone();
            let service =
                service_fn(move |request| ready(Ok::<_, Infallible>(answer(&folder, &request))));
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                server
                    .serve_connection(TokioIo::new(connection), service)
                    .await
            });
        }
    });
    url
}

fn answer(folder: &Path, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let file = folder.join(request.uri().path().trim_start_matches('/'));
    let found = std::fs::read(file).map(|bytes| Response::new(Full::from(bytes)));
    found.unwrap_or_else(|_| {
        let mut missing = Response::new(Full::default());
        *missing.status_mut() = StatusCode::NOT_FOUND;
        missing
    })
}
