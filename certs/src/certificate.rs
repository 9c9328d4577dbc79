//! Certificates of authorities without keys, alone and in bundles.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use crate::Life;

/// The certificate of an authority. Ordered by its validity, oldest first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    life: Life,
    der: Vec<u8>,
}

impl Certificate {
    /// `None` if the bytes are no certificate.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        Some(Self {
            life: life(&certificate),
            der: der.to_vec(),
        })
    }

    /// The certificate's validity.
    #[must_use]
    pub fn life(&self) -> Life {
        self.life
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        pem::encode_config(&Pem::new("CERTIFICATE", self.der.as_slice()), config)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// A set of certificates that clients trust.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle(BTreeSet<Certificate>);

impl Bundle {
    /// Parses PEM; anything but certificates is skipped.
    #[must_use]
    pub fn read(pem: &[u8]) -> Self {
        CertificateDer::pem_slice_iter(pem)
            .flatten()
            .filter_map(|der| Certificate::of(&der))
            .collect()
    }

    /// The bundle in PEM, oldest first, so that equal sets give equal texts.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.iter().map(Certificate::pem).collect()
    }

    /// True if the bundle contains the certificate.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.0.contains(certificate)
    }

    /// The certificates, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// The bundle without expired certificates.
    #[must_use]
    pub(crate) fn living(mut self, now: SystemTime) -> Self {
        self.0.retain(|certificate| !certificate.life.is_over(now));
        self
    }

    /// The `count` newest certificates.
    #[must_use]
    pub(crate) fn newest(mut self, count: usize) -> Self {
        while self.0.len() > count {
            self.0.pop_first();
        }
        self
    }

    /// The union of both bundles.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl FromIterator<Certificate> for Bundle {
    fn from_iter<T: IntoIterator<Item = Certificate>>(certificates: T) -> Self {
        Self(certificates.into_iter().collect())
    }
}

pub(crate) fn life(certificate: &X509Certificate<'_>) -> Life {
    let validity = certificate.validity();
    let (not_before, not_after) = (
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    );
    Life {
        not_before: moment(not_before),
        not_after: moment(not_after),
    }
}

fn moment(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let moment = if seconds < 0 {
        epoch.checked_sub(distance)
    } else {
        epoch.checked_add(distance)
    };
    moment.unwrap_or(epoch)
}
