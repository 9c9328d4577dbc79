//! A server in this process, and clients that trust it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fluxkeep_cluster::FactSource;
use fluxkeep_webhook::{Bound, Limits, Readiness, Settings};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
/// A deadline longer than any test, so that it never expires.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

/// Fails after two minutes: far longer than any expected event takes on a busy machine.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(2), what)
        .await
        .expect("it must come within two minutes")
}

/// The review of a Deployment's deletion in the engine's namespace.
pub(crate) fn deletion(name: &str) -> String {
    let kind = r#"{"group":"apps","version":"v1","kind":"Deployment"}"#;
    let resource = r#"{"group":"apps","version":"v1","resource":"deployments"}"#;
    let old = format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","namespace":"flux-system"}},"spec":{{"template":{{"spec":{{"containers":[{{"name":"manager","image":"x","env":[{{"name":"TOKEN","value":"hunter2"}}]}}]}}}}}}}}"#
    );
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"{UID}","kind":{kind},"resource":{resource},"name":"{name}","namespace":"flux-system","operation":"DELETE","userInfo":{{"username":"jane"}},"object":null,"oldObject":{old}}}}}"#
    )
}

/// Waits until the metrics contain a line.
pub(crate) async fn counted(server: &Server, line: &str) {
    soon(async {
        while !server
            .observe("/metrics")
            .await
            .text
            .lines()
            .any(|one| one == line)
        {}
    })
    .await;
}

/// A client's certificate chain and key.
pub(crate) type Presented = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let text =
            String::from_utf8(soon(body.collect()).await.unwrap().to_bytes().to_vec()).unwrap();
        Self {
            status: head.status,
            headers: head.headers,
            text,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn response(&self) -> Value {
        serde_json::from_str::<Value>(&self.text).unwrap()["response"].clone()
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) admission: SocketAddr,
    pub(crate) observe: SocketAddr,
    pub(crate) readiness: Readiness,
    roots: Arc<RootCertStore>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// A server on free ports; it does not linger unless `limits` say so.
    pub(crate) async fn start(limits: impl FnOnce(&mut Limits)) -> Self {
        let mut settings = Settings::loopback();
        settings.limits.linger = Duration::ZERO;
        limits(&mut settings.limits);
        Self::with(settings).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::over(
            settings,
            Arc::new(fluxkeep_cluster::Snapshot::built_in().unwrap()),
        )
        .await
    }

    /// A server that judges by the facts of `source`.
    pub(crate) async fn over(settings: Settings, source: Arc<dyn FactSource>) -> Self {
        let bound = Bound::bind(settings, source).await.unwrap();
        let (admission, observe) = (
            bound.admission_address().unwrap(),
            bound.observe_address().unwrap(),
        );
        let readiness = bound.readiness().clone();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(bound.authority_pem().unwrap().as_bytes()).unwrap())
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let task =
            tokio::spawn(async move { bound.serve(async { drop(stopped.await) }).await.unwrap() });
        Self {
            admission,
            observe,
            readiness,
            roots: Arc::new(roots),
            stop: Some(stop),
            task,
        }
    }

    /// Tells the server to stop; it still takes clients.
    pub(crate) fn told_to_stop(mut self) -> Self {
        self.stop.take().map(|stop| stop.send(()));
        self
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(self) {
        soon(self.told_to_stop().task).await.unwrap();
    }

    /// A TLS connection that speaks `protocol`, `h2` or `http/1.1`.
    pub(crate) async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        self.connect_with(protocol, None).await
    }

    /// As [`Server::connect`], with a certificate.
    async fn connect_with(
        &self,
        protocol: &str,
        presented: Option<&Presented>,
    ) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(self.roots.clone());
        let mut config = match presented {
            Some((chain, key)) => config
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.admission).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        soon(TlsConnector::from(Arc::new(config)).connect(name, stream))
            .await
            .unwrap()
    }

    /// The answer to a review. `None` if the server refuses the caller, which in TLS 1.3 shows only
    /// after the handshake.
    pub(crate) async fn try_review(
        &self,
        presented: Option<&Presented>,
        body: impl Into<Bytes>,
    ) -> Option<Answer> {
        let stream = TokioIo::new(self.connect_with("http/1.1", presented).await);
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        let request = Request::post("https://localhost/validate")
            .body(Full::new(body.into()))
            .unwrap();
        let response = soon(sender.send_request(request)).await.ok()?;
        let answer = Answer::of(response).await;
        drop(sender);
        soon(connection).await.unwrap();
        Some(answer)
    }

    /// A persistent HTTP/1.1 connection.
    pub(crate) async fn client(&self) -> Client {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect("http/1.1").await))
            .await
            .unwrap();
        Client {
            sender: Sender::One(sender),
            connection: tokio::spawn(async { drop(connection.await) }),
        }
    }

    /// A persistent HTTP/2 connection.
    pub(crate) async fn client2(&self) -> Client {
        let stream = TokioIo::new(self.connect("h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        Client {
            sender: Sender::Two(sender),
            connection: tokio::spawn(async { drop(connection.await) }),
        }
    }

    /// Sends a request to the plain port.
    pub(crate) async fn observe(&self, path: &str) -> Answer {
        self.observe_as(path, "*/*").await
    }

    /// As [`Server::observe`], for a caller that accepts this media type.
    pub(crate) async fn observe_as(&self, path: &str, accept: &str) -> Answer {
        let stream = TcpStream::connect(self.observe).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        let request = Request::get(path)
            .header("accept", accept)
            .body(Full::new(Bytes::new()))
            .unwrap();
        let answer = Answer::of(soon(sender.send_request(request)).await.unwrap()).await;
        drop(sender);
        soon(connection).await.unwrap();
        answer
    }
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A persistent connection.
pub(crate) struct Client {
    sender: Sender,
    connection: JoinHandle<()>,
}

impl Client {
    pub(crate) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = Full::new(body.into());
        let request = Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .body(body)
            .unwrap();
        let response = match &mut self.sender {
            Sender::One(sender) => soon(sender.send_request(request)).await,
            Sender::Two(sender) => soon(sender.send_request(request)).await,
        };
        Answer::of(response.unwrap()).await
    }

    pub(crate) async fn review(&mut self, body: impl Into<Bytes>) -> Answer {
        self.ask(Method::POST, "/validate", body).await
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn closed(self) {
        let Self { sender, connection } = self;
        soon(connection).await.unwrap();
        drop(sender);
    }
}
