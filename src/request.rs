//! What is to be judged: a change of one object, or a release's objects.

use std::fmt;

use crate::helm::Owner;
use crate::object::Object;

/// Where a request comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Door {
    /// A HelmRelease whose spec is written.
    HelmRelease,
    /// A FluxInstance whose spec is written, or that is resumed.
    FluxInstance,
    /// A Helm release record that is created.
    ReleaseRecord,
    /// A CustomResourceDefinition that is created or updated.
    Crd,
    /// The status of a CustomResourceDefinition.
    CrdStatus,
    /// A DELETE, or an UPDATE of an object of the engine.
    Engine,
    /// A rendered manifest, before anything is sent to a cluster.
    Preflight,
    /// A rendered manifest while Helm renders it, as it will be stored.
    PostRenderer,
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

    /// Its name in metrics, documents and findings.
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
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What is asked of the apiserver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// CREATE.
    Create,
    /// UPDATE, which patches are too.
    Update,
    /// DELETE, one object at a time for a collection too.
    Delete,
}

/// One question to the judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it came in.
    pub door: Door,
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub writer: Writer,
    /// Whether nothing is kept whatever the answer is. The verdict is the same.
    pub dry_run: bool,
    /// What it is about.
    pub subject: Subject,
    /// What could not be read of it. The rest is judged as ever.
    pub gaps: Vec<Gap>,
}

/// A part of a request that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The object that holds it: its identity, and its labels and annotations where those were read.
    pub object: Object,
    /// Whether nothing of the object itself was read, so that it may hold anything.
    pub is_opaque: bool,
    /// What is wrong, and where, as a clause without a value.
    pub why: String,
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    /// The user's name, for example `system:serviceaccount:flux-system:helm-controller`.
    pub user: String,
    /// The field manager that the client names, for example `helm`.
    pub field_manager: String,
}

impl Writer {
    /// Whether Helm or helm-controller writes: what a chart's author put into an object is then not
    /// the word of the person who runs the cluster.
    #[must_use]
    pub fn is_helm(&self) -> bool {
        self.field_manager.starts_with("helm") || self.user.ends_with(":helm-controller")
    }

    /// Whether the apiserver itself writes.
    #[must_use]
    pub fn is_apiserver(&self) -> bool {
        self.user == "system:apiserver"
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One object is written or deleted.
    Change(Box<Change>),
    /// Everything that a release brings.
    Release(Release),
}

/// The object before and after.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// As it lives in the cluster; none on CREATE.
    pub old: Option<Object>,
    /// As it is written; none on DELETE.
    pub new: Option<Object>,
}

/// A release's final objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Its name and namespace; none for a manifest that does not tell.
    pub owner: Option<Owner>,
    /// Its revision, from 1; none for a manifest that Helm has not stored.
    pub revision: Option<u64>,
    /// The manifest's objects, then those of its hooks, in their order.
    pub objects: Vec<Object>,
}
