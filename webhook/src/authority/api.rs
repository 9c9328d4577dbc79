//! Requests to the apiserver whose answers are never logged, and the apiserver's clock.
//!
//! kube's own calls log answers that they cannot parse, and an answer may be a Secret.

use std::time::SystemTime;

use fluxkeep_cluster::reason;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::fmt::rfc2822::DateTimeParser;
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::Failure;

/// A patch that matches list entries by name and takes ownership of the changed fields only.
pub(super) const MERGE: &str = "application/strategic-merge-patch+json";

/// The apiserver's answer.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request. A 404 is an answer to a read; for a write it means that another client was
/// faster.
pub(super) async fn ask(
    client: &Client,
    method: Method,
    path: &str,
    body: Value,
) -> Result<Answer, Failure> {
    let doing = format!("{} {path}", verb(&method));
    let kind = if method == Method::PATCH {
        MERGE
    } else {
        "application/json"
    };
    let sent = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header(CONTENT_TYPE, kind)
        .body(Body::from(sent));
    let answer = match request {
        Ok(request) => exchange(client, request)
            .await
            .map_err(|error| unreached(&doing, &error))?,
        Err(error) => return Err(unreached(&doing, &kube::Error::HttpError(error))),
    };
    match (answer.status, method) {
        (StatusCode::CONFLICT, _) | (StatusCode::NOT_FOUND, Method::PUT | Method::PATCH) => {
            Err(Failure::Overtaken(doing))
        }
        (StatusCode::NOT_FOUND, Method::GET) => Ok(answer),
        (status, _) if status.is_success() => Ok(answer),
        (status, _) => Err(refused(doing, status, &answer.body)),
    }
}

impl Answer {
    /// The object; `None` if it does not exist.
    pub(super) fn object<T: DeserializeOwned>(&self, what: &str) -> Result<Option<T>, Failure> {
        if self.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        // serde's message could quote the object.
        serde_json::from_slice(&self.body)
            .map(Some)
            .map_err(|_| Failure::Refused {
                doing: format!("reading {what}"),
                reason: "the answer is not an object of this kind".to_owned(),
                hint: "",
            })
    }

    /// The apiserver's clock. The apiserver decides whether a certificate is valid, and replicas
    /// agree even if their nodes' clocks are wrong.
    pub(super) fn date(&self) -> SystemTime {
        let date = self.headers.get(DATE).and_then(|date| date.to_str().ok());
        let moment = date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        moment.map_or_else(SystemTime::now, SystemTime::from)
    }
}

async fn exchange(client: &Client, request: Request<Body>) -> kube::Result<Answer> {
    let (head, body) = client.send(request).await?.into_parts();
    let body = body.collect().await?.to_bytes().to_vec();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
    })
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "reading",
        Method::POST => "creating in",
        _ => "writing",
    }
}

fn unreached(doing: &str, error: &kube::Error) -> Failure {
    Failure::Refused {
        doing: doing.to_owned(),
        reason: reason(error),
        hint: "; check that the apiserver is reachable",
    }
}

fn refused(doing: String, status: StatusCode, body: &[u8]) -> Failure {
    let read = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let message = read
        .get("message")
        .and_then(Value::as_str)
        .unwrap_or("the apiserver gave no reason");
    let hint = match status {
        StatusCode::FORBIDDEN => "; grant fluxkeep's ServiceAccount this right",
        StatusCode::UNAUTHORIZED => "; the apiserver rejects fluxkeep's credentials",
        _ => "",
    };
    Failure::Refused {
        doing,
        reason: format!("{message} ({})", status.as_u16()),
        hint,
    }
}
