//! The TLS configuration for new connections, and the reasons why callers are refused.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fluxkeep_certs::{Current, Error, Verifier, server_config};
use rustls::{CertificateError, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Log at most one refused caller per period: all are counted, but they could flood the log.
const OFTEN: Duration = Duration::from_secs(1);

/// The current TLS configuration. Open connections keep theirs.
#[derive(Debug)]
pub(crate) struct Tls {
    current: Arc<Current>,
    config: RwLock<Arc<ServerConfig>>,
    logged: Mutex<Option<Instant>>,
}

impl Tls {
    /// Serves this identity. With a verifier, callers must present a certificate.
    ///
    /// # Errors
    /// If the crypto provider lacks what TLS needs.
    pub(crate) fn new(current: Arc<Current>, clients: Option<Verifier>) -> Result<Self, Error> {
        let config = server_config(current.clone(), clients)?;
        Ok(Self {
            current,
            config: RwLock::new(Arc::new(config)),
            logged: Mutex::default(),
        })
    }

    /// Checks callers against other authorities from the next connection on.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub(crate) fn trust(&self, clients: Verifier) -> Result<(), Error> {
        // Sessions of the former configuration cannot be resumed in this one.
        let config = server_config(self.current.clone(), Some(clients))?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        Ok(())
    }

    /// The acceptor for a handshake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(config.clone())
    }

    /// True if no caller was logged within the last second; marks the caller as logged.
    pub(crate) fn is_to_be_logged(&self) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_some_and(|at| at.elapsed() < OFTEN) {
            return false;
        }
        *logged = Some(Instant::now());
        true
    }
}

/// The reason why a caller was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    NoCertificate,
    Untrusted,
    Expired,
    OtherName,
}

impl Unknown {
    /// All reasons.
    pub(crate) const ALL: [Self; 4] = [
        Self::NoCertificate,
        Self::Untrusted,
        Self::Expired,
        Self::OtherName,
    ];

    /// Derives the reason from a failed handshake. `None` if it failed for another reason.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match error.get_ref()?.downcast_ref()? {
            rustls::Error::NoCertificatesPresented => Some(Self::NoCertificate),
            rustls::Error::InvalidCertificate(why) => Some(match why {
                CertificateError::ApplicationVerificationFailure => Self::OtherName,
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                _ => Self::Untrusted,
            }),
            _ => None,
        }
    }

    /// The reason's name in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::Untrusted => "untrusted",
            Self::Expired => "expired",
            Self::OtherName => "other-name",
        }
    }

    /// The reason in the log.
    pub(crate) const fn explained(self) -> &'static str {
        match self {
            Self::NoCertificate => {
                "the caller sent no certificate; give the apiserver one in --admission-control-config-file"
            }
            Self::Untrusted => "no CA in --client-ca issued the caller's certificate",
            Self::Expired => "the caller's certificate has expired or is not valid yet",
            Self::OtherName => "the caller's certificate does not carry the name in --client-name",
        }
    }
}
