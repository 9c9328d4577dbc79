//! Other owners of the objects that a release takes over, and whether these owners let go.

use std::collections::BTreeMap;

use fluxkeep::adoption::let_go;
use fluxkeep::adoption::owners::{Holder, holders};
use fluxkeep::helm::Owner;
use fluxkeep::object::Object;

/// An owner's hold on the objects with its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The owner rewrites its marks and deletes objects that carry them.
    Applies,
    /// The owner is suspended and does nothing until resumed.
    Suspended,
    /// The owner is not in this cluster.
    Gone,
    /// A person confirms by `--take-over` that the owner lets go.
    TakenOver,
}

/// The owners by their [`Holder`] text, each with its hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(BTreeMap<String, Hold>);

impl FromIterator<(Holder, Hold)> for Holds {
    fn from_iter<T: IntoIterator<Item = (Holder, Hold)>>(entries: T) -> Self {
        let named = |(holder, hold): (Holder, Hold)| (holder.to_string(), hold);
        Self(entries.into_iter().map(named).collect())
    }
}

impl Holds {
    /// All owners with their holds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Hold)> {
        self.0.iter().map(|(holder, hold)| (holder.as_str(), *hold))
    }

    /// The owner's hold; an unknown owner counts as applying its objects.
    fn of(&self, holder: &Holder) -> Hold {
        let known = self.0.get(&holder.to_string());
        known.copied().unwrap_or(Hold::Applies)
    }

    /// The object without the marks of owners that let go.
    #[must_use]
    pub fn settled(&self, object: &Object) -> Object {
        let mut settled = object.clone();
        for holder in holders(object) {
            if self.of(&holder) != Hold::Applies {
                settled = let_go(settled, &holder);
            }
        }
        settled
    }

    /// The owner that prevents this release from taking the object, if any.
    #[must_use]
    pub fn in_the_way(&self, object: &Object, owner: &Owner) -> Option<Holder> {
        let mut others = strangers(object, owner);
        others.find(|holder| self.of(holder) == Hold::Applies)
    }
}

/// The owners of an object other than this release.
pub fn strangers(object: &Object, owner: &Owner) -> impl Iterator<Item = Holder> {
    let is_ours = |holder: &Holder| holder.release().as_ref() == Some(owner);
    holders(object).filter(move |holder| !is_ours(holder))
}

/// The reason why an object cannot be taken over, with a remedy.
#[must_use]
pub fn refusal(holder: &Holder) -> String {
    let deletes_by = holder.tool.deletes_by;
    let take_over = format!("--take-over {}", holder.id());
    if let Some(release) = holder.release() {
        let Owner { name, namespace } = release;
        return format!(
            "{holder} owns it, and {deletes_by} deletes it despite annotations on the live object. Check: \
             helm status {name} -n {namespace}. If it says \"release: not found\", the release is gone: \
             add {take_over}. Else give --release-name {name} --namespace {namespace}"
        );
    }
    if holder.tool.lives_as.is_some() {
        return format!(
            "{holder} applies it and would write its labels anew. Pause that first: {}",
            holder.paused()
        );
    }
    format!(
        "{holder} owns it, and {deletes_by} would delete it. Take it out of there without deleting it, \
         then add {take_over}"
    )
}
