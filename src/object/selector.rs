//! Which pods a Service or a NetworkPolicy means.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Marks;

/// What the labels of a pod must be. An empty one asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Vec<(String, Vec<String>)>);

/// What a selector asks of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<'a> {
    /// The label.
    pub key: &'a str,
    /// The values that it may have; any where there are none.
    values: &'a [String],
}

impl Selector {
    /// Each label that has to be there. What must not be there is not looked at: a label that a live
    /// pod has cannot be one of those.
    pub fn terms(&self) -> impl Iterator<Item = Term<'_>> {
        self.0.iter().map(|(key, values)| Term { key, values })
    }

    /// Whether pods with these labels are meant.
    #[must_use]
    pub fn matches(&self, labels: &Marks) -> bool {
        self.terms().all(|term| term.is_met(labels))
    }

    /// To the apiserver a label without a value is an empty one.
    pub(super) fn of(labels: BTreeMap<String, Option<String>>) -> Self {
        Self(
            labels
                .into_iter()
                .map(|(key, value)| (key, vec![value.unwrap_or_default()]))
                .collect(),
        )
    }
}

impl Term<'_> {
    /// Whether the label is there with a value that fits.
    #[must_use]
    pub fn is_met(self, labels: &Marks) -> bool {
        labels
            .get(self.key)
            .is_some_and(|value| self.values.is_empty() || self.values.contains(value))
    }
}

/// A label selector on the wire.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Wire {
    match_labels: Option<BTreeMap<String, Option<String>>>,
    match_expressions: Option<Vec<Expression>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

impl From<Wire> for Selector {
    fn from(wire: Wire) -> Self {
        let mut selector = Self::of(wire.match_labels.unwrap_or_default());
        let asked = wire.match_expressions.into_iter().flatten();
        let asked = asked.filter(|one| matches!(one.operator.as_str(), "In" | "Exists"));
        selector
            .0
            .extend(asked.map(|one| (one.key, one.values.unwrap_or_default())));
        selector
    }
}
