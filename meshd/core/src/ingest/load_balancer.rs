//! `loadBalancer` of a DestinationRule.

mod locality;

use mesh_api::v1::consistent_hash::Key;
use mesh_api::v1::{ConsistentHash, CookieAttribute, HashCookie, LoadBalancer, Severity, Warmup};

use crate::model::Balancing;
use crate::problem::code;
use crate::yaml::{Fields, Report};

/// Envoy's number for `maglev: {}`.
const MAGLEV_TABLE: u32 = 65_537;
/// Envoy: `MaglevLoadBalancer::MaxTableSize`.
const MAX_TABLE: u32 = 5_000_011;
/// Istio's default of `minimumRingSize`.
const RING: u64 = 1024;
/// Istio's default of `minimumPercent`.
const WARMUP_PERCENT: f64 = 10.0;

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
        .map(|inner| locality::locality(inner, r));
    let zones = fields
        .child("zoneAwareLbSetting", r)
        .map(|inner| locality::zone_aware(inner, r));
    if locality.is_some() && zones.is_some() {
        r.error(
            place,
            "loadBalancer: only one of localityLbSetting and zoneAwareLbSetting may be set",
        );
    }
    fields.unsupported(
        "backendUtilization",
        Severity::Warning,
        "endpoints are chosen by latency and load",
        r,
    );
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
            code::SCHEMA_WARNING,
        );
    }
    fields.close(r);
    Balancing {
        simple,
        hash,
        warmup,
        locality: zones.or(locality),
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
