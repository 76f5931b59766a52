//! What stands on the other side: a proxy's stream, and the operator's requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::discovery_client::DiscoveryClient;
use mesh_api::v1::{Ack, DiscoveryRequest, DiscoveryResponse, Node, ProxyKind, Rejection};
use mesh_ca::listen::{BoundAddress, Socket};
use mesh_ca::{Authority, Issue, SecretKey};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// Long enough for a loaded machine; nothing waits for it when all is well.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A certificate to present.
#[derive(Clone)]
pub(crate) struct Credentials {
    chain_der: Vec<Vec<u8>>,
    key: SecretKey,
}

impl Credentials {
    pub(crate) fn issue(authority: &Authority, identity: &str, ttl: Duration) -> Self {
        let key = SecretKey::generate().unwrap();
        let request = Issue {
            identity: identity.parse().unwrap(),
            csr_der: key.certificate_request().unwrap(),
            ttl: Some(ttl),
            dns_names: Vec::new(),
            binding: None,
        };
        let issued = authority.issue(&request, SystemTime::now()).unwrap();
        Self {
            chain_der: issued.chain_der,
            key,
        }
    }
}

fn tls_config(roots: &[Vec<u8>], credentials: Option<&Credentials>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store);
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(credentials) => {
            let chain = credentials
                .chain_der
                .iter()
                .map(|der| CertificateDer::from(der.clone()))
                .collect();
            let certified =
                rustls::sign::CertifiedKey::new(chain, credentials.key.tls_key().unwrap());
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                certified,
            )))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

async fn open(address: &BoundAddress) -> std::io::Result<Socket> {
    Socket::connect(&address.clone().into()).await
}

/// A channel to the control plane.
pub(crate) async fn channel(
    address: &BoundAddress,
    roots: &[Vec<u8>],
    credentials: Option<&Credentials>,
) -> Channel {
    let tls = TlsConnector::from(Arc::new(tls_config(roots, credentials)));
    let address = address.clone();
    let connector = tower::service_fn(move |_| {
        let (tls, address) = (tls.clone(), address.clone());
        async move {
            let name = ServerName::try_from("meshd").unwrap();
            Ok::<_, std::io::Error>(TokioIo::new(
                tls.connect(name, open(&address).await?).await?,
            ))
        }
    });
    Endpoint::from_static("http://meshd")
        .connect_with_connector(connector)
        .await
        .unwrap()
}

/// A proxy's stream.
pub(crate) struct Proxy {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

pub(crate) fn node(workload: &str) -> Node {
    let mut node = Node {
        workload: workload.to_owned(),
        build_version: "test".to_owned(),
        ..Node::default()
    };
    node.set_kind(ProxyKind::Sidecar);
    node
}

pub(crate) fn first(
    workload: &str,
    roots: &[&str],
    known: HashMap<String, String>,
) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node(workload)),
        subscribe: roots.iter().map(|&root| root.to_owned()).collect(),
        known: known.into_iter().collect(),
        ..DiscoveryRequest::default()
    }
}

impl Proxy {
    pub(crate) async fn start(channel: Channel, first: DiscoveryRequest) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(16);
        requests.send(first).await.unwrap();
        let responses = DiscoveryClient::new(channel)
            .stream(ReceiverStream::new(stream))
            .await?
            .into_inner();
        Ok(Self {
            requests,
            responses,
        })
    }

    /// The next response.
    pub(crate) async fn response(&mut self) -> Result<DiscoveryResponse, Status> {
        let message = tokio::time::timeout(DEADLINE, self.responses.message())
            .await
            .expect("a response in time");
        message.map(|response| response.expect("an open stream"))
    }

    pub(crate) async fn send(&self, request: DiscoveryRequest) {
        self.requests.send(request).await.unwrap();
    }

    pub(crate) async fn ack(&self, response: &DiscoveryResponse, rejected: Vec<Rejection>) {
        let ack = Ack {
            nonce: response.nonce.clone(),
            revision: response.revision,
            rejected,
        };
        self.send(DiscoveryRequest {
            ack: Some(ack),
            ..DiscoveryRequest::default()
        })
        .await;
    }

    /// Takes the next response and acknowledges it.
    pub(crate) async fn take(&mut self) -> DiscoveryResponse {
        let response = self.response().await.unwrap();
        self.ack(&response, Vec::new()).await;
        response
    }
}

pub(crate) fn names(response: &DiscoveryResponse) -> Vec<&str> {
    response
        .upsert
        .iter()
        .map(|resource| resource.name.as_str())
        .collect()
}

/// Status code and body of an operator's request.
pub(crate) async fn http(address: &BoundAddress, method: &str, path: &str) -> (u16, String) {
    let mut socket = open(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: meshd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, socket.read_to_end(&mut answer))
        .await
        .expect("an answer in time")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.split(' ').nth(1).unwrap().parse().unwrap(),
        body.to_owned(),
    )
}

pub(crate) async fn get_json(address: &BoundAddress, path: &str) -> serde_json::Value {
    let (code, body) = http(address, "GET", path).await;
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}
