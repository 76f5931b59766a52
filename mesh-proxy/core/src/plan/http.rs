//! Requests: find the route, draw what is left to chance, compose.

use std::sync::Arc;

use ::http::header::LOCATION;
use ::http::request::Parts;
use ::http::{HeaderValue, StatusCode, response};
use bytes::Bytes;
use mesh_api::{Hostname, ResourceName};
use rand::{Rng, RngExt};

use super::outbound::{TcpTarget, choose_tcp, pick_tcp};
use super::{ForwardPlan, HttpAction, HttpPlan, Step, TcpAction};
use crate::filter::{self, CorsOutcome, FaultDecision, LocalResponse};
use crate::ir::{
    Action, FieldEdits, Forward, HttpMatch, HttpRoute, Invalid, OutboundPolicy, RouteTable,
};
use crate::reason::Reason;
use crate::route::{self, Observe, RequestView};
use crate::snapshot::Snapshot;

/// Decides about one request of a sidecar's outbound side. Host and port are where the client
/// asked to go: the Host (or the target of a proxy request) and the port that it connected to.
pub fn outbound_http(
    snapshot: &Snapshot,
    host: &Hostname,
    port: u16,
    request: &Parts,
    rng: &mut (impl Rng + ?Sized),
) -> Step<HttpPlan> {
    let view = RequestView::in_form(request, snapshot.mesh().path_form);
    let found = match lookup_outbound(snapshot, host, port, &view, &mut ()) {
        Ok(found) => found,
        Err(name) => return Step::Need(name),
    };
    Step::Ready(decide_http(snapshot, &found, &view, port, rng))
}

/// What the tables say about a request, before anything is left to chance.
pub(crate) enum Found<'a> {
    Route(route::Selected<'a>),
    NoRoute,
    HttpsRedirect,
    HostInvalid,
    Misdirected,
    Undeclared(&'a Hostname, u16),
    /// A destination of opaque bytes.
    Opaque(&'a RouteTable, ResourceName),
}

/// What was found, or the resource that is missing.
pub(crate) type Lookup<'a> = Result<Found<'a>, ResourceName>;

pub(crate) fn lookup_outbound<'a>(
    snapshot: &'a Snapshot,
    host: &'a Hostname,
    port: u16,
    request: &RequestView<'_>,
    observe: &mut impl Observe,
) -> Lookup<'a> {
    let name = ResourceName::destination(host, port);
    let Some(table) = snapshot.table(&name) else {
        return Err(name);
    };
    if table.undeclared {
        // Whether it passes is the mesh's to say.
        let known = snapshot.holds(&ResourceName::Mesh);
        return if known {
            Ok(Found::Undeclared(host, port))
        } else {
            Err(ResourceName::Mesh)
        };
    }
    if table.http.is_empty() && !table.protocol.is_http() {
        return Ok(Found::Opaque(table, name));
    }
    Ok(route::select(&table.http, request, observe).map_or(Found::NoRoute, Found::Route))
}

/// Draws and composes.
pub(crate) fn decide_http(
    snapshot: &Snapshot,
    found: &Found<'_>,
    request: &RequestView<'_>,
    port: u16,
    rng: &mut (impl Rng + ?Sized),
) -> HttpPlan {
    let grpc = filter::is_grpc(&request.parts().headers);
    let fail = |reason: Reason, detail: &str| respond(LocalResponse::failure(reason, detail, grpc));
    let action = match found {
        Found::Route(selected) => return on_route(snapshot, *selected, request, port, rng),
        Found::NoRoute => fail(Reason::RouteNotFound, ""),
        Found::HostInvalid => fail(Reason::HostInvalid, ""),
        Found::Misdirected => fail(Reason::MisdirectedRequest, ""),
        Found::HttpsRedirect => respond(redirect(
            &filter::https_location(request),
            StatusCode::MOVED_PERMANENTLY,
        )),
        Found::Undeclared(host, port) => match snapshot.mesh().outbound_policy {
            OutboundPolicy::AllowAny => HttpAction::Passthrough {
                host: (*host).clone(),
                port: *port,
            },
            OutboundPolicy::RegistryOnly => fail(Reason::UndeclaredDestination, host.as_str()),
        },
        Found::Opaque(table, name) => {
            let target = TcpTarget {
                name: name.clone(),
                original: None,
                sni: None,
            };
            match pick_tcp(snapshot, &choose_tcp(snapshot, table, &target), rng).action {
                TcpAction::Forward(cluster) => HttpAction::Forward(ForwardPlan {
                    cluster,
                    timeout: None,
                    retry: None,
                    mirrors: Vec::new(),
                    route: None,
                    destination: None,
                    path: None,
                }),
                TcpAction::Passthrough => fail(Reason::RouteNotFound, ""),
                TcpAction::Refuse(reason) => fail(reason, ""),
            }
        }
    };
    HttpPlan {
        route: None,
        fault: FaultDecision::default(),
        action,
        destination: None,
        cors: None,
    }
}

fn on_route(
    snapshot: &Snapshot,
    selected: route::Selected<'_>,
    request: &RequestView<'_>,
    port: u16,
    rng: &mut (impl Rng + ?Sized),
) -> HttpPlan {
    let route = selected.route;
    let grpc = filter::is_grpc(&request.parts().headers);
    let plan = |action| HttpPlan {
        route: Some(Arc::clone(route)),
        fault: FaultDecision::default(),
        action,
        destination: None,
        cors: None,
    };
    // A preflight asks about the request that will follow: it meets no faults.
    let cors = match route
        .cors
        .as_ref()
        .map(|rules| filter::cors(rules, request.parts()))
    {
        Some(CorsOutcome::Preflight(answer)) => return plan(HttpAction::Respond(answer)),
        Some(CorsOutcome::Grant(grant)) => Some(grant),
        Some(CorsOutcome::Ignore) | None => None,
    };
    let matched = selected.matched.and_then(|index| route.matches.get(index));
    let mut plan = plan(match &route.action {
        Action::Forward(forward) => {
            self::forward(snapshot, route, forward, (matched, request), rng)
        }
        Action::Redirect(rule) => respond(redirect(
            &filter::location(rule, matched, request, port),
            rule.code,
        )),
        Action::Direct(direct) => respond(LocalResponse::new(
            Reason::DirectResponse,
            direct.status,
            direct.body.clone(),
            grpc,
        )),
        Action::Invalid(invalid) => respond(cannot_work(invalid, grpc)),
    });
    if let Some(fault) = &route.fault {
        plan.fault = filter::draw_fault(fault, rng);
    }
    plan.cors = cors;
    match &mut plan.action {
        HttpAction::Forward(forward) => plan.destination.clone_from(&forward.destination),
        // What the proxy makes up gets the route's edits, too, as Envoy's does.
        HttpAction::Respond(answer) => {
            filter::edit_fields(
                &mut answer.headers,
                std::iter::once(&route.headers.response),
            );
            if let Some(grant) = &plan.cors {
                grant.apply(&mut answer.headers);
            }
        }
        HttpAction::Passthrough { .. } => {}
    }
    plan
}

fn forward(
    snapshot: &Snapshot,
    route: &Arc<HttpRoute>,
    forward: &Forward,
    (matched, request): (Option<&HttpMatch>, &RequestView<'_>),
    rng: &mut (impl Rng + ?Sized),
) -> HttpAction {
    let grpc = filter::is_grpc(&request.parts().headers);
    let fail = |reason: Reason, detail: &str| respond(LocalResponse::failure(reason, detail, grpc));
    let Some(destination) = route::pick(&forward.destinations, rng) else {
        return match &forward.invalid {
            Some(invalid) => respond(cannot_work(invalid, grpc)),
            None => fail(Reason::RouteInvalid, "no destination"),
        };
    };
    let Some(cluster) = snapshot.cluster(&destination.cluster) else {
        return fail(Reason::ClusterNotFound, &destination.cluster.to_string());
    };
    let path = match filter::rewritten_path(forward.rewrite.as_ref(), matched, request) {
        Ok(path) => path,
        Err(error) => return fail(Reason::RouteInvalid, &error.to_string()),
    };
    let mut mirrors = Vec::new();
    for mirror in &forward.mirrors {
        let hit = mirror.per_million > 0 && rng.random_range(0..1_000_000_u32) < mirror.per_million;
        // A copy that cannot be sent is no reason to fail the request.
        if let Some(cluster) = snapshot.cluster(&mirror.cluster).filter(|_| hit) {
            mirrors.push(Arc::clone(cluster));
        }
    }
    HttpAction::Forward(ForwardPlan {
        cluster: Arc::clone(cluster),
        timeout: forward.timeout,
        retry: forward.retry.clone(),
        mirrors,
        route: Some(Arc::clone(route)),
        destination: Some(Arc::clone(destination)),
        path,
    })
}

fn cannot_work(invalid: &Invalid, grpc: bool) -> LocalResponse {
    let text = Bytes::from(format!("{}: {}\n", Reason::RouteInvalid, invalid.message));
    LocalResponse::new(Reason::RouteInvalid, invalid.status, text, grpc)
}

fn respond(response: LocalResponse) -> HttpAction {
    HttpAction::Respond(Box::new(response))
}

fn redirect(location: &str, code: StatusCode) -> LocalResponse {
    let mut response = LocalResponse::new(Reason::Redirect, code, Bytes::new(), false);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers.insert(LOCATION, location);
    }
    response
}

/// Edits a request as its plan says: path, then header fields, then authority.
pub fn apply_request(plan: &ForwardPlan, parts: &mut Parts) {
    if let Some(path) = &plan.path {
        super::inbound::set_path(parts, path.clone());
    }
    let route = plan.route.as_deref();
    let edits = [
        route.map(|route| &route.headers.request),
        plan.destination.as_deref().map(|to| &to.headers.request),
    ];
    let edits = edits.into_iter().flatten();
    filter::edit_fields(&mut parts.headers, edits.clone());
    let rewrite = route.and_then(|route| match &route.action {
        Action::Forward(forward) => forward.rewrite.as_ref(),
        _ => None,
    });
    // A rewrite wins over the route's headers, and those over the destination's (Istio:
    // pilot/pkg/networking/core/route, `processDestination`).
    let authority = rewrite.and_then(|rewrite| rewrite.authority.as_ref());
    let authority = authority.or_else(|| {
        edits
            .clone()
            .find_map(|edits: &FieldEdits| edits.authority.as_ref())
    });
    if let Some(authority) = authority {
        filter::set_authority(parts, authority);
    }
}

/// Edits the response of the upstream as the plan says. Answers in [`HttpAction::Respond`] are
/// complete without it.
pub fn apply_response(plan: &HttpPlan, parts: &mut response::Parts) {
    let route = plan.route.as_deref().map(|route| &route.headers.response);
    let destination = plan.destination.as_deref().map(|to| &to.headers.response);
    filter::edit_fields(
        &mut parts.headers,
        [route, destination].into_iter().flatten(),
    );
    if let Some(grant) = &plan.cors {
        grant.apply(&mut parts.headers);
    }
}
