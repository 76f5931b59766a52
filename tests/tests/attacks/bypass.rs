//! Around the mesh's own ways: in plain text, by the address of a pod, with certificates of others.

use bytes::Bytes;
use mesh_ca::AuthorityOptions;
use rustls::AlertDescription;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::place::{CLIENT, Place, certificate, misissued};
use crate::policy;
use crate::told::{counted, of_reason, until_counted, until_logged};

/// The alert by which a server ended TLS.
fn alert(error: &anyhow::Error) -> Option<AlertDescription> {
    error.chain().find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let tls = io
            .and_then(|io| io.get_ref())
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .or_else(|| cause.downcast_ref());
        match tls {
            Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
            _ => None,
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_port_takes_no_plain_text_and_no_foreign_certificate() {
    let place = Place::start().await;
    let echo = place.mesh.workload("echo").unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: echo\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x01\x02no HTTP at all",
    ] {
        let before = counted(&place.mesh, "echo", &of_reason("plaintext_refused")).await;
        let mut stream = TcpStream::connect((echo.as_str(), 9000)).await.unwrap();
        // The reset may be faster than the rest.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer, b"");
        let reason = of_reason("plaintext_refused");
        until_counted(&place.mesh, "echo", &reason, before + 1).await;
    }
    until_logged(&place.mesh, "default.echo", &["plaintext_refused"]).await;

    // A good certificate of another mesh, one that claims to be of this one, and one that our own
    // authority was misled to sign.
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = "spiffe://other.example/ns/default/sa/client";
    let other = AuthorityOptions {
        trust_domain: "other.example".parse().unwrap(),
        ..AuthorityOptions::default()
    };
    let impostor = AuthorityOptions::default();
    for (count, (what, credentials)) in [
        ("none", None),
        (
            "foreign",
            certificate(&elsewhere.path().join("a"), foreign, &other),
        ),
        (
            "impostor",
            certificate(&elsewhere.path().join("b"), CLIENT, &impostor),
        ),
        ("misissued", misissued(&place.ca(), foreign)),
    ]
    .into_iter()
    .enumerate()
    {
        let error = place.call(credentials).await.unwrap_err();
        let alert = alert(&error);
        let wanted = match what {
            "none" => AlertDescription::CertificateRequired,
            "impostor" => AlertDescription::DecryptError,
            "misissued" => AlertDescription::CertificateUnknown,
            _ => AlertDescription::UnknownCA,
        };
        // A connection that is reset may take the alert along.
        assert!(
            alert.is_none_or(|alert| alert == wanted),
            "{what}: {error:?}"
        );
        let reason = of_reason("downstream_tls_failure");
        let wanted = u64::try_from(count).unwrap() + 1;
        until_counted(&place.mesh, "echo", &reason, wanted).await;
    }
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_a_pod_leads_around_no_policy() {
    let place = policy::Place::start().await;
    let ask = |from: &'static str, target: String, host: &'static str| {
        let request = http::Request::get(target)
            .header("host", host)
            .header("x-forwarded-client-cert", format!("URI={CLIENT}"))
            .header("x-mesh-peer", "workload=client,namespace=default")
            .body(Bytes::new());
        place.mesh.send(from, request.unwrap())
    };
    let address = place.address;
    // By the service, by the pod's address, and by the pod's address in the name of others.
    for (target, host) in [
        ("echo.default:9000".to_owned(), "echo.default:9000"),
        (address.to_string(), "echo.default:9000"),
        (address.to_string(), "127.0.0.1"),
        (address.to_string(), "nobody.example"),
    ] {
        for (from, path) in [
            ("thief", "/client"),
            ("thief", "/admin"),
            ("client", "/admin"),
        ] {
            let answer = ask(from, format!("http://{target}{path}"), host).await;
            let answer = answer.unwrap();
            let reason = answer.headers.get("x-mesh-reason");
            let told = (
                answer.status.as_u16(),
                reason.map(http::HeaderValue::as_bytes),
            );
            let wanted = (403, Some(&b"authorization_denied"[..]));
            assert_eq!(told, wanted, "{from} {target}{path} {host}");
        }
    }
    let answer = ask("client", "http://echo:9000/client".to_owned(), "echo:9000").await;
    assert_eq!(answer.unwrap().status, 200);
    let line = ["deny ns[default]-policy[client-only]-rule[0]"];
    until_logged(&place.mesh, "default.echo", &line).await;
}
