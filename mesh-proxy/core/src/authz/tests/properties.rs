//! What holds for any policies.

use proptest::prelude::*;

use super::path::normalise;
use super::*;

fn arbitrary_rule() -> impl Strategy<Value = ProtoRule> {
    let some = |list: &'static [&'static str]| {
        proptest::sample::subsequence(list, 0..=list.len().min(2)).prop_map(|list| texts(&list))
    };
    let source = (
        some(&["cluster.local/ns/default/sa/a", "*/sa/b", "*"]),
        some(&["cluster.local/ns/default/sa/b"]),
        some(&["default", "d*", "prod"]),
        some(&["10.0.0.0/8", "10.1.0.0/16"]),
    );
    let source = source.prop_map(|(principals, not_principals, namespaces, ip_blocks)| {
        v1::AuthorizationSource {
            principals,
            not_principals,
            namespaces,
            ip_blocks,
            ..Default::default()
        }
    });
    let operation = (
        some(&["GET", "P*"]),
        some(&["/a*", "/b", "/{*}/x"]),
        some(&["/a/b"]),
        proptest::sample::subsequence(vec![9080_u32, 80], 0..=2),
    );
    let operation =
        operation.prop_map(
            |(methods, paths, not_paths, ports)| v1::AuthorizationOperation {
                methods,
                paths,
                not_paths,
                ports,
                ..Default::default()
            },
        );
    (
        proptest::collection::vec(source, 0..3),
        proptest::collection::vec(operation, 0..3),
    )
        .prop_map(|(from, to)| ProtoRule {
            from,
            to,
            ..Default::default()
        })
}

fn arbitrary_policies() -> impl Strategy<Value = Vec<v1::AuthorizationPolicy>> {
    let one = (
        any::<bool>(),
        proptest::collection::vec(arbitrary_rule(), 0..3),
    );
    proptest::collection::vec(one, 0..4).prop_map(|list| {
        let action = |deny| if deny { Action::Deny } else { Action::Allow };
        list.into_iter()
            .enumerate()
            .map(|(n, (deny, rules))| policy(&format!("p{n}"), action(deny), rules))
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_deny_policy_never_allows_more(
        policies in arbitrary_policies(),
        rules in proptest::collection::vec(arbitrary_rule(), 0..3),
        account in proptest::option::of("[abc]"),
        path in "/[abx]{0,2}(/[abx])?",
        method in "GET|POST|PUT",
    ) {
        let identity = account.map(|account| id(&format!("spiffe://cluster.local/ns/default/sa/{account}")));
        let caller = caller(identity.as_ref());
        let parts = request(&method, &path, &[("host", "h")]);
        let before = world(policies.clone());
        let deny = policy("extra", Action::Deny, rules);
        let after = world(policies.into_iter().chain([deny]).collect());
        for (one, two) in [
            (plan::inbound_http(&before, &caller, &parts), plan::inbound_http(&after, &caller, &parts)),
            (plan::inbound_tcp(&before, &caller), plan::inbound_tcp(&after, &caller)),
        ] {
            prop_assert!(one.allowed || !two.allowed, "{one:?} {two:?}");
        }
    }

    #[test]
    fn what_is_denied_as_http_stays_denied_as_bytes(policies in arbitrary_policies(), path in "/[abx]{0,2}") {
        // Opaque treatment must never be a way around DENY policies, nor give more through ALLOW
        // rules that need HTTP.
        let snapshot = world(policies);
        let who = productpage();
        let http = plan::inbound_http(&snapshot, &caller(Some(&who)), &request("GET", &path, &[]));
        let tcp = plan::inbound_tcp(&snapshot, &caller(Some(&who)));
        if http.reason == Some(Reason::AuthorizationDenied) {
            // The rule that matched matches without its HTTP fields as well.
            prop_assert!(!tcp.allowed);
        }
    }

    #[test]
    fn normal_form_is_stable(path in "/[a-c./\\\\%2356eEfF]{0,24}") {
        let once = normalise(&path).into_owned();
        prop_assert_eq!(normalise(&once), once.as_str());
        prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."), "{}", once);
    }

    #[test]
    fn patterns_never_panic(pattern in "[*{}a/]{0,12}", value in "[a/b]{0,12}") {
        Pattern::new(&pattern).matches_host(&value);
        NamespacePattern::new(&pattern).matches(&value);
        if let Ok(path) = PathPattern::new(&pattern) {
            path.matches(&value);
        }
    }
}
