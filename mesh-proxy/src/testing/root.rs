//! A root that signs leaves.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::tls::{MeshTls, Trust, root_store};

pub(crate) const REVIEWS: &str = "spiffe://cluster.local/ns/default/sa/reviews";
pub(crate) const RATINGS: &str = "spiffe://cluster.local/ns/default/sa/ratings";

/// A root that signs leaves for tests.
pub(crate) struct TestRoot {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) pem: String,
}

/// What a test leaf says.
#[derive(Clone)]
pub(crate) struct LeafSpec<'a> {
    pub(crate) uris: &'a [&'a str],
    pub(crate) dns: &'a [&'a str],
    pub(crate) seconds: (i64, i64),
}

impl Default for LeafSpec<'_> {
    fn default() -> Self {
        Self {
            uris: &[],
            dns: &[],
            seconds: (-60, 3600),
        }
    }
}

impl TestRoot {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn params(spec: &LeafSpec<'_>) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let now = OffsetDateTime::now_utc();
        params.not_before = now + time::Duration::seconds(spec.seconds.0);
        params.not_after = now + time::Duration::seconds(spec.seconds.1);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        let dns = |dns: &&str| SanType::DnsName((*dns).try_into().unwrap());
        params.subject_alt_names = spec
            .uris
            .iter()
            .map(uri)
            .chain(spec.dns.iter().map(dns))
            .collect();
        params
    }

    pub(crate) fn sign(
        &self,
        spec: &LeafSpec<'_>,
        key: &impl rcgen::PublicKeyData,
    ) -> CertificateDer<'static> {
        Self::params(spec)
            .signed_by(key, &self.issuer)
            .unwrap()
            .der()
            .clone()
    }

    pub(crate) fn leaf(&self, spec: &LeafSpec<'_>) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let der = self.sign(spec, &key);
        let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialized_der()));
        let signer = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&pkcs8).unwrap();
        Arc::new(CertifiedKey::new(vec![der], signer))
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        Arc::new(Trust {
            roots: Arc::new(self.store()),
            domains: vec!["cluster.local".into()],
        })
    }

    pub(crate) fn store(&self) -> RootCertStore {
        root_store([self.der.as_ref()])
    }

    /// The mesh's TLS of such a leaf.
    pub(crate) fn mesh(&self, spec: &LeafSpec<'_>) -> MeshTls {
        MeshTls::new(self.leaf(spec), self.trust()).unwrap()
    }
}
