//! The headers that a service passes on to the services it calls, so that proxies can join
//! their spans into one trace and route by user.

use http::HeaderMap;

/// The signed-in user. The product page sets it from its session, and never passes on one
/// that came from outside.
pub(crate) const END_USER: &str = "end-user";

/// As in the original application.
const PASSED_ON: [&str; 21] = [
    // Names the request in logs, and decides on sampling.
    "x-request-id",
    // Tracing: Lightstep, Datadog, W3C, Google Cloud, gRPC, Zipkin and SkyWalking.
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "traceparent",
    "tracestate",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "sw8",
    // The application's own.
    END_USER,
    "user-agent",
    // Session and identity.
    "cookie",
    "authorization",
    "jwt",
];

/// Those of `incoming` that are passed on.
pub(crate) fn passed_on(incoming: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in PASSED_ON {
        for value in incoming.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}
