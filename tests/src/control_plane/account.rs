//! Service accounts: kubeconfigs with a real token of theirs, and the account of fluxkeep with no
//! more rights than its documentation names.

use std::path::PathBuf;

use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_webhook::events;
use fluxkeep_webhook::registration::rights;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{Cluster, ControlPlane};
use crate::flux::HOME;

/// The name of fluxkeep's account and roles, and of the namespace that it lives in.
const NAME: &str = "fluxkeep";

impl ControlPlane {
    /// A kubeconfig of a service account that the cluster already has.
    pub async fn account(&self, cluster: &Cluster, namespace: &str, name: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let token = answer.expect("the account is there").status.expect("a token").token;
        self.credentials.kubeconfig(&format!("{name}.kubeconfig"), self.port, Some(&token))
    }

    /// A kubeconfig of fluxkeep's account, which is made.
    pub async fn own_account(&self, cluster: &Cluster) -> PathBuf {
        cluster.namespace(NAME).await;
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": NAME}});
        cluster.apply_all(&[account]).await;
        cluster.apply_all(&granted("ClusterRole", NAME, &[cluster_rules(&RULES), rights()].concat())).await;
        cluster.apply_all(&granted("Role", NAME, &engine_rules(&RULES))).await;
        self.account(cluster, NAME, NAME).await
    }
}

impl Cluster {
    /// Lets fluxkeep's account tell of refusals.
    pub async fn may_be_told(&self) {
        self.apply_all(&granted("ClusterRole", "fluxkeep-events", &events::rights())).await;
    }
}

/// A role in the engine's namespace or in none, and its binding.
fn granted(kind: &str, name: &str, rules: &[PolicyRule]) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let mut about = json!({"name": name});
    if kind == "Role" {
        about = json!({"name": name, "namespace": HOME});
    }
    let role = json!({"apiVersion": version, "kind": kind, "metadata": about, "rules": rules});
    let binding = json!({"apiVersion": version, "kind": format!("{kind}Binding"), "metadata": about,
        "roleRef": {"apiGroup": group, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAME}]});
    [role, binding]
}
