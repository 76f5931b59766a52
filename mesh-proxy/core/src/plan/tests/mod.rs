mod clusters;
mod connections;
mod gateways;
mod gateways_tls;
mod requests;

use mesh_api::{Hostname, ResourceName, v1, v1::http_route, v1::resource::Body};

use super::*;
use crate::fixtures::{
    REVIEWS, destination, forward, mesh, request, resource, reviews, rng, snapshot,
};
use crate::ir::Protocol;
use crate::reason::Reason;
use crate::snapshot::Snapshot;

fn host(text: &str) -> Hostname {
    text.parse().unwrap()
}

fn default_route() -> v1::HttpRoute {
    forward(vec![], vec![destination(REVIEWS, 9080, "", 1)])
}

fn plan_of(snapshot: &Snapshot, parts: &::http::request::Parts) -> HttpPlan {
    outbound_http(snapshot, &host("reviews"), 9080, parts, &mut rng())
        .ready()
        .expect("nothing is missing")
}

fn forwarded(plan: &HttpPlan) -> &ForwardPlan {
    match &plan.action {
        HttpAction::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

fn answered(plan: &HttpPlan) -> &LocalResponse {
    match &plan.action {
        HttpAction::Respond(answer) => answer,
        other => panic!("{other:?}"),
    }
}
