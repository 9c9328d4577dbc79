//! A node's meaning, written out on one line. It replaces an alias or a merge that must no longer
//! share its meaning.

use granit_parser::ScalarStyle;
use serde_json::{Map, Value};

use super::Doubt;
use super::find::{entry, merged, pruned};
use super::tree::{Body, Id, Tree};
use super::write;
use crate::scan::is_text;

/// Most bytes of an object's annotations; aliases of aliases could grow without end.
const LONGEST: usize = 256 << 10;
/// Nesting that the parser accepts, in flow and block collections.
const DEEPEST: usize = 600;

/// A node with a patch applied, without anchors and aliases.
pub(super) fn copy(tree: &Tree<'_>, id: Id, patch: Option<&Value>) -> Result<String, Doubt> {
    let mut copier = Copier {
        tree,
        at: tree.start(id),
        left: LONGEST,
        depth: 0,
    };
    copier.node(id, patch)
}

struct Copier<'t, 'a> {
    tree: &'t Tree<'a>,
    at: usize,
    left: usize,
    depth: usize,
}

impl Copier<'_, '_> {
    fn node(&mut self, id: Id, patch: Option<&Value>) -> Result<String, Doubt> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Doubt::new(
                self.at,
                "an alias refers to itself, or is nested too deeply",
            ));
        }
        let text = self.text(id, patch)?;
        self.depth -= 1;
        self.left = self.left.checked_sub(text.len()).ok_or_else(|| {
            Doubt::new(
                self.at,
                format!(
                    "the aliased value is longer than {LONGEST} bytes; write the value out here"
                ),
            )
        })?;
        Ok(text)
    }

    fn text(&mut self, id: Id, patch: Option<&Value>) -> Result<String, Doubt> {
        let id = self.tree.resolved(id);
        let text = match (&self.tree.node(id).body, patch) {
            (_, Some(patch)) if !patch.is_object() => write::flow(patch),
            (Body::Map(..), _) => format!(
                "{{{}}}",
                self.entries(id, patch.and_then(Value::as_object))?
                    .join(", ")
            ),
            (Body::Seq(_, items), _) => format!("[{}]", self.items(items, patch)?.join(", ")),
            (_, Some(patch)) if self.tree.is_null(id) => pruned(patch)
                .as_ref()
                .map_or_else(|| "null".to_owned(), write::flow),
            (_, Some(_)) => return Err(Doubt::new(self.at, "this value is not a map")),
            (Body::Scalar(text, style), None) => self.scalar(id, text, *style),
            (Body::Alias(_) | Body::Passed, None) => {
                return Err(Doubt::new(self.at, "an alias refers to itself"));
            }
        };
        let tag = self
            .tree
            .node(id)
            .tag
            .clone()
            .filter(|_| patch.is_none_or(Value::is_object));
        let text = tag.map_or_else(
            || text.clone(),
            |tag| format!("{} {text}", self.tree.slice(tag)),
        );
        Ok(text)
    }

    fn entries(
        &mut self,
        id: Id,
        patch: Option<&Map<String, Value>>,
    ) -> Result<Vec<String>, Doubt> {
        let mut found = Vec::new();
        for one in self.tree.entries(id) {
            let want = patch.and_then(|patch| patch.get(self.tree.scalar(one.key)?));
            if want != Some(&Value::Null) {
                found.push(format!(
                    "{}: {}",
                    self.node(one.key, None)?,
                    self.node(one.value, want)?
                ));
            }
        }
        for (key, want) in patch
            .into_iter()
            .flatten()
            .filter(|(_, want)| !want.is_null())
        {
            if entry(self.tree, id, key)?.is_none() {
                let lent = merged(self.tree, id, key)
                    .map(|lender| self.node(lender, Some(want)))
                    .transpose()?;
                let text = lent.or_else(|| pruned(want).as_ref().map(write::flow));
                found.extend(text.map(|text| format!("{}: {text}", write::quoted(key))));
            }
        }
        Ok(found)
    }

    fn items(&mut self, items: &[Id], patch: Option<&Value>) -> Result<Vec<String>, Doubt> {
        let want = |index: usize| patch.and_then(|patch| patch.get(index.to_string()));
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.node(*item, want(index)))
            .collect()
    }

    /// The source text, if it is on one line and no bracket or comma could end it.
    fn scalar(&self, id: Id, text: &str, style: ScalarStyle) -> String {
        let node = self.tree.node(id);
        let raw = self.tree.slice(node.start..node.end);
        // Quotes are safe on a text that every reader takes for a string.
        let ends = raw.contains([',', '[', ']', '{', '}']);
        let is_open =
            style == ScalarStyle::Plain && (ends || is_text(raw) && raw.contains([':', '?', '#']));
        match style {
            ScalarStyle::Plain if raw.is_empty() && node.tag.is_none() => "null".to_owned(),
            ScalarStyle::Literal | ScalarStyle::Folded => write::quoted(text),
            _ if raw.is_empty() || raw.contains(['\n', '\r']) || is_open => write::quoted(text),
            _ => raw.to_owned(),
        }
    }
}
