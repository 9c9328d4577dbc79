//! A cluster that asks replicas for admission, and replicas with only the rights that the guide names.

use std::net::SocketAddr;
use std::path::PathBuf;

use fluxkeep_certs::{Authorities, Bundle};
use fluxkeep_tests::control_plane::{Cluster, ControlPlane};
use fluxkeep_webhook::REGISTRATION;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Webhooks per configuration. The apiserver opens connections for each webhook, and new ones after
/// each change of a bundle, which causes many handshakes.
pub(crate) const WEBHOOKS: usize = 12;
pub(crate) const NAMESPACE: &str = "fluxkeep";
pub(crate) const SECRET: &str = "authority";

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    /// A replica's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// The addresses that get connections in turn; a change cuts existing connections.
    pub(crate) behind: watch::Sender<Vec<SocketAddr>>,
    ports: Vec<u16>,
}

impl Stage {
    pub(crate) async fn set(plane: &ControlPlane, test: &str) -> Self {
        let cluster = plane.cluster(test).await;
        let (behind, replicas) = watch::channel(Vec::new());
        let mut ports = Vec::new();
        for _ in 0..WEBHOOKS {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            tokio::spawn(send_on(listener, replicas.clone()));
        }
        cluster.namespace(NAMESPACE).await;
        cluster.apply_all(&rights()).await;
        let configuration = json!({"group": "admissionregistration.k8s.io", "verb": "patch", "name": REGISTRATION,
            "resource": "validatingwebhookconfigurations"});
        let secret = json!({"resource": "secrets", "verb": "update", "namespace": NAMESPACE, "name": SECRET});
        for what in [configuration, secret] {
            cluster.until_allowed(NAMESPACE, &what, true).await;
        }
        let token = token(&cluster.client).await;
        let kubeconfig =
            plane
                .credentials
                .kubeconfig("replica.kubeconfig", plane.port, Some(&token));
        let stage = Self {
            cluster,
            kubeconfig,
            behind,
            ports,
        };
        stage.register(WEBHOOKS).await;
        stage
    }

    /// Applies both configurations with this number of webhooks, as a registering user would.
    pub(crate) async fn register(&self, webhooks: usize) {
        for (kind, path) in [
            ("MutatingWebhookConfiguration", "mutate"),
            ("ValidatingWebhookConfiguration", "validate"),
        ] {
            let webhook = |(index, port): (usize, &u16)| {
                json!({
                    "name": format!("load-{index}.fluxkeep.io"),
                    "clientConfig": {"url": format!("https://127.0.0.1:{port}/{path}")},
                    "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}],
                    "matchConditions": [{"name": "mine", "expression": format!("object.metadata.name == 'load-{index}'")}],
                    "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                })
            };
            let webhooks: Vec<Value> = self
                .ports
                .iter()
                .enumerate()
                .take(webhooks)
                .map(webhook)
                .collect();
            let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                "metadata": {"name": REGISTRATION}, "webhooks": webhooks});
            self.cluster.apply_all(&[configuration]).await;
        }
    }

    /// The trusted bundles, one per webhook of the validating configuration.
    pub(crate) async fn bundles(&self) -> Vec<Bundle> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.cluster.client.clone());
        let found = api.get_opt(REGISTRATION).await.unwrap();
        let webhooks = found.and_then(|found| found.webhooks).unwrap_or_default();
        let bundle =
            |webhook: ValidatingWebhook| webhook.client_config.ca_bundle.unwrap_or_default();
        webhooks
            .into_iter()
            .map(|webhook| Bundle::read(&bundle(webhook).0))
            .collect()
    }

    /// Deletes the validating configuration.
    pub(crate) async fn unregister(&self) {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.cluster.client.clone());
        api.delete(REGISTRATION, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub(crate) async fn authorities(&self) -> Authorities {
        let secret = self.secrets().get(SECRET).await.unwrap();
        let data = secret
            .data
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name, value.0));
        let (authorities, unusable) = Authorities::read(&data.collect(), SECRET);
        assert!(unusable.is_empty(), "{unusable:?}");
        authorities
    }

    /// Stores the authorities in the Secret, as a replica would.
    pub(crate) async fn keep(&self, authorities: &Authorities) {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "fluxkeep.io/authority",
            "metadata": {"name": SECRET, "namespace": NAMESPACE}, "stringData": authorities.data()});
        let patch = PatchParams::apply("a-test").force();
        self.secrets()
            .patch(SECRET, &patch, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.cluster.client.clone(), NAMESPACE)
    }
}

/// The rights in docs/operate.md: one Secret, two configurations.
fn rights() -> Vec<Value> {
    let may = |group: &str, resources: &[&str], name: Option<&str>, verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs, "resourceNames": name.as_slice()});
    let configurations = [
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
    ];
    let role = [
        may("", &["secrets"], Some(SECRET), &["get", "update"]),
        may("", &["secrets"], None, &["create"]),
    ];
    let cluster = [may(
        "admissionregistration.k8s.io",
        &configurations,
        Some(REGISTRATION),
        &["get", "patch"],
    )];
    let metadata = json!({"name": NAMESPACE, "namespace": NAMESPACE});
    let group = "rbac.authorization.k8s.io";
    let api_version = "rbac.authorization.k8s.io/v1";
    let subjects = json!([{"kind": "ServiceAccount", "name": NAMESPACE, "namespace": NAMESPACE}]);
    let to = |kind: &str| json!({"apiGroup": group, "kind": kind, "name": NAMESPACE});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({"apiVersion": api_version, "kind": "Role", "metadata": metadata, "rules": role}),
        json!({"apiVersion": api_version, "kind": "RoleBinding", "metadata": metadata, "subjects": subjects, "roleRef": to("Role")}),
        json!({"apiVersion": api_version, "kind": "ClusterRole", "metadata": {"name": NAMESPACE}, "rules": cluster}),
        json!({"apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": {"name": NAMESPACE},
            "subjects": subjects, "roleRef": to("ClusterRole")}),
    ]
}

async fn token(client: &Client) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec::default(),
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(NAMESPACE, &PostParams::default(), &request)
        .await
        .unwrap();
    made.status.unwrap().token
}

/// Forwards each connection to the next replica, until the addresses change.
async fn send_on(listener: TcpListener, mut moved: watch::Receiver<Vec<SocketAddr>>) {
    for turn in 0.. {
        let (mut near, _) = listener.accept().await.unwrap();
        let replicas = moved
            .wait_for(|replicas| !replicas.is_empty())
            .await
            .unwrap()
            .clone();
        let replica = replicas[turn % replicas.len()];
        let mut moved = moved.clone();
        tokio::spawn(async move {
            let mut far = TcpStream::connect(replica).await.unwrap();
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = moved.changed() => {}
            }
        });
    }
}
