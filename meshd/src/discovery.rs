//! `mesh.v1.Discovery`: one stream per proxy.

mod admission;
mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use mesh_api::v1::discovery_server::{Discovery, DiscoveryServer};
use mesh_api::v1::{DiscoveryRequest, DiscoveryResponse};
use mesh_ca::PeerCertificates;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::keys::KeyHints;
use crate::metrics::DiscoveryMetrics;
use crate::publish::Published;
use crate::registration::Registrations;
use crate::registry::Registry;

/// Largest request: a proxy names what it holds, and may hold much.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;
/// How long a stream may be open without saying who is there.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DiscoveryService(Arc<Shared>);

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) registry: Registry,
    pub(crate) registrations: Registrations,
    pub(crate) metrics: Arc<DiscoveryMetrics>,
    pub(crate) keys: KeyHints,
    pub(crate) shutdown: CancellationToken,
}

// === impl DiscoveryService ===

impl DiscoveryService {
    /// Serves what is published, until `shutdown`.
    pub(crate) fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// As a gRPC service.
    pub(crate) fn into_server(self) -> DiscoveryServer<Self> {
        DiscoveryServer::new(self)
            .max_decoding_message_size(LARGEST_REQUEST)
            .max_encoding_message_size(usize::MAX)
    }
}

#[tonic::async_trait]
impl Discovery for DiscoveryService {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let peer = request
            .extensions()
            .get::<PeerCertificates>()
            .cloned()
            .unwrap_or_default();
        let shared = Arc::clone(&self.0);
        let peer = admission::Peer::new(&peer).inspect_err(|refusal| shared.refused(refusal))?;
        let responses = stream::responses(shared, peer, request.into_inner());
        Ok(Response::new(Box::pin(responses)))
    }
}

// === impl Shared ===

impl Shared {
    fn refused(&self, refusal: &admission::Refusal) {
        self.metrics.count_refused();
        tracing::warn!(reason = refusal.reason(), "refused a proxy: {refusal}");
    }
}
