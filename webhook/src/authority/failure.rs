//! Why a step could not be done.

use fluxkeep_certs::Error;

/// Nothing here quotes a Secret: answers are never repeated, only a refusal's message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The apiserver was not reached, or refused.
    #[error("{doing}: {reason}{hint}")]
    Refused {
        /// What was attempted, on what.
        doing: String,
        /// The apiserver's words, or the deepest cause.
        reason: String,
        /// What may mend it; empty where that is not knowable.
        hint: &'static str,
    },
    /// Another replica was faster. Whoever looks again sees what it did.
    #[error("{0}: somebody else has written it since it was read")]
    Overtaken(String),
    /// No answer came.
    #[error("the apiserver did not answer within {0} s; a NetworkPolicy may block it")]
    Silence(u64),
    /// The Secret is somebody else's, and stays as it is.
    #[error(
        "{secret} is of type {found}, not {wanted}: it is somebody else's; name another with --tls-secret"
    )]
    Foreign {
        /// The Secret.
        secret: String,
        /// Its type.
        found: String,
        /// The type of Secrets that authorities are kept in.
        wanted: &'static str,
    },
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] Error),
}
