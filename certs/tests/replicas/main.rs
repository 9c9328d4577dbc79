//! Replicas that share their authorities, with their steps in every order.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod events;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use crate::events::events;
use crate::world::{REPLICAS, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_steps_serves_what_clients_reject_and_all_come_to_agree(events in events()) {
        let mut world = World::new();
        for (index, event) in events.iter().enumerate() {
            world.happen(event);
            prop_assert!(world.is_safe(), "after {:?}", &events[..=index]);
        }
        prop_assert!(world.rounds().is_some(), "they never settle");
        prop_assert!(world.is_safe());
    }

    #[test]
    fn a_clock_that_jumps_either_way_is_recovered_from(
        events in events(), jumps in prop::collection::vec(-20_000_i64..20_000, 1..4), more in events()
    ) {
        let mut world = World::new();
        for jump in jumps {
            events.iter().chain(&more).for_each(|event| world.happen(event));
            let distance = Duration::from_hours(jump.unsigned_abs());
            world.clock = if jump < 0 { world.clock - distance } else { world.clock + distance };
        }
        prop_assert!(world.rounds().is_some(), "they never settle");
    }
}

#[test]
fn an_authority_that_is_renewed_ten_times_never_leaves_a_client_behind() {
    let mut world = World::new();
    let mut authorities = BTreeSet::new();
    for _ in 0..10 * 360 {
        for replica in 0..REPLICAS {
            world.look(replica);
            world.act(replica, 2);
            assert!(world.is_safe());
            let issuer = world.replicas[replica]
                .leaf
                .as_ref()
                .map(|leaf| leaf.issuer.clone());
            authorities.extend(issuer);
        }
        world.pass(Duration::from_hours(1));
    }
    assert!(
        (10..=16).contains(&authorities.len()),
        "{}",
        authorities.len()
    );
    assert!(
        world.registrations[0].value.iter().count() <= 3,
        "the old ones go"
    );
}
