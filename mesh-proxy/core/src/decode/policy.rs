//! Policies toward destinations and for callers.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use mesh_api::v1;

use super::{At, Kind, Result, each, invalid, origin, port, required};
use crate::ir::{ClientTls, LoadBalancer, Protocol, RetryOn, RetryPolicy, TlsFiles, TrafficPolicy};

/// Istio's default of meshConfig.connectTimeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Istio's default of HTTPRetry.backoff.
const BACKOFF_BASE: Duration = Duration::from_millis(25);

pub(super) fn protocol(value: i32) -> Result<Protocol> {
    Ok(match v1::Protocol::try_from(value) {
        Ok(v1::Protocol::Auto) => Protocol::Auto,
        Ok(v1::Protocol::Http) => Protocol::Http,
        Ok(v1::Protocol::Http2) => Protocol::Http2,
        Ok(v1::Protocol::Grpc) => Protocol::Grpc,
        Ok(v1::Protocol::Tls) => Protocol::Tls,
        Ok(v1::Protocol::Tcp) => Protocol::Tcp,
        Ok(v1::Protocol::Unspecified) | Err(_) => return Err(Kind::UnknownEnum(value).into()),
    })
}

pub(super) fn traffic(proto: &v1::TrafficPolicy) -> Result<TrafficPolicy> {
    let load_balancer = match v1::LoadBalancer::try_from(proto.load_balancer) {
        Ok(v1::LoadBalancer::LeastRequest) => LoadBalancer::LeastRequest,
        Ok(v1::LoadBalancer::RoundRobin) => LoadBalancer::RoundRobin,
        Ok(v1::LoadBalancer::Random) => LoadBalancer::Random,
        Ok(v1::LoadBalancer::Passthrough) => LoadBalancer::Passthrough,
        Ok(v1::LoadBalancer::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.load_balancer).into()).at("load_balancer");
        }
    };
    let tls = proto
        .tls
        .as_ref()
        .map_or(Ok(ClientTls::Auto), client_tls)
        .at("tls")?;
    Ok(TrafficPolicy {
        load_balancer,
        connect_timeout: match proto.connect_timeout_ms {
            0 => CONNECT_TIMEOUT,
            count => Duration::from_millis(count),
        },
        tls: shared(tls),
        traffic: super::traffic::settings(proto)?,
        origin: origin(proto.origin.as_ref()),
    })
}

/// Most destinations say nothing of TLS.
fn shared(tls: ClientTls) -> Arc<ClientTls> {
    static AUTO: LazyLock<Arc<ClientTls>> = LazyLock::new(|| Arc::new(ClientTls::Auto));
    match tls {
        ClientTls::Auto => Arc::clone(&AUTO),
        other => Arc::new(other),
    }
}

fn client_tls(proto: &v1::ClientTls) -> Result<ClientTls> {
    let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
    let names = || {
        proto
            .subject_alt_names
            .iter()
            .map(|name| Arc::from(name.as_str()))
            .collect::<Arc<[_]>>()
    };
    let credential = match proto.credential.as_str() {
        "" => None,
        name => Some(
            format!("credential/{name}")
                .parse()
                .map_err(invalid)
                .at("credential")?,
        ),
    };
    let files = || TlsFiles {
        ca_crl: text(&proto.ca_crl),
        credential: credential.clone(),
        sni: text(&proto.sni),
        subject_alt_names: names(),
        client_certificate: text(&proto.client_certificate),
        private_key: text(&proto.private_key),
        ca_certificates: text(&proto.ca_certificates),
        insecure_skip_verify: proto.insecure_skip_verify,
    };
    Ok(match v1::ClientTlsMode::try_from(proto.mode) {
        Ok(v1::ClientTlsMode::Auto) => ClientTls::Auto,
        Ok(v1::ClientTlsMode::Disable) => ClientTls::Disable,
        Ok(v1::ClientTlsMode::Simple) => ClientTls::Simple(files()),
        Ok(v1::ClientTlsMode::Mutual) => {
            let files = files();
            let own = files.client_certificate.is_some() && files.private_key.is_some();
            if !own && files.credential.is_none() {
                return Err(invalid(
                    "MUTUAL needs a client certificate and a private key",
                ))
                .at("client_certificate");
            }
            ClientTls::Mutual(files)
        }
        Ok(v1::ClientTlsMode::IstioMutual) => ClientTls::IstioMutual {
            sni: text(&proto.sni),
            subject_alt_names: names(),
        },
        Ok(v1::ClientTlsMode::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.mode).into()).at("mode");
        }
    })
}

pub(super) fn retry(proto: &v1::Retry) -> Result<RetryPolicy> {
    let mut on = RetryOn::NONE;
    let mut status_codes = each("status_codes", &proto.status_codes, |code| {
        u16::try_from(*code)
            .ok()
            .filter(|code| (100..=599).contains(code))
            .ok_or_else(|| Kind::Status(*code).into())
    })?;
    for (index, name) in proto.retry_on.iter().enumerate() {
        // Istio takes bare status codes among the conditions.
        let code = name.parse().ok().filter(|code| (100..=599).contains(code));
        match (RetryOn::named(name), code) {
            (Some(condition), _) => on = on.with(condition),
            (None, Some(code)) => {
                on = on.with(RetryOn::STATUS_CODES);
                status_codes.push(code);
            }
            (None, None) => {
                let error = invalid(format_args!("`{name}` is no retry condition"));
                return Err(error).at_index("retry_on", index);
            }
        }
    }
    let milliseconds = |count: u64| (count != 0).then(|| Duration::from_millis(count));
    let backoff_base = milliseconds(proto.backoff_base_ms).unwrap_or(BACKOFF_BASE);
    let backoff_max = milliseconds(proto.backoff_max_ms).unwrap_or(backoff_base.saturating_mul(10));
    Ok(RetryPolicy {
        attempts: proto.attempts,
        per_try_timeout: milliseconds(proto.per_try_timeout_ms),
        on,
        status_codes,
        backoff_base,
        backoff_max: backoff_max.max(backoff_base),
        allow_previous_hosts: proto.allow_previous_hosts,
        origin: origin(proto.origin.as_ref()),
    })
}

/// A policy that must be there.
pub(super) fn port_policy(proto: &v1::PortPolicy) -> Result<(u16, TrafficPolicy)> {
    let number = port(proto.port).at("port")?;
    Ok((
        number,
        traffic(required(proto.policy.as_ref()).at("policy")?).at("policy")?,
    ))
}
