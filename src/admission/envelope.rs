//! The envelope of a review: user and operation, read before the objects and without them.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::case::request::{Door, Operation, Writer};
use crate::helm::record::{self, shape};
use crate::object::{Kind, body_kind};

pub(super) const API_VERSION: &str = "admission.k8s.io/v1";
pub(super) const KIND: &str = "AdmissionReview";

/// All fields of a review except its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Answers return the uid.
    pub uid: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) version: String,
    pub(super) resource: String,
    pub(super) sub_resource: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) operation: String,
    pub(super) user: String,
    /// The reason why the rest of the body is unreadable, if so.
    pub(super) broken: Option<String>,
}

/// Reasons why a body cannot be answered as a review.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is empty.
    #[error("the body is empty; send an {API_VERSION} {KIND}")]
    Empty,
    /// The body is not JSON, or ends before the uid.
    #[error("the body is unreadable: {0}; send an {API_VERSION} {KIND}")]
    NotJson(String),
    /// The body has another kind or version.
    #[error("the body is {api_version:?} {kind:?}; this server accepts only {API_VERSION} {KIND}")]
    NotAReview {
        /// Its `apiVersion`, at most 64 characters.
        api_version: String,
        /// Its `kind`, at most 64 characters.
        kind: String,
    },
    /// The request or its uid is missing.
    #[error("the review has no request.uid, so no answer is possible")]
    NoUid,
}

impl Envelope {
    /// Reads all fields except the objects, in any order.
    ///
    /// # Errors
    /// If there is no uid to answer.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        if body.is_empty() {
            return Err(Malformed::Empty);
        }
        let mut seen = ReadEnvelope::default();
        let mut reader = serde_json::Deserializer::from_slice(body);
        let end = ReviewVisitor(&mut seen).deserialize(&mut reader);
        if seen.is_other() {
            return Err(seen.not_a_review());
        }
        let broken = end.err().map(|error| shape(&error));
        match broken {
            Some(why) if seen.envelope.uid.is_empty() => Err(Malformed::NotJson(why)),
            _ if seen.envelope.uid.is_empty() => Err(Malformed::NoUid),
            None if !seen.is_review() => Err(seen.not_a_review()),
            broken => Ok(Self {
                broken,
                ..seen.envelope
            }),
        }
    }

    /// The door of the request, which follows from its subject and never from the URL.
    #[must_use]
    pub fn door(&self) -> Door {
        if self.operation() == Some(Operation::Delete) {
            return Door::Engine;
        }
        match (self.body_kind(), self.sub_resource.as_str()) {
            (Kind::Definition, "") => Door::Crd,
            (Kind::Definition, "status") => Door::CrdStatus,
            (Kind::HelmRelease, "") => Door::HelmRelease,
            (Kind::FluxInstance, "") => Door::FluxInstance,
            (Kind::Other, "") if self.may_be_record() => Door::ReleaseRecord,
            _ => Door::Engine,
        }
    }

    /// The user, for example `system:serviceaccount:flux-system:helm-controller`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The operation. `None` for CONNECT and for operations that Kubernetes may add.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        match self.operation.as_str() {
            "CREATE" => Some(Operation::Create),
            "UPDATE" => Some(Operation::Update),
            "DELETE" => Some(Operation::Delete),
            _ => None,
        }
    }

    /// The kind that decides how the objects are read.
    pub(super) fn body_kind(&self) -> Kind {
        body_kind(&self.group, &self.kind)
    }

    /// The user, without a field manager.
    pub(super) fn writer(&self) -> Writer {
        Writer {
            user: self.user.clone(),
            field_manager: String::new(),
        }
    }

    /// True for a Secret or ConfigMap with the name of a Helm record, `sh.helm.release.v1.NAME.vN`.
    fn may_be_record(&self) -> bool {
        let stored = matches!(self.kind.as_str(), "Secret" | "ConfigMap") && self.group.is_empty();
        stored && self.name.starts_with(record::NAME)
    }
}

/// Writes `Kind namespace/name`, in at most 200 characters.
impl fmt::Display for Envelope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The apiserver reports a Namespace as its own namespace.
        let space = self
            .namespace
            .as_deref()
            .filter(|space| !space.is_empty() && self.kind != "Namespace");
        let place = space.map(|space| format!("{space}/")).unwrap_or_default();
        let text: String = format!("{} {place}{}", self.kind, self.name)
            .chars()
            .take(200)
            .collect();
        out.write_str(&text)
    }
}

#[derive(Default)]
struct ReadEnvelope {
    api_version: Option<String>,
    kind: Option<String>,
    envelope: Envelope,
}

impl ReadEnvelope {
    fn is_review(&self) -> bool {
        self.api_version.as_deref() == Some(API_VERSION) && self.kind.as_deref() == Some(KIND)
    }

    /// True if a field that was read belongs to another kind or version.
    fn is_other(&self) -> bool {
        self.api_version
            .as_deref()
            .is_some_and(|version| version != API_VERSION)
            || self.kind.as_deref().is_some_and(|kind| kind != KIND)
    }

    fn not_a_review(&self) -> Malformed {
        let short =
            |text: &Option<String>| text.iter().flat_map(|text| text.chars()).take(64).collect();
        Malformed::NotAReview {
            api_version: short(&self.api_version),
            kind: short(&self.kind),
        }
    }
}

struct ReviewVisitor<'a>(&'a mut ReadEnvelope);

impl<'de> DeserializeSeed<'de> for ReviewVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReviewVisitor<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an {API_VERSION} {KIND}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" => self.0.api_version = map.next_value()?,
                "kind" => self.0.kind = map.next_value()?,
                "request" => map.next_value_seed(RequestVisitor(self.0))?,
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

struct RequestVisitor<'a>(&'a mut ReadEnvelope);

impl<'de> DeserializeSeed<'de> for RequestVisitor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionKind {
    group: Option<String>,
    version: Option<String>,
    kind: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupVersionResource {
    resource: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: Option<String>,
}

/// The next value; null counts as missing.
fn next<'de, A: MapAccess<'de>, T: Deserialize<'de> + Default>(map: &mut A) -> Result<T, A::Error> {
    Ok(map.next_value::<Option<T>>()?.unwrap_or_default())
}

impl<'de> Visitor<'de> for RequestVisitor<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the review's request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let envelope = &mut self.0.envelope;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "uid" => envelope.uid = next(&mut map)?,
                "kind" => {
                    let kind: GroupVersionKind = next(&mut map)?;
                    envelope.group = kind.group.unwrap_or_default();
                    envelope.version = kind.version.unwrap_or_default();
                    envelope.kind = kind.kind.unwrap_or_default();
                }
                "resource" => {
                    let resource: GroupVersionResource = next(&mut map)?;
                    envelope.resource = resource.resource.unwrap_or_default();
                }
                "subResource" => envelope.sub_resource = next(&mut map)?,
                "namespace" => envelope.namespace = map.next_value()?,
                "name" => envelope.name = next(&mut map)?,
                "operation" => envelope.operation = next(&mut map)?,
                "userInfo" => {
                    let user: User = next(&mut map)?;
                    envelope.user = user.username.unwrap_or_default();
                }
                _ => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_told_with_its_namespace_and_a_namespace_without() {
        let told = |kind: &str| {
            let (kind, name) = (kind.to_owned(), "flux-system".to_owned());
            Envelope {
                kind,
                namespace: Some(name.clone()),
                name,
                ..Envelope::default()
            }
            .to_string()
        };
        assert_eq!(told("HelmRelease"), "HelmRelease flux-system/flux-system");
        assert_eq!(told("Namespace"), "Namespace flux-system");
    }
}
