//! `fluxkeep-webhook register` and `unregister`, for a server that no chart installs.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use fluxkeep_cluster::connect;
use fluxkeep_cluster::policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::{Instant, sleep};

use super::{
    Address, KnownReleases, ObjectChange, Reference, Registration, RegistrationClient, answer,
};
use crate::state::now;

/// How long a deleted registration is watched. A server that watches it writes within a second.
const RETURNS: Duration = Duration::from_secs(3);

/// The flags that describe the registration.
#[derive(Debug, Clone, clap::Args)]
pub struct What {
    /// URL of a server outside the cluster: https://HOST[:PORT][/PATH].
    #[arg(
        long,
        env = "FLUXKEEP_URL",
        value_name = "URL",
        conflicts_with = "service"
    )]
    url: Option<String>,
    /// Service of a server inside the cluster: NAMESPACE/NAME[:PORT].
    #[arg(long, env = "FLUXKEEP_SERVICE", value_name = "SERVICE")]
    service: Option<String>,
    /// CA certificates (PEM) for `caBundle`. Default: the CA that the server generates; otherwise
    /// `caBundle` is left unchanged.
    #[arg(long, env = "FLUXKEEP_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Helm releases that pass while the server is down: fluxkeep's own, and those that the server
    /// needs to start, such as the network plugin. Repeat the flag, or use commas.
    #[arg(
        long,
        env = "FLUXKEEP_RELEASE",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "fluxkeep"
    )]
    release: Vec<String>,
}

/// The cluster to write to.
#[derive(Debug, Clone, clap::Args)]
pub struct RegistrationTarget {
    /// Kubeconfig file. Default: KUBECONFIG, else ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Kubeconfig context. Default: the current context.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Sends dry-run requests: the apiserver checks them and stores nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The flags of `register`.
#[derive(Debug, Clone, clap::Args)]
pub struct Register {
    #[command(flatten)]
    what: What,
    /// Policy file: sets Flux's namespaces, and which rules are off.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    target: RegistrationTarget,
    /// Prints the manifests instead of sending them.
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

/// The flags of `unregister`.
#[derive(Debug, Clone, clap::Args)]
pub struct Unregister {
    #[command(flatten)]
    target: RegistrationTarget,
}

/// The output format of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// YAML, a document per manifest.
    Yaml,
}

impl Register {
    /// Registers the server, deletes leftovers and prints the result for each object.
    ///
    /// # Errors
    /// If a file is unreadable or the apiserver refuses.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let policy =
            policy::load(self.policy.as_deref(), None, now()).map_err(anyhow::Error::msg)?;
        let registration = self
            .what
            .registration()?
            .context("--url or --service is required")?;
        let manifests = registration.manifests(&policy, &KnownReleases::default());
        if self.output.is_some() {
            let bodies: Vec<_> = manifests.iter().map(|manifest| &manifest.body).collect();
            return print(out, &serde_saphyr::to_string_multiple(&bodies)?);
        }
        for problem in registration.problems().await {
            warn(&problem);
        }
        let cluster = self.target.connect().await?;
        for manifest in &manifests {
            let done = cluster.apply(manifest).await?;
            self.target.tell(out, &manifest.reference, done)?;
        }
        for reference in cluster.left_over(&manifests).await? {
            let done = cluster.delete(&reference).await?;
            self.target.tell(out, &reference, done)?;
        }
        Ok(())
    }
}

impl Unregister {
    /// Deletes all registered objects and prints the result for each.
    ///
    /// # Errors
    /// If the apiserver refuses.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let cluster = self.target.connect().await?;
        let registered = cluster.left_over(&[]).await?;
        for reference in &registered {
            let done = cluster.delete(reference).await?;
            self.target.tell(out, reference, done)?;
        }
        if registered.is_empty() {
            return print(out, "nothing is registered\n");
        }
        if self.target.dry_run {
            return Ok(());
        }
        stays_away(&cluster).await
    }
}

/// Checks for a while that no server registers anything again.
///
/// # Errors
/// If a server does, or the apiserver refuses.
async fn stays_away(cluster: &RegistrationClient) -> anyhow::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < RETURNS {
        sleep(RETURNS / 10).await;
        let back = cluster.left_over(&[]).await?;
        if let Some(first) = back.first() {
            bail!(
                "unregistering: a running server wrote {first} again. First stop every server with --url or --service, \
                 then run unregister again at once: it opens what the servers leave closed"
            );
        }
    }
    Ok(())
}

impl Registration {
    /// Reasons why the apiserver may not reach the server, as far as they show from here. They are
    /// no errors: the apiserver may sit elsewhere, and the server may start later.
    async fn problems(&self) -> Vec<String> {
        let Address::Url(url) = &self.address else {
            return Vec::new();
        };
        let closed = "Until the apiserver reaches and trusts it, writes to Flux are refused. To open the cluster again: \
                      fluxkeep-webhook unregister";
        let mut problems = Vec::new();
        if self.authority.is_none() {
            problems.push(format!(
                "no --ca-file: the apiserver trusts {url} by its own roots only, unless a server writes its authority. {closed}"
            ));
        }
        if let Err(why) = answer::at(url, self.authority.as_deref()).await {
            problems.push(format!("{url} does not answer from here: {why}. {closed}"));
        }
        problems
    }
}

impl What {
    /// The registration that the flags describe; `None` without an address.
    ///
    /// # Errors
    /// If the address is invalid or the certificates are unreadable.
    pub fn registration(&self) -> anyhow::Result<Option<Registration>> {
        let address = match (&self.url, &self.service) {
            (Some(url), _) => address_of_url(url)?,
            (None, Some(service)) => address_of_service(service)
                .with_context(|| format!("--service {service:?} is not NAMESPACE/NAME[:PORT]"))?,
            (None, None) => return Ok(None),
        };
        let authority = self.ca_file.as_deref().map(certificates).transpose()?;
        Ok(Some(Registration {
            address,
            authority,
            releases: self.release.clone(),
        }))
    }
}

/// Accepts only `https` without a query, a fragment or a user, as the apiserver demands.
fn address_of_url(url: &str) -> anyhow::Result<Address> {
    let parsed: axum::http::Uri = url
        .parse()
        .with_context(|| format!("reading --url {url:?}"))?;
    let is_plain = parsed.query().is_none() && !url.contains(['#', '@']);
    ensure!(
        parsed.scheme_str() == Some("https") && is_plain,
        "--url {url:?} is not https://HOST[:PORT][/PATH]"
    );
    Ok(Address::Url(url.trim_end_matches('/').to_owned()))
}

fn address_of_service(service: &str) -> anyhow::Result<Address> {
    let (namespace, rest) = service.split_once('/').context("it has no slash")?;
    let (name, port) = rest.split_once(':').unwrap_or((rest, "443"));
    ensure!(
        !namespace.is_empty() && !name.is_empty(),
        "the namespace or name is empty"
    );
    let port = port
        .parse::<u16>()
        .with_context(|| format!("{port:?} is not a port"))?;
    Ok(Address::Service {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        port: port.into(),
    })
}

fn certificates(path: &Path) -> anyhow::Result<String> {
    let pem = std::fs::read_to_string(path)
        .with_context(|| format!("reading --ca-file {}", path.display()))?;
    let count = CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .count();
    ensure!(
        count > 0,
        "reading --ca-file {}: the file holds no PEM certificate",
        path.display()
    );
    Ok(pem)
}

impl RegistrationTarget {
    async fn connect(&self) -> anyhow::Result<RegistrationClient> {
        let client =
            connect::by_kubeconfig(self.kubeconfig.as_deref(), self.context.as_deref()).await;
        Ok(RegistrationClient::new(
            client.context("connecting to the cluster")?,
            self.dry_run,
        ))
    }

    fn tell(
        &self,
        out: &mut impl Write,
        reference: &Reference,
        done: ObjectChange,
    ) -> anyhow::Result<()> {
        print(
            out,
            &format!(
                "{reference} {}{}\n",
                done.name(),
                if self.dry_run { " (dry run)" } else { "" }
            ),
        )
    }
}

/// Writes a line to stderr. A failed write is ignored, since it could not be reported.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "fluxkeep-webhook: {text}");
}

/// Prints a line. A reader that closed the pipe must not end the work half-way.
fn print(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to stdout"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As of `fluxkeep-webhook register | head -1`.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_closed_the_pipe_stops_no_registration() {
        assert!(print(&mut Closed, "created\n").is_ok());
    }
}
