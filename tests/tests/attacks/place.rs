//! A mesh to attack, and what an attacker has.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_api::v1::discovery_client::DiscoveryClient;
use mesh_api::v1::{DiscoveryRequest, Node, ProxyKind, SignRequest, SignResponse};
use mesh_ca::listen::{ListenAddress, Socket};
use mesh_ca::{Authority, AuthorityOptions, Issue, JoinClaims, JoinTokens, SecretKey};
use mesh_tests::echo::Echo;
use mesh_tests::laptop::{Answer, exchange};
use mesh_tests::{LaptopMesh, Traffic};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";
pub(crate) const ECHO: &str = "spiffe://cluster.local/ns/default/sa/echo";

const STRICT: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
";

/// A client and a server, strict, with requests under way that must not fail.
pub(crate) struct Place {
    pub(crate) mesh: LaptopMesh,
    traffic: Traffic,
    _echo: Echo,
}

/// A certificate with its key.
pub(crate) type Credentials = Option<Arc<CertifiedKey>>;

// === impl Place ===

impl Place {
    /// One whose file declares all workloads.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[("MESHD_NO_REGISTRATION", "true")], "").await
    }

    /// One with these settings of the control plane, and more configuration.
    pub(crate) async fn start_with(settings: &[(&str, &str)], config: &str) -> Self {
        let echo = Echo::start("echo").await.unwrap();
        let text = mesh_file(&echo, "", "");
        let mut command = Command::new(mesh_tests::meshctl());
        command.envs(settings.iter().copied());
        let files = [("strict.yaml", STRICT), ("more.yaml", config)];
        let mesh = LaptopMesh::launch(command, &text, &files).unwrap();
        let explicit = mesh.explicit("client").unwrap();
        let traffic = Traffic::start(explicit, to_echo, mesh_tests::traffic::is_ok);
        Self {
            mesh,
            traffic,
            _echo: echo,
        }
    }

    /// Nobody else has noticed anything.
    pub(crate) async fn stays_well(mut self) {
        self.traffic.more(10).await.unwrap();
        self.traffic.stop().await.unwrap();
        self.mesh.stop().unwrap();
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.mesh.state().join("ca")
    }

    fn control_plane(&self) -> ListenAddress {
        ListenAddress::Unix(self.mesh.state().join("meshd.sock"))
    }

    /// A token as the operator makes them.
    pub(crate) fn token(&self, workload: &str, account: &str, expires: SystemTime) -> String {
        mint(&self.ca(), workload, account, expires)
    }

    /// What a workload gets that joins by a token with these labels, by its own request.
    pub(crate) async fn join(
        &self,
        workload: &str,
        account: &str,
        labels: &[(&str, &str)],
        csr: Option<(SecretKey, Vec<u8>)>,
    ) -> Credentials {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let claims = JoinClaims {
            workload: workload.parse().unwrap(),
            service_account: account.to_owned(),
            expires: SystemTime::now() + HOUR,
            single_use: true,
            labels: labels.iter().map(own).collect(),
        };
        let token = JoinTokens::open(&self.ca()).unwrap().mint(&claims).unwrap();
        self.certified(Some(&token), None, csr).await
    }

    /// What a workload gets that shows its certificate.
    pub(crate) async fn renewed(&self, credentials: Credentials) -> Credentials {
        self.certified(None, credentials, None).await
    }

    async fn certified(
        &self,
        token: Option<&str>,
        credentials: Credentials,
        csr: Option<(SecretKey, Vec<u8>)>,
    ) -> Credentials {
        let (key, csr) = csr.unwrap_or_else(|| {
            let key = SecretKey::generate().unwrap();
            let csr = key.certificate_request().unwrap();
            (key, csr)
        });
        let answer = self.sign(&csr, token, credentials).await.unwrap();
        Some(certified(answer.chain_der, &key))
    }

    /// Asks the authority for a certificate.
    pub(crate) async fn sign(
        &self,
        csr: &[u8],
        token: Option<&str>,
        credentials: Credentials,
    ) -> Result<SignResponse, Status> {
        let channel = self.channel(credentials).await?;
        let mut request = Request::new(SignRequest {
            csr_der: csr.to_vec(),
            ttl_seconds: 0,
        });
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let answer = CertificateServiceClient::new(channel).sign(request).await?;
        Ok(answer.into_inner())
    }

    /// Asks for the configuration of a workload; gives the names of what came.
    pub(crate) async fn configuration(
        &self,
        workload: &str,
        credentials: Credentials,
    ) -> Result<Vec<String>, Status> {
        let channel = self.channel(credentials).await?;
        let first = DiscoveryRequest {
            node: Some(Node {
                workload: workload.to_owned(),
                kind: ProxyKind::Sidecar.into(),
                ..Node::default()
            }),
            subscribe: vec!["inbound/self".to_owned()],
            ..DiscoveryRequest::default()
        };
        let requests = futures_util::StreamExt::chain(
            futures_util::stream::iter([first]),
            futures_util::stream::pending(),
        );
        let mut stream = DiscoveryClient::new(channel)
            .stream(requests)
            .await?
            .into_inner();
        let response = stream.message().await?.unwrap();
        Ok(response.upsert.into_iter().map(|one| one.name).collect())
    }

    /// A request straight to the port of the server's sidecar.
    pub(crate) async fn call(&self, credentials: Credentials) -> anyhow::Result<Answer> {
        let workload = self.mesh.workload("echo")?;
        let address = format!("{}:9000", workload["address"].as_str().unwrap());
        let socket = Socket::connect(&ListenAddress::Tcp(address)).await?;
        let name = ServerName::try_from("echo")?;
        let stream = tls(credentials, b"http/1.1").connect(name, socket).await?;
        exchange(stream, to_echo()).await
    }

    pub(crate) async fn channel(&self, credentials: Credentials) -> Result<Channel, Status> {
        let to = self.control_plane();
        let connector = tower::service_fn(move |_| {
            let (to, credentials) = (to.clone(), credentials.clone());
            async move {
                let socket = Socket::connect(&to).await?;
                let name = ServerName::try_from("meshd").unwrap();
                let stream = tls(credentials, b"h2").connect(name, socket).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        Endpoint::from_static("http://meshd")
            .connect_with_connector(connector)
            .await
            .map_err(|error| Status::unavailable(format!("handshake: {error}")))
    }
}

/// A mesh file with a client, a thief of another namespace and a server of HTTP; more of `spec`
/// and more workloads are lines of YAML.
pub(crate) fn mesh_file(echo: &Echo, spec: &str, workloads: &str) -> String {
    let port = echo.address().port();
    format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: attacked}}
spec:
{spec}  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
  - {{name: thief, namespace: other, serviceAccount: thief, labels: {{app: thief}}}}
  - {{name: echo, serviceAccount: echo, labels: {{app: echo}}, ports: [{{name: http, port: 9000, appPort: {port}}}]}}
{workloads}"
    )
}

fn to_echo() -> http::Request<bytes::Bytes> {
    http::Request::builder()
        .uri("http://echo:9000/x")
        .header("host", "echo:9000")
        .body(bytes::Bytes::new())
        .unwrap()
}

/// A token of the authority in a directory.
pub(crate) fn mint(ca: &Path, workload: &str, account: &str, expires: SystemTime) -> String {
    let claims = JoinClaims {
        workload: workload.parse().unwrap(),
        service_account: account.to_owned(),
        expires,
        single_use: true,
        labels: [].into(),
    };
    JoinTokens::open(ca).unwrap().mint(&claims).unwrap()
}

/// A certificate of the authority in a directory.
pub(crate) fn certificate(ca: &Path, identity: &str, options: &AuthorityOptions) -> Credentials {
    let authority = Authority::open(ca, options).unwrap();
    let key = SecretKey::generate().unwrap();
    let request = Issue {
        identity: identity.parse().unwrap(),
        csr_der: key.certificate_request().unwrap(),
        ttl: Some(HOUR),
        dns_names: Vec::new(),
        binding: None,
    };
    let issued = authority.issue(&request, SystemTime::now()).unwrap();
    Some(certified(issued.chain_der, &key))
}

/// The mesh's own authority, misled: its keys sign whatever name is wanted.
pub(crate) fn misissued(ca: &Path, uri: &str) -> Credentials {
    let read = |name: &str| std::fs::read_to_string(ca.join(name)).unwrap();
    let signer = rcgen::KeyPair::from_pem(&read("intermediate.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("intermediate.pem"), signer).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    let intermediate =
        rustls::pki_types::pem::PemObject::from_pem_file(ca.join("intermediate.pem"));
    let intermediate: CertificateDer<'static> = intermediate.unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&rustls::pki_types::PrivateKeyDer::Pkcs8(
        key.serialize_der().into(),
    ));
    Some(Arc::new(CertifiedKey::new(
        vec![leaf.der().clone(), intermediate],
        key.unwrap(),
    )))
}

/// What came from the authority, as something to show.
pub(crate) fn certified(chain: Vec<Vec<u8>>, key: &SecretKey) -> Arc<CertifiedKey> {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Arc::new(CertifiedKey::new(chain, key.tls_key().unwrap()))
}

/// The reason that a refusal names.
pub(crate) fn reason(status: &Status) -> &str {
    let reason = status.metadata().get("mesh-refusal");
    reason.map_or("", |value| value.to_str().unwrap())
}

fn tls(credentials: Credentials, alpn: &[u8]) -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// How a client of TLS begins that asks for this server.
pub(crate) fn client_hello(name: &str) -> Vec<u8> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let config = Arc::clone(tls(None, b"bytes").config());
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// An attacker does not care who the server is.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

// === impl AnyServer ===

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
