//! Verification of callers' certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::Error;

/// Verifies callers' certificates.
pub type Verifier = Arc<dyn ClientCertVerifier>;

/// A file with the authorities of callers, and its content at the last successful look.
#[derive(Debug)]
pub struct Clients {
    path: PathBuf,
    name: Option<String>,
    taken: Vec<u8>,
}

impl Clients {
    /// Reads the file: certificates in PEM. If `name` is given, a caller's certificate must carry
    /// it as common name or DNS name.
    ///
    /// # Errors
    /// If the file is missing or has no usable authority certificate.
    pub fn load(path: &Path, name: Option<&str>) -> Result<(Self, Verifier), Error> {
        let mut clients = Self {
            path: path.to_owned(),
            name: name.map(str::to_owned),
            taken: Vec::new(),
        };
        clients.taken = clients.read()?;
        let verifier = clients.verifier(&clients.taken)?;
        Ok((clients, verifier))
    }

    /// The new verifier, if the file changed.
    ///
    /// # Errors
    /// If the change is invalid. The former verifier stays in use, and the next look tries again.
    pub fn look(&mut self) -> Result<Option<Verifier>, Error> {
        let found = self.read()?;
        if found == self.taken {
            return Ok(None);
        }
        let verifier = self.verifier(&found)?;
        self.taken = found;
        Ok(Some(verifier))
    }

    fn read(&self) -> Result<Vec<u8>, Error> {
        std::fs::read(&self.path).map_err(|reason| Error::Authorities {
            path: self.path.clone(),
            reason,
        })
    }

    fn verifier(&self, pem: &[u8]) -> Result<Verifier, Error> {
        let origin = self.path.display().to_string();
        let missing = || Error::NotPem {
            origin: origin.clone(),
            wanted: "certificate",
        };
        let unusable = |reason: String| Error::Unusable {
            origin: origin.clone(),
            reason,
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| missing())?;
            roots
                .add(certificate)
                .map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(missing());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let name = self.name.clone();
        Ok(Arc::new(Named { chain, name }))
    }
}

/// Verifies a certificate by its chain, and by its name if one is required.
#[derive(Debug)]
struct Named {
    chain: Verifier,
    name: Option<String>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        match &self.name {
            Some(name) if !has_name(end_entity, name) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// True if the common name or a DNS name of the certificate equals `name`.
fn has_name(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok((_, certificate)) = parse_x509_certificate(certificate) else {
        return false;
    };
    for common_name in certificate.subject().iter_common_name() {
        if common_name.as_str().is_ok_and(|common| common == name) {
            return true;
        }
    }
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let mut names = names.value.general_names.iter();
    names.any(|one| matches!(one, GeneralName::DNSName(dns) if *dns == name))
}
