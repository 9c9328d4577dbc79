//! The place of a finding's value in its manifest.

use crate::object::SourceLocation;
use crate::yaml::documents;
use crate::yaml::spans::{self, Node, NodeBody};

/// The place of a value in the document that begins at a line: of the deepest part of the JSON
/// pointer that is there. `None` for a list's item, or if the text is not the one that was judged.
#[must_use]
pub fn place(text: &str, document: &SourceLocation, pointer: &str) -> Option<SourceLocation> {
    let mut documents = documents(text);
    let found = documents.find(|one| one.content == document.line)?;
    let root = spans::read(&found).ok().flatten()?;
    if root.get("items").is_some() {
        return None;
    }
    let mut node = &root;
    for part in pointer.split('/').skip(1) {
        let Some(next) = child(node, &part.replace("~1", "/").replace("~0", "~")) else {
            break;
        };
        node = next;
    }
    let narrow = |number: usize| u32::try_from(number).ok();
    let before = text.get(..node.span.start)?;
    let value = text.get(node.span.clone())?;
    let line = narrow(before.matches('\n').count() + 1)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = narrow(before.get(start..)?.chars().count() + 1)?;
    let is_one_line = !value.is_empty() && !value.contains('\n');
    let length = narrow(value.chars().count()).filter(|_| is_one_line);
    Some(SourceLocation {
        file: document.file.clone(),
        line,
        column,
        end: length.map(|length| column.saturating_add(length)),
    })
}

fn child<'a>(node: &'a Node, part: &str) -> Option<&'a Node> {
    match &node.body {
        NodeBody::Map(_) => node.get(part),
        NodeBody::Seq(items) => items.get(part.parse::<usize>().ok()?),
        NodeBody::Scalar(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_pointer_or_by_its_deepest_parent() {
        let text = "---\na: 1\n---\n# c\nkind: X\nspec:\n  list:\n    - n: \"é\"\n      v: true\n";
        let document = SourceLocation {
            file: "f".to_owned(),
            line: 5,
            column: 1,
            end: None,
        };
        let at = |pointer: &str| {
            let found = place(text, &document, pointer);
            found.map(|at| (at.line, at.column, at.end))
        };
        assert_eq!(at("/spec/list/0/n"), Some((8, 10, Some(13))));
        assert_eq!(at("/spec/list/0/gone"), Some((8, 7, None)));
        assert_eq!(at("/status/storedVersions"), Some((5, 1, None)));
        let elsewhere = SourceLocation {
            line: 4,
            ..document.clone()
        };
        assert_eq!(place(text, &elsewhere, "/spec"), None);
    }
}
