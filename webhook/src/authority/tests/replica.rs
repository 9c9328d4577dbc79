//! A replica, and the apiserver's check of its certificate.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep_certs::{Current, server_config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::apiserver::Apiserver;
use crate::authority::AuthorityReconciler;
use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// A replica that looks when the test tells it to.
pub(super) struct Replica {
    pub(super) reconciler: AuthorityReconciler,
    pub(super) current: Arc<Current>,
    metrics: Arc<Metrics>,
    pub(super) readiness: Readiness,
}

impl Replica {
    pub(super) fn new(apiserver: &Apiserver) -> Self {
        let (current, metrics, readiness) = (
            Arc::<Current>::default(),
            Arc::<Metrics>::default(),
            Readiness::default(),
        );
        let (names, pending) = (
            vec!["localhost".to_owned()],
            readiness.wait_for("certificate"),
        );
        let reconciler = AuthorityReconciler::new(
            apiserver.place(),
            names,
            current.clone(),
            metrics.clone(),
            pending,
        );
        Self {
            reconciler,
            current,
            metrics,
            readiness,
        }
    }

    pub(super) async fn look(&mut self) {
        self.reconciler.look().await;
    }

    pub(super) fn counted(&self, certificate: &str, result: &str) -> u64 {
        let series = format!(
            r#"fluxkeep_certificate_rotations_total{{certificate="{certificate}",result="{result}"}} "#
        );
        self.metrics
            .encoded()
            .lines()
            .find_map(|line| line.strip_prefix(&series)?.parse().ok())
            .unwrap()
    }

    /// True if the apiserver accepts the served leaf through each of its webhooks.
    pub(super) async fn is_accepted(&self, apiserver: &Apiserver) -> bool {
        for bundle in apiserver.bundles().into_iter().collect::<BTreeSet<_>>() {
            if handshake(&self.current, &bundle, apiserver.now())
                .await
                .is_err()
            {
                return false;
            }
        }
        true
    }
}

#[derive(Debug)]
struct Clock(SystemTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        self.0
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .map(UnixTime::since_unix_epoch)
    }
}

async fn handshake(current: &Arc<Current>, bundle: &str, now: SystemTime) -> std::io::Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        CertificateDer::pem_slice_iter(bundle.as_bytes()).map(Result::unwrap),
    );
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_details(provider, Arc::new(Clock(now)));
    let client = client
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(current.clone(), None).unwrap()));
    let (near, far) = tokio::io::duplex(16 << 10);
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("localhost").unwrap();
    tokio::join!(connector.connect(name, near), acceptor.accept(far))
        .0
        .map(drop)
}
