//! Tokens, and what verifies them.

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_api::spiffe_workload::{JwtsvidRequest, ValidateJwtsvidRequest};
use mesh_ca::{Authority, AuthorityOptions, SpiffeBundle};
use prost::Message;
use serde_json::{Value, json};

use super::{Seeds, named, prefixed};

/// Between the two is the time of the fuzz targets.
const BEGINS: u64 = 1_700_000_000;
const ENDS: u64 = 1_900_000_000;

fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn signed(key: &Ed25519KeyPair, header: &Value, claims: &Value) -> String {
    let message = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    );
    format!("{message}.{}", encode(key.sign(message.as_bytes())))
}

pub(super) fn jwt() -> Seeds {
    let key = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encode(key.public_key())});
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let rsa = aws_lc_rs::rsa::KeyPair::from_pkcs8(rsa.serialized_der()).unwrap();
    let modulus = rsa
        .public_key()
        .modulus()
        .big_endian_without_leading_zero()
        .to_vec();
    let all = json!({"keys": [
        jwk,
        {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "r", "n": encode(modulus), "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "key_ops": ["verify"], "x": encode([1; 32]), "y": encode([2; 32])},
        {"kty": "oct", "k": "AAAA"},
    ]});
    let claims = json!({
        "iss": "iss", "aud": ["here", "there"], "sub": {"name": "somebody"}, "scope": "read write",
        "nbf": BEGINS, "exp": ENDS,
    });
    let good = signed(&key, &json!({"alg": "EdDSA", "kid": "k"}), &claims);
    let with = |token: &str| {
        let keys = prefixed(all.to_string().as_bytes());
        [keys, token.as_bytes().to_vec()].concat()
    };
    let request = |fields: &str| with(&format!("GET /a?access_token={good}&b=c\n{fields}"));
    let none = format!(
        "{}.{}.",
        encode(r#"{"alg":"none"}"#),
        encode(claims.to_string())
    );
    named([
        ("good", &with(&good)),
        ("none", &with(&none)),
        (
            "crit",
            &with(&signed(
                &key,
                &json!({"alg": "EdDSA", "crit": ["x"]}),
                &claims,
            )),
        ),
        (
            "no-kid",
            &with(&signed(&key, &json!({"alg": "EdDSA"}), &claims)),
        ),
        ("parameter", &request("host: a")),
        (
            "header",
            &with(&format!(
                "GET /\nauthorization: bearer {good}\nx-payload: x"
            )),
        ),
        (
            "cookie",
            &with(&format!(
                "POST /\ncookie: a=b; session={good}\ncookie: session=x"
            )),
        ),
    ])
}

pub(super) fn workload_requests() -> Seeds {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path(), &AuthorityOptions::default()).unwrap();
    let identity = "spiffe://cluster.local/ns/default/sa/client"
        .parse()
        .unwrap();
    let issued = authority.issue_jwt(&identity, &["here".to_owned()], mesh_ca::now());
    let key = Ed25519KeyPair::generate().unwrap();
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let claims = json!({"sub": "spiffe://other.example/a", "aud": "here", "exp": ENDS});
    let validate = |svid: String| {
        let request = ValidateJwtsvidRequest {
            audience: "here".to_owned(),
            svid,
        };
        [vec![3], request.encode_to_vec()].concat()
    };
    let fetch = JwtsvidRequest {
        audience: vec!["db".to_owned(), "web".to_owned()],
        spiffe_id: identity.to_string(),
    };
    named([
        ("x509", &[0]),
        ("fetch", &[vec![1], fetch.encode_to_vec()].concat()),
        ("validate", &validate(issued.unwrap().token)),
        ("validate-other", &validate(signed(&key, &header, &claims))),
    ])
}

pub(super) fn bundles() -> Seeds {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path(), &AuthorityOptions::default()).unwrap();
    let bundle = SpiffeBundle {
        roots_der: authority.roots_der().to_vec(),
        jwks: authority.jwks(mesh_ca::now()),
        sequence: Some(1),
        refresh_hint: Some(Duration::from_secs(300)),
    };
    let roots = SpiffeBundle {
        jwks: String::new(),
        ..bundle.clone()
    };
    named([
        ("whole", bundle.to_json().unwrap().as_bytes()),
        ("roots", roots.to_json().unwrap().as_bytes()),
        ("empty", br#"{"keys": [], "spiffe_sequence": 2}"#),
        (
            "unknown",
            br#"{"keys": [{"kty": "EC", "use": "other"}, {"kty": "X"}, 7]}"#,
        ),
    ])
}

pub(super) fn kubernetes_tokens() -> Seeds {
    let token = |claims: Value| {
        let header = json!({"alg": "RS256", "kid": "k"});
        let text = format!(
            "{}.{}.c2ln",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        prefixed(text.as_bytes())
    };
    let good = token(json!({"aud": ["istio-ca"], "exp": ENDS, "iss": "https://kubernetes"}));
    let late = token(json!({"aud": "istio-ca", "exp": BEGINS}));
    let old = token(json!({"sub": "system:serviceaccount:default:web"}));
    let answer = json!({
        "authenticated": true,
        "audiences": ["istio-ca"],
        "user": {
            "username": "system:serviceaccount:default:web",
            "extra": {"authentication.kubernetes.io/pod-name": ["web-1"]},
        },
    })
    .to_string();
    let refused = br#"{"authenticated": false, "error": "token has expired"}"#;
    let user =
        br#"{"authenticated": true, "audiences": ["istio-ca"], "user": {"username": "admin"}}"#;
    let with = |token: &[u8], answer: &[u8]| [token, answer].concat();
    named([
        ("good", &with(&good, answer.as_bytes())),
        ("old", &with(&old, answer.as_bytes())),
        ("late", &with(&late, answer.as_bytes())),
        ("refused", &with(&good, refused)),
        ("user", &with(&good, user)),
    ])
}
