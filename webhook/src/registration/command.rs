//! `fluxkeep-webhook register` and `unregister`, for a server that no chart installs.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use fluxkeep_cluster::connect;
use fluxkeep_cluster::policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Address, KnownReleases, ObjectChange, Reference, Registration, RegistrationClient};
use crate::state::now;

/// The flags that describe the registration.
#[derive(Debug, Clone, clap::Args)]
pub struct What {
    /// The URL by which the apiserver finds an outside server: https://HOST[:PORT][/PATH].
    #[arg(
        long,
        env = "FLUXKEEP_URL",
        value_name = "URL",
        conflicts_with = "service"
    )]
    url: Option<String>,
    /// The Service by which the apiserver finds a server in the cluster: NAMESPACE/NAME[:PORT].
    #[arg(long, env = "FLUXKEEP_SERVICE", value_name = "SERVICE")]
    service: Option<String>,
    /// The certificates to trust, in PEM; without it, the system's or another program's.
    #[arg(long, env = "FLUXKEEP_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Helm releases that pass while the server is down: fluxkeep's own, and prerequisites of the
    /// server such as the network's. Repeat the flag, or use commas.
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
pub struct Target {
    /// The kubeconfig; without it, KUBECONFIG or ~/.kube/config.
    #[arg(long, env = "FLUXKEEP_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context; without it, the current one.
    #[arg(long, env = "FLUXKEEP_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Lets the apiserver check everything and store nothing.
    #[arg(long)]
    dry_run: bool,
}

/// The flags of `register`.
#[derive(Debug, Clone, clap::Args)]
pub struct Register {
    #[command(flatten)]
    what: What,
    /// The policy file: names the engine's namespaces and turns off parts of the registration.
    #[arg(long, env = "FLUXKEEP_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Prints the manifests and sends nothing.
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

/// The flags of `unregister`.
#[derive(Debug, Clone, clap::Args)]
pub struct Unregister {
    #[command(flatten)]
    target: Target,
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
            .context("--url or --service must tell where the server is")?;
        let manifests = registration.manifests(&policy, &KnownReleases::default());
        if self.output.is_some() {
            let bodies: Vec<_> = manifests.iter().map(|manifest| &manifest.body).collect();
            return print(out, &serde_saphyr::to_string_multiple(&bodies)?);
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
            print(out, "nothing is registered\n")
        } else {
            Ok(())
        }
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
    let (namespace, rest) = service.split_once('/').context("there is no slash")?;
    let (name, port) = rest.split_once(':').unwrap_or((rest, "443"));
    ensure!(!namespace.is_empty() && !name.is_empty(), "a name is empty");
    let port = port
        .parse::<u16>()
        .with_context(|| format!("{port:?} is no port"))?;
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
        "reading --ca-file {}: there is no certificate in it; PEM is expected",
        path.display()
    );
    Ok(pem)
}

impl Target {
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

fn print(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    out.write_all(text.as_bytes()).context("writing to stdout")
}
