//! `spec` of VirtualService and DestinationRule.

use super::schema::{
    Schema, any, boolean, duration, integer, labels, list, map, object, one_of, percent, port, text,
};

pub(super) fn virtual_service() -> Schema {
    object([
        (
            "hosts",
            list(text()).about("Hosts that the routes are for: service names or wildcards"),
        ),
        (
            "gateways",
            list(text()).about(
                "Gateways that serve the routes, as name or namespace/name; `mesh` is all sidecars, and the default",
            ),
        ),
        (
            "http",
            list(http_route()).about("Routes of HTTP requests; the first that matches counts"),
        ),
        (
            "tls",
            list(object([
                (
                    "match",
                    list(object([
                        ("sniHosts", list(text()).about("Server names that clients ask for")),
                        ("destinationSubnets", list(text())),
                        ("port", port()),
                        ("sourceLabels", labels()),
                        ("sourceNamespace", text()),
                        ("gateways", list(text())),
                    ])),
                ),
                ("route", list(route_destination())),
            ]))
            .about("Routes of TLS connections that are passed through, by server name"),
        ),
        (
            "tcp",
            list(object([
                (
                    "match",
                    list(object([
                        ("destinationSubnets", list(text())),
                        ("port", port()),
                        ("sourceLabels", labels()),
                        ("sourceNamespace", text()),
                        ("gateways", list(text())),
                    ])),
                ),
                ("route", list(route_destination())),
            ]))
            .about("Routes of other connections"),
        ),
        (
            "exportTo",
            list(text()).about("Namespaces that see it: `.` its own, `*` all, the default"),
        ),
    ])
}

fn http_route() -> Schema {
    object([
        ("name", text()),
        (
            "match",
            list(http_match()).about("Conditions, of which one must hold; none is always true"),
        ),
        (
            "route",
            list(object([
                ("destination", destination()),
                (
                    "weight",
                    integer().about("Share of the requests, relative to the others"),
                ),
                ("headers", headers()),
            ]))
            .about("Where requests go"),
        ),
        (
            "redirect",
            object([
                ("uri", text()),
                ("authority", text()),
                ("port", port()),
                ("derivePort", text()),
                ("scheme", text()),
                ("redirectCode", integer()),
            ]),
        ),
        (
            "directResponse",
            object([("status", integer()), ("body", any())]),
        ),
        (
            "delegate",
            object([("name", text()), ("namespace", text())]),
        ),
        (
            "rewrite",
            object([
                ("uri", text()),
                ("authority", text()),
                (
                    "uriRegexRewrite",
                    object([("match", text()), ("rewrite", text())]),
                ),
            ]),
        ),
        ("timeout", duration()),
        (
            "retries",
            object([
                ("attempts", integer()),
                ("perTryTimeout", duration()),
                ("retryOn", text()),
                ("retryRemoteLocalities", boolean()),
            ]),
        ),
        ("fault", fault()),
        ("mirror", destination()),
        ("mirrorPercentage", percent()),
        (
            "mirrors",
            list(object([
                ("destination", destination()),
                ("percentage", percent()),
            ])),
        ),
        ("corsPolicy", cors()),
        ("headers", headers()),
    ])
}

pub(super) fn http_match() -> Schema {
    object([
        ("name", text()),
        ("uri", string_match()),
        ("scheme", string_match()),
        ("method", string_match()),
        ("authority", string_match()),
        ("headers", map(string_match())),
        ("withoutHeaders", map(string_match())),
        ("queryParams", map(string_match())),
        ("port", port()),
        ("sourceLabels", labels()),
        ("sourceNamespace", text()),
        ("gateways", list(text())),
        ("ignoreUriCase", boolean()),
        ("statPrefix", text()),
    ])
}

fn string_match() -> Schema {
    object([
        ("exact", text()),
        ("prefix", text()),
        ("regex", text().about("RE2, matches the whole text")),
    ])
}

fn fault() -> Schema {
    object([
        (
            "delay",
            object([
                ("fixedDelay", duration()),
                ("percentage", percent()),
                ("percent", integer()),
            ]),
        ),
        (
            "abort",
            object([
                ("httpStatus", integer()),
                ("grpcStatus", text()),
                ("percentage", percent()),
            ]),
        ),
    ])
}

fn cors() -> Schema {
    object([
        ("allowOrigins", list(string_match())),
        ("allowOrigin", list(text())),
        ("allowMethods", list(text())),
        ("allowHeaders", list(text())),
        ("exposeHeaders", list(text())),
        ("maxAge", duration()),
        ("allowCredentials", boolean()),
        ("unmatchedPreflights", text()),
    ])
}

fn headers() -> Schema {
    let edits = || {
        object([
            ("set", map(text())),
            ("add", map(text())),
            ("remove", list(text())),
        ])
    };
    object([("request", edits()), ("response", edits())])
}

fn destination() -> Schema {
    object([
        ("host", text().about("Name of a service")),
        ("subset", text().about("A subset of its DestinationRule")),
        ("port", object([("number", port())])),
    ])
    .requires(&["host"])
}

fn route_destination() -> Schema {
    object([("destination", destination()), ("weight", integer())])
}

pub(super) fn destination_rule() -> Schema {
    object([
        ("host", text().about("Name of the service, or a wildcard")),
        ("trafficPolicy", traffic_policy(true)),
        (
            "subsets",
            list(
                object([
                    ("name", text()),
                    ("labels", labels()),
                    ("trafficPolicy", traffic_policy(true)),
                ])
                .requires(&["name"]),
            )
            .about("Parts of the service's endpoints, by their labels"),
        ),
        (
            "exportTo",
            list(text()).about("Namespaces that see it: `.` its own, `*` all, the default"),
        ),
        ("workloadSelector", object([("matchLabels", labels())])),
    ])
    .requires(&["host"])
}

fn traffic_policy(ports: bool) -> Schema {
    let mut policy = object([
        ("loadBalancer", load_balancer()),
        ("connectionPool", connection_pool()),
        ("outlierDetection", outlier_detection()),
        (
            "tls",
            object([
                (
                    "mode",
                    one_of(&["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]),
                ),
                ("clientCertificate", text()),
                ("privateKey", text()),
                ("caCertificates", text()),
                ("caCrl", text()),
                ("credentialName", text()),
                ("subjectAltNames", list(text())),
                ("sni", text()),
                ("insecureSkipVerify", boolean()),
            ]),
        ),
        ("tunnel", any()),
        ("proxyProtocol", any()),
        ("retryBudget", any()),
    ]);
    if ports && let Some(serde_json::Value::Object(properties)) = policy.0.get_mut("properties") {
        let of_port = list(traffic_policy(false)).about("Policies of single ports");
        properties.insert("portLevelSettings".to_owned(), of_port.into());
    }
    policy
}

fn load_balancer() -> Schema {
    object([
        (
            "simple",
            one_of(&[
                "UNSPECIFIED",
                "LEAST_CONN",
                "RANDOM",
                "PASSTHROUGH",
                "ROUND_ROBIN",
                "LEAST_REQUEST",
            ]),
        ),
        (
            "consistentHash",
            object([
                ("httpHeaderName", text()),
                (
                    "httpCookie",
                    object([
                        ("name", text()),
                        ("path", text()),
                        ("ttl", text()),
                        (
                            "attributes",
                            list(object([("name", text()), ("value", text())])),
                        ),
                    ]),
                ),
                ("useSourceIp", boolean()),
                ("httpQueryParameterName", text()),
                ("ringHash", object([("minimumRingSize", integer())])),
                ("maglev", object([("tableSize", integer())])),
                ("minimumRingSize", integer()),
            ]),
        ),
        ("localityLbSetting", any()),
        ("warmup", any()),
        ("warmupDurationSecs", duration()),
    ])
}

fn connection_pool() -> Schema {
    object([
        (
            "tcp",
            object([
                ("maxConnections", integer()),
                ("connectTimeout", duration()),
                ("tcpKeepalive", any()),
                ("maxConnectionDuration", duration()),
                ("idleTimeout", duration()),
            ]),
        ),
        (
            "http",
            object([
                ("http1MaxPendingRequests", integer()),
                ("http2MaxRequests", integer()),
                ("maxRequestsPerConnection", integer()),
                ("maxRetries", integer()),
                ("idleTimeout", duration()),
                (
                    "h2UpgradePolicy",
                    one_of(&["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]),
                ),
                ("useClientProtocol", boolean()),
                ("maxConcurrentStreams", integer()),
                (
                    "http2KeepAlive",
                    object([("interval", duration()), ("timeout", duration())]),
                ),
            ]),
        ),
    ])
}

fn outlier_detection() -> Schema {
    object([
        ("consecutiveErrors", integer()),
        ("consecutiveGatewayErrors", integer()),
        ("consecutive5xxErrors", integer()),
        ("consecutiveLocalOriginFailures", integer()),
        ("splitExternalLocalOriginErrors", boolean()),
        ("interval", duration()),
        ("baseEjectionTime", duration()),
        ("maxEjectionPercent", integer()),
        ("minHealthPercent", integer()),
    ])
}
