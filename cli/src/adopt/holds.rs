//! Who else owns the objects that a release takes over, and whether that owner lets go of them.

use std::collections::BTreeMap;

use fluxkeep::adoption::let_go;
use fluxkeep::helm::Owner;
use fluxkeep::object::Object;
use fluxkeep::owners::{Holder, holders};

/// What an owner does with the objects that carry its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It writes its marks anew, and deletes what carries them.
    Applies,
    /// Nothing until it is resumed.
    Suspended,
    /// It is not in this cluster.
    Gone,
    /// The person says that it lets go, by `--take-over`.
    TakenOver,
}

/// The owners of the objects, each by [`Holder`]'s words, and what they do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(BTreeMap<String, Hold>);

impl FromIterator<(Holder, Hold)> for Holds {
    fn from_iter<T: IntoIterator<Item = (Holder, Hold)>>(entries: T) -> Self {
        let named = |(holder, hold): (Holder, Hold)| (holder.to_string(), hold);
        Self(entries.into_iter().map(named).collect())
    }
}

impl Holds {
    /// Every owner and what it does, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Hold)> {
        self.0.iter().map(|(holder, hold)| (holder.as_str(), *hold))
    }

    /// What an owner does. One that nobody looked for may apply its objects.
    fn of(&self, holder: &Holder) -> Hold {
        let known = self.0.get(&holder.to_string());
        known.copied().unwrap_or(Hold::Applies)
    }

    /// The object without the marks of owners that let go of it.
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

    /// The owner that stands in this release's way, if one does.
    #[must_use]
    pub fn in_the_way(&self, object: &Object, owner: &Owner) -> Option<Holder> {
        let mut others = strangers(object, owner);
        others.find(|holder| self.of(holder) == Hold::Applies)
    }
}

/// The owners of an object, but for this release.
pub fn strangers(object: &Object, owner: &Owner) -> impl Iterator<Item = Holder> {
    let is_ours = |holder: &Holder| holder.release().as_ref() == Some(owner);
    holders(object).filter(move |holder| !is_ours(holder))
}

/// Why an object cannot be taken over, and what to do.
#[must_use]
pub fn refusal(holder: &Holder) -> String {
    let deletes_by = holder.tool.deletes_by;
    let take_over = format!("--take-over {}", holder.id());
    if let Some(release) = holder.release() {
        let Owner { name, namespace } = release;
        return format!(
            "{holder} owns it, and {deletes_by} would delete it whatever stands on the live object. Ask \
             Helm: helm status {name} -n {namespace}. Where that says \"release: not found\", nothing \
             is left of it: add {take_over}. Else give --release-name {name} --release-namespace {namespace}"
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
