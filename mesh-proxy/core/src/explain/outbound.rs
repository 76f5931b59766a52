//! Outbound requests and connections.

use std::net::Ipv4Addr;
use std::sync::Arc;

use http::request::Parts;
use mesh_api::{Hostname, ResourceName};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::admission::{self, Asks};
use super::inbound::is_tunnel;
use super::recorder::Recorder;
use super::report::{
    DestinationReport, EndpointReport, ExplainReport, ExplainRequest, FaultReport, InvalidRequest,
    MirrorReport, OutboundReport, RetryReport,
};
use crate::ir::{
    Abort, Action, Cluster, Destinations, Endpoint, Fault, FieldEdits, Forward, Health, HttpRoute,
    LoadBalancer, Origin, OutboundPolicy, RetryPolicy,
};
use crate::labels::ClientInfo;
use crate::plan::{
    self, Found, HttpAction, HttpPlan, PeerName, TcpAction, TcpChoice, TcpTarget, UpstreamTls,
    choose_tcp, decide_http, lookup_outbound, pick_tcp,
};
use crate::reason::Reason;
use crate::route::RequestView;
use crate::snapshot::Snapshot;

/// Explains where a request or connection of the client goes.
///
/// # Errors
/// If the question is malformed. A resource that is missing is no error: the report names it.
pub fn explain_outbound(
    snapshot: &Snapshot,
    client: &ClientInfo,
    request: &ExplainRequest,
) -> Result<ExplainReport, InvalidRequest> {
    let host: Hostname = request
        .host
        .parse()
        .map_err(|error| InvalidRequest(format!("{error}")))?;
    let name = ResourceName::destination(&host, request.port);
    let mut report = head(snapshot, client);
    let mut outbound = OutboundReport {
        resource: name.to_string(),
        port: request.port,
        ..Default::default()
    };
    if let Some(table) = snapshot.table(&name) {
        outbound.host = table.host.as_ref().map(ToString::to_string);
        outbound.port = if table.undeclared {
            request.port
        } else {
            table.port
        };
        outbound.protocol = table.protocol.to_string();
        outbound.undeclared = table.undeclared;
        outbound.outbound_policy = table.undeclared.then(|| policy_name(snapshot).to_owned());
    }
    if request.tcp || request.sni.is_some() {
        let target = TcpTarget {
            name,
            original: request.original,
            sni: request.sni.as_deref(),
        };
        return Ok(explain_tcp(snapshot, &target, request, outbound, report));
    }
    let parts = request.parts()?;
    let view = RequestView::in_form(&parts, snapshot.mesh().path_form);
    let mut recorder = Recorder::new(&view);
    match lookup_outbound(snapshot, &host, request.port, &view, &mut recorder) {
        Ok(found) => {
            outbound.tried = recorder.into_routes();
            let mut told = tell(snapshot, &found, &view, request, outbound);
            if is_tunnel(&parts) {
                no_tunnel(&mut told);
            }
            report.outbound = Some(told);
        }
        Err(missing) => report.missing = Some(missing.to_string()),
    }
    Ok(report)
}

/// A request for a tunnel that was captured is answered by the proxy itself. Where it would have
/// led stays told.
pub(super) fn no_tunnel(outbound: &mut OutboundReport) {
    let reason = Reason::DownstreamProtocolError;
    outbound.action = "respond".to_owned();
    outbound.status = Some(reason.status().as_u16());
    outbound.reason = Some(reason.to_string());
    outbound.location = None;
    outbound.sent_path = None;
    outbound.sent_authority = None;
}

pub(super) fn head(snapshot: &Snapshot, client: &ClientInfo) -> ExplainReport {
    ExplainReport {
        workload: client.workload.to_string(),
        identity: client.identity.as_ref().map(ToString::to_string),
        revision: snapshot.revision(),
        digest: snapshot.digest().to_owned(),
        ..Default::default()
    }
}

fn policy_name(snapshot: &Snapshot) -> &'static str {
    match snapshot.mesh().outbound_policy {
        OutboundPolicy::AllowAny => "ALLOW_ANY",
        OutboundPolicy::RegistryOnly => "REGISTRY_ONLY",
    }
}

fn explain_tcp(
    snapshot: &Snapshot,
    target: &TcpTarget<'_>,
    request: &ExplainRequest,
    mut outbound: OutboundReport,
    mut report: ExplainReport,
) -> ExplainReport {
    let Some(table) = snapshot.table(&target.name) else {
        report.missing = Some(target.name.to_string());
        return report;
    };
    if table.undeclared && !snapshot.holds(&ResourceName::Mesh) {
        report.missing = Some(ResourceName::Mesh.to_string());
        return report;
    }
    let choice = choose_tcp(snapshot, table, target);
    tell_tcp(snapshot, &choice, request, &mut outbound);
    report.outbound = Some(outbound);
    report
}

/// Tells what the routes say about a connection; the draw is that of the seed.
pub(super) fn tell_tcp(
    snapshot: &Snapshot,
    choice: &TcpChoice<'_>,
    request: &ExplainRequest,
    outbound: &mut OutboundReport,
) {
    if let TcpChoice::Route { destinations, .. } = choice {
        outbound.destinations = all_destinations(snapshot, destinations);
    }
    let mut rng = SmallRng::seed_from_u64(request.seed.unwrap_or_default());
    let plan = pick_tcp(snapshot, choice, &mut rng);
    outbound.origin = plan.origin.as_deref().cloned();
    match plan.action {
        TcpAction::Forward(cluster) => {
            outbound.action = "forward".to_owned();
            outbound.drawn = request.seed.map(|_| cluster.id.to_string());
        }
        TcpAction::Passthrough => outbound.action = "passthrough".to_owned(),
        TcpAction::Refuse(reason) => {
            outbound.action = "refuse".to_owned();
            outbound.reason = Some(reason.to_string());
        }
    }
}

/// Tells what was found; the draws are those of the seed.
pub(super) fn tell(
    snapshot: &Snapshot,
    found: &Found<'_>,
    view: &RequestView<'_>,
    request: &ExplainRequest,
    mut outbound: OutboundReport,
) -> OutboundReport {
    let mut rng = SmallRng::seed_from_u64(request.seed.unwrap_or_default());
    let plan = decide_http(snapshot, found, view, request.port, &mut rng);
    outbound.origin = plan.origin().map(|origin| Origin::clone(origin));
    if let Some(route) = &plan.route {
        outbound.fault = route.fault.as_ref().map(fault);
        outbound.edits = edits(route);
        outbound.admission = admission::rates(
            route.limits.as_deref().unwrap_or_default(),
            Asks {
                identity: None,
                source: request.source_ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
                port: request.port,
                request: Some(view.parts()),
            },
        );
        if let Action::Forward(forward) = &route.action {
            forward_report(snapshot, forward, &mut outbound);
        }
    }
    if let Found::Opaque(table, name) = found {
        let target = TcpTarget {
            name: name.clone(),
            original: None,
            sni: None,
        };
        if let TcpChoice::Route {
            destinations,
            origin,
        } = choose_tcp(snapshot, table, &target)
        {
            outbound.destinations = all_destinations(snapshot, destinations);
            outbound.origin = origin.map(|origin| Origin::clone(origin));
        }
    }
    action(&plan, view.parts(), request, &mut outbound);
    outbound
}

fn action(plan: &HttpPlan, parts: &Parts, request: &ExplainRequest, outbound: &mut OutboundReport) {
    match &plan.action {
        HttpAction::Forward(forward) => {
            outbound.action = "forward".to_owned();
            outbound.drawn = request.seed.map(|_| forward.cluster.id.to_string());
            let mut sent = parts.clone();
            plan::apply_request(forward, &mut sent);
            outbound.sent_path = sent.uri.path_and_query().map(ToString::to_string);
            outbound.sent_authority = Some(crate::route::authority(&sent).to_owned());
        }
        HttpAction::Respond(answer) => {
            outbound.action = "respond".to_owned();
            outbound.status = Some(answer.status.as_u16());
            outbound.reason = Some(answer.reason.to_string());
            let location = answer.headers.get(http::header::LOCATION);
            outbound.location =
                location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
        HttpAction::Passthrough { .. } => outbound.action = "passthrough".to_owned(),
    }
}

fn forward_report(snapshot: &Snapshot, forward: &Forward, outbound: &mut OutboundReport) {
    outbound.destinations = all_destinations(snapshot, &forward.destinations);
    if let Some(invalid) = &forward.invalid {
        let (lost, total) = (
            forward.destinations.lost_weight(),
            forward.destinations.total_weight(),
        );
        outbound.destinations.push(DestinationReport {
            cluster: format!("answer {}", invalid.status.as_u16()),
            weight: lost,
            percent: 100.0 * f64::from(lost) / f64::from(total.max(1)),
            problem: Some(invalid.message.to_string()),
            ..Default::default()
        });
    }
    outbound.timeout_ms = forward.timeout.map(milliseconds);
    outbound.retry = forward.retry.as_deref().map(retry);
    let mirror = |mirror: &crate::ir::Mirror| MirrorReport {
        cluster: mirror.cluster.to_string(),
        percent: f64::from(mirror.per_million) / 10_000.0,
    };
    outbound.mirrors = forward.mirrors.iter().map(mirror).collect();
}

fn all_destinations(snapshot: &Snapshot, destinations: &Destinations) -> Vec<DestinationReport> {
    let one = |destination: &Arc<crate::ir::Destination>| {
        let mut report = DestinationReport {
            cluster: destination.cluster.to_string(),
            weight: destination.weight,
            percent: 100.0 * destinations.share(destination),
            ..Default::default()
        };
        match snapshot.cluster(&destination.cluster) {
            Some(cluster) => fill(&mut report, cluster),
            None => report.problem = Some("no such service, port or subset".to_owned()),
        }
        report
    };
    destinations.iter().map(one).collect()
}

fn fill(report: &mut DestinationReport, cluster: &Arc<Cluster>) {
    let place = |origin: &Option<Arc<Origin>>| origin.as_deref().cloned();
    report.service_origin = place(&cluster.origin);
    report.subset_origin = place(&cluster.subset_origin);
    report.policy_origin = place(&cluster.policy_origin);
    report.connect_timeout_ms = milliseconds(cluster.connect_timeout);
    report.load_balancer = match cluster.load_balancer {
        LoadBalancer::LeastRequest => "LEAST_REQUEST",
        LoadBalancer::RoundRobin => "ROUND_ROBIN",
        LoadBalancer::Random => "RANDOM",
        LoadBalancer::Passthrough => "PASSTHROUGH",
    }
    .to_owned();
    report.traffic = super::traffic::lines(cluster);
    report.endpoints = cluster
        .endpoints
        .iter()
        .map(|endpoint| endpoint_report(cluster, endpoint))
        .collect();
    let healthy = cluster
        .endpoints
        .iter()
        .any(|endpoint| endpoint.health == Health::Healthy);
    if !healthy && !cluster.is_passthrough() {
        report.problem = Some("no healthy endpoint".to_owned());
    }
}

fn endpoint_report(cluster: &Cluster, endpoint: &Endpoint) -> EndpointReport {
    let (tls, identity) = match plan::upstream_tls(cluster, endpoint) {
        UpstreamTls::Plain => ("plain", None),
        UpstreamTls::Mesh { peer, .. } => ("mesh", peer_name(&peer)),
        UpstreamTls::Simple(_) => ("simple", None),
        UpstreamTls::Mutual(_) => ("mutual", None),
        UpstreamTls::Hbone { peer, .. } => ("hbone", peer_name(&peer)),
    };
    EndpointReport {
        uid: endpoint.uid.to_string(),
        address: endpoint.address.to_string(),
        healthy: endpoint.health == Health::Healthy,
        weight: endpoint.weight,
        priority: endpoint.priority,
        tls: tls.to_owned(),
        identity,
    }
}

fn peer_name(peer: &PeerName) -> Option<String> {
    match peer {
        PeerName::Identity(identity) => Some(identity.to_string()),
        PeerName::OneOf(names) => Some(
            names
                .iter()
                .map(|name| &**name)
                .collect::<Vec<_>>()
                .join(" or "),
        ),
        PeerName::Any => None,
    }
}

fn retry(policy: &RetryPolicy) -> RetryReport {
    RetryReport {
        attempts: policy.attempts,
        on: policy.on.names().map(str::to_owned).collect(),
        status_codes: policy.status_codes.clone(),
        per_try_timeout_ms: policy.per_try_timeout.map(milliseconds),
        origin: policy.origin.as_deref().cloned(),
    }
}

fn fault(fault: &Fault) -> FaultReport {
    FaultReport {
        delay_percent: f64::from(fault.delay_per_million) / 10_000.0,
        delay_ms: milliseconds(fault.delay),
        abort_percent: f64::from(fault.abort_per_million) / 10_000.0,
        abort: match fault.abort {
            Abort::Http(status) => format!("HTTP {}", status.as_u16()),
            Abort::Grpc(status) => format!("gRPC {status}"),
        },
        origin: fault.origin.as_deref().cloned(),
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The edits that the route asks for, in the order in which they are made.
fn edits(route: &HttpRoute) -> Vec<String> {
    let mut lines = Vec::new();
    if let Action::Forward(Forward {
        rewrite: Some(rewrite),
        ..
    }) = &route.action
    {
        lines.extend(
            rewrite
                .uri
                .as_ref()
                .map(|uri| format!("rewrite path: {uri}")),
        );
        lines.extend(
            rewrite
                .regex
                .as_ref()
                .map(|regex| format!("rewrite path by expression: {}", regex.pattern())),
        );
        let authority = rewrite
            .authority
            .as_ref()
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        lines.extend(authority.map(|authority| format!("rewrite authority: {authority}")));
    }
    field_edits(&mut lines, "request", &route.headers.request);
    field_edits(&mut lines, "response", &route.headers.response);
    if let Action::Forward(forward) = &route.action {
        for destination in forward.destinations.iter() {
            let cluster = &destination.cluster;
            field_edits(
                &mut lines,
                &format!("request to {cluster}"),
                &destination.headers.request,
            );
            field_edits(
                &mut lines,
                &format!("response of {cluster}"),
                &destination.headers.response,
            );
        }
    }
    lines
}

fn field_edits(lines: &mut Vec<String>, of: &str, edits: &FieldEdits) {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    lines.extend(
        edits
            .remove
            .iter()
            .map(|name| format!("{of}: remove {name}")),
    );
    lines.extend(
        edits
            .set
            .iter()
            .map(|(name, value)| format!("{of}: set {name}: {}", text(value))),
    );
    lines.extend(
        edits
            .add
            .iter()
            .map(|(name, value)| format!("{of}: add {name}: {}", text(value))),
    );
    lines.extend(
        edits
            .authority
            .iter()
            .map(|value| format!("{of}: set authority: {}", text(value))),
    );
}
