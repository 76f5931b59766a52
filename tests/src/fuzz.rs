//! Bodies of the fuzz targets in `tests/fuzz`: everything that parses bytes of a peer or a user.
//! `tests/tests/corpus.rs` replays the corpora through the same functions.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use mesh_api::{Hostname, ResourceName, SpiffeId, WorkloadName, v1};
use mesh_ca::{Authority, AuthorityOptions, Issue, JoinTokens};
use mesh_proxy::http::headers::take_hop_by_hop;
use mesh_proxy::http::{Version, peer, wire};
use mesh_proxy::net::{Stream, UnixStream};
use mesh_proxy::socks;
use mesh_proxy::tls::Leaf;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::authz::path::normalise;
use mesh_proxy_core::detect::{self, Detected};
use mesh_proxy_core::explain::{self, ExplainRequest};
use mesh_proxy_core::plan::{self, HttpAction, Step, TcpTarget};
use mesh_proxy_core::{ClientInfo, Snapshot};
use meshctl::mesh_file::{MeshFile, MeshFileError};
use meshctl::state::StateDir;
use meshctl::{placement, world as derived};
use meshd_core::{MeshSettings, Store};
use prost::Message;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets by name; a folder of this name under `tests/fuzz/corpus` holds inputs for each.
pub const TARGETS: [(&str, Target); 16] = [
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
    ("socks", socks),
    ("wire", wire),
    ("peer_labels", peer_labels),
    ("path", path),
    ("certificate", certificate),
    ("mesh_file", mesh_file),
];

/// The identity of whoever calls, where one is needed.
fn client() -> Option<SpiffeId> {
    "spiffe://cluster.local/ns/default/sa/client".parse().ok()
}

fn sidecar() -> v1::Node {
    v1::Node {
        workload: "default/client".into(),
        kind: v1::ProxyKind::Sidecar.into(),
        labels: [("app".to_owned(), "client".to_owned())].into(),
        ..v1::Node::default()
    }
}

/// A request as text: `<method> <target>`, then header fields, one a line. The corpora are
/// easier to read and to mutate this way than as HTTP/1 or HTTP/2.
fn request(text: &[u8]) -> Option<Parts> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let (method, target) = (words.next()?, words.next()?);
    let mut builder = http::Request::builder().method(method).uri(target);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(at)?;
        builder = builder.header(name.trim_ascii(), value.strip_prefix(b":")?.trim_ascii());
    }
    builder.body(()).ok().map(|request| request.into_parts().0)
}

/// What stands behind two bytes of length, and the rest.
fn prefixed(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    Some(rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len())))
}

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
    let Ok(response) = v1::DiscoveryResponse::decode(data) else {
        return;
    };
    let applied = Snapshot::empty().apply(&response);
    // Whatever was taken is listed, and whatever is listed is held.
    for name in applied.snapshot.names() {
        assert!(applied.snapshot.holds(name));
    }
    // To apply it again changes nothing.
    let again = applied.snapshot.apply(&response);
    assert_eq!(again.snapshot.known(), applied.snapshot.known());
}

/// What a proxy may send: several requests, each behind two bytes of length.
pub fn discovery_request(data: &[u8]) {
    static WORLD: OnceLock<meshd_core::World> = OnceLock::new();
    let world = WORLD.get_or_init(|| {
        let mut store = Store::new();
        store.set_file(
            "canary.yaml",
            include_str!("../../meshd/core/testdata/canary_and_faults/input.yaml"),
        );
        store.set_file(
            "bookinfo.yaml",
            include_str!("../../meshd/core/testdata/bookinfo/input.yaml"),
        );
        store.world(&MeshSettings::default())
    });
    let Some(identity) = client() else { return };
    let Ok(scope) = world.scope(&sidecar(), &identity) else {
        return;
    };
    let mut session = meshd_core::session::Session::new(scope);
    let mut rest = data;
    while let Some((message, tail)) = prefixed(rest) {
        rest = tail;
        let Ok(request) = v1::DiscoveryRequest::decode(message) else {
            return;
        };
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

/// A request, behind two bytes of length, against whatever a control plane sent.
pub fn decode_plan(data: &[u8]) {
    let Some((text, resources)) = prefixed(data) else {
        return;
    };
    let Ok(response) = v1::DiscoveryResponse::decode(resources) else {
        return;
    };
    let snapshot = Snapshot::empty().apply(&response).snapshot;
    let Some(parts) = request(text) else { return };
    let field = parts
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = parts
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or(field)
        .unwrap_or("a");
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(80)),
        None => (authority, 80),
    };
    if let Ok(host) = host.parse::<Hostname>() {
        outbound(&snapshot, &host, port, &parts);
    }
    let mut rng = SmallRng::seed_from_u64(7);
    let _ = plan::gateway_http(&snapshot, port, &parts, &mut rng);
    inbound(&snapshot, port, &parts);
    connections(&snapshot);
    explanations(&snapshot, (host, port), &parts);
}

fn outbound(snapshot: &Snapshot, host: &Hostname, port: u16, parts: &Parts) {
    for seed in 0..2 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let Step::Ready(plan) = plan::outbound_http(snapshot, host, port, parts, &mut rng) else {
            return;
        };
        if let HttpAction::Forward(forward) = &plan.action {
            let mut sent = parts.clone();
            plan::apply_request(forward, &mut sent);
            assert!(
                parts.uri.path().is_empty() || !sent.uri.path().is_empty(),
                "the target is lost"
            );
        }
        let (mut answer, ()) = http::Response::new(()).into_parts();
        plan::apply_response(&plan, &mut answer);
    }
}

/// A policy says the same before and after the path is brought into the form that the workload
/// gets.
fn inbound(snapshot: &Snapshot, port: u16, parts: &Parts) {
    let identity = client();
    let mut normal = parts.clone();
    plan::normalise_path(&mut normal);
    for identity in [None, identity.as_ref()] {
        let caller = Caller {
            identity,
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            destination: SocketAddr::from(([127, 0, 0, 1], port)),
            sni: None,
        };
        let verdict = plan::inbound_http(snapshot, &caller, parts);
        assert_eq!(verdict, plan::inbound_http(snapshot, &caller, &normal));
        let _ = plan::inbound_tcp(snapshot, &caller);
        let _ = plan::gateway_authorize(snapshot, &caller, parts);
    }
    let _ = plan::inbound_connection(snapshot, port);
}

fn connections(snapshot: &Snapshot) {
    let mut rng = SmallRng::seed_from_u64(7);
    for name in snapshot.names() {
        let _ = plan::outbound_destination(snapshot, name);
        let original = match name {
            ResourceName::Address(address) => Some(*address),
            _ => None,
        };
        for sni in [None, Some("reviews.default.svc.cluster.local")] {
            let _ = plan::outbound_tcp(
                snapshot,
                &TcpTarget {
                    name: name.clone(),
                    original,
                    sni,
                },
                &mut rng,
            );
        }
    }
}

fn explanations(snapshot: &Snapshot, (host, port): (&str, u16), parts: &Parts) {
    let Ok(workload) = WorkloadName::new("default", "client") else {
        return;
    };
    let own = ClientInfo {
        workload,
        identity: client(),
        labels: [].into(),
        cluster: String::new(),
    };
    let mut asked = ExplainRequest {
        host: host.to_owned(),
        port,
        method: parts.method.to_string(),
        path: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        seed: Some(7),
        ..ExplainRequest::default()
    };
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    asked.headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    for tcp in [false, true] {
        asked.tcp = tcp;
        let _ = explain::explain_outbound(snapshot, &own, &asked);
        let _ = explain::explain_inbound(snapshot, &own, &asked);
        let _ = explain::explain_gateway(snapshot, &own, &asked);
    }
}

/// A file of configuration: never a panic, and everything that compiles is taken by a proxy.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut store = Store::new();
    store.set_file("fuzz.yaml", text);
    let world = store.world(&MeshSettings::default());
    for problem in world.problems() {
        assert!(
            problem.origin.is_some(),
            "a problem without a place: {problem:?}"
        );
    }
    let Some(identity) = client() else { return };
    let gateway = v1::Node {
        workload: "istio-system/ingress".into(),
        kind: v1::ProxyKind::Gateway.into(),
        labels: [("istio".to_owned(), "ingressgateway".to_owned())].into(),
        ..v1::Node::default()
    };
    for node in [sidecar(), gateway] {
        compiles(&world, &node, &identity);
    }
}

fn compiles(world: &meshd_core::World, node: &v1::Node, identity: &SpiffeId) {
    let Ok(scope) = world.scope(node, identity) else {
        return;
    };
    let names = [
        "mesh/default",
        "inbound/self",
        "gateway/self",
        "routes/a:80",
        "routes/reviews:9080",
        "routes/db:5432",
    ];
    let roots = names
        .iter()
        .filter_map(|name| name.parse::<ResourceName>().ok())
        .collect();
    let upsert = meshd_core::translate(world, &scope, &roots)
        .values()
        .map(|r| v1::Resource::clone(r))
        .collect();
    let response = v1::DiscoveryResponse {
        revision: 1,
        nonce: "1".into(),
        upsert,
        ..Default::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(
        applied.rejected.is_empty(),
        "the proxy refuses what the compiler made: {:?}",
        applied.rejected
    );
}

/// A certificate signing request: refused, or certified for the caller and nobody else.
pub fn csr(data: &[u8]) {
    static AUTHORITY: OnceLock<Option<(tempfile::TempDir, Authority)>> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| {
        let directory = tempfile::tempdir().ok()?;
        let authority = Authority::open(directory.path(), &AuthorityOptions::default()).ok()?;
        Some((directory, authority))
    });
    let Some((_, authority)) = authority else {
        return;
    };
    let Some(identity) = client() else { return };
    let request = Issue {
        identity: identity.clone(),
        csr_der: data.to_vec(),
        ttl: None,
        dns_names: Vec::new(),
    };
    if let Ok(issued) = authority.issue(&request, mesh_ca::now()) {
        let leaf = issued
            .chain_der
            .first()
            .map(Vec::as_slice)
            .unwrap_or_default();
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

/// A SOCKS client: refused, or what follows its request is carried byte for byte.
pub fn socks(data: &[u8]) {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .ok()
    });
    let Some(runtime) = runtime else { return };
    // As much as the socket takes without a reader.
    let data = data.get(..4096).unwrap_or(data);
    let _ = runtime.block_on(socks_client(data));
}

async fn socks_client(data: &[u8]) -> std::io::Result<()> {
    let (mut client, near) = UnixStream::pair()?;
    client.write_all(data).await?;
    client.shutdown().await?;
    let mut near = Stream::from(near);
    let wish = socks::accept(&mut near, Duration::from_secs(5)).await;
    assert!(
        !matches!(wish, Err(socks::SocksError::Timeout)),
        "it waits for bytes that cannot come"
    );
    let mut rest = Vec::new();
    near.read_to_end(&mut rest).await?;
    drop(near);
    let mut told = Vec::new();
    client.read_to_end(&mut told).await?;
    if let Ok((host, port)) = wish {
        let read = data.strip_suffix(rest.as_slice()).unwrap_or_default();
        assert!(
            read.ends_with(&port.to_be_bytes()),
            "the tunnel begins elsewhere"
        );
        assert_eq!(told, [5, 0]);
        let address = socks::as_address(&host, port);
        assert!(address.is_none_or(|address| address.port() == port));
    }
    Ok(())
}

/// The head of a message on its way to the next connection, over HTTP/1 and HTTP/2.
pub fn wire(data: &[u8]) {
    let Some(mut parts) = request(data) else {
        return;
    };
    let hop = take_hop_by_hop(&mut parts.headers);
    for name in [
        "connection",
        "te",
        "upgrade",
        "transfer-encoding",
        "keep-alive",
        "proxy-connection",
    ] {
        assert!(!parts.headers.contains_key(name), "{name} is of one hop");
    }
    for arrived in [http::Version::HTTP_11, http::Version::HTTP_2] {
        parts.version = arrived;
        let mut one = parts.clone();
        wire::to_wire(&mut one, Version::Http1, &hop);
        assert!(
            one.method == http::Method::CONNECT || one.uri.authority().is_none(),
            "{}",
            one.uri
        );
        assert_eq!(one.uri.query(), parts.uri.query());
        let mut two = parts.clone();
        wire::to_wire(&mut two, Version::Http2, &hop);
        assert_eq!(two.uri.query(), parts.uri.query());
        assert!(!two.headers.contains_key("connection") && !two.headers.contains_key("upgrade"));
        let (mut answer, ()) = http::Response::new(()).into_parts();
        answer.version = arrived;
        answer.headers = parts.headers.clone();
        wire::from_wire(&mut answer, http::Version::HTTP_11);
    }
}

/// What a peer says of itself: labels, and never its identity.
pub fn peer_labels(data: &[u8]) {
    let (Some(identity), Ok(value)) = (client(), http::HeaderValue::from_bytes(data)) else {
        return;
    };
    let labels = peer::decode(Some(&value), &identity);
    assert_eq!(
        (&*labels.namespace, &*labels.principal),
        (identity.namespace(), identity.as_str())
    );
    // What we pass on, our peers understand; longer ones are not read.
    if let Some(again) = peer::encode(&labels).filter(|again| again.len() <= 2048) {
        assert_eq!(peer::decode(Some(&again), &identity), labels);
    }
}

/// The normal form of a path has no dot segments and is its own normal form: a policy that is
/// asked twice, here and at the next proxy, sees one path.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let once = normalise(text);
    assert_eq!(normalise(&once), once);
    if text.starts_with(['/', '\\']) {
        assert!(once.starts_with('/') && !once.contains('\\'), "{once}");
        assert!(
            !once.split('/').any(|segment| matches!(segment, "." | "..")),
            "{once}"
        );
    }
}

/// A peer's certificate: the authority and the proxy read the same identity in it.
pub fn certificate(data: &[u8]) {
    let leaf = Leaf::parse(data).and_then(|leaf| leaf.identity());
    if let Ok((identity, _)) = mesh_ca::certificate_identity(data) {
        assert_eq!(leaf, Ok(identity));
    }
}

/// MESH.yaml: what is taken, the control plane understands without a word.
pub fn mesh_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mesh = match MeshFile::parse(Path::new("mesh.yaml"), text) {
        Ok(mesh) => mesh,
        Err(MeshFileError::Invalid(mistakes)) => {
            assert!(!mistakes.is_empty(), "refused for nothing");
            return;
        }
        Err(MeshFileError::Read { .. }) => return,
    };
    let Ok(state) = StateDir::find(Some(Path::new("/state"))) else {
        return;
    };
    let hosts: Vec<IpAddr> = (1..=250)
        .map(|host| IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)))
        .collect();
    let placed = placement::transparent(&mesh, &state, &hosts);
    let mut store = Store::new();
    store.set_file("services.yaml", &derived::services(&placed));
    for workload in &placed {
        store.set_file(
            &workload.name,
            &derived::workload_entry(workload, derived::Health::Unhealthy),
        );
    }
    let settings = MeshSettings {
        trust_domain: mesh.trust_domain,
        ..MeshSettings::default()
    };
    let world = store.world(&settings);
    let errors: Vec<_> = world
        .problems()
        .iter()
        .filter(|p| p.severity() == v1::Severity::Error)
        .collect();
    assert!(
        errors.is_empty(),
        "the mesh file's own objects are wrong: {errors:?}"
    );
    assert_eq!(world.workloads().count(), placed.len());
}
