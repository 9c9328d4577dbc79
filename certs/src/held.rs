//! The time for which every bundle has held a certificate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{Bundle, Certificate};

/// The certificates in every bundle, each with the time of its first sighting on a monotonic clock.
#[derive(Debug, Default)]
pub struct Held {
    since: BTreeMap<Certificate, Instant>,
}

impl Held {
    /// Records the bundles of a look.
    pub fn look(&mut self, bundles: &[Bundle], at: Instant) {
        let everywhere =
            |certificate: &Certificate| bundles.iter().all(|bundle| bundle.contains(certificate));
        let certificates = bundles
            .iter()
            .flat_map(Bundle::iter)
            .filter(|certificate| everywhere(certificate));
        let since = |certificate: &Certificate| self.since.get(certificate).copied().unwrap_or(at);
        self.since = certificates
            .map(|certificate| (certificate.clone(), since(certificate)))
            .collect();
    }

    /// The certificates that have been in every bundle for at least `settle`.
    #[must_use]
    pub fn settled(&self, settle: Duration, at: Instant) -> Bundle {
        let is_settled = |since: &Instant| at.saturating_duration_since(*since) >= settle;
        self.since
            .iter()
            .filter(|(_, since)| is_settled(since))
            .map(|(certificate, _)| certificate.clone())
            .collect()
    }
}
