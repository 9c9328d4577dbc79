//! Whose registration it is, where servers want different ones.
//!
//! A policy file reaches the pods of a Deployment up to 90 s apart, and a rollout may stop half-way
//! with two versions. Each of two servers that put back what they want would undo the other's for
//! ever. So the registration bears a mark of who wrote it, and one server leaves it to the other: the
//! older version to the newer, and of one version the one that wrote before to the one that did after.

use std::fmt::Write;

use semver::Version;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Manifest;
use crate::version::VERSION;

/// The annotation that holds the mark.
pub(super) const REGISTERED_BY: &str = "fluxkeep.io/registered-by";
/// Bytes of the hash that a mark shows, two hexadecimal digits each.
const SHOWN: usize = 6;

/// What a server does about a registration that bears a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is its own: what differs is put back.
    Keep,
    /// Another's, and this server's comes after it: it is written over.
    Claim,
    /// Another's that comes after this server's: it is left alone.
    Leave,
}

/// The mark of a server of this version that wants these objects.
pub(super) fn mark(wanted: &[Manifest]) -> String {
    let mut hash = Sha256::new();
    for manifest in wanted {
        hash.update(manifest.reference.to_string());
        hash.update(manifest.body.to_string());
    }
    let mut mark = format!("{VERSION} ");
    for byte in hash.finalize().iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = write!(mark, "{byte:02x}");
    }
    mark
}

/// The mark that a live object bears.
pub(super) fn borne(live: &Value) -> Option<&str> {
    live.get("metadata")?
        .get("annotations")?
        .get(REGISTERED_BY)?
        .as_str()
}

/// Whose turn it is. `claimed`: this server has written its own mark since what it wants changed last.
pub(super) fn turn(own: &str, borne: Option<&str>, claimed: bool) -> Turn {
    let Some(other) = borne else {
        return Turn::Claim;
    };
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

/// The version in a mark; one that is none comes before all.
fn version(mark: &str) -> Option<Version> {
    Version::parse(mark.split_once(' ')?.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_takes_over_and_an_older_one_leaves_it_alone_for_good() {
        for claimed in [false, true] {
            assert_eq!(turn("0.2.0 a", Some("0.1.0 b"), claimed), Turn::Claim);
            assert_eq!(turn("0.2.0 a", Some("0.10.0 b"), claimed), Turn::Leave);
            assert_eq!(turn("0.2.0 a", Some("0.2.0 a"), claimed), Turn::Keep);
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
