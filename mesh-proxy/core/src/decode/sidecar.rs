//! What a Sidecar says of ports and listeners.

use std::sync::Arc;

use mesh_api::v1;
use mesh_api::v1::app_endpoint::Kind as Place;

use super::policy::protocol;
use super::{At, Kind, Result, invalid, port};
use crate::ir::{
    AppEndpoint, AppPort, EgressBind, EgressListener, InboundListener, TlsServer, TrafficSettings,
};

pub(super) fn endpoint(proto: Option<&v1::AppEndpoint>) -> Result<Option<AppEndpoint>> {
    let Some(proto) = proto else {
        return Ok(None);
    };
    let number = |number: u32| -> Result<AppPort> {
        Ok(AppPort {
            port: port(number)?,
            prefer_ipv6: proto.prefer_ipv6,
        })
    };
    Ok(Some(match &proto.kind {
        Some(Place::LoopbackPort(port)) => AppEndpoint::Loopback(number(*port)?),
        Some(Place::InstancePort(port)) => AppEndpoint::Instance(number(*port)?),
        Some(Place::UnixPath(path)) if !path.is_empty() => AppEndpoint::Unix(path.as_str().into()),
        Some(Place::UnixPath(_)) | None => return Err(Kind::Missing.into()),
    }))
}

pub(super) fn inbound_listener(
    proto: Option<&v1::InboundListener>,
) -> Result<Option<InboundListener>> {
    let Some(proto) = proto else {
        return Ok(None);
    };
    let bind = match proto.bind.as_str() {
        "" => None,
        text => Some(text.parse().map_err(invalid).at("bind")?),
    };
    Ok(Some(InboundListener {
        bind,
        always: proto.always,
    }))
}

pub(super) fn tls(proto: Option<&v1::TlsServer>) -> Result<Option<Arc<TlsServer>>> {
    let server = proto.map(super::gateway::server).transpose()?;
    Ok(server.map(Arc::new))
}

pub(super) fn traffic(proto: Option<&v1::ConnectionPool>) -> Result<Option<Arc<TrafficSettings>>> {
    let Some(pool) = proto else {
        return Ok(None);
    };
    let policy = v1::TrafficPolicy {
        connection_pool: Some(*pool),
        ..v1::TrafficPolicy::default()
    };
    super::traffic::settings(&policy).map(Some)
}

pub(super) fn egress(proto: &v1::EgressListener) -> Result<EgressListener> {
    let bind = match (proto.bind.as_str(), proto.bind.strip_prefix("unix://")) {
        (_, Some(path)) if path.starts_with('/') => EgressBind::Unix(path.into()),
        ("", _) => EgressBind::Loopback,
        (text, _) => EgressBind::Ip(text.parse().map_err(invalid).at("bind")?),
    };
    let service = match proto.host.as_str() {
        "" => None,
        host => Some((
            host.parse().map_err(invalid).at("host")?,
            port(proto.service_port).at("service_port")?,
        )),
    };
    Ok(EgressListener {
        port: match bind {
            EgressBind::Unix(_) => 0,
            EgressBind::Loopback | EgressBind::Ip(_) => port(proto.port).at("port")?,
        },
        bind,
        protocol: protocol(proto.protocol).at("protocol")?,
        service,
        always: proto.always,
    })
}
