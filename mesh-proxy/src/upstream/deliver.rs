//! A server's response on its way to the client.

use http::{Response, response};
use mesh_proxy_core::Reason;
use tokio::time::Instant;

use super::{Answer, Tracking};
use crate::http::upgrade::OnUpgrade;
use crate::http::{Exchange, ResponseBody, respond, upgrade, wire};
use crate::worker::Worker;

/// What a response is for.
pub struct Delivery {
    /// The request's record.
    pub exchange: Box<Exchange>,
    /// The client's side of an upgrade, if it asked for one.
    pub upgrade: Option<OnUpgrade>,
    /// The try that the response answers.
    pub tracking: Tracking,
    /// When the whole response must be there.
    pub deadline: Option<Instant>,
}

// === impl Delivery ===

impl Delivery {
    /// Gives the response its form toward the client and lets its body flow. After a change of
    /// protocol the connections are joined.
    pub fn respond(
        self,
        worker: &Worker,
        answer: Answer,
        edit: impl FnOnce(&mut response::Parts),
    ) -> Response<ResponseBody> {
        let Self {
            mut exchange,
            upgrade: client,
            tracking,
            deadline,
        } = self;
        let Answer { response, lease } = answer;
        let (mut parts, incoming) = response.into_parts();
        let switching = wire::from_wire(&mut parts, exchange.version());
        edit(&mut parts);
        if !switching {
            exchange.head(parts.status.as_u16(), &parts.headers);
            let body = ResponseBody::upstream(incoming, exchange, lease, tracking, deadline);
            return Response::from_parts(parts, body);
        }
        let server = parts.extensions.remove::<OnUpgrade>();
        let (Some(client), Some(server)) = (client, server) else {
            return respond::fail(
                Reason::UpstreamProtocolError,
                "an upgrade that nobody asked for",
                exchange,
            );
        };
        exchange.head(parts.status.as_u16(), &parts.headers);
        upgrade::join(worker, client, server, exchange, tracking);
        Response::from_parts(parts, ResponseBody::silent())
    }
}
