//! One GET of a small document, by http or https: with limits of time and size, and without
//! following redirects, so that what was configured is what is asked.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Time for one document (Istio, for keys of tokens: 5 s).
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest document, in bytes.
pub(crate) const LONGEST: usize = 1024 * 1024;

/// Asks servers, and knows by what to take them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HttpClient {
    // Absent if TLS cannot be set up at all.
    tls: Option<Arc<ClientConfig>>,
    plain: bool,
}

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    #[error("`{0}` is no URI of {1}")]
    Uri(String, &'static str),
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
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

// === impl HttpClient ===

impl HttpClient {
    /// Takes servers that the roots of the operating system vouch for, and those without TLS.
    pub(crate) fn new() -> Self {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self {
            plain: true,
            ..Self::with_roots(roots)
        }
    }

    /// Takes servers that these roots vouch for.
    pub(crate) fn with_roots(roots: RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth());
        Self {
            tls: config.ok().map(Arc::new),
            plain: false,
        }
    }

    /// Takes servers that this takes.
    pub(crate) fn verifying(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map(|builder| {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(verifier)
                    .with_no_client_auth()
            });
        Self {
            tls: config.ok().map(Arc::new),
            plain: false,
        }
    }

    /// The document at a URI.
    pub(crate) async fn get(&self, uri: &str) -> Result<Bytes, GetError> {
        tokio::time::timeout(TIMEOUT, self.exchange(uri))
            .await
            .map_err(|_| GetError::Timeout)?
    }

    async fn exchange(&self, text: &str) -> Result<Bytes, GetError> {
        let schemes = if self.plain { "http or https" } else { "https" };
        let bad = || GetError::Uri(text.to_owned(), schemes);
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.plain => false,
            _ => return Err(bad()),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = uri.authority().ok_or_else(bad)?.as_str().to_owned();
        // A password in a URI would stand in logs and problems.
        if authority.contains('@') {
            return Err(bad());
        }
        let stream = self
            .connect((host, port), tls)
            .await
            .map_err(|source| GetError::Connect {
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
                return Err(GetError::Status { uri, status });
            }
            let body = Limited::new(response.into_body(), LONGEST);
            let body = body.collect().await.map_err(|_| GetError::Body)?;
            Ok(body.to_bytes())
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
