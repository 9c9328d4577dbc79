//! From a rendered manifest to the one that Helm stores: pure, the seam of most tests.

use std::collections::{BTreeSet, HashMap};

use fluxkeep::adoption::{Adopter, Edit, Selecting, Standing, patch};
use fluxkeep::helm::{Owner, RESOURCE_POLICY};
use fluxkeep::judge::judge;
use fluxkeep::manifest::{self, Found, Reading, gather};
use fluxkeep::object::{Key, Object};
use fluxkeep::policy::Policy;
use fluxkeep::request::{Door, Operation, Release, Request, Subject, Writer};
use fluxkeep::threads::Crew;
use fluxkeep::verdict::Verdict;
use fluxkeep::yaml::edit::{Splice, edit};
use fluxkeep::yaml::{self, Document, Unread};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::input;

/// A manifest with what is to be written, and what the judge says of it.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// What is to be written, in the order of the text.
    pub splices: Vec<Splice>,
    /// Every object of the manifest as it will be, in its order.
    pub objects: Vec<Object>,
    /// What becomes of each.
    pub plans: Vec<Plan>,
    /// The judge's word on the manifest as it will be.
    pub verdict: Verdict,
}

/// What becomes of one object.
#[derive(Debug)]
pub struct Plan {
    /// How the live one stands to the release.
    pub standing: Standing,
    /// What is written on it.
    pub edits: Vec<Edit>,
}

/// Why a manifest cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] input::Unfit),
    /// It is binary, or another encoding.
    #[error(
        "line {line} of the manifest is not UTF-8; a post-renderer is given text, so look at what comes before it"
    )]
    NotText {
        /// Line, from 1.
        line: u32,
    },
    /// There is no object in it.
    #[error(
        "the manifest holds no object; Helm would delete everything that the release had. Look at the chart's values"
    )]
    Empty,
    /// A document is not readable, or cannot be edited without changing what it means.
    #[error("document {number} of the manifest, {unread}; correct the template that it comes from")]
    Document {
        /// Counted from 1; what holds nothing does not count.
        number: usize,
        /// Where, and why.
        unread: Unread,
    },
    /// Helm would write the second over the first.
    #[error(
        "document {number} of the manifest, line {line}: {key} stands in document {first} already; take out one of them"
    )]
    Twice {
        /// Which object.
        key: Box<Key>,
        /// The document that holds it first, from 1.
        first: usize,
        /// The document that holds it again, from 1.
        number: usize,
        /// Its line, from 1.
        line: u32,
    },
}

impl From<manifest::Unfit> for Unfit {
    fn from(unfit: manifest::Unfit) -> Self {
        match unfit {
            manifest::Unfit::Document { number, unread } => Self::Document { number, unread },
            manifest::Unfit::NotText { line } => Self::NotText { line },
        }
    }
}

/// Plans the edits of a manifest that comes in pieces (see [`gather`]), and asks the judge about what comes out.
///
/// # Errors
/// When it cannot be read, holds no object, one twice, or a document that cannot be read or edited.
pub fn rewrite<'a>(
    pieces: impl Iterator<Item = Result<&'a [u8], input::Unfit>> + Send,
    adopter: &Adopter<'_>,
    policy: &Policy,
    now: Timestamp,
    crew: &Crew,
) -> Result<Rewritten, Unfit> {
    let home = adopter.engine.namespaces.first();
    let namespace = adopter
        .owner
        .map(|owner| &owner.namespace)
        .or(home)
        .map(String::as_str);
    let pieces = pieces.map(|piece| piece.map_err(Unfit::from));
    let found = gather(
        pieces,
        Reading {
            file: None,
            namespace,
        },
        crew,
    )?;
    if found.is_empty() {
        return Err(Unfit::Empty);
    }
    apart(&found)?;
    let plans = planned(&found, adopter, crew);
    let lists = kept_lists(&found, adopter);
    let (places, objects): (Vec<_>, Vec<_>) = found
        .into_iter()
        .zip(&plans)
        .map(|(found, plan)| edited(found, plan, &lists))
        .unzip();
    let request = request(adopter.owner, objects);
    let nothing = fluxkeep::facts::Facts::default();
    let facts = adopter.facts.unwrap_or(&nothing);
    let (splices, verdict) = crew.both(
        || splices(&places, &plans, crew),
        || judge(&request, facts, policy, now),
    );
    let objects = if let Subject::Release(release) = request.subject {
        release.objects
    } else {
        Vec::new()
    };
    Ok(Rewritten {
        splices: splices?,
        objects,
        plans,
        verdict,
    })
}

/// The question whether the release may bring these objects.
fn request(owner: Option<&Owner>, objects: Vec<Object>) -> Request {
    let release = Release {
        owner: owner.cloned(),
        revision: None,
        objects,
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

/// True if a manifest holds comments and markers alone. It has no objects before Helm's post-renderer
/// either, so Helm may have it as it is. Blanks are refused: Helm 3 takes no empty output.
#[must_use]
pub fn is_comment(manifest: &[u8]) -> bool {
    str::from_utf8(manifest)
        .is_ok_and(|text| !text.trim().is_empty() && yaml::documents(text).is_empty())
}

/// Two objects of one name, but for hooks: Helm runs those one after another.
fn apart(found: &[Found<'_>]) -> Result<(), Unfit> {
    let mut seen = HashMap::with_capacity(found.len());
    for Found {
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
            return Err(Unfit::Twice {
                key,
                first,
                number,
                line,
            });
        }
    }
    Ok(())
}

fn planned(found: &[Found<'_>], adopter: &Adopter<'_>, crew: &Crew) -> Vec<Plan> {
    let selecting = Selecting::after(adopter.facts, found.iter().map(|found| &found.object));
    crew.map(found, |Found { object, .. }| {
        let mut edits = adopter.plan(object);
        edits.extend(selecting.plan(adopter.engine, object));
        Plan {
            standing: adopter.standing(object),
            edits,
        }
    })
}

/// The documents, by number, that are a `List` with an object to keep and do not say so themselves: Helm's
/// uninstall reads the annotations of a document, not those of its items.
fn kept_lists(found: &[Found<'_>], adopter: &Adopter<'_>) -> BTreeSet<usize> {
    let lacks_keep = |found: &&Found<'_>| {
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

/// Where an object stands: see [`Found`].
struct Place<'a> {
    document: Document<'a>,
    number: usize,
    item: Option<usize>,
    /// Whether the list around it is to say `keep`.
    is_list_kept: bool,
}

/// The object as it will be, and where it stands.
fn edited<'a>(found: Found<'a>, plan: &Plan, lists: &BTreeSet<usize>) -> (Place<'a>, Object) {
    let Found {
        document,
        number,
        item,
        mut object,
    } = found;
    for edit in &plan.edits {
        edit.make(&mut object);
    }
    let is_list_kept = lists.contains(&number);
    if let (Some(list), true) = (&mut object.list, is_list_kept) {
        list.policy = Some("keep".to_owned());
    }
    let place = Place {
        document,
        number,
        item,
        is_list_kept,
    };
    (place, object)
}

/// What is to be written. The objects of one document are edited together.
fn splices(places: &[Place<'_>], plans: &[Plan], crew: &Crew) -> Result<Vec<Splice>, Unfit> {
    let members: Vec<_> = places.iter().zip(plans).collect();
    let documents: Vec<_> = members
        .chunk_by(|(one, _), (next, _)| one.number == next.number)
        .collect();
    let splices = crew.map(&documents, |members| spliced(members));
    Ok(splices
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect())
}

fn spliced(members: &[(&Place<'_>, &Plan)]) -> Result<Vec<Splice>, Unfit> {
    let patches = members
        .iter()
        .map(|(place, plan)| (place.item, plan.edits.as_slice()));
    let mut wants = combined(patches.filter(|(_, edits)| !edits.is_empty()));
    let Some((first, _)) = members.first() else {
        return Ok(Vec::new());
    };
    if first.is_list_kept {
        let keep = json!({"annotations": {RESOURCE_POLICY: "keep"}});
        let mut whole = wants.unwrap_or_else(|| json!({}));
        if let Some(map) = whole.as_object_mut() {
            map.insert("metadata".to_owned(), keep);
        }
        wants = Some(whole);
    }
    let Some(wants) = wants else {
        return Ok(Vec::new());
    };
    edit(&first.document, &wants).map_err(|unread| Unfit::Document {
        number: first.number,
        unread,
    })
}

/// One patch for a document: that of its object, or one for each item of a list.
fn combined<'a>(patches: impl Iterator<Item = (Option<usize>, &'a [Edit])>) -> Option<Value> {
    let mut items = Map::new();
    for (item, edits) in patches {
        match item {
            None => return Some(patch(edits)),
            Some(item) => items.insert(item.to_string(), patch(edits)),
        };
    }
    (!items.is_empty()).then(|| Value::Object(Map::from_iter([("items".to_owned(), items.into())])))
}
