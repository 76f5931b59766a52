use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;

pub(crate) const REVIEWS: &str = "spiffe://cluster.local/ns/default/sa/reviews";
pub(crate) const RATINGS: &str = "spiffe://cluster.local/ns/default/sa/ratings";
const LONG: Duration = Duration::from_secs(20);

/// A root that signs leaves for tests.
pub(crate) struct TestRoot {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
}

/// What a test leaf says.
#[derive(Clone)]
pub(crate) struct LeafSpec<'a> {
    pub(crate) uris: &'a [&'a str],
    pub(crate) dns: &'a [&'a str],
    pub(crate) seconds: (i64, i64),
}

impl Default for LeafSpec<'_> {
    fn default() -> Self {
        Self { uris: &[], dns: &[], seconds: (-60, 3600) }
    }
}

impl TestRoot {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn params(spec: &LeafSpec<'_>) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let now = OffsetDateTime::now_utc();
        params.not_before = now + time::Duration::seconds(spec.seconds.0);
        params.not_after = now + time::Duration::seconds(spec.seconds.1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        let dns = |dns: &&str| SanType::DnsName((*dns).try_into().unwrap());
        params.subject_alt_names = spec.uris.iter().map(uri).chain(spec.dns.iter().map(dns)).collect();
        params
    }

    pub(crate) fn sign(&self, spec: &LeafSpec<'_>, key: &impl rcgen::PublicKeyData) -> CertificateDer<'static> {
        Self::params(spec).signed_by(key, &self.issuer).unwrap().der().clone()
    }

    pub(crate) fn leaf(&self, spec: &LeafSpec<'_>) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let der = self.sign(spec, &key);
        let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialized_der()));
        let signer = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&pkcs8).unwrap();
        Arc::new(CertifiedKey::new(vec![der], signer))
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust { roots: Arc::new(self.store()), domains: vec!["cluster.local".into()] })
    }

    pub(crate) fn store(&self) -> RootCertStore {
        root_store([self.der.as_ref()])
    }

    fn mesh(&self, spec: &LeafSpec<'_>) -> MeshTls {
        MeshTls::new(self.leaf(spec), self.trust()).unwrap()
    }
}

type Outcome = Result<(PeerInfo, PeerInfo), (Option<TlsError>, Option<TlsError>)>;

// A handshake and one byte each way; what the server and the client know of each other.
async fn shake(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> Outcome {
    let (near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(64 * 1024);
    let serve = async {
        let (mut stream, peer) = accept(near, server, LONG).await?;
        stream.write_all(b"x").await.map_err(TlsError::Handshake)?;
        stream.flush().await.map_err(TlsError::Handshake)?;
        Ok::<_, TlsError>((stream, peer))
    };
    let call = async {
        let (mut stream, peer) = connect(far, client, name, LONG).await?;
        // With TLS 1.3 the server's refusal comes after the client's handshake.
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map_err(TlsError::Handshake)?;
        Ok::<_, TlsError>((stream, peer))
    };
    match tokio::join!(serve, call) {
        (Ok((_, server)), Ok((_, client))) => Ok((server, client)),
        (server, client) => Err((server.err(), client.err())),
    }
}

const SNI: &str = "outbound_.9080_.v1_.reviews.default.svc.cluster.local";

#[tokio::test]
async fn servers_are_who_they_should_be() {
    let (root, foreign) = (TestRoot::new(), TestRoot::new());
    let client = root.mesh(&LeafSpec { uris: &[RATINGS], ..LeafSpec::default() });
    let one = Expect::Identity(REVIEWS.parse().unwrap());
    let any = Expect::AnyOf([RATINGS.to_owned(), REVIEWS.to_owned()].into());
    let other = Expect::AnyOf([RATINGS.to_owned()].into());
    let good = LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() };
    let cases = [
        ("right", &root, good.clone(), &one, true),
        ("right, with a DNS name, too", &root, LeafSpec { dns: &["reviews"], ..good.clone() }, &one, true),
        ("one of several", &root, good.clone(), &any, true),
        ("any of the mesh", &root, good.clone(), &Expect::Mesh, true),
        ("none of several", &root, good.clone(), &other, false),
        ("wrong identity", &root, LeafSpec { uris: &[RATINGS], ..good.clone() }, &one, false),
        ("two identities", &root, LeafSpec { uris: &[REVIEWS, RATINGS], ..good.clone() }, &one, false),
        ("no identity", &root, LeafSpec { uris: &[], dns: &["reviews"], ..good.clone() }, &one, false),
        ("no identity, any", &root, LeafSpec { uris: &[], ..good.clone() }, &Expect::Mesh, false),
        ("no SPIFFE ID", &root, LeafSpec { uris: &["https://reviews/"], ..good.clone() }, &Expect::Mesh, false),
        ("foreign root", &foreign, good.clone(), &one, false),
        ("expired", &root, LeafSpec { seconds: (-3600, -60), ..good.clone() }, &one, false),
        ("not valid yet", &root, LeafSpec { seconds: (600, 3600), ..good.clone() }, &one, false),
    ];
    for (what, issuer, spec, expect, right) in cases {
        // The server trusts the client's root in all cases.
        let server = MeshTls::new(issuer.leaf(&spec), root.trust()).unwrap();
        let result = shake(server.server(), client.client(Alpn::Http1, expect).unwrap(), SNI).await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
        if let Ok((server_knows, client_knows)) = result {
            assert_eq!(server_knows.identity.unwrap().as_str(), RATINGS);
            assert_eq!(server_knows.server_name.as_deref(), Some(SNI));
            assert_eq!(client_knows.identity.unwrap().as_str(), REVIEWS);
            assert!(server_knows.certificate_hash.is_some());
        }
    }
}

#[tokio::test]
async fn clients_need_an_identity_of_the_mesh() {
    let (root, foreign) = (TestRoot::new(), TestRoot::new());
    let server = root.mesh(&LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() });
    let good = LeafSpec { uris: &[RATINGS], ..LeafSpec::default() };
    let abroad = "spiffe://other.example/ns/default/sa/ratings";
    let cases = [
        ("right", &root, good.clone(), true),
        ("other trust domain", &root, LeafSpec { uris: &[abroad], ..good.clone() }, false),
        ("two identities", &root, LeafSpec { uris: &[RATINGS, REVIEWS], ..good.clone() }, false),
        ("no identity", &root, LeafSpec { uris: &[], dns: &["ratings"], ..good.clone() }, false),
        ("foreign root", &foreign, good.clone(), false),
        ("expired", &root, LeafSpec { seconds: (-3600, -60), ..good.clone() }, false),
    ];
    for (what, issuer, spec, right) in cases {
        let client = MeshTls::new(issuer.leaf(&spec), root.trust()).unwrap();
        let result = shake(server.server(), client.client(Alpn::Tcp, &Expect::Mesh).unwrap(), SNI).await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
    }
    let anonymous = control_client(root.store(), None).unwrap();
    assert!(shake(server.server(), Arc::new(anonymous), "reviews").await.is_err(), "no certificate");
}

#[tokio::test]
async fn alpn_says_what_is_carried() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() });
    for (offered, agreed) in [(Alpn::Http1, Some(Alpn::Http1)), (Alpn::Http2, Some(Alpn::Http2)), (Alpn::Tcp, None)] {
        let (server, client) =
            shake(tls.server(), tls.client(offered, &Expect::Mesh).unwrap(), SNI).await.unwrap();
        assert_eq!((server.alpn, client.alpn), (agreed, agreed));
    }
    assert!(Alpn::Http1.mesh_tokens().iter().any(|token| Alpn::is_mesh_token(token)));
    assert!(!Alpn::is_mesh_token(b"h2"));
}

#[tokio::test]
async fn sessions_end_with_the_certificate() {
    let root = TestRoot::new();
    let spec = LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() };
    let (old, new) = (root.mesh(&spec), root.mesh(&spec));
    let kind = async |server: &MeshTls, client: &MeshTls| {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let client = client.client(Alpn::Http1, &Expect::Mesh).unwrap();
        let serve = async {
            let (mut stream, _) = accept(near, server.server(), LONG).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            stream.flush().await.unwrap();
            stream
        };
        let call = async {
            let (mut stream, _) = connect(far, client, SNI, LONG).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            stream.get_ref().1.handshake_kind().unwrap()
        };
        tokio::join!(serve, call).1
    };
    assert_eq!(kind(&old, &old).await, rustls::HandshakeKind::Full);
    assert_eq!(kind(&old, &old).await, rustls::HandshakeKind::Resumed);
    assert_eq!(kind(&new, &old).await, rustls::HandshakeKind::Full, "the server has a new certificate");
    assert_eq!(kind(&old, &new).await, rustls::HandshakeKind::Full, "the client has a new certificate");
}

#[test]
fn client_configurations_are_kept() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() });
    let expect = Expect::Identity(REVIEWS.parse().unwrap());
    let one = tls.client(Alpn::Http1, &expect).unwrap();
    assert!(Arc::ptr_eq(&one, &tls.client(Alpn::Http1, &expect).unwrap()));
    assert!(!Arc::ptr_eq(&one, &tls.client(Alpn::Http2, &expect).unwrap()));
    assert!(!Arc::ptr_eq(&one, &tls.client(Alpn::Http1, &Expect::Mesh).unwrap()));
}

fn plain_server(root: &TestRoot, spec: &LeafSpec<'_>) -> Arc<ServerConfig> {
    let resolver = rustls::sign::SingleCertAndKey::from(root.leaf(spec));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn originated_tls_checks_names() {
    let (root, foreign) = (TestRoot::new(), TestRoot::new());
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    std::fs::write(&roots, &root.pem).unwrap();
    let plain = Origination { names: vec![], roots: Some(roots), client: None, insecure: false, alpn: Alpn::Http2 };
    let named = |names: &[&str]| Origination {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..plain.clone()
    };
    let example = LeafSpec { dns: &["example.com"], uris: &[REVIEWS], ..LeafSpec::default() };
    let originator = Originator::default();
    for (what, issuer, origination, right) in [
        ("the name asked for", &root, plain.clone(), true),
        ("a DNS name", &root, named(&["other", "example.com"]), true),
        ("a URI name", &root, named(&[REVIEWS]), true),
        ("another name", &root, named(&["other.example"]), false),
        ("foreign root", &foreign, plain.clone(), false),
        ("unchecked", &foreign, Origination { insecure: true, roots: None, ..plain.clone() }, true),
    ] {
        let client = originator.client(&origination).unwrap();
        let result = shake(plain_server(issuer, &example), client, "example.com").await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
        if let Ok((server, _)) = result {
            assert_eq!(server.alpn, Some(Alpn::Http2));
        }
    }
    let client = originator.client(&plain).unwrap();
    assert!(shake(plain_server(&root, &example), client, "example.org").await.is_err());
}

#[tokio::test]
async fn originated_tls_follows_its_files() {
    let (old, new) = (TestRoot::new(), TestRoot::new());
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    let originator = Originator::default();
    let origination =
        Origination { names: vec![], roots: Some(roots.clone()), client: None, insecure: false, alpn: Alpn::Tcp };
    assert!(matches!(originator.client(&origination), Err(OriginationError::Certificates(_))));
    std::fs::write(&roots, &old.pem).unwrap();
    let first = originator.client(&origination).unwrap();
    assert!(Arc::ptr_eq(&first, &originator.client(&origination).unwrap()));
    std::fs::write(&roots, &new.pem).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::open(&roots).unwrap().set_modified(later).unwrap();
    let second = originator.client(&origination).unwrap();
    let spec = LeafSpec { dns: &["example.com"], ..LeafSpec::default() };
    assert!(shake(plain_server(&new, &spec), second, "example.com").await.is_ok());
    assert!(shake(plain_server(&old, &spec), first, "example.com").await.is_ok());
}

#[tokio::test]
async fn mutual_origination_shows_its_certificate() {
    let root = TestRoot::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let key = KeyPair::generate().unwrap();
    let leaf = root.sign(&LeafSpec { uris: &[RATINGS], ..LeafSpec::default() }, &key);
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &leaf)
    );
    std::fs::write(path("roots.pem"), &root.pem).unwrap();
    std::fs::write(path("leaf.pem"), pem).unwrap();
    std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let origination = Origination {
        names: vec![REVIEWS.to_owned()],
        roots: Some(path("roots.pem")),
        client: Some((path("leaf.pem"), path("key.pem"))),
        insecure: false,
        alpn: Alpn::Http1,
    };
    let server = root.mesh(&LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() });
    let client = Originator::default().client(&origination).unwrap();
    let (server_knows, _) = shake(server.server(), client, "reviews").await.unwrap();
    assert_eq!(server_knows.identity.unwrap().as_str(), RATINGS);
}

#[tokio::test(start_paused = true)]
async fn slow_peers_time_out() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec { uris: &[REVIEWS], ..LeafSpec::default() });
    let (near, _far) = tokio::io::duplex(1024);
    let result = accept(near, tls.server(), Duration::from_secs(1)).await;
    assert!(matches!(result, Err(TlsError::Timeout)), "{:?}", result.err());
}

#[test]
fn roots_are_read_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roots.pem");
    assert!(control_roots(&path, &[]).is_err(), "no file");
    std::fs::write(&path, "nothing").unwrap();
    assert!(control_roots(&path, &[]).is_err(), "no certificate");
    let root = TestRoot::new();
    assert_eq!(control_roots(&path, &[root.der.to_vec()]).unwrap().len(), 1, "learned roots are enough");
    std::fs::write(&path, &root.pem).unwrap();
    assert_eq!(control_roots(&path, &[TestRoot::new().der.to_vec()]).unwrap().len(), 2);
}
