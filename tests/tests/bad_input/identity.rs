//! Clients that are not who they should be: at a STRICT sidecar, and at the control plane.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_api::v1::{SignRequest, TrustBundleRequest};
use mesh_ca::listen::{ListenAddress, Socket};
use mesh_ca::{Authority, AuthorityOptions, Issue, JoinClaims, JoinTokens, SecretKey};
use mesh_tests::laptop::{Answer, exchange};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::fixture::{Fixture, ask, get};

const STRICT: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
";
const HOUR: Duration = Duration::from_secs(3600);
const CLIENT: &str = "spiffe://cluster.local/ns/default/sa/client";

/// These tests are about the client's certificate.
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
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS client with this certificate, if any.
fn tls(certificate: Option<Arc<CertifiedKey>>, alpn: &[u8]) -> TlsConnector {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn handshake(
    to: &ListenAddress,
    certificate: Option<Arc<CertifiedKey>>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<Socket>> {
    let socket = Socket::connect(to).await?;
    tls(certificate, alpn)
        .connect(ServerName::try_from("meshd").unwrap(), socket)
        .await
}

/// A connection to the control plane.
pub(crate) async fn control(
    to: &ListenAddress,
    certificate: Option<Arc<CertifiedKey>>,
) -> Result<CertificateServiceClient<Channel>, tonic::transport::Error> {
    let to = to.clone();
    let connector = tower::service_fn(move |_| {
        let (to, certificate) = (to.clone(), certificate.clone());
        async move { Ok::<_, std::io::Error>(TokioIo::new(handshake(&to, certificate, b"h2").await?)) }
    });
    let channel = Endpoint::from_static("http://meshd")
        .connect_with_connector(connector)
        .await?;
    Ok(CertificateServiceClient::new(channel))
}

/// A certificate of an authority that begins `ago`.
fn certificate(ca: &Path, identity: &str, ttl: Duration, ago: Duration) -> Arc<CertifiedKey> {
    let authority = Authority::open(ca, &AuthorityOptions::default()).unwrap();
    let key = SecretKey::generate().unwrap();
    let request = Issue {
        identity: identity.parse().unwrap(),
        csr_der: key.certificate_request().unwrap(),
        ttl: Some(ttl),
        dns_names: Vec::new(),
        binding: None,
    };
    let issued = authority.issue(&request, SystemTime::now() - ago).unwrap();
    let chain = issued
        .chain_der
        .into_iter()
        .map(CertificateDer::from)
        .collect();
    Arc::new(CertifiedKey::new(chain, key.tls_key().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_sidecar_takes_certificates_of_its_mesh_only() {
    let fixture = Fixture::start().await;
    fixture
        .mesh
        .apply("30-strict.yaml", Some(STRICT))
        .await
        .unwrap();
    let address = ListenAddress::Tcp(fixture.inbound("echo-a").to_string());
    let call = async |certificate| -> anyhow::Result<Answer> {
        let stream = handshake(&address, certificate, b"http/1.1").await?;
        exchange(stream, get("/x", "echo:9000")).await
    };
    let ours = fixture.mesh.state().join("ca");
    let elsewhere = tempfile::tempdir().unwrap();
    let mut traffic = fixture.traffic();

    let answer = call(Some(certificate(&ours, CLIENT, HOUR, Duration::ZERO)))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "a certificate of the mesh: {answer:?}");
    for (what, certificate) in [
        ("no certificate", None),
        (
            "an unknown root",
            Some(certificate(elsewhere.path(), CLIENT, HOUR, Duration::ZERO)),
        ),
        (
            "an expired one",
            Some(certificate(&ours, CLIENT, HOUR / 60, HOUR / 30)),
        ),
    ] {
        let answer = call(certificate).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
    }
    let plain = ask(&address, get("/x", "echo:9000")).await;
    assert!(
        plain.as_ref().map_or(true, |answer| answer.status != 200),
        "plaintext: {plain:?}"
    );
    traffic.more(20).await.unwrap();
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_plane_signs_for_those_only_who_may_join() {
    let fixture = Fixture::start().await;
    let address = ListenAddress::Unix(fixture.mesh.state().join("meshd.sock"));
    let ours = fixture.mesh.state().join("ca");
    let elsewhere = tempfile::tempdir().unwrap();
    let mint = |dir: &Path, expires: SystemTime| {
        let claims = JoinClaims {
            workload: "default/client".parse().unwrap(),
            service_account: "client".to_owned(),
            expires,
            single_use: true,
            labels: [].into(),
        };
        JoinTokens::open(dir).unwrap().mint(&claims).unwrap()
    };
    let now = SystemTime::now();
    let used =
        std::fs::read_to_string(fixture.mesh.state().join("proxies/default.client/token")).unwrap();
    let mut traffic = fixture.traffic();
    let mut client = control(&address, None).await.unwrap();
    let own = SecretKey::generate()
        .unwrap()
        .certificate_request()
        .unwrap();
    let other = request_for("spiffe://cluster.local/ns/default/sa/echo");
    for (what, token, csr, reason) in [
        ("no token", None, &own, "no_credentials"),
        (
            "nonsense",
            Some("nonsense".to_owned()),
            &own,
            "token_malformed",
        ),
        (
            "expired",
            Some(mint(&ours, now - HOUR)),
            &own,
            "token_expired",
        ),
        (
            "replayed",
            Some(used.trim().to_owned()),
            &own,
            "token_replayed",
        ),
        (
            "foreign",
            Some(mint(elsewhere.path(), now + HOUR)),
            &own,
            "token_foreign",
        ),
        (
            "another identity",
            Some(mint(&ours, now + HOUR)),
            &other,
            "request_name",
        ),
    ] {
        let status = client.sign(request(csr, token)).await.unwrap_err();
        let told = status
            .metadata()
            .get("mesh-refusal")
            .map(|value| value.to_str().unwrap());
        assert_eq!(told, Some(reason), "{what}: {status}");
    }
    // The same question asked properly is answered.
    let token = mint(&ours, now + HOUR);
    let answer = client.sign(request(&own, Some(token))).await.unwrap();
    assert_eq!(answer.into_inner().identity, CLIENT);
    traffic.more(5).await.unwrap();
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_plane_takes_certificates_of_its_mesh_only() {
    let fixture = Fixture::start().await;
    let address = ListenAddress::Unix(fixture.mesh.state().join("meshd.sock"));
    let ours = fixture.mesh.state().join("ca");
    let elsewhere = tempfile::tempdir().unwrap();
    for (what, certificate) in [
        (
            "an unknown root",
            certificate(elsewhere.path(), CLIENT, HOUR, Duration::ZERO),
        ),
        (
            "an expired one",
            certificate(&ours, CLIENT, HOUR / 60, HOUR / 30),
        ),
    ] {
        // With TLS 1.3 the client may learn of it only when it reads.
        let failed = match control(&address, Some(certificate)).await {
            Err(_) => true,
            Ok(mut client) => client.trust_bundle(TrustBundleRequest {}).await.is_err(),
        };
        assert!(failed, "{what}");
    }
    let good = certificate(&ours, CLIENT, HOUR, Duration::ZERO);
    for certificate in [None, Some(good)] {
        let mut client = control(&address, certificate).await.unwrap();
        client.trust_bundle(TrustBundleRequest {}).await.unwrap();
    }
    fixture.mesh.stop().unwrap();
}

fn request(csr: &[u8], token: Option<String>) -> tonic::Request<SignRequest> {
    let mut request = tonic::Request::new(SignRequest {
        csr_der: csr.to_vec(),
        ttl_seconds: 0,
    });
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// A certificate request that names an identity itself.
fn request_for(identity: &str) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.subject_alt_names = vec![rcgen::SanType::URI(identity.try_into().unwrap())];
    parameters
        .serialize_request(&rcgen::KeyPair::generate().unwrap())
        .unwrap()
        .der()
        .to_vec()
}
