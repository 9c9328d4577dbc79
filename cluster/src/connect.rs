//! Clients for a cluster, from a kubeconfig or from the pod's service account.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// The reason why no client could be made. No request has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// The kubeconfig is missing or invalid.
    // kube's message already contains its cause, so a source chain would repeat the cause.
    #[error("{0}; choose another with --kubeconfig")]
    Kubeconfig(String),
    /// The process runs in no pod with a service account.
    #[error(
        "this runs in no cluster ({0}); give --kubeconfig FILE, or --snapshot PATH to do without a cluster"
    )]
    NoPod(String),
    /// The credentials are unusable.
    #[error("using the credentials: {0}")]
    Client(String),
}

/// A client by kubectl's rules. The given kubeconfig and context take precedence over the user's
/// kubeconfig and its current context.
///
/// # Errors
/// If the kubeconfig, or a file that it names, is missing or unusable.
pub async fn by_kubeconfig(
    path: Option<&Path>,
    context: Option<&str>,
) -> Result<Client, Unconnected> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = match path.map(Kubeconfig::read_from) {
        Some(Ok(kubeconfig)) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
        Some(Err(error)) => Err(error),
        None => Config::from_kubeconfig(&options).await,
    };
    client(config.map_err(|error| Unconnected::Kubeconfig(told(&error)))?)
}

/// A client for the cluster of this pod, with the pod's service account.
///
/// # Errors
/// If the process runs in no pod, or without a service account.
pub fn in_cluster() -> Result<Client, Unconnected> {
    client(Config::incluster().map_err(|error| Unconnected::NoPod(error.to_string()))?)
}

fn client(config: Config) -> Result<Client, Unconnected> {
    Client::try_from(config).map_err(|error| Unconnected::Client(error.to_string()))
}

/// The error without secrets. The parser quotes the lines around a mistake, which may hold tokens
/// and keys, so only the location is repeated. `ReadConfig` would name its file twice.
fn told(error: &KubeconfigError) -> String {
    let unread = match error {
        KubeconfigError::Parse(unread) => unread,
        KubeconfigError::ReadConfig(reason, path) => {
            return format!("reading kubeconfig {}: {reason}", path.display());
        }
        other => return other.to_string(),
    };
    let place = unread
        .location()
        .map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    format!(
        "the kubeconfig is not readable{}",
        place.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_kubeconfig_that_is_not_there_is_named() {
        let said = told(&Kubeconfig::read_from("/nowhere/config").unwrap_err());
        assert!(
            said.starts_with("reading kubeconfig /nowhere/config: No such file"),
            "{said}"
        );
    }

    #[test]
    fn what_stands_in_an_unreadable_kubeconfig_is_not_told() {
        let user = "users:\n- name: a\n  user:\n    token: made-up\n";
        for (more, line) in [
            ("    client-key-data: [\n", "line 5"),
            ("clusters: made-up\n", "line 5"),
        ] {
            let said = told(&Kubeconfig::from_yaml(&format!("{user}{more}")).unwrap_err());
            assert!(
                said.contains(line) && !said.contains("made-up") && !said.contains('\n'),
                "{said}"
            );
        }
    }
}
