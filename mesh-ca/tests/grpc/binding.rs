//! Whose certificate it is: by a token, by a renewal, by another issuer.

use std::time::SystemTime;

use mesh_ca::{JoinClaims, SecretKey, WorkloadBinding, certificate_binding};

use super::client::{Credentials, connect, reason};
use super::{HOUR, Server, credentials, sign};

fn binding() -> WorkloadBinding {
    WorkloadBinding {
        workload: "default/reviews-v1".parse().unwrap(),
        labels: [("app".to_owned(), "reviews".to_owned())].into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_says_whose_it_is_and_so_do_those_that_renew_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let address = &server.addresses[0];
    let roots = server.authority.roots_der();
    let token = server.tokens.mint(&JoinClaims {
        workload: binding().workload,
        service_account: "reviews".to_owned(),
        expires: SystemTime::now() + HOUR,
        single_use: true,
        labels: binding().labels,
    });
    let key = SecretKey::generate().unwrap();
    let mut client = connect(address, &roots, None).await.unwrap();
    let first = sign(&mut client, &key, Some(&token.unwrap()), 0).await;
    let mut held = Credentials {
        chain_der: first.unwrap().chain_der,
        key,
    };
    for _ in 0..3 {
        assert_eq!(certificate_binding(&held.chain_der[0]), Ok(Some(binding())));
        let mut client = connect(address, &roots, Some(&held)).await.unwrap();
        let key = SecretKey::generate().unwrap();
        let next = sign(&mut client, &key, None, 0).await.unwrap();
        held = Credentials {
            chain_der: next.chain_der,
            key,
        };
    }
    // One that is bound to nobody stays so.
    let unbound = credentials(&server.authority, HOUR, SystemTime::now());
    let mut client = connect(address, &roots, Some(&unbound)).await.unwrap();
    let next = sign(&mut client, &SecretKey::generate().unwrap(), None, 0).await;
    assert_eq!(certificate_binding(&next.unwrap().chain_der[0]), Ok(None));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_a_damaged_binding_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    // By the authority's own keys, as one might sign that copies what it is asked.
    let read = |name: &str| std::fs::read_to_string(dir.path().join("ca").join(name)).unwrap();
    let signer = rcgen::KeyPair::from_pem(&read("intermediate.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("intermediate.pem"), signer).unwrap();
    let mut params = rcgen::CertificateParams::default();
    let name = "spiffe://cluster.local/ns/default/sa/reviews";
    params.subject_alt_names = vec![rcgen::SanType::URI(name.try_into().unwrap())];
    let oid = [2, 25, 1_835_365_224, 113_944_359, 1];
    let value = br#"{"w":"default/bank"}"#.to_vec();
    params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&oid, value)];
    let key = SecretKey::generate().unwrap();
    let public = rcgen::KeyPair::generate().unwrap();
    let leaf = params.signed_by(&public, &issuer).unwrap().der().to_vec();
    assert!(certificate_binding(&leaf).is_err());
    let between = credentials(&server.authority, HOUR, SystemTime::now()).chain_der[1].clone();
    let held = Credentials {
        chain_der: vec![leaf, between],
        key: SecretKey::from_pem(public.serialize_pem().as_bytes()).unwrap(),
    };
    let roots = server.authority.roots_der();
    let mut client = connect(&server.addresses[0], &roots, Some(&held))
        .await
        .unwrap();
    let status = sign(&mut client, &key, None, 0).await.unwrap_err();
    assert_eq!(reason(&status), "certificate_identity", "{status}");
    server.stop().await;
}
