//! A workload that says it is another, or more than it was granted.
//!
//! `default/a` and `default/b` share a service account. The token of `default/a` grants it
//! `app: shop`; a Service `bank` selects `app: bank`.

use mesh_api::v1::{Node, ProxyKind, Registration};
use mesh_ca::{AuthorityOptions, SecretKey, WorkloadBinding, certificate_binding};
use mesh_tests::laptop::LIMIT;
use tonic::Status;

use crate::control_plane::{Stream, first};
use crate::place::{Credentials, Place, certificate, reason};

const ACCOUNT: &str = "spiffe://cluster.local/ns/default/sa/shared";
const SERVICES: &str = "\
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: bank}
spec: {selector: {app: bank}, ports: [{name: http, port: 80}]}
";
const SHOP: &[(&str, &str)] = &[("app", "shop")];
const BANK: &[(&str, &str)] = &[("app", "bank")];

fn node(workload: &str, labels: &[(&str, &str)]) -> Node {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Node {
        workload: workload.to_owned(),
        kind: ProxyKind::Sidecar.into(),
        addresses: vec!["127.0.0.99".to_owned()],
        labels: labels.iter().map(own).collect(),
        registration: Some(Registration::default()),
        ..Node::default()
    }
}

/// Registers; the stream keeps the endpoint.
async fn register(
    place: &Place,
    credentials: &Credentials,
    workload: &str,
    labels: &[(&str, &str)],
) -> Result<Stream, Status> {
    let node = node(workload, labels);
    let mut stream = Stream::open(place, credentials, first(Some(node))).await;
    stream.response().await?;
    Ok(stream)
}

async fn refused(
    place: &Place,
    credentials: &Credentials,
    workload: &str,
    labels: &[(&str, &str)],
) -> Status {
    let registered = register(place, credentials, workload, labels).await;
    registered.err().unwrap()
}

/// The workloads behind a Service.
async fn endpoints(place: &Place, service: &str) -> Vec<String> {
    let told = place.mesh.meshd("/v1/services").await.unwrap();
    let hostname = format!("{service}.default.svc.cluster.local");
    let services = told["services"].as_array().unwrap();
    let found = services.iter().find(|one| one["hostname"] == *hostname);
    let workloads = found.unwrap()["workloads"].as_array().unwrap();
    workloads.iter().map(ToString::to_string).collect()
}

/// Waits until a workload is behind a Service.
async fn has_endpoint(place: &Place, service: &str, workload: &str) {
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let all = endpoints(place, service).await;
        if all.iter().any(|one| one.contains(workload)) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{service}: {all:?}");
        tokio::task::yield_now().await;
    }
}

/// The binding in what somebody holds.
fn bound(credentials: &Credentials) -> Option<WorkloadBinding> {
    let leaf = &credentials.as_ref().unwrap().cert[0];
    certificate_binding(leaf).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_is_no_other_of_its_service_account() {
    let place = Place::start_with(&[], SERVICES).await;
    let own = place.join("default/a", "shared", SHOP, None).await;
    let held = place.configuration("default/a", own.clone()).await.unwrap();
    assert!(held.contains(&"inbound/self".to_owned()), "{held:?}");
    let status = place.configuration("default/b", own.clone()).await;
    let status = status.unwrap_err();
    assert_eq!(reason(&status), "workload_mismatch", "{status}");
    let status = refused(&place, &own, "default/b", SHOP).await;
    assert_eq!(reason(&status), "workload_mismatch", "{status}");
    assert_eq!(endpoints(&place, "shop").await, [""; 0]);
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_registers_with_what_it_was_granted_and_nothing_else() {
    let place = Place::start_with(&[], SERVICES).await;
    let own = place.join("default/a", "shared", SHOP, None).await;
    for labels in [BANK, &[("app", "shop"), ("tier", "x")][..]] {
        let status = refused(&place, &own, "default/a", labels).await;
        assert_eq!(reason(&status), "registration_refused", "{status}");
        assert!(status.message().contains("meshd token"), "{status}");
    }
    // The token says enough of who says nothing, and a renewed certificate as much.
    let own = place.renewed(own).await;
    let again = place.renewed(own.clone()).await;
    assert_eq!(bound(&again), bound(&own));
    let _stream = register(&place, &again, "default/a", &[]).await.unwrap();
    has_endpoint(&place, "shop", "default/a").await;
    let other = place.join("default/c", "shared", SHOP, None).await;
    let _stream = register(&place, &other, "default/c", SHOP).await.unwrap();
    has_endpoint(&place, "shop", "default/c").await;
    let status = refused(&place, &again, "default/a", BANK).await;
    assert_eq!(reason(&status), "registration_refused", "{status}");
    assert_eq!(endpoints(&place, "bank").await, [""; 0]);
    // A token without labels grants none.
    let bare = place.join("default/b", "shared", &[], None).await;
    let status = refused(&place, &bare, "default/b", SHOP).await;
    assert_eq!(reason(&status), "registration_refused", "{status}");
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_grants_itself_anything() {
    let place = Place::start_with(&[], SERVICES).await;
    // The extension in the request, as the authority itself writes it, copied from another leaf.
    let bank = place.join("default/bank", "shared", BANK, None).await;
    let mut params = rcgen::CertificateParams::default();
    let value = bound(&bank).unwrap().encode().unwrap();
    let oid = [2, 25, 1_835_365_224, 113_944_359, 1];
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
        &oid,
        value.clone(),
    )];
    let forge = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = params.serialize_request(&key).unwrap().der().to_vec();
        assert!(csr.windows(value.len()).any(|part| part == value));
        (
            SecretKey::from_pem(key.serialize_pem().as_bytes()).unwrap(),
            csr,
        )
    };
    let own = place.join("default/a", "shared", SHOP, Some(forge())).await;
    let (key, csr) = forge();
    let answer = place.sign(&csr, None, own.clone()).await.unwrap();
    let renewed = Some(crate::place::certified(answer.chain_der, &key));
    for credentials in [own, renewed] {
        assert_eq!(
            bound(&credentials).unwrap().workload.to_string(),
            "default/a"
        );
        for (workload, want) in [
            ("default/bank", "workload_mismatch"),
            ("default/a", "registration_refused"),
        ] {
            let status = refused(&place, &credentials, workload, BANK).await;
            assert_eq!(reason(&status), want, "{status}");
        }
    }
    assert_eq!(endpoints(&place, "bank").await, [""; 0]);
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_says_nothing_registers_only_where_that_is_trusted() {
    let meshes: [(&[(&str, &str)], bool); 2] = [
        (&[], false),
        (&[("MESHD_TRUST_REGISTRATIONS", "true")], true),
    ];
    for (settings, trusted) in meshes {
        let place = Place::start_with(settings, SERVICES).await;
        let unbound = certificate(&place.ca(), ACCOUNT, &AuthorityOptions::default());
        // By a renewal it comes to nothing more.
        let renewed = place.renewed(unbound.clone()).await;
        assert_eq!(bound(&renewed), None);
        for credentials in [&unbound, &renewed] {
            if trusted {
                let stream = register(&place, credentials, "default/a", SHOP).await;
                has_endpoint(&place, "shop", "default/a").await;
                drop(stream);
            } else {
                let status = refused(&place, credentials, "default/a", SHOP).await;
                assert_eq!(reason(&status), "registration_refused", "{status}");
                assert!(
                    status.message().contains("--trust-registrations"),
                    "{status}"
                );
            }
        }
        let own = place.join("default/b", "shared", SHOP, None).await;
        let status = refused(&place, &own, "default/b", BANK).await;
        assert_eq!(reason(&status), "registration_refused", "{status}");
        assert_eq!(endpoints(&place, "bank").await, [""; 0]);
        place.stays_well().await;
    }
}
