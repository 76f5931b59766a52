//! Policies, each with a request that it is about.

use super::{Seeds, prefixed};

pub(super) fn seeds() -> Seeds {
    let seed = |(name, request, spec): (&str, &str, &str)| {
        let yaml = match spec.split_once(": ") {
            Some((kind, spec)) => format!(
                "apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{ name: p }}\nspec: {spec}\n"
            ),
            None => spec.to_owned(),
        };
        let bytes = [prefixed(request.as_bytes()), yaml.into_bytes()].concat();
        (name.to_owned(), bytes)
    };
    CASES.map(seed).into()
}

const CASES: [(&str, &str, &str); 12] = [
    (
        "sources",
        "GET http://a/x",
        "AuthorizationPolicy: { rules: [{ from: [{ source: { principals: ['*/sa/client'], notNamespaces: [d*t], trustDomains: ['*'] } }, { source: { serviceAccounts: [client] } }] }] }",
    ),
    (
        "addresses",
        "GET http://a/x\nx-forwarded-for: 192.0.2.1, 10.0.0.7",
        "AuthorizationPolicy: { action: DENY, rules: [{ from: [{ source: { ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16], remoteIpBlocks: ['::/0'] } }] }] }",
    ),
    (
        "operations",
        "DELETE http://h:80/a//b/%2e%2e/c;x?y=1",
        "AuthorizationPolicy: { rules: [{ to: [{ operation: { hosts: ['H*', '*.x'], ports: ['80'], methods: [DELETE], paths: [/a/*, '*/c', '/{*}/b/{**}'], notPaths: [/admin] } }] }] }",
    ),
    (
        "conditions",
        "GET http://a/\nx-a: 1",
        "AuthorizationPolicy: { rules: [{ when: [{ key: 'request.headers[x-a]', values: ['1'] }, { key: source.ip, notValues: [192.0.2.0/24] }, { key: 'request.auth.claims[a][b]', values: ['*'] }, { key: connection.sni, notValues: [x] }] }] }",
    ),
    (
        "dry_run",
        "GET http://a/",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, annotations: { istio.io/dry-run: 'true' } }\nspec: { action: DENY, rules: [{}] }\n",
    ),
    (
        "custom",
        "GET http://a/",
        "AuthorizationPolicy: { action: CUSTOM, provider: { name: opa }, rules: [{ to: [{ operation: { paths: [/admin*] } }] }] }",
    ),
    (
        "audit",
        "OPTIONS http://a/",
        "AuthorizationPolicy: { action: AUDIT, selector: { matchLabels: { app: client } }, rules: [{}] }",
    ),
    ("allow_nothing", "GET http://a/", "AuthorizationPolicy: {}"),
    (
        "strict",
        "GET http://a/",
        "PeerAuthentication: { mtls: { mode: STRICT } }",
    ),
    (
        "port_levels",
        "GET http://a/",
        "PeerAuthentication: { selector: { matchLabels: { app: client } }, mtls: { mode: UNSET }, portLevelMtls: { 80: { mode: DISABLE }, 90: { mode: STRICT } } }",
    ),
    (
        "tokens",
        "GET http://a/?access_token=e30.e30.x\nauthorization: Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJpc3MifQ.",
        "RequestAuthentication: { jwtRules: [{ issuer: iss, audiences: [me], jwks: '{\"keys\":[]}', fromHeaders: [{ name: x-token, prefix: 'T ' }], fromParams: [q], fromCookies: [c], outputPayloadToHeader: x-payload, outputClaimToHeaders: [{ header: x-sub, claim: sub }] }] }",
    ),
    (
        "several",
        "POST http://a/pkg.Service/Method\ncontent-type: application/grpc",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a }\nspec: { rules: [{ to: [{ operation: { methods: ['*'] } }] }] }\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: b }\nspec: { action: DENY, rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }] }\n",
    ),
];
