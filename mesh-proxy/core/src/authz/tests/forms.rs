//! Normal forms of paths, and routes by claims.

use serde_json::json;

use super::*;
use crate::authz::path::PathForm;
use crate::route::RequestView;

#[test]
fn trap_61_all_four_forms() {
    use PathForm::{AsItComes, Base, DecodeAndMergeSlashes, MergeSlashes};
    for (path, as_it_comes, base, merged, decoded) in [
        ("/a/b", "/a/b", "/a/b", "/a/b", "/a/b"),
        ("//a///b/", "//a///b/", "//a///b/", "/a/b/", "/a/b/"),
        ("/a/../b", "/a/../b", "/b", "/b", "/b"),
        ("/a%2Fb", "/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"),
        (
            "/a%2f..%5cb",
            "/a%2f..%5cb",
            "/a%2f..%5cb",
            "/a%2f..%5cb",
            "/b",
        ),
        ("/a\\b", "/a\\b", "/a/b", "/a/b", "/a/b"),
        ("/a\\/b", "/a\\/b", "/a//b", "/a/b", "/a/b"),
        ("/%61", "/%61", "/a", "/a", "/a"),
        ("/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb", "/a%252fb"),
        ("/a%", "/a%", "/a%", "/a%", "/a%"),
        ("/a//../b", "/a//../b", "/a/b", "/a/b", "/a/b"),
    ] {
        for (form, want) in [
            (AsItComes, as_it_comes),
            (Base, base),
            (MergeSlashes, merged),
            (DecodeAndMergeSlashes, decoded),
        ] {
            assert_eq!(form.apply(path), want, "{form:?} {path}");
        }
    }
}

/// What a policy sees is what the workload gets, whatever the form.
#[test]
fn the_mesh_says_which_form_holds() {
    let denies = policy("a", Action::Deny, vec![paths(&["/admin*"])]);
    for (form, path, denied) in [
        (v1::PathNormalization::None, "/x/../admin", false),
        (v1::PathNormalization::Unspecified, "/x/../admin", true),
        (v1::PathNormalization::Base, "//admin", false),
        (v1::PathNormalization::MergeSlashes, "//admin", true),
        (
            v1::PathNormalization::MergeSlashes,
            "/x%2f..%2fadmin",
            false,
        ),
        (
            v1::PathNormalization::DecodeAndMergeSlashes,
            "/x%2f..%2fadmin",
            true,
        ),
    ] {
        let mesh = v1::Mesh {
            trust_domain: "cluster.local".into(),
            outbound_policy: v1::OutboundPolicy::AllowAny.into(),
            path_normalization: form.into(),
            ..Default::default()
        };
        let mesh = resource("mesh/default", v1::resource::Body::Mesh(mesh));
        let all = vec![mesh, inbound(vec![denies.clone()])];
        let snapshot = Snapshot::empty().apply(&response(1, all)).snapshot;
        assert_eq!(
            http_allows(&snapshot, None, path, &[]),
            !denied,
            "{form:?} {path}"
        );
        let mut parts = request("GET", path, &[]);
        plan::normalise_path(&snapshot, &mut parts);
        assert_eq!(
            parts.uri.path().starts_with("/admin"),
            denied,
            "{form:?} {path}"
        );
    }
}

#[test]
fn routes_are_chosen_by_claims() {
    let claims = json!({
        "sub": "me", "groups": ["users", "admins"], "https://a.b/c": "x", "in": {"ner": "deep"},
    });
    let matches = |name: &str, value: &str, with: bool| {
        let field = v1::FieldMatch {
            name: name.into(),
            value: Some(v1::StringMatch {
                kind: Some(v1::string_match::Kind::Exact(value.into())),
            }),
        };
        let route = v1::HttpRoute {
            matches: vec![v1::HttpMatch {
                headers: vec![field],
                ..Default::default()
            }],
            action: Some(v1::http_route::Action::Direct(v1::DirectResponse {
                status: 200,
                ..Default::default()
            })),
            ..Default::default()
        };
        let routes = crate::decode::http_routes_of(&[route]);
        let mut parts = request("GET", "/", &[("sub", "me")]);
        if with {
            let token = Token::new(claims.as_object().unwrap().clone(), Vec::new());
            parts.extensions.insert(Arc::new(token));
        }
        crate::route::select(&routes, &RequestView::new(&parts), &mut ()).is_some()
    };
    for (name, value) in [
        ("@request.auth.claims.sub", "me"),
        ("@request.auth.claims.groups", "admins"),
        ("@request.auth.claims.in.ner", "deep"),
        ("@request.auth.claims[in][ner]", "deep"),
        ("@request.auth.claims[https://a.b/c]", "x"),
    ] {
        assert!(matches(name, value, true), "{name}");
        assert!(!matches(name, value, false), "{name} without a token");
        assert!(!matches(name, "other", true), "{name}");
    }
}
