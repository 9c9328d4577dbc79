//! The plan for one replica, case by case.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod kept;

use std::time::{Duration, SystemTime};

use fluxkeep_certs::{
    Authorities, Authority, Bundle, Leaf, Life, RotationStep, State, Terms, plan,
};

const DAY: Duration = Duration::from_hours(24);

/// The moment `count` days into the test.
fn day(count: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000 + DAY * count
}

fn authority(made: SystemTime) -> Authority {
    Authority::new(made, &Terms::default()).unwrap()
}

fn copy(authority: &Authority) -> Authority {
    Authority::read(
        authority.certificate().pem().as_bytes(),
        authority.key_pem().as_bytes(),
        "a copy",
    )
    .unwrap()
}

fn bundle(authorities: &[&Authority]) -> Bundle {
    authorities
        .iter()
        .map(|authority| authority.certificate().clone())
        .collect()
}

fn leaf(authority: &Authority, made: SystemTime) -> Leaf {
    let life = authority
        .leaf(&["localhost".to_owned()], made, &Terms::default())
        .unwrap()
        .life();
    Leaf {
        issuer: authority.certificate().clone(),
        life,
    }
}

/// The state of a replica; a case names only its differences from a cluster at rest.
struct Case {
    current: Option<Authority>,
    next: Option<Authority>,
    previous: Bundle,
    bundles: Vec<Bundle>,
    settled: Bundle,
    leaf: Option<Leaf>,
}

impl Case {
    fn at_rest(current: &Authority) -> Self {
        let trusted = bundle(&[current]);
        Self {
            current: Some(copy(current)),
            next: None,
            previous: Bundle::default(),
            bundles: vec![trusted.clone(), trusted.clone()],
            settled: trusted,
            leaf: Some(leaf(current, day(0))),
        }
    }

    fn step(self, now: SystemTime) -> (RotationStep, &'static str) {
        let authorities = Authorities {
            current: self.current,
            next: self.next,
            previous: self.previous,
        };
        let (bundles, settled, leaf) = (&self.bundles, &self.settled, self.leaf.as_ref());
        let plan = plan(
            &State {
                authorities: &authorities,
                bundles,
                settled,
                leaf,
            },
            now,
        );
        (plan.step, plan.reason)
    }
}

#[test]
fn the_first_replica_makes_registers_switches_and_only_then_serves() {
    let a = authority(day(0));
    let empty = || Case {
        current: None,
        next: None,
        previous: Bundle::default(),
        bundles: vec![Bundle::default(); 2],
        settled: Bundle::default(),
        leaf: None,
    };
    assert_eq!(
        empty().step(day(0)),
        (RotationStep::Make, "no valid authority exists")
    );
    let made = Case {
        next: Some(copy(&a)),
        ..empty()
    };
    assert_eq!(made.step(day(0)).0, RotationStep::Publish(bundle(&[&a])));
    let half = Case {
        next: Some(copy(&a)),
        bundles: vec![bundle(&[&a]), Bundle::default()],
        ..empty()
    };
    assert_eq!(half.step(day(0)).0, RotationStep::Publish(bundle(&[&a])));
    let published = Case {
        next: Some(copy(&a)),
        bundles: vec![bundle(&[&a]); 2],
        ..empty()
    };
    assert_eq!(
        published.step(day(0)).0,
        RotationStep::Switch,
        "there is nothing to lose: it waits for nothing"
    );
    let switched = Case {
        leaf: None,
        ..Case::at_rest(&a)
    };
    assert_eq!(
        switched.step(day(0)),
        (
            RotationStep::Issue,
            "no certificate that clients accept is served"
        )
    );
    assert_eq!(
        Case::at_rest(&a).step(day(0)),
        (RotationStep::Rest, "nothing is due")
    );
}

#[test]
fn an_authority_is_followed_by_the_next_with_an_overlap() {
    let (a, b) = (authority(day(0)), authority(day(250)));
    let due = || Case {
        leaf: Some(leaf(&a, day(240))),
        ..Case::at_rest(&a)
    };
    assert_eq!(due().step(day(243)).0, RotationStep::Rest);
    assert_eq!(
        due().step(day(244)),
        (
            RotationStep::Make,
            "two thirds of the authority's lifetime have passed"
        )
    );
    let made = Case {
        next: Some(copy(&b)),
        ..due()
    };
    assert_eq!(
        made.step(day(250)).0,
        RotationStep::Publish(bundle(&[&a, &b])),
        "the old one stays"
    );
    let published = || Case {
        next: Some(copy(&b)),
        bundles: vec![bundle(&[&a, &b]); 2],
        ..due()
    };
    let waiting = (
        RotationStep::Rest,
        "waiting until all clients trust the next authority",
    );
    assert_eq!(published().step(day(250)), waiting);
    let fresh = Case {
        leaf: None,
        ..published()
    };
    assert_eq!(
        fresh.step(day(250)).0,
        RotationStep::Issue,
        "a new replica begins with what all clients know"
    );
    let settled = Case {
        settled: bundle(&[&a, &b]),
        ..published()
    };
    assert_eq!(settled.step(day(250)).0, RotationStep::Switch);
}

#[test]
fn a_former_authority_is_trusted_until_no_leaf_of_it_can_live() {
    let (a, b) = (authority(day(0)), authority(day(250)));
    let switched = || Case {
        leaf: Some(leaf(&a, day(240))),
        current: Some(copy(&b)),
        next: None,
        previous: bundle(&[&a]),
        bundles: vec![bundle(&[&a, &b]); 2],
        settled: bundle(&[&a, &b]),
    };
    assert_eq!(
        switched().step(day(250)),
        (RotationStep::Issue, "the current authority has changed")
    );
    let unsettled = Case {
        settled: bundle(&[&a]),
        ..switched()
    };
    assert_eq!(
        unsettled.step(day(250)).0,
        RotationStep::Rest,
        "what is served is still accepted"
    );
    let served = || Case {
        leaf: Some(leaf(&b, day(350))),
        ..switched()
    };
    assert_eq!(
        served().step(day(365)).0,
        RotationStep::Rest,
        "the old one stays while a leaf of it could live"
    );
    assert_eq!(
        served().step(day(366)).0,
        RotationStep::Publish(bundle(&[&b]))
    );
    let published = Case {
        bundles: vec![bundle(&[&b]); 2],
        ..served()
    };
    assert_eq!(
        published.step(day(366)),
        (RotationStep::Forget, "a previous authority has expired")
    );
}

#[test]
fn a_leaf_is_renewed_at_two_thirds_of_its_life() {
    let a = authority(day(0));
    assert_eq!(Case::at_rest(&a).step(day(59)).0, RotationStep::Rest);
    assert_eq!(
        Case::at_rest(&a).step(day(60)),
        (
            RotationStep::Issue,
            "two thirds of the certificate's lifetime have passed"
        )
    );
    assert_eq!(
        Case::at_rest(&a).step(day(91)),
        (
            RotationStep::Issue,
            "no certificate that clients accept is served"
        )
    );
}

#[test]
fn in_the_last_hour_of_an_authority_one_leaf_of_it_is_enough() {
    let (a, b) = (authority(day(0)), authority(day(364)));
    let last = day(365) - Duration::from_mins(10);
    let served = Case {
        next: Some(copy(&b)),
        bundles: vec![bundle(&[&a, &b]); 2],
        leaf: Some(leaf(&a, last)),
        ..Case::at_rest(&a)
    };
    assert_eq!(served.step(last).0, RotationStep::Rest);
}

#[test]
fn a_clock_that_jumped_past_every_life_starts_anew_at_once() {
    let (a, b) = (authority(day(0)), authority(day(4000)));
    assert_eq!(Case::at_rest(&a).step(day(4000)).0, RotationStep::Make);
    let made = || Case {
        next: Some(copy(&b)),
        ..Case::at_rest(&a)
    };
    assert_eq!(
        made().step(day(4000)).0,
        RotationStep::Publish(bundle(&[&b]))
    );
    let published = Case {
        bundles: vec![bundle(&[&b]); 2],
        ..made()
    };
    assert_eq!(
        published.step(day(4000)).0,
        RotationStep::Switch,
        "nothing that is served is accepted"
    );
}

#[test]
fn a_clock_that_jumped_back_keeps_what_is_trusted_and_serves_what_is_valid() {
    let (early, late) = (authority(day(0)), authority(day(1000)));
    assert_eq!(
        Case::at_rest(&late).step(day(0)).0,
        RotationStep::Make,
        "the current one is not valid yet"
    );
    let made = Case {
        next: Some(copy(&early)),
        leaf: Some(leaf(&late, day(1000))),
        ..Case::at_rest(&late)
    };
    assert_eq!(
        made.step(day(0)).0,
        RotationStep::Publish(bundle(&[&early, &late])),
        "others may be right"
    );
    let ahead = || Case {
        leaf: Some(leaf(&early, day(100))),
        ..Case::at_rest(&early)
    };
    assert_eq!(
        ahead().step(day(100) - Duration::from_mins(30)).0,
        RotationStep::Rest,
        "clocks differ"
    );
    assert_eq!(
        ahead().step(day(50)),
        (
            RotationStep::Issue,
            "no certificate that clients accept is served"
        )
    );
}

#[test]
fn an_authority_that_was_lost_stays_trusted_while_it_is_replaced() {
    let (a, b) = (authority(day(0)), authority(day(10)));
    let lost = || Case {
        current: None,
        ..Case::at_rest(&a)
    };
    assert_eq!(lost().step(day(10)).0, RotationStep::Make);
    let made = Case {
        next: Some(copy(&b)),
        ..lost()
    };
    assert_eq!(
        made.step(day(10)).0,
        RotationStep::Publish(bundle(&[&a, &b]))
    );
    let published = || Case {
        next: Some(copy(&b)),
        bundles: vec![bundle(&[&a, &b]); 2],
        ..lost()
    };
    assert_eq!(
        published().step(day(10)).0,
        RotationStep::Rest,
        "what is served is still accepted"
    );
    let settled = Case {
        settled: bundle(&[&a, &b]),
        ..published()
    };
    assert_eq!(settled.step(day(10)).0, RotationStep::Switch);
    let fresh = Case {
        leaf: None,
        ..published()
    };
    assert_eq!(
        fresh.step(day(10)).0,
        RotationStep::Switch,
        "a replica that serves nothing does not wait"
    );
}

#[test]
fn a_registration_that_lost_its_bundle_gets_it_back_and_one_that_is_gone_is_not_waited_for() {
    let (a, b) = (authority(day(0)), authority(day(250)));
    let emptied = Case {
        bundles: vec![bundle(&[&a]), Bundle::default()],
        ..Case::at_rest(&a)
    };
    assert_eq!(emptied.step(day(1)).0, RotationStep::Publish(bundle(&[&a])));
    let previous = Case {
        previous: bundle(&[&a]),
        bundles: vec![Bundle::default()],
        ..Case::at_rest(&b)
    };
    assert_eq!(
        previous.step(day(250)).0,
        RotationStep::Publish(bundle(&[&a, &b]))
    );
    let gone = Case {
        bundles: Vec::new(),
        ..Case::at_rest(&a)
    };
    assert_eq!(gone.step(day(60)).0, RotationStep::Issue);
}

#[test]
fn what_somebody_else_has_put_into_a_bundle_stays_while_it_lives_and_does_not_pile_up() {
    let (a, stranger) = (authority(day(9)), authority(day(0)));
    let with = |bundle| Case {
        bundles: vec![bundle],
        ..Case::at_rest(&a)
    };
    assert_eq!(
        with(bundle(&[&a, &stranger])).step(day(10)).0,
        RotationStep::Rest
    );
    let many: Vec<Authority> = (0..20).map(|_| authority(day(0))).collect();
    let all: Vec<&Authority> = many.iter().chain([&a]).collect();
    let RotationStep::Publish(kept) = with(bundle(&all)).step(day(10)).0 else {
        unreachable!("it has to shrink")
    };
    assert!(
        kept.contains(a.certificate()) && kept.iter().count() == 9,
        "{kept:?}"
    );
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let a = authority(day(0));
    let late = leaf(&a, day(360));
    assert_eq!(late.life.not_after, a.certificate().life().not_after);
    let Life { not_before, .. } = leaf(&a, day(1)).life;
    assert!(not_before < day(1), "clocks differ");
}
