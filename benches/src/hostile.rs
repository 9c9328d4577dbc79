//! Measures hostile clients: the cost of one review, the memory of held connections, and the
//! engine's waits beside a flood.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use fluxkeep::admission::LONGEST_BODY;
use fluxkeep::helm::record::Driver;
use fluxkeep_tests::{Review, packed, secret, stored};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use crate::crowd::{connected, connector};
use crate::input::Inputs;
use crate::process::{Memory, forget_peak, mib};
use crate::served::Served;
use crate::table::{Table, text};

const DOCUMENTS: usize = 10_000;
const HELD: usize = 300;
/// Numbers of strangers at once: a few, and as many as one tenant's tools start.
const FLOODS: [usize; 2] = [16, 200];
const ASKED: usize = 100;
pub(crate) const ENGINE: &str = "/validate/engine";
pub(crate) const OTHERS: &str = "/validate/others";

pub(crate) fn measure(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let hostile = Bytes::from(record());
    runtime.block_on(one(table, &hostile))?;
    runtime.block_on(held(table, inputs))?;
    runtime.block_on(flood(table, inputs, &hostile))
}

/// Returns the review of a stranger's record with many documents. Each document requires a full
/// YAML parser.
pub(crate) fn record() -> Vec<u8> {
    let items = ["x"; 200].join(", ");
    let document = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: &name \"a\\x20b\", labels: {{? x : *name}}}}\ndata: {{a: [{items}]}}\n"
    );
    let manifest = document.repeat(DOCUMENTS);
    let data = packed("app", "apps", &manifest, &[], Driver::ConfigMap);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"release": data},
        "metadata": {"name": "sh.helm.release.v1.app.v1", "namespace": "apps", "labels": {"owner": "helm"}}});
    Review {
        object,
        ..Review::default()
    }
    .bytes()
}

/// Measures the shortest wait for an answer to the hostile record.
async fn one(table: &mut Table, hostile: &Bytes) -> anyhow::Result<()> {
    let served = Served::start(None)?;
    let client = served.client()?;
    let mut shortest = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        let status = served.post(&client, OTHERS, hostile).await?;
        anyhow::ensure!(status == 200, "the server answered {status}");
        shortest = shortest.min(start.elapsed());
    }
    let title = format!(
        "a stranger's hostile record, {} kB that unfold to {DOCUMENTS} documents: answer over HTTPS",
        hostile.len() / 1000
    );
    table.row(&title, &text(shortest), "", "≤ 100 ms");
    Ok(())
}

/// Measures the memory of connections that hold back the last byte of the longest body. The
/// engine's review must be answered beside them.
async fn held(table: &mut Table, inputs: &Inputs) -> anyhow::Result<()> {
    let served = Served::start(None)?;
    let process = served.process();
    let client = served.client()?;
    let review = Bytes::from(inputs.update.clone());
    served.post(&client, ENGINE, &review).await?;
    let idle = mib(&process, Memory::Now)?;
    forget_peak(&process)?;
    let connector = Arc::new(connector(&served.authority)?);
    let mut connections = JoinSet::new();
    for number in 0..HELD {
        let path = if number % 2 == 0 { ENGINE } else { OTHERS };
        let (connector, port) = (connector.clone(), served.port);
        connections.spawn(async move {
            let stream = connected(&connector, port).await?;
            anyhow::Ok(hold_back(stream, path).await)
        });
    }
    let mut longest = Duration::ZERO;
    let mut open = Vec::new();
    while let Some(connection) = connections.join_next().await {
        open.push(connection??);
        let start = Instant::now();
        let status = served.post(&client, ENGINE, &review).await?;
        anyhow::ensure!(status == 200, "the server answered {status}");
        longest = longest.max(start.elapsed());
    }
    let peak = mib(&process, Memory::Peak)?;
    drop(open);
    sleep(Duration::from_secs(2)).await;
    served.post(&client, ENGINE, &review).await?;
    sleep(Duration::from_secs(1)).await;
    let after = mib(&process, Memory::Now)?;
    let title = format!("{HELD} connections that hold back the last byte of {LONGEST_BODY}");
    table.row(
        &format!("{title}: memory"),
        &format!("{peak:.1} MiB at most, {after:.1} after they closed"),
        &format!("idle: {idle:.1} MiB"),
        "≤ 96 MiB",
    );
    table.row(
        &format!("{title}: longest wait for an answer about the engine"),
        &text(longest),
        "",
        "",
    );
    Ok(())
}

/// Writes all but the last byte of a body, or as much as the server accepts.
async fn hold_back(mut stream: TlsStream<TcpStream>, path: &str) -> TlsStream<TcpStream> {
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {LONGEST_BODY}\r\n\r\n");
    let piece = vec![b' '; 64 << 10];
    let mut left = LONGEST_BODY - 1;
    let mut written = stream.write_all(head.as_bytes()).await;
    while left > 0 && written.is_ok() {
        let length = left.min(piece.len());
        written = stream
            .write_all(piece.get(..length).unwrap_or_default())
            .await;
        left -= length;
    }
    let _ = stream.flush().await;
    stream
}

/// Measures the waits of the engine's reviews beside strangers' records, and without them.
async fn flood(table: &mut Table, inputs: &Inputs, hostile: &Bytes) -> anyhow::Result<()> {
    let served = Arc::new(Served::start(None)?);
    let update = Bytes::from(inputs.update.clone());
    let record = Bytes::from(stored(secret(&inputs.packed)).bytes());
    let calm = [
        waits(&served, &update).await?,
        waits(&served, &record).await?,
    ];
    for (name, flood) in [("hostile", hostile), ("ordinary", &record)] {
        for strangers in FLOODS {
            let flooded = beside(&served, strangers, flood, [&update, &record]).await?;
            let title =
                format!("beside {strangers} strangers' {name} records at once: {ASKED} waits");
            for (index, what) in ["its CRD", "its record"].into_iter().enumerate() {
                let waits = [&flooded, &calm].map(|both| both.get(index).map(Waits::text));
                let [flooded, calm] = waits.map(Option::unwrap_or_default);
                table.row(
                    &format!("the engine's review of {what} {title}"),
                    &flooded,
                    &format!("alone: {calm}"),
                    "median ≤ 50 ms, longest ≤ 1 s",
                );
            }
        }
    }
    Ok(())
}

/// Measures the waits of the engine's reviews while `strangers` clients repeat one review.
async fn beside(
    served: &Arc<Served>,
    strangers: usize,
    flood: &Bytes,
    [update, record]: [&Bytes; 2],
) -> anyhow::Result<[Waits; 2]> {
    let mut asking = JoinSet::new();
    for _ in 0..strangers {
        asking.spawn(ask_for_ever(served.clone(), flood.clone()));
    }
    let flooded = [waits(served, update).await?, waits(served, record).await?];
    asking.shutdown().await;
    Ok(flooded)
}

async fn ask_for_ever(served: Arc<Served>, review: Bytes) -> anyhow::Result<()> {
    let client = served.client()?;
    loop {
        served.post(&client, OTHERS, &review).await?;
    }
}

/// Waits for answers.
pub(crate) struct Waits {
    pub(crate) median: Duration,
    pub(crate) longest: Duration,
}

impl Waits {
    pub(crate) fn text(&self) -> String {
        format!(
            "median {}, longest {}",
            text(self.median),
            text(self.longest)
        )
    }
}

pub(crate) async fn waits(served: &Served, review: &Bytes) -> anyhow::Result<Waits> {
    let client = served.client()?;
    let mut waits = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let start = Instant::now();
        let status = served.post(&client, ENGINE, review).await?;
        anyhow::ensure!(status == 200, "the server answered {status}");
        waits.push(start.elapsed());
    }
    waits.sort();
    let both = waits.get(ASKED / 2).copied().zip(waits.last().copied());
    let (median, longest) = both.context("waits")?;
    Ok(Waits { median, longest })
}
