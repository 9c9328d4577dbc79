//! Connections: accepted, served within deadlines, closed in order.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::settings::Limits;

/// Accepting again at once after "too many open files" would only spin.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// Everything is served, and each answer asks to close its connection.
    Lingering,
    /// Nothing new; what is being answered is brought to its end.
    Draining,
}

/// A port: what is served on it, and how.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Closed when the last connection is gone.
    pub(crate) alive: mpsc::Sender<()>,
}

impl Port {
    /// Accepts until the server drains.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut phase = self.phase.clone();
        loop {
            tokio::select! {
                accepted = listener.accept() => self.accepted(accepted).await,
                () = drained(&mut phase) => return,
            }
        }
    }

    async fn accepted(&self, accepted: std::io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, _)) => {
                let port = self.clone();
                tokio::spawn(async move { port.connection(stream).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }

    /// One connection, from its handshake to its end.
    async fn connection(self, stream: TcpStream) {
        // A review is one request and one answer: nothing to gather.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            return self.requests(stream).await;
        };
        let mut phase = self.phase.clone();
        let handshake = tokio::time::timeout(self.limits.handshake, tls.accept(stream));
        tokio::select! {
            done = handshake => match done {
                Ok(Ok(stream)) => self.requests(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            },
            () = drained(&mut phase) => {}
        }
    }

    async fn requests(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.headers);
        builder.http2().timer(TokioTimer::new());
        let service = TowerToHyperService::new(self.router);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let mut phase = self.phase;
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = drained(&mut phase) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
        drop(self.alive);
    }
}

/// Waits until the server drains, or until nobody is left who could tell.
async fn drained(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Draining).await;
}
