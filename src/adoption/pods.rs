//! Keeps the pod labels on which selectors rely, if the release's template would drop or change
//! them.
//!
//! A Service without pods is no error to anybody, nor is a NetworkPolicy that no longer selects the
//! controllers. The engine is cut off while every object looks healthy. The selectors that the
//! cluster will hold decide: the release's own, or else the live ones.

use std::collections::BTreeMap;

use super::{MetadataEdit, MetadataField};
use crate::case::facts::Facts;
use crate::flux::engine::Engine;
use crate::object::{Body, Key, Marks, Object, Selector, Workload};

/// The objects that select pods once the release is applied.
#[derive(Debug, Default)]
pub struct Selecting<'a> {
    facts: Option<&'a Facts>,
    objects: BTreeMap<Key, &'a Object>,
}

impl<'a> Selecting<'a> {
    /// The live Services and NetworkPolicies, overwritten by the release's. Without facts no pod
    /// labels are known.
    #[must_use]
    pub fn after(facts: Option<&'a Facts>, release: impl Iterator<Item = &'a Object>) -> Self {
        let live = facts.into_iter().flat_map(Facts::objects);
        let selecting = live
            .chain(release)
            .filter(|object| object.selector().is_some());
        Self {
            facts,
            objects: selecting.map(|object| (object.key(), object)).collect(),
        }
    }

    /// The labels that must stay on the pods of an engine workload.
    #[must_use]
    pub fn plan(&self, engine: &Engine, new: &Object) -> Vec<MetadataEdit> {
        let live = self.facts.and_then(|facts| facts.live(&new.key()));
        match (&new.body, live.map(|live| &live.body)) {
            (Body::Workload(now), Some(Body::Workload(was))) if engine.part(new).is_some() => {
                self.kept(new, now, was)
            }
            _ => Vec::new(),
        }
    }

    fn kept(&self, new: &Object, now: &Workload, was: &Workload) -> Vec<MetadataEdit> {
        let mut edits = own(now, was);
        for (object, selector) in self
            .near(new)
            .filter(|(_, selector)| selector.matches(&was.labels))
        {
            let lost = selector.terms().filter(|term| !term.is_met(&now.labels));
            for key in lost
                .map(|term| term.key)
                .filter(|key| !self.is_taken(new, now, key))
            {
                edits.extend(keep(
                    &was.labels,
                    key,
                    &format!("{object} still selects these pods"),
                ));
            }
        }
        edits.sort_by(|one, other| one.key.cmp(&other.key));
        edits.dedup_by(|one, other| one.key == other.key);
        edits
    }

    /// True if another selector needs the template's value of this label, which has one value.
    fn is_taken(&self, new: &Object, now: &Workload, key: &str) -> bool {
        let fitting = self
            .near(new)
            .filter(|(_, selector)| selector.matches(&now.labels));
        now.labels.contains_key(key)
            && fitting
                .flat_map(|(_, selector)| selector.terms())
                .any(|term| term.key == key)
    }

    /// The selectors in an object's namespace.
    fn near(&self, new: &Object) -> impl Iterator<Item = (&'a Object, &'a Selector)> {
        let near = self
            .objects
            .values()
            .filter(|object| object.namespace == new.namespace);
        near.filter_map(|object| Some((*object, object.selector()?)))
    }
}

/// Keeps labels of the workload's own immutable selector: the apiserver refuses other templates.
fn own(now: &Workload, was: &Workload) -> Vec<MetadataEdit> {
    let lost = was
        .selector
        .iter()
        .filter(|(key, value)| now.labels.get(key) != Some(value));
    let reason = "its own immutable selector still selects its pods";
    lost.filter_map(|(key, _)| keep(&was.labels, key, reason))
        .collect()
}

fn keep(was: &Marks, key: &str, reason: &str) -> Option<MetadataEdit> {
    let value = Some(was.get(key)?.clone());
    Some(MetadataEdit {
        part: MetadataField::PodLabels,
        key: key.to_owned().into(),
        value,
        reason: format!("so that {reason}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::manifest::{Reading, read};

    /// A Deployment with these pod labels, and a Service and a NetworkPolicy with these selectors.
    fn objects(pods: &str, service: Option<&str>, policy: Option<&str>) -> Vec<Object> {
        let mut text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: source-controller, namespace: flux-system}}\n\
             spec:\n  selector:\n    matchLabels: {{app: s}}\n  template:\n    metadata:\n      labels: {pods}\n"
        );
        let more = [
            service.map(|selector| ("v1", "Service", format!("selector: {selector}"))),
            policy.map(|selector| {
                (
                    "networking.k8s.io/v1",
                    "NetworkPolicy",
                    format!("podSelector:\n    {selector}"),
                )
            }),
        ];
        for (version, kind, selector) in more.into_iter().flatten() {
            let metadata = "metadata: {name: source-controller, namespace: flux-system}";
            text += &[
                "---\napiVersion: ",
                version,
                "\nkind: ",
                kind,
                "\n",
                metadata,
                "\nspec:\n  ",
                &selector,
                "\n",
            ]
            .concat();
        }
        read(&text, Reading::default()).unwrap()
    }

    /// The kept labels of the live pods, each as `key=value`.
    fn kept(live: &[Object], release: &[Object]) -> Vec<String> {
        let facts = Facts::of(live.iter().cloned());
        let selecting = Selecting::after(Some(&facts), release.iter());
        let edits = selecting.plan(&Engine::default(), release.first().unwrap());
        edits
            .iter()
            .map(|edit| format!("{}={}", edit.key, edit.value.as_deref().unwrap_or_default()))
            .collect()
    }

    const POLICY: Option<&str> = Some(
        "matchExpressions: [{key: net, operator: In, values: [open, wide]}, {key: tier, operator: Exists}, \
         {key: 'no', operator: DoesNotExist}]",
    );

    #[test]
    fn what_live_selectors_rely_on_stays_dropped_or_altered() {
        let live = objects(
            "{app: s, role: source, net: open, tier: a, idle: x}",
            Some("{app: s, role: source}"),
            POLICY,
        );
        assert_eq!(
            kept(&live, &objects("{app: s}", None, None)),
            ["net=open", "role=source", "tier=a"]
        );
        assert_eq!(
            kept(
                &live,
                &objects("{role: other, net: wide, tier: b}", None, None)
            ),
            ["app=s", "role=source"]
        );
        assert_eq!(kept(&live, &live), Vec::<String>::new());
    }

    #[test]
    fn what_the_release_selects_anew_needs_nothing_of_the_old() {
        let live = objects(
            "{app: s, role: source}",
            Some("{role: source}"),
            Some("matchLabels: {role: source}"),
        );
        let moved = objects(
            "{app: s, part: p}",
            Some("{part: p}"),
            Some("matchLabels: {part: p}"),
        );
        assert_eq!(kept(&live, &moved), Vec::<String>::new());
        // The NetworkPolicy stays unchanged.
        assert_eq!(
            kept(
                &live,
                &objects("{app: s, part: p}", Some("{part: p}"), None)
            ),
            ["role=source"]
        );
        // A label has a single value, and the release's Service needs its own.
        assert_eq!(
            kept(
                &live,
                &objects("{app: s, role: new}", Some("{role: new}"), None)
            ),
            Vec::<String>::new()
        );
    }

    #[test]
    fn who_selects_other_pods_or_all_relies_on_nothing() {
        let live = objects(
            "{app: s, role: source}",
            Some("{role: another}"),
            Some("{}"),
        );
        assert_eq!(
            kept(&live, &objects("{app: s}", None, None)),
            Vec::<String>::new()
        );
        let selecting = Selecting::after(None, live.iter());
        assert_eq!(
            selecting.plan(&Engine::default(), live.first().unwrap()),
            []
        );
    }
}
