//! Limits on what is let in, and health checks.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use mesh_api::v1;

use super::route::{header_name, header_value, http_match};
use super::{At, Kind, Result, each, invalid, origin, port};
use crate::ir::{Admission, HealthCheck, OverloadPolicy, Probe, Rate, RateKey, RateLimit};

/// Keys that a limit counts by themselves if nothing is said.
const MAX_KEYS: usize = 10_000;
/// As many as any limit may: some 50 MB.
const MOST_KEYS: u32 = 1_000_000;

pub(super) fn admission(proto: Option<&v1::Admission>) -> Result<Arc<Admission>> {
    let Some(proto) = proto else {
        return Ok(Arc::default());
    };
    let overload = proto.overload.as_ref().map(overload);
    Ok(Arc::new(Admission {
        limits: each("rate_limits", &proto.rate_limits, |proto| {
            rate_limit(proto).map(Arc::new)
        })?
        .into(),
        overload: overload.transpose().at("overload")?.unwrap_or_default(),
    }))
}

pub(super) fn rate_limit(proto: &v1::RateLimit) -> Result<RateLimit> {
    if proto.amount == 0 || proto.interval_ms == 0 || proto.burst == 0 {
        return Err(invalid("amount, interval and burst are at least 1"));
    }
    if proto.connections && !proto.matches.is_empty() {
        return Err(invalid("connections have nothing to match")).at("matches");
    }
    let headers = |field: &v1::Field| {
        Ok((
            header_name(&field.name).at("name")?,
            header_value(&field.value).at("value")?,
        ))
    };
    Ok(RateLimit {
        policy: proto.policy.as_str().into(),
        name: proto.name.as_str().into(),
        origin: origin(proto.origin.as_ref()),
        connections: proto.connections,
        ports: each("ports", &proto.ports, |number| port(*number))?.into(),
        matches: each("matches", &proto.matches, http_match)?,
        rate: Rate {
            amount: proto.amount,
            interval: Duration::from_millis(proto.interval_ms),
            burst: proto.burst,
        },
        keys: each("keys", &proto.keys, rate_key)?.into(),
        max_keys: match proto.max_keys {
            0 => MAX_KEYS,
            count => count.min(MOST_KEYS) as usize,
        },
        shadow: proto.shadow,
        response_headers: each("response_headers", &proto.response_headers, headers)?,
    })
}

fn rate_key(proto: &v1::RateKey) -> Result<RateKey> {
    use v1::rate_key::By;
    Ok(match &proto.by {
        Some(By::Header(name)) => RateKey::Header(header_name(name).at("header")?),
        Some(By::Path(_)) => RateKey::Path,
        Some(By::SourceIdentity(_)) => RateKey::SourceIdentity,
        Some(By::SourceIp(_)) => RateKey::SourceIp,
        Some(By::Method(_)) => RateKey::Method,
        Some(By::Host(_)) => RateKey::Host,
        None => return Err(Kind::Missing.into()).at("by"),
    })
}

fn overload(proto: &v1::OverloadProtection) -> Result<OverloadPolicy> {
    let own = OverloadPolicy::default();
    let number = |value: u32, own: u32| if value == 0 { own } else { value };
    let latency_ratio = match proto.latency_ratio {
        0.0 => own.latency_ratio,
        ratio if (1.0..=1000.0).contains(&ratio) => ratio,
        _ => return Err(invalid("is from 1 to 1000")).at("latency_ratio"),
    };
    let adaptive = match v1::AdaptiveLimit::try_from(proto.adaptive) {
        Ok(v1::AdaptiveLimit::Unspecified) => None,
        Ok(v1::AdaptiveLimit::On) => Some(true),
        Ok(v1::AdaptiveLimit::Off) => Some(false),
        Err(_) => return Err(Kind::UnknownEnum(proto.adaptive).into()).at("adaptive"),
    };
    Ok(OverloadPolicy {
        policy: Some(proto.policy.as_str().into()),
        origin: origin(proto.origin.as_ref()),
        disabled: proto.disabled,
        shadow: proto.shadow,
        max_requests: number(proto.max_requests, own.max_requests),
        min_requests: number(proto.min_requests, own.min_requests),
        latency_ratio,
        latency_floor: match proto.latency_floor_ms {
            0 => own.latency_floor,
            count => Duration::from_millis(count),
        },
        adaptive,
    })
}

pub(super) fn health_check(proto: &v1::HealthCheck) -> Result<Arc<HealthCheck>> {
    use v1::health_check::Probe as Proto;
    let time = |number: u64| Duration::from_millis(number.max(1));
    let probe = match &proto.probe {
        Some(Proto::Http(proto)) => http_probe(proto).at("http")?,
        Some(Proto::Grpc(proto)) => Probe::Grpc {
            service: proto.service.as_str().into(),
        },
        Some(Proto::Tcp(_)) => Probe::Tcp,
        None => return Err(Kind::Missing.into()).at("probe"),
    };
    Ok(Arc::new(HealthCheck {
        policy: proto.policy.as_str().into(),
        origin: origin(proto.origin.as_ref()),
        probe,
        interval: time(proto.interval_ms),
        timeout: time(proto.timeout_ms),
        jitter_percent: proto.jitter_percent.min(100),
        unhealthy_threshold: proto.unhealthy_threshold.max(1),
        healthy_threshold: proto.healthy_threshold.max(1),
    }))
}

fn http_probe(proto: &v1::HttpProbe) -> Result<Probe> {
    let method = match proto.method.as_str() {
        "" => Method::GET,
        text => text.parse().map_err(invalid).at("method")?,
    };
    if method == Method::CONNECT || !proto.path.starts_with('/') {
        return Err(invalid("a check is for a path, and no tunnel"));
    }
    let status = |number: u32| match u16::try_from(number) {
        Ok(status @ 100..=599) => Ok(status),
        _ => Err(Kind::Status(number).into()),
    };
    let mut expected = each("expected", &proto.expected, |range| {
        Ok(status(range.from).at("from")?..=status(range.to).at("to")?)
    })?;
    if expected.is_empty() {
        expected.push(200..=299);
    }
    Ok(Probe::Http {
        method,
        path: proto.path.parse().map_err(invalid).at("path")?,
        host: match proto.host.as_str() {
            "" => None,
            host => Some(header_value(host).at("host")?),
        },
        expected,
    })
}
