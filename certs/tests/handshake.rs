//! Certificates over a real TLS handshake.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fluxkeep_certs::{Authority, Current, Error, Files, Identity, Terms, server_config};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate with its key in PEM, made as cert-manager would.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["fluxkeep.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The leaf that a client receives from `current`, if it trusts `authority`.
async fn leaf(current: &Arc<Current>, authority: &str, name: &str) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(current.clone(), None).unwrap()));
    let (near, far) = tokio::io::duplex(16 << 10);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (stream, _) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    let stream = stream?;
    Ok(stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap()
        .first()
        .unwrap()
        .to_vec())
}

fn write(directory: &Path, pair: &(String, String)) {
    std::fs::write(directory.join("tls.crt"), &pair.0).unwrap();
    std::fs::write(directory.join("tls.key"), &pair.1).unwrap();
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_reaches_every_name_of_the_leaf() {
    let authority = Authority::new(SystemTime::now(), &Terms::default()).unwrap();
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let current = Current::new(
        authority
            .leaf(&names, SystemTime::now(), &Terms::default())
            .unwrap(),
    );
    let pem = authority.certificate().pem();
    leaf(&current, &pem, "localhost").await.unwrap();
    leaf(&current, &pem, "127.0.0.1").await.unwrap();
    assert!(leaf(&current, &pem, "example.org").await.is_err());
    let stranger = Authority::new(SystemTime::now(), &Terms::default())
        .unwrap()
        .certificate()
        .pem();
    assert!(leaf(&current, &stranger, "localhost").await.is_err());
}

#[tokio::test]
async fn the_next_connection_after_a_swap_sees_the_new_leaf() {
    let authority = Authority::new(SystemTime::now(), &Terms::default()).unwrap();
    let make = || {
        authority
            .leaf(
                &["localhost".to_owned()],
                SystemTime::now(),
                &Terms::default(),
            )
            .unwrap()
    };
    let current = Current::new(make());
    let pem = authority.certificate().pem();
    let first = leaf(&current, &pem, "localhost").await.unwrap();
    current.swap(make());
    assert_ne!(leaf(&current, &pem, "localhost").await.unwrap(), first);
}

#[tokio::test]
async fn two_rotations_through_kubelets_symbolic_link_are_both_seen() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("..data");
    let rotate = |name: &str, pair: &(String, String)| {
        let version = root.path().join(name);
        std::fs::create_dir(&version).unwrap();
        write(&version, pair);
        symlink(name, root.path().join("..tmp")).unwrap();
        std::fs::rename(root.path().join("..tmp"), &data).unwrap();
    };
    let pairs = [pair(), pair(), pair()];
    rotate("..1", &pairs[0]);
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), root.path().join(name)).unwrap();
    }
    let (mut files, identity) = Files::load(root.path()).unwrap();
    let current = Current::new(identity);
    assert!(files.look().unwrap().is_none(), "nothing changed");
    for (name, pair) in [("..2", &pairs[1]), ("..3", &pairs[2])] {
        rotate(name, pair);
        current.swap(files.look().unwrap().expect("a new identity"));
        leaf(&current, &pair.0, "fluxkeep.test").await.unwrap();
        assert!(files.look().unwrap().is_none(), "it is taken once");
    }
}

#[test]
fn a_pair_that_does_not_fit_is_refused_and_the_old_one_stays() {
    let root = tempfile::tempdir().unwrap();
    let (old, new) = (pair(), pair());
    write(root.path(), &old);
    let (mut files, _) = Files::load(root.path()).unwrap();
    std::fs::write(root.path().join("tls.crt"), &new.0).unwrap();
    let error = files.look().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the key must match the first certificate"),
        "{error}"
    );
    std::fs::write(root.path().join("tls.key"), &new.1).unwrap();
    assert!(
        files.look().unwrap().is_some(),
        "half of a rotation is no end"
    );
}

#[test]
fn what_is_missing_is_named() {
    let root = tempfile::tempdir().unwrap();
    let error = Files::load(root.path()).unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
    let (certificate, key) = pair();
    for (chain, key) in [
        ("", key.as_str()),
        (&certificate, ""),
        (&certificate, "hello"),
        ("junk", "junk"),
    ] {
        let error = Identity::from_pem(chain.as_bytes(), key.as_bytes(), "here").unwrap_err();
        assert!(matches!(error, Error::NotPem { .. }), "{error}");
    }
}

#[test]
fn a_leaf_is_valid_for_months_and_not_for_millennia() {
    let now = SystemTime::now();
    let leaf = Authority::new(now, &Terms::default())
        .unwrap()
        .leaf(&["localhost".to_owned()], now, &Terms::default())
        .unwrap();
    assert!(leaf.life().not_before < now && leaf.life().not_before > now - Duration::from_hours(2));
    assert!(leaf.life().not_after > now + Duration::from_hours(30 * 24));
    assert!(leaf.life().not_after < now + Duration::from_hours(366 * 24));
}

#[test]
fn no_key_shows_in_debug_output_or_errors() {
    let (certificate, key) = pair();
    let secret = key.lines().nth(1).unwrap().to_owned();
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes(), "here").unwrap();
    assert!(!format!("{identity:?}").contains(&secret));
    let error = Identity::from_pem(pair().0.as_bytes(), key.as_bytes(), "here").unwrap_err();
    assert!(!format!("{error:?} {error}").contains(&secret));
}
