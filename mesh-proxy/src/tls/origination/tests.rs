use std::time::Duration;

use rcgen::KeyPair;
use rustls::ServerConfig;

use super::*;
use crate::testing::{LeafSpec, RATINGS, REVIEWS, TestRoot};
use crate::tls::tests::shake;

fn plain_server(root: &TestRoot, spec: &LeafSpec<'_>) -> Arc<ServerConfig> {
    server_with(root.leaf(spec))
}

fn server_with(leaf: Arc<rustls::sign::CertifiedKey>) -> Arc<ServerConfig> {
    let resolver = rustls::sign::SingleCertAndKey::from(leaf);
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
    let plain = Origination {
        names: vec![],
        roots: Some(roots),
        client: None,
        insecure: false,
        alpn: Alpn::Http2,
        crl: None,
        credential: None,
    };
    let named = |names: &[&str]| Origination {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..plain.clone()
    };
    let example = LeafSpec {
        dns: &["example.com"],
        uris: &[REVIEWS],
        ..LeafSpec::default()
    };
    let originator = Originator::default();
    for (what, issuer, origination, right) in [
        ("the name asked for", &root, plain.clone(), true),
        ("a DNS name", &root, named(&["other", "example.com"]), true),
        ("a URI name", &root, named(&[REVIEWS]), true),
        ("another name", &root, named(&["other.example"]), false),
        ("foreign root", &foreign, plain.clone(), false),
        (
            "unchecked",
            &foreign,
            Origination {
                insecure: true,
                roots: None,
                ..plain.clone()
            },
            true,
        ),
    ] {
        let client = originator.client(&origination).unwrap();
        let result = shake(plain_server(issuer, &example), client, "example.com").await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
        if let Ok((server, _)) = result {
            assert_eq!(server.alpn, Some(Alpn::Http2));
        }
    }
    let client = originator.client(&plain).unwrap();
    assert!(
        shake(plain_server(&root, &example), client, "example.org")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn originated_tls_follows_its_files() {
    let (old, new) = (TestRoot::new(), TestRoot::new());
    let directory = tempfile::tempdir().unwrap();
    let roots = directory.path().join("roots.pem");
    let originator = Originator::default();
    let origination = Origination {
        names: vec![],
        roots: Some(roots.clone()),
        client: None,
        insecure: false,
        alpn: Alpn::Tcp,
        crl: None,
        credential: None,
    };
    assert!(matches!(
        originator.client(&origination),
        Err(OriginationError::Certificates(_))
    ));
    std::fs::write(&roots, &old.pem).unwrap();
    let first = originator.client(&origination).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &originator.client(&origination).unwrap()
    ));
    std::fs::write(&roots, &new.pem).unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(5);
    std::fs::File::open(&roots)
        .unwrap()
        .set_modified(later)
        .unwrap();
    let second = originator.client(&origination).unwrap();
    let spec = LeafSpec {
        dns: &["example.com"],
        ..LeafSpec::default()
    };
    assert!(
        shake(plain_server(&new, &spec), second, "example.com")
            .await
            .is_ok()
    );
    assert!(
        shake(plain_server(&old, &spec), first, "example.com")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn mutual_origination_shows_its_certificate() {
    let root = TestRoot::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let key = KeyPair::generate().unwrap();
    let leaf = root.sign(
        &LeafSpec {
            uris: &[RATINGS],
            ..LeafSpec::default()
        },
        &key,
    );
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
        crl: None,
        credential: None,
    };
    let server = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    let client = Originator::default().client(&origination).unwrap();
    let (server_knows, _) = shake(server.server(), client, "reviews").await.unwrap();
    assert_eq!(server_knows.identity.unwrap().as_str(), RATINGS);
}

fn secret(root: &TestRoot, crls: Vec<Vec<u8>>, own: bool) -> Arc<Credential> {
    let pair = rcgen::KeyPair::generate().unwrap();
    let leaf = root.sign(
        &LeafSpec {
            uris: &[RATINGS],
            ..LeafSpec::default()
        },
        &pair,
    );
    Arc::new(Credential {
        name: "default/partner".to_owned(),
        certificate_chain: if own { vec![leaf.to_vec()] } else { vec![] },
        private_key: if own { pair.serialize_der() } else { vec![] },
        client_roots: vec![root.der.to_vec()],
        client_crls: crls,
    })
}

fn by_secret(presented: bool) -> Origination {
    Origination {
        names: vec![],
        roots: None,
        client: None,
        insecure: false,
        alpn: Alpn::Http1,
        crl: None,
        credential: Some(ClientCredential {
            name: "credential/default/partner".parse().unwrap(),
            presented,
        }),
    }
}

#[tokio::test]
async fn a_secret_stands_in_for_files() {
    let root = TestRoot::new();
    let originator = Originator::default();
    let (simple, mutual) = (by_secret(false), by_secret(true));
    let missing = originator.client(&simple);
    assert!(matches!(missing, Err(OriginationError::NoCredential(_))));
    let roots_only = secret(&root, vec![], false);
    let client = originator.client_with(&simple, Some(Arc::clone(&roots_only)));
    let spec = LeafSpec {
        dns: &["example.com"],
        ..LeafSpec::default()
    };
    let shaken = shake(plain_server(&root, &spec), client.unwrap(), "example.com").await;
    assert!(shaken.is_ok());
    let nothing_to_show = originator.client_with(&mutual, Some(roots_only));
    assert!(matches!(
        nothing_to_show,
        Err(OriginationError::NoCertificate(_))
    ));
    let both = secret(&root, vec![], true);
    let client = originator
        .client_with(&mutual, Some(Arc::clone(&both)))
        .unwrap();
    let again = originator.client_with(&mutual, Some(both)).unwrap();
    assert!(Arc::ptr_eq(&client, &again));
    let renewed = originator.client_with(&mutual, Some(secret(&root, vec![], true)));
    assert!(!Arc::ptr_eq(&client, &renewed.unwrap()));
    let mutual_server = LeafSpec {
        uris: &[REVIEWS],
        dns: &["example.com"],
        ..LeafSpec::default()
    };
    let server = root.mesh(&mutual_server).server();
    let (server_knows, _) = shake(server, client, "example.com").await.unwrap();
    assert_eq!(server_knows.identity.unwrap().as_str(), RATINGS);
}

#[tokio::test]
async fn revoked_servers_are_refused() {
    let root = TestRoot::new();
    let spec = LeafSpec {
        dns: &["example.com"],
        ..LeafSpec::default()
    };
    let leaf = root.leaf(&spec);
    let server = server_with(Arc::clone(&leaf));
    let leaf = leaf.cert[0].to_vec();
    let pair = rcgen::KeyPair::generate().unwrap();
    let other = root.sign(&spec, &pair);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("roots.pem"), &root.pem).unwrap();
    for (revoked, asked, right) in [
        (other.as_ref(), "example.com", true),
        (leaf.as_slice(), "example.com", false),
        (other.as_ref(), "example.org", false),
    ] {
        let list = root.revoking(&[revoked]);
        let pem = pem::encode(&pem::Pem::new("X509 CRL", list.clone()));
        std::fs::write(path("list.pem"), pem).unwrap();
        let by_file = Origination {
            roots: Some(path("roots.pem")),
            crl: Some(path("list.pem")),
            credential: None,
            ..by_secret(false)
        };
        let originator = Originator::default();
        let client = originator.client(&by_file).unwrap();
        let shaken = shake(Arc::clone(&server), client, asked).await;
        assert_eq!(shaken.is_ok(), right, "{asked}: {shaken:?}");
        let held = secret(&root, vec![list], false);
        let client = originator
            .client_with(&by_secret(false), Some(held))
            .unwrap();
        let shaken = shake(Arc::clone(&server), client, asked).await;
        assert_eq!(shaken.is_ok(), right, "{asked}: {shaken:?}");
    }
}
