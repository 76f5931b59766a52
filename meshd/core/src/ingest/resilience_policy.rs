//! ResiliencePolicy (`mesh.dev/v1alpha1`): rates, health checks, protection against overload. It
//! is attached as the policies of the Gateway API are: by `targetRefs`, or by labels.

mod health_check;
mod rate_limit;

use mesh_api::v1::rate_key::By;
use mesh_api::v1::{AdaptiveLimit, OverloadProtection, RateLimit, Severity};

use super::metadata;
use crate::model::{Meta, PolicyTarget, ResiliencePolicy, TargetKind, TargetRef};
use crate::yaml::{Fields, Place, Report};

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> ResiliencePolicy {
    let name = meta.full_name();
    let target = target(spec, r);
    let mut rate_limits = Vec::new();
    for (field, connections) in [("rateLimits", false), ("connectionRateLimits", true)] {
        for mut limit in spec.children(field, r) {
            let place = limit.place();
            if let Some(limit) = rate_limit::read(&mut limit, &name, connections, r) {
                let twice = |known: &mesh_api::v1::RateLimit| {
                    known.name == limit.name && known.connections == connections
                };
                if rate_limits.iter().any(twice) {
                    r.error(place, format!("two limits are called `{}`", limit.name));
                }
                rate_limits.push(limit);
            }
            limit.close(r);
        }
    }
    let overload = spec
        .child("overload", r)
        .map(|fields| overload(fields, &name, r));
    let checked = spec.child("healthCheck", r);
    let health_check = checked.and_then(|fields| {
        let place = fields.place();
        let services =
            |one: &TargetRef| matches!(one.kind, TargetKind::Service | TargetKind::ServiceEntry);
        let fits = matches!(&target, PolicyTarget::Objects(all) if all.iter().all(services));
        if !fits {
            r.error(
                place,
                "healthCheck is for services: its clients make the checks; name them in targetRefs, by kind Service or ServiceEntry",
            );
        }
        health_check::read(fields, &name, r)
    });
    check_routes(&target, (&rate_limits, overload.as_ref()), r);
    if rate_limits.is_empty() && overload.is_none() && health_check.is_none() && !r.failed() {
        r.warn(
            spec.place(),
            "the policy says nothing: write rateLimits, connectionRateLimits, overload or healthCheck",
        );
    }
    ResiliencePolicy {
        meta,
        target,
        rate_limits,
        overload,
        health_check,
    }
}

/// A VirtualService is where requests pass on their way: nothing is served there.
fn check_routes(
    target: &PolicyTarget,
    (limits, overload): (&[RateLimit], Option<&OverloadProtection>),
    r: &mut Report,
) {
    let PolicyTarget::Objects(targets) = target else {
        return;
    };
    let mut routes = targets.iter();
    let Some(route) = routes.find(|one| one.kind == TargetKind::VirtualService) else {
        return;
    };
    let by_identity = |limit: &RateLimit| {
        let mut keys = limit.keys.iter();
        keys.any(|key| matches!(key.by, Some(By::SourceIdentity(_))))
    };
    let trouble = if overload.is_some() {
        "overload is for what serves requests: name Services, ServiceEntries or Gateways"
    } else if limits.iter().any(|limit| limit.connections) {
        "connectionRateLimits are for what takes connections: name Services, ServiceEntries or Gateways"
    } else if limits.iter().any(by_identity) {
        "the key SourceIdentity says nothing on a route: the caller is the workload itself, or a client of the gateway; write SourceIP or Header"
    } else {
        return;
    };
    let place = Place {
        line: route.origin.line,
        column: route.origin.column,
    };
    r.error(place, format!("targetRefs: VirtualService: {trouble}"));
}

fn target(spec: &mut Fields<'_>, r: &mut Report) -> PolicyTarget {
    let place = spec.place();
    let selected = spec.has("selector");
    let labels = metadata::match_labels(spec, r);
    let references = spec.children("targetRefs", r);
    if selected && !references.is_empty() {
        r.error(place, "only one of targetRefs or selector can be set");
    }
    if references.is_empty() {
        return PolicyTarget::Workloads(labels);
    }
    let references = references.into_iter();
    PolicyTarget::Objects(references.filter_map(|one| reference(one, r)).collect())
}

fn reference(mut fields: Fields<'_>, r: &mut Report) -> Option<TargetRef> {
    const KINDS: &[(&str, TargetKind)] = &[
        ("Service", TargetKind::Service),
        ("ServiceEntry", TargetKind::ServiceEntry),
        ("Gateway", TargetKind::Gateway),
        ("VirtualService", TargetKind::VirtualService),
    ];
    let place = fields.place();
    let group = fields.word("group", r);
    if let Some(kind @ ("HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute")) = fields.peek("kind")
    {
        let text = format!(
            "targetRefs: {kind}s are no targets yet; name a VirtualService, or the Gateway"
        );
        r.push(Severity::Error, place, text, "unsupported");
        return None;
    }
    let kind = fields.choice("kind", KINDS, r);
    let name = fields.word("name", r);
    let section = fields.word("sectionName", r);
    if let Some(namespace) = fields.word("namespace", r) {
        r.error(
            namespace.place,
            "cross namespace referencing is not currently supported",
        );
    }
    fields.close(r);
    let (Some((kind, _)), Some(name)) = (kind, name) else {
        r.error(place, "targetRefs: kind and name are required");
        return None;
    };
    // The group of a Service is the empty one, as in the Gateway API.
    if let Some(given) = group.filter(|given| given.text != kind.group()) {
        let (name, own) = (kind.name(), kind.group());
        let text = format!(
            "targetRefs: a {name} is of the group `{own}`, not `{}`",
            given.text
        );
        r.error(given.place, text);
    }
    Some(TargetRef {
        kind,
        name: name.text,
        section: section.map(|word| word.text),
        origin: r.at(place),
    })
}

fn overload(mut fields: Fields<'_>, policy: &str, r: &mut Report) -> OverloadProtection {
    let place = fields.place();
    let number = |fields: &mut Fields<'_>, name, r: &mut Report| {
        let (number, place) = fields.number(name, r)?;
        if number == 0 {
            r.error(place, format!("overload.{name}: must be at least 1"));
        }
        Some(number)
    };
    let max_requests = number(&mut fields, "maxRequests", r).unwrap_or_default();
    let min_requests = number(&mut fields, "minRequests", r).unwrap_or_default();
    if max_requests != 0 && min_requests > max_requests {
        r.error(place, "overload: minRequests is above maxRequests");
    }
    let latency_ratio = fields.fraction("latencyRatio", r).map(|(ratio, place)| {
        if !(1.0..=1000.0).contains(&ratio) {
            r.error(place, "overload.latencyRatio: must be from 1 to 1000");
        }
        ratio
    });
    let adaptive = match fields.boolean("adaptive", r) {
        None => AdaptiveLimit::Unspecified,
        Some(true) => AdaptiveLimit::On,
        Some(false) => AdaptiveLimit::Off,
    };
    let wire = OverloadProtection {
        policy: policy.to_owned(),
        origin: Some(r.at(place)),
        disabled: fields.boolean("enabled", r) == Some(false),
        shadow: fields.boolean("shadow", r).unwrap_or_default(),
        max_requests,
        min_requests,
        latency_ratio: latency_ratio.unwrap_or_default(),
        latency_floor_ms: fields
            .positive_duration("latencyFloor", r)
            .unwrap_or_default(),
        adaptive: adaptive.into(),
    };
    fields.close(r);
    wire
}
