//! The server in a process of its own: this program, started again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use fluxkeep_cli::client::{Client, Http};
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::{Bound, Settings, open_files};

/// A server that ends when this is dropped.
pub(crate) struct Served {
    child: Child,
    /// Where reviews come in, on loopback.
    pub(crate) port: u16,
    /// Its authority's certificate, as PEM.
    pub(crate) authority: String,
}

impl Served {
    /// Starts one on a snapshot, by default the built-in one.
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

    /// What Linux calls the process.
    pub(crate) fn process(&self) -> String {
        self.child.id().to_string()
    }

    /// A client of its own connection.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::trusting(&self.authority, Http::One)
    }

    /// Posts a review that must be judged.
    pub(crate) async fn ask(&self, client: &Client, review: &Bytes) -> anyhow::Result<()> {
        let status = self.post(client, "/validate", review).await?;
        anyhow::ensure!(status == 200, "the server answered {status}");
        Ok(())
    }

    /// Posts a review to a path; the status of the answer.
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

/// In the child: the server itself, which first tells where it is.
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
