use proptest::prelude::*;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::authority::{Authority, AuthorityOptions};

fn authority() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
    (dir, authority)
}

fn identity() -> SpiffeId {
    "spiffe://cluster.local/ns/default/sa/reviews"
        .parse()
        .unwrap()
}

fn request(csr_der: Vec<u8>) -> Issue {
    Issue {
        identity: identity(),
        csr_der,
        ttl: None,
        dns_names: Vec::new(),
        binding: None,
    }
}

fn csr(params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
    params.serialize_request(key).unwrap().der().to_vec()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn uris(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(uri).collect()
}

#[test]
fn certifies_the_caller_and_nothing_that_the_request_wishes() {
    let (_dir, authority) = authority();
    let key = KeyPair::generate().unwrap();
    let mut wishes =
        CertificateParams::new(vec!["evil.example.com".to_owned(), "10.0.0.1".to_owned()]).unwrap();
    wishes
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root");
    wishes.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wishes.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    wishes.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    wishes.subject_alt_names.push(uri(identity().as_str()));

    let now = std::time::SystemTime::now();
    let issued = authority.issue(&request(csr(&wishes, &key)), now).unwrap();
    let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
    assert_eq!(uris(&leaf), [identity().as_str()]);
    assert_eq!(
        leaf.subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        1
    );
    assert_eq!(leaf.subject().iter().count(), 0);
    assert!(
        leaf.subject_alternative_name().unwrap().unwrap().critical,
        "X.509-SVID: with an empty subject"
    );
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(
        extended.server_auth && extended.client_auth && !extended.code_signing && !extended.any
    );
    assert_eq!(
        leaf.public_key().subject_public_key.data.as_ref(),
        key.public_key_raw()
    );
    assert_eq!(issued.serial.len(), 32);

    let (_, intermediate) = X509Certificate::from_der(&issued.chain_der[1]).unwrap();
    let roots = authority.roots_der();
    let (_, root) = X509Certificate::from_der(&roots[0]).unwrap();
    leaf.verify_signature(Some(intermediate.public_key()))
        .unwrap();
    intermediate
        .verify_signature(Some(root.public_key()))
        .unwrap();
    let life = issued.not_after.duration_since(now).unwrap();
    assert!(life <= Duration::from_secs(86_400) && life > Duration::from_secs(86_398));
    assert!(issued.not_before < now);
}

#[test]
fn no_request_says_whose_certificate_it_is() {
    let (_dir, authority) = authority();
    let key = KeyPair::generate().unwrap();
    let forged = WorkloadBinding {
        workload: "default/bank".parse().unwrap(),
        labels: [("app".to_owned(), "bank".to_owned())].into(),
    };
    let mut wishes = CertificateParams::default();
    wishes.custom_extensions = vec![forged.extension().unwrap()];
    let own = WorkloadBinding {
        workload: "default/reviews-v1".parse().unwrap(),
        labels: [].into(),
    };
    for binding in [None, Some(own)] {
        let wish = Issue {
            binding: binding.clone(),
            ..request(csr(&wishes, &key))
        };
        let issued = authority.issue(&wish, std::time::SystemTime::now());
        let leaf = issued.unwrap().chain_der.swap_remove(0);
        assert_eq!(crate::certificate_binding(&leaf), Ok(binding));
        let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
        assert!(
            leaf.extensions()
                .iter()
                .all(|e| !e.critical || e.oid.to_id_string() != "2.25.1835365224.113944359.1")
        );
    }
}

#[test]
fn dns_names_come_from_the_host_only() {
    let (_dir, authority) = authority();
    let key = SecretKey::generate().unwrap();
    let mut wish = request(key.certificate_request().unwrap());
    wish.dns_names = vec!["meshd".to_owned(), "localhost".to_owned()];
    let issued = authority
        .issue(&wish, std::time::SystemTime::now())
        .unwrap();
    let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
    assert_eq!(
        leaf.subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        3
    );
    assert_eq!(uris(&leaf).len(), 1);
    for bad in ["", "a b", "ä.example", "a..b"] {
        wish.dns_names = vec![bad.to_owned()];
        let refusal = authority
            .issue(&wish, std::time::SystemTime::now())
            .unwrap_err();
        assert_eq!(refusal, Refusal::DnsName(bad.to_owned()));
    }
}

#[test]
fn keys_of_the_usual_kinds_are_certified() {
    let (_dir, authority) = authority();
    let now = std::time::SystemTime::now();
    for kind in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let key = KeyPair::generate_for(kind).unwrap();
        authority
            .issue(&request(csr(&CertificateParams::default(), &key)), now)
            .unwrap();
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let refusal = authority
        .issue(&request(csr(&CertificateParams::default(), &key)), now)
        .unwrap_err();
    assert_eq!(refusal, Refusal::Key);
}

#[test]
fn refuses() {
    let (_dir, authority) = authority();
    let now = std::time::SystemTime::now();
    let key = KeyPair::generate().unwrap();
    let named = |names: &[&str]| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| uri(name)).collect();
        csr(&params, &key)
    };
    let good = named(&[]);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut longer = good.clone();
    longer.push(0);
    let other = "spiffe://cluster.local/ns/default/sa/ratings";
    for (what, csr, reason) in [
        ("foreign name", named(&[other]), RefusalReason::RequestName),
        (
            "own and foreign name",
            named(&[identity().as_str(), other]),
            RefusalReason::RequestName,
        ),
        (
            "any URI",
            named(&["https://example.com"]),
            RefusalReason::RequestName,
        ),
        ("broken signature", damaged, RefusalReason::RequestSignature),
        ("trailing bytes", longer, RefusalReason::RequestMalformed),
        ("empty", Vec::new(), RefusalReason::RequestMalformed),
        (
            "too large",
            vec![0x30; 20_000],
            RefusalReason::RequestMalformed,
        ),
    ] {
        let refusal = authority.issue(&request(csr), now).unwrap_err();
        assert_eq!(refusal.reason(), reason, "{what}: {refusal}");
    }
    let mut foreign = request(good);
    foreign.identity = "spiffe://example.org/ns/default/sa/reviews"
        .parse()
        .unwrap();
    assert_eq!(
        authority.issue(&foreign, now).unwrap_err().reason(),
        RefusalReason::TrustDomain
    );
}

#[test]
fn serial_numbers_do_not_repeat() {
    let (_dir, authority) = authority();
    let wish = request(
        SecretKey::generate()
            .unwrap()
            .certificate_request()
            .unwrap(),
    );
    let serial = || {
        authority
            .issue(&wish, std::time::SystemTime::now())
            .unwrap()
            .serial
    };
    let serials: std::collections::BTreeSet<_> = (0..50).map(|_| serial()).collect();
    assert_eq!(serials.len(), 50);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_changed_request_is_never_certified_for_another_key(changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..4)) {
        let key = SecretKey::generate().unwrap();
        let good = key.certificate_request().unwrap();
        let mut changed = good.clone();
        for (position, byte) in changes {
            let position = position % changed.len();
            changed[position] = byte;
        }
        prop_assume!(changed != good);
        // ECDSA signatures have a second valid form, so it may pass; then only with the same key.
        if RequestedKey::from_csr(&changed, &identity()).is_ok() {
            prop_assert_eq!(requested_key(&changed).unwrap(), requested_key(&good).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(RequestedKey::from_csr(&bytes, &identity()).is_err());
    }
}
