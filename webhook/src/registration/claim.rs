//! Settles which of two servers keeps the registration if they want different ones.
//!
//! A policy file reaches a Deployment's pods up to 90 s apart. A rollout may stop with two versions
//! running. Both servers would then undo each other's writes forever. So the registration carries
//! its writer's mark. An older version yields to a newer one; at equal versions the earlier writer
//! yields to the later.
//!
//! A mark outlives its server, for example after a rollback. So a server that yields asks from time
//! to time: it adds a question to the mark. A server that runs writes its mark again. If nobody
//! does, the server that asked takes over.

use std::fmt::Write;
use std::time::Duration;

use semver::Version;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Manifest;
use crate::version::VERSION;

/// The annotation that holds the mark.
pub(super) const REGISTERED_BY: &str = "fluxkeep.io/registered-by";
/// Bytes of the hash in a mark, each written as two hexadecimal digits.
const SHOWN: usize = 6;
/// The end of a mark whose server is asked to write it again.
const QUESTION: &str = " ?";
/// How long a server yields to a mark before it asks.
pub(super) const YIELDS: Duration = Duration::from_mins(5);
/// How long a server waits for the answer: longer than another one takes to restart.
pub(super) const ANSWERS: Duration = Duration::from_mins(2);

/// The manifest that carries the mark: the last one.
pub(super) fn marked(manifests: &[Manifest]) -> Option<&Manifest> {
    manifests.last()
}

/// A server's move on a registration that carries a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The mark is this server's: differences are restored.
    Keep,
    /// The mark is absent or yields to this server's: the registration is overwritten.
    Claim,
    /// This server yields to the mark: the registration stays as it is.
    Leave,
    /// This server yields, and the question is added to the mark.
    Ask,
}

/// A mark to which a server yields.
#[derive(Debug)]
pub(super) struct Yielding {
    mark: String,
    since: Instant,
}

impl Yielding {
    /// Yields to a mark from now on.
    pub(super) fn to(mark: &str) -> Self {
        Self {
            mark: mark.to_owned(),
            since: Instant::now(),
        }
    }

    /// True if the registration still bears the mark, with or without the question.
    pub(super) fn is_to_server_of(&self, mark: &str) -> bool {
        unasked(&self.mark) == unasked(mark)
    }

    /// True if the registration still bears the mark exactly: nobody wrote it since.
    pub(super) fn is_to(&self, mark: &str) -> bool {
        self.mark == mark
    }

    /// True if it is time to ask, or to take over.
    pub(super) fn is_over(&self) -> bool {
        let time = if self.mark.ends_with(QUESTION) {
            ANSWERS
        } else {
            YIELDS
        };
        self.since.elapsed() >= time
    }

    /// The move after this wait.
    pub(super) fn turn(&self) -> Turn {
        if !self.is_over() {
            Turn::Leave
        } else if self.mark.ends_with(QUESTION) {
            Turn::Claim
        } else {
            Turn::Ask
        }
    }
}

/// The mark with the question whether its server runs.
pub(super) fn asked(mark: &str) -> String {
    format!("{}{QUESTION}", unasked(mark))
}

fn unasked(mark: &str) -> &str {
    mark.strip_suffix(QUESTION).unwrap_or(mark)
}

/// The mark of a server of this version with these wanted objects.
pub(super) fn mark(wanted: &[Manifest]) -> String {
    let mut hash = Sha256::new();
    for manifest in wanted {
        hash.update(manifest.reference.to_string());
        hash.update(manifest.body.to_string());
    }
    let mut mark = format!("{VERSION} ");
    for byte in hash.finalize().iter().take(SHOWN) {
        // Writing to a string cannot fail.
        let _ = write!(mark, "{byte:02x}");
    }
    mark
}

/// The mark on a live object.
pub(super) fn borne(live: &Value) -> Option<&str> {
    live.get("metadata")?
        .get("annotations")?
        .get(REGISTERED_BY)?
        .as_str()
}

/// The move of the server with mark `own`. `claimed`: its current mark has been written.
pub(super) fn turn(own: &str, borne: Option<&str>, claimed: bool) -> Turn {
    let Some(other) = borne else {
        return Turn::Claim;
    };
    // The answer to a question: this server finds its mark changed and writes it again.
    let other = unasked(other);
    if other == own {
        return Turn::Keep;
    }
    let (own, other) = (version(own), version(other));
    if own > other {
        Turn::Claim
    } else if own < other || claimed {
        Turn::Leave
    } else {
        Turn::Claim
    }
}

/// The version in a mark. An invalid version yields to all others.
fn version(mark: &str) -> Option<Version> {
    Version::parse(mark.split_once(' ')?.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_takes_over_and_an_older_one_leaves_it_alone() {
        for claimed in [false, true] {
            assert_eq!(turn("0.2.0 a", Some("0.1.0 b"), claimed), Turn::Claim);
            assert_eq!(turn("0.2.0 a", Some("0.10.0 b"), claimed), Turn::Leave);
            assert_eq!(turn("0.2.0 a", Some("0.2.0 a"), claimed), Turn::Keep);
            assert_eq!(turn("0.2.0 a", Some("0.2.0 a ?"), claimed), Turn::Keep);
            assert_eq!(turn("0.2.0 a", Some("0.10.0 b ?"), claimed), Turn::Leave);
            assert_eq!(turn("0.2.0 a", None, claimed), Turn::Claim);
            assert_eq!(turn("0.2.0 a", Some("broken"), claimed), Turn::Claim);
        }
    }

    #[test]
    fn of_one_version_the_server_that_writes_last_keeps_it() {
        assert_eq!(turn("0.2.0 a", Some("0.2.0 b"), false), Turn::Claim);
        assert_eq!(turn("0.2.0 a", Some("0.2.0 b"), true), Turn::Leave);
    }
}
