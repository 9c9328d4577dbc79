//! From a stream of documents to objects: a rendered manifest, a snapshot, a record's manifest.

mod gather;
mod list;

pub use gather::{PIECE, Unfit, gather};

use serde_json::Value;

use crate::helm::RESOURCE_POLICY;
use crate::object::{Flaw, Head, Kind, List, Object, Source, body_kind, object};
use crate::threads::Crew;
use crate::yaml::{self, Document, Unread, json, shape};

/// Kinds without a namespace, as far as fluxkeep looks at them by name.
const CLUSTER_SCOPED: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
];

/// Ten times the objects that the largest charts render; etcd holds no larger release.
pub const MOST_DOCUMENTS: usize = 10_000;

/// Bytes of an object as the apiserver stores it, in JSON: etcd's `--max-request-bytes` by default.
pub const MOST_STORED: usize = 1536 * 1024;

/// Bytes of one request to the apiserver: `MaxRequestBodyBytes` of its defaults.
pub const MOST_SENT: usize = 3 * 1024 * 1024;

/// What one `kind: List` may hold: a snapshot of a large cluster is one.
const MOST_ITEMS: usize = 100_000;

/// How a stream is to be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// The file that it comes from, for a finding's source; none keeps no sources.
    pub file: Option<&'a str>,
    /// The namespace that namespaced objects without one go to.
    pub namespace: Option<&'a str>,
}

/// Reads every object of a stream, those inside a `kind: List` included, in their order.
///
/// Documents without `kind` are passed over: Helm and kubectl refuse them before the cluster sees
/// them.
///
/// # Errors
/// At the first document that is not readable, with its place in the stream.
pub fn read(text: &str, reading: Reading<'_>) -> Result<Vec<Object>, Unread> {
    Ok(find(text, reading)?
        .into_iter()
        .map(|found| found.object)
        .collect())
}

/// An object, and where in the stream it stands.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The document that holds it.
    pub document: Document<'a>,
    /// Counts the documents that hold anything, from 1.
    pub number: usize,
    /// Its place in the document's items, where that is a list.
    pub item: Option<usize>,
    /// The object itself.
    pub object: Object,
}

/// As [`read`], with the place of each object.
///
/// # Errors
/// As [`read`].
pub fn find<'a>(text: &'a str, reading: Reading<'_>) -> Result<Vec<Found<'a>>, Unread> {
    gather(
        gather::pieces(text.as_bytes()).map(Ok),
        reading,
        &Crew::default(),
    )
    .map_err(|unfit: Unfit| match unfit {
        Unfit::Document { unread, .. } => unread,
        // Never of what is a text.
        Unfit::NotText { line } => Unread {
            line,
            column: 1,
            message: unfit.to_string(),
        },
    })
}

/// What was read of a stream, and what was not.
#[derive(Debug, Default)]
pub struct Sifted {
    /// Every object whose kind and metadata were read, in their order.
    pub objects: Vec<Object>,
    /// The documents and items that were not read whole, in their order.
    pub unread: Vec<Unsifted>,
    /// The objects, and the documents without any.
    pub count: usize,
}

/// A document or an item of a list that was not read whole.
#[derive(Debug)]
pub struct Unsifted {
    /// Its kind and metadata, where those were read.
    pub object: Option<Box<Object>>,
    /// Where in the stream, and why.
    pub unread: Unread,
    /// Whether it is an item of a list that is a list itself, which Helm refuses and the apiserver may send.
    is_nested: bool,
}

/// As [`read`], but a document that is not readable does not hide the others. A stream that has more than `most`
/// objects, and documents without any, is read up to there.
#[must_use]
pub fn sift(text: &str, reading: Reading<'_>, most: usize) -> Sifted {
    let mut sifted = Sifted::default();
    for document in &yaml::documents(text) {
        if sifted.count >= most {
            sifted.join(Sifted::unread(too_many(document, most, "stream")));
            break;
        }
        let content = content(document);
        let count = content.objects.len();
        sifted.count += count.max(1);
        if count > MOST_ITEMS {
            sifted.join(Sifted::unread(too_many(document, MOST_ITEMS, "list")));
            break;
        }
        sifted.join(content.placed(document, reading));
    }
    sifted
}

impl Sifted {
    fn of(object: Object) -> Self {
        Self {
            objects: vec![object],
            ..Self::default()
        }
    }

    /// An object of which only kind and metadata were read.
    fn partly(object: Object, unread: Unread) -> Self {
        let mut sifted = Self::unread(unread);
        for part in &mut sifted.unread {
            part.object = Some(Box::new(object.clone()));
        }
        sifted.objects.push(object);
        sifted
    }

    fn unread(unread: Unread) -> Self {
        Self {
            unread: vec![Unsifted {
                object: None,
                unread,
                is_nested: false,
            }],
            ..Self::default()
        }
    }

    fn join(&mut self, other: Self) {
        self.objects.extend(other.objects);
        self.unread.extend(other.unread);
    }

    fn placed(mut self, document: &Document<'_>, reading: Reading<'_>) -> Self {
        let objects = self.objects.into_iter();
        self.objects = objects
            .map(|object| placed(object, document, reading))
            .collect();
        for part in &mut self.unread {
            let object = part.object.take();
            part.object = object.map(|object| Box::new(placed(*object, document, reading)));
        }
        self
    }
}

fn too_many(document: &Document<'_>, most: usize, of: &str) -> Unread {
    let message = format!("more than {most} objects in one {of}; split it");
    Unread {
        line: document.line,
        column: 1,
        message,
    }
}

/// The objects of one document.
///
/// # Errors
/// If one of them is not readable.
fn members(document: &Document<'_>) -> Result<Vec<Object>, Unread> {
    let content = content(document);
    match content.unread.into_iter().find(|part| !part.is_nested) {
        Some(part) => Err(part.unread),
        None => Ok(content.objects),
    }
}

/// What was read of a document: one object, none, or the items of a list.
fn content(document: &Document<'_>) -> Sifted {
    match parts(document) {
        Ok(None) => Sifted::default(),
        Ok(Some((head, parts))) => match list(&head, &parts) {
            Some(list) => list::items(document, &list),
            None => one(document, &head, parts),
        },
        Err(unread) => Sifted::unread(unread),
    }
}

/// Apiversion, kind and the parts that are read of such an object. None if it has no kind: Helm and kubectl
/// refuse it before the cluster sees it.
fn parts(document: &Document<'_>) -> Result<Option<(Head, Value)>, Unread> {
    let guess = kind_of(&guess(document.text));
    let mut parts = document.read_paths(guess.paths())?;
    let head = head(&parts);
    if parts.is_null() || parts.is_object() && head.kind.is_empty() {
        return Ok(None);
    }
    if !parts.is_object() {
        return Err(unread(document, "it is no object"));
    }
    let kind = kind_of(&head);
    if kind != guess {
        parts = document.read_paths(kind.paths())?;
    }
    Ok(Some((head, parts)))
}

/// The list that these parts are: whatever has `items` that are a list, as Go's reader decides.
fn list(head: &Head, parts: &Value) -> Option<List> {
    if !is_list(parts) {
        return None;
    }
    let policy = parts
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(RESOURCE_POLICY)?.as_str());
    Some(List {
        api_version: head.api_version.clone(),
        kind: head.kind.clone(),
        policy: policy.map(str::to_owned),
    })
}

fn is_list(parts: &Value) -> bool {
    parts.get("items").is_some_and(Value::is_array)
}

/// The only object of a document. One whose body has another shape than its kind is known by its metadata.
fn one(document: &Document<'_>, head: &Head, parts: Value) -> Sifted {
    let misshapen = match object(kind_of(head), parts) {
        Ok(object) => return Sifted::of(weighed(object, document.text)),
        Err(misshapen) => unread(document, &misshapen.to_string()),
    };
    let metadata = document.read_paths(Kind::Other.paths());
    match metadata.map(|parts| object(Kind::Other, parts)) {
        Ok(Ok(object)) => Sifted::partly(object, misshapen),
        _ => Sifted::unread(misshapen),
    }
}

/// The object of a document with what is too large in it. Only CRDs are: their schemas are the largest texts that
/// charts render, and texts below the limits are not looked at.
fn weighed(mut object: Object, text: &str) -> Object {
    if text.len() > MOST_STORED
        && let Some(definition) = object.definition()
    {
        let versions = definition.versions.len();
        object.flaws.extend(size(weight(text), versions));
    }
    object
}

/// What is too large for sure. Of versions whose schemas are equal, the apiserver stores one schema, so the
/// stored object may be as small as the share of a version; all of it is sent.
fn size(bytes: usize, versions: usize) -> Option<Flaw> {
    // YAML may say with some bytes more what JSON says: comments behind values, escapes.
    let surely = |most: usize| most + most / 10;
    let share = bytes / versions.max(1);
    if share > surely(MOST_STORED) {
        let most = MOST_STORED;
        return Some(Flaw::Size { bytes: share, most });
    }
    let most = MOST_SENT;
    (bytes > surely(most)).then_some(Flaw::Size { bytes, most })
}

/// The bytes of a document without its indentation and comments. As JSON it has about as many or more:
/// quotes and braces take the place of what is left out here.
fn weight(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .map(str::len)
        .sum()
}

/// What the lines at the margin say, which saves reading most documents twice. Whether it is true
/// shows in the object itself.
fn guess(text: &str) -> Head {
    let mut head = Head::default();
    for line in text.lines().filter(|line| line.starts_with(['a', 'k'])) {
        if let Some(version) = line.strip_prefix("apiVersion: ") {
            unquoted(version).clone_into(&mut head.api_version);
        } else if let Some(kind) = line.strip_prefix("kind: ") {
            unquoted(kind).clone_into(&mut head.kind);
        }
        if !head.api_version.is_empty() && !head.kind.is_empty() {
            break;
        }
    }
    head
}

fn unquoted(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

/// What the parts say of apiVersion and kind. What is no text is none, as to Go.
fn head(parts: &Value) -> Head {
    let text = |key: &str| parts.get(key).and_then(Value::as_str).unwrap_or_default();
    Head {
        api_version: text("apiVersion").to_owned(),
        kind: text("kind").to_owned(),
    }
}

fn kind_of(head: &Head) -> Kind {
    let group = head
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    body_kind(group, &head.kind)
}

fn unread(document: &Document<'_>, message: &str) -> Unread {
    Unread {
        line: document.content,
        column: 1,
        message: message.to_owned(),
    }
}

/// Reads one object in JSON that is of this version and kind: the apiserver leaves both out where
/// they stand on the list.
///
/// # Errors
/// When it is not readable: where, and what is wrong, without the value.
pub fn read_as(text: &str, head: Head) -> Result<Object, String> {
    let kind = kind_of(&head);
    let parts = json(text.as_bytes(), kind.paths()).map_err(|error| shape(&error))?;
    let object = object(kind, parts).map_err(|misshapen| misshapen.to_string())?;
    Ok(Object {
        api_version: head.api_version,
        kind: head.kind,
        ..object
    })
}

fn placed(mut object: Object, document: &Document<'_>, reading: Reading<'_>) -> Object {
    object.source = reading.file.map(|file| Source {
        file: file.to_owned(),
        line: document.content,
        column: 1,
    });
    if CLUSTER_SCOPED.contains(&object.kind.as_str()) {
        object.namespace = None;
    } else if object.namespace.as_deref().is_none_or(str::is_empty) {
        object.namespace = reading.namespace.map(str::to_owned);
    }
    object
}
