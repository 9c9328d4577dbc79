//! The plain port for liveness, readiness and metrics.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::get;

use crate::door::{explained, text};
use crate::metrics::{Metrics, OPEN_METRICS};
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

async fn metrics(Shared(observe): Shared<Observe>) -> Response<Body> {
    let mut response = Response::new(Body::from(observe.metrics.text(&observe.state)));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    response
}
