//! The server in this process, as one of several replicas.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep_certs::{Certificate, Terms};
use fluxkeep_cluster::Snapshot;
use fluxkeep_tests::control_plane::eventually;
use fluxkeep_webhook::{AuthorityStore, Bound, REGISTRATION, Settings};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::stage::{NAMESPACE, SECRET, Stage};

/// A replica in this process; it ends with the test.
pub(crate) struct Replica {
    pub(crate) admission: SocketAddr,
    observe: SocketAddr,
    task: JoinHandle<()>,
}

impl Replica {
    pub(crate) async fn start(stage: &Stage, terms: Terms) -> Self {
        Self::with(stage, terms, |_| {}).await
    }

    /// Starts a replica with changed settings.
    pub(crate) async fn with(
        stage: &Stage,
        terms: Terms,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let kubeconfig = Kubeconfig::read_from(&stage.kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        let secret = format!("{NAMESPACE}/{SECRET}").parse().unwrap();
        let mut place =
            AuthorityStore::new(Client::try_from(config).unwrap(), secret, REGISTRATION);
        place.terms = terms;
        let mut settings = Settings {
            place: Some(place),
            ..Settings::loopback()
        };
        settings.limits.tick = Duration::from_millis(100);
        change(&mut settings);
        let bound = Bound::bind(settings, Arc::new(Snapshot::built_in().unwrap()))
            .await
            .unwrap();
        let (admission, observe) = (
            bound.admission_address().unwrap(),
            bound.observe_address().unwrap(),
        );
        let task = tokio::spawn(async move { bound.serve(pending()).await.unwrap() });
        Self {
            admission,
            observe,
            task,
        }
    }

    pub(crate) async fn ready(&self) {
        eventually("the replica is ready", async || {
            let answer = self.observe("/readyz").await;
            if answer.starts_with("HTTP/1.1 200") {
                Ok(())
            } else {
                Err(answer)
            }
        })
        .await;
    }

    /// The value of a metric with these labels.
    pub(crate) async fn counted(&self, sample: &str) -> u64 {
        let text = self.observe("/metrics").await;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(sample))
            .expect(sample);
        value.trim().parse().unwrap()
    }

    async fn observe(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.observe).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Succeeds if a client that trusts only this authority accepts the server's certificate.
pub(crate) async fn is_issued_by(
    server: SocketAddr,
    authority: &Certificate,
) -> std::io::Result<()> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(server).await?;
    TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("127.0.0.1").unwrap(), stream)
        .await
        .map(drop)
}
