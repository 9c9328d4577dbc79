//! What replicas share: the authority that they issue from, the one that follows, and those before.

use crate::{Authority, Bundle, Certificate, Error};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// How many certificates that nobody issues from any more are remembered at most. Two are enough
/// for any order of renewals; the rest is room for what was repaired by hand.
pub(crate) const REMEMBERED: usize = 8;

/// The authorities, as they are kept in one place. A leaf is only ever issued from `current`, and
/// only what was `next` becomes `current`.
#[derive(Debug, Default)]
pub struct Authorities {
    /// Leaves are issued from it.
    pub current: Option<Authority>,
    /// Follows as soon as every client trusts it.
    pub next: Option<Authority>,
    /// Followed already: their keys are gone, and leaves that they issued may still be served.
    pub previous: Bundle,
}

impl Authorities {
    /// Reads what [`Authorities::data`] wrote. Whatever cannot be used counts as missing and is told
    /// beside it; `origin` names the place.
    #[must_use]
    pub fn read(data: &BTreeMap<String, Vec<u8>>, origin: &str) -> (Self, Vec<Error>) {
        let mut unusable = Vec::new();
        let mut authority = |role: &str| {
            let (certificate, key) = (
                data.get(&format!("{role}.crt"))?,
                data.get(&format!("{role}.key"))?,
            );
            let read = Authority::read(certificate, key, &format!("{origin} ({role})"));
            read.map_err(|error| unusable.push(error)).ok()
        };
        let (current, next) = (authority("current"), authority("next"));
        let previous = data
            .get("previous.crt")
            .map(|pem| Bundle::read(pem))
            .unwrap_or_default();
        (
            Self {
                current,
                next,
                previous,
            },
            unusable,
        )
    }

    /// What is to be kept: texts in PEM, keys among them.
    #[must_use]
    pub fn data(&self) -> BTreeMap<String, String> {
        let mut data = BTreeMap::from([("previous.crt".to_owned(), self.previous.pem())]);
        for (role, authority) in [("current", &self.current), ("next", &self.next)] {
            if let Some(authority) = authority {
                data.insert(format!("{role}.crt"), authority.certificate().pem());
                data.insert(format!("{role}.key"), authority.key_pem());
            }
        }
        data
    }

    /// The certificates of all of them.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let used = [&self.current, &self.next]
            .into_iter()
            .flatten()
            .map(Authority::certificate);
        used.chain(self.previous.iter()).cloned().collect()
    }

    /// With another one to follow.
    #[must_use]
    pub fn followed_by(self, next: Authority) -> Self {
        Self {
            next: Some(next),
            ..self
        }
    }

    /// What was next is current; of what was current, only the certificate stays.
    #[must_use]
    pub fn switched(self) -> Self {
        let retired = self.current.as_ref().map(Authority::certificate);
        let previous = self
            .previous
            .iter()
            .chain(retired)
            .cloned()
            .collect::<Bundle>()
            .newest(REMEMBERED);
        Self {
            current: self.next,
            next: None,
            previous,
        }
    }

    /// Without previous ones whose life is over.
    #[must_use]
    pub fn living(self, now: SystemTime) -> Self {
        Self {
            previous: self.previous.living(now),
            ..self
        }
    }

    /// Whether a previous one's life is over.
    pub(crate) fn remember_dead(&self, now: SystemTime) -> bool {
        self.previous
            .iter()
            .any(|certificate: &Certificate| certificate.life().is_over(now))
    }
}
