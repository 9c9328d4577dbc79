//! From a stream of documents to objects: a rendered manifest, a snapshot, a record's manifest.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::{fmt, iter};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::helm::record::shape;
use crate::object::{FromWire, Head, Object, Source, body_kind, by_kind};
use crate::threads::Crew;
use crate::yaml::{self, Document, Lean, Unread};

/// Kinds without a namespace, as far as fluxkeep looks at them by name.
const CLUSTER_SCOPED: [&str; 4] = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"];

/// Ten times the objects that the largest charts render; etcd holds no larger release.
pub const MOST_DOCUMENTS: usize = 10_000;

/// What one `kind: List` may hold: a snapshot of a large cluster is one.
const MOST_ITEMS: usize = 100_000;

/// A stream with more objects and documents without any is refused, wherever they stand: up to the last document
/// so many, and the items of that one.
const MOST: usize = 2 * MOST_DOCUMENTS + MOST_ITEMS;

/// How many bytes of text are at least read at a time. Hostile ones make a hundred times as many of objects, which
/// are counted in between.
pub const PIECE: usize = 128 << 10;

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
    Ok(find(text, reading)?.into_iter().map(|found| found.object).collect())
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

/// Why a stream is not readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A document of it is not.
    #[error("document {number}, {unread}")]
    Document {
        /// Which one, counted as [`Found::number`].
        number: usize,
        /// Where in the stream, and why.
        unread: Unread,
    },
    /// It is binary, or another encoding.
    #[error("line {line} is not UTF-8")]
    NotText {
        /// Line, from 1.
        line: u32,
    },
}

/// As [`read`], with the place of each object.
///
/// # Errors
/// As [`read`].
pub fn find<'a>(text: &'a str, reading: Reading<'_>) -> Result<Vec<Found<'a>>, Unread> {
    gather(pieces(text.as_bytes()).map(Ok), reading, &Crew::default()).map_err(|unfit: Unfit| match unfit {
        Unfit::Document { unread, .. } => unread,
        // Never of what is a text.
        Unfit::NotText { line } => Unread { line, column: 1, message: unfit.to_string() },
    })
}

/// As [`find`], of a stream that comes in pieces of whole documents (see [`yaml::whole`]). The crew reads the
/// documents of one while the next ones are still awaited.
///
/// # Errors
/// As [`read`]; and the first error among the pieces.
pub fn gather<'a, E: From<Unfit> + Send>(
    pieces: impl Iterator<Item = Result<&'a [u8], E>> + Send,
    reading: Reading<'_>,
    crew: &Crew,
) -> Result<Vec<Found<'a>>, E> {
    let (count, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    // They are handed out in their order, so all that stand before the one that ends it are read.
    let pieces = pieces.take_while(|_| !is_over.load(Ordering::Relaxed));
    let read = |bytes| {
        let piece = Piece::read(bytes);
        let so_far = count.fetch_add(piece.count(), Ordering::Relaxed) + piece.count();
        if piece.fails() || so_far > MOST {
            is_over.store(true, Ordering::Relaxed);
        }
        piece
    };
    let pieces = crew.stream(pieces, |piece| piece.map(read));
    let mut finder = Finder { reading, found: Vec::with_capacity(count.into_inner()), number: 0, bytes: 0, lines: 0 };
    for piece in pieces {
        finder.take(piece?)?;
    }
    Ok(finder.found)
}

/// A text in pieces of whole documents.
fn pieces(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let mut seen = 0;
        let cut = loop {
            let from = seen;
            seen += PIECE;
            let Some(begin) = rest.get(..seen) else { break rest.len() };
            if let Some(cut) = yaml::whole(begin, from) {
                break cut;
            }
        };
        let (piece, behind) = rest.split_at_checked(cut)?;
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What was read of a piece of a stream; places are those in the piece.
struct Piece<'a> {
    /// None behind the first one that is not readable.
    documents: Vec<(Document<'a>, Result<Vec<Object>, Unread>)>,
    bytes: usize,
    lines: u32,
    /// Whether what follows the lines is no text.
    is_cut: bool,
}

impl<'a> Piece<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (good, is_cut) = match str::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
                (str::from_utf8(good).unwrap_or_default(), true)
            }
        };
        let whole = if is_cut { yaml::whole(good.as_bytes(), 0).unwrap_or_default() } else { good.len() };
        let (text, rest) = good.split_at_checked(whole).unwrap_or_default();
        let (split, lines) = yaml::split(text);
        let mut documents = Vec::with_capacity(split.len().min(MOST_DOCUMENTS));
        // One more than there may be is as good as all of them.
        for document in split.into_iter().take(MOST_DOCUMENTS + 1) {
            documents.push((document, members(&document)));
            if documents.last().is_some_and(|(_, objects)| objects.is_err()) {
                break;
            }
        }
        let behind = u32::try_from(memchr::memchr_iter(b'\n', rest.as_bytes()).count()).unwrap_or(u32::MAX);
        Self { documents, bytes: good.len(), lines: lines + behind, is_cut }
    }

    /// Its objects, and the documents without any.
    fn count(&self) -> usize {
        self.documents.iter().map(|(_, objects)| objects.as_ref().map_or(1, |objects| objects.len().max(1))).sum()
    }

    fn fails(&self) -> bool {
        self.is_cut || self.documents.last().is_some_and(|(_, objects)| objects.is_err())
    }
}

/// What was found in the pieces so far.
struct Finder<'a, 'b> {
    reading: Reading<'b>,
    found: Vec<Found<'a>>,
    /// How many documents held anything.
    number: usize,
    bytes: usize,
    lines: u32,
}

impl<'a> Finder<'a, '_> {
    fn take(&mut self, piece: Piece<'a>) -> Result<(), Unfit> {
        for (document, objects) in piece.documents {
            let document = document.behind(self.bytes, self.lines);
            self.number += 1;
            let objects = objects.map_err(|unread| Unread { line: unread.line + self.lines, ..unread });
            self.add(document, objects).map_err(|unread| Unfit::Document { number: self.number, unread })?;
        }
        (self.bytes, self.lines) = (self.bytes + piece.bytes, self.lines + piece.lines);
        if piece.is_cut { Err(Unfit::NotText { line: self.lines + 1 }) } else { Ok(()) }
    }

    fn add(&mut self, document: Document<'a>, objects: Result<Vec<Object>, Unread>) -> Result<(), Unread> {
        if self.number > MOST_DOCUMENTS {
            return Err(too_many(&document, 1));
        }
        let objects = objects?;
        if self.found.len() >= MOST_DOCUMENTS || objects.len() > MOST_ITEMS {
            return Err(too_many(&document, objects.len()));
        }
        for (place, object) in objects.into_iter().enumerate() {
            let item = object.listed.then_some(place);
            let object = placed(object, &document, self.reading);
            self.found.push(Found { document, number: self.number, item, object });
        }
        Ok(())
    }
}

fn too_many(document: &Document<'_>, objects: usize) -> Unread {
    let (most, of) = if objects > MOST_ITEMS { (MOST_ITEMS, "list") } else { (MOST_DOCUMENTS, "stream") };
    let message = format!("more than {most} objects in one {of}; split it");
    Unread { line: document.line, column: 1, message }
}

/// The objects of one document: one, none, or the items of a list.
fn members(document: &Document<'_>) -> Result<Vec<Object>, Unread> {
    let lean = document.lean();
    let guess = guess(lean.text());
    if let Ok(object) = as_kind(&lean, &guess)
        && is_plain(&object.kind)
        && (&object.api_version, &object.kind) == (&guess.api_version, &guess.kind)
    {
        return Ok(vec![object]);
    }
    let head: Head = lean.read()?;
    match head.kind.as_str() {
        "" => Ok(Vec::new()),
        kind if is_plain(kind) => as_kind(&lean, &head).map(|object| vec![object]),
        _ => items(&lean),
    }
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
    let group = head.api_version.split_once('/').map_or("", |(group, _)| group);
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
fn first<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct First<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
        type Value = Vec<T>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while items.len() <= MOST_ITEMS {
                let Some(item) = seq.next_element()? else { return Ok(items) };
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
        let object =
            |(index, text): (usize, &RawValue)| item(text.get()).map_err(|error| document.unread(index, &error));
        return texts.iter().map(AsRef::as_ref).enumerate().map(object).collect();
    }
    let values = document.read::<List<Value>>()?.items.into_iter().enumerate();
    let object =
        |(index, value): (usize, Value)| item(&value.to_string()).map_err(|error| document.unread(index, &error));
    values.map(object).collect()
}

fn item(text: &str) -> Result<Object, serde_json::Error> {
    let head: Head = serde_json::from_str(text)?;
    let object = shaped(text, &head)?;
    Ok(Object { listed: true, ..object })
}

/// Reads one object in JSON that is of this version and kind: the apiserver leaves both out where
/// they stand on the list.
///
/// # Errors
/// When it is not readable: where, and what is wrong, without the value.
pub fn read_as(text: &str, head: Head) -> Result<Object, String> {
    let object = shaped(text, &head).map_err(|error| shape(&error))?;
    Ok(Object { api_version: head.api_version, kind: head.kind, ..object })
}

fn shaped(text: &str, head: &Head) -> Result<Object, serde_json::Error> {
    let group = head.api_version.split_once('/').map_or("", |(group, _)| group);
    by_kind!(body_kind(group, &head.kind), parsed(text))
}

fn parsed<W: FromWire + for<'de> Deserialize<'de>>(text: &str) -> Result<Object, serde_json::Error> {
    serde_json::from_str::<W>(text).map(FromWire::object)
}

fn placed(mut object: Object, document: &Document<'_>, reading: Reading<'_>) -> Object {
    object.source = reading.file.map(|file| Source { file: file.to_owned(), line: document.content, column: 1 });
    if CLUSTER_SCOPED.contains(&object.kind.as_str()) {
        object.namespace = None;
    } else if object.namespace.as_deref().is_none_or(str::is_empty) {
        object.namespace = reading.namespace.map(str::to_owned);
    }
    object
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn gathered(text: &[u8], most: usize) -> Result<Vec<Found<'_>>, Unfit> {
        gather(pieces(text).map(Ok), Reading { file: Some("f"), namespace: None }, &Crew::of(most))
    }

    fn object(name: usize) -> String {
        let text = "text ".repeat(PIECE / 20);
        format!("---\n# about\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n{name}\ndata:\n  a: {text}\n")
    }

    #[test]
    fn places_are_those_in_the_stream_whatever_its_pieces() {
        let text: String = (0..20).map(object).collect();
        assert!(pieces(text.as_bytes()).count() > 3);
        for most in [1, 3] {
            let found = gathered(text.as_bytes(), most).unwrap();
            assert_eq!(found.len(), 20);
            for (index, Found { document, number, object, .. }) in found.iter().enumerate() {
                assert_eq!((*number, object.name.clone()), (index + 1, format!("n{index}")));
                let line = u32::try_from(8 * index + 1).unwrap();
                assert_eq!((document.line, document.content), (line, line + 2));
                assert_eq!(object.source.as_ref().map(|source| source.line), Some(line + 2));
                assert!(text.get(document.offset..).unwrap().starts_with(document.text));
            }
        }
    }

    #[test]
    fn what_is_not_readable_is_found_in_whatever_piece_it_stands() {
        let good: String = (0..20).map(object).collect();
        for most in [1, 3] {
            let bad = format!("{good}---\nkind: [\n{}", object(0));
            let unfit = gathered(bad.as_bytes(), most).unwrap_err();
            assert!(matches!(&unfit, Unfit::Document { number: 21, unread } if unread.line > 160), "{unfit}");
            let bad = [good.as_bytes(), b"---\nkind: X\na: \xff\n---\nkind: [\n"].concat();
            assert_eq!(gathered(&bad, most).unwrap_err(), Unfit::NotText { line: 163 });
        }
    }

    #[test]
    fn nothing_depends_on_where_a_stream_is_cut() {
        let good = "\u{feff}# c\n%YAML 1.1\n---\nkind: A\r\n...\n---\r\nkind: B\n--- # x\nkind: |\n  ---\n  C\n---\n{\"kind\":\n\"D\"} {\"kind\": \"E\"}\n---\n\n---\na: b\n---\nkind: F\n---\n";
        for end in ["kind: G", "kind: [\n---\nkind: H\n", "\u{1}\n", "kind: G\n---\na: b\n---\nkind: [\n---\n"] {
            // What stands for it is no text.
            let text: Vec<_> =
                good.bytes().chain(end.bytes()).map(|byte| if byte == 1 { 0xff } else { byte }).collect();
            let read = |pieces: &[&[u8]]| {
                let pieces = pieces.iter().map(|piece| Ok(*piece)).collect::<Vec<_>>();
                let found = gather(pieces.into_iter(), Reading { file: Some("f"), namespace: None }, &Crew::default());
                found.map(|found| {
                    found.into_iter().map(|one| (one.document.line, one.number, one.object)).collect::<Vec<_>>()
                })
            };
            let all: Result<_, Unfit> = read(&[&text]);
            for seen in 0..=text.len() {
                if let Some(cut) = yaml::whole(text.get(..seen).unwrap(), 0) {
                    let (piece, rest) = text.split_at(cut);
                    assert_eq!(read(&[piece, rest]), all, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_read_behind_what_ends_a_stream() {
        let objects = "---\nkind: A\n".repeat(MOST_DOCUMENTS / 2);
        for (bad, most) in ["---\n[\n", &objects].into_iter().flat_map(|bad| [(bad, 1), (bad, 3)]) {
            let mut count = 0;
            let pieces = (0..1_000).map(|_| Ok::<_, Unfit>(bad.as_bytes())).inspect(|_| count += 1);
            assert!(gather(pieces, Reading::default(), &Crew::of(most)).is_err());
            assert!(count < 100, "{count} pieces");
        }
    }

    #[test]
    fn more_objects_than_any_release_holds_are_refused() {
        let one = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n";
        for most in [1, 3] {
            assert_eq!(
                gathered(one.repeat(MOST_DOCUMENTS).as_bytes(), most).map(|found| found.len()),
                Ok(MOST_DOCUMENTS)
            );
            for text in [one.repeat(MOST_DOCUMENTS + 1), "---\na: b\n".repeat(MOST_DOCUMENTS + 1)] {
                let unfit = gathered(text.as_bytes(), most).unwrap_err();
                assert!(
                    matches!(&unfit, Unfit::Document { number: 10_001, unread } if unread.message.starts_with("more than 10000")),
                    "{unfit}"
                );
            }
        }
    }
}
