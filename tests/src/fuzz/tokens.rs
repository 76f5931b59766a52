//! Tokens, keys that verify them, and what applications ask about them.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use mesh_api::spiffe_workload::{
    JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, X509svidRequest,
};
use mesh_ca::{Authority, AuthorityOptions, SpiffeBundle};
use mesh_proxy::workload_api;
use mesh_proxy_core::ir::{Mesh, TrustBundle};
use mesh_proxy_core::jwt::{self, KeySet, Location, TokenCache, TokenRule, TokenRules};
use prost::Message;

use super::{client, prefixed, request};

/// When it is, to all targets here: between the times of the seeds.
const NOW: u64 = 1_800_000_000;

/// Keys whose private half is gone: nothing can be signed by them.
fn lost_keys() -> &'static str {
    static KEYS: OnceLock<String> = OnceLock::new();
    KEYS.get_or_init(|| {
        let keys = || {
            let directory = tempfile::tempdir().ok()?;
            let authority = Authority::open(directory.path(), &AuthorityOptions::default()).ok()?;
            Some(authority.jwks(mesh_ca::now()))
        };
        keys().unwrap_or_default()
    })
}

fn rule(issuer: &str, keys: KeySet) -> TokenRule {
    let mut locations = Location::defaults();
    locations.push(Location::Cookie("session".into()));
    TokenRule {
        policy: "default/tokens".into(),
        issuer: issuer.into(),
        audiences: vec!["here".into()],
        keys: Ok(keys),
        locations,
        forward: false,
        payload_header: Some(http::HeaderName::from_static("x-payload")),
        claim_headers: vec![(
            http::HeaderName::from_static("x-sub"),
            vec!["sub".into(), "name".into()],
        )],
        space_delimited: vec!["scope".into()],
        origin: None,
    }
}

/// A key set behind two bytes of length, and a token for it, in a request as text. Nobody can sign
/// by keys whose private half is gone.
pub fn jwt(data: &[u8]) {
    let Some((keys, text)) = prefixed(data) else {
        return;
    };
    let token = String::from_utf8_lossy(text);
    if let Ok(lost) = KeySet::parse(lost_keys()) {
        assert!(jwt::verify(&rule("iss", lost), &token, NOW).is_err());
    }
    let Ok(keys) = KeySet::parse(&String::from_utf8_lossy(keys)) else {
        return;
    };
    let rules = vec![rule("iss", keys.clone()), rule("other", keys)];
    if let Some(rule) = rules.first()
        && let Ok(verified) = jwt::verify(rule, &token, NOW)
    {
        // What holds once holds again, and says who issued it.
        assert_eq!(jwt::verify(rule, &token, NOW), Ok(verified.clone()));
        assert_eq!(
            verified.token.claims().get("iss"),
            Some(&serde_json::Value::from("iss"))
        );
    }
    let Some(mut parts) = request(text) else {
        return;
    };
    let rules = TokenRules::new(1, rules);
    let mut cache = TokenCache::new(64 * 1024);
    let first = jwt::authenticate(&rules, &mut parts.clone(), NOW, &mut cache);
    // What is remembered decides as what is verified.
    let again = jwt::authenticate(&rules, &mut parts, NOW, &mut cache);
    assert_eq!(
        first.map(|token| token.map(|token| token.claims().clone())),
        again.map(|token| token.map(|token| token.claims().clone()))
    );
}

/// A request of an application to the Workload API: which one, then its octets.
pub fn workload_request(data: &[u8]) {
    let Some((kind, message)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => drop(X509svidRequest::decode(message)),
        1 => drop(JwtsvidRequest::decode(message)),
        2 => drop(JwtBundlesRequest::decode(message)),
        _ => {
            let Ok(request) = ValidateJwtsvidRequest::decode(message) else {
                return;
            };
            let mut mesh = Mesh {
                jwks: lost_keys().to_owned(),
                ..Mesh::default()
            };
            if let Ok(trust_domain) = "other.example".parse() {
                mesh.federated.push(TrustBundle {
                    trust_domain,
                    roots_der: Vec::new(),
                    jwks: lost_keys().to_owned(),
                });
            }
            assert!(workload_api::validate(&mesh, &request).is_err());
        }
    }
}

/// The bundle of another trust domain: refused, or the same when it is written and read again.
pub fn spiffe_bundle(data: &[u8]) {
    let Ok(bundle) = SpiffeBundle::parse(data) else {
        return;
    };
    drop(bundle.foreign_root("cluster.local"));
    if let Ok(text) = bundle.to_json() {
        assert_eq!(SpiffeBundle::parse(text.as_bytes()).as_ref(), Ok(&bundle));
    }
    if !bundle.jwks.is_empty() {
        drop(KeySet::parse(&bundle.jwks));
    }
}

/// A service-account token behind two bytes of length, and the API server's answer about it. Who
/// is taken has a namespace and an account, and the answer said that the token is for us.
pub fn kubernetes_token(data: &[u8]) {
    let Some((token, answer)) = prefixed(data) else {
        return;
    };
    let audiences = ["istio-ca".to_owned()];
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let token = String::from_utf8_lossy(token);
    let caller = meshd::service_account_of(&token, answer, &audiences, now);
    if let Some(Ok(caller)) = caller {
        assert!(!caller.namespace.is_empty() && !caller.service_account.is_empty());
        let answer = String::from_utf8_lossy(answer);
        assert!(answer.contains("audiences"), "{answer}");
        let identity = client().map(|id| id.trust_domain().to_owned());
        let domain = identity.unwrap_or_default().parse();
        if let Ok(domain) = domain {
            // It has an identity, or is refused later.
            drop(mesh_api::SpiffeId::new(
                &domain,
                &caller.namespace,
                &caller.service_account,
            ));
        }
    }
}
