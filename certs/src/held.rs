//! For how long every bundle was seen to hold a certificate.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::{Bundle, Certificate};

/// What every bundle holds, and since when it was seen to. By a clock that never jumps.
#[derive(Debug, Default)]
pub struct Held {
    since: BTreeMap<Certificate, Instant>,
}

impl Held {
    /// Notes what the bundles hold now.
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

    /// What they have held for as long as `settle`, at the last look.
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
