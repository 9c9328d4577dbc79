//! Measures how long a review waits beside many idle and slow clients. The server closes most of
//! the idle connections before the measurement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use fluxkeep_cli::client::Client;
use fluxkeep_webhook::{Limits, open_files};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::process::{Memory, mib, sockets};
use crate::served::Served;
use crate::table::{Table, text};

const IDLE: usize = 10_000;
const SLOW: usize = 64;
const ASKED: usize = 200;
const IN_TIME: &str = "10 s, the apiserver's default";

/// Waits for an answer, and the server's memory and sockets after them.
struct Waits {
    median: Duration,
    longest: Duration,
    /// The wait for a new connection and the answer to its first review.
    new: Duration,
    memory: f64,
    sockets: usize,
}

/// Fails if this process cannot open so many connections. The server's process has the same limit.
pub(crate) fn is_possible() -> anyhow::Result<()> {
    let needed = (IDLE + SLOW + 200) as u64;
    let limit = open_files::raise().context("raising the limit of open files")?;
    anyhow::ensure!(
        limit.is_none_or(|limit| limit >= needed),
        "{IDLE} connections need {needed} open files and the hard limit is {limit:?}; raise it: ulimit -n {needed}"
    );
    Ok(())
}

pub(crate) fn measure(table: &mut Table, review: &[u8]) -> anyhow::Result<()> {
    let review = Bytes::copy_from_slice(review);
    let [alone, crowded] = Runtime::new()?.block_on(crowd(&review))?;
    let title = format!("with {IDLE} idle connections and {SLOW} slow clients");
    let mut wait = |what: &str, crowded: Duration, alone: Duration| {
        table.row(
            &format!("{title}: {what}"),
            &text(crowded),
            &format!("alone: {}", text(alone)),
            IN_TIME,
        );
    };
    wait("median wait for an answer", crowded.median, alone.median);
    wait(
        &format!("longest of {ASKED} waits"),
        crowded.longest,
        alone.longest,
    );
    wait(
        "a new connection and its first answer",
        crowded.new,
        alone.new,
    );
    let holds = |waits: &Waits| format!("{:.0} MiB, {} sockets", waits.memory, waits.sockets);
    table.row(
        &format!("{title}: memory"),
        &holds(&crowded),
        &format!("alone: {}", holds(&alone)),
        "",
    );
    Ok(())
}

/// Measures the same server first alone, then with the idle and slow clients.
async fn crowd(review: &Bytes) -> anyhow::Result<[Waits; 2]> {
    let served = Served::start(None)?;
    let kept = served.client()?;
    let alone = waits(&served, &kept, review).await?;
    let connector = connector(&served.authority)?;
    let mut idle = Vec::with_capacity(IDLE);
    for index in 0..IDLE {
        idle.push(
            connected(&connector, served.port)
                .await
                .with_context(|| format!("idle connection {index}"))?,
        );
    }
    let mut slow = Vec::with_capacity(SLOW);
    for index in 0..SLOW {
        slow.push(tokio::spawn(drip(
            slow_client(index, &connector, served.port).await?,
        )));
    }
    let crowded = waits(&served, &kept, review).await?;
    let most = Limits::default().connections + SLOW;
    anyhow::ensure!(
        crowded.sockets <= most + alone.sockets,
        "the server held {} sockets, and {most} are enough",
        crowded.sockets
    );
    slow.iter().for_each(tokio::task::JoinHandle::abort);
    Ok([alone, crowded])
}

async fn waits(served: &Served, kept: &Client, review: &Bytes) -> anyhow::Result<Waits> {
    let new = wait(served, &served.client()?, review).await?;
    let mut waits = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        waits.push(wait(served, kept, review).await?);
    }
    waits.sort();
    let (median, longest) = waits
        .get(ASKED / 2)
        .copied()
        .zip(waits.last().copied())
        .context("waits")?;
    let process = served.process();
    Ok(Waits {
        median,
        longest,
        new,
        memory: mib(&process, Memory::Now)?,
        sockets: sockets(&process)?,
    })
}

async fn wait(served: &Served, client: &Client, review: &Bytes) -> anyhow::Result<Duration> {
    let start = Instant::now();
    served.ask(client, review).await?;
    Ok(start.elapsed())
}

pub(crate) fn connector(authority: &str) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

pub(crate) async fn connected(
    connector: &TlsConnector,
    port: u16,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    Ok(connector
        .connect(ServerName::try_from("localhost")?, stream)
        .await?)
}

/// The stream of a slow client, and the bytes that the client sends slowly.
type Slow = (Box<dyn AsyncWrite + Send + Unpin>, &'static [u8]);

/// Returns a client that is slow in its handshake, its headers or its body, depending on `index`.
async fn slow_client(index: usize, connector: &TlsConnector, port: u16) -> anyhow::Result<Slow> {
    const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    const HEADERS: &[u8] =
        b"POST /validate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n";
    if index.is_multiple_of(3) {
        return Ok((
            Box::new(TcpStream::connect(("127.0.0.1", port)).await?),
            HELLO,
        ));
    }
    let mut stream = connected(connector, port).await?;
    if index % 3 == 1 {
        return Ok((Box::new(stream), HEADERS));
    }
    stream.write_all(HEADERS).await?;
    stream.flush().await?;
    Ok((Box::new(stream), b"{\"kind\":\"AdmissionReview\""))
}

/// Sends a byte a second, until all are sent or the server closes the connection.
async fn drip((mut stream, text): Slow) -> std::io::Result<()> {
    for byte in text {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
