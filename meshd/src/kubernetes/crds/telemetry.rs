//! `spec` of Telemetry.

use super::schema::{Schema, any, boolean, labels, list, map, number, object, one_of, text};

const MODES: [&str; 3] = ["CLIENT_AND_SERVER", "CLIENT", "SERVER"];
const METRICS: [&str; 11] = [
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
];

pub(super) fn telemetry() -> Schema {
    object([
        (
            "selector",
            object([("matchLabels", labels())])
                .about("Workloads that it is for; absent for all of the namespace, in the root namespace for all of the mesh"),
        ),
        ("targetRefs", list(any()).about("Gateways of the Gateway API that it is for")),
        ("targetRef", any()),
        ("metrics", list(metrics())),
        ("accessLogging", list(access_logging())),
        ("tracing", list(tracing())),
    ])
}

fn providers() -> Schema {
    list(object([("name", text())]).requires(&["name"]))
        .about("Who takes it: names of extensionProviders of the mesh configuration")
}

fn mode() -> Schema {
    one_of(&MODES).about("Which side of a proxy; absent for both")
}

fn matched() -> Schema {
    object([("mode", mode())])
}

fn metrics() -> Schema {
    let tag = object([
        ("operation", one_of(&["UPSERT", "REMOVE"])),
        ("value", text().about("An expression over the request")),
    ]);
    let matched = object([
        ("metric", one_of(&METRICS)),
        ("customMetric", text()),
        ("mode", mode()),
    ]);
    let one = object([
        ("match", matched),
        ("disabled", boolean().nullable()),
        ("tagOverrides", map(tag)),
    ]);
    object([
        ("providers", providers()),
        ("overrides", list(one)),
        ("reportingInterval", text().about("Has no effect")),
    ])
}

fn access_logging() -> Schema {
    let filter = object([(
        "expression",
        text().about("Only that for which it is true is logged"),
    )]);
    object([
        ("match", matched()),
        ("providers", providers()),
        ("disabled", boolean().nullable()),
        ("filter", filter),
    ])
}

fn tracing() -> Schema {
    let named = || object([("name", text()), ("defaultValue", text())]);
    let tag = object([
        ("literal", object([("value", text())])),
        ("environment", named()),
        ("header", named()),
        ("formatter", any().about("Has no effect")),
    ]);
    object([
        ("match", matched()),
        ("providers", providers()),
        (
            "randomSamplingPercentage",
            number().between(0, 100).nullable(),
        ),
        ("disableSpanReporting", boolean().nullable()),
        ("customTags", map(tag)),
        (
            "useRequestIdForTraceSampling",
            boolean().nullable().about("Has no effect"),
        ),
        ("enableIstioTags", boolean().nullable()),
        ("disableContextPropagation", boolean().nullable()),
    ])
}
