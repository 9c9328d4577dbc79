//! What has to be looked at again and again: policy file, certificate files, the leaf's age.
//!
//! One look is one plain call; who calls it decides when.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::policy::Policy;
use fluxkeep_certs::{Authority, Current, Error, Files, Identity, is_due};

use crate::metrics::Metrics;
use crate::state::{State, now};

/// Where certificates come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Made here, for these names.
    SelfMade(Authority, Vec<String>),
    /// Written by somebody else.
    Files(Files),
}

/// The policy file, and what it was at the last look: its text, or why there was none.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    path: PathBuf,
    seen: Result<String, String>,
}

impl PolicyFile {
    /// Reads the file.
    ///
    /// # Errors
    /// In words, when it is missing or no policy.
    pub(crate) fn load(path: &Path) -> Result<(Self, Policy), String> {
        let seen = read(path)?;
        let policy = parse(path, &seen)?;
        Ok((Self { path: path.to_owned(), seen: Ok(seen) }, policy))
    }

    /// The new policy, if the file changed; why it is none, if it is none.
    fn look(&mut self) -> Option<Result<Policy, String>> {
        let found = read(&self.path);
        if found == self.seen {
            return None;
        }
        let policy = found.as_deref().map_err(Clone::clone).and_then(|text| parse(&self.path, text));
        self.seen = found;
        Some(policy)
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("reading policy {}: {error}", path.display()))
}

fn parse(path: &Path, text: &str) -> Result<Policy, String> {
    Policy::read(text, now()).map_err(|error| format!("reading policy {}: {error}", path.display()))
}

/// Keeps policy and certificate up to date.
#[derive(Debug)]
pub struct Upkeep {
    pub(crate) state: Arc<State>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) current: Arc<Current>,
    pub(crate) origin: Origin,
}

impl Upkeep {
    /// Looks once at everything, and takes what is new. What is bad is logged and counted, and what
    /// was there before stays.
    pub fn look(&mut self) {
        if let Some(found) = self.policy.as_mut().and_then(PolicyFile::look) {
            self.metrics.reloaded(found.is_ok());
            match found {
                Ok(policy) => self.state.adopt(policy),
                Err(why) => {
                    tracing::error!(why, "the changed policy is not taken; the one before stays");
                }
            }
        }
        let renewed = self.renewed();
        if let Some(good) = renewed.as_ref().map(Result::is_ok) {
            self.metrics.rotated("leaf", good);
        }
        match renewed {
            None => {}
            Some(Ok(identity)) => self.serve(identity),
            Some(Err(error)) => {
                tracing::error!(%error, "the new certificate is not taken; the one before stays");
            }
        }
    }

    fn serve(&self, identity: Identity) {
        self.metrics.expires("leaf", identity.not_after());
        self.current.swap(identity);
    }

    fn renewed(&mut self) -> Option<Result<Identity, Error>> {
        match &mut self.origin {
            Origin::Files(files) => files.look().transpose(),
            Origin::SelfMade(authority, names) => {
                let (now, identity) = (SystemTime::now(), self.current.identity());
                let due = is_due(identity.not_before(), identity.not_after(), now);
                due.then(|| authority.leaf(names, now))
            }
        }
    }
}
