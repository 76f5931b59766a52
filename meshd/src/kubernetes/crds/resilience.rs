//! `spec` of ResiliencePolicy.

use super::schema::{
    Schema, boolean, duration, integer, labels, list, map, number, object, one_of, text,
};

pub(super) fn resilience_policy() -> Schema {
    object([
        (
            "selector",
            object([(
                "matchLabels",
                labels().about("Labels of the workloads; none are all of the namespace"),
            )]),
        ),
        (
            "targetRefs",
            list(
                object([
                    ("group", text()),
                    ("kind", one_of(&["Service", "ServiceEntry", "Gateway", "VirtualService"])),
                    ("name", text()),
                    (
                        "sectionName",
                        text().about("A port of it, by name or number, or a rule of a VirtualService, by name; absent for all"),
                    ),
                ])
                .requires(&["kind", "name"]),
            )
            .about("Objects of the namespace that it is for, in place of a selector"),
        ),
        (
            "rateLimits",
            list(limit("requests"))
                .about("Rates of requests that each proxy lets in; over them it answers 429"),
        ),
        (
            "connectionRateLimits",
            list(limit("connections"))
                .about("Rates of connections that each proxy takes; over them it resets them"),
        ),
        ("overload", overload()),
        ("healthCheck", health_check()),
    ])
}

fn limit(what: &'static str) -> Schema {
    object([
        ("name", text()),
        (what, integer().about("So many in each interval")),
        ("interval", duration()),
        (
            "burst",
            integer().about("So many at once; as many as in an interval if absent"),
        ),
        (
            "match",
            list(super::traffic::http_match())
                .about("Requests that it is for, of which one must match; none is all"),
        ),
        (
            "keys",
            list(
                object([
                    (
                        "type",
                        one_of(&[
                            "Header",
                            "Path",
                            "Method",
                            "Host",
                            "SourceIdentity",
                            "SourceIP",
                        ]),
                    ),
                    ("name", text().about("Of the header field")),
                ])
                .requires(&["type"]),
            )
            .about("What is counted apart; none counts all together"),
        ),
        (
            "maxKeys",
            integer().about("So many are counted apart at a time, the others together"),
        ),
        (
            "shadow",
            boolean().about("Only count what would be refused"),
        ),
        (
            "responseHeaders",
            map(text()).about("Header fields of the answer"),
        ),
    ])
    .requires(&[what])
}

fn overload() -> Schema {
    object([
        ("enabled", boolean()),
        (
            "shadow",
            boolean().about("Only count what would be refused"),
        ),
        (
            "adaptive",
            boolean().about("Whether the limit follows the time that answers take"),
        ),
        (
            "maxRequests",
            integer().about("Requests at a time to each port, whatever they take"),
        ),
        (
            "minRequests",
            integer().about("Requests at a time that are let in in any case"),
        ),
        (
            "latencyRatio",
            number().about("How many times their usual time answers may take"),
        ),
        (
            "latencyFloor",
            duration().about("Answers within this time are never slow"),
        ),
    ])
    .about("Early refusal of requests that would only wait")
}

fn health_check() -> Schema {
    object([
        (
            "http",
            object([
                ("path", text()),
                ("host", text()),
                ("method", text()),
                (
                    "expectedStatuses",
                    list(text()).about("\"200\", or a range as \"200-299\", the default"),
                ),
            ]),
        ),
        ("grpc", object([("service", text())])),
        ("tcp", object([])),
        ("interval", duration()),
        ("timeout", duration()),
        ("jitterPercent", integer()),
        ("unhealthyThreshold", integer()),
        ("healthyThreshold", integer()),
    ])
    .about("How clients of the services look after their endpoints")
}
