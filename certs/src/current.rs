//! The certificate that is being served.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::{Error, Identity, Verifier};

/// Gives the latest identity to each new connection; none before the first is set.
#[derive(Debug, Default)]
pub struct Current {
    identity: RwLock<Option<Identity>>,
}

impl Current {
    /// Serves this identity until another replaces it.
    #[must_use]
    pub fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            identity: RwLock::new(Some(identity)),
        })
    }

    /// Serves another identity from the next connection on.
    pub fn swap(&self, identity: Identity) {
        *self
            .identity
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    /// The identity that is served; without one, handshakes fail.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.identity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.identity().map(|identity| identity.certified)
    }
}

/// Configures TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1. With a verifier, callers need certificates.
///
/// # Errors
/// If the crypto provider lacks support for TLS 1.2 or 1.3.
pub fn server_config(
    current: Arc<Current>,
    clients: Option<Verifier>,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| Error::Unusable {
        origin: "the TLS provider".to_owned(),
        reason: error.to_string(),
    })?;
    let authenticated = match clients {
        Some(verifier) => versions.with_client_cert_verifier(verifier),
        None => versions.with_no_client_auth(),
    };
    let mut config = authenticated.with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
