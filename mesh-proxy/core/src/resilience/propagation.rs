//! What proxies, clients and servers tell each other of time limits and of tries.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Which try it is, from the second one on (Envoy: `include_request_attempt_count`).
const ATTEMPT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");
/// Milliseconds that the answer is waited for (Envoy's router).
const EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
/// The same, for gRPC (the protocol's `Timeout`).
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the client of a gRPC call waits, if it says so.
pub fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let unit = text.chars().last()?;
    let digits = text.strip_suffix(unit)?;
    // At most eight digits, nothing else.
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(value * 3600)),
        'M' => Some(Duration::from_secs(value * 60)),
        'S' => Some(Duration::from_secs(value)),
        'm' => Some(Duration::from_millis(value)),
        'u' => Some(Duration::from_micros(value)),
        'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// How long a server wants to be left alone: seconds only, for a date needs a clock that is right.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds.parse().ok().map(Duration::from_secs)
}

/// Tells the server which try this is, and how much time is left for it.
pub fn tell(headers: &mut HeaderMap, retries: u32, left: Option<Duration>, grpc: bool) {
    if retries > 0 {
        headers.insert(ATTEMPT, HeaderValue::from(retries.saturating_add(1)));
    }
    let Some(left) = left else {
        return;
    };
    // Less than a unit would be no time at all.
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
    if !grpc {
        headers.insert(EXPECTED, HeaderValue::from(millis));
        return;
    }
    let text = match millis {
        0..=99_999_999 => format!("{millis}m"),
        _ => format!("{}S", (millis / 1000).min(99_999_999)),
    };
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_grpc_are_read() {
        for (text, want) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000n", None),
            ("5", None),
            ("m", None),
            ("-1S", None),
            ("1 S", None),
            ("1s", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(text));
            assert_eq!(grpc_timeout(&headers), want, "{text}");
        }
        assert_eq!(grpc_timeout(&HeaderMap::new()), None);
    }

    #[test]
    fn servers_are_told_what_they_need_to_know() {
        let told = |retries, left: Option<u64>, grpc| {
            let mut headers = HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("1H"));
            tell(&mut headers, retries, left.map(Duration::from_micros), grpc);
            [ATTEMPT, EXPECTED, GRPC_TIMEOUT].map(|name| {
                let value = headers.get(name);
                value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
            })
        };
        assert_eq!(told(0, None, true), ["", "", "1H"]);
        assert_eq!(told(2, Some(1_500_900), false), ["3", "1500", "1H"]);
        assert_eq!(told(0, Some(1_500_000), true), ["", "", "1500m"]);
        assert_eq!(told(0, Some(10), true), ["", "", "1m"]);
        let day = 36 * 3600 * 1_000_000;
        assert_eq!(told(1, Some(day), true), ["2", "", "129600S"]);
    }
}
