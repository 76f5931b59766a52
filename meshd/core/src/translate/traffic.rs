//! Policies toward services: what holds for each port of each subset.

use mesh_api::v1::{
    ClientTls, ClientTlsMode, ConnectionPool, LoadBalancer, LocalityBalancing, PortPolicy,
    Resolution, TrafficPolicy,
};

use crate::model::{Balancing, ClientPolicy, PolicyParts, PoolPolicy};
use crate::world::ServiceRecord;

/// Time to open a connection when nothing says otherwise (Istio: connectTimeout).
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// The policies of a subset, or of all endpoints without one, by port.
pub(super) fn policies(
    record: &ServiceRecord,
    top: Option<&ClientPolicy>,
    subset: Option<&ClientPolicy>,
) -> Vec<PortPolicy> {
    let policy = |port| {
        let mut policy = compile(record, parts(port, top, subset));
        // These hold for all ports, whatever a port's setting leaves out.
        let both = || [subset, top].into_iter().flatten();
        policy.retry_budget = both().find_map(|policy| policy.retry_budget);
        policy.tunnel = both().find_map(|policy| policy.tunnel.clone());
        let header = both().find_map(|policy| policy.proxy_protocol);
        policy.proxy_protocol = header.unwrap_or_default().into();
        policy
    };
    record
        .ports
        .iter()
        .map(|port| PortPolicy {
            port: port.number,
            policy: Some(policy(port.number)),
        })
        .collect()
}

/// What a server's proxy takes from the policy of its clients: how many connections and requests
/// the application gets (Istio: buildInboundCluster).
pub(super) fn server_pool(policy: &ClientPolicy, port: u32) -> Option<PoolPolicy> {
    parts(port, Some(policy), None)?.connection_pool
}

/// How clients secure their connections to a port, where a policy says it.
pub(crate) fn client_tls_mode(
    port: u32,
    top: Option<&ClientPolicy>,
    subset: Option<&ClientPolicy>,
) -> Option<ClientTlsMode> {
    Some(parts(port, top, subset)?.tls?.mode())
}

/// What is said of one port (Istio: MergeTrafficPolicy, MergeSubsetTrafficPolicy). A port's
/// setting replaces the whole policy above it; a subset's replaces part by part.
fn parts(
    port: u32,
    top: Option<&ClientPolicy>,
    subset: Option<&ClientPolicy>,
) -> Option<PolicyParts> {
    let at = |policy: &ClientPolicy| policy.ports.get(&port).unwrap_or(&policy.parts).clone();
    let above = top.map(at);
    let Some(subset) = subset else {
        return above;
    };
    if let Some(whole) = subset.ports.get(&port) {
        return Some(whole.clone());
    }
    let own = subset.parts.clone();
    let Some(above) = above else {
        return Some(own);
    };
    Some(PolicyParts {
        load_balancer: own.load_balancer.or(above.load_balancer),
        connection_pool: own.connection_pool.or(above.connection_pool),
        outlier_detection: own.outlier_detection.or(above.outlier_detection),
        tls: own.tls.or(above.tls),
        origin: own.origin,
    })
}

fn compile(record: &ServiceRecord, parts: Option<PolicyParts>) -> TrafficPolicy {
    // Clients of a headless service choose the endpoint; no policy changes that.
    let by_address =
        record.headless || matches!(record.resolution, Resolution::None | Resolution::DynamicDns);
    let usual = if by_address {
        LoadBalancer::Passthrough
    } else {
        LoadBalancer::LeastRequest
    };
    let auto = || ClientTls {
        mode: ClientTlsMode::Auto.into(),
        ..ClientTls::default()
    };
    let Some(parts) = parts else {
        return TrafficPolicy {
            load_balancer: usual.into(),
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            tls: Some(auto()),
            locality: locality(record, None, false).filter(|_| !by_address),
            ..TrafficPolicy::default()
        };
    };
    let balancing = parts.load_balancer.filter(|_| !by_address);
    let simple = balancing.as_ref().and_then(|balancing| balancing.simple);
    let simple = simple.unwrap_or(usual);
    let affinity = balancing.as_ref().and_then(|found| found.hash.clone());
    let warms_up = affinity.is_none()
        && matches!(
            simple,
            LoadBalancer::LeastRequest | LoadBalancer::RoundRobin
        );
    let near = locality(
        record,
        balancing.as_ref(),
        parts.outlier_detection.is_some(),
    );
    let pool = parts.connection_pool.unwrap_or_default();
    TrafficPolicy {
        load_balancer: simple.into(),
        connect_timeout_ms: match pool.connect_timeout_ms {
            0 => CONNECT_TIMEOUT_MS,
            timeout => timeout,
        },
        tls: Some(parts.tls.unwrap_or_else(auto)),
        origin: Some(parts.origin),
        connection_pool: Some(pool.wire).filter(|wire| *wire != ConnectionPool::default()),
        outlier_detection: parts.outlier_detection.filter(|_| !by_address),
        consistent_hash: affinity,
        warmup: balancing
            .as_ref()
            .and_then(|found| found.warmup)
            .filter(|_| warms_up),
        locality: near.filter(|_| !by_address),
        ..TrafficPolicy::default()
    }
}

/// Which localities are preferred: what the DestinationRule says, or else the service, or else
/// Istio's default for the mesh. Failover needs ejection: without it nobody would notice that it
/// is needed; `trafficDistribution` asks for it in any case (Istio: GetLocalityLbSetting).
fn locality(
    record: &ServiceRecord,
    balancing: Option<&Balancing>,
    ejects: bool,
) -> Option<LocalityBalancing> {
    if let Some(setting) = balancing.and_then(|balancing| balancing.locality.as_ref()) {
        let wire = &setting.wire;
        // Zones matter, and regions take over, without ejection, too (Istio: ForceFailover).
        let always = !wire.distribute.is_empty() || wire.zone_aware.is_some();
        let counts = setting.enabled && (ejects || always);
        return counts.then(|| setting.wire.clone());
    }
    if !record.near.is_empty() {
        let labels = record.near.iter().map(|label| (*label).to_owned());
        return Some(LocalityBalancing {
            failover_priority: labels.collect(),
            ..LocalityBalancing::default()
        });
    }
    ejects.then(LocalityBalancing::default)
}
