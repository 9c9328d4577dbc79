//! The plain port for liveness, readiness and metrics.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::routing::get;

use crate::door::{explained, text};
use crate::metrics::{Metrics, OPEN_METRICS, classic};
use crate::readiness::Readiness;
use crate::state::ServerState;

/// The state that the handlers share.
#[derive(Clone)]
pub(crate) struct Observe {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: Arc<ServerState>,
    pub(crate) readiness: Readiness,
}

/// Routes `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(observe: Observe) -> Router {
    let live = || async { text(StatusCode::OK, "ok\n") };
    let router = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    explained(router, "GET /livez, /readyz or /metrics\n").with_state(observe)
}

async fn ready(Shared(observe): Shared<Observe>) -> Response<Body> {
    let (unread, held) = (
        observe.state.source().pending(),
        observe.readiness.pending(),
    );
    let pending: Vec<_> = unread.into_iter().chain(held).collect();
    if pending.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("waiting for: {}\n", pending.join(", ")),
    )
}

/// OpenMetrics for callers that accept it, else the classic text format.
async fn metrics(Shared(observe): Shared<Observe>, headers: HeaderMap) -> Response<Body> {
    let mut accepted = headers.get_all(ACCEPT).iter();
    let is_open = accepted.any(|value| {
        let value = value.to_str().unwrap_or_default();
        value.contains("application/openmetrics-text")
    });
    let text = observe.metrics.text(&observe.state);
    let (kind, text) = if is_open {
        (OPEN_METRICS, text)
    } else {
        (classic::TEXT, classic::of(&text))
    };
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
