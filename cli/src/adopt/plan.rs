//! From the engine as it lives to what adoption writes on each object: pure.

use std::collections::BTreeMap;

use fluxkeep::adoption::{Adopter, Standing, kustomization, let_go};
use fluxkeep::engine::Engine;
use fluxkeep::facts::Facts;
use fluxkeep::helm::Owner;
use fluxkeep::object::{Key, Object};

use super::stamp::Stamp;

/// A live object.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its identity, labels and annotations.
    pub object: Object,
    /// `metadata.uid`.
    pub uid: String,
}

/// What a Kustomization does with the objects that bear its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It would write its labels anew, and prune.
    Applies,
    /// Nothing until it is resumed.
    Suspended,
    /// It is not in this cluster.
    Gone,
}

/// Kustomizations by namespace and name.
pub type Holds = BTreeMap<(String, String), Hold>;

/// What becomes of one object.
#[derive(Debug)]
pub struct Row {
    /// How it stands to the release.
    pub standing: Standing,
    /// What is written on it.
    pub stamp: Stamp,
    /// Why it cannot be taken over, and what to do.
    pub refusal: Option<String>,
}

/// What is known when the plan is made.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// By what the engine is known.
    pub engine: &'a Engine,
    /// The release that takes over.
    pub owner: &'a Owner,
    /// The Kustomizations whose labels were seen.
    pub holds: &'a Holds,
}

impl Planner<'_> {
    /// A row an object, in their order.
    #[must_use]
    pub fn plan(&self, seen: &[Seen]) -> Vec<Row> {
        // A Kustomization that does not apply an object any more holds it by nothing but its labels.
        let standing = |seen: &Seen| match self.hold(&seen.object) {
            Some(Hold::Suspended | Hold::Gone) => let_go(seen.object.clone()),
            Some(Hold::Applies) | None => seen.object.clone(),
        };
        let facts = Facts::of(seen.iter().map(standing));
        let adopter = Adopter {
            facts: Some(&facts),
            engine: self.engine,
            owner: Some(self.owner),
        };
        seen.iter().map(|seen| self.row(&adopter, seen)).collect()
    }

    fn row(&self, adopter: &Adopter<'_>, Seen { object, uid }: &Seen) -> Row {
        let standing = adopter.standing(object);
        let refusal = self.refusal(object, &standing);
        Row {
            stamp: Stamp::of(object, uid, &adopter.wanted(object)),
            standing,
            refusal,
        }
    }

    fn hold(&self, object: &Object) -> Option<Hold> {
        // One that nobody looked for may apply it.
        kustomization(object).map(|name| self.holds.get(&name).copied().unwrap_or(Hold::Applies))
    }

    fn refusal(&self, object: &Object, standing: &Standing) -> Option<String> {
        if let Some((namespace, name)) =
            kustomization(object).filter(|_| self.hold(object) == Some(Hold::Applies))
        {
            return Some(format!(
                "Kustomization {namespace}/{name} applies it and would write its labels anew. Suspend that first: \
                 flux suspend kustomization {name} -n {namespace}"
            ));
        }
        let Standing::Foreign(other) = standing else {
            return None;
        };
        Some(format!(
            "{other} owns it, and its uninstall would delete it whatever stands on the live object. End that \
             release first in a way that keeps its objects, or name it with --release-name and --release-namespace"
        ))
    }
}

/// The live objects that the release takes over: of the engine those that it holds, or all of them where
/// nobody told what it holds; and the CRDs that it brings.
pub fn taken<'a>(
    facts: &'a Facts,
    engine: &Engine,
    held: Option<&[Key]>,
) -> impl Iterator<Item = &'a Object> {
    facts.objects().filter(move |object| match held {
        Some(held) => {
            held.contains(&object.key())
                && (object.definition().is_some() || engine.part(object).is_some())
        }
        None => engine.part(object).is_some(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::manifest::{Reading, read};

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller\n  namespace: flux-system\n";
    const KUSTOMIZED: &str = "  labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: team}\n";

    fn row(more: &str, hold: Option<Hold>) -> Row {
        let object = read(&format!("{SERVICE}{more}"), Reading::default())
            .unwrap()
            .into_iter()
            .next()
            .unwrap();
        let holds: Holds = hold
            .map(|hold| (("team".to_owned(), "apps".to_owned()), hold))
            .into_iter()
            .collect();
        let (engine, owner) = (
            Engine::default(),
            Owner {
                name: "flux".to_owned(),
                namespace: "flux-system".to_owned(),
            },
        );
        let planner = Planner {
            engine: &engine,
            owner: &owner,
            holds: &holds,
        };
        planner
            .plan(&[Seen {
                object,
                uid: "u".to_owned(),
            }])
            .into_iter()
            .next()
            .unwrap()
    }

    fn removed(row: &Row) -> Vec<&str> {
        row.stamp
            .real()
            .filter(|change| change.is.is_none())
            .map(|change| change.key.as_str())
            .collect()
    }

    #[test]
    fn what_nobody_owns_is_stamped() {
        let row = row("", None);
        assert_eq!((row.standing, row.refusal), (Standing::Unowned, None));
        assert_eq!(row.stamp.real().count(), 4);
    }

    #[test]
    fn labels_of_a_kustomization_go_once_it_does_not_apply_any_more() {
        for hold in [Hold::Suspended, Hold::Gone] {
            let row = row(KUSTOMIZED, Some(hold));
            assert_eq!((&row.standing, &row.refusal), (&Standing::Unowned, &None));
            assert_eq!(
                removed(&row),
                [
                    "kustomize.toolkit.fluxcd.io/name",
                    "kustomize.toolkit.fluxcd.io/namespace"
                ]
            );
        }
    }

    #[test]
    fn what_a_kustomization_applies_is_refused_whoever_helm_says_owns_it() {
        let ours = "  annotations: {meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system}\n";
        for (more, hold) in [
            ("", Some(Hold::Applies)),
            (ours, Some(Hold::Applies)),
            ("", None),
        ] {
            let refusal = row(&format!("{KUSTOMIZED}{more}"), hold).refusal.unwrap();
            assert!(
                refusal.contains("flux suspend kustomization apps -n team"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn what_another_release_owns_is_refused() {
        let other = "  annotations: {meta.helm.sh/release-name: other, meta.helm.sh/release-namespace: flux-system}\n";
        let refusal = row(other, None).refusal.unwrap();
        assert!(
            refusal.starts_with("Helm release flux-system/other owns it"),
            "{refusal}"
        );
    }

    #[test]
    fn strangers_definitions_are_taken_where_the_release_brings_them_and_orphans_are_not() {
        let definition = |name: &str| {
            format!(
                "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n"
            )
        };
        let text = [
            definition("a.example.com"),
            definition("b.example.com"),
            format!("---\n{SERVICE}"),
        ]
        .concat();
        let facts = Facts::of(read(&text, Reading::default()).unwrap());
        let held: Vec<_> = read(&definition("a.example.com"), Reading::default())
            .unwrap()
            .iter()
            .map(Object::key)
            .collect();
        let names = |held: Option<&[Key]>| {
            taken(&facts, &Engine::default(), held)
                .map(|object| object.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Some(&held)), ["a.example.com"]);
        assert_eq!(names(None), ["source-controller"]);
    }
}
