//! An HTTP client that trusts one authority, as the apiserver trusts a webhook's caBundle.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// The HTTP version that a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1, as the apiserver uses for a Service.
    One,
    /// HTTP/2, as the apiserver uses for a loopback URL.
    Two,
}

/// A client with keep-alive.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// Trusts only the certificate in `authority` (PEM).
    ///
    /// # Errors
    /// If `authority` is no certificate.
    pub fn trusting(authority: &str, http: Http) -> anyhow::Result<Self> {
        let certificate = CertificateDer::from_pem_slice(authority.as_bytes())
            .context("reading the authority")?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).context("trusting the authority")?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let connector = match http {
            Http::One => builder.enable_http1().build(),
            Http::Two => builder.enable_http2().build(),
        };
        Ok(Self {
            pool: Pool::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Posts JSON and waits for the whole answer.
    ///
    /// # Errors
    /// If the server cannot be reached or the connection breaks.
    pub async fn post(&self, url: &str, body: impl Into<Bytes>) -> anyhow::Result<Response<Bytes>> {
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()));
        self.send(request?)
            .await
            .with_context(|| format!("posting to {url}"))
    }

    /// Gets a URL and waits for the whole answer.
    ///
    /// # Errors
    /// If the server cannot be reached or the connection breaks.
    pub async fn get(&self, url: &str) -> anyhow::Result<Response<Bytes>> {
        let request = Request::get(url).body(Full::default());
        self.send(request?)
            .await
            .with_context(|| format!("getting {url}"))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Bytes>> {
        let (head, body) = self.pool.request(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}
