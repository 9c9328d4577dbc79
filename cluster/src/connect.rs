//! Clients for a cluster, from a kubeconfig or from the pod's service account.

use std::path::Path;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// The reason why no client could be made. No request has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// The kubeconfig is missing or invalid.
    // kube's message already contains its cause, so a source chain would repeat the cause.
    #[error("{0}; name another kubeconfig with --kubeconfig")]
    Kubeconfig(String),
    /// The kubeconfig has no such context.
    #[error("the kubeconfig has no context {name:?}; it has {known}; choose one with --context")]
    Context {
        /// The name that was asked for.
        name: String,
        /// The contexts that there are, separated by commas.
        known: String,
    },
    /// The process runs in no pod with a service account.
    #[error(
        "this process is not in a cluster ({0}); give --kubeconfig FILE, or --snapshot PATH instead of a cluster"
    )]
    NoPod(String),
    /// The credentials are unusable.
    #[error("loading the credentials: {0}")]
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
    Ok(named_by_kubeconfig(path, context).await?.0)
}

/// Like [`by_kubeconfig`], with the cluster in words: `context prod (https://10.0.0.1:6443)`.
async fn named_by_kubeconfig(
    path: Option<&Path>,
    context: Option<&str>,
) -> Result<(Client, String), Unconnected> {
    let kubeconfig = read(path)?;
    let known = contexts(&kubeconfig);
    if let Some(name) = context
        && !known.iter().any(|known| known == name)
    {
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let name = name.to_owned();
        return Err(Unconnected::Context { name, known });
    }
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let current = kubeconfig.current_context.clone().unwrap_or_default();
    let context = context.map_or(current, str::to_owned);
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let config = config.map_err(|error| Unconnected::Kubeconfig(told(&error)))?;
    let name = format!("context {context} ({})", address(&config));
    Ok((client(config)?, name))
}

/// A client for a server. The first of these counts: the given kubeconfig or context, `KUBECONFIG`,
/// the cluster of this pod, `~/.kube/config`.
///
/// # Errors
/// If none of them is there, or the first that is there is unusable.
pub async fn for_server(path: Option<&Path>, context: Option<&str>) -> Result<Client, Unconnected> {
    Ok(named_for_server(path, context).await?.0)
}

/// Like [`for_server`], with the cluster in words, for a command that says where it writes.
///
/// # Errors
/// As [`for_server`].
pub async fn named_for_server(
    path: Option<&Path>,
    context: Option<&str>,
) -> Result<(Client, String), Unconnected> {
    let is_named = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    if path.is_some() || context.is_some() || is_named {
        return named_by_kubeconfig(path, context).await;
    }
    match Config::incluster() {
        Ok(config) => {
            let name = format!("the cluster of this pod ({})", address(&config));
            Ok((client(config)?, name))
        }
        Err(no_pod) if read(None).is_err() => Err(Unconnected::NoPod(no_pod.to_string())),
        Err(_) => named_by_kubeconfig(None, None).await,
    }
}

/// The apiserver's URL, without a user or a password in it.
fn address(config: &Config) -> String {
    let url = &config.cluster_url;
    let scheme = url.scheme_str().unwrap_or("https");
    let host = url.host().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    let path = url.path().trim_end_matches('/');
    format!("{scheme}://{host}{}{path}", port.unwrap_or_default())
}

/// The kubeconfig of a path, or else the user's: `KUBECONFIG`, or `~/.kube/config`.
///
/// # Errors
/// If the kubeconfig is missing or unreadable.
pub fn read(path: Option<&Path>) -> Result<Kubeconfig, Unconnected> {
    let kubeconfig = path.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    kubeconfig.map_err(|error| Unconnected::Kubeconfig(told(&error)))
}

/// True if the user has a kubeconfig: `KUBECONFIG` is set, or `~/.kube/config` exists.
#[must_use]
pub fn has_kubeconfig() -> bool {
    let is_named = std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty());
    let home = std::env::home_dir().map(|home| home.join(".kube").join("config"));
    is_named || home.is_some_and(|path| path.is_file())
}

/// The names of a kubeconfig's contexts, in its order.
#[must_use]
pub fn contexts(kubeconfig: &Kubeconfig) -> Vec<String> {
    let contexts = kubeconfig.contexts.iter();
    contexts.map(|context| context.name.clone()).collect()
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
        KubeconfigError::LoadContext(name) => {
            return format!("the kubeconfig has no context {name:?}");
        }
        other => return other.to_string(),
    };
    let place = unread
        .location()
        .map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    format!("the kubeconfig is invalid{}", place.unwrap_or_default())
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
