//! `healthCheck`.

use mesh_api::v1::health_check::Probe;
use mesh_api::v1::{GrpcProbe, HealthCheck, HttpProbe, StatusRange, TcpProbe};

use super::super::http_match::is_token;
use crate::yaml::{Fields, Report, Word};

const INTERVAL_MS: u64 = 10_000;
const TIMEOUT_MS: u64 = 1000;
const JITTER_PERCENT: u32 = 10;
const UNHEALTHY: u32 = 3;
const HEALTHY: u32 = 2;

pub(super) fn read(mut fields: Fields<'_>, policy: &str, r: &mut Report) -> Option<HealthCheck> {
    let place = fields.place();
    let http = fields.child("http", r).map(|inner| http(inner, r));
    let grpc = fields.child("grpc", r).map(|mut inner| {
        let service = inner.text("service", r);
        inner.close(r);
        Probe::Grpc(GrpcProbe { service })
    });
    let tcp = fields.child("tcp", r).map(|inner| {
        inner.close(r);
        Probe::Tcp(TcpProbe {})
    });
    let interval_ms = fields.positive_duration("interval", r);
    let timeout_ms = fields.positive_duration("timeout", r);
    let jitter = fields.number("jitterPercent", r).map(|(percent, place)| {
        if percent > 100 {
            r.error(place, "healthCheck.jitterPercent: must be from 0 to 100");
        }
        percent
    });
    let threshold = |fields: &mut Fields<'_>, name, r: &mut Report| {
        let (count, place) = fields.number(name, r)?;
        if count == 0 {
            r.error(place, format!("healthCheck.{name}: must be at least 1"));
        }
        Some(count)
    };
    let unhealthy = threshold(&mut fields, "unhealthyThreshold", r);
    let healthy = threshold(&mut fields, "healthyThreshold", r);
    fields.close(r);
    let mut probes = [http, grpc, tcp].into_iter().flatten();
    let (Some(probe), None) = (probes.next(), probes.next()) else {
        r.error(place, "healthCheck: write one of http, grpc and tcp");
        return None;
    };
    Some(HealthCheck {
        policy: policy.to_owned(),
        origin: Some(r.at(place)),
        probe: Some(probe),
        interval_ms: interval_ms.unwrap_or(INTERVAL_MS),
        timeout_ms: timeout_ms.unwrap_or(TIMEOUT_MS),
        jitter_percent: jitter.unwrap_or(JITTER_PERCENT),
        unhealthy_threshold: unhealthy.unwrap_or(UNHEALTHY),
        healthy_threshold: healthy.unwrap_or(HEALTHY),
    })
}

fn http(mut fields: Fields<'_>, r: &mut Report) -> Probe {
    let path = fields.word("path", r);
    if let Some(path) = path
        .as_ref()
        .filter(|path| !path.text.starts_with('/') || path.text.contains([' ', '#']))
    {
        r.error(
            path.place,
            format!("healthCheck.http.path: `{}` is no path", path.text),
        );
    }
    let method = fields.word("method", r);
    if let Some(method) = method
        .as_ref()
        .filter(|method| !is_token(&method.text) || method.text == "CONNECT")
    {
        let text = format!("healthCheck.http.method: `{}` cannot be used", method.text);
        r.error(method.place, text);
    }
    let host = fields.text("host", r);
    let expected = fields.words("expectedStatuses", r);
    let expected = expected.iter().filter_map(|word| range(word, r)).collect();
    fields.close(r);
    Probe::Http(HttpProbe {
        path: path.map_or_else(|| "/".to_owned(), |path| path.text),
        host,
        expected,
        method: method.map(|method| method.text).unwrap_or_default(),
    })
}

/// `200`, or `200-299`.
fn range(word: &Word, r: &mut Report) -> Option<StatusRange> {
    let (from, to) = word
        .text
        .split_once('-')
        .unwrap_or((&word.text, &word.text));
    let status = |text: &str| {
        let status = text.trim().parse().ok();
        status.filter(|status| (100..=599).contains(status))
    };
    match (status(from), status(to)) {
        (Some(from), Some(to)) if from <= to => Some(StatusRange { from, to }),
        _ => {
            let text = format!(
                "healthCheck.http.expectedStatuses: `{}` is no status and no range; write \"200\" or \"200-299\"",
                word.text
            );
            r.error(word.place, text);
            None
        }
    }
}
