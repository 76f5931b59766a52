//! Limits, ejection, affinity and preferences toward a destination, in words.

use std::time::Duration;

use crate::ir::{Cluster, HashTableKind, HttpUpgrade};

/// One line for everything that is not at its default.
pub(super) fn lines(cluster: &Cluster) -> Vec<String> {
    let mut lines = Vec::new();
    limits(cluster, &mut lines);
    connections(cluster, &mut lines);
    let traffic = &cluster.traffic;
    match traffic.http {
        HttpUpgrade::AsDeclared => {}
        HttpUpgrade::Http2 => lines.push("spoken to in HTTP/2 (h2UpgradePolicy)".to_owned()),
        HttpUpgrade::AsClient => {
            lines.push("spoken to in the client's version of HTTP (useClientProtocol)".to_owned());
        }
    }
    if let Some(policy) = &traffic.outliers {
        let mut counts = Vec::new();
        let errors = match &*traffic.error_statuses {
            [] => "errors 5xx".to_owned(),
            statuses => {
                let statuses: Vec<String> = statuses.iter().map(u16::to_string).collect();
                format!("answers {}", statuses.join(", "))
            }
        };
        for (count, what) in [
            (policy.consecutive_5xx, errors.as_str()),
            (policy.consecutive_gateway, "gateway errors"),
        ] {
            if count > 0 {
                counts.push(format!("{count} {what}"));
            }
        }
        if policy.split_local && policy.consecutive_local > 0 {
            counts.push(format!("{} failures to connect", policy.consecutive_local));
        }
        lines.push(format!(
            "ejected after {} in a row for {} times the number of ejections, at most {} % (outlierDetection)",
            counts.join(" or "),
            text(policy.base_ejection),
            policy.max_ejection_percent
        ));
    }
    if let Some(check) = &traffic.health_check {
        lines.push(super::admission::health_check(check));
    }
    if let Some(hash) = &traffic.hash {
        let table = match hash.table {
            HashTableKind::Ring { .. } => "ring",
            HashTableKind::Maglev { .. } => "Maglev",
        };
        lines.push(format!("kept together by {} ({table})", hash.key_name()));
    }
    if let Some(warmup) = &traffic.warmup {
        lines.push(format!(
            "new endpoints warm up for {}",
            text(warmup.duration)
        ));
    }
    if let Some(version) = traffic.proxy_protocol {
        lines.push(format!("told of the client by PROXY protocol {version:?}"));
    }
    if let Some(tunnel) = &traffic.tunnel {
        let (host, port) = (&tunnel.host, tunnel.port);
        lines.push(format!(
            "opaque bytes go through it to {host}:{port} (tunnel by {})",
            if tunnel.post { "POST" } else { "CONNECT" }
        ));
    }
    if let Some(zones) = &cluster.zones {
        lines.push(format!(
            "the own zone is preferred while that loads it no more than others, with {} healthy endpoints in the region or more (zoneAwareLbSetting)",
            zones.minimum
        ));
    } else if traffic.locality.is_some() {
        lines.push(if cluster.shares.is_empty() {
            "near endpoints are preferred".to_owned()
        } else {
            "traffic is distributed over localities".to_owned()
        });
    }
    lines
}

fn limits(cluster: &Cluster, lines: &mut Vec<String>) {
    let limits = &cluster.traffic.limits;
    for (limit, what) in [
        (limits.max_connections, "connections"),
        (limits.max_pending_requests, "requests that wait"),
        (limits.max_requests, "requests at a time"),
        (limits.max_retries, "retries at a time"),
    ] {
        if let Some(limit) = limit {
            lines.push(format!("at most {limit} {what}"));
        }
    }
    if let Some(budget) = limits.retry_budget {
        lines.push(format!(
            "retries of at most {} % of the requests, {} in any case",
            f64::from(budget.per_million) / 10_000.0,
            budget.min_concurrency
        ));
    }
}

fn connections(cluster: &Cluster, lines: &mut Vec<String>) {
    let pool = &cluster.traffic.pool;
    for (limit, what) in [
        (pool.max_requests_per_connection, "requests per connection"),
        (pool.max_concurrent_streams, "streams per connection"),
    ] {
        if let Some(limit) = limit {
            lines.push(format!("at most {limit} {what}"));
        }
    }
    for (time, what) in [
        (pool.max_connection_duration, "connections live for"),
        (pool.http_idle_timeout, "idle HTTP connections live for"),
        (pool.tcp_idle_timeout, "silent connections live for"),
    ] {
        if let Some(time) = time {
            lines.push(format!("{what} {}", text(time)));
        }
    }
}

fn text(time: Duration) -> String {
    format!("{time:?}")
}
