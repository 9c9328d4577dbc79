//! Serving certificates: from an authority of its own or from files, exchanged while the server
//! serves. Also the authorities of callers' certificates ([`Clients`]).
//!
//! An [`Identity`] is a certificate chain and its key, checked to fit each other. It comes from an
//! [`Authority`] or from [`Files`], and is served through [`Current`], which takes a new one at any
//! time. Replicas that share their [`Authorities`] ask [`plan`] what to do next, do that one thing,
//! and look again; the caller has the clock, the place where authorities are kept and the bundles.

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
pub use plan::{Leaf, Plan, State, Step, plan};

use std::path::PathBuf;

/// Why there is no certificate to serve. No variant holds a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or not readable.
    #[error("reading {path}: {source}; the directory must hold tls.crt and tls.key")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file with the authorities of callers is missing or not readable.
    #[error("reading {path}: {source}; it must hold the certificates of callers' authorities")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A text without a certificate or a key in PEM.
    #[error("{origin} holds no {wanted} in PEM")]
    NotPem {
        /// Where it was looked for.
        origin: String,
        /// `certificate` or `private key`.
        wanted: &'static str,
    },
    /// A pair that cannot be served.
    #[error("{origin} cannot be served: {reason}; the key must be that of the first certificate")]
    Unusable {
        /// Where the pair comes from.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("making a certificate: {0}")]
    Making(#[from] rcgen::Error),
}
