//! The answers that the proxy makes up. [`mesh_proxy_core::Reason`] has the status and flags of
//! each cause; this is the one place of the shell that turns causes into responses.

use bytes::Bytes;
use http::{Response, StatusCode};
use mesh_proxy_core::Reason;
use mesh_proxy_core::filter::LocalResponse;

use super::{Exchange, NoRequest, ResponseBody};

// gRPC's DEADLINE_EXCEEDED, which no HTTP status maps to.
const DEADLINE_EXCEEDED: u32 = 4;

/// Sends what the proxy answers by itself; the exchange ends with it.
pub fn send(local: LocalResponse, mut exchange: Box<Exchange>) -> Response<ResponseBody> {
    exchange.set_reason(local.reason);
    exchange.flag(local.flags);
    exchange.head(local.status.as_u16(), &local.headers);
    let mut response = Response::new(ResponseBody::local(local.body, exchange));
    *response.status_mut() = local.status;
    *response.headers_mut() = local.headers;
    response
}

/// Answers that a request was refused or failed.
pub fn fail(reason: Reason, detail: &str, exchange: Box<Exchange>) -> Response<ResponseBody> {
    let local = failure(reason, detail, exchange.is_grpc());
    send(local, exchange)
}

/// Answers what is no request.
pub fn malformed(wrong: NoRequest, exchange: Box<Exchange>) -> Response<ResponseBody> {
    fail(wrong.reason, &wrong.why.to_string(), exchange)
}

/// The answer for a cause; a gRPC client gets it as a gRPC status.
pub fn failure(reason: Reason, detail: &str, grpc: bool) -> LocalResponse {
    let mut body = text(reason).to_owned();
    if !detail.is_empty() {
        body.push_str(if body.is_empty() { "" } else { ": " });
        body.push_str(detail);
    }
    if grpc && reason.status() == StatusCode::GATEWAY_TIMEOUT {
        return LocalResponse::grpc(reason, DEADLINE_EXCEEDED, &body);
    }
    LocalResponse::new(reason, reason.status(), Bytes::from(body), grpc)
}

// Envoy's words where it has some: people and tests look for them.
fn text(reason: Reason) -> &'static str {
    match reason {
        Reason::AuthorizationDenied | Reason::AuthorizationNotAllowed => "RBAC: access denied",
        Reason::NoHealthyEndpoint => "no healthy upstream",
        Reason::RequestTimeout | Reason::PerTryTimeout => "upstream request timeout",
        Reason::FaultAbort => "fault filter abort",
        Reason::UpstreamConnectFailure
        | Reason::UpstreamConnectTimeout
        | Reason::UpstreamTlsFailure
        | Reason::UpstreamIdentityMismatch => {
            "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
        }
        Reason::UpstreamConnectionClosed => {
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
        }
        Reason::UpstreamReset => {
            "upstream connect error or disconnect/reset before headers. reset reason: remote reset"
        }
        Reason::RouteNotFound
        | Reason::Redirect
        | Reason::CorsPreflight
        | Reason::DirectResponse => "",
        Reason::MisdirectedRequest => "this connection was made for another host: connect again",
        Reason::TlsSettingsChanged => "the server asks more of its clients by now: connect again",
        Reason::UndeclaredDestination => {
            "the mesh does not know this destination and does not let it pass"
        }
        Reason::ClusterNotFound => "the route leads to a service or subset that nobody declared",
        Reason::ConfigurationTimeout => {
            "the configuration of this destination did not come in time"
        }
        Reason::ConfigurationRefused => "the configuration of this destination was refused",
        Reason::NotConfigured => "the proxy has no configuration yet",
        Reason::NoCertificate => "the proxy has no certificate yet",
        Reason::HostInvalid => "the request names no valid host",
        Reason::LoopDetected => "the request came back to the proxy that sent it",
        Reason::UpstreamNameUnresolved => "the name of the endpoint has no address",
        Reason::Overload => "upstream overflow",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_deadlines_for_grpc() {
        let answer = failure(Reason::RequestTimeout, "", true);
        assert_eq!(answer.headers.get("grpc-status").unwrap(), "4");
        let answer = failure(Reason::RequestTimeout, "", false);
        assert_eq!(answer.status, 504);
        assert_eq!(
            answer.headers.get("x-mesh-reason").unwrap(),
            "request_timeout"
        );
    }

    #[test]
    fn denials_have_envoys_words() {
        let answer = failure(Reason::AuthorizationDenied, "", false);
        assert_eq!(
            (answer.status.as_u16(), &answer.body[..]),
            (403, &b"RBAC: access denied"[..])
        );
    }
}
