//! The reasons why a step fails.

use fluxkeep_certs::Error;

/// A failed step. No variant quotes a Secret: only the message of a refusal is repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The apiserver was unreachable or refused.
    #[error("{doing}: {reason}{hint}")]
    Refused {
        /// The attempted action and its object.
        doing: String,
        /// The apiserver's message, or the root cause.
        reason: String,
        /// A possible remedy; empty if none is known.
        hint: &'static str,
    },
    /// Another replica was faster. The next look shows its write.
    #[error("{0}: another client changed it since it was read")]
    Overtaken(String),
    /// The apiserver did not answer in time.
    #[error("the apiserver did not answer within {0} s; a NetworkPolicy may block the connection")]
    Silence(u64),
    /// The Secret has another owner and is left unchanged.
    #[error(
        "{secret} has type {found}, not {wanted}: it is not fluxkeep's; name another Secret with --tls-secret"
    )]
    Foreign {
        /// The Secret's name.
        secret: String,
        /// The Secret's type.
        found: String,
        /// The type of Secrets that hold authorities.
        wanted: &'static str,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] Error),
}
