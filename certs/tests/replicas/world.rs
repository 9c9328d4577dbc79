//! A small cluster: what replicas read and write, and what can happen to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use fluxkeep_certs::{Authorities, Authority, Bundle, Held, Leaf, State, Step, Terms, plan};

use crate::events::Event;

const TERMS: Terms = Terms {
    authority: Duration::from_hours(360),
    leaf: Duration::from_hours(90),
    skew: Duration::from_hours(1),
    settle: Duration::from_mins(10),
};
pub(crate) const REPLICAS: usize = 3;

/// Something that is written as a whole, if nobody wrote since it was read.
#[derive(Clone, Default)]
pub(crate) struct Versioned<T> {
    version: u64,
    pub(crate) value: T,
}

impl<T> Versioned<T> {
    /// False where somebody was faster.
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

/// What a replica has read; the world may have moved on.
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
    /// What the registrations held, and until which age.
    past: Vec<(Duration, [Versioned<Bundle>; 2])>,
    pub(crate) replicas: [Replica; REPLICAS],
    /// Whether a replica gave up a leaf that every client accepts for one that some do not.
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

    /// The step that was taken, if anything was read before.
    pub(crate) fn act(&mut self, replica: usize, reached: usize) -> Option<Step> {
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
            Step::Make => store(authorities.followed_by(Authority::new(now, &TERMS).unwrap())),
            Step::Switch => store(authorities.switched()),
            Step::Forget => store(authorities.living(now)),
            Step::Issue => self.serve(replica, issue(authorities.current.as_ref().unwrap(), now)),
            Step::Publish(bundle) => self.publish(bundle, &seen.registrations, reached),
            Step::Rest => {}
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

    /// Whether even a client that learns of a registration late accepts the leaf.
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

    /// Whether every leaf that is valid is of an authority that every registration holds.
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

    /// Whether all serve a young leaf of the authority that is current, with nothing left to do.
    fn is_settled(&mut self) -> bool {
        let current = read(&self.secret.value)
            .current
            .map(|authority| authority.certificate().clone());
        (0..REPLICAS).all(|replica| {
            self.look(replica);
            let rests = self.act(replica, 2) == Some(Step::Rest);
            let leaf = self.replicas[replica].leaf.as_ref();
            let good = leaf.is_some_and(|leaf| {
                Some(&leaf.issuer) == current.as_ref() && !leaf.life.is_due(self.clock)
            });
            rests && good
        })
    }

    /// Every replica looks and acts, undisturbed; how many rounds until all is settled.
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
