//! Envoy's secret discovery (SDS, state of the world).

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::stream::{Stream, StreamExt as _};
use mesh_api::envoy_secret::secret_discovery_service_server::SecretDiscoveryService;
use mesh_api::envoy_secret::{
    Any, CertificateValidationContext, DataSource, DiscoveryRequest, DiscoveryResponse, Secret,
    TlsCertificate, secret,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::updates::{Material, Updates};
use crate::identity::{AppIdentity, IdentityHandle};

/// Serves it.
pub(super) struct Secrets {
    pub(super) app: AppIdentity,
    pub(super) own: IdentityHandle,
}

/// The type of all that is served here.
const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// Istio's names of the workload's certificate and of the roots.
const CERTIFICATE: &str = "default";
const ROOTS: &str = "ROOTCA";

type Responses = Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;

/// What one client asked for, and what it was sent.
struct Subscription {
    updates: Updates,
    material: Option<Material>,
    names: BTreeSet<String>,
    number: u64,
}

#[tonic::async_trait]
impl SecretDiscoveryService for Secrets {
    type StreamSecretsStream = Responses;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Responses>, Status> {
        let mut requests = request.into_inner();
        let (sender, receiver) = mpsc::channel(1);
        let mut subscription = Subscription::new(&self.app, &self.own);
        tokio::spawn(async move {
            loop {
                let response = tokio::select! {
                    request = requests.next() => match request {
                        Some(Ok(request)) => subscription.on_request(request),
                        _ => return,
                    },
                    material = subscription.updates.next() => match material {
                        Some(material) => subscription.on_material(material),
                        None => return,
                    },
                    () = sender.closed() => return,
                };
                if let Some(response) = response.transpose()
                    && sender.send(response).await.is_err()
                {
                    return;
                }
            }
        });
        let responses = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(responses.boxed()))
    }

    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let mut subscription = Subscription::new(&self.app, &self.own);
        let ended = || Status::unavailable("the proxy ends");
        let material = subscription.updates.next().await.ok_or_else(ended)?;
        subscription.on_material(material)?;
        let response = subscription.on_request(request.into_inner())?;
        response.map(Response::new).ok_or_else(|| {
            Status::not_found(format!(
                "no secret of these names: there are {CERTIFICATE}, {ROOTS}, the workload's SPIFFE ID and that of its trust domain"
            ))
        })
    }
}

// === impl Subscription ===

impl Subscription {
    fn new(app: &AppIdentity, own: &IdentityHandle) -> Self {
        Self {
            updates: Updates::new(app, own),
            material: None,
            names: BTreeSet::new(),
            number: 0,
        }
    }

    fn on_material(&mut self, material: Material) -> Result<Option<DiscoveryResponse>, Status> {
        self.material = Some(material);
        self.respond()
    }

    // An answer to a response asks for nothing new unless its names differ.
    fn on_request(
        &mut self,
        request: DiscoveryRequest,
    ) -> Result<Option<DiscoveryResponse>, Status> {
        if !request.type_url.is_empty() && request.type_url != SECRET {
            return Err(Status::invalid_argument(format!(
                "{} is not served here, only {SECRET}",
                request.type_url
            )));
        }
        if let Some(error) = request.error_detail {
            tracing::warn!(error = error.message, "the application refused a secret");
        }
        let names: BTreeSet<_> = request.resource_names.into_iter().collect();
        if names == self.names {
            return Ok(None);
        }
        self.names = names;
        self.respond()
    }

    fn respond(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        let Some(material) = &self.material else {
            return Ok(None);
        };
        let found = self.names.iter().filter_map(|name| secret(name, material));
        let resources: Vec<Any> = found.map(|secret| any(&secret)).collect();
        if resources.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(DiscoveryResponse {
            version_info: self.number.to_string(),
            nonce: self.number.to_string(),
            type_url: SECRET.to_owned(),
            resources,
        }))
    }
}

// Istio's names, and those by which SPIRE's clients ask.
fn secret(name: &str, material: &Material) -> Option<Secret> {
    let kind = if name == CERTIFICATE || name == material.svid.id.to_string() {
        let key = pem("PRIVATE KEY", &material.svid.key_der);
        secret::Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(chain(&material.svid.chain_der)),
            private_key: Some(inline(key)),
        })
    } else if name == ROOTS || name == material.domain() {
        secret::Type::ValidationContext(CertificateValidationContext {
            trusted_ca: Some(chain(material.roots.roots_der())),
        })
    } else {
        return None;
    };
    Some(Secret {
        name: name.to_owned(),
        r#type: Some(kind),
    })
}

fn any(secret: &Secret) -> Any {
    Any {
        type_url: SECRET.to_owned(),
        value: secret.encode_to_vec(),
    }
}

fn chain(certificates: &[Vec<u8>]) -> DataSource {
    let all = certificates.iter().map(|der| pem("CERTIFICATE", der));
    inline(all.collect())
}

fn inline(text: String) -> DataSource {
    DataSource {
        inline_bytes: text.into_bytes(),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(label, der))
}
