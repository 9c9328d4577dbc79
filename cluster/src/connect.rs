//! From a kubeconfig, or from the pod that this runs in, to a client.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Why there is no client. Nothing was asked of the cluster yet.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// The kubeconfig is missing or does not fit.
    // kube's message ends with its cause: as a chain it would be told twice.
    #[error("{0}; choose another with --kubeconfig")]
    Kubeconfig(String),
    /// This is no pod with a service account.
    #[error(
        "this runs in no cluster ({0}); give --kubeconfig FILE, or --snapshot PATH to do without a cluster"
    )]
    NoPod(String),
    /// The credentials are not usable.
    #[error("using the credentials: {0}")]
    Client(String),
}

/// A client as kubectl would choose it: this kubeconfig, or else the user's own; this context in it,
/// or else the current one.
///
/// # Errors
/// When the file or what it names is not there or not usable.
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

/// A client of the cluster whose pod this is, with the pod's service account.
///
/// # Errors
/// When this is no pod, or has no service account.
pub fn in_cluster() -> Result<Client, Unconnected> {
    client(Config::incluster().map_err(|error| Unconnected::NoPod(error.to_string()))?)
}

fn client(config: Config) -> Result<Client, Unconnected> {
    Client::try_from(config).map_err(|error| Unconnected::Client(error.to_string()))
}

/// The parser's own words quote the lines around the mistake, and what it found there: in a kubeconfig these
/// are tokens and keys. So of that only the place is told. A file's name it quotes twice.
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
