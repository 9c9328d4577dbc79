//! Measures HTTPS keep-alive on one core: CPU time per request of the server's thread.

use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::post;
use bytes::Bytes;
use fluxkeep::admission::LONGEST_BODY;
use fluxkeep_certs::{Authority, Current, Terms, server_config};
use fluxkeep_cli::client::{Client, Http};
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::{Bound, Settings};
use http::header::CONTENT_TYPE;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio_rustls::TlsAcceptor;

use crate::parsing::Review;
use crate::process::{cpu, thread};
use crate::table::Table;

/// Length of a review's beginning in which the apiserver writes the uid.
const HEAD: usize = 256;
const REQUESTS: u32 = 200;
const ROUNDS: usize = 20;
/// Longest body that the server judges on the thread that read it. The time of other threads is not
/// counted.
const AT_ONCE: usize = 256 << 10;

/// A server's treatment of a body.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Fluxkeep,
    /// Reads the body and allows without parsing.
    Floor,
    Value,
    Typed,
}

/// A server on a thread of its own.
pub(crate) struct Server {
    thread: String,
    /// `https://localhost:PORT`
    pub(crate) url: String,
    /// The certificate of the server's authority, as PEM.
    pub(crate) authority: String,
    client: Client,
    fastest: Duration,
}

pub(crate) fn measure(table: &mut Table, review: &[u8]) -> anyhow::Result<()> {
    anyhow::ensure!(
        review.len() <= AT_ONCE,
        "the review has {} bytes; the most is {AT_ONCE}",
        review.len()
    );
    let body = Bytes::copy_from_slice(review);
    let kinds = [Kind::Fluxkeep, Kind::Floor, Kind::Value, Kind::Typed];
    let mut servers = kinds
        .into_iter()
        .map(start)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for _ in 0..ROUNDS {
        for server in &mut servers {
            let took = runtime.block_on(round(server, &body))?;
            server.fastest = server.fastest.min(took);
        }
    }
    let [ours, floor, value, typed] = servers.as_slice() else {
        anyhow::bail!("four servers")
    };
    let title = format!(
        "the same over HTTPS, kept connection, {} kB: CPU per request",
        body.len() / 1000
    );
    table.time(
        &title,
        ours.fastest,
        "axum, body unread (the floor)",
        floor.fastest,
        "≤ 1.54 × (0.65 of its rate)",
    );
    table.time(
        &title,
        ours.fastest,
        "axum, serde_json::Value",
        value.fastest,
        "≤ 0.28 × (3.5 times its rate)",
    );
    table.time(&title, ours.fastest, "axum, typed CRDs", typed.fastest, "");
    Ok(())
}

/// Returns the CPU time of the server's thread per request.
async fn round(server: &Server, body: &Bytes) -> anyhow::Result<Duration> {
    let url = format!("{}/validate", server.url);
    let first = server.client.post(&url, body.clone()).await?;
    let said = String::from_utf8_lossy(first.body());
    anyhow::ensure!(
        said.contains(r#""allowed":true"#),
        "a server answered {said}"
    );
    let before = cpu(&server.thread)?;
    for _ in 0..REQUESTS {
        let answer = server.client.post(&url, body.clone()).await?;
        anyhow::ensure!(
            answer.status() == 200,
            "a server answered {}",
            answer.status()
        );
    }
    Ok(cpu(&server.thread)?.saturating_sub(before) / REQUESTS)
}

/// Starts a server that runs until this program ends.
pub(crate) fn start(kind: Kind) -> anyhow::Result<Server> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let serve = async {
            match kind {
                Kind::Fluxkeep => fluxkeep(&tell).await,
                other => baseline(other, &tell).await,
            }
        };
        runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(serve)
    });
    told.recv().context("a server that starts")
}

async fn fluxkeep(tell: &mpsc::Sender<Server>) -> anyhow::Result<()> {
    let bound = Bound::bind(Settings::loopback(), Arc::new(Snapshot::built_in()?)).await?;
    let authority = bound.authority_pem().context("an authority")?;
    tell.send(server(bound.admission_address()?.port(), authority)?)?;
    Ok(bound.serve(std::future::pending()).await?)
}

async fn baseline(kind: Kind, tell: &mpsc::Sender<Server>) -> anyhow::Result<()> {
    let (now, terms) = (SystemTime::now(), Terms::default());
    let authority = Authority::new(now, &terms)?;
    let current = Current::new(authority.leaf(&["localhost".to_owned()], now, &terms)?);
    let tls = TlsAcceptor::from(Arc::new(server_config(current, None)?));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tell.send(server(
        listener.local_addr()?.port(),
        &authority.certificate().pem(),
    )?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (tls, service) = (tls.clone(), TowerToHyperService::new(router(kind)));
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        });
    }
}

fn router(kind: Kind) -> Router {
    let answer = move |body: Body| async move {
        let body = to_bytes(body, LONGEST_BODY).await.unwrap_or_default();
        match kind {
            Kind::Value => parsed::<Value>(&body),
            Kind::Typed => parsed::<Review<CustomResourceDefinition>>(&body),
            Kind::Fluxkeep | Kind::Floor => {}
        }
        ([(CONTENT_TYPE, "application/json")], allowed(&body))
    };
    Router::new()
        .route("/validate", post(answer))
        .route("/mutate", post(answer))
}

/// Returns the response that allows a review.
fn allowed(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(body.get(..HEAD).unwrap_or(body));
    let uid = head
        .split_once(r#""uid":""#)
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(uid, _)| uid);
    let response = format!(r#"{{"uid":"{uid}","allowed":true}}"#);
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{response}}}"#
    )
}

fn parsed<T: serde::de::DeserializeOwned>(body: &[u8]) {
    std::hint::black_box(serde_json::from_slice::<T>(body).is_ok());
}

fn server(port: u16, authority: &str) -> anyhow::Result<Server> {
    let (url, authority) = (format!("https://localhost:{port}"), authority.to_owned());
    let client = Client::trusting(&authority, Http::One)?;
    Ok(Server {
        thread: thread()?,
        url,
        authority,
        client,
        fastest: Duration::MAX,
    })
}
