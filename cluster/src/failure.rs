//! The reason why a collection could not be read, in the apiserver's words if it refused.

use std::time::Duration;

/// A failure to list or watch a collection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The apiserver refused or was unreachable.
    #[error(transparent)]
    Refused(#[from] kube::Error),
    /// The connection is open but silent.
    #[error("the apiserver sent nothing for {} s", .0.as_secs())]
    Silence(Duration),
    /// The watch ended right after it opened.
    #[error("the watch ended right after it opened")]
    Brief,
    /// The answer could not be parsed.
    #[error("the apiserver's answer is unreadable: {0}")]
    Unreadable(String),
}

impl Failure {
    /// True if the apiserver no longer has the version of a list or watch.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_code(410)
    }

    fn is_code(&self, code: u16) -> bool {
        matches!(self, Self::Refused(kube::Error::Api(status)) if status.code == code)
    }

    /// The apiserver's message, or the root cause.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Refused(error) => reason(error),
            other => other.to_string(),
        }
    }

    /// A possible cause or remedy; empty if none is known.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Refused(kube::Error::Api(status)) => match status.code {
                401 => "; the credentials are wrong or have expired",
                403 => "; grant the user this right",
                410 => {
                    "; the list expired twice while it was read; try again when the cluster is less busy"
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

/// Start of rustls's message about an untrusted certificate.
const UNTRUSTED: &str = "invalid peer certificate";

fn unreached(reason: &str) -> &'static str {
    if reason.starts_with(UNTRUSTED) {
        "; check server and certificate-authority in the kubeconfig"
    } else {
        "; check that the apiserver is reachable"
    }
}

/// The apiserver's message, or else the root cause of a failed request. kube's outer errors only
/// add names of its types.
#[must_use]
pub fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return if status.message.is_empty() {
            format!("HTTP {} without a reason", status.code)
        } else {
            status.message.clone()
        };
    }
    let first: &dyn std::error::Error = error;
    let deepest = std::iter::successors(Some(first), |error| error.source()).last();
    deepest.unwrap_or(first).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn an_answer_without_a_reason_is_told_by_its_code() {
        let silent = Status {
            code: 404,
            ..Status::default()
        };
        let told = reason(&kube::Error::Api(Box::new(silent)));
        assert_eq!(told, "HTTP 404 without a reason");
    }
}
