//! A certificate authority: its certificate and its key.

use std::fmt;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::parse_x509_certificate;

use crate::{Certificate, Error, Identity, Life, Terms};

/// A certificate authority. The key shows in [`Authority::key_pem`] alone.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(now: SystemTime, terms: &Terms) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        name(&mut params, "fluxkeep authority");
        limit(
            &mut params,
            Life {
                not_before: now - terms.skew,
                not_after: now + terms.authority,
            },
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Self::of(certificate.der(), key, "the authority made here")
    }

    /// Reads certificate and key in PEM; `origin` names them in errors.
    ///
    /// # Errors
    /// When one of them is missing, they do not fit each other, or the certificate is no authority's.
    pub fn read(certificate: &[u8], key: &[u8], origin: &str) -> Result<Self, Error> {
        let missing = |wanted| Error::NotPem {
            origin: origin.to_owned(),
            wanted,
        };
        let certificate =
            CertificateDer::from_pem_slice(certificate).map_err(|_| missing("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| missing("private key"))?;
        // What rcgen says of a key could quote it.
        let key = KeyPair::try_from(&key).map_err(|_| missing("private key"))?;
        Self::of(&certificate, key, origin)
    }

    fn of(der: &CertificateDer<'_>, key: KeyPair, origin: &str) -> Result<Self, Error> {
        let unusable = |reason: &str| Error::Unusable {
            origin: origin.to_owned(),
            reason: reason.to_owned(),
        };
        let (_, x509) =
            parse_x509_certificate(der).map_err(|_| unusable("no X.509 certificate"))?;
        if !x509.is_ca() {
            return Err(unusable("the certificate is no authority's"));
        }
        if x509.public_key().raw != key.subject_public_key_info() {
            return Err(unusable("the key is another one's"));
        }
        let certificate = Certificate::of(der).ok_or_else(|| unusable("no X.509 certificate"))?;
        Ok(Self {
            certificate,
            issuer: Issuer::from_ca_cert_der(der, key)?,
        })
    }

    /// What clients have to trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key in PEM. For the place where the authority is kept, and nowhere else.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes a serving certificate for these DNS names and IP addresses. It does not outlive its
    /// authority: once the authority's life is over, no leaf needs it.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn leaf(
        &self,
        names: &[String],
        now: SystemTime,
        terms: &Terms,
    ) -> Result<Identity, Error> {
        let mut params = CertificateParams::new(names)?;
        name(&mut params, "fluxkeep");
        let not_after = self.certificate.life().not_after.min(now + terms.leaf);
        limit(
            &mut params,
            Life {
                not_before: now - terms.skew,
                not_after,
            },
        );
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Identity::new(
            vec![certificate.der().clone()],
            der,
            "the certificate made here",
        )
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority")
            .field("life", &self.certificate.life())
            .finish_non_exhaustive()
    }
}

fn name(params: &mut CertificateParams, common_name: &str) {
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
}

/// rcgen's own default is 1975 to 4096.
fn limit(params: &mut CertificateParams, life: Life) {
    params.not_before = OffsetDateTime::from(life.not_before);
    params.not_after = OffsetDateTime::from(life.not_after);
}
