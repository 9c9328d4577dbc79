//! Required client certificates: the apiserver presents one, a pod does not.

use std::fs::{read_to_string, write};
use std::path::Path;

use fluxkeep_cli::client::{Client, Http};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane, Webhook, eventually, folder};
use kube::api::DeleteParams;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::objects::controller;
use crate::stage::{BY_WEBHOOK, said};

const NAME: &str = "front-proxy-client";

#[tokio::test(flavor = "multi_thread")]
async fn an_apiserver_that_presents_a_certificate_is_answered_and_a_pod_without_is_not() {
    let mut plane = ControlPlane::start().await;
    let cluster = plane.cluster("callers_with_a_certificate").await;
    cluster.namespace("flux-system").await;
    cluster.apply_all(&[controller(&json!({}))]).await;
    let files = folder("callers");
    write_certificates(&files);
    let authority = files.join("ca.crt");
    let arguments = [
        "--client-ca",
        authority.to_str().unwrap(),
        "--client-name",
        NAME,
    ];
    let webhook = Webhook::registered(&plane, arguments).await;

    let refused = r#"fluxkeep_client_certificates_refused_total{reason="no-certificate"}"#;
    until(&cluster, "failed calling webhook").await;
    assert!(
        webhook.counted(refused).await > 0.0,
        "the apiserver has none yet"
    );
    plane.apiserver_arguments = vec![admission_configuration(&files, &webhook)];
    plane.restart_apiserver().await;
    until(&cluster, BY_WEBHOOK).await;

    let before = webhook.counted(refused).await;
    let pod = Client::trusting(&webhook.authority, Http::One).unwrap();
    let url = format!("{}/validate", webhook.url.replace("127.0.0.1", "localhost"));
    let answer = pod.post(&url, "{}").await;
    assert!(answer.is_err(), "{answer:?}");
    assert!(webhook.counted(refused).await > before);
    let log = read_to_string(&webhook.process.log).unwrap();
    assert!(
        log.contains("refused a caller in the TLS handshake")
            && log.contains("the caller sent no certificate"),
        "{log}"
    );
}

/// Waits until a dry-run deletion of a controller has this answer.
async fn until(cluster: &Cluster, part: &str) {
    let controller = controller(&json!({}));
    let dry = DeleteParams::default().dry_run();
    eventually(
        &format!("a deletion is answered with {part:?}"),
        async || {
            let deployments = cluster.api(&controller).await;
            let said = said(deployments.delete("helm-controller", &dry).await);
            if said.contains(part) {
                Ok(())
            } else {
                Err(said)
            }
        },
    )
    .await;
}

/// Writes an authority, and the certificate and key that the apiserver presents.
fn write_certificates(files: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, NAME);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    write(files.join("ca.crt"), authority.pem()).unwrap();
    write(files.join("client.crt"), certificate.pem()).unwrap();
    write(files.join("client.key"), key.serialize_pem()).unwrap();
}

/// The apiserver's flag, with the files that docs/client-certificates.md describes.
fn admission_configuration(files: &Path, webhook: &Webhook) -> String {
    let host = webhook.url.trim_start_matches("https://");
    let user = json!({"client-certificate": files.join("client.crt"), "client-key": files.join("client.key")});
    let kubeconfig =
        json!({"apiVersion": "v1", "kind": "Config", "users": [{"name": host, "user": user}]});
    let kubeconfig_file = files.join("webhooks.kubeconfig");
    write(&kubeconfig_file, kubeconfig.to_string()).unwrap();
    let plugin = |name: &str| {
        let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "WebhookAdmissionConfiguration", "kubeConfigFile": kubeconfig_file});
        json!({"name": name, "configuration": configuration})
    };
    let plugins = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"].map(plugin);
    let configuration = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": plugins});
    let file = files.join("admission.yaml");
    write(&file, configuration.to_string()).unwrap();
    format!("--admission-control-config-file={}", file.display())
}
