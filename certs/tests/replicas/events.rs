//! Events in any order.

use std::time::Duration;

use proptest::prelude::*;

use crate::world::REPLICAS;

#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A replica reads everything.
    Look(usize),
    /// A replica performs a step planned from its last look, and reaches this many registrations.
    Act(usize, usize),
    /// Time passes for all.
    Pass(Duration),
    /// A replica restarts.
    Restart(usize),
    /// A person deletes the Secret.
    Lose,
    /// A person writes garbage into the Secret.
    Corrupt,
}

pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
    let replica = 0..REPLICAS;
    let event = prop_oneof![
        8 => replica.clone().prop_map(Event::Look),
        8 => (replica.clone(), 0..=2_usize).prop_map(|(replica, reached)| Event::Act(replica, reached)),
        2 => (1..=20_u64).prop_map(|minutes| Event::Pass(Duration::from_mins(minutes))),
        1 => (1..=80_u64).prop_map(|hours| Event::Pass(Duration::from_hours(hours))),
        1 => replica.prop_map(Event::Restart),
    ];
    let fault = prop_oneof![Just(Event::Lose), Just(Event::Corrupt)];
    let faulty = (
        prop::collection::vec(event, 0..400),
        prop::collection::vec((any::<prop::sample::Index>(), fault), 0..4),
    );
    faulty.prop_map(|(mut events, faults)| {
        for (place, fault) in faults {
            events.insert(place.index(events.len() + 1), fault);
        }
        events
    })
}
