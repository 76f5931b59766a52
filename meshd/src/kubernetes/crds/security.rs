//! `spec` of PeerAuthentication and AuthorizationPolicy.

use super::schema::{Schema, labels, list, map, object, one_of, text};

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
