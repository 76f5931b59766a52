//! A certificate as Istio's agents ask for it.

use std::sync::Arc;

use mesh_api::istio_auth::IstioCertificateRequest;
use mesh_api::istio_auth::istio_certificate_service_client::IstioCertificateServiceClient;
use mesh_ca::certificate_identity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::{Code, Request};

use super::client::{channel, reason};
use super::{DEADLINE, Server};

fn csr(uri: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    params.serialize_request(&key).unwrap().pem().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_istio_agent_gets_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let roots = server.authority.roots_der();
    let channel = channel(&server.addresses[0], &roots, None).await.unwrap();
    let mut client = IstioCertificateServiceClient::new(channel);
    let token = server.token(false, DEADLINE);
    let ask = |csr: String, token: Option<&str>| {
        let mut request = Request::new(IstioCertificateRequest {
            csr,
            validity_duration: 3600,
        });
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        request
    };
    let own = "spiffe://cluster.local/ns/default/sa/reviews";
    let answer = client
        .create_certificate(ask(csr(own), Some(&token)))
        .await
        .unwrap()
        .into_inner();
    let ders: Vec<Vec<u8>> = answer
        .cert_chain
        .iter()
        .map(|pem| {
            CertificateDer::from_pem_slice(pem.as_bytes())
                .unwrap()
                .to_vec()
        })
        .collect();
    assert_eq!(ders.len(), 3, "leaf, intermediate, root");
    assert_eq!(ders[2], roots[0]);
    let (identity, not_after) = certificate_identity(&ders[0]).unwrap();
    assert_eq!(identity.as_str(), own);
    let life = not_after.duration_since(mesh_ca::now()).unwrap();
    assert!(life.as_secs() <= 3600, "{life:?}");

    let foreign = "spiffe://cluster.local/ns/default/sa/ratings";
    for (csr, token, code, why) in [
        (
            csr(foreign),
            Some(token.as_str()),
            Code::PermissionDenied,
            "request_name",
        ),
        (
            "nonsense".to_owned(),
            Some(&token),
            Code::InvalidArgument,
            "request_malformed",
        ),
        (csr(own), None, Code::Unauthenticated, "no_credentials"),
    ] {
        let status = client
            .create_certificate(ask(csr, token))
            .await
            .unwrap_err();
        assert_eq!((status.code(), reason(&status)), (code, why));
    }
    assert_eq!(Arc::clone(&server.counters).issued(), 1);
    drop(client);
    server.stop().await;
}
