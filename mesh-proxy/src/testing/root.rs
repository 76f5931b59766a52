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
        Self::named("rcgen self signed cert")
    }

    /// One whose certificate has this common name.
    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
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

    /// A list of revoked certificates, these.
    pub(crate) fn revoking(&self, leaves: &[&[u8]]) -> Vec<u8> {
        let now = OffsetDateTime::now_utc();
        let revoked = |der: &&[u8]| {
            use x509_parser::prelude::FromDer as _;
            let (_, leaf) = x509_parser::prelude::X509Certificate::from_der(der).unwrap();
            rcgen::RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(leaf.raw_serial()),
                revocation_time: now,
                reason_code: None,
                invalidity_date: None,
            }
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: now - time::Duration::hours(1),
            next_update: now + time::Duration::hours(1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: leaves.iter().map(revoked).collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
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
            federated: std::collections::HashMap::new(),
            revoked: crate::tls::Revoked::default(),
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
