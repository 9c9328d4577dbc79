//! Rewrites the rendered manifest into the one that Helm stores. No I/O: most tests start here.

use std::collections::{BTreeSet, HashMap};

use fluxkeep::adoption::{Adopter, MetadataEdit, Ownership, Selecting, patch};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::case::verdict::Verdict;
use fluxkeep::helm::{Owner, RESOURCE_POLICY};
use fluxkeep::judge::judge;
use fluxkeep::manifest::{ManifestObject, Reading, UnreadDocument, find};
use fluxkeep::object::{Key, Object};
use fluxkeep::yaml::edit::{Splice, edit, splice};
use fluxkeep::yaml::{self, Document, Unread};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A rewritten manifest and the verdict on it.
#[derive(Debug, Default)]
pub struct Rewritten<'a> {
    /// The text of the rewritten manifest.
    pub text: String,
    /// The objects, in the order of the manifest.
    pub members: Vec<RewrittenObject<'a>>,
    /// The judge's verdict on the rewritten objects.
    pub verdict: Verdict,
}

/// An object of the manifest and its edits.
#[derive(Debug)]
pub struct RewrittenObject<'a> {
    /// The object with its edits.
    pub object: Object,
    /// The ownership of the live object.
    pub standing: Ownership,
    /// The edits of labels and annotations.
    pub edits: Vec<MetadataEdit>,
    document: Document<'a>,
    /// The document's number, from 1.
    number: usize,
    /// The index in the document's items, if the document is a list.
    item: Option<usize>,
    /// True if the list around the object is to be annotated `keep`.
    is_list_kept: bool,
}

/// The reason why a manifest cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The manifest contains no object.
    #[error(
        "the manifest holds no object; Helm would delete every object of the release. Check the chart's values"
    )]
    Empty,
    /// A document is not readable, or cannot be edited without changing its meaning.
    #[error("document {number} of the manifest, {unread}; correct its template")]
    Document {
        /// The document's number from 1, without empty documents.
        number: usize,
        /// The position in the manifest, and the reason.
        unread: Unread,
    },
    /// An object occurs twice. Helm would overwrite the first with the second.
    #[error(
        "document {number} of the manifest, line {line}: {key} is already in document {first}; remove one of them"
    )]
    Twice {
        /// The object's key.
        key: Box<Key>,
        /// The first document with the object, from 1.
        first: usize,
        /// The second document with the object, from 1.
        number: usize,
        /// The line at which the second document's content begins, from 1.
        line: u32,
    },
}

impl From<UnreadDocument> for RewriteError {
    fn from(UnreadDocument { number, unread }: UnreadDocument) -> Self {
        Self::Document { number, unread }
    }
}

/// Edits a manifest, and judges the edited objects.
///
/// # Errors
/// When the manifest has no object, has an object twice, or a document cannot be read or edited.
pub fn rewrite<'a>(
    manifest: &'a str,
    adopter: &Adopter<'_>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Rewritten<'a>, RewriteError> {
    let owner = adopter.owner.map(|owner| &owner.namespace);
    let namespace = owner.or(adopter.engine.namespaces.first());
    let reading = Reading {
        file: None,
        namespace: namespace.map(String::as_str),
    };
    let found = find(manifest, reading)?;
    if found.is_empty() {
        return Err(RewriteError::Empty);
    }
    apart(&found)?;
    let members = planned(&found, adopter);
    let mut splices = Vec::new();
    for document in members.chunk_by(|one, next| one.number == next.number) {
        splices.extend(spliced(document)?);
    }
    let nothing = Facts::default();
    let request = request(adopter.owner, &members);
    let verdict = judge(&request, adopter.facts.unwrap_or(&nothing), policy, now);
    Ok(Rewritten {
        text: splice(manifest, &splices),
        members,
        verdict,
    })
}

/// Returns the request to judge: the release with its edited objects.
fn request(owner: Option<&Owner>, members: &[RewrittenObject<'_>]) -> Request {
    let objects = members.iter().map(|member| member.object.clone());
    let release = Release {
        owner: owner.cloned(),
        revision: None,
        stored_in: None,
        objects: objects.collect(),
    };
    Request {
        door: Door::PostRenderer,
        operation: Operation::Create,
        dry_run: false,
        writer: Writer::default(),
        subject: Subject::Release(release),
        gaps: Vec::new(),
    }
}

/// True if a manifest contains only comments and markers. The chart rendered no object, so the
/// manifest passes unchanged. Blanks are refused: Helm 3 does not accept empty output.
#[must_use]
pub fn is_comment(manifest: &str) -> bool {
    !manifest.trim().is_empty() && yaml::documents(manifest).next().is_none()
}

/// Fails if two objects have the same name. Hooks are exempt: Helm runs them one after another.
fn apart(found: &[ManifestObject<'_>]) -> Result<(), RewriteError> {
    let mut seen = HashMap::with_capacity(found.len());
    for ManifestObject {
        object,
        document,
        number,
        ..
    } in found.iter().filter(|found| !found.object.is_hook())
    {
        let identity = (
            &object.name,
            &object.kind,
            object.group(),
            &object.namespace,
        );
        if let Some(first) = seen.insert(identity, *number) {
            let (key, number, line) = (Box::new(object.key()), *number, document.content);
            return Err(RewriteError::Twice {
                key,
                first,
                number,
                line,
            });
        }
    }
    Ok(())
}

/// Returns the edited objects, each with its edits.
fn planned<'a>(found: &[ManifestObject<'a>], adopter: &Adopter<'_>) -> Vec<RewrittenObject<'a>> {
    let selecting = Selecting::after(adopter.facts, found.iter().map(|found| &found.object));
    let lists = kept_lists(found, adopter);
    let mut members = Vec::with_capacity(found.len());
    for found in found {
        let mut edits = adopter.plan(&found.object);
        edits.extend(selecting.plan(adopter.engine, &found.object));
        let mut object = found.object.clone();
        for edit in &edits {
            edit.make(&mut object);
        }
        let is_list_kept = lists.contains(&found.number);
        if let (Some(list), true) = (&mut object.list, is_list_kept) {
            list.policy = Some("keep".to_owned());
        }
        members.push(RewrittenObject {
            object,
            standing: adopter.standing(&found.object),
            edits,
            document: found.document,
            number: found.number,
            item: found.item,
            is_list_kept,
        });
    }
    members
}

/// Returns the numbers of the `List` documents that lack `keep` but contain an object to keep.
/// Helm's uninstall reads the annotations of a document, not those of its items.
fn kept_lists(found: &[ManifestObject<'_>], adopter: &Adopter<'_>) -> BTreeSet<usize> {
    let lacks_keep = |found: &&ManifestObject<'_>| {
        let list = found.object.list.as_ref();
        list.is_some_and(|list| list.takes_annotations())
            && !found.object.is_kept()
            && adopter.keeps(&found.object)
    };
    found
        .iter()
        .filter(lacks_keep)
        .map(|found| found.number)
        .collect()
}

/// Returns the splices of one document, for all its objects together.
fn spliced(members: &[RewrittenObject<'_>]) -> Result<Vec<Splice>, RewriteError> {
    let Some(first) = members.first() else {
        return Ok(Vec::new());
    };
    let mut wants = combined(members);
    if first.is_list_kept {
        let keep = json!({"annotations": {RESOURCE_POLICY: "keep"}});
        wants.insert("metadata".to_owned(), keep);
    }
    if wants.is_empty() {
        return Ok(Vec::new());
    }
    let splices = edit(&first.document, &Value::Object(wants));
    splices.map_err(|unread| RewriteError::Document {
        number: first.number,
        unread,
    })
}

/// Returns one patch for a document: that of its only object, or those of a list's items.
fn combined(members: &[RewrittenObject<'_>]) -> Map<String, Value> {
    let mut items = Map::new();
    for member in members.iter().filter(|member| !member.edits.is_empty()) {
        let patch = patch(&member.edits);
        match (member.item, patch) {
            (Some(item), patch) => {
                items.insert(item.to_string(), patch);
            }
            (None, Value::Object(patch)) => return patch,
            (None, _) => {}
        }
    }
    if items.is_empty() {
        return items;
    }
    Map::from_iter([("items".to_owned(), Value::Object(items))])
}
