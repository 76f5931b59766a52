//! JWT-SVIDs.

use super::*;
use crate::jwt::{BadSvid, JwtSvid};

const ID: &str = "spiffe://other.example/any/path";

fn svid() -> Value {
    json!({"sub": ID, "aud": ["here", "there"], "exp": NOW + 100})
}

fn with(member: &str, value: Value) -> Value {
    let mut claims = svid();
    claims[member] = value;
    claims
}

fn set(signers: &[(&Signer, &str)]) -> KeySet {
    let keys: Vec<Value> = signers.iter().map(|(key, id)| key.jwk(id)).collect();
    KeySet::parse(&json!({ "keys": keys }).to_string()).unwrap()
}

fn check(signer: &Signer, token: &str) -> Result<JwtSvid, BadSvid> {
    let keys = |domain: &str| (domain == "other.example").then(|| set(&[(signer, "k")]));
    JwtSvid::verify(token, "here", keys, NOW)
}

#[test]
fn a_good_one_holds_by_every_algorithm_of_the_standard() {
    for name in ["RS256", "PS512"] {
        let signer = Signer::rsa(name);
        check(&signer, &signer.token(&svid())).unwrap();
    }
    for name in ["ES256", "ES384", "ES512"] {
        let signer = Signer::ecdsa(name);
        let holds = check(&signer, &signer.token(&svid())).unwrap();
        assert_eq!(holds.id, ID);
        assert_eq!(holds.claims["aud"], json!(["here", "there"]));
    }
    let signer = Signer::ecdsa("ES256");
    for claims in [
        with("aud", json!("here")),
        with("exp", json!(NOW - 59)),
        with("nbf", json!(NOW + 59)),
    ] {
        check(&signer, &signer.token(&claims)).unwrap();
    }
    for typ in ["JWT", "JOSE"] {
        let header = json!({"alg": "ES256", "typ": typ});
        check(&signer, &signer.token_with(&header, &svid())).unwrap();
    }
}

#[test]
fn what_does_not_hold_is_refused_by_its_reason() {
    let signer = Signer::ecdsa("ES256");
    let malformed = |why| BadSvid::Malformed(why);
    let no_id = malformed("its `sub` is no SPIFFE ID");
    for (claims, reason) in [
        (with("aud", json!(["elsewhere"])), BadSvid::Audience),
        (with("aud", json!("here ")), BadSvid::Audience),
        (with("aud", Value::Null), BadSvid::Audience),
        (with("exp", json!(NOW - 61)), BadSvid::Expired),
        (with("exp", Value::Null), malformed("it has no `exp`")),
        (with("nbf", json!(NOW + 61)), BadSvid::NotYet),
        (with("nbf", json!("x")), malformed("its `nbf` is no time")),
        (with("sub", Value::Null), malformed("it has no `sub`")),
        (with("sub", json!("me")), no_id.clone()),
        (with("sub", json!("spiffe://other.example")), no_id.clone()),
        (with("sub", json!("spiffe://other.example/")), no_id.clone()),
        (
            with("sub", json!("spiffe://other.example/a/../b")),
            no_id.clone(),
        ),
        (with("sub", json!("spiffe://Other.example/a")), no_id),
        (
            with("sub", json!("spiffe://third.example/a")),
            BadSvid::TrustDomain("third.example".to_owned()),
        ),
    ] {
        let refused = check(&signer, &signer.token(&claims)).unwrap_err();
        assert_eq!(refused, reason, "{claims}");
    }
    let token = |header: Value| signer.token_with(&header, &svid());
    for (token, reason) in [
        (token(json!({"alg": "none"})), BadSvid::Algorithm),
        (token(json!({"alg": "HS256"})), BadSvid::Algorithm),
        (token(json!({"alg": "EdDSA"})), BadSvid::Algorithm),
        (token(json!({"alg": "ES384"})), BadSvid::Signature),
        (
            token(json!({"alg": "ES256", "kid": "other"})),
            BadSvid::Signature,
        ),
        (
            token(json!({"alg": "ES256", "typ": "at+jwt"})),
            malformed("its `typ` is neither JWT nor JOSE"),
        ),
        (
            token(json!({"alg": "ES256", "crit": []})),
            malformed("it asks for extensions"),
        ),
        (Signer::ecdsa("ES256").token(&svid()), BadSvid::Signature),
        ("a.b".to_owned(), malformed("it has not three parts")),
        (
            "a".repeat(crate::jwt::LONGEST + 1),
            malformed("it is too long"),
        ),
    ] {
        assert_eq!(check(&signer, &token).unwrap_err(), reason, "{token}");
    }
}
