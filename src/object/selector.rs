//! Selectors of Services and NetworkPolicies.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Marks;

/// The labels that a pod must have, and those that it must not have. An empty selector matches every
/// pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Labels with their allowed values; an empty list allows any value.
    required: Vec<(String, Vec<String>)>,
    /// Labels with their forbidden values; an empty list forbids any value.
    forbidden: Vec<(String, Vec<String>)>,
}

/// The condition on one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<'a> {
    /// The label's key.
    pub key: &'a str,
    /// The allowed values; an empty list allows any value.
    values: &'a [String],
}

impl Selector {
    /// The labels that must be present. `NotIn` and `DoesNotExist` are left out: they never require
    /// a label that a live pod has.
    pub fn terms(&self) -> impl Iterator<Item = Term<'_>> {
        self.required
            .iter()
            .map(|(key, values)| Term { key, values })
    }

    /// True if the selector matches pods with these labels.
    #[must_use]
    pub fn matches(&self, labels: &Marks) -> bool {
        let is_met = |(key, values): &(String, Vec<String>)| Term { key, values }.is_met(labels);
        self.required.iter().all(is_met) && !self.forbidden.iter().any(is_met)
    }

    /// The apiserver treats a label without a value as empty.
    pub(super) fn of(labels: BTreeMap<String, Option<String>>) -> Self {
        let required = labels
            .into_iter()
            .map(|(key, value)| (key, vec![value.unwrap_or_default()]))
            .collect();
        Self {
            required,
            forbidden: Vec::new(),
        }
    }
}

impl Term<'_> {
    /// True if the label is present with an allowed value.
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
        for one in wire.match_expressions.into_iter().flatten() {
            let values = one.values.unwrap_or_default();
            match one.operator.as_str() {
                "In" | "Exists" => selector.required.push((one.key, values)),
                "NotIn" | "DoesNotExist" => selector.forbidden.push((one.key, values)),
                // The apiserver refuses any other operator.
                _ => {}
            }
        }
        selector
    }
}
