//! The authorities that replicas share: current, next and previous ones.

use crate::{Authority, Bundle, Certificate, Error};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Number of remembered certificates whose keys are gone. Two suffice for any order of renewals;
/// the rest is for repairs by hand.
pub(crate) const REMEMBERED: usize = 8;

/// The authorities in their shared storage. Leaves are issued from `current` only, and only `next`
/// can become `current`.
#[derive(Debug, Default)]
pub struct Authorities {
    /// The authority that issues leaves.
    pub current: Option<Authority>,
    /// The successor, once every client trusts it.
    pub next: Option<Authority>,
    /// Former authorities without their keys; leaves that they issued may still be served.
    pub previous: Bundle,
}

impl Authorities {
    /// Parses the output of [`Authorities::data`]. Unusable parts count as missing and are returned
    /// as errors; `origin` names the storage.
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

    /// The texts to store, in PEM; they include keys.
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

    /// The certificates of all authorities.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        let used = [&self.current, &self.next]
            .into_iter()
            .flatten()
            .map(Authority::certificate);
        used.chain(self.previous.iter()).cloned().collect()
    }

    /// These authorities with a new next one.
    #[must_use]
    pub fn followed_by(self, next: Authority) -> Self {
        Self {
            next: Some(next),
            ..self
        }
    }

    /// Makes `next` current, and keeps only the certificate of the former current authority.
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

    /// These authorities without expired previous ones.
    #[must_use]
    pub fn living(self, now: SystemTime) -> Self {
        Self {
            previous: self.previous.living(now),
            ..self
        }
    }

    /// True if a previous authority has expired.
    pub(crate) fn remember_dead(&self, now: SystemTime) -> bool {
        self.previous
            .iter()
            .any(|certificate: &Certificate| certificate.life().is_over(now))
    }
}
