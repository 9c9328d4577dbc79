//! `fluxkeep-webhook probe`: checks from outside that the apiserver asks a server, for `helm test`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use fluxkeep::rules::review_unreadable;
use http::header::{CONTENT_TYPE, WARNING};
use http::{Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::source::ClusterArgs;

/// The name of a release record, of a release that no chart has.
const RECORD: &str = "sh.helm.release.v1.fluxkeep-probe.v1";
/// Pause between attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The flags of `probe`.
#[derive(Debug, Clone, clap::Args)]
pub struct Probe {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// The namespace of the record that is tried. The probe takes the right to create ConfigMaps
    /// there.
    #[arg(
        long,
        short,
        env = "FLUXKEEP_PROBE_NAMESPACE",
        value_name = "NAME",
        default_value = "fluxkeep"
    )]
    namespace: String,
    /// The seconds after which the probe fails. The apiserver learns of a registration a moment
    /// late.
    #[arg(
        long,
        env = "FLUXKEEP_PROBE_WITHIN",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    within: u64,
}

impl Probe {
    /// Sends a release record that nobody can read, as a dry run, until the answer shows that a
    /// server was asked.
    ///
    /// # Errors
    /// If no server was asked, or the apiserver cannot be reached.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let client = self.cluster.client().await?;
        let begun = Instant::now();
        let patience = Duration::from_secs(self.within);
        loop {
            let said = self.attempt(&client).await?;
            if said.contains(review_unreadable::RULE.id) {
                return writeln!(out, "the apiserver asks fluxkeep").context("writing to stdout");
            }
            if begun.elapsed() >= patience {
                bail!("the apiserver does not ask fluxkeep; it answered: {said}");
            }
            sleep(PAUSE).await;
        }
    }

    /// The warnings and the text of the apiserver's answer.
    async fn attempt(&self, client: &Client) -> anyhow::Result<String> {
        let record = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": RECORD, "namespace": self.namespace, "labels": {"owner": "helm"}},
            "data": {"release": "no record"},
        });
        let path = format!(
            "/api/v1/namespaces/{}/configmaps?dryRun=All",
            self.namespace
        );
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(record.to_string().into_bytes()))
            .context("writing the request")?;
        let answer = client.send(request).await.context("asking the apiserver")?;
        said(answer).await
    }
}

async fn said(answer: Response<Body>) -> anyhow::Result<String> {
    let mut said = String::new();
    for warning in answer.headers().get_all(WARNING) {
        said += &String::from_utf8_lossy(warning.as_bytes());
        said.push('\n');
    }
    let body = answer
        .into_body()
        .collect()
        .await
        .context("reading the apiserver's answer")?;
    said += &String::from_utf8_lossy(&body.to_bytes());
    Ok(said)
}
