//! Filters of the Gateway API's routes, and what of routes cannot be done; numbers of traps as in
//! the table of exact semantics.

use mesh_api::v1::http_route::Action;
use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{HttpRoute, Redirect, Rewrite};

use crate::mesh::{forward, good, problems, table, world};
use crate::traps_gateway_api::{TO_A, http, looks};

#[test]
fn trap_70_a_replaced_prefix_is_of_whole_segments() {
    let rewrites = |prefix: &str, new: &str| -> Vec<(String, Rewrite)> {
        let filter = format!(
            "{{ type: URLRewrite, urlRewrite: {{ path: {{ type: ReplacePrefixMatch, replacePrefixMatch: '{new}' }} }} }}"
        );
        let rules = format!(
            "[{{ matches: [{{ path: {{ value: {prefix} }} }}], filters: [{filter}], {TO_A} }}]"
        );
        let world = good(&http(&rules));
        let found = table(&world, "routes/a:80");
        let one =
            |(look, route): (String, &HttpRoute)| (look, forward(route).rewrite.clone().unwrap());
        looks(&found.http)
            .into_iter()
            .zip(&found.http)
            .map(one)
            .collect()
    };
    for (prefix, new, want) in [
        (
            "/foo",
            "/xyz",
            [("=/foo 0 0", "/xyz"), ("/foo/* 0 0", "/xyz/")].as_slice(),
        ),
        (
            "/foo/",
            "/xyz/",
            &[("=/foo 0 0", "/xyz"), ("/foo/* 0 0", "/xyz/")],
        ),
        ("/foo", "", &[("=/foo 0 0", "/"), ("/foo/* 0 0", "/")]),
        ("/foo", "/", &[("=/foo 0 0", "/"), ("/foo/* 0 0", "/")]),
        ("/", "/xyz", &[("any 0 0", "/xyz/")]),
    ] {
        let found = rewrites(prefix, new);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(look, rewrite)| (look.as_str(), rewrite.uri.as_str()))
            .collect();
        assert_eq!(found, want, "{prefix} to {new}");
    }
}

#[test]
fn filters_are_what_virtual_services_have() {
    let world = good(&http("
  - matches: [{ path: { value: /full } }]
    filters:
    - { type: URLRewrite, urlRewrite: { hostname: b.example, path: { type: ReplaceFullPath, replaceFullPath: '/x\\1' } } }
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: '1' }, { name: x-a, value: '2' }], add: [{ name: b, value: '1' }], remove: [C] } }
    - { type: RequestMirror, requestMirror: { backendRef: { name: b, port: 8080 }, fraction: { numerator: 1, denominator: 8 } } }
    - { type: RequestMirror, requestMirror: { backendRef: { name: b, port: 8080 }, percent: 0 } }
    - { type: CORS, cors: { allowOrigins: ['https://*.example'], allowMethods: ['*'], allowCredentials: true } }
    backendRefs: [{ name: a, port: 80, filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: d, value: '1' }] } }] }]"));
    let found = table(&world, "routes/a:80");
    let full = &found.http[0];
    let sent = forward(full);
    let rewrite = sent.rewrite.as_ref().unwrap();
    assert_eq!(
        (
            rewrite.authority.as_str(),
            rewrite.regex.as_str(),
            rewrite.regex_substitution.as_str()
        ),
        ("b.example", "/.*", "/x\\\\1")
    );
    let edits = full.headers.as_ref().unwrap().request.as_ref().unwrap();
    let set: Vec<(&str, &str)> = edits
        .set
        .iter()
        .map(|field| (field.name.as_str(), field.value.as_str()))
        .collect();
    assert_eq!(set, [("x-a", "1")], "of one name the first counts");
    assert_eq!(
        (edits.add.len(), edits.remove.as_slice()),
        (1, &["c".to_owned()][..])
    );
    assert_eq!(sent.mirrors.len(), 1);
    assert_eq!(sent.mirrors[0].per_million, 125_000);
    let cors = full.cors.as_ref().unwrap();
    assert_eq!(
        cors.allow_origins[0].kind,
        Some(Kind::Regex("https://.*\\.example".to_owned()))
    );
    assert_eq!(cors.max_age_seconds, 5);
    let response = sent.destinations[0]
        .headers
        .as_ref()
        .unwrap()
        .response
        .as_ref()
        .unwrap();
    assert_eq!(response.add[0].name, "d");
}

#[test]
fn redirects_name_the_port_that_the_gateway_api_asks_for() {
    let world = good(&http("
  - matches: [{ path: { value: /old } }]
    filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }]
  - matches: [{ path: { type: Exact, value: /port } }]
    filters: [{ type: RequestRedirect, requestRedirect: { hostname: c.example, statusCode: 308 } }]"));
    let found = table(&world, "routes/a:80");
    let redirect = |route: &HttpRoute| -> Redirect {
        match &route.action {
            Some(Action::Redirect(redirect)) => redirect.clone(),
            other => panic!("{other:?}"),
        }
    };
    let redirects: Vec<Redirect> = found.http.iter().map(redirect).collect();
    let [port, exact, below] = redirects.as_slice() else {
        panic!("{redirects:?}")
    };
    assert!(port.port_from_request && port.code == 308 && port.port == 0);
    // The scheme brings its port, and 302 is the default.
    assert_eq!(
        (exact.port, exact.port_from_request, exact.code),
        (443, false, 302)
    );
    assert_eq!(
        (exact.uri_prefix.as_str(), below.uri_prefix.as_str()),
        ("/new", "/new/")
    );
}

#[test]
fn what_cannot_be_done_is_named_and_answered_with_500() {
    for (rule, why) in [
        (
            "filters: [{ type: ExtensionRef, extensionRef: { group: x.io, kind: Y, name: z } }]",
            "filters: ExtensionRef is not supported",
        ),
        (
            "filters: [{ type: ExternalAuth, externalAuth: { protocol: HTTP } }]",
            "filters: ExternalAuth is not supported",
        ),
        (
            "filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { add: [{ name: Host, value: x }] } }]",
            "the Host can only be set",
        ),
        (
            "matches: [{ path: { type: RegularExpression, value: '(' } }]",
            "the expression",
        ),
        (
            "matches: [{ path: { type: Exact, value: /x } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /y } } }]",
            "replacePrefixMatch needs matches of the type PathPrefix",
        ),
    ] {
        let world = world(&http(&format!("[{{ {rule}, {TO_A} }}]")));
        let told = problems(&world);
        assert!(
            told[0].contains(why) && told[0].starts_with("input.yaml:7:"),
            "{told:?}"
        );
        let found = table(&world, "routes/a:80");
        assert!(
            matches!(&found.http[0].action, Some(Action::Invalid(invalid)) if invalid.status == 500),
            "{rule}"
        );
    }
    let world = world(&http(&format!(
        "[{{ sessionPersistence: {{ sessionName: x }}, {TO_A} }}]"
    )));
    assert!(problems(&world)[0].contains("`sessionPersistence` is not supported yet"));
    let world = crate::mesh::world(&http(&format!("[{{ tiemouts: {{ }}, {TO_A} }}]")));
    assert!(
        problems(&world)[0]
            .contains("unknown field `spec.rules[0].tiemouts`; did you mean `timeouts`?"),
        "{:?}",
        problems(&world)
    );
}

#[test]
fn kinds_that_are_not_read_are_named() {
    for kind in [
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
        "ListenerSet",
        "BackendTLSPolicy",
    ] {
        let world = world(&format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: x }}\nspec: {{}}\n"
        ));
        assert!(
            problems(&world)[0].contains(&format!("{kind} x is not read")),
            "{kind}"
        );
    }
}
