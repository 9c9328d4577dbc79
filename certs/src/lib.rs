//! Serving certificates from a built-in authority or from files, replaceable while serving. Also
//! the authorities of callers' certificates ([`Clients`]).
//!
//! An [`Identity`] is a certificate chain with its matching key. It comes from an [`Authority`] or
//! from [`Files`]. [`Current`] serves it and takes a new one at any time. Replicas that share
//! [`Authorities`] ask [`plan`] for the next step, perform it, and look again. The caller provides
//! the clock, the storage and the bundles.

mod authorities;
mod authority;
mod certificate;
mod clients;
mod current;
mod files;
mod held;
mod identity;
mod life;
mod plan;

pub use authorities::Authorities;
pub use authority::Authority;
pub use certificate::{Bundle, Certificate};
pub use clients::{Clients, Verifier};
pub use current::{Current, server_config};
pub use files::Files;
pub use held::Held;
pub use identity::Identity;
pub use life::{Life, Terms};
pub use plan::{Leaf, RotationPlan, RotationStep, State, plan};

use std::path::PathBuf;

/// The reason why no certificate can be served. No variant holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or unreadable.
    #[error("reading {path}: {reason}; the directory must hold tls.crt and tls.key")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error. Not a `source`, because the message already contains it.
        reason: std::io::Error,
    },
    /// The file with the authorities of callers is missing or unreadable.
    #[error("reading {path}: {reason}; the file must hold the CA certificates of callers")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The system's error. Not a `source`, because the message already contains it.
        reason: std::io::Error,
    },
    /// The text has no certificate or key in PEM.
    #[error("{origin} holds no {wanted} in PEM")]
    NotPem {
        /// The source of the text.
        origin: String,
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// The pair cannot be served.
    #[error("{origin} is unusable: {reason}")]
    Unusable {
        /// The source of the pair.
        origin: String,
        /// The defect.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Making(#[from] rcgen::Error),
}
