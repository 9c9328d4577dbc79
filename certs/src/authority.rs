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

/// A certificate authority. Only [`Authority::key_pem`] reveals the key.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// If the system gives no randomness.
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
        Self::of(certificate.der(), key, "the generated authority")
    }

    /// Parses certificate and key in PEM; `origin` names them in errors.
    ///
    /// # Errors
    /// If one is missing, they do not match, or the certificate is no authority's.
    pub fn read(certificate: &[u8], key: &[u8], origin: &str) -> Result<Self, Error> {
        let missing = |wanted| Error::NotPem {
            origin: origin.to_owned(),
            wanted,
        };
        let certificate =
            CertificateDer::from_pem_slice(certificate).map_err(|_| missing("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| missing("private key"))?;
        // rcgen's message could quote the key.
        let key = KeyPair::try_from(&key).map_err(|_| missing("private key"))?;
        Self::of(&certificate, key, origin)
    }

    fn of(der: &CertificateDer<'_>, key: KeyPair, origin: &str) -> Result<Self, Error> {
        let unusable = |reason: &str| Error::Unusable {
            origin: origin.to_owned(),
            reason: reason.to_owned(),
        };
        let (_, x509) =
            parse_x509_certificate(der).map_err(|_| unusable("it is not an X.509 certificate"))?;
        if !x509.is_ca() {
            return Err(unusable("the certificate is not a CA certificate"));
        }
        if x509.public_key().raw != key.subject_public_key_info() {
            return Err(unusable("the private key does not match the certificate"));
        }
        let certificate =
            Certificate::of(der).ok_or_else(|| unusable("it is not an X.509 certificate"))?;
        Ok(Self {
            certificate,
            issuer: Issuer::from_ca_cert_der(der, key)?,
        })
    }

    /// The certificate that clients have to trust.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The private key in PEM, for the authority's storage only.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// Makes a serving certificate for these DNS names and IP addresses. It expires with its
    /// authority at the latest, after which no leaf needs the authority.
    ///
    /// # Errors
    /// If a name is not allowed in a certificate.
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
            "the generated certificate",
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

/// Sets the validity; rcgen's default is 1975 to 4096.
fn limit(params: &mut CertificateParams, life: Life) {
    params.not_before = OffsetDateTime::from(life.not_before);
    params.not_after = OffsetDateTime::from(life.not_after);
}
