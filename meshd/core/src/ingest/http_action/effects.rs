//! Faults and shares.

use mesh_api::v1::Fault;

use crate::yaml::{Fields, Report};

/// Reads `{ value: <percent> }` into millionths. Istio: validatePercentage.
pub(in crate::ingest) fn per_million(
    fields: &mut Fields<'_>,
    name: &'static str,
    what: &str,
    r: &mut Report,
) -> Option<u32> {
    let mut inner = fields.child(name, r)?;
    let found = inner.fraction("value", r);
    inner.close(r);
    // An empty message is zero percent in protobuf.
    let Some((value, place)) = found else {
        return Some(0);
    };
    if !(0.0..=100.0).contains(&value) || (value > 0.0 && value < 0.0001) {
        r.error(
            place,
            format!(
                "{what} {value} is neither 0.0, nor in range [0.0001, 100.0] (max value of 100)"
            ),
        );
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be at most 100 percent"
    )]
    let millionths = (value * 10_000.0).round() as u32;
    Some(millionths)
}

/// Reads `fault`. Without a percentage nothing is injected (Istio: HTTPFaultInjection).
pub(in crate::ingest) fn fault(mut fields: Fields<'_>, r: &mut Report) -> Option<Fault> {
    let place = fields.place();
    let mut fault = Fault {
        origin: Some(r.at(place)),
        ..Fault::default()
    };
    let delay = fields.child("delay", r);
    let abort = fields.child("abort", r);
    fields.close(r);
    if delay.is_none() && abort.is_none() {
        r.error(
            place,
            "HTTP fault injection must have an abort and/or a delay",
        );
    }
    if let Some(mut delay) = delay {
        let share = per_million(&mut delay, "percentage", "percentage", r);
        let old = delay.number("percent", r);
        if let Some((percent, at)) = old.filter(|(percent, _)| *percent > 100) {
            r.error(at, format!("percentage {percent} is not in range 0..100"));
        }
        if let Some(exponential) = delay.get("exponentialDelay") {
            r.error(exponential.place, "exponentialDelay not supported yet");
        }
        let fixed = delay.positive_duration("fixedDelay", r);
        if fixed.is_none() && !delay.has("fixedDelay") && !delay.has("exponentialDelay") {
            r.warn(
                delay.place(),
                "delay configured, but fixedDelay is not set; nothing is delayed",
            );
        }
        fault.delay_ms = fixed.unwrap_or(0);
        let share = share.or(old.map(|(percent, _)| percent.saturating_mul(10_000)));
        if share.is_none() && fixed.is_some() {
            r.warn(
                delay.place(),
                "delay configured without percentage; no request is delayed",
            );
        }
        fault.delay_per_million = if fixed.is_some() {
            share.unwrap_or(0)
        } else {
            0
        };
        delay.close(r);
    }
    if let Some(abort) = abort {
        read_abort(abort, &mut fault, r);
    }
    Some(fault)
}

fn read_abort(mut abort: Fields<'_>, fault: &mut Fault, r: &mut Report) {
    let share = per_million(&mut abort, "percentage", "percentage", r);
    let status = abort.number("httpStatus", r);
    let grpc = abort.word("grpcStatus", r);
    if let Some(node) = abort.get("http2Error") {
        r.error(node.place, "HTTP/2 abort fault injection not supported yet");
    }
    match (status, grpc) {
        (Some(_), Some(_)) => r.error(abort.place(), "abort: only one of httpStatus and grpcStatus can be set"),
        (Some((status, _)), None) if (200..600).contains(&status) => fault.abort_http = status,
        (Some((status, place)), None) => r.error(place, format!("HTTP status {status} is not in range 200-599")),
        (None, Some(word)) => match grpc_status(&word.text) {
            Some(code) => fault.abort_grpc = code,
            None => r.error(
                word.place,
                format!(
                    "gRPC status \"{}\" is not supported. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md \
                     for a list of supported codes, for example 'NOT_FOUND'",
                    word.text
                ),
            ),
        },
        (None, None) => {
            r.warn(abort.place(), "abort configured, but error type not set");
        }
    }
    if share.is_none() {
        r.warn(
            abort.place(),
            "abort configured without percentage; no request is aborted",
        );
    }
    let has_error = fault.abort_http != 0 || fault.abort_grpc != 0;
    fault.abort_per_million = if has_error { share.unwrap_or(0) } else { 0 };
    abort.close(r);
}

fn grpc_status(name: &str) -> Option<u32> {
    const NAMES: &[&str] = &[
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES
        .iter()
        .position(|known| *known == name)
        .and_then(|code| u32::try_from(code).ok())
}
