//! What the record says of who was refused.

use std::collections::BTreeMap;

use mesh_api::v1::SignRequest;
use mesh_ca::{AuditEvent, Entry};
use tonic::Request;

use super::client::{connect, reason};
use super::{HOUR, Server};

fn wishing(uri: &str) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    let key = rcgen::KeyPair::generate().unwrap();
    params.serialize_request(&key).unwrap().der().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_there_with_who_and_why_after_a_shutdown_in_the_middle() {
    const BANK: &str = "spiffe://cluster.local/ns/default/sa/bank";
    const EACH: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let roots = server.authority.roots_der();
    let csr_der = wishing(BANK);
    let token = server.token(false, HOUR);
    // By TCP without a token; by a Unix socket with one of another workload, until that asks too
    // often.
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for (address, token) in server.addresses.iter().zip([None, Some(token)]) {
        let mut client = connect(address, &roots, None).await.unwrap();
        for _ in 0..EACH {
            let mut request = Request::new(SignRequest {
                csr_der: csr_der.clone(),
                ttl_seconds: 0,
            });
            if let Some(token) = &token {
                let value = format!("Bearer {token}").parse().unwrap();
                request.metadata_mut().insert("authorization", value);
            }
            let status = client.sign(request).await.unwrap_err();
            *sent.entry(reason(&status).to_owned()).or_default() += 1;
        }
    }
    server.stop().await;
    let text = std::fs::read_to_string(dir.path().join("ca/audit.jsonl")).unwrap();
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let AuditEvent::Refused { call, times } = entry.event else {
            continue;
        };
        let proved = [
            "default/reviews-v1",
            "spiffe://cluster.local/ns/default/sa/reviews",
        ];
        let (peer, caller, identity) = match call.reason.as_str() {
            "no_credentials" => (Some("127.0.0.1"), None, None),
            _ => (None, Some(proved[0]), Some(proved[1])),
        };
        assert_eq!(call.peer.as_deref(), peer, "{line}");
        assert_eq!(call.caller.as_deref(), caller, "{line}");
        assert_eq!(call.identity.as_deref(), identity, "{line}");
        assert_eq!(call.requested.as_deref(), Some(BANK), "{line}");
        *told.entry(call.reason).or_default() += times.map_or(1, |times| {
            assert!(times.first_millis <= times.last_millis, "{line}");
            times.count
        });
    }
    assert_eq!(told, sent);
    assert_eq!(sent["no_credentials"], EACH);
}
