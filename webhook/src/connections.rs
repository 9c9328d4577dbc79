//! Connections: accepting, serving within deadlines, orderly closing.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::limit::{Handle, Hold, Limit, Permit};
use crate::metrics::Metrics;
use crate::settings::Limits;
use crate::tls::{Tls, Unknown};

/// Cap on the head of an HTTP/1.1 request, and on bytes read ahead of its body. The apiserver's
/// heads have a few hundred bytes.
const HEAD: usize = 16 << 10;

/// Caps on bytes read ahead over HTTP/2: for all bodies of a connection, and for each body.
const AHEAD: [u32; 2] = [512 << 10, 256 << 10];

/// Pause after a failed accept: an immediate retry after "too many open files" would only spin.
const BACK_OFF: Duration = Duration::from_millis(100);

/// The phases of the server's life, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerPhase {
    /// The server works normally.
    Serving,
    /// The server still serves, and asks clients to leave by `Connection: close` or GOAWAY.
    Lingering,
    /// The server accepts nothing new and finishes running requests.
    Draining,
}

/// The protocol of a connection. It is known before the first byte, so a deadline applies from the
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// A port's service, limits and shared state.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    /// Caps open connections, counted after their handshake.
    pub(crate) open: Limit,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) phase: watch::Receiver<ServerPhase>,
    /// Closed when the last connection ends.
    pub(crate) alive: mpsc::Sender<()>,
}

/// A connection's handle on its permit, passed to its requests.
#[derive(Debug, Clone)]
pub(crate) struct Seat(Handle);

impl Seat {
    /// Protects the connection from being closed in favour of a newer one.
    pub(crate) fn hold(&self) -> Option<Hold> {
        self.0.hold()
    }
}

impl Port {
    /// Accepts connections until the server drains.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut phase = self.phase.clone();
        let handshakes = Limit::new(self.limits.handshakes);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        // A permit is always available, because no handshake is held.
                        if let Some(permit) = handshakes.enter(1) {
                            tokio::spawn(self.clone().connection(stream, permit));
                        }
                    }
                    Err(error) => back_off(&error).await,
                },
                () = reached(&mut phase, ServerPhase::Draining) => return handshakes.clear(),
            }
        }
    }

    /// Serves a connection from its handshake to its end.
    async fn connection(self, stream: TcpStream, permit: Permit) {
        // Sends at once: a review is one request and one answer, so batching gains nothing.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            drop(permit);
            return self.seated(stream, Protocol::Http1).await;
        };
        if let Some(stream) = self.handshake(&tls, stream, permit).await {
            let agreed = stream.get_ref().1.alpn_protocol();
            let protocol = if agreed == Some(b"h2".as_slice()) {
                Protocol::Http2
            } else {
                Protocol::Http1
            };
            self.seated(stream, protocol).await;
        }
    }

    /// Serves a connection until it ends or is cancelled. At the cap, the connection whose last
    /// request is oldest is cancelled.
    async fn seated(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        protocol: Protocol,
    ) {
        let metrics = self.metrics.clone();
        let Some(mut permit) = self.open.enter(1) else {
            tracing::debug!("closed a new connection: too many are busy");
            return metrics.gave_way("open");
        };
        let seat = Seat(permit.handle());
        tokio::select! {
            () = self.requests(stream, protocol, seat) => {}
            () = permit.over() => {
                tracing::debug!("closed a connection in favour of a newer one");
                metrics.gave_way("open");
            }
        }
    }

    /// `None` if the handshake fails, times out, or is cancelled by newer ones or by draining.
    async fn handshake(
        &self,
        tls: &Tls,
        stream: TcpStream,
        mut permit: Permit,
    ) -> Option<TlsStream<TcpStream>> {
        let peer = stream.peer_addr().ok();
        let accepted = tls.acceptor().accept(stream);
        tokio::select! {
            done = timeout(self.limits.handshake, accepted) => match done {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(error)) => self.handshake_failed(tls, peer, &error),
                Err(_) => tracing::debug!("TLS handshake timed out"),
            },
            () = permit.over() => {
                tracing::debug!("cancelled a TLS handshake in favour of a newer one");
                self.metrics.gave_way("handshake");
            }
        }
        None
    }

    fn handshake_failed(&self, tls: &Tls, peer: Option<SocketAddr>, error: &Error) {
        tracing::debug!(%error, "TLS handshake failed");
        let Some(why) = Unknown::of(error) else {
            return;
        };
        self.metrics.not_known(why);
        if tls.is_to_be_logged() {
            let (peer, why) = (peer.map(|peer| peer.to_string()), why.explained());
            tracing::warn!(peer, why, "refused a caller in the TLS handshake");
        }
    }

    async fn requests(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        protocol: Protocol,
        seat: Seat,
    ) {
        let Self {
            router,
            limits,
            mut phase,
            alive,
            ..
        } = self;
        let builder = builder(&limits, protocol);
        let router = router.map_request(move |mut request: Request<Incoming>| {
            seat.0.renew();
            request.extensions_mut().insert(seat.clone());
            request
        });
        let connection =
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
        tokio::pin!(connection);
        let last = last_phase(protocol, *phase.borrow());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = reached(&mut phase, last) => {
                connection.as_mut().graceful_shutdown();
                timeout(limits.drain, connection).await.unwrap_or_else(|late| Err(late.into()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
        drop(alive);
    }
}

fn builder(limits: &Limits, protocol: Protocol) -> Builder<TokioExecutor> {
    let [connection, stream] = AHEAD;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD)
        .header_read_timeout(limits.headers);
    // The ping finds clients that vanished silently.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .initial_connection_window_size(connection)
        .initial_stream_window_size(stream)
        .keep_alive_interval(limits.headers);
    match protocol {
        Protocol::Http1 => builder.http1_only(),
        Protocol::Http2 => builder.http2_only(),
    }
}

/// The phase that closes a connection begun in phase `now`. An HTTP/2 connection closes when
/// lingering begins: GOAWAY loses no request. One that begins while lingering stays until draining, or
/// its client would reconnect in a loop. HTTP/1.1 closes after an answer with `Connection: close`:
/// cutting an idle connection can lose a request.
fn last_phase(protocol: Protocol, now: ServerPhase) -> ServerPhase {
    match (protocol, now) {
        (Protocol::Http2, ServerPhase::Serving) => ServerPhase::Lingering,
        _ => ServerPhase::Draining,
    }
}

/// Waits until the server reaches the phase, or its sender is gone.
async fn reached(phase: &mut watch::Receiver<ServerPhase>, wanted: ServerPhase) {
    let _ = phase.wait_for(|phase| *phase >= wanted).await;
}

/// Ignores clients that left before they were accepted. Other errors concern the server and need
/// time to pass.
async fn back_off(error: &Error) {
    if matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "accepting a connection failed; the limit on open files may be too low");
    tokio::time::sleep(BACK_OFF).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::{Instant, advance};

    /// A client of a connection whose server answers `yes`.
    fn client() -> (DuplexStream, watch::Sender<ServerPhase>) {
        let (tell, phase) = watch::channel(ServerPhase::Serving);
        let (near, far) = tokio::io::duplex(4096);
        let router = Router::new().route("/", get(async || "yes"));
        let port = Port {
            tls: None,
            router,
            limits: Limits::default(),
            open: Limit::new(1),
            metrics: Arc::default(),
            phase,
            alive: mpsc::channel(1).0,
        };
        tokio::spawn(port.seated(far, Protocol::Http1));
        (near, tell)
    }

    async fn ask(client: &mut DuplexStream) -> String {
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 1024];
        let length = client.read(&mut answer).await.unwrap();
        answer.truncate(length);
        String::from_utf8(answer).unwrap()
    }

    /// The time until the server closes the connection.
    async fn closed(client: &mut DuplexStream) -> Duration {
        let start = Instant::now();
        timeout(Duration::from_hours(1), client.read_to_end(&mut Vec::new()))
            .await
            .unwrap()
            .unwrap();
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_kept_connection_outlives_the_90_s_for_which_the_apiserver_keeps_it() {
        let (mut client, _tell) = client();
        for _ in 0..3 {
            assert!(ask(&mut client).await.ends_with("yes"));
            advance(Duration::from_secs(91)).await;
        }
        assert!(closed(&mut client).await < Duration::from_secs(31));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_asks_is_closed_by_the_deadline_for_headers() {
        for sent in ["", "GET / HTTP/1.1\r\nhost:"] {
            let (mut client, _tell) = client();
            client.write_all(sent.as_bytes()).await.unwrap();
            let took = closed(&mut client).await;
            assert!((120..122).contains(&took.as_secs()), "{sent:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_when_draining_and_not_while_lingering() {
        let (mut client, tell) = client();
        ask(&mut client).await;
        tell.send_replace(ServerPhase::Lingering);
        assert!(ask(&mut client).await.ends_with("yes"));
        tell.send_replace(ServerPhase::Draining);
        assert_eq!(closed(&mut client).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_concerns_the_server_makes_it_wait_before_it_accepts_again() {
        let start = Instant::now();
        back_off(&Error::from(ErrorKind::ConnectionAborted)).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let too_many_open_files = 24;
        back_off(&Error::from_raw_os_error(too_many_open_files)).await;
        assert_eq!(start.elapsed(), BACK_OFF);
    }
}
