//! A certificate chain with its key.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

use crate::Error;

/// A certificate chain and the key of its first certificate. The key never shows.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Identity {
    /// Reads a chain and a key in PEM; `origin` names them in errors.
    ///
    /// # Errors
    /// When one of them is missing, or when they do not fit each other. A certificate that has
    /// expired is taken: whoever serves it reports its end.
    pub fn from_pem(certificates: &[u8], key: &[u8], origin: &str) -> Result<Self, Error> {
        let missing = |wanted| Error::NotPem { origin: origin.to_owned(), wanted };
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
        let unusable = |reason: String| Error::Unusable { origin: origin.to_owned(), reason };
        let (not_before, not_after) = validity(&chain).ok_or_else(|| unusable("no X.509 certificate".to_owned()))?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map_err(|error| unusable(error.to_string()))?;
        Ok(Self { certified: Arc::new(certified), not_before, not_after })
    }

    /// When its certificate begins to be valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When its certificate ends to be valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

fn validity(chain: &[CertificateDer<'_>]) -> Option<(SystemTime, SystemTime)> {
    let (_, certificate) = parse_x509_certificate(chain.first()?).ok()?;
    let validity = certificate.validity();
    Some((moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp())))
}

fn moment(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let moment = if seconds < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    moment.unwrap_or(epoch)
}
