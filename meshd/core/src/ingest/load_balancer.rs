//! `loadBalancer` of a DestinationRule.

use std::collections::BTreeSet;

use mesh_api::v1::consistent_hash::Key;
use mesh_api::v1::{
    ConsistentHash, CookieAttribute, HashCookie, LoadBalancer, LocalityBalancing, LocalityShare,
    LocalityShares, RegionFailover, Severity, Warmup,
};

use crate::model::{Balancing, LocalitySetting};
use crate::yaml::{Fields, Place, Report, Value};

/// Envoy's number for `maglev: {}`.
const MAGLEV_TABLE: u32 = 65_537;
/// Envoy: `MaglevLoadBalancer::MaxTableSize`.
const MAX_TABLE: u32 = 5_000_011;
/// Istio's default of `minimumRingSize`.
const RING: u64 = 1024;
/// Istio's default of `minimumPercent`.
const WARMUP_PERCENT: f64 = 10.0;

/// Labels of topology, which `failover` looks at, too.
const TOPOLOGY: [&str; 3] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.istio.io/subzone",
];

pub(super) fn balancer(mut fields: Fields<'_>, r: &mut Report) -> Balancing {
    const SIMPLE: &[(&str, LoadBalancer)] = &[
        ("UNSPECIFIED", LoadBalancer::LeastRequest),
        ("LEAST_REQUEST", LoadBalancer::LeastRequest),
        ("LEAST_CONN", LoadBalancer::LeastRequest),
        ("ROUND_ROBIN", LoadBalancer::RoundRobin),
        ("RANDOM", LoadBalancer::Random),
        ("PASSTHROUGH", LoadBalancer::Passthrough),
    ];
    let place = fields.place();
    let simple = fields.choice("simple", SIMPLE, r).map(|(simple, _)| simple);
    let both = fields.has("simple") && fields.has("consistentHash");
    if both {
        r.error(
            place,
            "loadBalancer: only one of simple and consistentHash may be set",
        );
    }
    let hash = fields
        .child("consistentHash", r)
        .and_then(|inner| consistent_hash(inner, r));
    let locality = fields
        .child("localityLbSetting", r)
        .map(|inner| locality(inner, r));
    let legacy = fields.positive_duration("warmupDurationSecs", r);
    let warmup = fields
        .child("warmup", r)
        .and_then(|inner| warmup(inner, r))
        .or(legacy.map(|duration_ms| Warmup {
            duration_ms,
            minimum_percent: WARMUP_PERCENT,
            aggression: 1.0,
        }));
    if warmup.is_some()
        && (hash.is_some()
            || matches!(
                simple,
                Some(LoadBalancer::Random | LoadBalancer::Passthrough)
            ))
    {
        r.push(
            Severity::Warning,
            place,
            "loadBalancer: warmup counts with LEAST_REQUEST and ROUND_ROBIN only".to_owned(),
            "IST0133",
        );
    }
    fields.close(r);
    Balancing {
        simple,
        hash,
        warmup,
        locality,
    }
}

fn consistent_hash(mut fields: Fields<'_>, r: &mut Report) -> Option<ConsistentHash> {
    let place = fields.place();
    let mut keys: Vec<Key> = Vec::new();
    if let Some(name) = fields.word("httpHeaderName", r) {
        if name.text.is_empty() || !name.text.is_ascii() || name.text.contains([' ', ':']) {
            r.error(
                name.place,
                format!("httpHeaderName: `{}` is no header name", name.text),
            );
        }
        keys.push(Key::Header(name.text.to_ascii_lowercase()));
    }
    if let Some(inner) = fields.child("httpCookie", r) {
        keys.push(Key::Cookie(cookie(inner, r)));
    }
    if fields.boolean("useSourceIp", r) == Some(true) {
        keys.push(Key::SourceIp(true));
    }
    if let Some(name) = fields.word("httpQueryParameterName", r) {
        keys.push(Key::Query(name.text));
    }
    let old_size = fields.number("minimumRingSize", r);
    let ring = fields.child("ringHash", r).map(|mut ring| {
        let size = ring.number("minimumRingSize", r);
        ring.close(r);
        size
    });
    let maglev = fields.child("maglev", r).map(|mut maglev| {
        let size = maglev.number("tableSize", r);
        maglev.close(r);
        size
    });
    fields.close(r);
    if ring.is_some() && maglev.is_some() {
        r.error(
            place,
            "consistentHash: only one of ringHash and maglev may be set",
        );
    }
    let mut table = 0;
    if let Some(size) = maglev {
        let (size, at) = size.unwrap_or((MAGLEV_TABLE, place));
        table = if size == 0 { MAGLEV_TABLE } else { size };
        if table >= MAX_TABLE || !is_prime(table) {
            r.error(
                at,
                format!("maglev.tableSize: {table} is no prime number below {MAX_TABLE}"),
            );
        }
    }
    let points = ring.flatten().or(old_size);
    let ring_size = match points {
        Some((size, at)) => {
            if size > MAX_TABLE {
                r.error(at, format!("minimumRingSize: {size} is above {MAX_TABLE}"));
            }
            u64::from(size)
        }
        None => RING,
    };
    if keys.len() != 1 {
        r.error(
            place,
            "consistentHash: exactly one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName must be set",
        );
    }
    Some(ConsistentHash {
        key: Some(keys.into_iter().next()?),
        maglev_table_size: table,
        minimum_ring_size: if table == 0 { ring_size.max(1) } else { 0 },
    })
}

fn is_prime(number: u32) -> bool {
    number > 2
        && !number.is_multiple_of(2)
        && (3..)
            .step_by(2)
            .take_while(|divisor: &u32| divisor.saturating_mul(*divisor) <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}

/// Without `ttl` no cookie is made; 0 makes one for the session (Istio: HTTPCookie).
fn cookie(mut fields: Fields<'_>, r: &mut Report) -> HashCookie {
    let place = fields.place();
    let name = fields.text("name", r);
    if name.is_empty() || name.contains(['=', ';', ',', ' ']) {
        r.error(place, "name required for HttpCookie");
    }
    let path = fields.text("path", r);
    let life = fields.duration("ttl", r);
    let mut attributes = Vec::new();
    for mut attribute in fields.children("attributes", r) {
        attributes.push(CookieAttribute {
            name: attribute.text("name", r),
            value: attribute.text("value", r),
        });
        attribute.close(r);
    }
    for text in attributes
        .iter()
        .flat_map(|attribute| [&attribute.name, &attribute.value])
        .chain([&path])
    {
        if text.contains([';', ',']) || text.chars().any(char::is_control) {
            r.error(place, format!("httpCookie: `{text}` has a separator in it"));
        }
    }
    fields.close(r);
    HashCookie {
        name,
        path,
        generate: life.is_some(),
        ttl_seconds: life.map_or(0, |(ms, _)| ms.div_ceil(1000)),
        attributes,
    }
}

fn warmup(mut fields: Fields<'_>, r: &mut Report) -> Option<Warmup> {
    let place = fields.place();
    let duration = fields.positive_duration("duration", r);
    let minimum = fields.fraction("minimumPercent", r);
    if let Some((percent, at)) = minimum
        && !(0.0..=100.0).contains(&percent)
    {
        r.error(at, "warmup.minimumPercent must be in the range 0..100");
    }
    let aggression = fields.fraction("aggression", r);
    if let Some((aggression, at)) = aggression
        && !(1.0..=1_000_000.0).contains(&aggression)
    {
        r.error(at, "warmup.aggression must be at least 1");
    }
    fields.close(r);
    if duration.is_none() {
        r.error(place, "warmup.duration is required");
    }
    Some(Warmup {
        duration_ms: duration?,
        minimum_percent: minimum.map_or(WARMUP_PERCENT, |(percent, _)| percent),
        aggression: aggression.map_or(1.0, |(aggression, _)| aggression),
    })
}

/// Istio: validateLocalityLbSetting.
fn locality(mut fields: Fields<'_>, r: &mut Report) -> LocalitySetting {
    let place = fields.place();
    let enabled = fields.boolean("enabled", r);
    let mut wire = LocalityBalancing::default();
    for inner in fields.children("distribute", r) {
        let shares = distribute(inner, r);
        if wire
            .distribute
            .iter()
            .any(|known| known.from == shares.from)
        {
            r.error(
                place,
                format!("locality {} is distributed twice", shares.from),
            );
        }
        wire.distribute.push(shares);
    }
    for mut inner in fields.children("failover", r) {
        let at = inner.place();
        let (from, to) = (inner.text("from", r), inner.text("to", r));
        inner.close(r);
        if from == to {
            r.error(
                at,
                format!("locality lb failover settings must specify different regions, found {from} twice"),
            );
        }
        if [&from, &to]
            .iter()
            .any(|region| region.is_empty() || region.contains(['*', '/']))
        {
            r.error(at, "locality lb region must not be empty or contain / or *");
        }
        wire.failover.push(RegionFailover { from, to });
    }
    wire.failover_priority = fields.texts("failoverPriority", r);
    if !wire.distribute.is_empty()
        && (!wire.failover.is_empty() || !wire.failover_priority.is_empty())
    {
        let other = if wire.failover.is_empty() {
            "failoverPriority"
        } else {
            "failover"
        };
        r.error(
            place,
            format!("can not simultaneously specify 'distribute' and '{other}'"),
        );
    }
    let names: Vec<&str> = wire
        .failover_priority
        .iter()
        .map(|label| {
            label
                .split_once('=')
                .map_or(label.as_str(), |(name, _)| name)
        })
        .collect();
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        r.error(place, "failoverPriority names a label twice");
    }
    if !wire.failover.is_empty() && names.iter().any(|name| TOPOLOGY.contains(name)) {
        r.error(
            place,
            "can not set 'failoverPriority' label of topology when 'failover' is set",
        );
    }
    fields.unsupported(
        "zoneAwareLbSetting",
        Severity::Warning,
        "localities are used by failover only",
        r,
    );
    fields.close(r);
    LocalitySetting {
        enabled: enabled.unwrap_or(true),
        wire,
    }
}

fn distribute(mut fields: Fields<'_>, r: &mut Report) -> LocalityShares {
    let place = fields.place();
    let from = fields.text("from", r);
    check_locality(&from, place, r);
    let mut to = Vec::new();
    let mut sum = 0_u64;
    for (name, node) in fields.entries("to", r) {
        check_locality(&name.text, name.place, r);
        let percent = match &node.value {
            Value::Int(value) => u32::try_from(*value).ok(),
            _ => None,
        };
        let Some(percent @ 1..=100) = percent else {
            r.error(node.place, "locality weight must be in range [1, 100]");
            continue;
        };
        sum += u64::from(percent);
        to.push(LocalityShare {
            locality: name.text,
            percent,
        });
    }
    if sum != 100 {
        r.error(place, format!("total locality weight {sum} != 100"));
    }
    fields.close(r);
    LocalityShares { from, to }
}

fn check_locality(text: &str, place: Place, r: &mut Report) {
    let parts: Vec<&str> = text.split('/').collect();
    let star = parts.iter().position(|part| *part == "*");
    let good = parts.len() <= 3
        && parts.iter().all(|part| !part.is_empty())
        && star.is_none_or(|at| at + 1 == parts.len())
        && !parts.iter().any(|part| part.contains('*') && *part != "*");
    if !good {
        r.error(
            place,
            format!("locality `{text}` must be region/zone/subzone; only the last part may be *"),
        );
    }
}
