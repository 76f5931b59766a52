//! `connectionPool`, `outlierDetection` and `retryBudget` of a DestinationRule.

use mesh_api::v1::{
    ConnectionPool, Http2Keepalive, OutlierDetection, RetryBudget, Severity, TcpKeepalive,
};

use crate::model::PoolPolicy;
use crate::yaml::{Fields, Report, Value};

/// Envoy's numbers, which hold for what the object leaves out.
const CONSECUTIVE: u32 = 5;
const INTERVAL_MS: u64 = 10_000;
const BASE_EJECTION_MS: u64 = 30_000;
const MAX_EJECTION_PERCENT: u32 = 10;

/// Envoy's numbers for a retry budget.
const RETRY_PERCENT: f64 = 20.0;
const MIN_RETRY_CONCURRENCY: u32 = 3;

pub(super) fn pool(mut fields: Fields<'_>, r: &mut Report) -> PoolPolicy {
    let mut pool = PoolPolicy::default();
    if !fields.has("tcp") && !fields.has("http") {
        r.error(
            fields.place(),
            "connection pool must have at least one field",
        );
    }
    if let Some(fields) = fields.child("tcp", r) {
        tcp(fields, &mut pool, r);
    }
    if let Some(fields) = fields.child("http", r) {
        http(fields, &mut pool.wire, r);
    }
    fields.close(r);
    pool
}

fn number(fields: &mut Fields<'_>, name: &'static str, r: &mut Report) -> u32 {
    fields.number(name, r).map_or(0, |(number, _)| number)
}

fn tcp(mut fields: Fields<'_>, pool: &mut PoolPolicy, r: &mut Report) {
    pool.connect_timeout_ms = fields.positive_duration("connectTimeout", r).unwrap_or(0);
    let wire = &mut pool.wire;
    wire.max_connections = number(&mut fields, "maxConnections", r);
    wire.max_connection_duration_ms = fields
        .positive_duration("maxConnectionDuration", r)
        .unwrap_or(0);
    // Istio: 0 turns the timeout off.
    let idle = fields.duration("idleTimeout", r).map(|(ms, _)| ms);
    wire.tcp_idle_timeout_ms = idle.unwrap_or(0);
    wire.tcp_idle_forever = idle == Some(0);
    if let Some(mut probes) = fields.child("tcpKeepalive", r) {
        let mut seconds = |name, r: &mut Report| {
            let ms = probes.positive_duration(name, r).unwrap_or(0);
            u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX)
        };
        let (time, interval) = (seconds("time", r), seconds("interval", r));
        wire.tcp_keepalive = Some(TcpKeepalive {
            probes: number(&mut probes, "probes", r),
            time_seconds: time,
            interval_seconds: interval,
        });
        probes.close(r);
    }
    fields.close(r);
}

fn http(mut fields: Fields<'_>, wire: &mut ConnectionPool, r: &mut Report) {
    const UPGRADES: &[(&str, bool)] = &[
        ("DEFAULT", false),
        ("DO_NOT_UPGRADE", false),
        ("UPGRADE", true),
    ];
    wire.max_pending_requests = number(&mut fields, "http1MaxPendingRequests", r);
    wire.max_requests = number(&mut fields, "http2MaxRequests", r);
    wire.max_retries = number(&mut fields, "maxRetries", r);
    wire.max_requests_per_connection = number(&mut fields, "maxRequestsPerConnection", r);
    wire.max_concurrent_streams = number(&mut fields, "maxConcurrentStreams", r);
    wire.http_idle_timeout_ms = fields.positive_duration("idleTimeout", r).unwrap_or(0);
    let upgrade = fields.choice("h2UpgradePolicy", UPGRADES, r);
    wire.upgrade_to_http2 = upgrade.is_some_and(|(upgrade, _)| upgrade);
    wire.use_client_protocol = fields.boolean("useClientProtocol", r).unwrap_or_default();
    if let Some((true, place)) = upgrade
        && wire.use_client_protocol
    {
        r.error(
            place,
            "use client protocol must not be true when H2UpgradePolicy is set to UPGRADE",
        );
    }
    if let Some(mut pings) = fields.child("http2KeepAlive", r) {
        wire.http2_keepalive = Some(Http2Keepalive {
            interval_ms: pings.positive_duration("interval", r).unwrap_or(0),
            timeout_ms: pings.positive_duration("timeout", r).unwrap_or(0),
        });
        pings.close(r);
    }
    fields.close(r);
}

/// Istio: applyOutlierDetection, with Envoy's numbers for what it leaves out.
pub(super) fn outliers(mut fields: Fields<'_>, r: &mut Report) -> OutlierDetection {
    let consecutive_5xx = fields.number("consecutive5xxErrors", r);
    let consecutive_gateway = fields.number("consecutiveGatewayErrors", r);
    let local = fields.number("consecutiveLocalOriginFailures", r);
    let split_local = fields
        .boolean("splitExternalLocalOriginErrors", r)
        .unwrap_or_default();
    if let Some((1.., place)) = local
        && !split_local
    {
        r.error(
            place,
            "outlier detection consecutive local origin failures is specified, but split external local origin errors is set to false",
        );
    }
    let mut percent = |name, r: &mut Report| {
        let (percent, place) = fields.number(name, r)?;
        if percent > 100 {
            r.error(place, format!("{name} must be in the range 0..100"));
        }
        Some(percent)
    };
    let max_ejection = percent("maxEjectionPercent", r);
    let min_health = percent("minHealthPercent", r);
    let interval = fields.positive_duration("interval", r);
    let base_ejection = fields.positive_duration("baseEjectionTime", r);
    fields.unsupported(
        "consecutiveErrors",
        Severity::Warning,
        "Istio does not heed it either; write consecutive5xxErrors or consecutiveGatewayErrors",
        r,
    );
    let error_statuses = error_statuses(&mut fields, r);
    fields.close(r);
    OutlierDetection {
        consecutive_5xx: consecutive_5xx.map_or(CONSECUTIVE, |(count, _)| count),
        consecutive_gateway: consecutive_gateway.map_or(0, |(count, _)| count),
        consecutive_local: local.map_or(CONSECUTIVE, |(count, _)| match count {
            0 => CONSECUTIVE,
            count => count,
        }),
        split_local,
        interval_ms: interval.unwrap_or(INTERVAL_MS),
        base_ejection_ms: base_ejection.unwrap_or(BASE_EJECTION_MS),
        max_ejection_percent: max_ejection
            .filter(|percent| *percent > 0)
            .unwrap_or(MAX_EJECTION_PERCENT),
        min_health_percent: min_health.unwrap_or(0),
        error_statuses,
    }
}

fn error_statuses(fields: &mut Fields<'_>, r: &mut Report) -> Vec<u32> {
    const NAME: &str = "outlierDetectionHttpErrorCodes";
    let path = fields.path(NAME);
    let mut statuses = Vec::new();
    for item in fields.list(NAME, r) {
        match &item.value {
            Value::Int(status @ 100..=599) => statuses.extend(u32::try_from(*status)),
            _ => r.error(
                item.place,
                format!("{path}: a status is a number in the range 100..599"),
            ),
        }
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

pub(super) fn retry_budget(mut fields: Fields<'_>, r: &mut Report) -> RetryBudget {
    let percent = fields.fraction("percent", r);
    if let Some((percent, place)) = percent
        && !(0.0..=100.0).contains(&percent)
    {
        r.error(place, "retryBudget.percent must be in the range 0..100");
    }
    let least = fields.number("minRetryConcurrency", r);
    fields.unsupported(
        "budgetInterval",
        Severity::Warning,
        "the share is one of the requests under way",
        r,
    );
    fields.close(r);
    RetryBudget {
        percent: percent.map_or(RETRY_PERCENT, |(percent, _)| percent),
        min_retry_concurrency: least.map_or(MIN_RETRY_CONCURRENCY, |(least, _)| least),
    }
}
