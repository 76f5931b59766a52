//! A control plane for tests: discovery and certificates over TLS on a Unix socket, steered by
//! the test step by step.

mod kept;
mod root;

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use mesh_api::v1;
use mesh_api::v1::certificate_service_server::{CertificateService, CertificateServiceServer};
use mesh_api::v1::discovery_server::{Discovery, DiscoveryServer};
use rcgen::CertificateSigningRequestParams;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

use crate::clock;
use crate::net::{UnixListener, UnixStream};
use crate::settings::{Settings, SettingsSource};

pub(crate) use kept::Kept;
pub(crate) use root::{LeafSpec, RATINGS, REVIEWS, TestRoot};

/// How long anything may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The control plane of a test.
pub(crate) struct Plane {
    pub(crate) root: Arc<TestRoot>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) authority: Arc<Mutex<Authority>>,
    events: mpsc::UnboundedReceiver<PlaneEvent>,
    sender: mpsc::UnboundedSender<PlaneEvent>,
    server: tokio::task::JoinHandle<()>,
}

/// What the authority answers.
pub(crate) struct Authority {
    /// Validity of what it signs, seconds from now.
    pub(crate) seconds: (i64, i64),
    /// Refuses everything.
    pub(crate) refuses: bool,
}

/// What the proxy did.
pub(crate) enum PlaneEvent {
    /// It opened a stream: this sends responses; dropping it ends the stream.
    Opened(Responses),
    /// It sent a request.
    Asked(Box<v1::DiscoveryRequest>),
    /// It asked for a certificate, with or without a token.
    Signed { token: Option<String> },
    /// It asked for a token of its identity.
    Token { audience: Vec<String> },
}

pub(crate) type Responses = mpsc::UnboundedSender<Result<v1::DiscoveryResponse, Status>>;

struct Service {
    root: Arc<TestRoot>,
    authority: Arc<Mutex<Authority>>,
    events: mpsc::UnboundedSender<PlaneEvent>,
}

struct Io(TlsStream<UnixStream>);

// === impl Plane ===

impl Plane {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Arc::new(TestRoot::new());
        std::fs::write(directory.path().join("root.pem"), &root.pem).unwrap();
        std::fs::write(directory.path().join("token"), "the-token\n").unwrap();
        let authority = Arc::new(Mutex::new(Authority {
            seconds: (-60, 3600),
            refuses: false,
        }));
        let (sender, events) = mpsc::unbounded_channel();
        let mut plane = Self {
            root,
            directory,
            authority,
            events,
            sender,
            server: tokio::spawn(std::future::ready(())),
        };
        plane.serve();
        plane
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("meshd.sock")
    }

    /// Serves (again).
    pub(crate) fn serve(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let config = self.tls();
        let (accepted, incoming) = mpsc::channel(8);
        let service = || Service {
            root: Arc::clone(&self.root),
            authority: Arc::clone(&self.authority),
            events: self.sender.clone(),
        };
        let router = Server::builder()
            .add_service(DiscoveryServer::new(service()))
            .add_service(CertificateServiceServer::new(service()));
        self.server = tokio::spawn(async move {
            let accept = async {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config));
                    if let Ok(stream) = acceptor.accept(stream).await {
                        accepted.send(Ok::<_, io::Error>(Io(stream))).await.unwrap();
                    }
                }
            };
            tokio::select! {
                () = accept => {}
                result = router.serve_with_incoming(ReceiverStream::new(incoming)) => result.unwrap(),
            }
        });
    }

    /// Stops listening. Open streams end when the test drops their sender.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
        std::fs::remove_file(self.socket()).unwrap();
    }

    fn tls(&self) -> Arc<ServerConfig> {
        let leaf = self.root.leaf(&LeafSpec {
            dns: &["meshd"],
            ..LeafSpec::default()
        });
        let provider = crate::tls::provider();
        let roots = Arc::new(self.root.store());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(leaf)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    /// Settings of a proxy of this control plane.
    pub(crate) fn settings(&self) -> Settings {
        let path = |name: &str| Some(self.directory.path().join(name).display().to_string());
        Settings::try_from(SettingsSource {
            workload: Some("default/reviews-v1".into()),
            service_account: Some("reviews".into()),
            control: Some(format!("unix://{}", self.socket().display())),
            roots: path("root.pem"),
            token: path("token"),
            explicit: Some("127.0.0.1:0".into()),
            concurrency: Some("1".into()),
            ..SettingsSource::default()
        })
        .unwrap()
    }

    async fn event(&mut self) -> PlaneEvent {
        tokio::time::timeout(DEADLINE, self.events.recv())
            .await
            .expect("the proxy does nothing")
            .unwrap()
    }

    /// The next stream, passing over everything else.
    pub(crate) async fn opened(&mut self) -> Responses {
        loop {
            if let PlaneEvent::Opened(responses) = self.event().await {
                return responses;
            }
        }
    }

    /// The next request, passing over everything else and over reports of the identity.
    pub(crate) async fn asked(&mut self) -> v1::DiscoveryRequest {
        loop {
            if let PlaneEvent::Asked(request) = self.event().await
                && request.identity.is_none()
            {
                return *request;
            }
        }
    }

    /// The next report of the identity, passing over everything else.
    pub(crate) async fn reported(&mut self) -> v1::IdentityReport {
        loop {
            if let PlaneEvent::Asked(request) = self.event().await
                && let Some(report) = request.identity
            {
                return report;
            }
        }
    }

    /// The token of the next signing, passing over everything else.
    pub(crate) async fn signed(&mut self) -> Option<String> {
        loop {
            if let PlaneEvent::Signed { token } = self.event().await {
                return token;
            }
        }
    }

    /// The audience of the next token, passing over everything else.
    pub(crate) async fn token(&mut self) -> Vec<String> {
        loop {
            if let PlaneEvent::Token { audience } = self.event().await {
                return audience;
            }
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

// === impl services ===

#[tonic::async_trait]
impl Discovery for Service {
    type StreamStream = UnboundedReceiverStream<Result<v1::DiscoveryResponse, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (responses, outgoing) = mpsc::unbounded_channel();
        let events = self.events.clone();
        let _ = events.send(PlaneEvent::Opened(responses));
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let _ = events.send(PlaneEvent::Asked(Box::new(request)));
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(outgoing)))
    }
}

#[tonic::async_trait]
impl CertificateService for Service {
    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        let token = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let _ = self.events.send(PlaneEvent::Signed { token });
        let (seconds, refuses) = {
            let authority = self.authority.lock().unwrap();
            (authority.seconds, authority.refuses)
        };
        if refuses {
            return Err(Status::resource_exhausted("not now"));
        }
        let csr =
            CertificateSigningRequestParams::from_der(&request.get_ref().csr_der.as_slice().into())
                .unwrap();
        let spec = LeafSpec {
            uris: &[REVIEWS],
            seconds,
            ..LeafSpec::default()
        };
        Ok(Response::new(v1::SignResponse {
            chain_der: vec![self.root.sign(&spec, &csr.public_key).to_vec()],
            roots_der: vec![self.root.der.to_vec()],
            identity: REVIEWS.to_owned(),
            not_before: 0,
            not_after: 0,
            jwks: String::new(),
        }))
    }

    async fn sign_jwt(
        &self,
        request: Request<v1::SignJwtRequest>,
    ) -> Result<Response<v1::SignJwtResponse>, Status> {
        let (seconds, refuses) = {
            let authority = self.authority.lock().unwrap();
            (authority.seconds, authority.refuses)
        };
        if refuses {
            return Err(Status::resource_exhausted("not now"));
        }
        let audience = request.into_inner().audience;
        let now = clock::unix_seconds(clock::wall());
        let token = format!("for {}", audience.join(","));
        let _ = self.events.send(PlaneEvent::Token { audience });
        Ok(Response::new(v1::SignJwtResponse {
            token,
            identity: REVIEWS.to_owned(),
            not_before: now + seconds.0,
            not_after: now + seconds.1,
        }))
    }

    async fn trust_bundle(
        &self,
        _request: Request<v1::TrustBundleRequest>,
    ) -> Result<Response<v1::TrustBundleResponse>, Status> {
        Ok(Response::new(v1::TrustBundleResponse::default()))
    }
}

// === impl Io ===

impl Connected for Io {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The mesh resource of the tests.
pub(crate) fn mesh(roots_der: Vec<Vec<u8>>, version: &str) -> v1::Resource {
    let mesh = v1::Mesh {
        trust_domain: "cluster.local".into(),
        outbound_policy: v1::OutboundPolicy::AllowAny.into(),
        roots_der,
        ..v1::Mesh::default()
    };
    resource("mesh/default", version, v1::resource::Body::Mesh(mesh))
}

/// The inbound resource of the tests.
pub(crate) fn inbound() -> v1::Resource {
    let inbound = v1::Inbound {
        workload: "default/reviews-v1".into(),
        identity: REVIEWS.into(),
        default_mtls: v1::MtlsMode::Permissive.into(),
        ..v1::Inbound::default()
    };
    resource("inbound/self", "1", v1::resource::Body::Inbound(inbound))
}

/// A destination that nobody declared.
pub(crate) fn undeclared(name: &str) -> v1::Resource {
    let table = v1::RouteTable {
        port: 80,
        protocol: v1::Protocol::Auto.into(),
        undeclared: true,
        ..v1::RouteTable::default()
    };
    resource(name, "1", v1::resource::Body::Routes(table))
}

fn resource(name: &str, version: &str, body: v1::resource::Body) -> v1::Resource {
    v1::Resource {
        name: name.into(),
        version: version.into(),
        body: Some(body),
    }
}

/// A response with these resources.
pub(crate) fn response(revision: u64, upsert: Vec<v1::Resource>) -> v1::DiscoveryResponse {
    v1::DiscoveryResponse {
        nonce: revision.to_string(),
        revision,
        digest: format!("digest-{revision}"),
        upsert,
        removed: vec![],
    }
}
