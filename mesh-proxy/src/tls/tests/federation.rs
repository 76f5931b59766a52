//! Other trust domains, and what was revoked.

use std::collections::HashMap;
use std::sync::Arc;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};

use super::{SNI, shake};
use crate::testing::{LeafSpec, RATINGS, REVIEWS, TestRoot};
use crate::tls::{Alpn, Expect, Leaf, MeshTls, Revoked, Trust};

const ABROAD: &str = "spiffe://other.example/ns/default/sa/ratings";

fn spec<'a>(uris: &'a [&'a str]) -> LeafSpec<'a> {
    LeafSpec {
        uris,
        ..LeafSpec::default()
    }
}

fn federated(own: &TestRoot, other: &TestRoot) -> Arc<Trust> {
    Arc::new(Trust {
        roots: Arc::new(own.store()),
        domains: vec!["cluster.local".into()],
        federated: HashMap::from([("other.example".into(), Arc::new(other.store()))]),
        revoked: Revoked::default(),
    })
}

// Trusts everybody, so that only the other side decides.
fn credulous(own: &TestRoot, other: &TestRoot) -> Arc<Trust> {
    let mut roots = own.store();
    roots.extend(other.store().roots);
    Arc::new(Trust {
        roots: Arc::new(roots),
        domains: vec!["cluster.local".into(), "other.example".into()],
        federated: HashMap::new(),
        revoked: Revoked::default(),
    })
}

#[tokio::test]
async fn a_federated_domain_is_vouched_for_by_its_own_roots_only() {
    let (own, other, third) = (TestRoot::new(), TestRoot::new(), TestRoot::new());
    for (what, issuer, uri, right) in [
        ("a peer of the own domain", &own, RATINGS, true),
        ("a peer of the federated domain", &other, ABROAD, true),
        ("its root for the own domain", &other, RATINGS, false),
        ("the own root for its domain", &own, ABROAD, false),
        ("an unknown root for its domain", &third, ABROAD, false),
        (
            "a third domain by its root",
            &other,
            "spiffe://third.example/ns/default/sa/ratings",
            false,
        ),
    ] {
        let trust = federated(&own, &other);
        let here = MeshTls::new(own.leaf(&spec(&[REVIEWS])), Arc::clone(&trust)).unwrap();
        let there = MeshTls::new(issuer.leaf(&spec(&[uri])), credulous(&own, &other)).unwrap();
        // The peer as client, then as server.
        let result = shake(
            here.server(),
            there.client(Alpn::Tcp, &Expect::Mesh).unwrap(),
            SNI,
        )
        .await;
        assert_eq!(result.is_ok(), right, "{what}, as client: {result:?}");
        for expect in [Expect::Mesh, Expect::Identity(uri.parse().unwrap())] {
            let client = here.client(Alpn::Tcp, &expect).unwrap();
            let result = shake(there.server(), client, SNI).await;
            assert_eq!(result.is_ok(), right, "{what}, as server: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_on_both_sides() {
    let own = TestRoot::new();
    let peer = own.leaf(&spec(&[RATINGS]));
    let serial = Leaf::parse(peer.cert.first().unwrap()).unwrap().serial;
    let list = own.revoke(&[&serial]);
    for (what, lists, right) in [
        ("no list", vec![], true),
        ("a list with another one", vec![own.revoke(&["0102"])], true),
        (
            "a list of another issuer",
            vec![TestRoot::named("else").revoke(&[&serial])],
            true,
        ),
        ("its own list", vec![list.clone()], false),
        (
            "beside one that cannot be read",
            vec![b"junk".to_vec(), list],
            false,
        ),
    ] {
        let trust = Arc::new(Trust {
            roots: Arc::new(own.store()),
            domains: vec!["cluster.local".into()],
            federated: HashMap::new(),
            revoked: Revoked::read(lists.iter().map(Vec::as_slice)),
        });
        let here = MeshTls::new(own.leaf(&spec(&[REVIEWS])), trust).unwrap();
        let there = MeshTls::new(Arc::clone(&peer), own.trust()).unwrap();
        let client = there.client(Alpn::Tcp, &Expect::Mesh).unwrap();
        let result = shake(here.server(), client, SNI).await;
        assert_eq!(result.is_ok(), right, "{what}, as client: {result:?}");
        let client = here.client(Alpn::Tcp, &Expect::Mesh).unwrap();
        let result = shake(there.server(), client, SNI).await;
        assert_eq!(result.is_ok(), right, "{what}, as server: {result:?}");
    }
}

// === impl TestRoot ===

impl TestRoot {
    /// A revocation list, DER.
    fn revoke(&self, serials: &[&str]) -> Vec<u8> {
        let now = time::OffsetDateTime::now_utc();
        let entry = |serial: &&str| {
            let bytes: Vec<u8> = serial
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes),
                revocation_time: now,
                reason_code: None,
                invalidity_date: None,
            }
        };
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + time::Duration::days(1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(self.issuer()).unwrap().der().to_vec()
    }
}
