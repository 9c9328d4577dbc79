//! Where an authority is kept and where it is trusted: one Secret, two webhook configurations.

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

/// The name of the webhook configurations, the mutating and the validating one.
pub const REGISTRATION: &str = "fluxkeep";
/// The type of Secrets that authorities are kept in. One of another type is never written.
pub(super) const TYPE: &str = "fluxkeep.io/authority";
/// Owns the bundles, whoever owns the registrations.
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

    /// Reads `NAMESPACE/NAME`.
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
            _ => Err("a Secret is named as NAMESPACE/NAME"),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secret {}/{}", self.namespace, self.name)
    }
}

/// Where an authority is kept and trusted.
#[derive(Clone)]
pub struct Place {
    client: Client,
    secret: SecretName,
    registration: String,
    /// How long certificates live there, and how long is waited.
    pub terms: Terms,
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            secret,
            registration,
            ..
        } = self;
        out.debug_struct("Place")
            .field("secret", secret)
            .field("registration", registration)
            .finish_non_exhaustive()
    }
}

/// What was there. Not `Debug`: it holds the Secret.
pub(super) struct Seen {
    /// By the apiserver's clock.
    pub(super) now: SystemTime,
    pub(super) authorities: Authorities,
    /// What of the Secret could not be used, and counts as missing.
    pub(super) unusable: Vec<Error>,
    pub(super) registrations: Vec<Registered>,
    secret: Option<Secret>,
}

impl Seen {
    /// What the apiserver trusts, by entry.
    pub(super) fn bundles(&self) -> Vec<Bundle> {
        self.registrations
            .iter()
            .flat_map(Registered::bundles)
            .collect()
    }
}

/// A webhook configuration, as far as certificates are concerned.
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

    /// The entries' bundles and nothing else, with the version that was read. By server-side apply
    /// the entries themselves would be owned too, and whoever registers could take none out again.
    fn with(&self, bundle: &Bundle) -> Value {
        let config = json!({"caBundle": ByteString(bundle.pem().into_bytes())});
        let entry = |entry: &Entry| json!({"name": entry.name, "clientConfig": config});
        let webhooks: Vec<_> = self.configuration.webhooks.iter().map(entry).collect();
        json!({"metadata": {"resourceVersion": self.configuration.metadata.resource_version}, "webhooks": webhooks})
    }
}

impl Place {
    /// An authority that is kept in `secret` and trusted through the webhook configurations of the
    /// name `registration`.
    #[must_use]
    pub fn new(client: Client, secret: SecretName, registration: &str) -> Self {
        Self {
            client,
            secret,
            registration: registration.to_owned(),
            terms: Terms::default(),
        }
    }

    /// Reads everything.
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

    /// Keeps these authorities, unless somebody wrote since `seen`.
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

    /// Lets the apiserver trust this, unless somebody wrote since it was read.
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
    /// The Secret as it was read, to be written over; and the authorities that it held.
    pub(super) fn into_parts(self) -> (Option<Secret>, Authorities) {
        (self.secret, self.authorities)
    }
}
