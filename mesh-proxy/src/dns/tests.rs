use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mesh_api::v1;
use mesh_proxy_core::Snapshot;
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::control::{Adjuster, Status, Store};
use crate::hand_over::Sockets;
use crate::net::{TcpListener, TcpStream, UdpSocket};
use crate::settings::{Settings, SettingsSource};
use crate::testing::DEADLINE;

struct Running {
    address: SocketAddr,
    adjuster: Adjuster,
    registry: Registry,
    _directory: tempfile::TempDir,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn snapshot(names: &[(&str, &[&str])]) -> Snapshot {
    let resource = |(name, addresses): &(&str, &[&str])| v1::Resource {
        name: format!("name/{name}"),
        version: "1".into(),
        body: Some(v1::resource::Body::NameAddresses(v1::Name {
            hostname: (*name).to_owned(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            declared: String::new(),
        })),
    };
    let response = v1::DiscoveryResponse {
        upsert: names.iter().map(resource).collect(),
        ..v1::DiscoveryResponse::default()
    };
    Snapshot::empty().apply(&response).snapshot
}

fn start(servers: &[SocketAddr], connected: bool, held: Snapshot) -> Running {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resolv.conf");
    let mut text = "search default.svc.cluster.local svc.cluster.local\n".to_owned();
    for server in servers {
        text.push_str(&format!("nameserver [{}]:{}\n", server.ip(), server.port()));
    }
    std::fs::write(&path, text).unwrap();
    let settings = Settings::try_from(SettingsSource {
        workload: Some("default/a".into()),
        control: Some("unix:///nowhere/meshd.sock".into()),
        roots: Some("/nowhere/root.pem".into()),
        explicit: Some("127.0.0.1:0".into()),
        dns: Some("127.0.0.1:0".into()),
        resolv_conf: Some(path.display().to_string()),
        ..SettingsSource::default()
    })
    .unwrap();
    let listeners = DnsListeners::bind(&settings, &Sockets::default()).unwrap();
    let address = listeners.address().unwrap();
    let (store, adjuster) = Store::adjustable(held);
    let mut registry = Registry::default();
    let metrics = DnsMetrics::register(&mut registry);
    let status = Status::fixed(connected);
    let resolver = Resolver::new(&settings, &listeners, store, status, metrics);
    Running {
        address,
        adjuster,
        registry,
        _directory: directory,
        task: tokio::spawn(listeners.serve(resolver, CancellationToken::new())),
    }
}

impl Running {
    fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let query = question(name, kind);
        socket.send_to(&query, self.address).await.unwrap();
        let mut buffer = [0; 4096];
        let received = tokio::time::timeout(DEADLINE, socket.recv_from(&mut buffer)).await;
        let (length, from) = received.expect("no answer").unwrap();
        assert_eq!(from, self.address);
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(answer.metadata.id, 0x77aa);
        let asked = Name::from_ascii(name).unwrap();
        assert!(answer.queries[0].name.eq_case(&asked));
        answer
    }

    async fn ask_tcp(&self, names: &[&str]) -> Vec<Message> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut answers = Vec::new();
        for name in names {
            let query = question(name, RecordType::A);
            stream.write_u16(query.len() as u16).await.unwrap();
            stream.write_all(&query).await.unwrap();
        }
        for _ in names {
            let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut answer).await.unwrap();
            answers.push(Message::from_vec(&answer).unwrap());
        }
        answers
    }
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(0x77aa, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

/// A DNS server that gives every name one address, or this error.
struct Upstream {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

async fn upstream(code: ResponseCode) -> Upstream {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let answer = move |query: &[u8]| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut message = Message::from_vec(query).unwrap().into_response();
        message.metadata.response_code = code;
        if code == ResponseCode::NoError {
            let name = message.queries[0].name.clone();
            let data = RData::A(A("192.0.2.1".parse().unwrap()));
            message.add_answer(Record::from_rdata(name, 5, data));
        }
        message.to_vec().unwrap()
    };
    let of_tcp = answer.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, client) = udp.recv_from(&mut buffer).await.unwrap();
            // What somebody else would forge is passed over.
            let mut forged = answer(&buffer[..length]);
            forged[0] ^= 1;
            udp.send_to(&forged, client).await.unwrap();
            udp.send_to(&answer(&buffer[..length]), client)
                .await
                .unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let mut answer = Message::from_vec(&of_tcp(&query)).unwrap();
            answer.metadata.authentic_data = true;
            let answer = answer.to_vec().unwrap();
            stream.write_u16(answer.len() as u16).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    Upstream { address, asked }
}

/// A port that refuses.
async fn closed() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap()
}

fn addresses(message: &Message) -> Vec<String> {
    message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[tokio::test]
async fn declared_names_need_nobody() {
    let held = snapshot(&[("db.example", &["240.240.0.1"])]);
    let running = start(&[closed().await], false, held);
    let answer = running.ask("Db.Example.", RecordType::A).await;
    assert_eq!(addresses(&answer), ["240.240.0.1"]);
    let answer = running.ask("db.example.", RecordType::AAAA).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert!(answer.answers.is_empty());
    let answers = running.ask_tcp(&["db.example.", "db.example."]).await;
    assert_eq!(addresses(&answers[1]), ["240.240.0.1"]);
    assert_eq!(running.metric("mesh_dns_queries_total"), 4);
    assert_eq!(running.metric("mesh_dns_answered_total"), 4);
}

#[tokio::test]
async fn unknown_names_are_asked_for_on_demand() {
    let upstream = upstream(ResponseCode::NoError).await;
    let mut running = start(&[upstream.address], true, Snapshot::empty());
    let demand = running.adjuster.demanded();
    let name = tokio::time::timeout(DEADLINE, async {
        let ask = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        ask.send_to(&question("db.example.", RecordType::A), running.address)
            .await
            .unwrap();
        (demand.await.unwrap(), ask)
    });
    let (name, socket) = name.await.unwrap();
    assert_eq!(name.to_string(), "name/db.example");
    running
        .adjuster
        .set(snapshot(&[("db.example", &["240.240.0.9"])]));
    let mut buffer = [0; 512];
    let length = tokio::time::timeout(DEADLINE, socket.recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(addresses(&answer), ["240.240.0.9"]);
    assert_eq!(upstream.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn everything_else_goes_to_the_system() {
    let upstream = upstream(ResponseCode::NoError).await;
    // Cut off from the control plane nothing is waited for.
    let running = start(&[upstream.address], false, Snapshot::empty());
    let answer = running.ask("wWw.example.com.", RecordType::A).await;
    assert_eq!(addresses(&answer), ["192.0.2.1"]);
    let answers = running.ask_tcp(&["www.example.com."]).await;
    assert_eq!(addresses(&answers[0]), ["192.0.2.1"]);
    assert!(answers[0].metadata.authentic_data, "asked over TCP, too");
    assert_eq!(running.metric("mesh_dns_forwarded_total"), 2);
    assert_eq!(running.metric("mesh_dns_upstream_seconds_count"), 2);
}

#[tokio::test]
async fn another_server_is_asked() {
    let (refusing, good) = (
        upstream(ResponseCode::Refused).await,
        upstream(ResponseCode::NoError).await,
    );
    let servers = [closed().await, refusing.address, good.address];
    let running = start(&servers, false, Snapshot::empty());
    for _ in 0..2 {
        let answer = running.ask("www.example.com.", RecordType::A).await;
        assert_eq!(addresses(&answer), ["192.0.2.1"]);
    }
    // Two messages for each question: the second time it was not asked.
    assert_eq!(refusing.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn no_server_is_a_server_failure() {
    let servers = [closed().await, closed().await];
    let running = start(&servers, false, Snapshot::empty());
    let answer = running.ask("www.example.com.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(running.metric("mesh_dns_failures_total"), 1);
}

#[tokio::test]
async fn a_servers_own_failure_is_passed_on() {
    let upstream = upstream(ResponseCode::NXDomain).await;
    let held = snapshot(&[("db.example", &["240.240.0.1"])]);
    let running = start(&[upstream.address], false, held);
    let answer = running.ask("nothing.example.", RecordType::A).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
    // Of a name that the mesh declares there are other records.
    let answer = running.ask("db.example.", RecordType::TXT).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
}

#[tokio::test]
async fn a_silent_server_holds_nobody_up_for_long() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let good = upstream(ResponseCode::NoError).await;
    let servers = [silent.local_addr().unwrap(), good.address];
    let running = start(&servers, false, Snapshot::empty());
    let ask = running.ask("www.example.com.", RecordType::A);
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
    assert_eq!(addresses(&answer.unwrap()), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = Settings::try_from(SettingsSource {
        workload: Some("default/a".into()),
        control: Some("unix:///nowhere/meshd.sock".into()),
        roots: Some("/nowhere/root.pem".into()),
        explicit: Some("127.0.0.1:0".into()),
        ..SettingsSource::default()
    })
    .unwrap();
    assert!(
        DnsListeners::bind(&settings, &Sockets::default())
            .unwrap()
            .address()
            .is_none()
    );
    settings.pod.dns = Some(taken.local_addr().unwrap());
    let bound = DnsListeners::bind(&settings, &Sockets::default());
    let error = bound.err().unwrap();
    assert!(error.to_string().contains("--dns"), "{error}");
}
