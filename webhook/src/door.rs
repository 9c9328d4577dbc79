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
use fluxkeep::helm::record;
use http_body_util::BodyExt;
use memchr::memmem;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::connections;
use crate::log;
use crate::metrics::Metrics;
use crate::registration::Phase;
use crate::unfolding::Unfolding;

/// The longest body that is judged where it was read; longer ones go to another thread, and health checks do
/// not wait for them. The reviews of Flux's own CRDs stay below, and are through in a tenth of a
/// millisecond.
const AT_ONCE: usize = 256 << 10;

/// What names the object stands within this many bytes of a review's beginning.
const HEAD: usize = 1 << 10;

/// Whether a review is long, or becomes so: a Helm release record unfolds to ten times its length and more.
fn unfolds(body: &[u8]) -> bool {
    let head = body.get(..HEAD).unwrap_or(body);
    body.len() > AT_ONCE || memmem::find(head, record::NAME.as_bytes()).is_some()
}

/// From a review's bytes to its answer, in the phase that asks.
pub(crate) type Answering = Arc<dyn Fn(Phase, &[u8]) -> Answer + Send + Sync>;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) answering: Answering,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) body_deadline: Duration,
    pub(crate) life: watch::Receiver<connections::Phase>,
    /// Where reviews are judged that become long.
    pub(crate) unfolding: Unfolding,
}

/// `POST /validate` and `POST /mutate`: what a review is about decides who judges it, and where it is sent
/// whether the answer may change the object.
pub(crate) fn router(door: Door) -> Router {
    let in_phase = |phase| post(move |state, request| review(phase, state, request));
    let paths = [Phase::Validating, Phase::Mutating];
    let router = paths.into_iter().fold(Router::new(), |router, phase| {
        router.route(phase.path(), in_phase(phase))
    });
    explained(router, "POST an AdmissionReview to /validate or /mutate\n").with_state(door)
}

async fn review(
    phase: Phase,
    Shared(door): Shared<Door>,
    request: Request<Body>,
) -> Response<Body> {
    let version = request.version();
    let read = timeout(door.body_deadline, body(request))
        .await
        .unwrap_or(Err(Refused::TooSlow));
    let is_unread = read.is_err();
    let mut response = match read {
        Ok(body) => door.judged(phase, body).await,
        Err(refused) => door.refused(&refused),
    };
    let is_stopping = *door.life.borrow() != connections::Phase::Serving;
    // An idle connection that is simply cut fails the apiserver's next review.
    if (is_unread || is_stopping) && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl Door {
    async fn judged(&self, phase: Phase, body: Vec<u8>) -> Response<Body> {
        let since = Instant::now();
        if !unfolds(&body) {
            return self.answer(phase, &body, since);
        }
        let door = self.clone();
        self.unfolding
            .run(move || door.answer(phase, &body, since))
            .await
            .unwrap_or_else(failed)
    }

    /// Answers, counts with the time since it was there, and logs. A panic costs this one review, not the
    /// server.
    fn answer(&self, phase: Phase, body: &[u8], since: Instant) -> Response<Body> {
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| (self.answering)(phase, body))) else {
            tracing::error!("judging a review panicked; it was answered with 500");
            self.metrics.failed();
            return failed();
        };
        self.metrics.count(&answer, since.elapsed());
        log::review(body, &answer);
        response(answer)
    }

    fn refused(&self, refused: &Refused) -> Response<Body> {
        self.metrics.failed();
        let (status, reason) = refused.explained();
        tracing::warn!(reason, "a request got no review in return");
        text(status, format!("{reason}\n"))
    }
}

fn response(answer: Answer) -> Response<Body> {
    if answer.status != 200 {
        return text(
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_REQUEST),
            answer.body,
        );
    }
    let mut response = Response::new(Body::from(answer.body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn failed() -> Response<Body> {
    text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "fluxkeep failed on this review; see its log\n",
    )
}

/// Why a body is not taken.
#[derive(Debug)]
enum Refused {
    TooLong,
    TooSlow,
    Broken,
}

impl Refused {
    fn explained(&self) -> (StatusCode, String) {
        match self {
            Self::TooLong => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "a review may have {LONGEST_BODY} bytes at most: two objects as large as etcd takes"
                ),
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time".to_owned(),
            ),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
        }
    }
}

/// The whole body, in one piece, never more than the bound.
async fn body(request: Request<Body>) -> Result<Vec<u8>, Refused> {
    let length = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
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

/// Tells whoever asks for something else what there is.
pub(crate) fn explained<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    usage: &'static str,
) -> Router<S> {
    router
        .fallback(async move || text(StatusCode::NOT_FOUND, usage))
        .method_not_allowed_fallback(async move || text(StatusCode::METHOD_NOT_ALLOWED, usage))
}

/// A plain answer for whoever is not the apiserver.
pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use fluxkeep::facts::Facts;
    use fluxkeep::policy::Policy;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::task::spawn_blocking;
    use tower::ServiceExt;

    /// A router whose judge panics on every body that holds `panic`.
    fn fragile(metrics: &Arc<Metrics>) -> Router {
        let answering = |_: Phase, body: &[u8]| {
            assert!(!body.windows(5).any(|word| word == b"panic"), "as asked");
            fluxkeep::admission::answer(
                body,
                &Facts::default(),
                &Policy::default(),
                crate::state::now(),
            )
        };
        router(door(metrics, Arc::new(answering)))
    }

    /// A door at which one longer review is judged at once.
    fn door(metrics: &Arc<Metrics>, answering: Answering) -> Door {
        let (_tell, life) = watch::channel(connections::Phase::Serving);
        let (metrics, unfolding) = (metrics.clone(), Unfolding::start().unwrap());
        Door {
            answering,
            metrics,
            body_deadline: Duration::from_secs(10),
            life,
            unfolding,
        }
    }

    async fn status(router: &Router, body: impl Into<Body>) -> StatusCode {
        let request = Request::post("/validate").body(body.into()).unwrap();
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_panic_costs_one_review_wherever_it_is_judged() {
        let metrics = Arc::new(Metrics::default());
        let router = fragile(&metrics);
        let review = |name: &str| {
            let request = format!(r#"{{"uid":"1","name":"{name}"}}"#);
            format!(
                r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{request}}}"#
            )
        };
        for name in ["", &" ".repeat(AT_ONCE), record::NAME] {
            assert_eq!(
                status(&router, review(&format!("{name}panic"))).await,
                StatusCode::INTERNAL_SERVER_ERROR
            );
            assert_eq!(status(&router, review(name)).await, StatusCode::OK);
        }
        let text = metrics.encoded();
        assert!(
            text.contains(r#"reviews_total{door="none",decision="error"} 3"#),
            "{text}"
        );
    }

    #[tokio::test]
    async fn long_reviews_and_records_wait_for_each_other_and_short_ones_for_none() {
        let (started, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
        let (begun, gate) = (started.clone(), open.clone());
        let answering = move |_: Phase, body: &[u8]| {
            if !body.is_empty() {
                begun.fetch_add(1, Ordering::SeqCst);
                gate.wait();
            }
            fluxkeep::admission::answer(
                b"",
                &Facts::default(),
                &Policy::default(),
                crate::state::now(),
            )
        };
        let router = router(door(&Arc::default(), Arc::new(answering)));
        let sent = |body: String| {
            let router = router.clone();
            tokio::spawn(async move { status(&router, body).await })
        };
        let (one, other) = (sent(" ".repeat(AT_ONCE + 1)), sent(record::NAME.to_owned()));
        while started.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(status(&router, "").await, StatusCode::BAD_REQUEST);
        assert_eq!(started.load(Ordering::SeqCst), 1);
        for _ in [&one, &other] {
            let open = open.clone();
            spawn_blocking(move || open.wait()).await.unwrap();
        }
        assert_eq!(
            [one.await.unwrap(), other.await.unwrap()],
            [StatusCode::BAD_REQUEST; 2]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_in_time_is_answered_with_408() {
        let router = fragile(&Arc::default());
        let start = tokio::time::Instant::now();
        assert_eq!(
            status(&router, Body::new(Never)).await,
            StatusCode::REQUEST_TIMEOUT
        );
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    /// A body that never comes.
    struct Never;

    impl http_body::Body for Never {
        type Data = axum::body::Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
}
