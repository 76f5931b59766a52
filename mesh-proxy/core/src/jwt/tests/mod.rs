use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use serde_json::{Value, json};

use super::key::BASE64URL;
use super::*;
use crate::fixtures::request;

mod places;
mod svid;

/// 2026-11-23, or so.
const NOW: u64 = 1_795_400_000;

enum Signer {
    Rsa(Box<RsaKeyPair>, &'static str),
    Ecdsa(EcdsaKeyPair, &'static str, &'static str),
    Ed(Ed25519KeyPair),
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL.encode(bytes)
}

impl Signer {
    fn rsa(algorithm: &'static str) -> Self {
        let key = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        Self::Rsa(Box::new(key), algorithm)
    }

    fn ecdsa(name: &'static str) -> Self {
        let (algorithm, curve): (&'static EcdsaSigningAlgorithm, _) = match name {
            "ES256" => (&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            "ES384" => (&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            _ => (&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
        };
        Self::Ecdsa(EcdsaKeyPair::generate(algorithm).unwrap(), name, curve)
    }

    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_, name) | Self::Ecdsa(_, name, _) => name,
            Self::Ed(_) => "EdDSA",
        }
    }

    fn jwk(&self, id: &str) -> Value {
        let mut key = match self {
            Self::Rsa(key, _) => {
                // RSAPublicKey (RFC 8017 appendix A.1.1): a sequence of 4 octets' head, the
                // modulus of 257 octets under 4 of head, and the exponent 65537.
                let der = key.public_key().as_ref();
                let (n, e) = (&der[9..9 + 256], [1, 0, 1]);
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Self::Ecdsa(key, _, curve) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key())})
            }
        };
        if !id.is_empty() {
            key["kid"] = id.into();
        }
        key
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key, name) => {
                let encoding: &'static dyn signature::RsaEncoding = match *name {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut out).unwrap();
                out
            }
            Self::Ecdsa(key, ..) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": "k"}), claims)
    }
}

fn claims() -> Value {
    json!({"iss": "iss", "sub": "me", "aud": ["here"], "exp": NOW + 100, "nbf": NOW - 100})
}

fn rule(keys: &[Value]) -> TokenRule {
    let set = json!({ "keys": keys });
    TokenRule {
        policy: "ns/tokens".into(),
        issuer: "iss".into(),
        audiences: Vec::new(),
        keys: KeySet::parse(&set.to_string()).map_err(|error| error.to_string().into()),
        locations: Location::defaults(),
        forward: false,
        payload_header: None,
        claim_headers: Vec::new(),
        space_delimited: vec!["scope".into()],
        origin: None,
    }
}

fn outcome(rule: &TokenRule, token: &str) -> Result<(), Reason> {
    verify(rule, token, NOW).map(drop)
}

#[test]
fn every_algorithm_verifies_its_own_and_no_others() {
    let mut signers: Vec<Signer> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        .into_iter()
        .map(Signer::rsa)
        .collect();
    signers.extend(["ES256", "ES384", "ES512"].into_iter().map(Signer::ecdsa));
    signers.push(Signer::ed());
    for signer in &signers {
        let rule = rule(&[signer.jwk("k")]);
        let good = signer.token(&claims());
        assert_eq!(outcome(&rule, &good), Ok(()), "{}", signer.algorithm());
        // Another payload under the same signature.
        let mut forged: Vec<&str> = good.split('.').collect();
        let other = encode(json!({"iss": "iss", "sub": "root"}).to_string());
        forged[1] = &other;
        let forged = forged.join(".");
        assert_eq!(outcome(&rule, &forged), Err(Reason::JwtSignatureInvalid));
        for other in &signers {
            let same = std::ptr::eq(signer, other);
            assert_eq!(
                outcome(&rule, &other.token(&claims())).is_ok(),
                same,
                "{} by {}",
                signer.algorithm(),
                other.algorithm()
            );
        }
    }
}

#[test]
fn attacks_are_refused_by_name() {
    let signer = Signer::rsa("RS256");
    let jwk = signer.jwk("k");
    let by_rule = rule(std::slice::from_ref(&jwk));
    let claims = claims();
    let with = |header: Value| signer.token_with(&header, &claims);
    let unsigned = |alg: &str| {
        let header = encode(json!({"alg": alg, "kid": "k"}).to_string());
        format!("{header}.{}.", encode(claims.to_string()))
    };
    // The public key as the secret of an HMAC.
    let confused = {
        let header = encode(json!({"alg": "HS256", "kid": "k"}).to_string());
        let message = format!("{header}.{}", encode(claims.to_string()));
        let secret = BASE64URL.decode(jwk["n"].as_str().unwrap()).unwrap();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        format!(
            "{message}.{}",
            encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()))
        )
    };
    let claimed = |change: fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        signer.token(&claims)
    };
    let cases = [
        (unsigned("none"), Reason::JwtAlgorithmRefused),
        (unsigned("NoNe"), Reason::JwtAlgorithmRefused),
        (confused, Reason::JwtAlgorithmRefused),
        (unsigned("RS256"), Reason::JwtSignatureInvalid),
        (
            with(json!({"alg": "RS256", "kid": "other"})),
            Reason::JwtKeyUnknown,
        ),
        (
            with(json!({"alg": "RS256", "kid": 7})),
            Reason::JwtMalformed,
        ),
        (
            with(json!({"alg": "ES256", "kid": "k"})),
            Reason::JwtKeyUnknown,
        ),
        (
            with(json!({"alg": "RS256", "kid": "k", "crit": ["b64"]})),
            Reason::JwtMalformed,
        ),
        (with(json!({"kid": "k"})), Reason::JwtMalformed),
        (
            claimed(|c| c["iss"] = "evil".into()),
            Reason::JwtIssuerUnknown,
        ),
        (
            claimed(|c| c["exp"] = (NOW - 61).into()),
            Reason::JwtExpired,
        ),
        (claimed(|c| c["exp"] = "never".into()), Reason::JwtMalformed),
        (
            claimed(|c| c["nbf"] = (NOW + 61).into()),
            Reason::JwtNotYetValid,
        ),
        ("a.b".into(), Reason::JwtMalformed),
        ("a.b.c.d".into(), Reason::JwtMalformed),
        ("..".into(), Reason::JwtMalformed),
        (String::new(), Reason::JwtMalformed),
        ("e30.e30.".into(), Reason::JwtMalformed),
        ("x".repeat(LONGEST + 1), Reason::JwtTooLarge),
    ];
    for (token, want) in cases {
        assert_eq!(outcome(&by_rule, &token), Err(want), "{token:.80}");
    }
}

#[test]
fn audiences_and_missing_keys() {
    let signer = Signer::ed();
    let claims = claims();
    let mut elsewhere = rule(&[signer.jwk("k")]);
    elsewhere.audiences = vec!["there".into()];
    assert_eq!(
        outcome(&elsewhere, &signer.token(&claims)),
        Err(Reason::JwtAudienceRefused)
    );
    elsewhere.audiences = vec!["https://here/".into()];
    assert_eq!(outcome(&elsewhere, &signer.token(&claims)), Ok(()));
    let without = TokenRule {
        keys: Err("cannot be fetched".into()),
        ..rule(&[])
    };
    assert_eq!(
        outcome(&without, &signer.token(&claims)),
        Err(Reason::JwtKeysUnavailable)
    );
}

#[test]
fn keys_for_other_uses_are_none() {
    let signer = Signer::ecdsa("ES256");
    let token = signer.token(&claims());
    for (name, value, fits) in [
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["sign"]), false),
        ("alg", json!("ES256"), true),
        ("alg", json!("ES384"), false),
        ("alg", json!("HS256"), false),
    ] {
        let mut key = signer.jwk("k");
        key[name] = value.clone();
        let found = outcome(&rule(&[key]), &token);
        assert_eq!(found.is_ok(), fits, "{name} {value} {found:?}");
    }
    assert_eq!(KeySet::parse("{}"), Err(BadKeys::Malformed));
    assert_eq!(KeySet::parse("[]"), Err(BadKeys::Malformed));
    let shared = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]});
    assert_eq!(KeySet::parse(&shared.to_string()), Err(BadKeys::Empty));
    // A key without a name fits any, and a token without a name any key.
    assert_eq!(outcome(&rule(&[signer.jwk("")]), &token), Ok(()));
    let nameless = signer.token_with(&json!({"alg": "ES256"}), &claims());
    let others = [Signer::ecdsa("ES256").jwk("a"), signer.jwk("b")];
    assert_eq!(outcome(&rule(&others), &nameless), Ok(()));
}

#[test]
fn what_was_verified_is_remembered_until_it_expires() {
    let signer = Signer::ed();
    let rules = TokenRules::new(1, vec![rule(&[signer.jwk("k")])]);
    let token = signer.token(&claims());
    let bearer = format!("Bearer {token}");
    let ask = |rules: &TokenRules, now, cache: &mut TokenCache| {
        let mut parts = request("GET", "/", &[("authorization", &bearer)]);
        authenticate(rules, &mut parts, now, cache).map(|token| token.is_some())
    };
    let mut cache = TokenCache::new(64 * 1024);
    assert_eq!(ask(&rules, NOW, &mut cache), Ok(true));
    assert!(cache.bytes() > 0);
    assert_eq!(ask(&rules, NOW, &mut cache), Ok(true));
    let late = ask(&rules, NOW + 100 + 61, &mut cache);
    assert_eq!(late.unwrap_err().reason, Reason::JwtExpired);
    // Other rules: what the old ones verified counts for nothing.
    let other = TokenRules::new(2, vec![rule(&[Signer::ed().jwk("k")])]);
    let refused = ask(&other, NOW, &mut cache).unwrap_err();
    assert_eq!(refused.reason, Reason::JwtSignatureInvalid);
    assert_eq!(&*refused.policy, "ns/tokens");
}

#[test]
fn the_cache_stays_within_its_bounds() {
    let signer = Signer::ed();
    let rule = rule(&[signer.jwk("k")]);
    let mut cache = TokenCache::new(16 * 1024);
    for number in 0..200 {
        let token = signer.token(&json!({"iss": "iss", "sub": number.to_string()}));
        let verified = Arc::new(verify(&rule, &token, NOW).unwrap());
        cache.keep((1, 0), &token, verified);
        assert!(cache.bytes() <= 16 * 1024);
        assert!(cache.find((1, 0), &token).is_some());
    }
}
