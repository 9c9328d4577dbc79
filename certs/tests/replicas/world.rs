//! A small cluster: the replicas' reads and writes, and the events in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use fluxkeep_certs::{
    Authorities, Authority, Bundle, Held, Leaf, RotationStep, State, Terms, plan,
};

use crate::events::Event;

const TERMS: Terms = Terms {
    authority: Duration::from_hours(360),
    leaf: Duration::from_hours(90),
    skew: Duration::from_hours(1),
    settle: Duration::from_mins(10),
};
pub(crate) const REPLICAS: usize = 3;

/// A value that is written whole, and only if it did not change since it was read.
#[derive(Clone, Default)]
pub(crate) struct Versioned<T> {
    version: u64,
    pub(crate) value: T,
}

impl<T> Versioned<T> {
    /// False if the value changed since it was read.
    fn write(&mut self, read: u64, value: T) -> bool {
        let current = self.version == read;
        if current {
            *self = Self {
                version: read + 1,
                value,
            };
        }
        current
    }
}

type Data = BTreeMap<String, String>;

/// A replica's last look, which may be outdated.
struct Seen {
    secret: Versioned<Data>,
    registrations: [Versioned<Bundle>; 2],
}

#[derive(Default)]
pub(crate) struct Replica {
    held: Held,
    pub(crate) leaf: Option<Leaf>,
    seen: Option<Seen>,
}

/// A cluster: its clock, the Secret, two registrations, and replicas.
pub(crate) struct World {
    start: Instant,
    age: Duration,
    pub(crate) clock: SystemTime,
    secret: Versioned<Data>,
    pub(crate) registrations: [Versioned<Bundle>; 2],
    /// Former content of the registrations, each with the age until which it lasted.
    past: Vec<(Duration, [Versioned<Bundle>; 2])>,
    pub(crate) replicas: [Replica; REPLICAS],
    /// True if a replica replaced a leaf that all clients accept by one that some do not.
    has_lost: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            age: Duration::ZERO,
            clock: SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000),
            secret: Versioned::default(),
            registrations: Default::default(),
            past: Vec::new(),
            replicas: Default::default(),
            has_lost: false,
        }
    }

    pub(crate) fn happen(&mut self, event: &Event) {
        match *event {
            Event::Look(replica) => self.look(replica),
            Event::Act(replica, reached) => drop(self.act(replica, reached)),
            Event::Pass(time) => self.pass(time),
            Event::Restart(replica) => self.replicas[replica] = Replica::default(),
            Event::Lose => self.overwrite(Data::new()),
            Event::Corrupt => self.overwrite(Data::from(
                [("current.crt", "x"), ("current.key", "y")].map(owned),
            )),
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock += time;
        self.age += time;
    }

    fn overwrite(&mut self, data: Data) {
        let version = self.secret.version;
        self.secret.write(version, data);
    }

    pub(crate) fn look(&mut self, replica: usize) {
        let seen = Seen {
            secret: self.secret.clone(),
            registrations: self.registrations.clone(),
        };
        let bundles = seen
            .registrations
            .clone()
            .map(|registration| registration.value);
        self.replicas[replica]
            .held
            .look(&bundles, self.start + self.age);
        self.replicas[replica].seen = Some(seen);
    }

    /// Performs the planned step and returns it; `None` without a look before.
    pub(crate) fn act(&mut self, replica: usize, reached: usize) -> Option<RotationStep> {
        let now = self.clock;
        let seen = self.replicas[replica].seen.take()?;
        let authorities = read(&seen.secret.value);
        let bundles = seen
            .registrations
            .clone()
            .map(|registration| registration.value);
        let one = &self.replicas[replica];
        let settled = one.held.settled(TERMS.settle, self.start + self.age);
        let state = State {
            authorities: &authorities,
            bundles: &bundles,
            settled: &settled,
            leaf: one.leaf.as_ref(),
        };
        let step = plan(&state, now).step;
        let mut store = |authorities: Authorities| {
            self.secret.write(seen.secret.version, authorities.data());
        };
        match &step {
            RotationStep::Make => {
                store(authorities.followed_by(Authority::new(now, &TERMS).unwrap()));
            }
            RotationStep::Switch => store(authorities.switched()),
            RotationStep::Forget => store(authorities.living(now)),
            RotationStep::Issue => {
                self.serve(replica, issue(authorities.current.as_ref().unwrap(), now));
            }
            RotationStep::Publish(bundle) => self.publish(bundle, &seen.registrations, reached),
            RotationStep::Rest => {}
        }
        Some(step)
    }

    fn publish(&mut self, bundle: &Bundle, read: &[Versioned<Bundle>; 2], reached: usize) {
        self.past.push((self.age, self.registrations.clone()));
        for (live, read) in self.registrations.iter_mut().zip(read).take(reached) {
            live.write(read.version, bundle.clone());
        }
    }

    fn serve(&mut self, replica: usize, leaf: Leaf) {
        let new = Some(&leaf).filter(|leaf| self.is_accepted(leaf));
        let old = self.replicas[replica]
            .leaf
            .as_ref()
            .filter(|leaf| self.is_accepted(leaf));
        self.has_lost |= old.is_some() && new.is_none();
        self.replicas[replica].leaf = Some(leaf);
    }

    /// True if even a client that learns late of a registration accepts the leaf.
    fn is_accepted(&self, leaf: &Leaf) -> bool {
        let late = self
            .past
            .iter()
            .filter(|(until, _)| self.age.saturating_sub(*until) < TERMS.settle);
        let known = late
            .map(|(_, registrations)| registrations)
            .chain([&self.registrations])
            .flatten();
        leaf.life.holds(self.clock)
            && known
                .into_iter()
                .all(|one| one.value.contains(&leaf.issuer))
    }

    /// True if the authority of every valid leaf is in every registration.
    pub(crate) fn is_safe(&self) -> bool {
        let leaves = self
            .replicas
            .iter()
            .filter_map(|replica| replica.leaf.as_ref());
        let mut valid = leaves.filter(|leaf| leaf.life.holds(self.clock));
        let is_registered = |leaf: &Leaf| {
            self.registrations
                .iter()
                .all(|one| one.value.contains(&leaf.issuer))
        };
        !self.has_lost && valid.all(is_registered)
    }

    /// True if all replicas serve a young leaf of the current authority and have nothing to do.
    fn is_settled(&mut self) -> bool {
        let current = read(&self.secret.value)
            .current
            .map(|authority| authority.certificate().clone());
        (0..REPLICAS).all(|replica| {
            self.look(replica);
            let rests = self.act(replica, 2) == Some(RotationStep::Rest);
            let leaf = self.replicas[replica].leaf.as_ref();
            let good = leaf.is_some_and(|leaf| {
                Some(&leaf.issuer) == current.as_ref() && !leaf.life.is_due(self.clock)
            });
            rests && good
        })
    }

    /// Lets every replica look and act, round by round. Returns the rounds until all is settled.
    pub(crate) fn rounds(&mut self) -> Option<usize> {
        (0..20).find(|_| {
            for replica in 0..REPLICAS {
                self.look(replica);
                self.act(replica, 2);
            }
            self.pass(Duration::from_mins(2));
            self.is_settled()
        })
    }
}

fn owned((name, text): (&str, &str)) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

fn read(data: &Data) -> Authorities {
    let data = data
        .iter()
        .map(|(name, text)| (name.clone(), text.clone().into_bytes()))
        .collect();
    Authorities::read(&data, "the Secret").0
}

fn issue(current: &Authority, now: SystemTime) -> Leaf {
    let life = current
        .leaf(&["localhost".to_owned()], now, &TERMS)
        .unwrap()
        .life();
    Leaf {
        issuer: current.certificate().clone(),
        life,
    }
}
