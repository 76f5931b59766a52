//! Bodies of the fuzz targets in `tests/fuzz`: everything that parses bytes of a peer or a user.
//! `tests/tests/corpus.rs` replays the corpora through the same functions.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use mesh_api::{Hostname, ResourceName, SpiffeId, v1};
use mesh_ca::{Authority, AuthorityOptions, Issue, JoinTokens};
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::detect::{self, Detected};
use mesh_proxy_core::plan::{self, HttpAction, Step};
use mesh_proxy_core::Snapshot;
use meshd_core::{MeshSettings, Store};
use prost::Message;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name; a folder of this name under `tests/fuzz/corpus` holds inputs for each.
pub const TARGETS: [(&str, Target); 10] = [
    ("detect", detect),
    ("client_hello", client_hello),
    ("discovery_response", discovery_response),
    ("discovery_request", discovery_request),
    ("decode_plan", decode_plan),
    ("yaml", yaml),
    ("csr", csr),
    ("join_token", join_token),
    ("spiffe_id", spiffe_id),
    ("resource_name", resource_name),
];

/// The first bytes of a connection: once they are classified, more bytes change nothing.
pub fn detect(data: &[u8]) {
    let mut settled: Option<std::mem::Discriminant<Detected>> = None;
    for end in 0..=data.len().min(2048) {
        let found = detect::classify(data.get(..end).unwrap_or_default());
        let kind = std::mem::discriminant(&found);
        match settled {
            Some(before) => assert_eq!(before, kind, "more bytes changed the answer"),
            None if !matches!(found, Detected::NeedMore) => settled = Some(kind),
            None => {}
        }
    }
}

/// A ClientHello behind a handshake record's header.
pub fn client_hello(data: &[u8]) {
    let length = u16::try_from(data.len().min(16_000)).unwrap_or(0);
    let mut record = vec![0x16, 3, 1];
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(data.get(..usize::from(length)).unwrap_or_default());
    let _ = detect::classify(&record);
}

/// What a control plane may send.
pub fn discovery_response(data: &[u8]) {
    let Ok(response) = v1::DiscoveryResponse::decode(data) else { return };
    let applied = Snapshot::empty().apply(&response);
    // Whatever was taken is listed, and whatever is listed is held.
    for name in applied.snapshot.names() {
        assert!(applied.snapshot.holds(name));
    }
    // To apply it again changes nothing.
    let again = applied.snapshot.apply(&response);
    assert_eq!(again.snapshot.known(), applied.snapshot.known());
}

/// What a proxy may send.
pub fn discovery_request(data: &[u8]) {
    static WORLD: OnceLock<meshd_core::World> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let mut store = Store::new();
        store.set_file("a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n");
        store.world(&MeshSettings::default())
    });
    let node = v1::Node {
        workload: "default/client".into(),
        kind: v1::ProxyKind::Sidecar.into(),
        ..v1::Node::default()
    };
    let Ok(identity) = "spiffe://cluster.local/ns/default/sa/client".parse::<SpiffeId>() else { return };
    let Ok(scope) = world.scope(&node, &identity) else { return };
    let mut session = meshd_core::session::Session::new(scope);
    // Several requests, each behind two bytes of length.
    let mut rest = data;
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (message, tail) = tail.split_at(length);
        rest = tail;
        let Ok(request) = v1::DiscoveryRequest::decode(message) else { return };
        if session.on_request(&request).is_err() {
            return;
        }
        if let Some(response) = session.next(world, 1) {
            // What we send, our proxies take.
            let applied = Snapshot::empty().apply(&response);
            assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
        }
    }
}

/// A request against whatever a control plane sent.
pub fn decode_plan(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (request, resources) = rest.split_at(length);
    let Ok(response) = v1::DiscoveryResponse::decode(resources) else { return };
    let snapshot = Snapshot::empty().apply(&response).snapshot;
    let text = String::from_utf8_lossy(request);
    let mut lines = text.lines();
    let mut builder = http::Request::builder().uri(lines.next().unwrap_or("/"));
    for line in lines {
        if let Some((name, value)) = line.split_once(':') {
            builder = builder.header(name.trim(), value.trim());
        }
    }
    let Ok(request) = builder.body(()) else { return };
    let (mut parts, ()) = request.into_parts();
    let mut rng = SmallRng::seed_from_u64(7);
    let Ok(host) = "a".parse::<Hostname>() else { return };
    let step = plan::outbound_http(&snapshot, &host, 80, &parts, &mut rng);
    let _ = plan::gateway_http(&snapshot, 80, &parts, &mut rng);
    let caller = Caller {
        identity: None,
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
        destination: SocketAddr::from(([127, 0, 0, 1], 80)),
        sni: None,
    };
    let _ = plan::inbound_http(&snapshot, &caller, &parts);
    if let Step::Ready(plan) = step
        && let HttpAction::Forward(forward) = &plan.action
    {
        plan::apply_request(forward, &mut parts);
    }
}

/// A file of configuration: never a panic, and everything that compiles is taken by a proxy.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut store = Store::new();
    store.set_file("fuzz.yaml", text);
    let world = store.world(&MeshSettings::default());
    for problem in world.problems() {
        assert!(problem.origin.is_some(), "a problem without a place: {problem:?}");
    }
    let node = v1::Node {
        workload: "default/client".into(),
        kind: v1::ProxyKind::Sidecar.into(),
        ..v1::Node::default()
    };
    let Ok(identity) = "spiffe://cluster.local/ns/default/sa/client".parse::<SpiffeId>() else { return };
    let Ok(scope) = world.scope(&node, &identity) else { return };
    let roots = ["mesh/default", "inbound/self", "routes/a:80", "routes/reviews:9080"]
        .iter()
        .filter_map(|name| name.parse::<ResourceName>().ok())
        .collect();
    let upsert = meshd_core::translate(&world, &scope, &roots).values().map(|r| v1::Resource::clone(r)).collect();
    let response = v1::DiscoveryResponse { revision: 1, nonce: "1".into(), upsert, ..Default::default() };
    let applied = Snapshot::empty().apply(&response);
    assert!(applied.rejected.is_empty(), "the proxy refuses what the compiler made: {:?}", applied.rejected);
}

/// A certificate signing request: refused, or certified for the caller and nobody else.
pub fn csr(data: &[u8]) {
    static AUTHORITY: OnceLock<Option<(tempfile::TempDir, Authority)>> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let authority = Authority::open(directory.path(), &AuthorityOptions::default()).ok()?;
        Some((directory, authority))
    });
    let Some((_, authority)) = authority else { return };
    let Ok(identity) = "spiffe://cluster.local/ns/default/sa/client".parse::<SpiffeId>() else { return };
    let request = Issue { identity: identity.clone(), csr_der: data.to_vec(), ttl: None, dns_names: Vec::new() };
    if let Ok(issued) = authority.issue(&request, mesh_ca::now()) {
        let leaf = issued.chain_der.first().map(Vec::as_slice).unwrap_or_default();
        let certified = mesh_ca::certificate_identity(leaf).map(|(identity, _)| identity);
        assert_eq!(certified.ok(), Some(identity));
    }
}

/// A join token of a stranger is never taken.
pub fn join_token(data: &[u8]) {
    static TOKENS: OnceLock<Option<(tempfile::TempDir, JoinTokens)>> = OnceLock::new();
    let tokens = TOKENS.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let tokens = JoinTokens::open(directory.path()).ok()?;
        Some((directory, tokens))
    });
    let Some((_, tokens)) = tokens else { return };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert!(tokens.check(&String::from_utf8_lossy(data), now).is_err());
}

/// An identity: refused, or written back as it came.
pub fn spiffe_id(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(id) = text.parse::<SpiffeId>()
    {
        assert_eq!(id.as_str(), text);
    }
}

/// A resource name: refused, or stable under printing and parsing.
pub fn resource_name(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = text.parse::<ResourceName>()
    {
        assert_eq!(name.to_string().parse::<ResourceName>().ok(), Some(name));
    }
}
