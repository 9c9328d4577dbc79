//! Service accounts: kubeconfigs with a real token of theirs, and the account of fluxkeep with no
//! more rights than its documentation names.

use std::path::PathBuf;

use fluxkeep::policy::Policy;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_webhook::events;
use fluxkeep_webhook::registration::rights;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{Cluster, ControlPlane, eventually};
use crate::flux::HOME;

/// The name of fluxkeep's account and roles, and of the namespace that it lives in.
const NAME: &str = "fluxkeep";

impl ControlPlane {
    /// A kubeconfig of a service account that the cluster already has.
    pub async fn account(&self, cluster: &Cluster, namespace: &str, name: &str) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec::default(),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await;
        let token = answer
            .expect("the account is there")
            .status
            .expect("a token")
            .token;
        self.credentials
            .kubeconfig(&format!("{name}.kubeconfig"), self.port, Some(&token))
    }

    /// A kubeconfig of fluxkeep's account, which is made, with the rights that its documentation names.
    pub async fn own_account(&self, cluster: &Cluster) -> PathBuf {
        self.own_account_with(
            cluster,
            &[cluster_rules(&RULES), rights(&Policy::default())].concat(),
            &engine_rules(&RULES),
        )
        .await
    }

    /// The same with these rights in all of the cluster and in the engine's namespace, which is there.
    pub async fn own_account_with(
        &self,
        cluster: &Cluster,
        everywhere: &[PolicyRule],
        inside: &[PolicyRule],
    ) -> PathBuf {
        cluster.namespace(NAME).await;
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": NAME}});
        cluster.apply_all(&[account]).await;
        cluster.grant("ClusterRole", NAME, everywhere).await;
        cluster.grant("Role", NAME, inside).await;
        self.account(cluster, NAME, NAME).await
    }
}

impl Cluster {
    /// Lets fluxkeep's account tell of refusals.
    pub async fn may_be_told(&self) {
        self.grant("ClusterRole", "fluxkeep-events", &events::rights())
            .await;
    }

    /// Binds fluxkeep's account to a role with these rules, and waits until that counts.
    async fn grant(&self, kind: &str, name: &str, rules: &[PolicyRule]) {
        self.apply_all(&granted(kind, name, rules)).await;
        for rule in rules {
            self.until_may(rule, true).await;
        }
    }

    /// Waits until fluxkeep's account may do what a rule says, or no longer may: the apiserver takes up
    /// roles and bindings by itself, a moment after they were written.
    pub async fn until_may(&self, rule: &PolicyRule, may: bool) {
        let of = |list: &Option<Vec<String>>| {
            list.as_ref()
                .and_then(|list| list.first())
                .cloned()
                .unwrap_or_default()
        };
        let what = json!({"group": of(&rule.api_groups), "resource": of(&rule.resources), "verb": rule.verbs.first(),
            "namespace": HOME, "name": of(&rule.resource_names)});
        self.until_allowed(NAME, &what, may).await;
    }

    /// The same of the service account that is called as its namespace is, and of one thing to do.
    pub async fn until_allowed(&self, name: &str, what: &Value, allowed: bool) {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": format!("system:serviceaccount:{name}:{name}"), "resourceAttributes": what}});
        eventually(&format!("{name} may ({allowed}): {what}"), async || {
            let answer = self
                .create(&review)
                .await
                .map_err(|error| error.to_string())?
                .data;
            if answer.pointer("/status/allowed") == Some(&json!(allowed)) {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
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
