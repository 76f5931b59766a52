//! One of `rateLimits` or `connectionRateLimits`.

use mesh_api::v1::rate_key::By;
use mesh_api::v1::{Field, RateKey, RateLimit};

use super::super::http_match::{self, is_token};
use crate::yaml::{Fields, Place, Report, Value};

/// Keys that are counted by themselves, unless the limit says otherwise.
const MAX_KEYS: u32 = 10_000;
/// As many as it may say.
const MOST_KEYS: u32 = 1_000_000;

pub(super) fn read(
    fields: &mut Fields<'_>,
    policy: &str,
    connections: bool,
    r: &mut Report,
) -> Option<RateLimit> {
    let place = fields.place();
    let what = if connections {
        "connections"
    } else {
        "requests"
    };
    let name = fields.word("name", r).map(|word| word.text);
    let amount = at_least_one(fields, what, r);
    let interval = fields.positive_duration("interval", r).unwrap_or(1000);
    let burst = at_least_one(fields, "burst", r);
    let matches = fields.children("match", r);
    if connections && let Some(first) = matches.first() {
        r.error(
            first.place(),
            "connections have nothing to match: write rateLimits for requests",
        );
    }
    let matches = matches.into_iter().map(|mut case| {
        let wire = http_match::conditions(&mut case, r);
        case.close(r);
        wire
    });
    let matches = matches.collect();
    let keys = fields.children("keys", r).into_iter();
    let keys: Vec<RateKey> = keys
        .filter_map(|key| self::key(key, connections, r))
        .collect();
    let max_keys = fields.number("maxKeys", r).map(|(count, place)| {
        if !(1..=MOST_KEYS).contains(&count) {
            r.error(place, format!("maxKeys: must be from 1 to {MOST_KEYS}"));
        }
        count
    });
    let shadow = fields.boolean("shadow", r).unwrap_or_default();
    let response_headers = if connections {
        Vec::new()
    } else {
        headers(fields, r)
    };
    let Some(amount) = amount else {
        r.error(
            place,
            format!("a limit needs `{what}`: so many in each interval"),
        );
        return None;
    };
    Some(RateLimit {
        policy: policy.to_owned(),
        name: name.unwrap_or_else(|| format!("{amount} {what}")),
        origin: Some(r.at(place)),
        connections,
        ports: Vec::new(),
        matches,
        amount,
        interval_ms: interval,
        burst: burst.unwrap_or(amount),
        max_keys: if keys.is_empty() {
            0
        } else {
            max_keys.unwrap_or(MAX_KEYS)
        },
        keys,
        shadow,
        response_headers,
    })
}

fn at_least_one(fields: &mut Fields<'_>, name: &'static str, r: &mut Report) -> Option<u32> {
    let (number, place) = fields.number(name, r)?;
    if number == 0 {
        r.error(place, format!("{name}: must be at least 1"));
        return Some(1);
    }
    Some(number)
}

#[derive(Clone, Copy)]
enum KeyType {
    Header,
    Path,
    Method,
    Host,
    SourceIdentity,
    SourceIp,
}

fn key(mut fields: Fields<'_>, connections: bool, r: &mut Report) -> Option<RateKey> {
    const TYPES: &[(&str, KeyType)] = &[
        ("Header", KeyType::Header),
        ("Path", KeyType::Path),
        ("Method", KeyType::Method),
        ("Host", KeyType::Host),
        ("SourceIdentity", KeyType::SourceIdentity),
        ("SourceIP", KeyType::SourceIp),
    ];
    let place = fields.place();
    let of_type = fields.choice("type", TYPES, r);
    let header = fields.word("name", r);
    fields.close(r);
    let Some((of_type, at)) = of_type else {
        r.error(place, "keys: type is required");
        return None;
    };
    if connections && !matches!(of_type, KeyType::SourceIp) {
        r.error(
            at,
            "keys: of a connection that is new only the address is known; write SourceIP",
        );
    }
    let by = match (of_type, header) {
        (KeyType::Header, Some(header)) => {
            check_name(&header.text, header.place, r);
            By::Header(header.text.to_ascii_lowercase())
        }
        (KeyType::Header, None) => {
            r.error(place, "keys: a Header needs its name");
            return None;
        }
        (KeyType::Path, None) => By::Path(true),
        (KeyType::Method, None) => By::Method(true),
        (KeyType::Host, None) => By::Host(true),
        (KeyType::SourceIdentity, None) => By::SourceIdentity(true),
        (KeyType::SourceIp, None) => By::SourceIp(true),
        (_, Some(name)) => {
            r.error(name.place, "keys: only a Header has a name");
            return None;
        }
    };
    Some(RateKey { by: Some(by) })
}

fn check_name(name: &str, place: Place, r: &mut Report) {
    if !is_token(name) {
        r.error(
            place,
            format!("header name {name} is not a valid header name"),
        );
    }
}

fn headers(fields: &mut Fields<'_>, r: &mut Report) -> Vec<Field> {
    let mut headers = Vec::new();
    for (name, node) in fields.entries("responseHeaders", r) {
        check_name(&name.text, name.place, r);
        let Value::Text(value) = &node.value else {
            r.error(node.place, "responseHeaders: a value is a string");
            continue;
        };
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            r.error(
                node.place,
                format!("responseHeaders: `{value}` is no header value"),
            );
        }
        headers.push(Field {
            name: name.text.to_ascii_lowercase(),
            value: value.clone(),
        });
    }
    headers
}
