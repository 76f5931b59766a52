//! One fetch: with limits of time and size, without following redirects.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use meshd_core::KeySource;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time for one document (Istio: 5 s).
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest document, in bytes.
const LONGEST: usize = 1024 * 1024;
/// Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Fetches keys. Cheap to clone.
#[derive(Clone)]
pub(super) struct Fetcher {
    // Absent if TLS cannot be set up at all.
    tls: Option<Arc<ClientConfig>>,
}

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{0}` is no URI of http or https")]
    Uri(String),
    #[error("no connection to {authority}: {source}")]
    Connect {
        authority: String,
        source: std::io::Error,
    },
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("{uri} answered {status}")]
    Status { uri: String, status: StatusCode },
    #[error("the answer breaks off, or is longer than {LONGEST} bytes")]
    Body,
    #[error("no answer within {TIMEOUT:?}")]
    Timeout,
    #[error("{0} is no JSON Web Key Set with a key")]
    NoKeys(String),
    #[error("{0} names no `jwks_uri` that can be used")]
    NoDiscovery(String),
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

// === impl Fetcher ===

impl Fetcher {
    pub(super) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
        Self {
            tls: config.ok().map(Arc::new),
        }
    }

    /// A key set as text, checked to be one.
    pub(super) async fn fetch(&self, source: &KeySource) -> Result<String, FetchError> {
        let uri = match source {
            KeySource::Uri(uri) => uri.clone(),
            KeySource::Issuer(issuer) => self.discover(issuer).await?,
        };
        let text = self.get(&uri).await?;
        let set = serde_json::from_str::<serde_json::Value>(&text).ok();
        let keys = set.as_ref().and_then(|set| set.get("keys")?.as_array());
        if keys.is_some_and(|keys| !keys.is_empty()) {
            Ok(text)
        } else {
            Err(FetchError::NoKeys(uri))
        }
    }

    async fn discover(&self, issuer: &str) -> Result<String, FetchError> {
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(FetchError::Uri(issuer.to_owned()));
        }
        let document = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
        let text = self.get(&document).await?;
        let described = serde_json::from_str::<serde_json::Value>(&text).ok();
        let uri = described
            .as_ref()
            .and_then(|described| described.get("jwks_uri")?.as_str());
        // What comes over TLS does not lead to what comes without.
        let safe = |uri: &&str| uri.starts_with("https://") || issuer.starts_with("http://");
        uri.filter(safe)
            .map(str::to_owned)
            .ok_or(FetchError::NoDiscovery(document))
    }

    async fn get(&self, uri: &str) -> Result<String, FetchError> {
        tokio::time::timeout(TIMEOUT, self.exchange(uri))
            .await
            .map_err(|_| FetchError::Timeout)?
    }

    async fn exchange(&self, text: &str) -> Result<String, FetchError> {
        let bad = || FetchError::Uri(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = uri.authority().ok_or_else(bad)?.as_str().to_owned();
        let stream =
            self.connect((host, port), tls)
                .await
                .map_err(|source| FetchError::Connect {
                    authority: authority.clone(),
                    source,
                })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::get(path)
            .header("host", &authority)
            .header("accept", "application/json")
            .body(Empty::<Bytes>::new())
            .map_err(|_| bad())?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            if status != StatusCode::OK {
                let uri = text.to_owned();
                return Err(FetchError::Status { uri, status });
            }
            let body = Limited::new(response.into_body(), LONGEST);
            let body = body.collect().await.map_err(|_| FetchError::Body)?;
            String::from_utf8(body.to_bytes().to_vec()).map_err(|_| FetchError::Body)
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }

    async fn connect(&self, address: (&str, u16), tls: bool) -> std::io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect(address).await?;
        if !tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(address.0.to_owned())
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        let config = self.tls.as_ref();
        let config = config.ok_or_else(|| std::io::Error::other("there is no TLS"))?;
        let connector = TlsConnector::from(Arc::clone(config));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}
