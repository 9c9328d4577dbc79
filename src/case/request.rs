//! The input to judge: a change of an object, or a release's objects.

use std::fmt;
use std::sync::Arc;

use crate::helm::Owner;
use crate::object::Object;
use crate::repository::Repository;

/// The entrance of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// A written spec of a HelmRelease.
    HelmRelease,
    /// A written spec of a FluxInstance, or its resumption.
    FluxInstance,
    /// A created Helm release record.
    ReleaseRecord,
    /// An updated CustomResourceDefinition; a created one if a caller sends it.
    Crd,
    /// A written status of a CustomResourceDefinition.
    CrdStatus,
    /// Any DELETE, and every other request that no door above takes.
    Engine,
    /// A rendered manifest, before anything is sent to a cluster.
    Preflight,
    /// A rendered manifest during Helm's rendering, as Helm will store it.
    PostRenderer,
    /// A Git repository, before anything is merged.
    Check,
}

impl Door {
    /// Every door of the admission server, as metrics label it.
    pub const ADMISSION: [Self; 6] = [
        Self::HelmRelease,
        Self::FluxInstance,
        Self::ReleaseRecord,
        Self::Crd,
        Self::CrdStatus,
        Self::Engine,
    ];

    /// The name in metrics, documents and findings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HelmRelease => "helm-release",
            Self::FluxInstance => "flux-instance",
            Self::ReleaseRecord => "release-record",
            Self::Crd => "crd",
            Self::CrdStatus => "crd-status",
            Self::Engine => "engine",
            Self::Preflight => "preflight",
            Self::PostRenderer => "post-renderer",
            Self::Check => "check",
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// The operation that the apiserver is to perform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// CREATE.
    Create,
    /// UPDATE; patches, too.
    Update,
    /// DELETE; a collection is deleted one object at a time.
    Delete,
}

/// A question to the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The door of the request.
    pub door: Door,
    /// The requested operation.
    pub operation: Operation,
    /// The user and client of the request.
    pub writer: Writer,
    /// True if nothing is stored, whatever the answer. The verdict is the same.
    pub dry_run: bool,
    /// The subject of the request.
    pub subject: Subject,
    /// The unreadable parts. All other parts are judged as usual.
    pub gaps: Vec<Gap>,
}

/// An unreadable part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The object that contains the part: its identity, and labels and annotations if readable.
    pub object: Object,
    /// True if nothing of the object itself was read, so it may contain anything.
    pub is_opaque: bool,
    /// True if the part is about the engine, as the door knows without reading it.
    pub is_engines: bool,
    /// The obstacle to reading.
    pub obstacle: Obstacle,
    /// The defect and its place, as a clause without a value.
    pub why: String,
}

/// The obstacle to reading a part of a request. It tells the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The text is malformed, or beyond the review's budget.
    Text,
    /// The review is too long.
    Length,
    /// The server is busy. The same review can be judged later.
    Time,
}

/// The user and client of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    /// The user's name, for example `system:serviceaccount:flux-system:helm-controller`.
    pub user: String,
    /// The field manager that the client names, for example `helm`.
    pub field_manager: String,
}

impl Writer {
    /// True if Helm or helm-controller writes. A chart's author then wrote the object, not the
    /// person who runs the cluster.
    #[must_use]
    pub fn is_helm(&self) -> bool {
        self.field_manager.starts_with("helm") || self.is_helm_controller()
    }

    /// True if helm-controller writes under its own account.
    #[must_use]
    pub fn is_helm_controller(&self) -> bool {
        self.user.ends_with(":helm-controller")
    }

    /// True if the apiserver itself writes.
    #[must_use]
    pub fn is_apiserver(&self) -> bool {
        self.user == "system:apiserver"
    }
}

/// The subject of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A written or deleted object.
    Change(Box<Change>),
    /// All objects of a release.
    Release(Release),
    /// A Git repository.
    Repository(Arc<Repository>),
}

/// The object before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The live object; `None` on CREATE.
    pub old: Option<Object>,
    /// The written object; `None` on DELETE.
    pub new: Option<Object>,
}

/// A release's final objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Its name and namespace. `None` for a manifest that does not tell.
    pub owner: Option<Owner>,
    /// Its revision, from 1. `None` for a manifest that Helm has not stored.
    pub revision: Option<u64>,
    /// The namespace of its record. `None` for a manifest that Helm has not stored.
    pub stored_in: Option<String>,
    /// The manifest's objects, then those of its hooks, in order.
    pub objects: Vec<Object>,
}
