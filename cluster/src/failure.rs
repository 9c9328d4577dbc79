//! Why a collection could not be read, in the words of whoever refused.

use std::time::Duration;

/// What went wrong while a collection was listed or watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The apiserver refused, or was not reached.
    #[error(transparent)]
    Refused(#[from] kube::Error),
    /// The connection stands and nothing comes.
    #[error("nothing was heard for {} s", .0.as_secs())]
    Silence(Duration),
    /// The watch ended as soon as it was open.
    #[error("the watch ended before it began")]
    Brief,
    /// An answer that is none.
    #[error("the answer is not readable: {0}")]
    Unreadable(String),
}

impl Failure {
    /// Whether the apiserver has forgotten where a list or a watch was.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_code(410)
    }

    fn is_code(&self, code: u16) -> bool {
        matches!(self, Self::Refused(kube::Error::Api(status)) if status.code == code)
    }

    /// The apiserver's own words, or the deepest cause.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused(error) => reason(error),
            other => other.to_string(),
        }
    }

    /// The cause is often knowable.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Refused(kube::Error::Api(status)) => match status.code {
                401 => "; the credentials are wrong or have expired",
                403 => "; the user needs this right",
                410 => {
                    "; it ran out twice while it was read: try again when the cluster is less busy"
                }
                _ => "",
            },
            Self::Refused(kube::Error::HyperError(_) | kube::Error::Service(_)) => {
                unreached(&self.reason())
            }
            _ => "",
        }
    }
}

/// As rustls begins to tell why it trusts no certificate.
const UNTRUSTED: &str = "invalid peer certificate";

fn unreached(reason: &str) -> &'static str {
    if reason.starts_with(UNTRUSTED) {
        "; compare the kubeconfig's server and certificate-authority"
    } else {
        "; is the apiserver reachable?"
    }
}

/// Why a request failed: the apiserver's own words, or the deepest cause. What kube puts around them
/// names its types.
#[must_use]
pub fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let first: &dyn std::error::Error = error;
    let deepest = std::iter::successors(Some(first), |error| error.source()).last();
    deepest.unwrap_or(first).to_string()
}
