//! Where tokens stand, and what the workload gets.

use super::*;

fn ask(rules: &TokenRules, parts: &mut Parts) -> Result<Option<String>, Reason> {
    let mut cache = TokenCache::new(64 * 1024);
    authenticate(rules, parts, NOW, &mut cache)
        .map(|token| token.map(|token| token.subject().to_owned()))
        .map_err(|refused| refused.reason)
}

fn rules(list: Vec<TokenRule>) -> TokenRules {
    TokenRules::new(1, list)
}

#[test]
fn tokens_stand_where_rules_say() {
    let signer = Signer::ed();
    let token = signer.token(&claims());
    let bearer = format!("bearer {token}");
    let prefixed = format!("Token {token}");
    let query = format!("/a?x=1&access_token={token}&y=2");
    let param = format!("/a?t={token}");
    let cookie = format!("a=1; session={token}; b=2");
    let of = |locations: Vec<Location>| {
        let mut rule = rule(&[signer.jwk("k")]);
        if !locations.is_empty() {
            rule.locations = locations;
        }
        rules(vec![rule])
    };
    let header = |name: &'static str, prefix: &str| Location::Header {
        name: HeaderName::from_static(name),
        prefix: prefix.into(),
        scheme: false,
    };
    let me = || Ok(Some("me".to_owned()));
    for (locations, path, field, want) in [
        (vec![], "/", ("authorization", bearer.as_str()), me()),
        (vec![], query.as_str(), ("x", "1"), me()),
        (vec![], "/", ("authorization", "Basic YTpi"), Ok(None)),
        (
            vec![],
            "/",
            ("authorization", "Bearer nonsense"),
            Err(Reason::JwtMalformed),
        ),
        (vec![], "/", ("x-token", token.as_str()), Ok(None)),
        (
            vec![header("x-token", "")],
            "/",
            ("x-token", token.as_str()),
            me(),
        ),
        (
            vec![header("x-token", "Token ")],
            "/",
            ("x-token", prefixed.as_str()),
            me(),
        ),
        (
            vec![header("x-token", "Token ")],
            "/",
            ("x-token", token.as_str()),
            Ok(None),
        ),
        (
            vec![header("x-token", "")],
            "/",
            ("authorization", bearer.as_str()),
            Ok(None),
        ),
        (
            vec![Location::Param("t".into())],
            param.as_str(),
            ("x", "1"),
            me(),
        ),
        (
            vec![Location::Cookie("session".into())],
            "/",
            ("cookie", cookie.as_str()),
            me(),
        ),
    ] {
        let mut parts = request("GET", path, &[field]);
        assert_eq!(
            ask(&of(locations.clone()), &mut parts),
            want,
            "{locations:?} {field:?}"
        );
        if want == me() {
            let rest = format!("{} {:?}", parts.uri, parts.headers);
            assert!(!rest.contains(&token), "the token was forwarded: {rest}");
        }
    }
}

#[test]
fn what_stands_around_a_token_stays() {
    let signer = Signer::ed();
    let token = signer.token(&claims());
    let of = |location: Location| {
        let mut rule = rule(&[signer.jwk("k")]);
        rule.locations = vec![location];
        rules(vec![rule])
    };
    let query = format!("/a?x=1&t={token}&y=2");
    let mut parts = request("GET", &query, &[]);
    ask(&of(Location::Param("t".into())), &mut parts).unwrap();
    assert_eq!(parts.uri.to_string(), "/a?x=1&y=2");
    let cookie = format!("a=1; session={token}; b=2");
    let mut parts = request("GET", "/", &[("cookie", &cookie)]);
    ask(&of(Location::Cookie("session".into())), &mut parts).unwrap();
    assert_eq!(parts.headers.get("cookie").unwrap(), "a=1; b=2");
}

/// One good token beside a bad one in the places of a rule is a bad one.
#[test]
fn every_token_of_a_rule_must_hold() {
    let signer = Signer::ed();
    let bearer = format!("Bearer {}", signer.token(&claims()));
    let mut parts = request("GET", "/?access_token=bad", &[("authorization", &bearer)]);
    let rules = rules(vec![rule(&[signer.jwk("k")])]);
    assert_eq!(ask(&rules, &mut parts), Err(Reason::JwtMalformed));
}

#[test]
fn trap_63_any_rule_may_take_the_token_and_none_passes() {
    let (one, two) = (Signer::ed(), Signer::ed());
    let second = TokenRule {
        issuer: "two".into(),
        ..rule(&[two.jwk("k")])
    };
    let both = rules(vec![rule(&[one.jwk("k")]), second]);
    let of_two = |signer: &Signer| signer.token(&json!({"iss": "two", "sub": "you"}));
    for (token, want) in [
        (one.token(&claims()), Ok(Some("me".to_owned()))),
        (of_two(&two), Ok(Some("you".to_owned()))),
        (of_two(&one), Err(Reason::JwtSignatureInvalid)),
        (
            one.token(&json!({"iss": "three"})),
            Err(Reason::JwtIssuerUnknown),
        ),
    ] {
        let bearer = format!("Bearer {token}");
        let mut parts = request("GET", "/", &[("authorization", &bearer)]);
        assert_eq!(ask(&both, &mut parts), want);
    }
    assert_eq!(ask(&both, &mut request("GET", "/", &[])), Ok(None));
    let preflight = [
        ("origin", "https://a"),
        ("access-control-request-method", "PUT"),
        ("authorization", "Bearer bad"),
    ];
    let mut parts = request("OPTIONS", "/", &preflight);
    assert_eq!(ask(&both, &mut parts), Ok(None));
}

#[test]
fn trap_64_claims_come_as_headers_and_only_so() {
    let signer = Signer::ed();
    let mut rule = rule(&[signer.jwk("k")]);
    rule.forward = true;
    rule.payload_header = Some(HeaderName::from_static("x-payload"));
    let name = HeaderName::from_static;
    rule.claim_headers = vec![
        (name("x-sub"), vec!["sub".into()]),
        (name("x-deep"), vec!["a".into(), "b".into()]),
        (name("x-flag"), vec!["flag".into()]),
        (name("x-list"), vec!["list".into()]),
        (name("x-gone"), vec!["gone".into()]),
    ];
    let rules = rules(vec![rule]);
    let token = signer.token(&json!({
        "iss": "iss", "sub": "me", "a": {"b": 7}, "flag": true, "list": ["x"],
    }));
    let bearer = format!("Bearer {token}");
    let spoofed = [("x-sub", "root"), ("x-payload", "root"), ("x-gone", "root")];
    let fields: Vec<_> = spoofed
        .into_iter()
        .chain([("authorization", bearer.as_str())])
        .collect();
    let mut parts = request("GET", "/", &fields);
    assert_eq!(ask(&rules, &mut parts), Ok(Some("me".to_owned())));
    let get = |parts: &Parts, name: &str| {
        let value = parts.headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(get(&parts, "x-sub").as_deref(), Some("me"));
    assert_eq!(get(&parts, "x-deep").as_deref(), Some("7"));
    assert_eq!(get(&parts, "x-flag").as_deref(), Some("true"));
    assert_eq!((get(&parts, "x-list"), get(&parts, "x-gone")), (None, None));
    assert_eq!(get(&parts, "authorization"), Some(bearer.clone()));
    let payload = get(&parts, "x-payload").unwrap();
    assert_eq!(payload, token.split('.').nth(1).unwrap());
    let mut parts = request("GET", "/", &spoofed);
    assert_eq!(ask(&rules, &mut parts), Ok(None));
    for (field, _) in spoofed {
        assert_eq!(get(&parts, field), None, "{field}");
    }
}
