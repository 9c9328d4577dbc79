//! Objects of a stream of documents: a rendered manifest, a snapshot, a record's manifest.

mod list;
pub mod place;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::helm::RESOURCE_POLICY;
use crate::object::{Flaw, Kind, List, Object, SourceLocation, TypeMeta, object};
use crate::yaml::{self, Document, NodeBudget, Unread, json, shape};

/// Cluster-scoped kinds that fluxkeep identifies by name.
const CLUSTER_SCOPED: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
];

/// Ten times the objects of the largest charts; etcd holds no larger release.
pub const MOST_DOCUMENTS: usize = 10_000;

/// Largest stored object in bytes, as JSON: etcd's default `--max-request-bytes`.
pub const MOST_STORED: usize = 1536 * 1024;

/// Largest request to the apiserver in bytes: the default of `MaxRequestBodyBytes`.
pub const MOST_SENT: usize = 3 * 1024 * 1024;

/// Most items of a `kind: List`: a snapshot of a large cluster is one list.
const MOST_ITEMS: usize = 100_000;

/// Options for reading a stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// The stream's file, for a finding's source. `None` records no sources.
    pub file: Option<&'a str>,
    /// The default namespace of namespaced objects.
    pub namespace: Option<&'a str>,
}

/// Reads every object of a stream in order, including items of a `kind: List`.
///
/// Documents without `kind` are skipped: Helm and kubectl refuse them before the cluster sees them.
///
/// # Errors
/// At the first unreadable document, with its place in the stream.
pub fn read(text: &str, reading: Reading<'_>) -> Result<Vec<Object>, Unread> {
    match find(text, reading) {
        Ok(found) => Ok(found.into_iter().map(|found| found.object).collect()),
        Err(failed) => Err(failed.unread),
    }
}

/// An object and its place in the stream.
#[derive(Debug, Clone)]
pub struct ManifestObject<'a> {
    /// The document that contains the object.
    pub document: Document<'a>,
    /// The document's number from 1, without empty documents.
    pub number: usize,
    /// The index in the document's items, if the document is a list.
    pub item: Option<usize>,
    /// The object itself.
    pub object: Object,
}

/// An unreadable document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {number}, {unread}")]
pub struct UnreadDocument {
    /// The document, counted as [`ManifestObject::number`].
    pub number: usize,
    /// The position in the stream, and the reason.
    pub unread: Unread,
}

/// Like [`read`], with the place of each object.
///
/// # Errors
/// Like [`read`], with the number of the document.
pub fn find<'a>(
    text: &'a str,
    reading: Reading<'_>,
) -> Result<Vec<ManifestObject<'a>>, UnreadDocument> {
    let mut found = Vec::new();
    for (document, number) in yaml::documents(text).zip(1..) {
        let is_full = number > MOST_DOCUMENTS || found.len() >= MOST_DOCUMENTS;
        let objects = if is_full {
            Err(too_many(&document, MOST_DOCUMENTS, "stream"))
        } else {
            members(&document)
        };
        let objects = objects.map_err(|unread| UnreadDocument { number, unread })?;
        for (place, object) in objects.into_iter().enumerate() {
            let item = object.list.is_some().then_some(place);
            let object = placed(object, &document, reading);
            found.push(ManifestObject {
                document,
                number,
                item,
                object,
            });
        }
    }
    Ok(found)
}

/// The readable and the unreadable parts of a stream.
#[derive(Debug, Default)]
pub struct Sifted {
    /// Every object with readable kind and metadata, in order.
    pub objects: Vec<Object>,
    /// The documents and items that could not be read completely, in order.
    pub unread: Vec<Unsifted>,
    /// The number of objects, plus the documents without objects.
    pub count: usize,
}

/// A document or list item that could not be read completely.
#[derive(Debug)]
pub struct Unsifted {
    /// Kind and metadata, if readable.
    pub object: Option<Box<Object>>,
    /// The place in the stream, and the reason.
    pub unread: Unread,
    /// True for a list inside a list, which Helm refuses and the apiserver may send.
    is_nested: bool,
}

/// Like [`read`], but an unreadable document does not hide the others. Stops after `most` objects,
/// or when the budget is spent. A document without objects counts as one object.
#[must_use]
pub fn sift(text: &str, reading: Reading<'_>, most: usize, budget: &mut NodeBudget) -> Sifted {
    let mut sifted = Sifted::default();
    for document in yaml::documents(text) {
        if sifted.count >= most {
            sifted.join(Sifted::unread(too_many(&document, most, "stream")));
            break;
        }
        let content = content(&document, budget);
        let count = content.objects.len();
        sifted.count += count.max(1);
        if count > MOST_ITEMS {
            sifted.join(Sifted::unread(too_many(&document, MOST_ITEMS, "list")));
            break;
        }
        sifted.join(content.placed(&document, reading));
        if budget.is_spent() {
            break;
        }
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

    /// An object with only kind and metadata read.
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

/// The objects of a document.
///
/// # Errors
/// If an object is unreadable, or a list holds too many.
fn members(document: &Document<'_>) -> Result<Vec<Object>, Unread> {
    let content = content(document, &mut NodeBudget::default());
    if content.objects.len() > MOST_ITEMS {
        return Err(too_many(document, MOST_ITEMS, "list"));
    }
    match content.unread.into_iter().find(|part| !part.is_nested) {
        Some(part) => Err(part.unread),
        None => Ok(content.objects),
    }
}

/// The content of a document: an object, nothing, or the items of a list.
fn content(document: &Document<'_>, budget: &mut NodeBudget) -> Sifted {
    match parts(document, budget) {
        Ok(None) => Sifted::default(),
        Ok(Some((head, parts))) => match list(&head, &parts) {
            Some(list) => list::items(document, &list, budget),
            None => one(document, &head, parts, budget),
        },
        Err(unread) => Sifted::unread(unread),
    }
}

/// API version, kind and the fields that are read of this kind. `None` without a kind: Helm and
/// kubectl refuse such a document before the cluster sees it.
fn parts(
    document: &Document<'_>,
    budget: &mut NodeBudget,
) -> Result<Option<(TypeMeta, Value)>, Unread> {
    let guess = guess(document.text).body_kind();
    let mut parts = document.read_within(guess.paths(), budget)?;
    let head = head(&parts);
    if parts.is_null() || parts.is_object() && head.kind.is_empty() {
        return Ok(None);
    }
    if !parts.is_object() {
        return Err(unread(document, "it is not an object"));
    }
    let kind = head.body_kind();
    if kind != guess {
        parts = document.read_within(kind.paths(), budget)?;
    }
    Ok(Some((head, parts)))
}

/// The list, if `items` is a list; Go's reader decides in the same way.
fn list(head: &TypeMeta, parts: &Value) -> Option<List> {
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

/// The only object of a document. If its body does not fit its kind, only its metadata counts.
fn one(document: &Document<'_>, head: &TypeMeta, parts: Value, budget: &mut NodeBudget) -> Sifted {
    let misshapen = match object(head.body_kind(), parts) {
        Ok(object) => return Sifted::of(weighed(object, document.text)),
        Err(misshapen) => unread(document, &misshapen.to_string()),
    };
    let metadata = document.read_within(Kind::Other.paths(), budget);
    match metadata.map(|parts| object(Kind::Other, parts)) {
        Ok(Ok(object)) => Sifted::partly(object, misshapen),
        _ => Sifted::unread(misshapen),
    }
}

/// Adds a size flaw to a CRD that is too large. Other kinds pass: schemas are the largest texts in
/// charts. Texts below the limit are not examined.
fn weighed(mut object: Object, text: &str) -> Object {
    if text.len() > MOST_STORED
        && let Some(definition) = object.definition()
    {
        let versions = definition.versions.len();
        object.flaws.extend(size(weight(text), versions));
    }
    object
}

/// The size flaw of a CRD that is certainly too large. The apiserver stores equal schemas of
/// several versions once, so the stored object may be as small as one version's share. A request
/// always holds all of them.
fn size(bytes: usize, versions: usize) -> Option<Flaw> {
    // YAML may need some more bytes than JSON, for comments behind values and for escapes.
    let surely = |most: usize| most + most / 10;
    let share = bytes / versions.max(1);
    if share > surely(MOST_STORED) {
        let most = MOST_STORED;
        return Some(Flaw::Size { bytes: share, most });
    }
    let most = MOST_SENT;
    (bytes > surely(most)).then_some(Flaw::Size { bytes, most })
}

/// A lower bound of the JSON's length: the bytes without indentation and comments. In JSON, quotes and
/// braces replace the omitted bytes.
fn weight(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .map(str::len)
        .sum()
}

/// Guesses API version and kind from the lines without indentation, to avoid reading most documents
/// twice. The object itself shows if the guess is right.
fn guess(text: &str) -> TypeMeta {
    let mut head = TypeMeta::default();
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

/// API version and kind. A value that is not a string counts as missing, like in Go.
fn head(parts: &Value) -> TypeMeta {
    let text = |key: &str| parts.get(key).and_then(Value::as_str).unwrap_or_default();
    TypeMeta {
        api_version: text("apiVersion").to_owned(),
        kind: text("kind").to_owned(),
    }
}

fn unread(document: &Document<'_>, message: &str) -> Unread {
    Unread {
        line: document.content,
        column: 1,
        message: message.to_owned(),
    }
}

/// Reads a JSON object of this version and kind. In lists, the apiserver omits both on the items.
///
/// # Errors
/// If the object is unreadable: the place and the reason, without the value.
pub fn read_as(text: &str, head: TypeMeta) -> Result<Object, String> {
    let kind = head.body_kind();
    let parts = json(text.as_bytes(), kind.paths()).map_err(|error| shape(&error))?;
    let object = object(kind, parts).map_err(|misshapen| misshapen.to_string())?;
    Ok(Object {
        api_version: head.api_version,
        kind: head.kind,
        ..object
    })
}

fn placed(mut object: Object, document: &Document<'_>, reading: Reading<'_>) -> Object {
    object.source = reading.file.map(|file| SourceLocation {
        file: file.to_owned(),
        line: document.content,
        column: 1,
        end: None,
    });
    if CLUSTER_SCOPED.contains(&object.kind.as_str()) {
        object.namespace = None;
    } else if object.namespace.as_deref().is_none_or(str::is_empty) {
        object.namespace = reading.namespace.map(str::to_owned);
    }
    object
}
