use std::path::Path;
use std::time::Duration;

use fluxkeep_webhook::Settings;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::client::{Presented, Server, counted, deletion};

const NAME: &str = "front-proxy-client";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate signed by `authority`, with its key.
// Each caller builds `params` for this call.
#[allow(clippy::needless_pass_by_value)]
fn signed(authority: &Authority, params: CertificateParams) -> Presented {
    let key = KeyPair::generate().unwrap();
    let pem = params.signed_by(&key, authority).unwrap().pem();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    (vec![certificate], key)
}

fn common_name(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn dns_name(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn expired(name: &str) -> CertificateParams {
    let mut params = common_name(name);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    params
}

fn write(folder: &TempDir, authority: &Authority) -> std::path::PathBuf {
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, authority.pem()).unwrap();
    path
}

async fn server(path: &Path, name: Option<&str>) -> Server {
    let mut settings = Settings::loopback();
    settings.client_ca = Some(path.to_owned());
    settings.client_name = name.map(str::to_owned);
    settings.limits.tick = Duration::from_millis(5);
    settings.limits.linger = Duration::ZERO;
    Server::with(settings).await
}

/// True if a caller with this certificate gets an answer.
async fn is_answered(server: &Server, presented: Option<&Presented>) -> bool {
    let answered = server.try_review(presented, deletion("source-controller"));
    match answered.await {
        Some(answer) => {
            assert_eq!(answer.response()["allowed"], false);
            true
        }
        None => false,
    }
}

#[tokio::test]
async fn a_caller_is_answered_with_a_certificate_of_the_authority_and_else_refused_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let server = server(&write(&folder, &ours), Some(NAME)).await;
    for params in [common_name(NAME), dns_name(NAME)] {
        assert!(is_answered(&server, Some(&signed(&ours, params))).await);
    }
    let cases = [
        ("no-certificate", None),
        ("untrusted", Some(signed(&theirs, common_name(NAME)))),
        ("expired", Some(signed(&ours, expired(NAME)))),
        ("other-name", Some(signed(&ours, common_name("kubelet")))),
    ];
    for (reason, presented) in cases {
        let labels = format!(r#"{{reason="{reason}"}}"#);
        let metric = format!("fluxkeep_client_certificates_refused_total{labels}");
        counted(&server, &format!("{metric} 0")).await;
        assert!(!is_answered(&server, presented.as_ref()).await, "{reason}");
        counted(&server, &format!("{metric} 1")).await;
    }
    assert_eq!(server.observe("/livez").await.status, 200);
}

#[tokio::test]
async fn without_a_name_any_certificate_of_the_authority_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority("ours");
    let server = server(&write(&folder, &ours), None).await;
    assert!(is_answered(&server, Some(&signed(&ours, common_name("kubelet")))).await);
    assert!(!is_answered(&server, None).await);
}

#[tokio::test]
async fn a_new_authority_counts_from_the_next_connection_on_and_twice() {
    let folder = tempfile::tempdir().unwrap();
    let authorities = ["first", "second", "third"].map(authority);
    let server = server(&write(&folder, &authorities[0]), None).await;
    for (count, now) in authorities.iter().enumerate() {
        write(&folder, now);
        let labels = r#"{certificate="clients",result="success"}"#;
        let line = format!("fluxkeep_certificate_rotations_total{labels} {count}");
        counted(&server, &line).await;
        for (other, signing) in authorities.iter().enumerate() {
            let presented = signed(signing, common_name(NAME));
            let expected = other == count;
            assert_eq!(is_answered(&server, Some(&presented)).await, expected);
        }
    }
}
