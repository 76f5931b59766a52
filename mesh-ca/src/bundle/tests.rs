use std::time::SystemTime;

use super::*;
use crate::{Authority, AuthorityOptions};

fn authority() -> (tempfile::TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
    (dir, authority)
}

#[test]
fn what_is_written_is_read_again() {
    let (_dir, authority) = authority();
    let bundle = SpiffeBundle {
        roots_der: authority.roots_der().to_vec(),
        jwks: authority.jwks(SystemTime::now()),
        sequence: Some(7),
        refresh_hint: Some(Duration::from_secs(300)),
    };
    let text = bundle.to_json().unwrap();
    let read = SpiffeBundle::parse(text.as_bytes()).unwrap();
    assert_eq!(read.roots_der, bundle.roots_der);
    assert_eq!(
        (read.sequence, read.refresh_hint),
        (bundle.sequence, bundle.refresh_hint)
    );
    let keys: Value = serde_json::from_str(&read.jwks).unwrap();
    let before: Value = serde_json::from_str(&bundle.jwks).unwrap();
    assert_eq!(keys["keys"][0]["x"], before["keys"][0]["x"]);
    assert_eq!(keys["keys"][0]["kid"], before["keys"][0]["kid"]);
    let set: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(set["keys"][0]["use"], "x509-svid");
    assert_eq!(set["keys"][0]["crv"], "P-256");
    assert_eq!(set["keys"][1]["use"], "jwt-svid");
}

#[test]
fn roots_of_other_kinds_are_written() {
    for (algorithm, kty) in [
        (&rcgen::PKCS_RSA_SHA256, "RSA"),
        (&rcgen::PKCS_ECDSA_P384_SHA384, "EC"),
    ] {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = parameters.self_signed(&key).unwrap().der().to_vec();
        let bundle = SpiffeBundle {
            roots_der: vec![root],
            ..SpiffeBundle::default()
        };
        let text = bundle.to_json().unwrap();
        assert!(text.contains(kty), "{text}");
        assert_eq!(SpiffeBundle::parse(text.as_bytes()).unwrap(), bundle);
    }
}

#[test]
fn what_is_unknown_is_passed_over_and_what_is_wrong_refused() {
    let (_dir, authority) = authority();
    let good = SpiffeBundle {
        roots_der: authority.roots_der().to_vec(),
        ..SpiffeBundle::default()
    };
    let good: Value = serde_json::from_str(&good.to_json().unwrap()).unwrap();
    let root = &good["keys"][0];
    let with = |change: &dyn Fn(&mut Value)| {
        let mut key = root.clone();
        change(&mut key);
        json!({"keys": [key]}).to_string()
    };
    let leaf = {
        let key = crate::SecretKey::generate().unwrap();
        let request = crate::Issue {
            identity: "spiffe://cluster.local/ns/a/sa/b".parse().unwrap(),
            csr_der: key.certificate_request().unwrap(),
            ttl: None,
            dns_names: Vec::new(),
            binding: None,
        };
        let issued = authority.issue(&request, SystemTime::now()).unwrap();
        STANDARD.encode(&issued.chain_der[0])
    };
    let nothing = [
        json!({"keys": []}).to_string(),
        with(&|key| key["kty"] = "LATTICE".into()),
        with(&|key| key["use"] = "other".into()),
        with(&|key| drop(key.as_object_mut().unwrap().remove("use"))),
        json!({"keys": ["text", 7, null]}).to_string(),
    ];
    for text in nothing {
        let read = SpiffeBundle::parse(text.as_bytes()).unwrap();
        assert_eq!(read, SpiffeBundle::default(), "{text}");
    }
    let many = json!({"keys": vec![json!({}); MOST_KEYS + 1]}).to_string();
    for (text, words) in [
        ("".to_owned(), "no JSON"),
        ("[]".to_owned(), "no JSON"),
        ("{}".to_owned(), "`keys`"),
        (r#"{"keys": null}"#.to_owned(), "`keys`"),
        (
            r#"{"keys": [], "spiffe_sequence": -1}"#.to_owned(),
            "spiffe_sequence",
        ),
        (
            r#"{"keys": [], "spiffe_refresh_hint": "5m"}"#.to_owned(),
            "refresh_hint",
        ),
        (many, "more than"),
        (with(&|key| key["x5c"] = json!([])), "exactly one"),
        (with(&|key| key["x5c"] = json!(["a", "b"])), "exactly one"),
        (with(&|key| key["x5c"] = json!(["%"])), "base64"),
        (with(&|key| key["x5c"] = json!(["AAAA"])), "no certificate"),
        (with(&|key| key["x5c"] = json!([leaf])), "authority"),
        (
            json!({"keys": [{"use": "jwt-svid", "kty": "EC"}]}).to_string(),
            "`kid`",
        ),
    ] {
        let error = SpiffeBundle::parse(text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let long = vec![b' '; LONGEST_BUNDLE + 1];
    assert_eq!(SpiffeBundle::parse(&long), Err(BundleError::TooLong));
}

#[test]
fn the_private_half_of_a_key_goes_no_further() {
    let text = r#"{"keys": [{"use": "jwt-svid", "kty": "EC", "kid": "a", "crv": "P-256", "x": "x", "y": "y", "d": "secret", "alg": "ES256"}]}"#;
    let read = SpiffeBundle::parse(text.as_bytes()).unwrap();
    assert!(!read.jwks.contains("secret") && !read.jwks.contains("use"));
    assert!(read.jwks.contains("ES256"));
}

#[test]
fn a_root_that_names_another_trust_domain_is_told() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let uri = rcgen::SanType::URI("spiffe://a.example".try_into().unwrap());
    parameters.subject_alt_names = vec![uri];
    let bundle = SpiffeBundle {
        roots_der: vec![parameters.self_signed(&key).unwrap().der().to_vec()],
        ..SpiffeBundle::default()
    };
    assert_eq!(bundle.foreign_root("a.example"), None);
    assert_eq!(
        bundle.foreign_root("b.example").as_deref(),
        Some("a.example")
    );
}
