//! Runs the server in a child process, which is this program with the task `serve`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use fluxkeep_cli::client::{Client, Http};
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::{Bound, Settings, open_files};

/// A server that ends when this value is dropped.
pub(crate) struct Served {
    child: Child,
    /// The port for reviews, on loopback.
    pub(crate) port: u16,
    /// The certificate of the server's authority, as PEM.
    pub(crate) authority: String,
}

impl Served {
    /// Starts a server with a snapshot, by default the built-in snapshot.
    pub(crate) fn start(snapshot: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command
            .arg("serve")
            .args(snapshot)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let (port, authority) = serde_json::from_str(&line).context("a server that starts")?;
        Ok(Self {
            child,
            port,
            authority,
        })
    }

    /// Returns the process id.
    pub(crate) fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// Returns a new client with its own connection.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::trusting(&self.authority, Http::One)
    }

    /// Posts a review, and fails if the status is not 200.
    pub(crate) async fn ask(&self, client: &Client, review: &Bytes) -> anyhow::Result<()> {
        let status = self.post(client, "/validate", review).await?;
        anyhow::ensure!(status == 200, "the server answered {status}");
        Ok(())
    }

    /// Posts a review to a path. Returns the status of the answer.
    pub(crate) async fn post(
        &self,
        client: &Client,
        path: &str,
        review: &Bytes,
    ) -> anyhow::Result<u16> {
        let url = format!("https://localhost:{}{path}", self.port);
        let answer = client.post(&url, review.clone()).await?;
        Ok(answer.status().as_u16())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server in the child process. First prints the port and the authority's certificate.
pub(crate) fn serve(snapshot: Option<&Path>) -> anyhow::Result<()> {
    open_files::raise()?;
    let snapshot = Arc::new(snapshot.map_or_else(Snapshot::built_in, Snapshot::load)?);
    tokio::runtime::Runtime::new()?.block_on(async {
        let bound = Bound::bind(Settings::loopback(), snapshot).await?;
        let told = (
            bound.admission_address()?.port(),
            bound.authority_pem().context("an authority")?,
        );
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&told)?)?;
        Ok(bound.serve(std::future::pending()).await?)
    })
}
