//! On the authority, on the discovery stream, and with certificates.

use std::time::SystemTime;

use mesh_ca::{AuthorityOptions, SecretKey, certificate_identity};
use mesh_tests::meshctl;

use crate::place::{CLIENT, ECHO, HOUR, Place, certificate, certified, mint, misissued, reason};

fn request() -> (SecretKey, Vec<u8>) {
    let key = SecretKey::generate().unwrap();
    let csr = key.certificate_request().unwrap();
    (key, csr)
}

/// A request that names identities and hosts itself.
fn wishing(names: &[rcgen::SanType]) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.subject_alt_names = names.to_vec();
    let key = rcgen::KeyPair::generate().unwrap();
    let csr = parameters.serialize_request(&key).unwrap();
    csr.der().to_vec()
}

fn uri(text: &str) -> rcgen::SanType {
    rcgen::SanType::URI(text.try_into().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_good_for_its_own_workload_and_only_once() {
    let place = Place::start().await;
    let now = SystemTime::now();
    let (key, csr) = request();
    // Stolen from another namespace: it certifies nobody else than whom it was made for.
    let stolen = place.token("other/thief", "thief", now + HOUR);
    let as_client = wishing(&[uri(CLIENT)]);
    let status = place
        .sign(&as_client, Some(&stolen), None)
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "request_name", "{status}");
    let answer = place.sign(&csr, Some(&stolen), None).await.unwrap();
    assert_eq!(answer.identity, "spiffe://cluster.local/ns/other/sa/thief");
    // What came of it opens no other workload's configuration.
    let thief = Some(certified(answer.chain_der, &key));
    for (workload, want) in [
        ("default/client", "namespace_mismatch"),
        ("default/echo", "namespace_mismatch"),
    ] {
        let status = place
            .configuration(workload, thief.clone())
            .await
            .unwrap_err();
        assert_eq!(reason(&status), want, "{workload}: {status}");
    }
    let (_, other) = request();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut damaged = place.token("default/client", "client", now + HOUR);
    damaged.replace_range(
        20..21,
        if damaged.get(20..21) == Some("A") {
            "B"
        } else {
            "A"
        },
    );
    for (what, token, want) in [
        ("replayed by another key", Some(stolen), "token_replayed"),
        (
            "expired",
            Some(place.token("default/client", "client", now - HOUR)),
            "token_expired",
        ),
        (
            "of another authority",
            Some(mint(
                elsewhere.path(),
                "default/client",
                "client",
                now + HOUR,
            )),
            "token_foreign",
        ),
        ("damaged", Some(damaged), "token_malformed"),
        ("nothing at all", None, "no_credentials"),
    ] {
        let status = place
            .sign(&other, token.as_deref(), None)
            .await
            .unwrap_err();
        assert_eq!(reason(&status), want, "{what}: {status}");
    }
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_with_more_names_gets_none_of_them() {
    let place = Place::start().await;
    let now = SystemTime::now();
    for names in [
        vec![uri(ECHO)],
        vec![uri(CLIENT), uri(ECHO)],
        vec![uri("spiffe://other.example/ns/default/sa/client")],
        vec![uri("https://example.org/")],
    ] {
        let token = place.token("default/client", "client", now + HOUR);
        let status = place
            .sign(&wishing(&names), Some(&token), None)
            .await
            .unwrap_err();
        assert_eq!(reason(&status), "request_name", "{names:?}: {status}");
    }
    // Names of other kinds are wishes that nobody grants.
    let token = place.token("default/client", "client", now + HOUR);
    let names = [
        rcgen::SanType::DnsName("meshd.istio-system.svc".try_into().unwrap()),
        rcgen::SanType::IpAddress([127, 0, 0, 1].into()),
        uri(CLIENT),
    ];
    let answer = place
        .sign(&wishing(&names), Some(&token), None)
        .await
        .unwrap();
    let leaf = &answer.chain_der[0];
    assert_eq!(certificate_identity(leaf).unwrap().0.as_str(), CLIENT);
    let holds = |text: &str| {
        leaf.windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(holds(CLIENT) && !holds("istio-system"), "only its own name");
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_gets_nothing_of_another_by_its_own_certificate() {
    let place = Place::start().await;
    let own = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    let held = place
        .configuration("default/client", own.clone())
        .await
        .unwrap();
    assert!(held.contains(&"inbound/self".to_owned()), "{held:?}");
    for (workload, want) in [
        ("default/echo", "service_account_mismatch"),
        ("other/thief", "namespace_mismatch"),
        ("nonsense", "workload_name"),
    ] {
        let status = place
            .configuration(workload, own.clone())
            .await
            .unwrap_err();
        assert_eq!(reason(&status), want, "{workload}: {status}");
    }
    let status = place
        .configuration("default/client", None)
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "no_certificate", "{status}");
    // It renews for itself, whatever the request names.
    let status = place
        .sign(&wishing(&[uri(ECHO)]), None, own.clone())
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "request_name", "{status}");
    let answer = place.sign(&request().1, None, own).await.unwrap();
    assert_eq!(answer.identity, CLIENT);
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_trust_domain_opens_nothing() {
    let place = Place::start().await;
    let ours = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    assert_eq!(
        place.call(ours).await.unwrap().status,
        200,
        "one of the mesh does"
    );
    // A good certificate of another mesh, and one that claims to be of this mesh.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = AuthorityOptions {
        trust_domain: "other.example".parse().unwrap(),
        ..AuthorityOptions::default()
    };
    let foreign = "spiffe://other.example/ns/default/sa/client";
    let foreigner = certificate(&elsewhere.path().join("a"), foreign, &other);
    let impostor = certificate(
        &elsewhere.path().join("b"),
        CLIENT,
        &AuthorityOptions::default(),
    );
    for credentials in [foreigner, impostor] {
        assert!(place.call(credentials.clone()).await.is_err());
        let refused = place.sign(&request().1, None, credentials.clone()).await;
        assert!(refused.is_err(), "{refused:?}");
        assert!(
            place
                .configuration("default/client", credentials)
                .await
                .is_err()
        );
    }
    // Even if our own authority had been misled to sign it.
    let misled = misissued(&place.ca(), foreign);
    assert!(place.call(misled.clone()).await.is_err());
    let status = place
        .configuration("default/client", misled.clone())
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "trust_domain", "{status}");
    let status = place.sign(&request().1, None, misled).await.unwrap_err();
    assert_eq!(reason(&status), "trust_domain", "{status}");
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_asks_without_end_is_told_when_to_come_again() {
    let place = Place::start().await;
    let own = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    let mut refused = None;
    for _ in 0..30 {
        if let Err(status) = place.sign(&request().1, None, own.clone()).await {
            refused = Some(status);
            break;
        }
    }
    let status = refused.unwrap();
    assert_eq!(reason(&status), "too_often", "{status}");
    let seconds = status
        .metadata()
        .get("retry-after")
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        (1..=5).contains(&seconds.parse::<u64>().unwrap()),
        "{seconds}"
    );
    // Others are served.
    let token = place.token("default/echo", "echo", SystemTime::now() + HOUR);
    place.sign(&request().1, Some(&token), None).await.unwrap();
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_certificate_is_taken_nowhere() {
    let place = Place::start().await;
    let (key, csr) = request();
    let token = place.token("default/client", "client", SystemTime::now() + HOUR);
    let answer = place.sign(&csr, Some(&token), None).await.unwrap();
    let leaf = answer.chain_der.first().unwrap().clone();
    let serial = mesh_ca::PeerCertificates::new(vec![leaf.into()])
        .serial()
        .unwrap();
    let stolen = Some(certified(answer.chain_der, &key));
    assert_eq!(place.call(stolen.clone()).await.unwrap().status, 200);
    let output = tokio::process::Command::new(meshctl())
        .args(["ca", "revoke", &serial, "--state"])
        .arg(place.mesh.state())
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let status = place
        .sign(&request().1, None, stolen.clone())
        .await
        .unwrap_err();
    assert_eq!(reason(&status), "certificate_revoked", "{status}");
    place.mesh.settle().await.unwrap();
    // The sidecar has the list with the revision; its TLS follows at once.
    let deadline = std::time::Instant::now() + mesh_tests::laptop::LIMIT;
    while place.call(stolen.clone()).await.is_ok() {
        assert!(
            std::time::Instant::now() < deadline,
            "the sidecar takes it still"
        );
        tokio::task::yield_now().await;
    }
    place.stays_well().await;
}
