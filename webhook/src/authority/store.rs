//! The objects that hold and trust an authority: a Secret and two webhook configurations.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use fluxkeep_certs::{Authorities, Bundle, Error, Terms};
use http::Method;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::ask;
use super::failure::Failure;

/// The name of both webhook configurations, mutating and validating.
pub const REGISTRATION: &str = "fluxkeep";
/// The type of Secrets that hold authorities. A Secret of another type is never written.
pub(super) const TYPE: &str = "fluxkeep.io/authority";
/// Field manager of the bundles, independent of the field manager of the registrations.
const MANAGER: &str = "fluxkeep-authority";
const GROUP: &str = "admissionregistration.k8s.io/v1";
const PLURALS: [&str; 2] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
];

/// A Secret's namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    namespace: String,
    name: String,
}

impl FromStr for SecretName {
    type Err = &'static str;

    /// Parses `NAMESPACE/NAME`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                })
            }
            _ => Err("expected NAMESPACE/NAME"),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secret {}/{}", self.namespace, self.name)
    }
}

/// The Secret that holds an authority and the webhook configurations that trust it.
#[derive(Clone)]
pub struct AuthorityStore {
    client: Client,
    secret: SecretName,
    registration: String,
    /// The lifetimes of certificates and the waiting times.
    pub terms: Terms,
}

impl fmt::Debug for AuthorityStore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secret,
            registration,
            ..
        } = self;
        out.debug_struct("AuthorityStore")
            .field("secret", secret)
            .field("registration", registration)
            .finish_non_exhaustive()
    }
}

/// The objects as read. Not `Debug`, because it holds the Secret.
pub(super) struct Seen {
    /// The time on the apiserver's clock.
    pub(super) now: SystemTime,
    pub(super) authorities: Authorities,
    /// The unusable parts of the Secret, which count as missing.
    pub(super) unusable: Vec<Error>,
    pub(super) registrations: Vec<Registered>,
    secret: Option<Secret>,
}

impl Seen {
    /// The bundles that the apiserver trusts, one per webhook.
    pub(super) fn bundles(&self) -> Vec<Bundle> {
        self.registrations
            .iter()
            .flat_map(Registered::bundles)
            .collect()
    }
}

/// The parts of a webhook configuration that concern certificates.
pub(super) struct Registered {
    path: String,
    configuration: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    metadata: ObjectMeta,
    #[serde(default)]
    webhooks: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    client_config: ClientConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig {
    ca_bundle: Option<ByteString>,
}

impl Registered {
    fn bundles(&self) -> impl Iterator<Item = Bundle> {
        self.configuration.webhooks.iter().map(|entry| {
            let pem = entry.client_config.ca_bundle.as_ref();
            pem.map(|pem| Bundle::read(&pem.0)).unwrap_or_default()
        })
    }

    /// A patch with the bundles only, at the version that was read. Server-side apply would own the
    /// whole webhooks, and the registration's own manager could not remove any.
    fn with(&self, bundle: &Bundle) -> Value {
        let config = json!({"caBundle": ByteString(bundle.pem().into_bytes())});
        let entry = |entry: &Entry| json!({"name": entry.name, "clientConfig": config});
        let webhooks: Vec<_> = self.configuration.webhooks.iter().map(entry).collect();
        json!({"metadata": {"resourceVersion": self.configuration.metadata.resource_version}, "webhooks": webhooks})
    }
}

impl AuthorityStore {
    /// An authority in `secret`, trusted through the webhook configurations named `registration`.
    #[must_use]
    pub fn new(client: Client, secret: SecretName, registration: &str) -> Self {
        Self {
            client,
            secret,
            registration: registration.to_owned(),
            terms: Terms::default(),
        }
    }

    /// Reads all objects.
    pub(super) async fn look(&self) -> Result<Seen, Failure> {
        let mut registrations = Vec::new();
        for plural in PLURALS {
            let path = format!("/apis/{GROUP}/{plural}/{}", self.registration);
            let configuration = ask(&self.client, Method::GET, &path, Value::Null)
                .await?
                .object(&path)?;
            registrations.extend(configuration.map(|configuration| Registered {
                path,
                configuration,
            }));
        }
        let answer = ask(&self.client, Method::GET, &self.named(), Value::Null).await?;
        let secret: Option<Secret> = answer.object(&self.secret.to_string())?;
        let (authorities, unusable) = self.authorities(secret.as_ref())?;
        Ok(Seen {
            now: answer.date(),
            authorities,
            unusable,
            registrations,
            secret,
        })
    }

    /// Writes the authorities to the Secret; fails if the Secret changed since `seen`.
    pub(super) async fn store(
        &self,
        seen: Option<Secret>,
        authorities: &Authorities,
    ) -> Result<(), Failure> {
        let (method, path) = match seen {
            Some(_) => (Method::PUT, self.named()),
            None => (Method::POST, self.collection()),
        };
        let secret = Secret {
            data: None,
            string_data: Some(authorities.data()),
            type_: Some(TYPE.to_owned()),
            ..seen.unwrap_or_else(|| Secret {
                metadata: self.metadata(),
                ..Secret::default()
            })
        };
        ask(&self.client, method, &path, json!(secret))
            .await
            .map(drop)
    }

    /// Writes the bundle to a registration; fails if the registration changed since it was read.
    pub(super) async fn publish(
        &self,
        registered: &Registered,
        bundle: &Bundle,
    ) -> Result<(), Failure> {
        if registered.bundles().all(|held| held == *bundle) {
            return Ok(());
        }
        let path = format!("{}?fieldManager={MANAGER}", registered.path);
        ask(&self.client, Method::PATCH, &path, registered.with(bundle))
            .await
            .map(drop)
    }

    fn authorities(&self, secret: Option<&Secret>) -> Result<(Authorities, Vec<Error>), Failure> {
        let Some(secret) = secret else {
            return Ok(Default::default());
        };
        let found = secret.type_.as_deref().unwrap_or("Opaque");
        if found != TYPE {
            let (secret, found) = (self.secret.to_string(), found.to_owned());
            return Err(Failure::Foreign {
                secret,
                found,
                wanted: TYPE,
            });
        }
        let data = secret
            .data
            .iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.0.clone()));
        Ok(Authorities::read(&data.collect(), &self.secret.to_string()))
    }

    fn metadata(&self) -> ObjectMeta {
        let labels = ["name", "part-of"]
            .map(|key| (format!("app.kubernetes.io/{key}"), "fluxkeep".to_owned()));
        ObjectMeta {
            name: Some(self.secret.name.clone()),
            namespace: Some(self.secret.namespace.clone()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        }
    }

    fn collection(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets", self.secret.namespace)
    }

    fn named(&self) -> String {
        format!("{}/{}", self.collection(), self.secret.name)
    }
}

impl Seen {
    /// The Secret as read, to be overwritten, and its authorities.
    pub(super) fn into_parts(self) -> (Option<Secret>, Authorities) {
        (self.secret, self.authorities)
    }
}
