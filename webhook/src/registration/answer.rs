//! A server's answer at its URL, as far as it can be tried from this machine.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Limit for the whole attempt: the apiserver waits ten seconds for a review.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the server of a URL. With an authority (PEM), the certificate must be of it.
///
/// # Errors
/// The reason, in words.
pub(super) async fn at(url: &str, authority: Option<&str>) -> Result<(), String> {
    let silence = |_| format!("it is silent for {} s", PATIENCE.as_secs());
    timeout(PATIENCE, connected(url, authority))
        .await
        .map_err(silence)?
}

async fn connected(url: &str, authority: Option<&str>) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL".to_owned())?;
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let Some(authority) = authority else {
        return Ok(());
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(trusting(authority)?));
    let shaken = connector.connect(name, stream).await;
    shaken.map(|_| ()).map_err(|error| error.to_string())
}

/// A client's settings that trust these certificates only.
fn trusting(authority: &str) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(authority.as_bytes());
    roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
