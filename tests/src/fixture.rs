//! Rule fixtures: a folder with a request and the facts of a cluster.
//!
//! `request.yaml` is a change of one object or a release. A change has `operation`, `user`,
//! `fieldManager`, `subResource`, `old` and `new`. A `release` has a name and a namespace, and its
//! manifest in `manifest.yaml`. `facts.yaml` extends the built-in snapshot, or stands alone with
//! `base: none`. With `heard`, facts date from that time and are stale after five minutes.

#![allow(clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};

use fluxkeep::admission::{Answer, answer};
use fluxkeep::case::facts::{Facts, Heard};
use fluxkeep::case::finding::Outcome;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::Door;
use fluxkeep::case::rule::Rule;
use fluxkeep::helm::Owner;
use fluxkeep::helm::record::Driver;
use fluxkeep::manifest::{self, Reading};
use fluxkeep::object::Object;
use fluxkeep::rules::RULES;
use fluxkeep::yaml::values;
use fluxkeep_cluster::BUILT_IN;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Review, now, packed_as, stored};

/// The folder that holds a folder per rule.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")
}

/// The rules that a request or a manifest may break. Rules about repositories alone have their own
/// fixtures.
pub fn asked_rules() -> impl Iterator<Item = &'static Rule> {
    let rules = RULES.into_iter();
    rules.filter(|rule| rule.doors != [Door::Check])
}

/// A parsed fixture folder.
#[derive(Debug)]
pub struct Fixture {
    /// The text of all files, without comments.
    pub text: String,
    /// The cluster's facts.
    pub facts: Facts,
    asked: Asked,
    manifest: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Asked {
    base: Base,
    heard: Option<String>,
    operation: String,
    user: String,
    field_manager: String,
    sub_resource: String,
    old: Value,
    new: Value,
    release: Option<Named>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Base {
    #[default]
    BuiltIn,
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    namespace: String,
    #[serde(default = "first")]
    revision: u64,
}

fn first() -> u64 {
    1
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            base: Base::default(),
            heard: None,
            operation: "CREATE".into(),
            user: "kubernetes-admin".into(),
            field_manager: "kubectl".into(),
            sub_resource: String::new(),
            old: Value::Null,
            new: Value::Null,
            release: None,
        }
    }
}

impl Fixture {
    /// Reads a folder; panics with the file's name if a file has another form than described above.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let [request, manifest, known] =
            ["request.yaml", "manifest.yaml", "facts.yaml"].map(|name| content(&folder.join(name)));
        let asked = asked(&request).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        assert!(
            asked.release.is_some() != manifest.is_empty(),
            "{}: a release has a manifest.yaml",
            folder.display()
        );
        let base = if asked.base == Base::None {
            ""
        } else {
            BUILT_IN
        };
        let facts_of = [base, &known]
            .map(|text| objects(text, None))
            .into_iter()
            .flatten();
        let facts = Facts::of(facts_of);
        Self {
            facts: match &asked.heard {
                Some(at) => facts.as_heard(heard(at.parse().ok())),
                None => facts,
            },
            text: plain(&[&request, &manifest, &known].map(String::as_str)),
            asked,
            manifest,
        }
    }

    /// The answer to the fixture's review, under the default policy.
    #[must_use]
    pub fn answer(&self) -> Answer {
        answer(&self.body(), &self.facts, &Policy::default(), now())
    }

    /// The release as an unsent manifest; `None` for a change.
    #[must_use]
    pub fn release(&self) -> Option<fluxkeep::case::request::Release> {
        let Named {
            name, namespace, ..
        } = self.asked.release.as_ref()?;
        let owner = Owner {
            name: name.clone(),
            namespace: namespace.clone(),
        };
        let objects = objects(&self.manifest, Some(namespace));
        Some(fluxkeep::case::request::Release {
            owner: Some(owner),
            revision: None,
            stored_in: None,
            objects,
        })
    }

    /// The review's bytes.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let asked = &self.asked;
        if let Some(release) = &asked.release {
            return stored(secret(release, &self.manifest)).bytes();
        }
        let about = if asked.old.is_null() {
            &asked.new
        } else {
            &asked.old
        };
        let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default();
        let slash = if text("apiVersion").contains('/') {
            ""
        } else {
            "/"
        };
        Review {
            kind: &format!("{slash}{}/{}", text("apiVersion"), text("kind")),
            resource: &plural(text("kind")),
            sub_resource: &asked.sub_resource,
            operation: &asked.operation,
            user: &asked.user,
            field_manager: &asked.field_manager,
            object: asked.new.clone(),
            old: asked.old.clone(),
        }
        .bytes()
    }
}

/// CRDs last heard at this time, with a bound of five minutes.
#[must_use]
pub fn heard(at: Option<Timestamp>) -> Heard {
    Heard {
        resource: "customresourcedefinitions",
        at,
        bound: SignedDuration::from_mins(5),
    }
}

/// The answer's texts for people and programs, in the form of a snapshot.
#[must_use]
pub fn shown(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    let at = |path: &str| body.pointer(path).cloned().unwrap_or_default();
    let lines = |path: &str| at(path).as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut shown = vec![format!(
        "{}: {}",
        answer.outcome.name(),
        at("/response/auditAnnotations")
    )];
    shown.extend(
        at("/response/status/message")
            .as_str()
            .map(|message| format!("message:\n{message}")),
    );
    shown.extend(
        lines("/response/warnings")
            .iter()
            .map(|warning| format!("warning: {}", text(warning))),
    );
    for cause in lines("/response/status/details/causes") {
        shown.push(format!(
            "cause: {} at {}: {}",
            cause["reason"],
            cause["field"],
            text(&cause["message"])
        ));
    }
    for finding in answer
        .verdict
        .findings
        .iter()
        .filter(|finding| finding.outcome() != Outcome::Refused)
    {
        shown.push(format!("{}: {finding}", finding.outcome().name()));
    }
    shown.extend(
        answer
            .verdict
            .abstained
            .iter()
            .map(|one| format!("abstained: {} lacks the {}", one.rule, one.needs)),
    );
    shown.join("\n")
}

fn content(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    }
}

fn plain(files: &[&str]) -> String {
    let lines = files.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Reads a request.yaml.
fn asked(text: &str) -> Result<Asked, String> {
    let mut documents = values(text).map_err(|error| error.to_string())?;
    let document = documents.pop().unwrap_or_else(|| json!({}));
    serde_json::from_value(document).map_err(|error| error.to_string())
}

/// The objects of a YAML stream written by a test.
#[must_use]
pub fn objects(text: &str, namespace: Option<&str>) -> Vec<Object> {
    manifest::read(
        text,
        Reading {
            namespace,
            ..Reading::default()
        },
    )
    .unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

fn secret(release: &Named, manifest: &str) -> Value {
    let Named {
        name,
        namespace,
        revision,
    } = release;
    let data = packed_as(*revision, name, namespace, manifest, &[], Driver::Secret);
    let metadata = json!({"name": format!("sh.helm.release.v1.{name}.v{revision}"), "namespace": namespace,
        "labels": {"owner": "helm", "name": name}});
    json!({"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1", "metadata": metadata,
        "data": {"release": data}})
}

/// The resource of a kind, by a rule that suffices for fixtures.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    kind.strip_suffix('y')
        .map_or_else(|| format!("{kind}s"), |stem| format!("{stem}ies"))
}
