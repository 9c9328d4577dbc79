//! Certificates, tokens and kubeconfigs of a control plane.

use std::fs::{read_to_string, write};
use std::io::Write;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tempfile::NamedTempFile;

/// The token of the user `admin`, who has all rights.
const ADMIN: &str = "admin-of-a-test";

/// The credential files in a control plane's folder.
#[derive(Debug, Clone)]
pub struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Writes certificates for 127.0.0.1, the key of service accounts and the token of `admin`.
    #[must_use]
    pub fn write(folder: &Path) -> Self {
        let it = Self {
            folder: folder.to_owned(),
        };
        let (authority, certificate, key) = serving();
        write(it.authority(), authority).expect("a writable folder");
        write(it.file("tls.crt"), certificate).expect("a writable folder");
        write(it.file("tls.key"), key).expect("a writable folder");
        let accounts = KeyPair::generate().expect("randomness");
        write(it.file("accounts.key"), accounts.serialize_pem()).expect("a writable folder");
        write(it.file("accounts.pub"), accounts.public_key_pem()).expect("a writable folder");
        write(
            it.file("tokens.csv"),
            format!("{ADMIN},admin,admin,system:masters\n"),
        )
        .expect("a writable folder");
        it
    }

    /// The path of a credential file.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of the PEM certificate to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// The token of `admin`.
    #[must_use]
    pub fn token(&self) -> &'static str {
        ADMIN
    }

    /// Writes a kubeconfig with this token, or else with `admin`'s.
    #[must_use]
    pub fn kubeconfig(&self, name: &str, port: u16, token: Option<&str>) -> PathBuf {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"),
                "certificate-authority": self.authority()}}],
            "users": [{"name": "test", "user": {"token": token.unwrap_or(ADMIN)}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        let path = self.file(name);
        // Renamed into place, since tests with the same control plane read the file meanwhile.
        let mut file = NamedTempFile::new_in(&self.folder).expect("a writable folder");
        file.write_all(text.to_string().as_bytes())
            .expect("a writable folder");
        file.persist(&path).expect("a writable folder");
        path
    }

    /// The certificate to trust, in PEM.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        read_to_string(self.authority()).expect("what was written")
    }
}

/// An authority, and a certificate with its key for servers on loopback; all in PEM.
#[must_use]
pub fn serving() -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("randomness"))
        .expect("a certificate");
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"]
        .map(str::to_owned)
        .to_vec();
    let key = KeyPair::generate().expect("randomness");
    let leaf = CertificateParams::new(names)
        .expect("names")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    (issuer.pem(), leaf.pem(), key.serialize_pem())
}
