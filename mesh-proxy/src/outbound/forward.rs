//! One planned request: fault, tries, answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body::Body as _;
use mesh_api::Hostname;
use mesh_proxy_core::balance::{Affinity, Outcome, Want};
use mesh_proxy_core::filter::is_grpc;
use mesh_proxy_core::ir::Cluster;
use mesh_proxy_core::plan::{self, ForwardPlan, HttpAction, HttpPlan, Speech};
use mesh_proxy_core::resilience::{
    AttemptOutcome, Deadline, Decision, Stop, Tries, grpc_timeout, tell,
};
use mesh_proxy_core::{Reason, ResponseFlags};

use super::{mirror, passthrough};
use crate::clock;
use crate::http::headers::{Hop, X_MESH_PEER, X_MESH_UNPROCESSED};
use crate::http::upgrade::OnUpgrade;
use crate::http::{BodySource, Exchange, Incoming, ResponseBody, Version, respond};
use crate::upstream::{
    Answer, Asked, Count, Delivery, DialError, Failed, Member, Origin, Pick, Secure, Sending,
    Target, Tracking,
};
use crate::worker::Worker;

/// A request on its way, without the fields of its last hop. Boxed where it is handed on: futures
/// keep room for their arguments and for what is done with them.
pub(crate) struct Call {
    /// The head.
    pub(crate) parts: Parts,
    /// The body; `None` if there is none.
    pub(crate) body: Option<BodySource>,
    /// What the hop-by-hop fields said.
    pub(crate) hop: Hop,
    /// The record.
    pub(crate) exchange: Box<Exchange>,
    /// The client's side of an upgrade, if it asks for one.
    pub(crate) upgrade: Option<OnUpgrade>,
    /// What the client speaks.
    pub(crate) client: Version,
    /// Host that the client asked for.
    pub(crate) host: Hostname,
    /// Port that the client asked for.
    pub(crate) port: u16,
    /// Where the connection was going, if it was captured.
    pub(crate) original: Option<SocketAddr>,
}

/// Where the tries of a request go.
struct Aim<'a> {
    target: &'a Rc<Target>,
    cluster: &'a Cluster,
    /// Chooses the endpoint.
    hash: Option<u64>,
    /// Counts the retry that is made, until it has ended.
    retry: Option<Count>,
}

/// A response that may go to the client.
struct Got {
    answer: Answer,
    tracking: Tracking,
}

/// A try without a response.
struct Missed {
    reason: Reason,
    outcome: AttemptOutcome,
    detail: String,
}

// === impl Call ===

impl Call {
    /// A request that has come, on its way to a host and port, and where its connection was going.
    pub(crate) fn new(
        (mut parts, incoming): (Parts, Incoming),
        hop: Hop,
        mut exchange: Box<Exchange>,
        (host, port, original): (Hostname, u16, Option<SocketAddr>),
    ) -> Box<Self> {
        let upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .filter(|_| hop.upgrade.is_some());
        let body = (!incoming.is_end_stream()).then(|| BodySource::new(incoming));
        if let Some(body) = &body {
            exchange.set_body(body.clone());
        }
        Box::new(Self {
            client: Version::of(parts.version),
            parts,
            body,
            hop,
            exchange,
            upgrade,
            host,
            port,
            original,
        })
    }
}

/// Does what the plan says.
pub(crate) async fn act(
    worker: &Rc<Worker>,
    plan: &HttpPlan,
    mut call: Box<Call>,
) -> Response<ResponseBody> {
    call.exchange.upstream.route = plan.route.as_ref().map(|route| Arc::clone(&route.name));
    if let Some(limits) = plan.route.as_ref().and_then(|route| route.limits.as_ref()) {
        let remote = call.exchange.downstream.remote;
        let source = remote.map_or(Ipv4Addr::UNSPECIFIED.into(), |remote| remote.ip());
        let admission = &worker.shared.admission;
        let checked = admission.route(&worker.shared, limits, (source, &call.parts));
        if let Err(refused) = checked {
            return edited(plan, refused.answer(call.exchange));
        }
    }
    if let Some(delay) = plan.fault.delay {
        call.exchange.flag(ResponseFlags::DELAY_INJECTED);
        tokio::time::sleep(delay).await;
    }
    if let Some(abort) = plan.fault.response(call.exchange.is_grpc()) {
        return edited(plan, respond::send(abort, call.exchange));
    }
    match &plan.action {
        HttpAction::Respond(answer) => respond::send(Box::as_ref(answer).clone(), call.exchange),
        HttpAction::Passthrough { host, port } => {
            passthrough::http(worker, host, *port, call).await
        }
        HttpAction::Forward(forward) => self::forward(worker, plan, forward, call).await,
    }
}

async fn forward(
    worker: &Rc<Worker>,
    plan: &HttpPlan,
    forward: &ForwardPlan,
    mut call: Box<Call>,
) -> Response<ResponseBody> {
    plan::apply_request(forward, &mut call.parts);
    call.exchange.downstream.service = Arc::clone(&forward.cluster.service);
    for cluster in &forward.mirrors {
        mirror::send(worker, cluster, &call);
    }
    let target = match worker.upstreams.target(&forward.cluster).await {
        Ok(target) => target,
        Err(error) => {
            call.exchange.upstream.failure = Some(error.to_string());
            return edited(plan, respond::fail(error.reason(), "", call.exchange));
        }
    };
    call.exchange.upstream.cluster = Some(Rc::clone(target.name()));
    let now = clock::monotonic();
    let (deadline, first) = deadlines(forward, &call);
    let mut tries = target.tries(forward.retry.clone(), first, now);
    let Affinity { hash, set_cookie } = affinity(worker, &forward.cluster, &call);
    let mut aim = Aim {
        target: &target,
        cluster: &forward.cluster,
        hash,
        retry: None,
    };
    loop {
        let result = attempt(worker, &mut aim, &mut tries, &mut call).await;
        let outcome = match &result {
            Ok(got) => AttemptOutcome::of_response(
                got.answer.response.status(),
                got.answer.response.headers(),
            ),
            Err(missed) => missed.outcome,
        };
        // The retry that this was is over (Envoy: RetryStateImpl::resetRetry).
        aim.retry = None;
        let (decision, retry) = decide(worker, &target, &mut tries, &outcome, &call);
        match decision {
            Decision::Retry { after } => {
                aim.retry = retry;
                worker.shared.telemetry.stages.retries.inc();
                // The answer's connection is used again only if nothing of the answer is left.
                drop(result);
                tokio::time::sleep(after).await;
            }
            Decision::Stop(stop) => {
                if stop == Stop::Exhausted && tries.retries() > 0 {
                    call.exchange.flag(ResponseFlags::RETRY_LIMIT_EXCEEDED);
                }
                if stop == Stop::Budget {
                    // As Envoy flags retries that its circuit breaker refuses.
                    call.exchange.flag(ResponseFlags::UPSTREAM_OVERFLOW);
                }
                return match result {
                    Ok(Got { answer, tracking }) => {
                        let Call {
                            exchange, upgrade, ..
                        } = *call;
                        let delivery = Delivery {
                            exchange,
                            upgrade,
                            tracking,
                            deadline: deadline.end().map(Into::into),
                        };
                        delivery.respond(worker, answer, |parts| {
                            plan::apply_response(plan, parts);
                            if let Some(cookie) = set_cookie {
                                parts.headers.append(SET_COOKIE, cookie);
                            }
                        })
                    }
                    Err(missed) => {
                        call.exchange.upstream.failure =
                            Some(missed.detail).filter(|detail| !detail.is_empty());
                        edited(plan, respond::fail(missed.reason, "", call.exchange))
                    }
                };
            }
        }
    }
}

/// When the request must have ended, and when it must be answered. Istio: a route's timeout is the
/// most that a client of gRPC gets, who says how long it waits; once it is answered, it sees to
/// that itself.
fn deadlines(forward: &ForwardPlan, call: &Call) -> (Deadline, Deadline) {
    let began = call.exchange.began();
    let asked = Some(&call.parts.headers)
        .filter(|_| call.exchange.is_grpc())
        .and_then(grpc_timeout);
    let end = Deadline::new(forward.timeout, began);
    (end, end.at_most(asked, began))
}

fn affinity(worker: &Worker, cluster: &Cluster, call: &Call) -> Affinity {
    let Some(policy) = &cluster.traffic.hash else {
        return Affinity::default();
    };
    let source = call.exchange.downstream.remote.map(|remote| remote.ip());
    let mut rng = worker.rng.borrow_mut();
    Affinity::of_request(policy, &call.parts, source, &mut *rng)
}

fn decide(
    worker: &Worker,
    target: &Target,
    tries: &mut Tries,
    outcome: &AttemptOutcome,
    call: &Call,
) -> (Decision, Option<Count>) {
    let success = matches!(outcome, AttemptOutcome::Response { status, grpc_status, .. }
        if !status.is_server_error() && !status.is_client_error() && grpc_status.is_none_or(|status| status == 0));
    if success {
        return (Decision::Stop(Stop::NotRetriable), None);
    }
    if call.body.as_ref().is_some_and(BodySource::client_failed) {
        return (Decision::Stop(Stop::BodyConsumed), None);
    }
    let replayable =
        call.upgrade.is_none() && call.body.as_ref().is_none_or(BodySource::can_replay);
    let mut rng = worker.rng.borrow_mut();
    let now = clock::monotonic();
    target.decide(|grants| tries.decide(outcome, replayable, grants, now, &mut *rng))
}

async fn attempt(
    worker: &Rc<Worker>,
    aim: &mut Aim<'_>,
    tries: &mut Tries,
    call: &mut Call,
) -> Result<Got, Missed> {
    let now = clock::monotonic();
    let limit = tries.try_deadline(now);
    if limit.is_some_and(|(end, _)| end <= now) {
        return Err(timed_out(limit));
    }
    let allowed = aim.target.admit().map_err(overflow)?;
    let picked = {
        let mut rng = worker.rng.borrow_mut();
        let want = Want {
            exclude: tries.exclude(),
            hash: aim.hash,
        };
        let asked = Asked {
            host: &call.host,
            port: call.port,
            want,
        };
        aim.target.pick(asked, &mut *rng, now)
    };
    let Ok(Pick {
        member,
        mut tracking,
    }) = picked
    else {
        // No other endpoint will be there for another try.
        return Err(Missed {
            reason: Reason::NoHealthyEndpoint,
            outcome: AttemptOutcome::Overflow,
            detail: String::new(),
        });
    };
    let downstream = &call.exchange.downstream;
    let member = member.for_client((downstream.remote, downstream.local));
    tries.tried(&member.endpoint.uid);
    call.exchange.upstream.host = Some(Rc::clone(&member.host));
    call.exchange.downstream.destination = Arc::clone(&member.endpoint.labels);
    let over_mesh = prepare(worker, &member, &mut call.parts.headers);
    let left = limit.map(|(end, _)| end.saturating_duration_since(now));
    let grpc = call.exchange.is_grpc();
    tell(&mut call.parts.headers, tries.retries(), left, grpc);
    call.exchange.downstream.security = security(member.secure.is_mesh());
    let version = version(aim.cluster, over_mesh, call, call.upgrade.is_some());
    let sending = Sending {
        worker,
        pool: &member.pool,
        origin: Origin::Endpoint(&member, aim.cluster.connect_timeout),
        version,
        repeatable: call.parts.method.is_idempotent() && call.upgrade.is_none(),
        head: &call.parts,
        body: call.body.as_ref(),
        hop: &call.hop,
    };
    let sent = {
        // One future, whichever way it is awaited.
        let mut work = pin!(async {
            if version == Version::Http1 {
                let turn = allowed.turn().await.map_err(DialError::Limit);
                tracking.hold(turn.map_err(Failed::Dial)?);
            }
            sending.send().await
        });
        match limit {
            None => Ok(work.as_mut().await),
            Some((end, _)) => tokio::time::timeout_at(end.into(), work.as_mut()).await,
        }
    };
    tracking.hold(allowed.into_count());
    let result = match sent {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(failed)) => Err(missed(failed, call.body.as_ref())),
        Err(_) => Err(timed_out(limit)),
    };
    let latency = clock::monotonic().duration_since(now);
    let errors = &*aim.cluster.traffic.error_statuses;
    settle(result, tracking, latency, (over_mesh, errors), call)
}

// Tells the balancer, and takes out what only proxies tell each other.
fn settle(
    result: Result<Answer, Missed>,
    mut tracking: Tracking,
    latency: Duration,
    (over_mesh, errors): (bool, &[u16]),
    call: &mut Call,
) -> Result<Got, Missed> {
    let mut answer = match result {
        Ok(answer) => answer,
        Err(missed) => {
            match missed.outcome {
                AttemptOutcome::ConnectFailure => tracking.failed_with(Outcome::ConnectFailure),
                AttemptOutcome::PerTryTimeout | AttemptOutcome::RequestTimeout => {
                    tracking.failed_with(Outcome::Timeout);
                }
                AttemptOutcome::Overflow => drop(tracking),
                _ => tracking.failed_with(Outcome::Reset),
            }
            return Err(missed);
        }
    };
    let headers = answer.response.headers_mut();
    headers.remove(X_MESH_PEER);
    // Only a mesh peer can vouch for it.
    if headers.remove(X_MESH_UNPROCESSED).is_some() && over_mesh {
        tracking.failed_with(Outcome::ConnectFailure);
        return Err(Missed {
            reason: Reason::UpstreamConnectFailure,
            outcome: AttemptOutcome::ConnectFailure,
            detail: "the endpoint's proxy could not reach its application".to_owned(),
        });
    }
    let response = &answer.response;
    let outcome = Outcome::of_response(response.status(), response.headers())
        .judged(response.status(), errors);
    tracking.answered(outcome, latency);
    call.exchange.upstream.service_time = Some(latency);
    call.exchange.upstream.local = answer.lease.local;
    Ok(Got { answer, tracking })
}

// Labels of this workload go to mesh peers only. Returns whether the endpoint is one.
fn prepare(worker: &Worker, member: &Member, headers: &mut HeaderMap) -> bool {
    let over_mesh = matches!(member.secure, Secure::Mesh { .. });
    match worker.own_header.as_ref().filter(|_| over_mesh) {
        Some(own) => {
            headers.insert(X_MESH_PEER, own.clone());
        }
        None => {
            headers.remove(X_MESH_PEER);
        }
    }
    over_mesh
}

fn security(over_mesh: bool) -> mesh_proxy_core::labels::SecurityPolicy {
    use mesh_proxy_core::labels::SecurityPolicy;
    if over_mesh {
        SecurityPolicy::MutualTls
    } else {
        SecurityPolicy::None
    }
}

/// The version of HTTP that a server is spoken to in.
pub(super) fn version(cluster: &Cluster, over_mesh: bool, call: &Call, upgrades: bool) -> Version {
    let speech = Speech {
        client_http2: call.client == Version::Http2,
        upgrades,
        grpc: is_grpc(&call.parts.headers),
        over_mesh,
    };
    if plan::speaks_http2(cluster, speech) {
        Version::Http2
    } else {
        Version::Http1
    }
}

fn overflow(reason: Reason) -> Missed {
    Missed {
        reason,
        outcome: AttemptOutcome::Overflow,
        detail: String::new(),
    }
}

fn timed_out(limit: Option<(Instant, bool)>) -> Missed {
    let own = limit.is_some_and(|(_, own)| own);
    let (reason, outcome) = match own {
        true => (Reason::PerTryTimeout, AttemptOutcome::PerTryTimeout),
        false => (Reason::RequestTimeout, AttemptOutcome::RequestTimeout),
    };
    Missed {
        reason,
        outcome,
        detail: String::new(),
    }
}

fn missed(failed: Failed, body: Option<&BodySource>) -> Missed {
    match failed {
        Failed::Send(_) if body.is_some_and(BodySource::client_failed) => Missed {
            reason: Reason::DownstreamDisconnected,
            outcome: AttemptOutcome::Overflow,
            detail: String::new(),
        },
        Failed::Dial(error) => dial_missed(&error),
        Failed::Send(failed) => Missed {
            reason: failed.reason(),
            outcome: if failed.is_refused() {
                AttemptOutcome::RefusedStream
            } else {
                AttemptOutcome::Reset {
                    request_started: !failed.unsent,
                }
            },
            detail: failed.error.to_string(),
        },
    }
}

fn dial_missed(error: &DialError) -> Missed {
    if let DialError::Limit(reason) = error {
        return overflow(*reason);
    }
    Missed {
        reason: error.reason(),
        outcome: AttemptOutcome::ConnectFailure,
        detail: error.to_string(),
    }
}

/// What the proxy makes up for a route gets the route's edits, as Envoy's does.
fn edited(plan: &HttpPlan, response: Response<ResponseBody>) -> Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    plan::apply_response(plan, &mut parts);
    Response::from_parts(parts, body)
}
