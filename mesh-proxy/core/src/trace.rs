//! Which trace a request or connection belongs to, and whether it is recorded.
//!
//! W3C Trace Context (`traceparent`) and B3 (`b3` and `x-b3-*`, as in
//! openzipkin/b3-propagation) are read; `traceparent` is always written, B3 only if it came, in
//! the form that it came in. Whoever began the trace has decided whether it is recorded; for a
//! trace that begins here, chance does.

use http::{HeaderMap, HeaderName, HeaderValue};
use rand::{Rng, RngExt};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// One span of a trace: what this proxy does with a request or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace; never all zero.
    pub trace: [u8; 16],
    /// The span; never all zero.
    pub span: [u8; 8],
    /// The span that this one is part of; absent for the first of a trace.
    pub parent: Option<[u8; 8]>,
    /// Whether it is recorded.
    pub sampled: bool,
}

/// What came with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Incoming {
    trace: [u8; 16],
    span: [u8; 8],
    // Absent: the decision is left to us (B3 only).
    sampled: Option<bool>,
}

/// Begins a span for a request and tells the next hop of it. Of 1, `fraction` of the traces that
/// begin here are recorded.
pub fn begin(headers: &mut HeaderMap, fraction: f64, rng: &mut impl Rng) -> SpanContext {
    let context = join(headers, fraction, rng);
    write(headers, &context);
    context
}

/// The same, without telling the next hop.
pub fn join(headers: &HeaderMap, fraction: f64, rng: &mut impl Rng) -> SpanContext {
    let incoming = read(headers);
    let span = fresh(rng);
    let trace = match incoming {
        Some(incoming) => incoming.trace,
        None => fresh(rng),
    };
    // `b3: 0` and the like decide without naming a trace.
    let decided = incoming
        .and_then(|incoming| incoming.sampled)
        .or_else(|| b3_decision(headers));
    SpanContext {
        trace,
        span,
        parent: incoming.map(|incoming| incoming.span),
        sampled: decided.unwrap_or_else(|| chance(fraction, rng)),
    }
}

/// Begins a trace for a connection whose bytes cannot name one. Of 1, `fraction` are recorded; of
/// the others nobody is told, so there is no span.
pub fn root(fraction: f64, rng: &mut impl Rng) -> Option<SpanContext> {
    chance(fraction, rng).then(|| SpanContext {
        trace: fresh(rng),
        span: fresh(rng),
        parent: None,
        sampled: true,
    })
}

fn chance(fraction: f64, rng: &mut impl Rng) -> bool {
    rng.random_bool(fraction.clamp(0.0, 1.0))
}

fn read(headers: &HeaderMap) -> Option<Incoming> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
    if let Some(incoming) = text(&TRACEPARENT).and_then(traceparent) {
        return Some(incoming);
    }
    if let Some(incoming) = text(&B3).and_then(b3) {
        return Some(incoming);
    }
    Some(Incoming {
        trace: b3_trace(text(&B3_TRACE)?)?,
        span: identifier(text(&B3_SPAN)?)?,
        sampled: b3_decision(headers),
    })
}

/// `00-<trace>-<parent>-<flags>` (W3C Trace Context, section 3.2). Of a later version, what is
/// known is read.
fn traceparent(text: &str) -> Option<Incoming> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let [version] = bytes::<1>(version)?;
    if version == 0xff || (version == 0 && parts.next().is_some()) {
        return None;
    }
    let [flags] = bytes::<1>(flags)?;
    Some(Incoming {
        trace: identifier(trace)?,
        span: identifier(span)?,
        sampled: Some(flags & 1 == 1),
    })
}

/// `<trace>-<span>[-<decision>[-<parent>]]`.
fn b3(text: &str) -> Option<Incoming> {
    let mut parts = text.trim().split('-');
    Some(Incoming {
        trace: b3_trace(parts.next()?)?,
        span: identifier(parts.next()?)?,
        sampled: parts.next().and_then(decision),
    })
}

/// 16 or 32 digits.
fn b3_trace(text: &str) -> Option<[u8; 16]> {
    match text.len() {
        16 => {
            let short: [u8; 8] = identifier(text)?;
            let mut trace = [0; 16];
            for (to, from) in trace.iter_mut().skip(8).zip(short) {
                *to = from;
            }
            Some(trace)
        }
        _ => identifier(text),
    }
}

fn b3_decision(headers: &HeaderMap) -> Option<bool> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok();
    if text(&B3_FLAGS) == Some("1") {
        return Some(true);
    }
    text(&B3_SAMPLED)
        .or_else(|| text(&B3).filter(|text| text.len() == 1))
        .and_then(decision)
}

fn decision(text: &str) -> Option<bool> {
    match text {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn write(headers: &mut HeaderMap, context: &SpanContext) {
    let (trace, span) = (hex(&context.trace), hex(&context.span));
    let sampled = u8::from(context.sampled);
    let mut put = |name: HeaderName, text: String| {
        // Hexadecimal digits and dashes are a header's value.
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    put(TRACEPARENT, format!("00-{trace}-{span}-{sampled:02x}"));
    let parent = context.parent.as_ref().map(|parent| hex(parent));
    if headers.contains_key(B3) {
        let tail = parent
            .as_ref()
            .map_or_else(String::new, |p| format!("-{p}"));
        if let Ok(value) = HeaderValue::try_from(format!("{trace}-{span}-{sampled}{tail}")) {
            headers.insert(B3, value);
        }
    }
    if headers.contains_key(B3_TRACE) {
        let fields = [
            (B3_TRACE, Some(trace)),
            (B3_SPAN, Some(span)),
            (B3_PARENT, parent),
            (B3_SAMPLED, Some(sampled.to_string())),
        ];
        for (name, text) in fields {
            if let Some(value) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

fn fresh<const N: usize>(rng: &mut impl Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    // All zero means none.
    if bytes.iter().all(|byte| *byte == 0)
        && let Some(last) = bytes.last_mut()
    {
        *last = 1;
    }
    bytes
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An identifier: not all zero.
fn identifier<const N: usize>(text: &str) -> Option<[u8; N]> {
    bytes(text).filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    #[test]
    fn a_trace_that_came_goes_on() {
        let both = format!("{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90");
        let w3c = format!("00-{TRACE}-{SPAN}-01");
        let later = format!("42-{TRACE}-{SPAN}-01-more");
        let cases: [&[(&'static str, &str)]; 5] = [
            &[("traceparent", &w3c)],
            &[("traceparent", &later)],
            &[("b3", &both)],
            &[
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-sampled", "1"),
            ],
            &[
                ("x-b3-traceid", TRACE),
                ("x-b3-spanid", SPAN),
                ("x-b3-flags", "1"),
            ],
        ];
        for fields in cases {
            let mut headers = headers(fields);
            let context = begin(&mut headers, 0.0, &mut rng());
            assert_eq!(hex(&context.trace), TRACE, "{fields:?}");
            assert_eq!(
                context.parent.map(|p| hex(&p)).as_deref(),
                Some(SPAN),
                "{fields:?}"
            );
            assert!(context.sampled, "{fields:?}");
            let own = hex(&context.span);
            assert_ne!(own, SPAN);
            assert_eq!(headers["traceparent"], format!("00-{TRACE}-{own}-01"));
            // In the form that it came in.
            for (name, _) in fields {
                let text = headers[*name].to_str().unwrap();
                let told = match *name {
                    "x-b3-traceid" => text.contains(TRACE),
                    "x-b3-sampled" | "x-b3-flags" => text == "1",
                    _ => text.contains(&own),
                };
                assert!(told, "{name}: {text}");
            }
        }
    }

    #[test]
    fn who_began_the_trace_decides() {
        for (field, value, sampled) in [
            ("traceparent", format!("00-{TRACE}-{SPAN}-00"), false),
            ("traceparent", format!("00-{TRACE}-{SPAN}-03"), true),
            ("b3", format!("{TRACE}-{SPAN}-0"), false),
            ("b3", format!("{TRACE}-{SPAN}-d"), true),
            ("b3", "0".to_owned(), false),
            ("b3", "1".to_owned(), true),
            ("x-b3-sampled", "0".to_owned(), false),
        ] {
            for fraction in [0.0, 1.0] {
                let mut headers = headers(&[(field, &value)]);
                let context = begin(&mut headers, fraction, &mut rng());
                assert_eq!(context.sampled, sampled, "{field}: {value}");
            }
        }
    }

    #[test]
    fn what_is_no_trace_begins_one() {
        let zero = format!("00-{}-{SPAN}-01", "0".repeat(32));
        let long = format!("00-{TRACE}-{SPAN}-01-x");
        let forbidden = format!("ff-{TRACE}-{SPAN}-01");
        for value in [
            "",
            "00",
            "nonsense",
            &zero,
            &long,
            &forbidden,
            "00-zz-00-01",
            "é",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(
                "traceparent",
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
            let context = begin(&mut headers, 1.0, &mut rng());
            assert_eq!(context.parent, None, "{value}");
            assert!(context.sampled);
            assert_ne!(hex(&context.trace), TRACE);
            assert_eq!(
                traceparent(headers["traceparent"].to_str().unwrap())
                    .unwrap()
                    .span,
                context.span
            );
            assert!(!headers.contains_key("b3") && !headers.contains_key("x-b3-traceid"));
        }
    }

    #[test]
    fn short_b3_traces_are_padded() {
        let mut headers = headers(&[("x-b3-traceid", SPAN), ("x-b3-spanid", SPAN)]);
        let context = begin(&mut headers, 0.0, &mut rng());
        assert_eq!(hex(&context.trace), format!("{}{SPAN}", "0".repeat(16)));
        assert!(!context.sampled);
    }

    #[test]
    fn chance_records_the_fraction() {
        let mut rng = rng();
        let mut recorded = |fraction: f64| {
            (0..2000)
                .filter(|_| begin(&mut HeaderMap::new(), fraction, &mut rng).sampled)
                .count()
        };
        assert_eq!(recorded(0.0), 0);
        assert_eq!(recorded(1.0), 2000);
        assert!((300..500).contains(&recorded(0.2)));
    }

    #[test]
    fn connections_begin_traces_by_the_same_chance() {
        let mut rng = rng();
        let mut begun = |fraction: f64| -> Vec<SpanContext> {
            (0..2000).filter_map(|_| root(fraction, &mut rng)).collect()
        };
        assert!(begun(0.0).is_empty());
        assert!((300..500).contains(&begun(0.2).len()));
        let all = begun(1.0);
        let traces: std::collections::HashSet<_> = all.iter().map(|one| one.trace).collect();
        assert_eq!((all.len(), traces.len()), (2000, 2000));
        assert!(all.iter().all(|one| one.sampled && one.parent.is_none()));
    }
}
