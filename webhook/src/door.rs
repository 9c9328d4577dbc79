//! The admission port: HTTP around the core's answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use axum::routing::post;
use fluxkeep::admission::{Answer, LONGEST_BODY};
use http_body_util::BodyExt;
use tokio::sync::watch;

use crate::connections::Phase;
use crate::metrics::{Metrics, log};

/// From a review's bytes to its answer.
pub(crate) type Answering = Arc<dyn Fn(&[u8]) -> Answer + Send + Sync>;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) answering: Answering,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) body_deadline: Duration,
    pub(crate) phase: watch::Receiver<Phase>,
}

/// `POST /validate` and `POST /mutate`: what a review is about decides, not where it is sent.
pub(crate) fn router(door: Door) -> Router {
    Router::new().route("/validate", post(review)).route("/mutate", post(review)).with_state(door)
}

async fn review(Shared(door): Shared<Door>, request: Request<Body>) -> Response<Body> {
    let version = request.version();
    let read = tokio::time::timeout(door.body_deadline, body(request)).await;
    let mut response = match read {
        Ok(Ok(body)) => judged(&door, &body),
        Ok(Err(refused)) => refused.response(),
        Err(_) => Refused::TooSlow.response(),
    };
    // An idle connection that is simply cut fails the apiserver's next review.
    if *door.phase.borrow() != Phase::Serving && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers, counts and logs. A panic costs this one review, not the server.
fn judged(door: &Door, body: &[u8]) -> Response<Body> {
    let start = Instant::now();
    let Ok(answer) = catch_unwind(AssertUnwindSafe(|| (door.answering)(body))) else {
        tracing::error!("judging a review panicked; it was answered with 500");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "fluxkeep failed on this review; see its log\n");
    };
    door.metrics.count(&answer, start.elapsed());
    log(&answer);
    if answer.status == 200 {
        let mut response = Response::new(Body::from(answer.body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return response;
    }
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST);
    text(status, String::from_utf8_lossy(&answer.body).into_owned())
}

/// Why a body is not taken.
enum Refused {
    TooLong,
    TooSlow,
    Broken,
}

impl Refused {
    fn response(&self) -> Response<Body> {
        match self {
            Self::TooLong => text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a review may have {LONGEST_BODY} bytes at most: two objects as large as etcd takes\n"),
            ),
            Self::TooSlow => text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"),
            Self::Broken => text(StatusCode::BAD_REQUEST, "the body broke off\n"),
        }
    }
}

/// The whole body, in one piece, never more than the bound.
async fn body(request: Request<Body>) -> Result<Vec<u8>, Refused> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > LONGEST_BODY) {
        return Err(Refused::TooLong);
    }
    let mut bytes = Vec::with_capacity(length.unwrap_or_default());
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refused::Broken)?.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > LONGEST_BODY {
            return Err(Refused::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// A plain answer for whoever is not the apiserver.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
