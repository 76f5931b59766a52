//! Requests and connections that a gateway gets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_api::{ResourceName, SpiffeId};

use super::admission::{self, Asks};
use super::inbound;
use super::outbound::{head, no_tunnel, tell, tell_tcp};
use super::recorder::Recorder;
use super::report::{
    AuthorizationReport, ExplainReport, ExplainRequest, InvalidRequest, OutboundReport, TlsReport,
};
use crate::authz::Caller;
use crate::ir::{ClientAuth, Inside, ListenerId, Protocol, ServerCertificate, TlsServer};
use crate::labels::ClientInfo;
use crate::plan::{GatewayPoint, Over, choose_gateway_tcp, gateway_server, lookup_gateway};
use crate::reason::Reason;
use crate::route::RequestView;
use crate::snapshot::Snapshot;

/// What a connection carries, as far as it gets.
enum Carries {
    Http,
    Bytes,
    /// It is refused.
    Nothing,
}

/// Explains where a gateway sends a request or connection that it got on the port. With the
/// scheme `https` or a server name it came over TLS; the server name is the host unless another
/// one is given.
///
/// # Errors
/// If the question is malformed. A resource that is missing is no error: the report names it.
pub fn explain_gateway(
    snapshot: &Snapshot,
    client: &ClientInfo,
    request: &ExplainRequest,
) -> Result<ExplainReport, InvalidRequest> {
    let mut report = head(snapshot, client);
    let Some(gateway) = snapshot.gateway() else {
        report.missing = Some(ResourceName::Gateway.to_string());
        return Ok(report);
    };
    let listener = gateway.on_port(request.port);
    let over_tls = request.scheme == "https" || request.sni.is_some();
    let sni = request.sni.as_deref().unwrap_or(&request.host);
    let sni = sni.to_ascii_lowercase();
    let point = GatewayPoint {
        listener: listener.map_or(ListenerId::from(request.port), |listener| listener.id),
        over: if over_tls {
            Over::Tls {
                sni: (!sni.is_empty()).then_some(sni.as_str()),
            }
        } else {
            Over::Plain
        },
    };
    let mut outbound = OutboundReport {
        resource: ResourceName::Gateway.to_string(),
        port: request.port,
        protocol: "http".to_owned(),
        ..Default::default()
    };
    let opaque = listener.is_some_and(|listener| listener.protocol == Protocol::Tcp);
    let carries = match (over_tls, request.tcp || opaque) {
        (true, _) => through_tls(snapshot, &point, &mut outbound),
        (false, true) => Carries::Bytes,
        (false, false) => Carries::Http,
    };
    let is_http = matches!(carries, Carries::Http);
    match carries {
        Carries::Nothing => {}
        Carries::Bytes => {
            outbound.protocol = if over_tls { "tls" } else { "tcp" }.to_owned();
            let choice = choose_gateway_tcp(snapshot, &point);
            tell_tcp(snapshot, &choice, request, &mut outbound);
        }
        Carries::Http => {
            let parts = request.parts()?;
            let view =
                RequestView::in_form(&parts, snapshot.mesh().path_form).by_scheme(point.scheme());
            let mut recorder = Recorder::new(&view);
            match lookup_gateway(snapshot, &point, &view, &mut recorder) {
                Ok(found) => {
                    outbound.tried = recorder.into_routes();
                    outbound = tell(snapshot, &found, &view, request, outbound);
                    if inbound::is_tunnel(&parts) {
                        no_tunnel(&mut outbound);
                        report.outbound = Some(outbound);
                        return Ok(report);
                    }
                }
                Err(missing) => {
                    report.missing = Some(missing.to_string());
                    return Ok(report);
                }
            }
        }
    }
    let request_parts = request.parts().ok().filter(|_| !request.tcp);
    let of_gateway = admission::tell(
        &gateway.admission,
        Asks {
            identity: None,
            source: request.source_ip.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            port: point.listener.port,
            request: request_parts.as_ref(),
        },
    );
    outbound.admission.splice(..0, of_gateway);
    let sni = over_tls.then_some(sni.as_str());
    let port = point.listener.port;
    let identity = proved(snapshot, &point, request)?;
    let at = (identity.as_ref(), port, sni);
    outbound.authorization = Some(decided(snapshot, request, at, is_http)?);
    report.outbound = Some(outbound);
    Ok(report)
}

/// Who the client is, if the server of TLS that takes it asks for certificates.
fn proved(
    snapshot: &Snapshot,
    point: &GatewayPoint<'_>,
    request: &ExplainRequest,
) -> Result<Option<SpiffeId>, InvalidRequest> {
    let server = gateway_server(snapshot, point);
    let asks = server
        .and_then(|server| server.termination.as_ref())
        .is_some_and(|termination| termination.client > ClientAuth::None);
    match request.source_identity.as_ref().filter(|_| asks) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(identity) => Ok(Some(identity)),
            Err(error) => Err(InvalidRequest(format!("{error}"))),
        },
    }
}

/// What the gateway's policies make of it.
fn decided(
    snapshot: &Snapshot,
    request: &ExplainRequest,
    (identity, port, sni): (Option<&SpiffeId>, u16, Option<&str>),
    is_http: bool,
) -> Result<AuthorizationReport, InvalidRequest> {
    let any = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let source = request.source_ip.unwrap_or(any);
    let caller = Caller {
        identity,
        source,
        client: source,
        destination: SocketAddr::new(request.destination_ip.unwrap_or(any), port),
        sni,
    };
    let parts = if is_http {
        Some(inbound::with_token(request)?)
    } else {
        None
    };
    Ok(inbound::at_gateway(snapshot, &caller, parts.as_ref()))
}

/// Tells which server of TLS takes the connection, and what is inside.
fn through_tls(
    snapshot: &Snapshot,
    point: &GatewayPoint<'_>,
    outbound: &mut OutboundReport,
) -> Carries {
    let refused = |outbound: &mut OutboundReport, reason: Reason| {
        outbound.protocol = "tls".to_owned();
        outbound.action = "refuse".to_owned();
        outbound.reason = Some(reason.to_string());
        Carries::Nothing
    };
    let Some(server) = gateway_server(snapshot, point) else {
        return refused(outbound, Reason::RouteNotFound);
    };
    let tls = outbound.tls.insert(tls_report(snapshot, server));
    if tls.problem.is_some() {
        return refused(outbound, Reason::NoCertificate);
    }
    match server.inside {
        Inside::Http(_) => Carries::Http,
        Inside::Tcp(_) => Carries::Bytes,
    }
}

fn tls_report(snapshot: &Snapshot, server: &TlsServer) -> TlsReport {
    let mut report = TlsReport {
        server_names: server.sni_hosts.iter().map(ToString::to_string).collect(),
        mode: server.mode().to_owned(),
        origin: server.origin.as_deref().cloned(),
        ..Default::default()
    };
    let Some(termination) = &server.termination else {
        return report;
    };
    report.certificate = Some(termination.certificate.to_string());
    report.problem = match (&termination.unusable, &termination.certificate) {
        (Some(why), _) => Some(why.to_string()),
        (None, ServerCertificate::Credential(name)) if snapshot.credential(name).is_none() => {
            Some(format!("{name} is not there"))
        }
        _ => None,
    };
    report
}
