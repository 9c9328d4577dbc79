//! A certificate chain with its key.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

use crate::certificate;
use crate::{Error, Life};

/// A certificate chain with its first certificate's key. The key is never shown.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    life: Life,
}

impl Identity {
    /// Parses a chain and a key in PEM; `origin` names them in errors.
    ///
    /// # Errors
    /// If one is missing or they do not match. An expired certificate is accepted; its server
    /// reports the expiry.
    pub fn from_pem(certificates: &[u8], key: &[u8], origin: &str) -> Result<Self, Error> {
        let missing = |wanted| Error::NotPem {
            origin: origin.to_owned(),
            wanted,
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|_| missing("certificate"))?;
        if chain.is_empty() {
            return Err(missing("certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| missing("private key"))?;
        Self::new(chain, key, origin)
    }

    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        origin: &str,
    ) -> Result<Self, Error> {
        let unusable = |reason: String| Error::Unusable {
            origin: origin.to_owned(),
            reason,
        };
        let life =
            life(&chain).ok_or_else(|| unusable("it is not an X.509 certificate".to_owned()))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| {
                unusable(format!("{error}; the key must match the first certificate"))
            })?;
        Ok(Self {
            certified: Arc::new(certified),
            life,
        })
    }

    /// The validity of the first certificate.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

fn life(chain: &[CertificateDer<'_>]) -> Option<Life> {
    let (_, certificate) = parse_x509_certificate(chain.first()?).ok()?;
    Some(certificate::life(&certificate))
}
