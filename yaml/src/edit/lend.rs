//! Aliases of edited nodes keep their meaning.

use super::Doubt;
use super::copy::copy;
use super::patch::Patcher;
use super::tree::{Body, Id, token};

impl Patcher<'_, '_> {
    /// If a node with aliases changes, the first alias becomes the definition.
    pub(super) fn lend(&mut self) -> Result<(), Doubt> {
        let anchored = |id: &Id| self.tree.node(*id).anchor.is_some();
        let lenders: Vec<Id> = (0..self.tree.nodes.len())
            .filter(anchored)
            .filter(|id| self.changed.contains(id) || self.is_gone(*id))
            .collect();
        for lender in lenders {
            if let Some(first) = self.first_alias(lender) {
                self.hand_over(lender, first)?;
            }
        }
        Ok(())
    }

    fn is_gone(&self, id: Id) -> bool {
        self.gone
            .iter()
            .any(|gone| (*gone..=self.tree.node(*gone).last).contains(&id))
    }

    fn first_alias(&self, lender: Id) -> Option<Id> {
        let is_alias =
            |id: &Id| matches!(self.tree.node(*id).body, Body::Alias(target) if target == lender);
        (lender..self.tree.nodes.len())
            .filter(is_alias)
            .find(|id| !self.is_gone(*id))
    }

    fn hand_over(&mut self, lender: Id, alias: Id) -> Result<(), Doubt> {
        let node = self.tree.node(lender);
        let Some(anchor) = node.anchor.clone() else {
            return Ok(());
        };
        if (lender..=node.last).contains(&alias) {
            return Err(Doubt::new(
                anchor.start,
                "the value contains an alias of itself; write the value out",
            ));
        }
        let name = self.tree.slice(anchor.clone());
        let text = format!("{name} {}", copy(self.tree, lender, None)?);
        let to = self.tree.node(alias);
        self.splice(to.start..to.end, text);
        if !self.is_gone(lender) {
            // Text in front and behind must stay apart, and a line of its own must stay indented.
            let before = self
                .tree
                .slice(0..anchor.start)
                .trim_end_matches([' ', '\t']);
            let is_apart =
                !before.ends_with(['\n', '\r']) && token(self.tree.text, anchor.end) > anchor.end;
            self.splice(
                if is_apart { before.len() } else { anchor.start }..anchor.end,
                String::new(),
            );
        }
        Ok(())
    }
}
