//! Plans adoption's writes on each live object; pure.

use fluxkeep::adoption::owners::{Mark, foreign_marks};
use fluxkeep::adoption::{Adopter, Ownership};
use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::helm::Owner;
use fluxkeep::object::{Key, Object};

use super::holds::{Holds, refusal};
use super::stamp::Stamp;

/// A live object.
#[derive(Debug, Clone)]
pub struct SeenObject {
    /// The object's identity, labels and annotations.
    pub object: Object,
    /// `metadata.uid`.
    pub uid: String,
    /// Field managers other than Helm and fluxkeep that own fields of the object.
    pub managers: Vec<String>,
}

/// The plan for an object.
#[derive(Debug)]
pub struct Row {
    /// The object's relation to the release.
    pub standing: Ownership,
    /// The writes.
    pub stamp: Stamp,
    /// The reason why the object cannot be taken over, with a remedy.
    pub refusal: Option<String>,
}

/// The inputs of the plan.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The engine's definition: its namespaces and names.
    pub engine: &'a Engine,
    /// The release that takes over.
    pub owner: &'a Owner,
    /// The owners whose marks were found.
    pub holds: &'a Holds,
    /// The objects of the release; `None` for the whole engine.
    pub held: Option<&'a [Key]>,
}

impl Planner<'_> {
    /// A row per object, in the objects' order.
    #[must_use]
    pub fn plan(&self, seen: &[SeenObject]) -> Vec<Row> {
        // An owner that lets go holds an object by its marks only, which adoption removes.
        let settled = |seen: &SeenObject| self.holds.settled(&seen.object);
        let facts = Facts::of(seen.iter().map(settled));
        let adopter = Adopter {
            facts: Some(&facts),
            engine: self.engine,
            owner: Some(self.owner),
        };
        seen.iter().map(|seen| self.row(&adopter, seen)).collect()
    }

    fn row(&self, adopter: &Adopter<'_>, seen: &SeenObject) -> Row {
        let SeenObject { object, uid, .. } = seen;
        let in_the_way = self.holds.in_the_way(object, self.owner);
        let mut edits = adopter.wanted(object);
        let is_held = self.held.is_none_or(|held| held.contains(&object.key()));
        if !is_held {
            // Only the other owner's marks go: Helm never hears of the object.
            edits.retain(|edit| edit.value.is_none());
        }
        Row {
            stamp: Stamp::of(object, uid, &edits),
            standing: adopter.standing(object),
            refusal: in_the_way.as_ref().map(refusal),
        }
    }
}

/// The live objects that the release takes over: the whole engine, or among `held` the engine's
/// objects and CRDs. A Namespace of the engine that bears another owner's marks is among them, too,
/// though charts hold none: the owner would prune it, with all that lives in it.
pub fn taken<'a>(
    facts: &'a Facts,
    engine: &Engine,
    held: Option<&[Key]>,
) -> impl Iterator<Item = &'a Object> {
    facts.objects().filter(move |object| match held {
        Some(held) => {
            let is_ours = object.definition().is_some() || engine.part(object).is_some();
            is_ours && (held.contains(&object.key()) || is_marked_namespace(object))
        }
        None => engine.part(object).is_some(),
    })
}

fn is_marked_namespace(object: &Object) -> bool {
    let is_marked = |(_, Mark(part, key)): (_, Mark)| part.get(object, key).is_some();
    object.kind == "Namespace" && foreign_marks().any(is_marked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::holds::Hold;
    use super::*;
    use fluxkeep::adoption::owners::holders;
    use fluxkeep::manifest::{Reading, read};

    const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller\n  namespace: flux-system\n";
    const KUSTOMIZED: &str = "  labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: team}\n";

    fn row(more: &str, hold: Option<Hold>) -> Row {
        let object = read(&format!("{SERVICE}{more}"), Reading::default())
            .unwrap()
            .into_iter()
            .next()
            .unwrap();
        let holder = holders(&object).next();
        let holds: Holds = holder.zip(hold).into_iter().collect();
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
            held: None,
        };
        planner
            .plan(&[SeenObject {
                object,
                uid: "u".to_owned(),
                managers: Vec::new(),
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
        assert_eq!((row.standing, row.refusal), (Ownership::Unowned, None));
        assert_eq!(row.stamp.real().count(), 4);
    }

    #[test]
    fn labels_of_a_kustomization_go_once_it_does_not_apply_any_more() {
        for hold in [Hold::Suspended, Hold::Gone] {
            let row = row(KUSTOMIZED, Some(hold));
            assert_eq!((&row.standing, &row.refusal), (&Ownership::Unowned, &None));
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

    const OTHER: &str =
        "  annotations: {meta.helm.sh/release-name: other, meta.helm.sh/release-namespace: team}\n";

    #[test]
    fn what_another_release_owns_is_refused_with_the_flag_that_takes_it_over() {
        let refusal = row(OTHER, None).refusal.unwrap();
        assert!(
            refusal.starts_with("Helm release team/other owns it"),
            "{refusal}"
        );
        assert!(
            refusal.contains("helm status other -n team")
                && refusal.contains("add --take-over team/other"),
            "{refusal}"
        );
    }

    #[test]
    fn what_a_release_that_is_gone_left_behind_is_stamped_over() {
        let row = row(OTHER, Some(Hold::TakenOver));
        assert_eq!((&row.standing, &row.refusal), (&Ownership::Unowned, &None));
        let name = row
            .stamp
            .real()
            .find(|change| change.key == "meta.helm.sh/release-name");
        let name = name.unwrap();
        assert_eq!(
            (name.was.as_deref(), name.is.as_deref()),
            (Some("other"), Some("flux"))
        );
    }

    #[test]
    fn a_flux_instance_lets_go_once_it_is_paused() {
        let labels = "  labels: {fluxcd.controlplane.io/name: flux, fluxcd.controlplane.io/namespace: flux-system}\n";
        let refusal = row(labels, Some(Hold::Applies)).refusal.unwrap();
        assert!(
            refusal.contains(
                "kubectl annotate --overwrite fluxinstance -n flux-system flux fluxcd.controlplane.io/reconcile=disabled"
            ),
            "{refusal}"
        );
        let paused = row(labels, Some(Hold::Suspended));
        assert_eq!(
            (&paused.standing, &paused.refusal),
            (&Ownership::Unowned, &None)
        );
        assert_eq!(removed(&paused).len(), 2);
    }

    #[test]
    fn what_argo_cd_applies_is_taken_over_where_the_person_says_so() {
        let id = "  annotations: {argocd.argoproj.io/tracking-id: 'platform:/Service:flux-system/source-controller'}\n";
        let refusal = row(id, None).refusal.unwrap();
        assert!(
            refusal.starts_with("Argo CD application platform owns it")
                && refusal.ends_with("--take-over platform"),
            "{refusal}"
        );
        assert_eq!(
            removed(&row(id, Some(Hold::TakenOver))),
            ["argocd.argoproj.io/tracking-id"]
        );
    }

    #[test]
    fn strangers_definitions_are_taken_where_the_release_brings_them_and_orphans_are_not() {
        let definition = |name: &str| {
            format!(
                "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: {name}}}\n\
                 spec: {{versions: [{{name: v1, served: true, storage: true}}]}}\n"
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
