use std::net::SocketAddr;
mod federation;

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::testing::{LeafSpec, RATINGS, REVIEWS, TestRoot};

const LONG: Duration = Duration::from_secs(20);

pub(super) type Outcome = Result<(PeerInfo, PeerInfo), (Option<TlsError>, Option<TlsError>)>;

// A handshake and one byte each way; what the server and the client know of each other.
pub(super) async fn shake(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> Outcome {
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
        stream
            .read_exact(&mut byte)
            .await
            .map_err(TlsError::Handshake)?;
        Ok::<_, TlsError>((stream, peer))
    };
    match tokio::join!(serve, call) {
        (Ok((_, server)), Ok((_, client))) => Ok((server, client)),
        (server, client) => Err((server.err(), client.err())),
    }
}

const SNI: &str = "outbound_.9080_.v1_.reviews.default.svc.cluster.local";

// A server with such a certificate, called by ratings. The server trusts ratings in any case.
async fn call(root: &TestRoot, issuer: &TestRoot, spec: &LeafSpec<'_>, expect: &Expect) -> Outcome {
    let client = root.mesh(&spec_of(&[RATINGS]));
    let server = MeshTls::new(issuer.leaf(spec), root.trust()).unwrap();
    shake(
        server.server(),
        client.client(Alpn::Http1, expect).unwrap(),
        SNI,
    )
    .await
}

fn spec_of<'a>(uris: &'a [&'a str]) -> LeafSpec<'a> {
    LeafSpec {
        uris,
        ..LeafSpec::default()
    }
}

#[tokio::test]
async fn servers_are_who_they_should_be() {
    let root = TestRoot::new();
    let one = Expect::Identity(REVIEWS.parse().unwrap());
    let any = Expect::AnyOf([RATINGS.to_owned(), REVIEWS.to_owned()].into());
    let other = Expect::AnyOf([RATINGS.to_owned()].into());
    for (what, uris, expect, right) in [
        ("right", &[REVIEWS][..], &one, true),
        ("one of several", &[REVIEWS], &any, true),
        ("any of the mesh", &[REVIEWS], &Expect::Mesh, true),
        ("none of several", &[REVIEWS], &other, false),
        ("wrong identity", &[RATINGS], &one, false),
        ("two identities", &[REVIEWS, RATINGS], &one, false),
        ("no identity", &[], &one, false),
        ("no identity, any", &[], &Expect::Mesh, false),
        ("no SPIFFE ID", &["https://reviews/"], &Expect::Mesh, false),
    ] {
        let spec = LeafSpec {
            dns: &["reviews"],
            ..spec_of(uris)
        };
        let result = call(&root, &root, &spec, expect).await;
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
async fn servers_have_a_valid_chain() {
    let (root, foreign) = (TestRoot::new(), TestRoot::new());
    let expect = Expect::Identity(REVIEWS.parse().unwrap());
    for (what, issuer, seconds, right) in [
        ("right", &root, (-60, 3600), true),
        ("foreign root", &foreign, (-60, 3600), false),
        ("expired", &root, (-3600, -60), false),
        ("not valid yet", &root, (600, 3600), false),
    ] {
        let spec = LeafSpec {
            seconds,
            ..spec_of(&[REVIEWS])
        };
        let result = call(&root, issuer, &spec, &expect).await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
    }
}

#[tokio::test]
async fn clients_need_an_identity_of_the_mesh() {
    let (root, foreign) = (TestRoot::new(), TestRoot::new());
    let server = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    let good = LeafSpec {
        uris: &[RATINGS],
        ..LeafSpec::default()
    };
    let abroad = "spiffe://other.example/ns/default/sa/ratings";
    let cases = [
        ("right", &root, good.clone(), true),
        (
            "other trust domain",
            &root,
            LeafSpec {
                uris: &[abroad],
                ..good.clone()
            },
            false,
        ),
        (
            "two identities",
            &root,
            LeafSpec {
                uris: &[RATINGS, REVIEWS],
                ..good.clone()
            },
            false,
        ),
        (
            "no identity",
            &root,
            LeafSpec {
                uris: &[],
                dns: &["ratings"],
                ..good.clone()
            },
            false,
        ),
        ("foreign root", &foreign, good.clone(), false),
        (
            "expired",
            &root,
            LeafSpec {
                seconds: (-3600, -60),
                ..good.clone()
            },
            false,
        ),
    ];
    for (what, issuer, spec, right) in cases {
        let client = MeshTls::new(issuer.leaf(&spec), root.trust()).unwrap();
        let result = shake(
            server.server(),
            client.client(Alpn::Tcp, &Expect::Mesh).unwrap(),
            SNI,
        )
        .await;
        assert_eq!(result.is_ok(), right, "{what}: {result:?}");
    }
    let anonymous = control_client(root.store(), None).unwrap();
    assert!(
        shake(server.server(), Arc::new(anonymous), "reviews")
            .await
            .is_err(),
        "no certificate"
    );
}

#[tokio::test]
async fn alpn_says_what_is_carried() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    for (offered, agreed) in [
        (Alpn::Http1, Some(Alpn::Http1)),
        (Alpn::Http2, Some(Alpn::Http2)),
        (Alpn::Tcp, None),
    ] {
        let (server, client) = shake(
            tls.server(),
            tls.client(offered, &Expect::Mesh).unwrap(),
            SNI,
        )
        .await
        .unwrap();
        assert_eq!((server.alpn, client.alpn), (agreed, agreed));
    }
    assert!(
        Alpn::Http1
            .mesh_tokens()
            .iter()
            .any(|token| Alpn::is_mesh_token(token))
    );
    assert!(!Alpn::is_mesh_token(b"h2"));
}

#[tokio::test]
async fn sessions_end_with_the_certificate() {
    let root = TestRoot::new();
    let spec = LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    };
    let (old, new) = (root.mesh(&spec), root.mesh(&spec));
    let kind = async |server: &MeshTls, client: &MeshTls| {
        handshake(server, client, &Expect::Mesh, None).await
    };
    assert_eq!(kind(&old, &old).await, HandshakeKind::Full);
    assert_eq!(kind(&old, &old).await, HandshakeKind::Resumed);
    assert_eq!(
        kind(&new, &old).await,
        HandshakeKind::Full,
        "the server has a new certificate"
    );
    assert_eq!(
        kind(&old, &new).await,
        HandshakeKind::Full,
        "the client has a new certificate"
    );
}

#[tokio::test]
async fn sessions_are_kept_apart_by_endpoint_and_by_expectation() {
    let root = TestRoot::new();
    let reviews = spec_of(&[REVIEWS]);
    // Two endpoints of one service.
    let (one, two) = (root.mesh(&reviews), root.mesh(&reviews));
    let client = root.mesh(&spec_of(&[RATINGS]));
    let at = |port| Some(SocketAddr::from(([10, 0, 0, 1], port)));
    let exactly = Expect::Identity(REVIEWS.parse().unwrap());
    for (what, server, expect, endpoint, kind) in [
        ("the first", &one, &exactly, at(1), HandshakeKind::Full),
        (
            "another endpoint",
            &two,
            &exactly,
            at(2),
            HandshakeKind::Full,
        ),
        (
            "the first again",
            &one,
            &exactly,
            at(1),
            HandshakeKind::Resumed,
        ),
        (
            "the second again",
            &two,
            &exactly,
            at(2),
            HandshakeKind::Resumed,
        ),
        (
            "less is expected",
            &one,
            &Expect::Mesh,
            at(1),
            HandshakeKind::Full,
        ),
        (
            "two tickets each",
            &one,
            &exactly,
            at(1),
            HandshakeKind::Resumed,
        ),
    ] {
        let found = handshake(server, &client, expect, endpoint).await;
        assert_eq!(found, kind, "{what}");
    }
    let other = Expect::Identity(RATINGS.parse().unwrap());
    let config = client.client_to(Alpn::Http1, &other, at(1)).unwrap();
    let refused = shake(one.server(), config, SNI).await;
    assert!(refused.is_err(), "a session is no way around the check");
}

#[tokio::test]
async fn a_session_does_not_outlive_the_peers_certificate() {
    let root = TestRoot::new();
    let server = root.mesh(&spec_of(&[REVIEWS]));
    // In force for the handshake, and not when the session is resumed.
    let client = root.mesh(&LeafSpec {
        seconds: (-60, 2),
        ..spec_of(&[RATINGS])
    });
    let end = crate::clock::wall() + Duration::from_secs(3);
    let call = async || {
        let config = client.client(Alpn::Http1, &Expect::Mesh).unwrap();
        shake(server.server(), config, SNI).await
    };
    call().await.unwrap();
    while crate::clock::wall() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (of_server, _) = call().await.unwrap_err();
    assert!(
        matches!(of_server, Some(TlsError::Expired)),
        "{of_server:?}"
    );
}

// A handshake as REVIEWS' server and a client see it: what kind it was.
async fn handshake(
    server: &MeshTls,
    client: &MeshTls,
    expect: &Expect,
    endpoint: Option<SocketAddr>,
) -> HandshakeKind {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let client = client.client_to(Alpn::Http1, expect, endpoint).unwrap();
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
}

#[test]
fn client_configurations_are_kept() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    let expect = Expect::Identity(REVIEWS.parse().unwrap());
    let one = tls.client(Alpn::Http1, &expect).unwrap();
    assert!(Arc::ptr_eq(
        &one,
        &tls.client(Alpn::Http1, &expect).unwrap()
    ));
    assert!(!Arc::ptr_eq(
        &one,
        &tls.client(Alpn::Http2, &expect).unwrap()
    ));
    assert!(!Arc::ptr_eq(
        &one,
        &tls.client(Alpn::Http1, &Expect::Mesh).unwrap()
    ));
}

#[tokio::test(start_paused = true)]
async fn slow_peers_time_out() {
    let root = TestRoot::new();
    let tls = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    let (near, _far) = tokio::io::duplex(1024);
    let result = accept(near, tls.server(), Duration::from_secs(1)).await;
    assert!(
        matches!(result, Err(TlsError::Timeout)),
        "{:?}",
        result.err()
    );
}

#[test]
fn roots_are_read_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("roots.pem");
    assert!(control_roots(&path, &[]).is_err(), "no file");
    std::fs::write(&path, "nothing").unwrap();
    assert!(control_roots(&path, &[]).is_err(), "no certificate");
    let root = TestRoot::new();
    assert_eq!(
        control_roots(&path, &[root.der.to_vec()]).unwrap().len(),
        1,
        "learned roots are enough"
    );
    std::fs::write(&path, &root.pem).unwrap();
    assert_eq!(
        control_roots(&path, &[TestRoot::new().der.to_vec()])
            .unwrap()
            .len(),
        2
    );
}
