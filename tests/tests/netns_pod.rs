//! A proxy in the network namespace of a pod: capture rules of the real tool, DNS, and a pod that
//! calls its own Service. The DNS server is behind a veth pair, as in a cluster.
//!
//! Needs root or unprivileged user namespaces, nftables (or iptables) and iproute2; without them
//! it fails. The test starts itself again inside of the namespaces.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mesh_api::v1;
use mesh_proxy::app::Handle;
use mesh_proxy::control::Cache;
use mesh_proxy::{App, Settings, SettingsSource};
use mesh_proxy_core::Snapshot;
use meshd_core::{MeshSettings, Store, translate};
use nix::unistd::geteuid;
use tokio_util::sync::CancellationToken;

const DEADLINE: Duration = Duration::from_secs(20);
const DNS: &str = "10.96.0.10:53";
const FOREIGN: &str = "192.0.2.1";
const MARK: &str = "0x539";
const CONFIG: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: self, namespace: default}
spec:
  clusterIP: 10.10.10.10
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: http-local, port: 81, targetPort: 8081}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: default}
spec: {address: 10.0.0.1, labels: {app: web}, serviceAccount: web}
---
apiVersion: v1
kind: Service
metadata: {name: self6, namespace: default}
spec:
  clusterIP: "fd00:10::10"
  selector: {app: web6}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web6, namespace: default}
spec: {address: "fd00::1", labels: {app: web6}, serviceAccount: web}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: default}
spec:
  hosts: [db.example.com]
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.9}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild, namespace: default}
spec:
  hosts: ["*.wild.example.com"]
  addresses: [10.20.0.1]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.9}]
"#;

#[test]
fn a_pod_of_its_own() {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let status = command
        .args(["--net", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inside", "--ignored", "--nocapture"])
        .status()
        .expect("unshare (util-linux) runs");
    assert!(status.success(), "see above");
}

#[test]
#[ignore = "runs inside of the namespaces that the other test makes"]
fn inside() {
    ip("link set lo up");
    let mut server = Server::start();
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("resolv.conf"), "nameserver 10.96.0.10\n").unwrap();
    write_snapshot(state.path());
    capture(&[
        "install",
        "--own-mark",
        MARK,
        "--dns",
        "--dns-servers",
        "10.96.0.10",
    ]);
    let proxy = start_proxy(state.path());

    declared_names();
    // What is not declared is answered by the server of the system, over both transports.
    assert_eq!(ask_udp("www.example.org.", RecordType::A), [FOREIGN]);
    assert_eq!(ask_tcp("www.example.org."), [FOREIGN]);
    one_port_serves_client_and_proxy();
    let metrics = proxy.0.telemetry().metrics();
    let questions = format!("mesh_dns_queries_total {}\n", ASKED.load(Ordering::Relaxed));
    assert!(metrics.contains(&questions), "{questions} in:\n{metrics}");
    server.saw_only("example.org.");

    calls_to_itself();
    second_address();
    proxy.1.cancel();
}

fn declared_names() {
    for name in ["self.", "self.default.", "self.default.svc.cluster.local."] {
        assert_eq!(ask_udp(name, RecordType::A), ["10.10.10.10"], "{name}");
    }
    assert_eq!(ask_tcp("SELF.default."), ["10.10.10.10"]);
    assert!(ask_udp("self.", RecordType::AAAA).is_empty());
    let address = ask_udp("db.example.com.", RecordType::A);
    assert!(address[0].starts_with("240.240."), "{address:?}");
    assert_eq!(ask_udp("a.wild.example.com.", RecordType::A), ["10.20.0.1"]);
}

/// The proxy asks from ports that clients had just before: without zones of conntrack some of its
/// questions would be sent back to itself.
fn one_port_serves_client_and_proxy() {
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40015").unwrap();
    for round in 0..60 {
        let name = format!("n{round}.example.org.");
        assert_eq!(ask_udp(&name, RecordType::A), [FOREIGN]);
    }
}

/// app → virtual address → proxy → this pod's own address → proxy → app.
fn calls_to_itself() {
    let everywhere = TcpListener::bind("0.0.0.0:8080").unwrap();
    let local = TcpListener::bind("127.0.0.1:8081").unwrap();
    let six = has_ipv6().then(|| TcpListener::bind("[fd00::1]:8080").unwrap());
    for listener in [everywhere, local].into_iter().chain(six) {
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let peer = stream.peer_addr().unwrap().ip().to_string();
                let _ = stream.read(&mut [0; 4096]);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", peer.len());
                stream.write_all((head + &peer).as_bytes()).unwrap();
            }
        });
    }
    let answer = get("10.10.10.10:80");
    assert!(answer.ends_with("127.0.0.6"), "{answer}");
    // An application that listens on 127.0.0.1 alone does not want to be called from outside.
    let answer = get("10.10.10.10:81");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    if has_ipv6() {
        let answer = get("[fd00:10::10]:80");
        assert!(answer.ends_with("::6"), "{answer}");
    }
}

/// Where the kernel has none, no rule is made for it either.
fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Over IPv6 the proxy calls the application from ::6, as long as there are rules.
fn second_address() {
    if !has_ipv6() {
        return capture(&["remove"]);
    }
    UdpSocket::bind("[::6]:0").expect("::6 is there");
    capture(&["remove"]);
    assert!(UdpSocket::bind("[::6]:0").is_err(), "::6 is gone");
}

// --- the proxy

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    command: mesh_proxy::Command,
}

fn capture(args: &[&str]) {
    let line = ["mesh-proxy", "capture"].iter().chain(args);
    Cli::parse_from(line).command.execute().unwrap();
}

fn write_snapshot(state: &Path) {
    let mut store = Store::new();
    store.set_file("config.yaml", CONFIG);
    let world = store.world(&MeshSettings::default());
    let errors: Vec<_> = world.problems().iter().collect();
    assert!(
        !errors.iter().any(|p| p.severity() == v1::Severity::Error),
        "{errors:?}"
    );
    let node = v1::Node {
        workload: "default/web".into(),
        kind: v1::ProxyKind::Sidecar.into(),
        addresses: vec!["10.0.0.1".into(), "fd00::1".into()],
        ..v1::Node::default()
    };
    let identity = "spiffe://cluster.local/ns/default/sa/web".parse().unwrap();
    let scope = world.scope(&node, &identity).unwrap();
    let roots: BTreeSet<_> = [
        "mesh/default",
        "inbound/self",
        "address/10.10.10.10:80",
        "address/10.10.10.10:81",
        "address/[fd00:10::10]:80",
        "name/self",
        "name/self.default",
        "name/self.default.svc.cluster.local",
        "name/db.example.com",
        "name/a.wild.example.com",
    ]
    .iter()
    .map(|name| name.parse().unwrap())
    .collect();
    let resources = translate(&world, &scope, &roots);
    let response = v1::DiscoveryResponse {
        nonce: "1".into(),
        revision: 1,
        upsert: resources.values().map(|one| (**one).clone()).collect(),
        ..v1::DiscoveryResponse::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(applied.rejected.is_empty(), "{:?}", applied.rejected);
    let cache = Cache::new(state, &"default/web".parse().unwrap());
    runtime().block_on(cache.store(&applied.snapshot)).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A proxy whose control plane is away: it serves what it had before.
fn start_proxy(state: &Path) -> (Handle, CancellationToken) {
    let settings = Settings::try_from(SettingsSource {
        workload: Some("default/web".into()),
        control: Some("https://127.0.0.1:1".into()),
        roots: Some(state.join("none.pem").display().to_string()),
        state: Some(state.display().to_string()),
        outbound: Some("0.0.0.0:15001".into()),
        inbound_transparent: Some("0.0.0.0:15006".into()),
        dns: Some("127.0.0.1:15053".into()),
        resolv_conf: Some(state.join("resolv.conf").display().to_string()),
        own_mark: Some(MARK.into()),
        addresses: vec!["10.0.0.1".into(), "fd00::1".into()],
        need_timeout: Some("100ms".into()),
        ..SettingsSource::default()
    })
    .unwrap();
    let end = CancellationToken::new();
    let shutdown = end.clone();
    let (bound, ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        runtime().block_on(async {
            let proxy = App::build(settings).await.unwrap();
            bound.send(proxy.handle()).unwrap();
            proxy.run(shutdown).await.unwrap();
        });
    });
    let handle = ready.recv_timeout(DEADLINE).expect("the proxy starts");
    (handle, end)
}

// --- the workload

/// Questions of the workload so far.
static ASKED: AtomicU64 = AtomicU64::new(0);

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    let mut message = Message::new(0x4d53, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn addresses(bytes: &[u8]) -> Vec<String> {
    let message = Message::from_vec(bytes).unwrap();
    assert_eq!(message.metadata.id, 0x4d53);
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

/// As a client does: an answer from any other address than the server's is not seen.
fn ask_udp(name: &str, kind: RecordType) -> Vec<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(DNS).unwrap();
    socket.send(&question(name, kind)).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).expect(name);
    addresses(&answer[..length])
}

fn ask_tcp(name: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(DNS).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write_framed(&mut stream, &question(name, RecordType::A));
    addresses(&read_framed(&mut stream).unwrap())
}

fn write_framed(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).unwrap();
}

fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

fn get(to: &str) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

// --- the cluster's DNS server

struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .arg("--net")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "dns_server", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, lines };
        server.wait_for("HERE");
        let pid = server.child.id();
        ip(&format!(
            "link add pod0 type veth peer name dns0 netns {pid}"
        ));
        ip("addr add 10.0.0.1/24 dev pod0");
        ip("link set pod0 up");
        ip("route add default via 10.0.0.2");
        if has_ipv6() {
            ip("-6 addr add fd00::1/64 dev pod0 nodad");
            ip("-6 route add default via fd00::2");
        }
        server.say("go");
        server.wait_for("SERVES");
        server
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// What was printed up to this line.
    fn wait_for(&mut self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "{seen:?}");
            // The harness of the tests prints on the same lines.
            if line.trim().ends_with(wanted) {
                return seen;
            }
            seen.push(line.trim().to_owned());
        }
        panic!("no {wanted}: {seen:?}");
    }

    fn saw_only(&mut self, suffix: &str) {
        self.say("report");
        let asked = self.wait_for("REPORTED");
        let asked: Vec<_> = asked
            .iter()
            .filter(|line| line.starts_with("ASKED"))
            .collect();
        assert!(asked.len() >= 62, "{asked:?}");
        assert!(asked.iter().all(|line| line.ends_with(suffix)), "{asked:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the DNS server of the other test"]
fn dns_server() {
    let mut lines = std::io::stdin().lines();
    println!("\nHERE");
    lines.next().unwrap().unwrap();
    ip("link set lo up");
    ip("addr add 10.0.0.2/24 dev dns0");
    ip("addr add 10.96.0.10/32 dev dns0");
    ip("link set dns0 up");
    let address: SocketAddr = DNS.parse().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    let tcp = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let (length, client) = udp.recv_from(&mut buffer).unwrap();
            udp.send_to(&answer(&buffer[..length]), client).unwrap();
        }
    });
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            while let Some(query) = read_framed(&mut stream) {
                write_framed(&mut stream, &answer(&query));
            }
        }
    });
    println!("SERVES");
    while lines.next().is_some_and(|line| line.is_ok()) {
        println!("REPORTED");
    }
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(query).unwrap().into_response();
    let name = message.queries[0].name.clone();
    println!("ASKED {name}");
    let data = RData::A(A(FOREIGN.parse().unwrap()));
    message.add_answer(Record::from_rdata(name, 5, data));
    message.to_vec().unwrap()
}

fn ip(line: &str) {
    let output = Command::new("ip")
        .args(line.split_whitespace())
        .output()
        .expect("ip (iproute2) runs");
    assert!(output.status.success(), "ip {line}: {output:?}");
}
