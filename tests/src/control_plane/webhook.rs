//! The admission server as a process that the apiserver calls on loopback.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use futures::future::join;

use super::{Cluster, ControlPlane, Process, eventually, folder, free_port, own, serving};

/// `fluxkeep-webhook`, with a certificate of its own.
#[derive(Debug)]
pub struct Webhook {
    /// The process.
    pub process: Process,
    /// The certificate to trust, in PEM.
    pub authority: String,
    /// The address for reviews: `https://127.0.0.1:PORT`.
    pub url: String,
    /// The address for health and metrics: `http://127.0.0.1:PORT`.
    pub observe: String,
    arguments: Vec<OsString>,
}

impl Webhook {
    /// Starts a server over this cluster, with these arguments after addresses and certificate, and
    /// waits until it is ready.
    pub async fn start<S: AsRef<OsStr>>(
        plane: &ControlPlane,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::launch(plane, &plane.kubeconfig(), arguments, false).await
    }

    /// Starts a server that keeps itself registered.
    pub async fn registered<S: AsRef<OsStr>>(
        plane: &ControlPlane,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::launch(plane, &plane.kubeconfig(), arguments, true).await
    }

    /// Starts a server as this kubeconfig's user; with `registered`, it keeps itself registered.
    pub async fn launch<S: AsRef<OsStr>>(
        plane: &ControlPlane,
        kubeconfig: &Path,
        arguments: impl IntoIterator<Item = S>,
        registered: bool,
    ) -> Self {
        let certificate = folder("webhook");
        let (authority, chain, key) = serving();
        std::fs::write(certificate.join("ca.crt"), &authority).expect("a writable folder");
        std::fs::write(certificate.join("tls.crt"), chain).expect("a writable folder");
        std::fs::write(certificate.join("tls.key"), key).expect("a writable folder");
        let (port, observe) = (free_port(), free_port());
        let mut command = Command::new(own("fluxkeep-webhook"));
        command
            .arg("--tls-dir")
            .arg(&certificate)
            .args(["--linger", "0"])
            .args(arguments);
        command.arg("--kubeconfig").arg(kubeconfig);
        command.args([
            format!("--listen=127.0.0.1:{port}"),
            format!("--observe=127.0.0.1:{observe}"),
        ]);
        if registered {
            command
                .arg(format!("--url=https://127.0.0.1:{port}"))
                .arg("--ca-file")
                .arg(certificate.join("ca.crt"));
        }
        let arguments = command.get_args().map(OsStr::to_owned).collect();
        let process = Process::start(
            command,
            &plane.folder.join(format!("fluxkeep-webhook-{port}.log")),
        );
        let [url, observe] = [("https", port), ("http", observe)]
            .map(|(how, port)| format!("{how}://127.0.0.1:{port}"));
        let mut webhook = Self {
            process,
            authority,
            url,
            observe,
            arguments,
        };
        webhook.ready().await;
        webhook
    }

    /// Kills the server and restarts it with the same arguments.
    pub async fn restart(&mut self) {
        self.process.kill();
        let mut command = Command::new(own("fluxkeep-webhook"));
        command.args(&self.arguments);
        self.process = Process::start(command, &self.process.log);
        self.ready().await;
    }

    /// Kills the server while a write waits for its answer. Returns the write's result.
    pub async fn killed_by<T>(&mut self, cluster: &Cluster, write: impl Future<Output = T>) -> T {
        self.process.pause();
        // The metric shows the maximum of the last second.
        eventually("no other write waits", async || {
            match cluster.writes_that_wait().await {
                0 => Ok(()),
                count => Err(count),
            }
        })
        .await;
        let killed = async {
            eventually("the write waits", async || {
                match cluster.writes_that_wait().await {
                    0 => Err("it does not"),
                    _ => Ok(()),
                }
            })
            .await;
            self.process.kill();
        };
        join(write, killed).await.0
    }

    /// Waits until the server is ready.
    pub async fn ready(&mut self) {
        let address = format!("{}/readyz", self.observe);
        let process = &mut self.process;
        eventually("the webhook is ready", async || {
            process.is_running();
            match fetch(&address).await {
                Ok((200, _)) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }

    /// The value of a metric with these labels, in the scrape's spelling; 0 if it is absent.
    pub async fn counted(&self, sample: &str) -> f64 {
        let (_, text) = fetch(&format!("{}/metrics", self.observe))
            .await
            .expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(sample));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or_default()
    }
}

/// Status and text of a plain GET.
///
/// # Errors
/// A message, if the server does not answer.
pub async fn fetch(url: &str) -> Result<(u16, String), String> {
    use http_body_util::{BodyExt, Empty};
    let connector = hyper_util::client::legacy::connect::HttpConnector::new();
    let executor = hyper_util::rt::TokioExecutor::new();
    let client = hyper_util::client::legacy::Client::builder(executor)
        .build::<_, Empty<hyper::body::Bytes>>(connector);
    let answer = client
        .get(url.parse().expect("a URL"))
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
