//! Limits, ejection, affinity and preferences toward destinations.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mesh_api::v1;

use super::route::header_name;
use super::{At, Kind, Result, each, invalid, port};
use crate::ir::{
    HashCookie, HashKey, HashPolicy, HashTableKind, Http2Keepalive, HttpUpgrade, LocalityPolicy,
    LocalityShares, OutlierPolicy, Place, PoolLimits, PoolSettings, ProxyProtocol, RetryShare,
    TcpKeepalive, TrafficSettings, Tunnel, Warmup,
};

/// Largest table of either kind (Envoy: `MaglevLoadBalancer::MaxTableSize`).
const MAX_TABLE: u64 = 5_000_011;
/// Istio's default of `minimumRingSize`.
const RING: u64 = 1024;
/// As good as never, and still a moment that clocks can name.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Time for the answer to a ping, if nothing is said.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn settings(proto: &v1::TrafficPolicy) -> Result<Arc<TrafficSettings>> {
    let pool = proto.connection_pool.unwrap_or_default();
    let mut limits = limits(&pool);
    limits.retry_budget = proto
        .retry_budget
        .as_ref()
        .map(retry_share)
        .transpose()
        .at("retry_budget")?;
    let settings = TrafficSettings {
        limits,
        pool: pool_settings(&pool),
        http: match (pool.use_client_protocol, pool.upgrade_to_http2) {
            (true, _) => HttpUpgrade::AsClient,
            (false, true) => HttpUpgrade::Http2,
            (false, false) => HttpUpgrade::AsDeclared,
        },
        outliers: proto.outlier_detection.as_ref().map(outliers),
        error_statuses: error_statuses(proto.outlier_detection.as_ref())
            .at("outlier_detection.error_statuses")?,
        hash: proto
            .consistent_hash
            .as_ref()
            .map(hash)
            .transpose()
            .at("consistent_hash")?,
        warmup: proto.warmup.as_ref().map(warmup).transpose().at("warmup")?,
        locality: proto
            .locality
            .as_ref()
            .map(locality)
            .transpose()
            .at("locality")?,
        proxy_protocol: match v1::ProxyProtocol::try_from(proto.proxy_protocol) {
            Ok(v1::ProxyProtocol::Unspecified) => None,
            Ok(v1::ProxyProtocol::V1) => Some(ProxyProtocol::V1),
            Ok(v1::ProxyProtocol::V2) => Some(ProxyProtocol::V2),
            Err(_) => {
                return Err(Kind::UnknownEnum(proto.proxy_protocol).into()).at("proxy_protocol");
            }
        },
        tunnel: proto.tunnel.as_ref().map(tunnel).transpose().at("tunnel")?,
        health_check: proto
            .health_check
            .as_ref()
            .map(super::admission::health_check)
            .transpose()
            .at("health_check")?,
    };
    // Most destinations have none of it.
    static NOTHING: LazyLock<Arc<TrafficSettings>> = LazyLock::new(Arc::default);
    Ok(if settings == **NOTHING {
        Arc::clone(&NOTHING)
    } else {
        Arc::new(settings)
    })
}

fn tunnel(proto: &v1::Tunnel) -> Result<Tunnel> {
    Ok(Tunnel {
        host: proto.host.parse().map_err(invalid).at("host")?,
        port: port(proto.port).at("port")?,
        post: proto.post,
    })
}

fn count(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

fn milliseconds(number: u64) -> Option<Duration> {
    (number != 0).then(|| Duration::from_millis(number))
}

fn limits(proto: &v1::ConnectionPool) -> PoolLimits {
    PoolLimits {
        max_connections: count(proto.max_connections),
        max_pending_requests: count(proto.max_pending_requests),
        max_requests: count(proto.max_requests),
        max_retries: count(proto.max_retries),
        retry_budget: None,
    }
}

fn pool_settings(proto: &v1::ConnectionPool) -> PoolSettings {
    let seconds = |number| count(number).map(|number| Duration::from_secs(number.into()));
    PoolSettings {
        max_requests_per_connection: count(proto.max_requests_per_connection),
        max_concurrent_streams: count(proto.max_concurrent_streams),
        max_connection_duration: milliseconds(proto.max_connection_duration_ms),
        http_idle_timeout: milliseconds(proto.http_idle_timeout_ms),
        http2_keepalive: proto.http2_keepalive.map(|pings| Http2Keepalive {
            interval: milliseconds(pings.interval_ms),
            timeout: milliseconds(pings.timeout_ms).unwrap_or(PING_TIMEOUT),
        }),
        tcp_idle_timeout: if proto.tcp_idle_forever {
            Some(FOREVER)
        } else {
            milliseconds(proto.tcp_idle_timeout_ms)
        },
        tcp_keepalive: proto.tcp_keepalive.map(|probes| TcpKeepalive {
            probes: count(probes.probes),
            time: seconds(probes.time_seconds),
            interval: seconds(probes.interval_seconds),
        }),
    }
}

fn retry_share(proto: &v1::RetryBudget) -> Result<RetryShare> {
    if !(0.0..=100.0).contains(&proto.percent) {
        return Err(invalid("a share is from 0 to 100 percent")).at("percent");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a million"
    )]
    let per_million = (proto.percent * 10_000.0).round() as u32;
    Ok(RetryShare {
        per_million,
        min_concurrency: proto.min_retry_concurrency,
    })
}

fn outliers(proto: &v1::OutlierDetection) -> OutlierPolicy {
    let time = |number: u64| Duration::from_millis(number.max(1));
    OutlierPolicy {
        consecutive_5xx: proto.consecutive_5xx,
        consecutive_gateway: proto.consecutive_gateway,
        consecutive_local: proto.consecutive_local,
        split_local: proto.split_local,
        interval: time(proto.interval_ms),
        base_ejection: time(proto.base_ejection_ms),
        max_ejection_percent: proto.max_ejection_percent.min(100),
        min_health_percent: proto.min_health_percent.min(100),
    }
}

fn error_statuses(proto: Option<&v1::OutlierDetection>) -> Result<Arc<[u16]>> {
    let statuses = proto.into_iter().flat_map(|policy| &policy.error_statuses);
    statuses
        .map(|status| match u16::try_from(*status) {
            Ok(status @ 100..=599) => Ok(status),
            _ => Err(invalid("a status is from 100 to 599")),
        })
        .collect()
}

fn hash(proto: &v1::ConsistentHash) -> Result<HashPolicy> {
    use v1::consistent_hash::Key;
    let key = match &proto.key {
        Some(Key::Header(name)) => HashKey::Header(header_name(name).at("header")?),
        Some(Key::Cookie(proto)) => HashKey::Cookie(cookie(proto).at("cookie")?),
        Some(Key::SourceIp(_)) => HashKey::SourceIp,
        Some(Key::Query(name)) => HashKey::Query(name.as_str().into()),
        None => return Err(invalid("nothing is hashed")).at("key"),
    };
    let table = match (proto.maglev_table_size, proto.minimum_ring_size) {
        (0, 0) => HashTableKind::Ring { minimum_size: RING },
        (0, minimum_size) if minimum_size <= MAX_TABLE => HashTableKind::Ring { minimum_size },
        (size, _) if size > 2 && u64::from(size) <= MAX_TABLE => HashTableKind::Maglev { size },
        _ => return Err(invalid("the table is too large or too small")),
    };
    Ok(HashPolicy { key, table })
}

fn cookie(proto: &v1::HashCookie) -> Result<HashCookie> {
    let bad = |text: &str| {
        text.bytes()
            .any(|byte| byte.is_ascii_control() || matches!(byte, b';' | b',') || byte >= 0x7f)
    };
    if proto.name.is_empty()
        || proto.name.contains(['=', ' '])
        || bad(&proto.name)
        || bad(&proto.path)
    {
        return Err(invalid("a cookie has a name and no separators in it"));
    }
    let mut set = String::new();
    if proto.ttl_seconds > 0 {
        let _ = write!(set, "; Max-Age={}", proto.ttl_seconds);
    }
    if !proto.path.is_empty() {
        let _ = write!(set, "; Path={}", proto.path);
    }
    for attribute in &proto.attributes {
        if bad(&attribute.name) || bad(&attribute.value) {
            return Err(invalid("an attribute of a cookie has no separators in it"));
        }
        let _ = write!(set, "; {}", attribute.name);
        if !attribute.value.is_empty() {
            let _ = write!(set, "={}", attribute.value);
        }
    }
    set.push_str("; HttpOnly");
    Ok(HashCookie {
        name: proto.name.as_str().into(),
        set: proto.generate.then(|| set.into()),
    })
}

fn warmup(proto: &v1::Warmup) -> Result<Warmup> {
    if !(0.0..=100.0).contains(&proto.minimum_percent)
        || !(1.0..=f64::MAX).contains(&proto.aggression)
    {
        return Err(invalid(
            "the minimum is from 0 to 100 percent, the aggression at least 1",
        ));
    }
    Ok(Warmup {
        duration: Duration::from_millis(proto.duration_ms),
        minimum: proto.minimum_percent / 100.0,
        aggression: proto.aggression,
    })
}

fn locality(proto: &v1::LocalityBalancing) -> Result<LocalityPolicy> {
    let shares = |proto: &v1::LocalityShares| {
        if proto.to.iter().all(|share| share.percent == 0) {
            return Err(invalid("no locality has a share"));
        }
        let to = proto.to.iter();
        Ok(LocalityShares {
            from: proto.from.as_str().into(),
            to: to
                .map(|share| (share.locality.as_str().into(), share.percent))
                .collect(),
        })
    };
    let failover =
        |proto: &v1::RegionFailover| (proto.from.as_str().into(), proto.to.as_str().into());
    let label = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.into(), Some(value.into())),
        None => (text.as_str().into(), None),
    };
    Ok(LocalityPolicy {
        distribute: each("distribute", &proto.distribute, shares)?,
        failover: proto.failover.iter().map(failover).collect(),
        failover_priority: proto.failover_priority.iter().map(label).collect(),
        zone_aware: proto.zone_aware.map(|zones| zones.min_cluster_size),
    })
}

pub(super) fn place(proto: Option<&v1::Place>) -> Arc<Place> {
    proto.map_or_else(Arc::default, |proto| {
        Arc::new(Place {
            locality: proto.locality.as_str().into(),
            node: proto.node.as_str().into(),
            cluster: proto.cluster.as_str().into(),
            labels: proto.labels.clone(),
        })
    })
}
