//! A file's text, with its YAML values and the places of bytes as lines and columns.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;

use crate::case::fix::Edit;
use crate::object::{SourceLocation, group_and_version};
use crate::yaml::spans::{self, Node, NodeBody, Style};
use crate::yaml::{Document, documents};

use super::zone::Zone;

/// A text that the repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The path from the repository's top, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
    /// The part of the repository.
    pub zone: Zone,
    /// The values of its YAML documents; empty for other files.
    pub nodes: Vec<Arc<Node>>,
    /// The objects in them, nested ones too.
    pub resources: Vec<Resource>,
    /// The reason why a document could not be read.
    pub unread: Option<String>,
    lines: Vec<usize>,
}

/// An object of Kubernetes as a file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// For example `helm.toolkit.fluxcd.io`; empty for the core group.
    pub group: String,
    /// For example `helm.toolkit.fluxcd.io/v2`.
    pub api_version: String,
    /// For example `HelmRelease`.
    pub kind: String,
    /// `metadata.name`; may be empty.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The whole object.
    pub node: Arc<Node>,
    /// True in the text of a `patch`: kustomize matches the target, and ignores the version.
    pub is_patch: bool,
}

/// A value that a form found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The value without quotes.
    pub text: String,
    /// Its bytes.
    pub span: Range<usize>,
}

impl Value {
    /// The value of a YAML scalar.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        let text = node.text()?.trim().to_owned();
        (!text.is_empty()).then(|| Self {
            text,
            span: node.inner(),
        })
    }
}

impl Text {
    /// Reads a file. Invalid YAML still leaves its lines.
    #[must_use]
    pub fn read(path: String, text: String, zone: Zone) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        let mut read = Self {
            path,
            text,
            zone,
            nodes: Vec::new(),
            resources: Vec::new(),
            unread: None,
            lines,
        };
        if read.is_yaml() {
            read.structure();
        }
        read
    }

    fn is_yaml(&self) -> bool {
        [".yaml", ".yml", "Chart.lock"]
            .iter()
            .any(|end| self.path.ends_with(end))
    }

    fn structure(&mut self) {
        let text = std::mem::take(&mut self.text);
        let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let base = text.len() - body.len();
        for document in documents(body) {
            let document = document.behind(base);
            match spans::read(&document) {
                Ok(Some(node)) => self.nodes.push(Arc::new(node)),
                Ok(None) => {}
                Err(unread) => self.unread = self.unread.take().or(Some(unread.to_string())),
            }
        }
        let mut resources = Vec::new();
        for node in &self.nodes {
            resources.extend(Resource::of(node, || node.clone(), false));
            within(node, &text, 0, false, &mut resources);
        }
        self.resources = resources;
        self.text = text;
    }

    /// The file's name without its folders.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The folders of the file; empty at the top.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The place of a byte: line and column from 1, the column in characters.
    #[must_use]
    pub fn place(&self, at: usize) -> SourceLocation {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..at).unwrap_or_default();
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        SourceLocation {
            file: self.path.clone(),
            line: narrow(line),
            column: narrow(before.chars().count() + 1),
            end: None,
        }
    }

    /// The place of some bytes. Its end stays unknown if they go beyond their line.
    #[must_use]
    pub fn range(&self, span: &Range<usize>) -> SourceLocation {
        let start = self.place(span.start);
        let is_one_line = !span.is_empty() && span.end <= self.line(span.start).end;
        let length = self.slice(span.clone()).chars().count();
        let length = u32::try_from(length).ok().filter(|_| is_one_line);
        SourceLocation {
            end: length.map(|length| start.column.saturating_add(length)),
            ..start
        }
    }

    /// A replacement of bytes.
    #[must_use]
    pub fn edit(&self, bytes: Range<usize>, text: String) -> Edit {
        let end = self.place(bytes.end);
        Edit {
            start: self.place(bytes.start),
            end: (end.line, end.column),
            bytes,
            text,
        }
    }

    /// The bytes of a line that holds this byte, without its end.
    #[must_use]
    pub fn line(&self, at: usize) -> Range<usize> {
        let number = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(number - 1).copied().unwrap_or_default();
        let next = self.lines.get(number).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..next).unwrap_or_default();
        start..start + line.trim_end_matches(['\n', '\r']).len()
    }

    /// Every line, as its bytes.
    pub fn lines(&self) -> impl Iterator<Item = Range<usize>> {
        self.lines.iter().map(|start| self.line(*start))
    }

    /// The text of these bytes.
    #[must_use]
    pub fn slice(&self, span: Range<usize>) -> &str {
        self.text.get(span).unwrap_or_default()
    }

    /// The places of a needle outside comments.
    pub fn find<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        memmem::find_iter(self.text.as_bytes(), needle.as_bytes())
            .filter(|at| !self.is_comment(*at))
    }

    /// True if a byte stands in a comment: behind a `#` that begins a word outside quotes, or on a
    /// line that begins with `//`.
    #[must_use]
    pub fn is_comment(&self, at: usize) -> bool {
        let line = self.line(at);
        let before = self.text.get(line.start..at).unwrap_or_default();
        if before.trim_start().starts_with("//") {
            return true;
        }
        let (mut quote, mut last) = (None, ' ');
        for letter in before.chars() {
            match (quote, letter) {
                (None, '#') if last.is_whitespace() => return true,
                (None, '"' | '\'') => quote = Some(letter),
                (Some(open), _) if open == letter => quote = None,
                _ => {}
            }
            last = letter;
        }
        false
    }

    /// The value that begins at a byte and ends before the first of these letters. Brackets of a
    /// reference such as `$(X)` or `${X}` may hold such letters.
    #[must_use]
    pub fn token(&self, at: usize, ends: &[char]) -> Value {
        let rest = self.text.get(at..).unwrap_or_default();
        let mut depth = 0_usize;
        let mut end = rest.len();
        for (place, letter) in rest.char_indices() {
            match letter {
                '\n' | '\r' => depth = 0,
                '(' | '{' => depth += 1,
                ')' | '}' if depth > 0 => {
                    depth -= 1;
                    continue;
                }
                _ => {}
            }
            if depth == 0 && (letter.is_whitespace() || ends.contains(&letter)) {
                end = place;
                break;
            }
        }
        let text = rest.get(..end).unwrap_or_default().to_owned();
        Value {
            text,
            span: at..at + end,
        }
    }
}

impl Resource {
    fn of(node: &Node, whole: impl Fn() -> Arc<Node>, is_patch: bool) -> Option<Self> {
        let (api_version, kind) = (node.text_at(&["apiVersion"])?, node.text_at(&["kind"])?);
        if node.get("metadata").is_none() && node.get("spec").is_none() {
            return None;
        }
        let (group, _) = group_and_version(api_version);
        Some(Self {
            group: group.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            name: node
                .text_at(&["metadata", "name"])
                .unwrap_or_default()
                .to_owned(),
            namespace: node.text_at(&["metadata", "namespace"]).map(str::to_owned),
            node: whole(),
            is_patch,
        })
    }

    /// True for this kind of this API group.
    #[must_use]
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// The kind and name, for a message.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind, self.name),
            None => format!("{} {}", self.kind, self.name),
        }
    }
}

/// Deepest text within a text: a machine configuration that holds manifests.
const DEEPEST_TEXT: usize = 2;

/// Collects the objects of a value, those in block scalars too.
fn collect(node: &Node, text: &str, depth: usize, is_patch: bool, found: &mut Vec<Resource>) {
    found.extend(Resource::of(node, || Arc::new(node.clone()), is_patch));
    within(node, text, depth, is_patch, found);
}

/// Collects the objects below a value.
fn within(node: &Node, text: &str, depth: usize, is_patch: bool, found: &mut Vec<Resource>) {
    match &node.body {
        NodeBody::Map(entries) => {
            for (key, value) in entries {
                let is_patch = is_patch || key.text() == Some("patch");
                collect(value, text, depth, is_patch, found);
            }
        }
        NodeBody::Seq(items) => {
            for item in items {
                collect(item, text, depth, is_patch, found);
            }
        }
        NodeBody::Scalar(content, Style::Block)
            if depth < DEEPEST_TEXT && holds_objects(content) =>
        {
            for inner in embedded(&node.span, text) {
                collect(&inner, text, depth + 1, is_patch, found);
            }
        }
        NodeBody::Scalar(..) => {}
    }
}

fn holds_objects(content: &str) -> bool {
    content.contains("apiVersion:") && content.contains("kind:")
}

/// The documents in a block scalar. The lines keep their indentation, so that offsets stay true; a
/// marker is therefore looked for behind it.
fn embedded(span: &Range<usize>, text: &str) -> Vec<Node> {
    let before = text.get(..span.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let body = text.get(start..span.end).unwrap_or_default();
    let mut nodes = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in body.split_inclusive('\n') {
        if line.trim() == "---" {
            nodes.extend(part(body, from..at, start));
            from = at + line.len();
        }
        at += line.len();
    }
    nodes.extend(part(body, from..body.len(), start));
    nodes
}

fn part(body: &str, range: Range<usize>, start: usize) -> Option<Node> {
    let offset = start + range.start;
    let document = Document::of(body.get(range)?).behind(offset);
    spans::read(&document).ok().flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn text(text: &str) -> Text {
        Text::read("a.yaml".to_owned(), text.to_owned(), Zone::Cluster)
    }

    #[test]
    fn an_object_within_a_block_scalar_keeps_its_place() {
        let text = text(
            "machine:\n  inline:\n    - contents: |\n        ---\n        apiVersion: v1\n        kind: A\n        metadata: {name: x}\n        ---\n        apiVersion: v1\n        kind: B\n        metadata:\n          name: y\n",
        );
        let names: Vec<&str> = text.resources.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["x", "y"]);
        let name = text.resources[1].node.at(&["metadata", "name"]).unwrap();
        assert_eq!(text.slice(name.inner()), "y");
        assert_eq!(text.place(name.span.start).line, 12);
    }

    #[test]
    fn what_stands_in_a_comment_is_not_found() {
        let text = text("a: x # flux\n# flux\nb: 'a # flux'\nc: u#flux\n  // flux\n");
        assert_eq!(text.find("flux").count(), 2);
    }
}
