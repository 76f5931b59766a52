//! The seeds: what the parsers see in a mesh, made by the code that makes it there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use mesh_api::{ResourceName, SpiffeId, WorkloadName, v1};
use mesh_ca::{
    Authority, AuthorityOptions, Issue, JoinClaims, JoinTokens, SecretKey, WorkloadBinding,
};
use mesh_proxy::http::peer;
use mesh_proxy_core::labels::PeerLabels;
use meshd_core::{MeshSettings, Store, translate};
use prost::Message;

mod files;
mod http1;
mod http2;
mod policies;
mod proxy_header;
mod tokens;

/// Longer ones are mutated too slowly.
const LARGEST: usize = 8 * 1024;

/// Inputs of one target by name.
type Seeds = BTreeMap<String, Vec<u8>>;

/// Writes all seeds, each as `seed-<name>`. ClientHellos and requests for certificates that other
/// programs made stand in the corpora as `openssl-<name>`.
pub(crate) fn write(corpus: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (responses, plans) = messages(root);
    let resources = files::resources(&responses);
    let (csr, certificate) = certificates();
    let all = [
        ("detect", detect()),
        ("dns", dns()),
        ("client_hello", client_hellos(corpus)),
        ("discovery_response", responses),
        ("discovery_request", requests()),
        ("decode_plan", plans),
        ("yaml", files::yaml(root)),
        ("csr", csr),
        ("certificate", certificate),
        ("join_token", join_tokens()),
        ("spiffe_id", lines(include_str!("lines/spiffe_id.txt"))),
        (
            "resource_name",
            lines(include_str!("lines/resource_name.txt")),
        ),
        ("path", lines(include_str!("lines/path.txt"))),
        ("socks", socks()),
        ("proxy_header", proxy_header::seeds()),
        ("http1_request", http1::requests()),
        ("http1_response", http1::responses()),
        ("http2_server", http2::server()),
        ("http2_client", http2::client()),
        ("hpack", http2::hpack()),
        ("wire", wire()),
        ("peer_labels", peer_labels()),
        ("mesh_file", files::mesh_files(root)),
        ("resources_file", resources),
        ("hbone", hbone()),
        ("jwt", tokens::jwt()),
        ("workload_request", tokens::workload_requests()),
        ("spiffe_bundle", tokens::bundles()),
        ("kubernetes_token", tokens::kubernetes_tokens()),
        ("policies", policies::seeds()),
    ];
    for (target, seeds) in all {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds {
            assert!(
                bytes.len() < LARGEST,
                "{target}/{name} has {} bytes",
                bytes.len()
            );
            fs::write(folder.join(format!("seed-{name}")), bytes).unwrap();
        }
    }
}

fn lines(text: &str) -> Seeds {
    text.lines()
        .enumerate()
        .map(|(index, line)| (format!("{index:02}"), line.into()))
        .collect()
}

fn named<const N: usize>(seeds: [(&str, &[u8]); N]) -> Seeds {
    seeds
        .into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect()
}

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

fn detect() -> Seeds {
    named([
        ("http1", b"GET /productpage?u=normal HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\n\r\n"),
        ("http10", b"GET / HTTP/1.0\r\n\r\n"),
        ("connect", b"CONNECT reviews:9080 HTTP/1.1\r\nHost: reviews:9080\r\n\r\n"),
        ("absolute", b"POST http://reviews:9080/reviews/0 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
        ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0"),
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        ("postgres", b"\0\0\0\x08\x04\xd2\x16\x2f"),
        ("redis", b"*1\r\n$4\r\nPING\r\n"),
        ("smtp", b"EHLO client.example.com\r\n"),
        ("mysql", b"J\0\0\0\x0a8.0.36\0"),
    ])
}

fn hbone() -> Seeds {
    named([
        ("own", b"CONNECT 10.0.0.1:8080\nbaggage: k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=web-v1,service.name=web,service.version=v1,app.name=web".as_slice()),
        ("six", b"CONNECT [fd00::1]:80\nbaggage: k8s.cronjob.name=x;p=1 ,service.name=,junk,=,a=b=c"),
        ("mapped", b"CONNECT [::ffff:10.0.0.1]:80\nforwarded: for=10.0.0.2"),
        ("other", b"CONNECT 127.0.0.1:15000"),
        ("name", b"CONNECT reviews:80"),
    ])
}

/// Those of `detect`, without the header of their record.
fn client_hellos(corpus: &Path) -> Seeds {
    let hellos = fs::read_dir(corpus.join("detect"))
        .unwrap()
        .map(|entry| entry.unwrap());
    hellos
        .filter_map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let name = name.strip_prefix("openssl-")?.to_owned();
            Some((name, fs::read(entry.path()).unwrap()[5..].to_vec()))
        })
        .collect()
}

/// The compiler's golden inputs as responses, and behind requests as the input of `decode_plan`.
fn messages(root: &Path) -> (Seeds, Seeds) {
    let requests: [(&str, &[u8]); 4] = [
        ("get", b"GET /reviews/0?x=1\nhost: reviews:9080\nend-user: jason\ncookie: a=b; user=jason"),
        ("dots", b"POST /a/%2e%2e/%61dmin//x\nhost: ratings:9080\nx-forwarded-for: 10.0.0.1\norigin: https://example.com"),
        ("absolute", b"GET http://www.example-apis.com:80/v1/users?debug\nend-user: anna"),
        ("preflight", b"OPTIONS /shop\nhost: a.shop.example.com:8080\norigin: https://a.example.com\naccess-control-request-method: PUT"),
    ];
    let (mut responses, mut plans) = (Seeds::new(), Seeds::new());
    let mut cases: Vec<_> = fs::read_dir(root.join("meshd/core/testdata"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    for (index, case) in cases.iter().enumerate() {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(response) = compiled(&fs::read_to_string(case.join("input.yaml")).unwrap()) else {
            continue;
        };
        let bytes = response.encode_to_vec();
        let (kind, request) = requests[index % requests.len()];
        plans.insert(
            format!("{name}-{kind}"),
            [prefixed(request), bytes.clone()].concat(),
        );
        responses.insert(name, bytes);
    }
    let removal = v1::DiscoveryResponse {
        nonce: "2".into(),
        revision: 2,
        removed: vec![
            "routes/reviews:9080".into(),
            "service/reviews.default.svc.cluster.local".into(),
        ],
        ..v1::DiscoveryResponse::default()
    };
    responses.insert("removal".to_owned(), removal.encode_to_vec());
    (responses, plans)
}

/// What a proxy gets for a golden input; its head says for whom (see meshd-core's tests).
fn compiled(text: &str) -> Option<v1::DiscoveryResponse> {
    let mut store = Store::new();
    store.set_file("input.yaml", text);
    let world = store.world(&MeshSettings::default());
    let scope = text
        .lines()
        .find_map(|line| line.strip_prefix("# scope: "))?;
    let words: Vec<&str> = scope.split(' ').collect();
    let workload: WorkloadName = words[1].parse().unwrap();
    let gateway = words[0] == "gateway";
    let labels = words
        .get(3)
        .into_iter()
        .flat_map(|labels| labels.split(','));
    let node = v1::Node {
        workload: workload.to_string(),
        kind: if gateway {
            v1::ProxyKind::Gateway
        } else {
            v1::ProxyKind::Sidecar
        }
        .into(),
        labels: labels
            .filter_map(|l| l.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        ..v1::Node::default()
    };
    let identity = SpiffeId::new(
        &world.settings().trust_domain,
        workload.namespace(),
        words[2],
    )
    .unwrap();
    let scope = world.scope(&node, &identity).unwrap();
    let roots: BTreeSet<ResourceName> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# root: "))
        .map(|root| root.parse().unwrap())
        .collect();
    let upsert = translate(&world, &scope, &roots)
        .values()
        .map(|resource| v1::Resource::clone(resource))
        .collect();
    Some(v1::DiscoveryResponse {
        nonce: "1".into(),
        revision: 1,
        digest: world.digest().to_owned(),
        upsert,
        removed: Vec::new(),
    })
}

fn requests() -> Seeds {
    let first = v1::DiscoveryRequest {
        node: Some(v1::Node {
            workload: "default/client".into(),
            kind: v1::ProxyKind::Sidecar.into(),
            addresses: vec!["10.0.0.9".into()],
            locality: "eu/eu-1/a".into(),
            ..v1::Node::default()
        }),
        subscribe: vec![
            "mesh/default".into(),
            "inbound/self".into(),
            "routes/ratings:9080".into(),
        ],
        known: [(
            "routes/ratings:9080".to_owned(),
            "00112233445566778899aabbccddeeff".to_owned(),
        )]
        .into(),
        ..v1::DiscoveryRequest::default()
    };
    let ack = |nonce: &str, rejected| v1::DiscoveryRequest {
        ack: Some(v1::Ack {
            nonce: nonce.into(),
            revision: 1,
            rejected,
        }),
        ..v1::DiscoveryRequest::default()
    };
    let rejection = v1::Rejection {
        resource: "routes/ratings:9080".into(),
        version: "00".into(),
        reason: "http[0].matches[0].uri: no".into(),
    };
    let next = v1::DiscoveryRequest {
        subscribe: vec!["address/10.0.0.1:9080".into(), "routes/site:80".into()],
        unsubscribe: vec!["routes/ratings:9080".into()],
        ..v1::DiscoveryRequest::default()
    };
    let streams = [
        ("first", vec![first.clone()]),
        (
            "acknowledged",
            vec![
                first.clone(),
                ack("1", Vec::new()),
                next.clone(),
                ack("2", Vec::new()),
            ],
        ),
        (
            "rejected",
            vec![first.clone(), ack("1", vec![rejection]), next.clone()],
        ),
        ("unknown-nonce", vec![first, ack("other", Vec::new()), next]),
    ];
    let stream = |messages: Vec<v1::DiscoveryRequest>| {
        messages
            .iter()
            .flat_map(|message| prefixed(&message.encode_to_vec()))
            .collect()
    };
    streams
        .into_iter()
        .map(|(name, messages)| (name.to_owned(), stream(messages)))
        .collect()
}

fn certificates() -> (Seeds, Seeds) {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::open(directory.path(), &AuthorityOptions::default()).unwrap();
    let csr_der = SecretKey::generate()
        .unwrap()
        .certificate_request()
        .unwrap();
    let request = Issue {
        identity: "spiffe://cluster.local/ns/default/sa/client"
            .parse()
            .unwrap(),
        csr_der: csr_der.clone(),
        ttl: None,
        dns_names: Vec::new(),
        binding: None,
    };
    let issued = authority.issue(&request, mesh_ca::now()).unwrap();
    let binding = WorkloadBinding {
        workload: "default/client".parse().unwrap(),
        labels: labels(),
    };
    let bound = Issue {
        binding: Some(binding.clone()),
        ..request
    };
    let bound = authority.issue(&bound, mesh_ca::now()).unwrap();
    (
        named([("mesh", &csr_der)]),
        named([
            ("leaf", &issued.chain_der[0]),
            ("bound", &bound.chain_der[0]),
            ("binding", &binding.encode().unwrap()),
            ("intermediate", &issued.chain_der[1]),
        ]),
    )
}

fn labels() -> BTreeMap<String, String> {
    [("app", "client"), ("version", "v1")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

fn join_tokens() -> Seeds {
    let directory = tempfile::tempdir().unwrap();
    let tokens = JoinTokens::open(directory.path()).unwrap();
    let claims = JoinClaims {
        workload: "default/reviews-v1".parse().unwrap(),
        service_account: "bookinfo-reviews".into(),
        expires: mesh_ca::now() + Duration::from_secs(600),
        single_use: true,
        labels: labels(),
    };
    let token = tokens.mint(&claims).unwrap();
    let cut = &token[..token.len() - 9];
    named([
        ("foreign", token.as_bytes()),
        ("cut", cut.as_bytes()),
        ("empty-parts", b"mesh1..."),
    ])
}

fn socks() -> Seeds {
    named([
        (
            "name",
            b"\x05\x01\0\x05\x01\0\x03\x07reviews\x23\x78GET / HTTP/1.1\r\n\r\n",
        ),
        (
            "ipv4",
            b"\x05\x02\0\x02\x05\x01\0\x01\x0a\0\0\x01\0\x50payload",
        ),
        (
            "ipv6",
            b"\x05\x01\0\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb",
        ),
        ("password-only", b"\x05\x01\x02"),
        ("bind", b"\x05\x01\0\x05\x02\0\x01\x01\x01\x01\x01\0\x50"),
        ("version4", b"\x04\x01\0\x50\x0a\0\0\x01user\0"),
    ])
}

fn wire() -> Seeds {
    named([
        ("plain", b"GET /reviews/0?x=1\nhost: reviews:9080\naccept: */*"),
        ("absolute", b"GET http://user@reviews:9080/a?b=c\ncookie: a=1\ncookie: b=2\nhost: other"),
        ("connect", b"CONNECT reviews:9080\nhost: reviews:9080"),
        ("options", b"OPTIONS *\nhost: reviews"),
        ("upgrade", b"GET /chat\nhost: a\nconnection: keep-alive, Upgrade, x-one\nupgrade: websocket\nx-one: 1"),
        ("h2c", b"GET /\nhost: a\nconnection: Upgrade, HTTP2-Settings\nupgrade: h2c\nhttp2-settings: AAMAAABk"),
        ("grpc", b"POST /mesh.v1.Discovery/Stream\nhost: a\ncontent-type: application/grpc+proto\nte: trailers"),
        ("named", b"POST /\nhost: a\nconnection: host, content-length, te, x-forwarded-for\ntransfer-encoding: chunked"),
    ])
}

/// A query behind its length, and a response.
fn dns() -> Seeds {
    let head = |flags: [u8; 2], counts: [u8; 8]| {
        let mut head = vec![0x12, 0x34];
        head.extend(flags);
        head.extend(counts);
        head
    };
    let name = |labels: &[&str]| {
        let mut name = Vec::new();
        for label in labels {
            name.push(u8::try_from(label.len()).unwrap());
            name.extend(label.bytes());
        }
        name.push(0);
        name
    };
    let question = |labels: &[&str], kind: u8| [name(labels), vec![0, kind, 0, 1]].concat();
    let plain = [0, 1, 0, 0, 0, 0, 0, 0];
    let host = question(&["Db", "Example", "com"], 1);
    let query = [head([1, 0], plain), host.clone()].concat();
    let edns = [
        head([1, 0x20], [0, 1, 0, 0, 0, 0, 0, 1]),
        question(&["reviews", "default", "svc", "cluster", "local"], 28),
        b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08cookie!!".to_vec(),
    ]
    .concat();
    let searched = [
        head([1, 0], plain),
        question(
            &[
                "api", "example", "com", "default", "svc", "cluster", "local",
            ],
            1,
        ),
    ]
    .concat();
    let other = [head([1, 0], plain), question(&["db", "example", "com"], 16)].concat();
    let answer = [
        head([0x81, 0x80], [0, 1, 0, 1, 0, 0, 0, 0]),
        host.clone(),
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01".to_vec(),
    ]
    .concat();
    let none = [head([0x81, 0x83], plain), other[12..].to_vec()].concat();
    let update = [head([0x28, 0], plain), host].concat();
    let with = |query: &[u8], response: &[u8]| [prefixed(query), response.to_vec()].concat();
    let mut seeds = named([
        ("answered", &with(&query, &answer)),
        ("edns", &with(&edns, b"")),
        ("searched", &with(&searched, &answer)),
        ("no-such-name", &with(&other, &none)),
        ("update", &with(&update, b"")),
        ("response", &with(&answer, &answer)),
    ]);
    let conf = b"search default.svc.cluster.local\nnameserver 10.96.0.10\nnameserver [::1]:5353\noptions ndots:5 rotate\n";
    seeds.insert("resolv-conf".to_owned(), conf.to_vec());
    seeds
}

fn peer_labels() -> Seeds {
    let labels = PeerLabels {
        workload: "reviews-v1".into(),
        app: "reviews".into(),
        version: "v1".into(),
        cluster: "Kubernetes".into(),
        canonical_service: "reviews".into(),
        canonical_revision: "v1".into(),
        ..PeerLabels::of_identity(
            &"spiffe://cluster.local/ns/default/sa/reviews"
                .parse()
                .unwrap(),
        )
    };
    let full = peer::encode(&labels).unwrap();
    let unknown = peer::encode(&PeerLabels::unknown()).unwrap();
    named([
        ("full", full.as_bytes()),
        ("unknown", unknown.as_bytes()),
        ("more", b"YTtiO2M7ZDtlO2Y7Zztow6Q"),
    ])
}
