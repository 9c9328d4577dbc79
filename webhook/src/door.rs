//! The admission port: HTTP around the core's answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use axum::routing::post;
use fluxkeep::admission::{Answer, Envelope, EnvelopeOnly, RETRY_AFTER_SECONDS, ReviewBudget};
use fluxkeep::case::request::{Door, Operation};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::body::{self, Received, TurnedAway};
use crate::connections::{self, Seat};
use crate::lane::Lanes;
use crate::large_reviews::Undone;
use crate::log;
use crate::metrics::Metrics;
use crate::registration::{Phase, Scope};

/// The longest body that is judged on the thread that read it. Longer bodies go to another thread,
/// so that health checks do not wait. Reviews of Flux's own CRDs are shorter and take a tenth of a
/// millisecond.
const AT_ONCE: usize = 256 << 10;

/// True if a review is long or creates a Helm release record. A record unpacks to ten times its
/// length or more.
fn is_large(body: &[u8]) -> bool {
    if body.len() > AT_ONCE {
        return true;
    }
    let Ok(envelope) = Envelope::read(body) else {
        return false;
    };
    envelope.operation() == Some(Operation::Create) && envelope.door() == Door::ReleaseRecord
}

/// Answers a review's bytes, for a phase and within a budget.
pub(crate) type Answering = Arc<dyn Fn(Phase, ReviewBudget, &[u8]) -> Answer + Send + Sync>;

/// Answers a review of which only the envelope is read, for the given reason.
pub(crate) type AnsweringByEnvelope = Arc<dyn Fn(EnvelopeOnly, &[u8]) -> Answer + Send + Sync>;

/// Receives each answer, to write Events from it.
pub(crate) type Telling = Arc<dyn Fn(&Answer) + Send + Sync>;

/// The state that the handlers share.
#[derive(Clone)]
pub(crate) struct ReviewService {
    pub(crate) answering: Answering,
    pub(crate) answering_by_envelope: AnsweringByEnvelope,
    pub(crate) telling: Telling,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) body_deadline: Duration,
    pub(crate) server_phase: watch::Receiver<connections::ServerPhase>,
    pub(crate) lanes: Lanes,
}

/// Routes `POST /validate` and `POST /mutate`, and below each a path per scope. The review's
/// content decides its door. The path decides whether the answer may change the object, and which
/// lane it takes. Without a scope, that is the engine's lane.
pub(crate) fn router(service: ReviewService) -> Router {
    let taken = |phase, scope| post(move |state, request| review(phase, scope, state, request));
    let mut router = Router::new();
    for phase in [Phase::Validating, Phase::Mutating] {
        router = router.route(phase.path(), taken(phase, Scope::Engine));
        for scope in Scope::ALL {
            router = router.route(scope.path(phase), taken(phase, scope));
        }
    }
    explained(router, "POST an AdmissionReview to /validate or /mutate\n").with_state(service)
}

async fn review(
    phase: Phase,
    scope: Scope,
    Shared(service): Shared<ReviewService>,
    request: Request<Body>,
) -> Response<Body> {
    let version = request.version();
    let seat = request.extensions().get::<Seat>().cloned();
    let sum = &service.lanes.of(scope).bodies;
    let read = body::read(request, sum, service.body_deadline).await;
    let is_body_incomplete = read.is_err();
    let answered = match read {
        Ok(body) => {
            // A connection is never cancelled while its review is judged.
            let _busy = seat.as_ref().and_then(Seat::hold);
            service.dispatch(phase, scope, body).await
        }
        Err(why) => Err(why),
    };
    let mut response = answered.unwrap_or_else(|why| service.turned_away(scope, why));
    let is_stopping = *service.server_phase.borrow() != connections::ServerPhase::Serving;
    // The apiserver's next review would fail on an idle connection that is cut.
    if (is_body_incomplete || is_stopping) && version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl ReviewService {
    /// Answers a review on this thread or, if it is large, on its lane's thread.
    async fn dispatch(
        &self,
        phase: Phase,
        scope: Scope,
        body: Received,
    ) -> Result<Response<Body>, TurnedAway> {
        let since = Instant::now();
        if body.is_cut {
            return self.answer_cut(scope, &body.bytes, since);
        }
        let lane = self.lanes.of(scope);
        let budget = lane.budget;
        if !is_large(&body.bytes) {
            let answer = self.answer(phase, budget, &body.bytes);
            return Ok(self.answered(scope, answer, since));
        }
        let body = Arc::new(body);
        let (service, read) = (self.clone(), body.clone());
        let work = move || (service.answering)(phase, budget, &read.bytes);
        let length = body.bytes.len();
        let judged = lane.large.run(length, lane.deadline(since), work).await;
        let answer = match (judged, scope) {
            (Ok(answer), _) => Some(answer),
            (Err(Undone::Panicked), _) => None,
            (Err(Undone::Full | Undone::TooLate), Scope::Engine) => {
                return Err(TurnedAway::LongQueue);
            }
            (Err(Undone::Full | Undone::TooLate), Scope::Others) => Some((self
                .answering_by_envelope)(
                EnvelopeOnly::Busy,
                &body.bytes,
            )),
        };
        Ok(self.answered(scope, answer, since))
    }

    /// Answers a review that is too long to judge, by its beginning. In the engine's lane it counts
    /// as the engine's: its namespace does not show what it installs.
    fn answer_cut(
        &self,
        scope: Scope,
        beginning: &[u8],
        since: Instant,
    ) -> Result<Response<Body>, TurnedAway> {
        let is_engines = scope == Scope::Engine;
        let answer = (self.answering_by_envelope)(EnvelopeOnly::TooLong { is_engines }, beginning);
        if answer.status != 200 {
            return Err(TurnedAway::TooLong);
        }
        Ok(self.answered(scope, Some(answer), since))
    }

    /// The answer; `None` if judging panicked. A panic costs only this review, not the server.
    fn answer(&self, phase: Phase, budget: ReviewBudget, body: &[u8]) -> Option<Answer> {
        catch_unwind(AssertUnwindSafe(|| (self.answering)(phase, budget, body))).ok()
    }

    /// Counts an answer with the time since its body was read, logs it, and passes it on for Events.
    fn answered(&self, scope: Scope, answer: Option<Answer>, since: Instant) -> Response<Body> {
        let Some(answer) = answer else {
            return self.failed();
        };
        self.metrics.count(&answer, since.elapsed());
        if log::is_notable(&answer) {
            self.logged(scope, |left_out| log::review(&answer, left_out));
        } else {
            log::review(&answer, None);
        }
        (self.telling)(&answer);
        response(answer)
    }

    /// Logs a line unless the lane has logged too many; it is counted then.
    fn logged(&self, scope: Scope, log: impl FnOnce(Option<u64>)) {
        if !self.lanes.of(scope).lines.line(log) {
            self.metrics.unlogged(scope);
        }
    }

    fn failed(&self) -> Response<Body> {
        tracing::error!("judging a review panicked; the answer was HTTP 500");
        self.metrics.failed();
        text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "fluxkeep failed to judge this review; see fluxkeep's log\n",
        )
    }

    fn turned_away(&self, scope: Scope, why: TurnedAway) -> Response<Body> {
        self.metrics.failed();
        self.metrics.turned_away(scope, why);
        let (status, reason) = why.explained();
        let lane = scope.name();
        self.logged(scope, |left_out| {
            tracing::warn!(
                lane,
                reason,
                left_out,
                "answered a request with an error instead of a review"
            );
        });
        let mut response = text(status, format!("{reason}\n"));
        if status == StatusCode::TOO_MANY_REQUESTS {
            response
                .headers_mut()
                .insert(RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        response
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

/// Answers other paths and methods with `usage`.
pub(crate) fn explained<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    usage: &'static str,
) -> Router<S> {
    router
        .fallback(async move || text(StatusCode::NOT_FOUND, usage))
        .method_not_allowed_fallback(async move || text(StatusCode::METHOD_NOT_ALLOWED, usage))
}

/// A plain text answer.
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
    #![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]
    use super::*;
    use crate::settings::Limits;
    use fluxkeep::case::facts::Facts;
    use fluxkeep::case::policy::Policy;
    use fluxkeep::helm::record;
    use http_body_util::BodyExt;
    use std::future::ready;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use tokio::task::{JoinHandle, spawn_blocking};
    use tower::ServiceExt;

    fn service(metrics: &Arc<Metrics>, limits: &Limits, answering: Answering) -> ReviewService {
        let (_tell, server_phase) = watch::channel(connections::ServerPhase::Serving);
        ReviewService {
            answering,
            answering_by_envelope: Arc::new(|why, body| {
                let (facts, policy) = (Facts::default(), Policy::default());
                fluxkeep::admission::answer_by_envelope(
                    why,
                    body,
                    &facts,
                    &policy,
                    crate::state::now(),
                )
            }),
            telling: Arc::new(|_| {}),
            metrics: metrics.clone(),
            body_deadline: Duration::from_secs(10),
            server_phase,
            lanes: Lanes::start(limits).unwrap(),
        }
    }

    fn judged(body: &[u8]) -> Answer {
        let now = crate::state::now();
        fluxkeep::admission::answer(body, &Facts::default(), &Policy::default(), now)
    }

    /// A router whose judge panics on every body that contains `panic`.
    fn fragile(metrics: &Arc<Metrics>) -> Router {
        let answering = |_: Phase, _: ReviewBudget, body: &[u8]| {
            assert!(!body.windows(5).any(|word| word == b"panic"), "as asked");
            judged(body)
        };
        router(service(metrics, &Limits::default(), Arc::new(answering)))
    }

    /// A router whose judge reports each body that contains `wait`, and then blocks on the gate.
    /// Each sent word releases one body; dropping the sender releases all.
    fn slow(limits: &Limits) -> (Router, Receiver<String>, Sender<()>) {
        let (tell, begun) = channel();
        let (open, gate) = channel();
        let gate = Mutex::new(gate);
        let answering = move |_: Phase, _: ReviewBudget, body: &[u8]| {
            let text = String::from_utf8_lossy(body);
            if text.contains("wait") {
                tell.send(text.into_owned()).unwrap();
                let _ = gate.lock().unwrap().recv();
            }
            judged(body)
        };
        let service = service(&Arc::default(), limits, Arc::new(answering));
        (router(service), begun, open)
    }

    /// A review of a ConfigMap's creation.
    fn review(name: &str) -> String {
        let kind = r#"{"group":"","version":"v1","kind":"ConfigMap"}"#;
        let request = format!(
            r#"{{"uid":"1","kind":{kind},"resource":{{"resource":"configmaps"}},"name":"{name}","operation":"CREATE","userInfo":{{"username":"jane"}},"object":{{}}}}"#
        );
        format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{request}}}"#
        )
    }

    fn large(name: &str) -> String {
        review(&format!("{}{name}", record::NAME))
    }

    async fn asked(router: Router, path: &str, body: impl Into<Body>) -> Response<Body> {
        let request = Request::post(path).body(body.into()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    async fn status(router: &Router, body: impl Into<Body>) -> StatusCode {
        asked(router.clone(), "/validate", body).await.status()
    }

    fn sent(router: &Router, path: &'static str, body: String) -> JoinHandle<Response<Body>> {
        tokio::spawn(asked(router.clone(), path, body))
    }

    /// The next body that the judge blocks on.
    async fn next(begun: Receiver<String>) -> (String, Receiver<String>) {
        spawn_blocking(move || (begun.recv().unwrap(), begun))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_panic_costs_one_review_wherever_it_is_judged() {
        let metrics = Arc::new(Metrics::default());
        let router = fragile(&metrics);
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

    /// A tenant can send refused writes, and any pod unreadable bodies, as fast as the server answers.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_reviews_is_a_bounded_number_of_log_lines_and_each_lane_has_its_own() {
        let lines = log::Lines::default();
        let _logging = tracing::subscriber::set_default(lines.subscriber());
        let metrics = Arc::new(Metrics::default());
        let answering = |_: Phase, _: ReviewBudget, body: &[u8]| judged(body);
        let router = router(service(&metrics, &Limits::default(), Arc::new(answering)));
        let unreadable = review("a").replace(r#""object":{}"#, r#""object":{"metadata":5}"#);
        let sent = async |path, body: &str, times: usize| {
            let before = lines
                .text()
                .lines()
                .filter(|line| !line.contains("DEBUG"))
                .count();
            for _ in 0..times {
                let answer = asked(router.clone(), path, body.to_owned()).await;
                assert!(
                    answer.status() == 200 || answer.status() == 400,
                    "{answer:?}"
                );
            }
            lines
                .text()
                .lines()
                .filter(|line| !line.contains("DEBUG"))
                .count()
                - before
        };
        assert_eq!(sent("/validate/others", &unreadable, 500).await, 100);
        assert_eq!(sent("/validate/others", "{", 500).await, 0);
        assert_eq!(sent("/validate/engine", &unreadable, 1).await, 1);
        let text = metrics.encoded();
        assert!(
            text.contains(r#"log_lines_left_out_total{lane="others"} 900"#),
            "{text}"
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sent("/validate/others", &unreadable, 500).await, 5);
        assert!(lines.text().contains("left_out=900"));
        assert_eq!(
            sent("/validate/engine", &review("a"), 500).await,
            0,
            "at debug only"
        );
        assert_eq!(sent("/validate/engine", &unreadable, 500).await, 100);
    }

    #[tokio::test]
    async fn a_large_review_of_others_never_delays_one_of_the_engine() {
        let (router, begun, open) = slow(&patient());
        let held = sent(&router, "/validate/others", large("wait"));
        let (_, begun) = next(begun).await;
        let behind = sent(&router, "/mutate/others", large("wait too"));
        for path in ["/validate/engine", "/mutate/engine", "/validate", "/mutate"] {
            for body in [large("record"), review(&" ".repeat(AT_ONCE)), review("a")] {
                assert_eq!(
                    asked(router.clone(), path, body).await.status(),
                    200,
                    "{path}"
                );
            }
        }
        assert_eq!(
            asked(router.clone(), "/validate/others", review("a"))
                .await
                .status(),
            200,
            "what is short waits for nothing"
        );
        assert!(
            begun.try_recv().is_err(),
            "large reviews of a lane wait for each other"
        );
        open.send(()).unwrap();
        assert_eq!(held.await.unwrap().status(), 200);
        let (second, _begun) = next(begun).await;
        assert!(second.contains("wait too"));
        open.send(()).unwrap();
        assert_eq!(behind.await.unwrap().status(), 200);
    }

    /// Limits that no test exceeds.
    fn patient() -> Limits {
        Limits {
            others: Duration::from_hours(1),
            ..Limits::default()
        }
    }

    /// True if a review passed unread with a warning.
    async fn is_by_envelope(answer: Response<Body>) -> bool {
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let review: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let warning = &review["response"]["warnings"][0];
        review["response"]["allowed"] == true
            && warning
                .as_str()
                .is_some_and(|text| text.contains(EnvelopeOnly::Busy.clause()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_review_of_others_that_is_not_judged_in_time_passes_with_a_warning() {
        let (router, begun, _open) = slow(&Limits::default());
        let start = Instant::now();
        let judged = sent(&router, "/validate/others", large("wait"));
        let (_, _begun) = next(begun).await;
        let waiting = asked(router, "/mutate/others", large("wait too")).await;
        assert!(is_by_envelope(judged.await.unwrap()).await && is_by_envelope(waiting).await);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    /// A large review in the engine's namespace.
    fn of_engine(name: &str) -> String {
        large(name).replace(
            r#""name":"sh.helm"#,
            r#""namespace":"flux-system","name":"sh.helm"#,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_engines_review_among_the_others_does_not_pass_unjudged_but_is_asked_to_come_again()
    {
        let (router, begun, _open) = slow(&Limits::default());
        let judged = sent(&router, "/validate/others", large("wait"));
        let (_, _begun) = next(begun).await;
        for path in ["/validate/others", "/mutate/others"] {
            let engines = asked(router.clone(), path, of_engine("wait")).await;
            assert_eq!(engines.status(), 200);
            let body = engines.into_body().collect().await.unwrap().to_bytes();
            let review: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let response = &review["response"];
            assert_eq!(response["allowed"], false, "{response}");
            assert_eq!(response["status"]["code"], 429, "{response}");
            assert_eq!(response["status"]["details"]["retryAfterSeconds"], 1);
        }
        assert!(is_by_envelope(judged.await.unwrap()).await, "a stranger");
    }

    #[tokio::test]
    async fn where_no_more_large_reviews_of_others_may_wait_the_next_passes_with_a_warning() {
        let limits = Limits {
            large: 1,
            ..patient()
        };
        let (router, begun, open) = slow(&limits);
        let held = sent(&router, "/validate/others", large("wait"));
        let (_, _begun) = next(begun).await;
        let mut waiting = pin!(asked(router.clone(), "/validate/others", large("a")));
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("{answer:?}"),
            () = ready(()) => {}
        }
        let third = asked(router.clone(), "/validate/others", large("a")).await;
        assert!(is_by_envelope(third).await);
        let engines = asked(router.clone(), "/validate/others", of_engine("a")).await;
        assert!(!is_by_envelope(engines).await);
        open.send(()).unwrap();
        assert_eq!(held.await.unwrap().status(), 200);
        assert!(!is_by_envelope(waiting.await).await);
    }

    #[tokio::test]
    async fn where_no_more_large_reviews_may_wait_the_next_is_told_to_come_again() {
        let limits = Limits {
            large: 1,
            ..Limits::default()
        };
        let (router, begun, open) = slow(&limits);
        let held = sent(&router, "/validate/engine", large("wait"));
        let (_, begun) = next(begun).await;
        let mut waiting = pin!(asked(router.clone(), "/validate/engine", large("wait too")));
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("{answer:?}"),
            () = ready(()) => {}
        }
        let turned_away = asked(router.clone(), "/validate/engine", large("a")).await;
        assert_eq!(turned_away.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(turned_away.headers()[RETRY_AFTER], "1");
        assert_eq!(
            status(&router, review("a")).await,
            200,
            "what is short still is judged"
        );
        open.send(()).unwrap();
        assert_eq!(held.await.unwrap().status(), 200);
        let (_, _begun) = next(begun).await;
        open.send(()).unwrap();
        assert_eq!(waiting.await.status(), 200);
    }

    #[tokio::test]
    async fn a_record_is_large_wherever_its_name_stands() {
        let last = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":{},
            "uid":"1","userInfo":{"username":"jane"},"operation":"CREATE","resource":{"resource":"secrets"},
            "kind":{"group":"","version":"v1","kind":"Secret"},"name":"sh.helm.release.v1.a.v1"}}"#;
        assert!(is_large(last.as_bytes()) && is_large(large("a").as_bytes()));
        let update = large("a").replace("CREATE", "UPDATE");
        assert!(!is_large(update.as_bytes()), "it is never judged");
        assert!(!is_large(review("a").as_bytes()) && !is_large(b"{"));
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

    /// A body that never arrives.
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
