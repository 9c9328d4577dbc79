//! From a stream of documents to objects: a rendered manifest, a snapshot, a record's manifest.

mod gather;

pub use gather::{PIECE, Unfit, gather};

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::object::{Flaw, FromWire, Head, Object, Source, body_kind, by_kind, wire};
use crate::threads::Crew;
use crate::yaml::{self, Document, Lean, Unread, shape};

/// Kinds without a namespace, as far as fluxkeep looks at them by name.
const CLUSTER_SCOPED: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
];

/// Ten times the objects that the largest charts render; etcd holds no larger release.
pub const MOST_DOCUMENTS: usize = 10_000;

/// Bytes of all annotations of an object, keys and values: `TotalAnnotationSizeLimitB` of apimachinery.
pub const MOST_ANNOTATIONS: usize = 256 * 1024;

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

/// A document that is not readable.
#[derive(Debug)]
pub struct Unsifted {
    /// Its kind and metadata, where those were read.
    pub object: Option<Box<Object>>,
    /// Where in the stream, and why.
    pub unread: Unread,
}

/// As [`read`], but a document that is not readable does not hide the others. A stream that has more than `most`
/// objects, and documents without any, is read up to there.
#[must_use]
pub fn sift(text: &str, reading: Reading<'_>, most: usize) -> Sifted {
    let mut sifted = Sifted::default();
    for document in &yaml::documents(text) {
        if sifted.count >= most {
            sifted.lacks(None, too_many(document, most, "stream"));
            break;
        }
        let objects = members(document);
        let count = objects.as_ref().map_or(1, Vec::len);
        sifted.count += count.max(1);
        if count > MOST_ITEMS {
            sifted.lacks(None, too_many(document, MOST_ITEMS, "list"));
            break;
        }
        match objects {
            Ok(objects) => {
                let objects = objects.into_iter();
                let placed = objects.map(|object| placed(object, document, reading));
                sifted.objects.extend(placed);
            }
            Err(unread) => {
                let head = head(document).map(|object| placed(object, document, reading));
                sifted.objects.extend(head.clone());
                sifted.lacks(head, unread);
            }
        }
    }
    sifted
}

impl Sifted {
    fn lacks(&mut self, object: Option<Object>, unread: Unread) {
        let object = object.map(Box::new);
        self.unread.push(Unsifted { object, unread });
    }
}

/// Kind and metadata of one object that is not readable beyond them.
fn head(document: &Document<'_>) -> Option<Object> {
    let object = document.lean().read::<wire::Other>().ok()?.object();
    is_plain(&object.kind).then_some(object)
}

fn too_many(document: &Document<'_>, most: usize, of: &str) -> Unread {
    let message = format!("more than {most} objects in one {of}; split it");
    Unread {
        line: document.line,
        column: 1,
        message,
    }
}

/// The objects of one document: one, none, or the items of a list.
fn members(document: &Document<'_>) -> Result<Vec<Object>, Unread> {
    let lean = document.lean();
    let guess = guess(lean.text());
    if let Ok(object) = as_kind(&lean, &guess)
        && is_plain(&object.kind)
        && (&object.api_version, &object.kind) == (&guess.api_version, &guess.kind)
    {
        return Ok(vec![weighed(object, document, &lean)]);
    }
    let head: Head = lean.read()?;
    match head.kind.as_str() {
        "" => Ok(Vec::new()),
        kind if is_plain(kind) => {
            as_kind(&lean, &head).map(|object| vec![weighed(object, document, &lean)])
        }
        _ => items(&lean),
    }
}

/// The object of a document with what is too large in it. Only CRDs are: their annotations and schemas
/// are the largest texts that charts render, and texts below the limits are not looked at.
fn weighed(mut object: Object, document: &Document<'_>, lean: &Lean<'_>) -> Object {
    if object.definition().is_none() {
        return object;
    }
    if lean.text().len() > MOST_ANNOTATIONS {
        let bytes = annotations(lean);
        if bytes > MOST_ANNOTATIONS {
            object.flaws.push(Flaw::Annotations(bytes));
        }
    }
    if document.text.len() > MOST_STORED {
        let versions = object
            .definition()
            .map_or(1, |definition| definition.versions.len());
        object.flaws.extend(size(content(document.text), versions));
    }
    object
}

/// The bytes of all annotations, keys and values.
fn annotations(lean: &Lean<'_>) -> usize {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Whole {
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata {
        annotations: BTreeMap<String, Option<String>>,
    }
    let Ok(whole) = lean.read::<Whole>() else {
        return 0;
    };
    let annotations = whole.metadata.annotations.into_iter();
    let bytes =
        |(key, value): (String, Option<String>)| key.len() + value.unwrap_or_default().len();
    annotations.map(bytes).sum()
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
fn content(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .map(str::len)
        .sum()
}

/// Neither nothing nor a list.
fn is_plain(kind: &str) -> bool {
    !kind.is_empty() && !kind.ends_with("List")
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

fn as_kind(document: &Lean<'_>, head: &Head) -> Result<Object, Unread> {
    let group = head
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    by_kind!(body_kind(group, &head.kind), one(document))
}

fn one<W: FromWire + for<'de> Deserialize<'de>>(document: &Lean<'_>) -> Result<Object, Unread> {
    document.read::<W>().map(FromWire::object)
}

#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct List<T> {
    #[serde(default = "Vec::new", deserialize_with = "first")]
    items: Vec<T>,
}

/// As many items as there may be, and one more; what follows is passed over.
fn first<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct First<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
        type Value = Vec<T>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while items.len() <= MOST_ITEMS {
                let Some(item) = seq.next_element()? else {
                    return Ok(items);
                };
                items.push(item);
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(items)
        }
    }

    deserializer.deserialize_seq(First(PhantomData))
}

/// JSON items are cut out and read one by one, so that no schema becomes a tree of values.
fn items(document: &Lean<'_>) -> Result<Vec<Object>, Unread> {
    if document.is_json() {
        let texts = document.read::<List<Box<RawValue>>>()?.items;
        let object = |(index, text): (usize, &RawValue)| {
            item(text.get()).map_err(|error| document.unread(index, &error))
        };
        return texts
            .iter()
            .map(AsRef::as_ref)
            .enumerate()
            .map(object)
            .collect();
    }
    let values = document
        .read::<List<Value>>()?
        .items
        .into_iter()
        .enumerate();
    let object = |(index, value): (usize, Value)| {
        item(&value.to_string()).map_err(|error| document.unread(index, &error))
    };
    values.map(object).collect()
}

fn item(text: &str) -> Result<Object, serde_json::Error> {
    let head: Head = serde_json::from_str(text)?;
    let object = shaped(text, &head)?;
    Ok(Object {
        listed: true,
        ..object
    })
}

/// Reads one object in JSON that is of this version and kind: the apiserver leaves both out where
/// they stand on the list.
///
/// # Errors
/// When it is not readable: where, and what is wrong, without the value.
pub fn read_as(text: &str, head: Head) -> Result<Object, String> {
    let object = shaped(text, &head).map_err(|error| shape(&error))?;
    Ok(Object {
        api_version: head.api_version,
        kind: head.kind,
        ..object
    })
}

fn shaped(text: &str, head: &Head) -> Result<Object, serde_json::Error> {
    let group = head
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    by_kind!(body_kind(group, &head.kind), parsed(text))
}

fn parsed<W: FromWire + for<'de> Deserialize<'de>>(
    text: &str,
) -> Result<Object, serde_json::Error> {
    serde_json::from_str::<W>(text).map(FromWire::object)
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
