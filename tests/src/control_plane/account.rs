//! Service accounts: kubeconfigs with real tokens, and fluxkeep's account with exactly the rights
//! that its documentation names.

use std::path::PathBuf;

use fluxkeep::case::policy::Policy;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::rbac::{cluster_rules, engine_rules};
use fluxkeep_webhook::registration::rights;
use fluxkeep_webhook::{events, recovery};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{Cluster, ControlPlane, eventually};
use crate::flux::HOME;

/// The name of fluxkeep's account, its roles and its namespace.
const NAME: &str = "fluxkeep";

impl ControlPlane {
    /// A kubeconfig for an existing service account.
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

    /// Creates fluxkeep's account with its documented rights; returns the account's kubeconfig.
    pub async fn own_account(&self, cluster: &Cluster) -> PathBuf {
        self.own_account_with(
            cluster,
            &[cluster_rules(&RULES), rights(&Policy::default())].concat(),
            &engine_rules(&RULES),
        )
        .await
    }

    /// As [`Self::own_account`], with these rights cluster-wide and in the engine's namespace.
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
    /// Grants fluxkeep's account the rights to write Events.
    pub async fn may_be_told(&self) {
        self.grant("ClusterRole", "fluxkeep-events", &events::rights())
            .await;
    }

    /// Grants fluxkeep's account the rights to keep recovery points in its own namespace.
    pub async fn may_keep_points(&self) {
        self.grant(
            "ClusterRole",
            "fluxkeep-recovery",
            &recovery::engine_rights(),
        )
        .await;
        let right = recovery::store_rights(HOME);
        let rules = std::slice::from_ref(&right);
        self.apply_all(&granted("Role", NAME, "fluxkeep-points", rules))
            .await;
        let what = json!({"resource": "configmaps", "verb": "patch", "namespace": NAME,
            "name": right.resource_names.unwrap_or_default().first()});
        self.until_allowed(NAME, &what, true).await;
    }

    /// Binds fluxkeep's account to a role with these rules, and waits until the rights apply.
    async fn grant(&self, kind: &str, name: &str, rules: &[PolicyRule]) {
        self.apply_all(&granted(kind, HOME, name, rules)).await;
        for rule in rules {
            self.until_may(rule, true).await;
        }
    }

    /// Waits until fluxkeep's account has or lacks the right in a rule. The apiserver notices
    /// changed roles and bindings a moment late.
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

    /// As [`Self::until_may`], for one right of the service account named like its namespace.
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

/// A role with its binding; a `Role` lives in this namespace.
fn granted(kind: &str, namespace: &str, name: &str, rules: &[PolicyRule]) -> [Value; 2] {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let mut about = json!({"name": name});
    if kind == "Role" {
        about = json!({"name": name, "namespace": namespace});
    }
    let role = json!({"apiVersion": version, "kind": kind, "metadata": about, "rules": rules});
    let binding = json!({"apiVersion": version, "kind": format!("{kind}Binding"), "metadata": about,
        "roleRef": {"apiGroup": group, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAME}]});
    [role, binding]
}
