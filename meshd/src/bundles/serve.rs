//! The bundle of this mesh, for others (SPIFFE Federation, section 5.2): over HTTPS, to anybody,
//! by the identity of the control plane (`https_spiffe`) or by a certificate for a name in DNS
//! (`https_web`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming as Body};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use mesh_ca::listen::{Access, BoundAddress, ListenAddress, ListenError, Listener};
use mesh_ca::tls::{Incoming, IncomingOptions, ServerTls, TlsError};
use mesh_ca::{SecretKey, SpiffeBundle};
use meshd_core::MeshSettings;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::app::RunError;
use crate::clock;
use crate::publish::Published;

/// Files of a certificate are looked at again this often.
const LOOK: Duration = Duration::from_secs(10);

/// So many are served at a time, each for so long at most.
const MOST: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// How the own bundle is served.
#[derive(Debug, Clone)]
pub struct BundleServing {
    /// Where.
    pub listen: ListenAddress,
    /// How often others are to look (`spiffe_refresh_hint`).
    pub refresh_hint: Duration,
    /// The certificate for `https_web`; the control plane's own if there is none.
    pub web: Option<WebCertificate>,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct WebCertificate {
    /// The chain, PEM, the server's first.
    pub chain: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// A server that is bound.
pub(crate) struct BundleServer {
    listener: Listener,
    address: BoundAddress,
    tls: ServerTls,
    serving: BundleServing,
    sequence: PathBuf,
}

// === impl WebCertificate ===

impl WebCertificate {
    /// The files as they are.
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), String> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok((read(&self.chain)?, read(&self.key)?))
    }

    fn present(&self, files: &(Vec<u8>, Vec<u8>), tls: &ServerTls) -> Result<(), String> {
        let (chain, key) = files;
        let chain = CertificateDer::pem_slice_iter(chain)
            .map(|der| der.map(|der| der.to_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("{}: {error}", self.chain.display()))?;
        let failed = |error: TlsError| format!("{}: {error}", self.key.display());
        let key = SecretKey::from_pem(key).map_err(|error| failed(error.into()))?;
        tls.set_certificate(&chain, &key).map_err(failed)
    }

    /// Follows the files. Runs until dropped.
    async fn follow(self, mut known: (Vec<u8>, Vec<u8>), tls: ServerTls) {
        let mut complaint = None;
        loop {
            sleep(LOOK).await;
            let new = match self.read() {
                Ok(files) if files == known => continue,
                Ok(files) => self.present(&files, &tls).map(|()| files),
                Err(error) => Err(error),
            };
            match new {
                Ok(files) => {
                    tracing::info!("the certificate of the bundle endpoint was replaced");
                    (known, complaint) = (files, None);
                }
                // The two are not written at the same time.
                Err(error) if complaint.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "the new certificate of the bundle endpoint cannot be used; the old one stays");
                    complaint = Some(error);
                }
            }
        }
    }
}

// === impl BundleServer ===

impl BundleServer {
    /// Listens. `own` presents the certificate of the control plane.
    ///
    /// # Errors
    /// If the address is taken, or a file cannot be used.
    pub(crate) async fn bind(
        serving: &BundleServing,
        own: &ServerTls,
        state_dir: &Path,
    ) -> Result<Self, crate::BuildError> {
        let tls = match &serving.web {
            None => own.for_documents()?,
            Some(web) => {
                let tls = ServerTls::without_client_certificates()?.for_documents()?;
                web.read()
                    .and_then(|files| web.present(&files, &tls))
                    .map_err(crate::BuildError::Setting)?;
                tls
            }
        };
        let listener = Listener::bind(&serving.listen, Access::Anybody).await?;
        let address = listener.address().map_err(|source| ListenError::Io {
            address: serving.listen.clone(),
            source,
        })?;
        Ok(Self {
            listener,
            address,
            tls,
            serving: serving.clone(),
            sequence: state_dir.join("bundle-sequence.json"),
        })
    }

    pub(crate) fn address(&self) -> &BoundAddress {
        &self.address
    }

    /// Serves until `shutdown`.
    pub(crate) fn start(
        self,
        published: watch::Receiver<Arc<Published>>,
        shutdown: CancellationToken,
        chores: &mut JoinSet<()>,
        servers: &mut JoinSet<Result<(), RunError>>,
    ) {
        if let Some(web) = self.serving.web.clone()
            && let Ok(files) = web.read()
        {
            chores.spawn(web.follow(files, self.tls.clone()));
        }
        let (texts, text) = watch::channel(String::new());
        let mut writer = Writer {
            hint: self.serving.refresh_hint,
            sequence: self.sequence,
        };
        texts.send_replace(writer.text(published.borrow().world.settings()));
        chores.spawn(async move {
            let mut published = published;
            while published.changed().await.is_ok() {
                let world = published.borrow_and_update().world.clone();
                let new = writer.text(world.settings());
                texts.send_if_modified(|text| {
                    let changed = *text != new;
                    *text = new;
                    changed
                });
            }
        });
        let incoming = Incoming::new(self.listener, self.tls, IncomingOptions::default());
        servers.spawn(async move {
            serve(incoming, &text, &shutdown).await;
            Ok(())
        });
    }
}

/// Serves everybody: one request for each connection, for a while.
async fn serve(
    mut incoming: Incoming,
    text: &watch::Receiver<String>,
    shutdown: &CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            connection = incoming.next() => {
                let Some(Ok(connection)) = connection else { return };
                // Whoever comes while too many are there comes again.
                if connections.len() < MOST {
                    let text = text.clone();
                    let answer = service_fn(move |request| {
                        let answer = answer(&request, &text);
                        async move { answer }
                    });
                    let serving = http1::Builder::new()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(connection), answer);
                    connections.spawn(timeout(PATIENCE, serving));
                }
            }
            Some(_) = connections.join_next() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn answer(
    request: &Request<Body>,
    text: &watch::Receiver<String>,
) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let (status, kind, body) = match (request.method().as_str(), request.uri().path()) {
        ("GET" | "HEAD", "/" | "/bundle.json") => match text.borrow().clone() {
            text if text.is_empty() => (503, "text/plain", "there is no bundle\n".to_owned()),
            text => (200, "application/json", text),
        },
        (_, "/" | "/bundle.json") => (405, "text/plain", "only GET\n".to_owned()),
        _ => (404, "text/plain", "the bundle is at /\n".to_owned()),
    };
    Response::builder()
        .status(status)
        .header("content-type", kind)
        .body(Full::from(body))
}

struct Writer {
    hint: Duration,
    sequence: PathBuf,
}

// === impl Writer ===

impl Writer {
    /// The bundle; empty if it cannot be written.
    fn text(&mut self, settings: &MeshSettings) -> String {
        let mut bundle = SpiffeBundle {
            roots_der: settings.roots_der.clone(),
            jwks: settings.jwks.clone(),
            sequence: None,
            refresh_hint: Some(self.hint),
        };
        let written = bundle.to_json().and_then(|text| {
            bundle.sequence = Some(self.number(&text));
            bundle.to_json()
        });
        written.unwrap_or_else(|error| {
            tracing::error!(%error, "the bundle of this mesh cannot be written");
            String::new()
        })
    }

    /// Rises with every change, over restarts too: the time of the change, as far as that is
    /// later than the last one. So replicas that know nothing of each other have the newer number
    /// for the newer bundle.
    fn number(&mut self, text: &str) -> u64 {
        let digest: String = Sha256::digest(text)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let before = std::fs::read(&self.sequence).ok();
        let before = before.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let before = before.unwrap_or_default();
        let last = before.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        if last > 0 && before.get("digest").and_then(Value::as_str) == Some(&digest) {
            return last;
        }
        let now = u64::try_from(clock::unix_seconds(clock::now())).unwrap_or(0);
        let number = now.max(last.saturating_add(1));
        let record = json!({"sequence": number, "digest": digest}).to_string();
        let neighbour = self.sequence.with_extension("new");
        let kept = std::fs::write(&neighbour, record)
            .and_then(|()| std::fs::rename(&neighbour, &self.sequence));
        if let Err(error) = kept {
            tracing::warn!(%error, "the number of the bundle cannot be kept");
        }
        number
    }
}
