//! Limits on what is let in, and health checks, in words.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use mesh_api::SpiffeId;

use super::report::AdmissionReport;
use crate::ir::{Admission, HealthCheck, Probe, RateLimit, Subject};
use crate::route::RequestView;

/// Who is let in.
#[derive(Clone, Copy)]
pub(super) struct Asks<'a> {
    pub(super) identity: Option<&'a SpiffeId>,
    pub(super) source: IpAddr,
    pub(super) port: u16,
    pub(super) request: Option<&'a Parts>,
}

/// One entry for each limit, and one for the protection against overload if a policy says
/// something about it.
pub(super) fn tell(admission: &Admission, asks: Asks<'_>) -> Vec<AdmissionReport> {
    let mut all = rates(&admission.limits, asks);
    let overload = &admission.overload;
    if let Some(policy) = &overload.policy {
        let text = if overload.disabled {
            "no protection against overload".to_owned()
        } else {
            let adaptive = match overload.adaptive {
                Some(false) => ", whatever they take",
                Some(true) => ", fewer while answers are slow",
                None => "",
            };
            let shadow = if overload.shadow {
                ", only counted"
            } else {
                ""
            };
            format!(
                "at most {} requests at a time{adaptive}{shadow}",
                overload.max_requests
            )
        };
        all.push(AdmissionReport {
            policy: policy.to_string(),
            name: "overload".to_owned(),
            text,
            applies: asks.request.is_some(),
            origin: overload.origin.as_deref().cloned(),
        });
    }
    all
}

/// One entry for each limit.
pub(super) fn rates(limits: &[Arc<RateLimit>], asks: Asks<'_>) -> Vec<AdmissionReport> {
    let view = asks.request.map(RequestView::new);
    let subject = |request| Subject {
        identity: asks.identity,
        source: asks.source,
        port: asks.port,
        request,
    };
    let limit = |limit: &Arc<RateLimit>| {
        let request = view.as_ref().filter(|_| !limit.connections);
        let applies = (limit.connections || request.is_some()) && limit.takes(&subject(request));
        AdmissionReport {
            policy: limit.policy.to_string(),
            name: limit.name.to_string(),
            text: rate(limit),
            applies,
            origin: limit.origin.as_deref().cloned(),
        }
    };
    limits.iter().map(limit).collect()
}

fn rate(limit: &RateLimit) -> String {
    let what = if limit.connections {
        "connections"
    } else {
        "requests"
    };
    let rate = &limit.rate;
    let mut text = format!("{} {what} in {:?}", rate.amount, rate.interval);
    if rate.burst != rate.amount {
        text.push_str(&format!(", {} at once", rate.burst));
    }
    if !limit.keys.is_empty() {
        let keys: Vec<String> = limit.keys.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" for each {}", keys.join(" and ")));
    }
    if limit.shadow {
        text.push_str(", only counted");
    }
    text
}

/// How endpoints are looked after.
pub(super) fn health_check(check: &HealthCheck) -> String {
    let what = match &check.probe {
        Probe::Http { method, path, .. } => format!("{method} {path}"),
        Probe::Grpc { service } if service.is_empty() => "gRPC's health service".to_owned(),
        Probe::Grpc { service } => format!("gRPC's health service for {service}"),
        Probe::Tcp => "a connection".to_owned(),
    };
    let origin = check.origin.as_ref();
    let origin = origin.map_or_else(String::new, |origin| format!(", {origin}"));
    format!(
        "checked every {:?} by {what}: out after {} failures, back after {} successes (healthCheck of {}{origin})",
        check.interval, check.unhealthy_threshold, check.healthy_threshold, check.policy
    )
}
