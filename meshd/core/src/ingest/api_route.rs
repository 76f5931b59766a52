//! HTTPRoute and GRPCRoute (Gateway API: HTTPRouteSpec, GRPCRouteSpec).
//!
//! What the API server would have refused is an error. What it takes and the mesh cannot do makes
//! its rule unusable: such requests are answered with 500, so that nothing goes around a filter.

mod filters;
mod matches;

use mesh_api::Hostname;
use mesh_api::v1::{Retry, Severity};

use super::reference;
use crate::model::{
    ApiBackend, ApiCase, ApiRoute, ApiRule, Kind, Meta, ParentRef, PathMatch, PathModifier, Retries,
};
use crate::yaml::{Fields, Report};

/// Largest weight (Gateway API: BackendRef).
const HEAVIEST: u32 = 1_000_000;

/// Conditions of a retry (Gateway API: "on connection errors (disconnect, reset, timeout, TCP
/// failure)"), beside the status codes that the route lists.
const RETRY_ON: [&str; 5] = [
    "connect-failure",
    "refused-stream",
    "unavailable",
    "cancelled",
    "reset",
];

/// Where filters stand: not every kind is possible everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    HttpRule,
    GrpcRule,
    Backend,
}

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> ApiRoute {
    let grpc = meta.id.kind == Kind::GrpcRoute;
    let mut parents = Vec::new();
    for mut fields in spec.children("parentRefs", r) {
        parents.extend(parent(&mut fields, r));
        fields.close(r);
    }
    spec.unsupported(
        "useDefaultGateways",
        Severity::Warning,
        "name the Gateways in parentRefs",
        r,
    );
    let mut hostnames = Vec::new();
    for word in spec.words("hostnames", r) {
        match word.text.parse::<Hostname>() {
            Ok(host) if host.as_str() != "*" => hostnames.push(host.as_str().to_owned()),
            Ok(_) => r.error(
                word.place,
                "hostnames: `*` is no host; leave it out for all",
            ),
            Err(error) => r.error(word.place, error.to_string()),
        }
    }
    let mut rules = Vec::new();
    for mut fields in spec.children("rules", r) {
        let number = rules.len();
        rules.push(rule(&mut fields, (&meta, number), r));
        fields.close(r);
    }
    if rules.is_empty() && !grpc {
        // The definition's default: one rule that takes everything, and sends it nowhere.
        rules.push(ApiRule {
            name: rule_name(&meta, 0),
            origin: meta.origin.clone(),
            cases: vec![everything(&meta)],
            filters: filters::none(),
            backends: Vec::new(),
            timeout_ms: None,
            retries: Retries::Default,
            per_try_timeout_ms: 0,
        });
    }
    ApiRoute {
        meta,
        parents,
        hostnames,
        rules,
    }
}

/// Istio: the name of a rule that has none.
fn rule_name(meta: &Meta, number: usize) -> String {
    format!("{}.{}.{number}", meta.namespace(), meta.name())
}

fn everything(meta: &Meta) -> ApiCase {
    ApiCase {
        path: PathMatch::All,
        wire: mesh_api::v1::HttpMatch {
            origin: Some(meta.origin.clone()),
            ..mesh_api::v1::HttpMatch::default()
        },
    }
}

fn parent(fields: &mut Fields<'_>, r: &mut Report) -> Option<ParentRef> {
    let reference = reference::read(fields, r)?;
    let section = fields.text("sectionName", r);
    Some(ParentRef {
        reference,
        section: Some(section).filter(|section| !section.is_empty()),
        port: fields.port("port", r),
        origin: r.at(fields.place()),
    })
}

fn rule(fields: &mut Fields<'_>, (meta, number): (&Meta, usize), r: &mut Report) -> ApiRule {
    let grpc = meta.id.kind == Kind::GrpcRoute;
    let place = fields.place();
    let name = fields.text("name", r);
    let where_to = match grpc {
        true => Place::GrpcRule,
        false => Place::HttpRule,
    };
    let mut filters = filters::read(fields, where_to, r);
    let cases = fields.children("matches", r);
    let mut cases: Vec<ApiCase> = cases
        .into_iter()
        .map(|case| matches::read(case, grpc, &mut filters, r))
        .collect();
    if cases.is_empty() {
        cases.push(everything(meta));
    }
    let by_prefix = |case: &ApiCase| matches!(case.path, PathMatch::All | PathMatch::Prefix(_));
    if matches!(filters.path, Some(PathModifier::Prefix(_))) && !cases.iter().all(by_prefix) {
        let why = "replacePrefixMatch needs matches of the type PathPrefix".to_owned();
        filters::give_up(&mut filters, place, why, r);
    }
    let mut backends = Vec::new();
    for mut backend in fields.children("backendRefs", r) {
        backends.extend(read_backend(&mut backend, r));
        backend.close(r);
    }
    let (timeout_ms, per_try_timeout_ms) = match fields.child("timeouts", r) {
        Some(timeouts) if !grpc => read_timeouts(timeouts, r),
        _ => (None, 0),
    };
    let retries = match fields.child("retry", r) {
        Some(retry) if !grpc => read_retry(retry, per_try_timeout_ms, r),
        _ => Retries::Default,
    };
    fields.unsupported(
        "sessionPersistence",
        Severity::Warning,
        "each request goes to any endpoint; use consistentHash of a DestinationRule",
        r,
    );
    ApiRule {
        name: match name.is_empty() {
            true => rule_name(meta, number),
            false => name,
        },
        origin: r.at(place),
        cases,
        filters,
        backends,
        timeout_ms,
        retries,
        per_try_timeout_ms,
    }
}

/// Reads a `backendRef`; where there is only the reference, a mirror's, it has no filters.
fn read_backend(fields: &mut Fields<'_>, r: &mut Report) -> Option<ApiBackend> {
    let origin = r.at(fields.place());
    let weight = fields.number("weight", r);
    if let Some((weight, place)) = weight.filter(|(weight, _)| *weight > HEAVIEST) {
        let path = fields.path("weight");
        r.error(place, format!("{path}: {weight} is more than {HEAVIEST}"));
    }
    let port = fields.port("port", r);
    let filters = filters::read(fields, Place::Backend, r);
    Some(ApiBackend {
        reference: reference::read(fields, r)?,
        port,
        weight: weight.map_or(1, |(weight, _)| weight),
        filters,
        origin,
    })
}

/// Time for the whole request, and for each try, in milliseconds. 0 is no limit.
fn read_timeouts(mut fields: Fields<'_>, r: &mut Report) -> (Option<u64>, u64) {
    let request = fields.duration("request", r);
    let each = fields.duration("backendRequest", r);
    if let (Some((request, _)), Some((each, place))) = (request, each)
        && request != 0
        && each > request
    {
        let path = fields.path("backendRequest");
        r.error(place, format!("{path} cannot be longer than `request`"));
    }
    fields.close(r);
    let request = request.map(|(ms, _)| ms).filter(|ms| *ms > 0);
    (request, each.map_or(0, |(ms, _)| ms))
}

/// Reads `retry` (GEP-1731). Without a number of attempts it is that of the mesh.
fn read_retry(mut fields: Fields<'_>, per_try_timeout_ms: u64, r: &mut Report) -> Retries {
    let place = fields.place();
    let mut codes = Vec::new();
    for item in fields.list("codes", r) {
        match item.value {
            crate::yaml::Value::Int(code) if (400..600).contains(&code) => {
                codes.extend(u32::try_from(code));
            }
            _ => r.error(item.place, "codes: expected a status from 400 to 599"),
        }
    }
    let attempts = fields.number("attempts", r).map_or(2, |(number, _)| number);
    let backoff = fields.duration("backoff", r).map_or(0, |(ms, _)| ms);
    fields.close(r);
    if attempts == 0 && per_try_timeout_ms == 0 {
        return Retries::Off;
    }
    let mut retry_on: Vec<String> = RETRY_ON.iter().map(|&word| word.to_owned()).collect();
    if !codes.is_empty() {
        retry_on.push("retriable-status-codes".to_owned());
    }
    let backoff = if backoff == 0 { 25 } else { backoff };
    Retries::Policy(Retry {
        attempts,
        per_try_timeout_ms,
        retry_on,
        status_codes: codes,
        backoff_base_ms: backoff,
        backoff_max_ms: backoff.saturating_mul(10),
        allow_previous_hosts: false,
        origin: Some(r.at(place)),
    })
}
