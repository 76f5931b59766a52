use std::collections::BTreeMap;

use mesh_api::v1;
use mesh_proxy_core::ir::{Gateway, ListenerId};

use super::*;
use crate::testing::{LeafSpec, TestRoot};

fn snapshot(credential: Option<v1::Credential>, server: v1::TlsServer) -> Snapshot {
    let gateway = v1::Gateway {
        place: None,
        workload: "default/gw".into(),
        listeners: vec![v1::GatewayListener {
            port: 443,
            protocol: v1::Protocol::Tls.into(),
            tls: vec![server],
            ..Default::default()
        }],
        policies: vec![],
        ..Default::default()
    };
    let mut bodies = vec![(
        "gateway/self".to_owned(),
        v1::resource::Body::Gateway(gateway),
    )];
    bodies.extend(credential.map(|credential| {
        let name = format!("credential/{}/{}", credential.namespace, credential.name);
        (name, v1::resource::Body::Credential(credential))
    }));
    let upsert = bodies.into_iter().map(|(name, body)| v1::Resource {
        name,
        version: "1".into(),
        body: Some(body),
    });
    let applied = Snapshot::empty().apply(&v1::DiscoveryResponse {
        revision: 1,
        upsert: upsert.collect(),
        ..Default::default()
    });
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    applied.snapshot
}

fn server(change: impl FnOnce(&mut v1::TlsServer)) -> v1::TlsServer {
    let mut server = v1::TlsServer {
        sni_hosts: vec!["a.example.com".into()],
        mode: v1::TlsServerMode::Simple.into(),
        protocol: v1::Protocol::Http.into(),
        credential: "default/cert".into(),
        ..Default::default()
    };
    change(&mut server);
    server
}

fn credential(root: &TestRoot, key: Option<Vec<u8>>) -> v1::Credential {
    let pair = rcgen::KeyPair::generate().unwrap();
    let leaf = root.sign(&LeafSpec::default(), &pair);
    v1::Credential {
        namespace: "default".into(),
        name: "cert".into(),
        certificate_chain: vec![leaf.to_vec()],
        private_key: key.unwrap_or_else(|| pair.serialize_der()),
        ..Default::default()
    }
}

fn only(snapshot: &Snapshot) -> Arc<TlsServer> {
    let gateway: &Arc<Gateway> = snapshot.gateway().unwrap();
    let listeners: &BTreeMap<ListenerId, _> = &gateway.listeners;
    Arc::clone(listeners[&443.into()].tls.iter().next().unwrap())
}

#[test]
fn configurations_are_kept_until_the_credential_changes() {
    let root = TestRoot::new();
    let maker = GatewayTls::default();
    let first = snapshot(Some(credential(&root, None)), server(|_| {}));
    let one = maker.serving(&only(&first), &first, None).config.unwrap();
    let same = maker.serving(&only(&first), &first, None).config.unwrap();
    assert!(Arc::ptr_eq(&one, &same));
    assert_eq!(one.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let second = snapshot(Some(credential(&root, None)), server(|_| {}));
    let other = maker.serving(&only(&second), &second, None).config.unwrap();
    assert!(!Arc::ptr_eq(&one, &other));
    // A key that does not fit: the last good configuration serves on, and the trouble is told.
    let wrong = rcgen::KeyPair::generate().unwrap().serialize_der();
    let third = snapshot(Some(credential(&root, Some(wrong))), server(|_| {}));
    let Serving { config, trouble } = maker.serving(&only(&third), &third, None);
    assert!(Arc::ptr_eq(&config.unwrap(), &other));
    assert!(
        matches!(trouble, Some(GatewayTlsError::Tls(_))),
        "{trouble:?}"
    );
    // Gone is gone, and its key is forgotten.
    let gone = snapshot(None, server(|_| {}));
    let Serving { config, trouble } = maker.serving(&only(&gone), &gone, None);
    assert!(config.is_none());
    assert!(matches!(trouble, Some(GatewayTlsError::NoCredential(_))));
    maker.retain(&gone);
    assert!(maker.lock().is_empty());
}

#[test]
fn what_a_server_lacks_is_named() {
    let root = TestRoot::new();
    let maker = GatewayTls::default();
    let trouble = |server: v1::TlsServer, credential: v1::Credential| {
        let snapshot = snapshot(Some(credential), server);
        let serving = maker.serving(&only(&snapshot), &snapshot, None);
        assert!(serving.config.is_none());
        serving.trouble.unwrap().to_string()
    };
    let mutual = server(|server| server.mode = v1::TlsServerMode::Mutual.into());
    assert_eq!(
        trouble(mutual, credential(&root, None)),
        "no root for client certificates"
    );
    assert_eq!(
        trouble(server(|_| {}), credential(&root, Some(vec![1, 2, 3]))),
        "the private key is in no known form"
    );
    let mesh = server(|server| server.mode = v1::TlsServerMode::IstioMutual.into());
    assert_eq!(
        trouble(mesh, credential(&root, None)),
        "the gateway has no certificate of the mesh yet"
    );
    let files = server(|server| {
        server.credential.clear();
        server.files = Some(v1::ServerTlsFiles {
            certificate: "/nowhere/tls.crt".into(),
            private_key: "/nowhere/tls.key".into(),
            ..Default::default()
        });
    });
    assert!(trouble(files, credential(&root, None)).starts_with("/nowhere/tls.key: "));
}

#[test]
fn suites_and_versions_are_limited() {
    let root = TestRoot::new();
    let maker = GatewayTls::default();
    let suites = |names: &[&str]| {
        let snapshot = snapshot(
            Some(credential(&root, None)),
            server(|server| {
                server.cipher_suites = names.iter().map(|name| (*name).into()).collect();
            }),
        );
        let config = maker
            .serving(&only(&snapshot), &snapshot, None)
            .config
            .unwrap();
        let all = &config.crypto_provider().cipher_suites;
        all.iter().filter(|suite| suite.tls13().is_none()).count()
    };
    assert_eq!(
        suites(&[]),
        CIPHER_SUITES.len(),
        "rustls has others than we name"
    );
    assert_eq!(suites(&["ECDHE-ECDSA-AES256-GCM-SHA384"]), 1);
    assert_eq!(suites(&["AES128-SHA"]), 0);
}

#[test]
fn subjects_have_the_form_of_rfc_2253() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut params = TestRoot::params(&LeafSpec {
        uris: &["spiffe://a/ns/b/sa/c"],
        dns: &["a.example.com"],
        ..LeafSpec::default()
    });
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in [
        (rcgen::DnType::CountryName, "CH"),
        (rcgen::DnType::OrganizationName, "a, \"b\" + c"),
        (rcgen::DnType::CommonName, "#ä"),
    ] {
        params.distinguished_name.push(kind, value);
    }
    let der = params.self_signed(&pair).unwrap().der().to_vec();
    let client = ClientCertificate::parse(&der).unwrap();
    assert_eq!(client.subject, r#"CN=\#\C3\A4,O=a\, \"b\" \+ c,C=CH"#);
    assert!(client.has_one_of(&[]) && client.has_one_of(&["a.example.com".to_owned()]));
    assert!(client.has_one_of(&["spiffe://a/ns/b/sa/c".to_owned()]));
    assert!(!client.has_one_of(&["b.example.com".to_owned()]));
    assert!(ClientCertificate::parse(b"nonsense").is_none());
}

/// Takes any certificate, if it is signed with in this way.
#[derive(Debug)]
struct Knows(rustls::SignatureScheme);

impl rustls::client::danger::ServerCertVerifier for Knows {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![self.0]
    }
}

/// The certificate that a client gets which knows this algorithm only.
fn presented(config: &Arc<ServerConfig>, scheme: rustls::SignatureScheme) -> Vec<u8> {
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Knows(scheme)))
        .with_no_client_auth();
    let name = "a.example.com".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
    while client.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    client.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn of_two_certificates_clients_get_the_one_that_they_know() {
    let root = TestRoot::new();
    let first = credential(&root, None);
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let second = v1::Credential {
        name: "other".into(),
        certificate_chain: vec![root.sign(&LeafSpec::default(), &pair).to_vec()],
        private_key: pair.serialize_der(),
        ..first.clone()
    };
    let both = |server| {
        let held = [first.clone(), second.clone()];
        let upsert = held.into_iter().map(|credential| v1::Resource {
            name: format!("credential/default/{}", credential.name),
            version: "1".into(),
            body: Some(v1::resource::Body::Credential(credential)),
        });
        let applied = snapshot(None, server).apply(&v1::DiscoveryResponse {
            revision: 2,
            upsert: upsert.collect(),
            ..Default::default()
        });
        assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
        applied.snapshot
    };
    let snapshot = both(server(|server| {
        server.more_credentials = vec!["default/other".into()];
    }));
    let maker = GatewayTls::default();
    let config = maker
        .serving(&only(&snapshot), &snapshot, None)
        .config
        .unwrap();
    let by = |scheme| presented(&config, scheme);
    let ecdsa = rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
    assert_eq!(by(ecdsa), first.certificate_chain[0]);
    assert_eq!(
        by(rustls::SignatureScheme::ED25519),
        second.certificate_chain[0]
    );
}
