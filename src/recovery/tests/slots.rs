//! The ConfigMaps of points, and the choice of one.

use super::*;
use crate::recovery::store::{KEPT, Slot, SlotDecision, config_map, decide, name, names, part_of};

fn head(digest: &str, second: i64) -> Head {
    Head {
        digest: digest.to_owned(),
        taken: Some(Timestamp::from_second(second).unwrap()),
        controllers: vec!["source-controller".to_owned()],
        ..Head::default()
    }
}

fn good(digest: &str, second: i64) -> Slot {
    Slot::Good(head(digest, second))
}

#[test]
fn the_last_three_distinct_points_stay() {
    let mut slots = vec![Slot::Empty; KEPT];
    let mut written = Vec::new();
    for (second, digest) in (1..).zip(["a", "a", "b", "c", "d", "b", "e"]) {
        match decide(&slots, &head(digest, second)) {
            SlotDecision::Write(slot) => {
                slots[slot - 1] = good(digest, second);
                written.push(slot);
            }
            other => assert_eq!(other, SlotDecision::Current),
        }
    }
    assert_eq!(written, [1, 2, 3, 1, 2, 3]);
    assert_eq!(slots, [good("d", 5), good("b", 6), good("e", 7)]);
}

#[test]
fn a_spoilt_point_gives_way_first() {
    let spoilt = Slot::Bad(Unusable::Spoilt("x"));
    let slots = [good("a", 1), spoilt, good("c", 3)];
    assert_eq!(decide(&slots, &head("d", 4)), SlotDecision::Write(2));
    assert_eq!(decide(&slots, &head("c", 4)), SlotDecision::Current);
}

#[test]
fn a_half_removed_engine_replaces_nothing() {
    let half = Head {
        controllers: Vec::new(),
        ..head("b", 2)
    };
    let lacking = vec!["source-controller".to_owned()];
    assert_eq!(
        decide(&[good("a", 1)], &half),
        SlotDecision::Incomplete(lacking)
    );
}

#[test]
fn points_of_a_newer_fluxkeep_are_left_alone() {
    let slots = [Slot::Bad(Unusable::Newer(2)), Slot::Empty, good("a", 1)];
    assert_eq!(decide(&slots, &head("b", 2)), SlotDecision::Newer);
}

#[test]
fn a_part_comes_back_from_its_config_map() {
    let map = config_map("fluxkeep", &point().head, 2, (1, 1), b"bytes");
    assert_eq!(part_of(&map), Some((b"bytes".to_vec(), 1)));
    assert_eq!(
        map["metadata"]["name"],
        json!("fluxkeep-recovery-flux-system-2")
    );
    assert_eq!(part_of(&json!({"binaryData": {"point.gz": "%"}})), None);
    assert_eq!(part_of(&json!({"data": {}})), None);
}

#[test]
fn every_name_is_known_beforehand() {
    assert_eq!(names("a").len(), KEPT * 4);
    assert!(names("a").contains(&name("a", 3, 4)));
    assert_eq!(name("a", 1, 2), "fluxkeep-recovery-a-1-2");
}
