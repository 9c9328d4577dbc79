//! A stand-in for an apiserver with more CRDs than a machine can hold. The stand-in generates each
//! page on request, and its watches never send an event.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::net::TcpListener;

use crate::program::Program;
use crate::{crd, schema};

/// A number of CRDs that differ only in their own numbers.
struct Cluster {
    crds: usize,
    text: String,
}

/// Placeholder for a CRD's number. All numbers have seven digits, so all CRDs have the same length.
const NUMBER: usize = 9_999_999;

/// Measures the server over a stand-in with `crds` CRDs.
pub(crate) async fn measure(crds: usize) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let cluster = Arc::new(Cluster {
        crds,
        text: crd(NUMBER, &schema()).to_string(),
    });
    let size = cluster.text.len() / 1000;
    tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(answer).with_state(cluster)).await
    });
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
    std::fs::write(&kubeconfig, config.to_string())?;
    Program::start(&kubeconfig)?
        .row(&format!("stand-in, {crds} CRDs of {size} kB"))
        .await
}

async fn answer(State(cluster): State<Arc<Cluster>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let asked = |key: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    };
    if asked("watch").is_some() {
        return Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>())
            .into_response();
    }
    let is_crds = request.uri().path().ends_with("/customresourcedefinitions");
    let end = if is_crds { cluster.crds } else { 0 };
    let number = |key: &str| asked(key).and_then(|text| text.parse::<usize>().ok());
    let start = number("continue").unwrap_or(0);
    let next = (start + number("limit").unwrap_or(end)).min(end);
    let item = |number: usize| {
        cluster
            .text
            .replace(&NUMBER.to_string(), &format!("{number:07}"))
    };
    let items: Vec<String> = (start..next).map(item).collect();
    let token = if next < end {
        next.to_string()
    } else {
        String::new()
    };
    let metadata = json!({"resourceVersion": "1", "continue": token});
    format!(
        r#"{{"kind":"List","apiVersion":"v1","metadata":{metadata},"items":[{}]}}"#,
        items.join(",")
    )
    .into_response()
}
