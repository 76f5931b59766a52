//! `spec` of PeerAuthentication, RequestAuthentication and AuthorizationPolicy.

use super::schema::{Schema, boolean, labels, list, map, object, one_of, text};

fn selector() -> Schema {
    object([(
        "matchLabels",
        labels().about("Labels of the workloads; none are all of the namespace"),
    )])
}

fn target() -> Schema {
    object([
        ("group", text()),
        ("kind", text()),
        ("name", text()),
        ("namespace", text()),
    ])
}

pub(super) fn peer_authentication() -> Schema {
    let mtls = || {
        object([(
            "mode",
            one_of(&["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]),
        )])
    };
    object([
        ("selector", selector()),
        ("mtls", mtls().about("Mutual TLS of incoming connections")),
        (
            "portLevelMtls",
            map(mtls()).about("Mutual TLS of single ports of the workload"),
        ),
    ])
}

pub(super) fn request_authentication() -> Schema {
    let words = || list(text());
    let header = object([("name", text()), ("prefix", text())]);
    let claim = object([("header", text()), ("claim", text())]);
    let rule = object([
        ("issuer", text().about("`iss` of the tokens")),
        (
            "audiences",
            words().about("One of them must be in `aud` of the token"),
        ),
        ("jwksUri", text().about("Where the issuer's keys are")),
        ("jwks", text().about("The issuer's keys themselves")),
        (
            "fromHeaders",
            list(header.requires(&["name"])).about("Headers that hold tokens"),
        ),
        ("fromParams", words().about("Query parameters that do")),
        ("fromCookies", words().about("Cookies that do")),
        (
            "forwardOriginalToken",
            boolean().about("Whether the workload gets the token, too"),
        ),
        (
            "outputPayloadToHeader",
            text().about("A header for the token's payload, in base64url"),
        ),
        (
            "outputClaimToHeaders",
            list(claim.requires(&["header", "claim"])).about("Headers for single claims"),
        ),
        (
            "spaceDelimitedClaims",
            words().about("Claims that are lists in one string"),
        ),
        ("timeout", text()),
    ]);
    object([
        ("selector", selector()),
        ("targetRef", target()),
        ("targetRefs", list(target())),
        (
            "jwtRules",
            list(rule.requires(&["issuer"])).about("Which tokens are good"),
        ),
    ])
}

pub(super) fn authorization_policy() -> Schema {
    let words = || list(text());
    let source = object([
        ("principals", words()),
        ("notPrincipals", words()),
        ("requestPrincipals", words()),
        ("notRequestPrincipals", words()),
        ("namespaces", words()),
        ("notNamespaces", words()),
        ("serviceAccounts", words()),
        ("notServiceAccounts", words()),
        ("ipBlocks", words()),
        ("notIpBlocks", words()),
        ("remoteIpBlocks", words()),
        ("notRemoteIpBlocks", words()),
    ]);
    let operation = object([
        ("hosts", words()),
        ("notHosts", words()),
        ("ports", words()),
        ("notPorts", words()),
        ("methods", words()),
        ("notMethods", words()),
        ("paths", words()),
        ("notPaths", words()),
    ]);
    let condition = object([("key", text()), ("values", words()), ("notValues", words())]);
    object([
        ("selector", selector()),
        ("targetRef", target()),
        ("targetRefs", list(target())),
        ("action", one_of(&["ALLOW", "DENY", "AUDIT", "CUSTOM"])),
        ("provider", object([("name", text())])),
        (
            "rules",
            list(object([
                (
                    "from",
                    list(object([("source", source)])).about("Who calls"),
                ),
                (
                    "to",
                    list(object([("operation", operation)])).about("What is called"),
                ),
                (
                    "when",
                    list(condition.requires(&["key"])).about("Further conditions"),
                ),
            ]))
            .about("Requests that the action is for; no rules match nothing, an empty rule all"),
        ),
    ])
}
