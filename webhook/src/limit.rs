//! Caps on concurrent handshakes, connections and bytes of bodies.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A cap on a sum of weights. At the cap the oldest entry is evicted for the newest. So clients
/// that never finish crowd out each other, while the apiserver finishes within milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Limit(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    most: usize,
    used: usize,
    next: u64,
    /// Entries by age, oldest first.
    entries: BTreeMap<u64, Share>,
}

#[derive(Debug)]
struct Share {
    weight: usize,
    /// An entry with holds is never evicted.
    holds: usize,
    /// Dropped when the entry is evicted.
    _gives_way: oneshot::Sender<Infallible>,
}

/// A share of a [`Limit`], returned on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    handle: Handle,
    over: oneshot::Receiver<Infallible>,
}

/// Grows, renews and holds a [`Permit`] owned elsewhere. Has no effect after the permit's eviction.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    limit: Limit,
    age: Arc<AtomicU64>,
}

/// Protects a permit from eviction. On drop, the permit becomes the newest.
#[derive(Debug)]
pub(crate) struct Hold(Handle);

impl Limit {
    /// A cap of `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            most,
            used: 0,
            next: 0,
            entries: BTreeMap::new(),
        })))
    }

    /// A permit of this weight; `None` if held entries leave no room.
    pub(crate) fn enter(&self, weight: usize) -> Option<Permit> {
        self.added(weight, 0)
    }

    /// As [`Limit::enter`], with a hold from the start.
    pub(crate) fn enter_held(&self, weight: usize) -> Option<(Hold, Permit)> {
        let permit = self.added(weight, 1)?;
        Some((Hold(permit.handle()), permit))
    }

    fn added(&self, weight: usize, holds: usize) -> Option<Permit> {
        let (gives_way, over) = oneshot::channel();
        let mut state = self.lock();
        if !state.make_room(weight) {
            return None;
        }
        state.used += weight;
        let age = state.add(Share {
            weight,
            holds,
            _gives_way: gives_way,
        });
        let handle = Handle {
            limit: self.clone(),
            age: Arc::new(AtomicU64::new(age)),
        };
        Some(Permit { handle, over })
    }

    /// Evicts all permits.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.entries.clear();
        state.used = 0;
    }

    /// The current sum.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Evicts the oldest entries until the weight fits. False if held entries prevent that.
    fn make_room(&mut self, weight: usize) -> bool {
        while self.used + weight > self.most {
            let mut gives_way = self.entries.iter().filter(|(_, entry)| entry.holds == 0);
            let Some((&oldest, _)) = gives_way.next() else {
                return false;
            };
            self.remove(oldest);
        }
        true
    }

    fn add(&mut self, entry: Share) -> u64 {
        let age = self.next;
        self.next += 1;
        self.entries.insert(age, entry);
        age
    }

    fn remove(&mut self, age: u64) {
        if let Some(entry) = self.entries.remove(&age) {
            self.used -= entry.weight;
        }
    }
}

impl Permit {
    /// A handle that can grow, renew and hold this permit.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits for the permit's eviction. Cancel safe; must not be awaited again after it returned.
    pub(crate) async fn over(&mut self) {
        let _ = (&mut self.over).await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.handle.limit.lock();
        state.remove(self.handle.age());
    }
}

impl Handle {
    /// Adds to the permit's weight. False if there is no room or the permit was evicted.
    pub(crate) fn grow(&self, weight: usize) -> bool {
        let mut state = self.limit.lock();
        if !state.make_room(weight) {
            return false;
        }
        // Making room may have evicted this entry itself.
        let Some(entry) = state.entries.get_mut(&self.age()) else {
            return false;
        };
        entry.weight += weight;
        state.used += weight;
        true
    }

    /// Protects the permit from eviction while the result lives. `None` if it was evicted.
    pub(crate) fn hold(&self) -> Option<Hold> {
        let mut state = self.limit.lock();
        let entry = state.entries.get_mut(&self.age())?;
        entry.holds += 1;
        Some(Hold(self.clone()))
    }

    /// Makes the permit the newest.
    pub(crate) fn renew(&self) {
        let mut state = self.limit.lock();
        if let Some(entry) = state.entries.remove(&self.age()) {
            let age = state.add(entry);
            self.age.store(age, Ordering::Relaxed);
        }
    }

    /// The key of the permit's entry; written only under the limit's lock.
    fn age(&self) -> u64 {
        self.age.load(Ordering::Relaxed)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        {
            let mut state = self.0.limit.lock();
            if let Some(entry) = state.entries.get_mut(&self.0.age()) {
                entry.holds -= 1;
            }
        }
        self.0.renew();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_over(permit: &mut Permit) -> bool {
        matches!(
            permit.over.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        )
    }

    #[test]
    fn at_the_cap_the_oldest_gives_way_to_the_newest() {
        let limit = Limit::new(2);
        let (mut first, mut second) = (limit.enter(1).unwrap(), limit.enter(1).unwrap());
        assert!(!is_over(&mut first));
        let mut third = limit.enter(1).unwrap();
        assert!(is_over(&mut first));
        assert!(!is_over(&mut second) && !is_over(&mut third));
    }

    #[test]
    fn a_permit_that_is_dropped_makes_room() {
        let limit = Limit::new(2);
        let mut slow = limit.enter(1).unwrap();
        for _ in 0..10 {
            drop(limit.enter(1).unwrap());
        }
        assert!(!is_over(&mut slow));
        drop(slow);
        assert_eq!(limit.used(), 0);
    }

    #[test]
    fn a_permit_that_gave_way_is_not_given_back_twice() {
        let limit = Limit::new(2);
        let first = limit.enter(2).unwrap();
        let second = limit.enter(2).unwrap();
        assert!(!first.handle().grow(0));
        drop(first);
        assert_eq!(limit.used(), 2);
        drop(second);
        assert_eq!(limit.used(), 0);
    }

    #[test]
    fn what_was_used_last_gives_way_last() {
        let limit = Limit::new(2);
        let (mut first, mut second) = (limit.enter(1).unwrap(), limit.enter(1).unwrap());
        first.handle().renew();
        let mut third = limit.enter(1).unwrap();
        assert!(is_over(&mut second) && !is_over(&mut first));
        drop(first.handle().hold().unwrap());
        let _fourth = limit.enter(1).unwrap();
        assert!(is_over(&mut third) && !is_over(&mut first));
    }

    #[test]
    fn what_is_held_never_gives_way() {
        let limit = Limit::new(2);
        let (mut first, mut second) = (limit.enter(1).unwrap(), limit.enter(1).unwrap());
        let (held, twice) = (first.handle().hold(), first.handle().hold());
        let third = limit.enter(1).unwrap();
        assert!(is_over(&mut second) && !is_over(&mut first));
        assert!(third.handle().hold().is_some() && second.handle().hold().is_none());
        let _third_is_held = third.handle().hold();
        assert!(limit.enter(1).is_none(), "nobody can give way");
        drop(held);
        assert!(limit.enter(1).is_none(), "one of two holds is left");
        drop(twice);
        assert!(limit.enter(1).is_some());
        assert!(is_over(&mut first));
    }

    #[test]
    fn a_cleared_limit_has_room_again() {
        let limit = Limit::new(2);
        let mut first = limit.enter(2).unwrap();
        limit.clear();
        assert!(is_over(&mut first));
        drop(first);
        assert!(limit.enter(2).is_some());
    }

    #[test]
    fn the_oldest_gives_way_to_one_that_grows_and_that_may_be_itself() {
        let limit = Limit::new(10);
        let (mut first, mut second) = (limit.enter(4).unwrap(), limit.enter(4).unwrap());
        assert!(second.handle().grow(2) && !is_over(&mut first));
        assert!(second.handle().grow(1) && is_over(&mut first));
        assert_eq!(limit.used(), 7);
        let third = limit.enter(3).unwrap();
        assert!(!second.handle().grow(1) && is_over(&mut second));
        assert_eq!(limit.used(), 3);
        assert!(third.handle().grow(7) && !third.handle().grow(1));
        assert_eq!(limit.used(), 0);
    }
}
