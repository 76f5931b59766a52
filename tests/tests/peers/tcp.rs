//! Opaque bytes: iperf3, redis, PostgreSQL, and connections that end in every way.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::door::{Door, connect_as};
use crate::place::{DETECT, mesh, workload};
use crate::programs::{Daemon, LIMIT, PAUSE, free_port, must, program};

// Of Debian's user `nobody`.
const NOBODY: u32 = 65534;

/// Lets a server that refuses to run as root do so as nobody.
pub(crate) fn as_nobody(command: &mut Command, directory: &Path) {
    if nix::unistd::geteuid().is_root() {
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A running redis.
pub(crate) async fn redis() -> (Daemon, u16) {
    let port = free_port();
    let mut command = Command::new(program("redis-server"));
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--port",
        &port.to_string(),
    ]);
    (
        Daemon::start(command, Daemon::directory(), local(port)).await,
        port,
    )
}

/// What redis-cli prints, given arguments or a file.
pub(crate) async fn redis_cli(at: SocketAddr, arguments: &[&str]) -> String {
    let mut command = Command::new(program("redis-cli"));
    command
        .args(["-h", "127.0.0.1", "-p", &at.port().to_string()])
        .args(arguments);
    must(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_transfers_pass_both_ways() {
    let port = free_port();
    let mut server = Command::new(program("iperf3"));
    server.args(["-s", "-B", "127.0.0.1", "-p", &port.to_string()]);
    let _iperf = Daemon::start(server, Daemon::directory(), local(port)).await;
    let mesh = mesh(&workload("sink", "tcp", 5201, port), "").await;
    let door = Door::open(&mesh, "sink", 5201).await;
    for direction in [&[][..], &["-R"], &["--bidir"]] {
        let mut client = Command::new(program("iperf3"));
        client
            .args(["-c", "127.0.0.1", "-n", "64M", "-P", "2", "-J", "-p"])
            .arg(door.address().port().to_string())
            .args(direction);
        let report: serde_json::Value = serde_json::from_str(&must(client).await).unwrap();
        // What is still on the way when the sender has ended is not counted by the receiver.
        let bytes = |side: &str| report["end"][side]["bytes"].as_u64().unwrap();
        let (sent, received) = (bytes("sum_sent"), bytes("sum_received"));
        assert!(
            sent >= 64 << 20 && received > sent / 4,
            "{direction:?}: {report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_served_on_declared_and_undeclared_ports() {
    let (_one, port) = redis().await;
    let (_two, other) = redis().await;
    let workloads =
        workload("cache", "tcp-redis", 6379, port) + &workload("other", "cache", 6380, other);
    let mesh = mesh(&workloads, "").await;
    for (host, number) in [("cache", 6379), ("other", 6380)] {
        let door = Door::open(&mesh, host, number).await;
        assert_eq!(redis_cli(door.address(), &["PING"]).await, "PONG\n");
        let value = "x".repeat(100_000);
        assert_eq!(
            redis_cli(door.address(), &["SET", host, &value]).await,
            "OK\n"
        );
        let got = redis_cli(door.address(), &["GET", host]).await;
        assert_eq!(got.trim_end(), value);
    }
}

/// A running PostgreSQL with an empty database.
async fn postgres() -> (Daemon, u16) {
    let directory = Daemon::directory();
    let data = directory.path().join("data");
    let mut init = Command::new(program("initdb"));
    init.args([
        "-U",
        "postgres",
        "-A",
        "trust",
        "-N",
        "--no-locale",
        "-E",
        "UTF8",
        "-D",
    ])
    .arg(&data)
    .current_dir(directory.path());
    as_nobody(&mut init, directory.path());
    must(init).await;
    let port = free_port();
    let mut server = Command::new(program("postgres"));
    server
        .args([
            "-F",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-p",
        ])
        .arg(port.to_string())
        .arg("-k")
        .arg(directory.path())
        .arg("-D")
        .arg(&data);
    as_nobody(&mut server, directory.path());
    // At once, with all its processes.
    let daemon = Daemon::start(server, directory, local(port)).await;
    (daemon.ended_by(Signal::SIGQUIT), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_sends_and_takes_large_tables() {
    let (_postgres, port) = postgres().await;
    // On a declared port, and on one where the client's first bytes are looked at.
    for name in ["tcp", "sql"] {
        let mesh = mesh(&workload("db", name, 5432, port), "").await;
        let door = Door::open(&mesh, "db", 5432).await;
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("rows");
        let psql = |statement: &str| {
            let mut command = Command::new(program("psql"));
            command
                .env("PGCONNECT_TIMEOUT", "30")
                .args([
                    "-X",
                    "-q",
                    "-A",
                    "-t",
                    "-h",
                    "127.0.0.1",
                    "-U",
                    "postgres",
                    "-p",
                ])
                .arg(door.address().port().to_string())
                .args(["-v", "ON_ERROR_STOP=1", "-c", statement, "postgres"]);
            must(command)
        };
        psql(&format!(
            "create table {name}_t as select i, md5(i::text) m from generate_series(1, 100000) i"
        ))
        .await;
        psql(&format!("\\copy {name}_t to '{}'", out.display())).await;
        psql(&format!("create table {name}_t_back (like {name}_t)")).await;
        psql(&format!("\\copy {name}_t_back from '{}'", out.display())).await;
        let differ = format!(
            "select count(*), (select count(*) from (table {name}_t except table {name}_t_back) d) from {name}_t_back"
        );
        assert_eq!(psql(&differ).await, "100000|0\n");
        assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 100_000);
    }
}

/// A listener of the test behind a workload `app`, and a connection of the client to it.
struct Line {
    client: TcpStream,
    server: TcpStream,
    _mesh: mesh_tests::LaptopMesh,
}

// === impl Line ===

impl Line {
    /// Through a port of this name. On a port of unknown protocol the client has to speak first,
    /// and does so by `first`.
    async fn open(port: &str, first: &[u8]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let number = listener.local_addr().unwrap().port();
        let mesh = mesh(&workload("app", port, 9000, number), "").await;
        let mut client = connect_as(&mesh, "client", "app", 9000).await;
        client.write_all(first).await.unwrap();
        let mut server = tokio::time::timeout(LIMIT, async {
            loop {
                // A connection that was opened in vain ends without a byte.
                let (stream, _) = listener.accept().await.unwrap();
                let mut byte = [0];
                if first.is_empty() || stream.peek(&mut byte).await.is_ok_and(|count| count > 0) {
                    return stream;
                }
            }
        })
        .await
        .unwrap();
        let mut got = vec![0; first.len()];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(got, first);
        Self {
            client,
            server,
            _mesh: mesh,
        }
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut bytes));
    read.await.expect("the stream does not end").map(|_| bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_ends_for_itself() {
    for (port, first) in [("tcp", &b""[..]), ("any", b"\x01hello")] {
        let mut line = Line::open(port, first).await;
        line.client.write_all(b"question").await.unwrap();
        line.client.shutdown().await.unwrap();
        assert_eq!(read(&mut line.server).await.unwrap(), b"question");
        // The other direction goes on, also after a while.
        let answer = vec![7; 1_000_000];
        line.server.write_all(&answer).await.unwrap();
        line.server.shutdown().await.unwrap();
        assert!(read(&mut line.client).await.unwrap() == answer);

        let mut line = Line::open(port, first).await;
        line.server.write_all(b"bye").await.unwrap();
        line.server.shutdown().await.unwrap();
        assert_eq!(read(&mut line.client).await.unwrap(), b"bye");
        line.client.write_all(b"late").await.unwrap();
        line.client.shutdown().await.unwrap();
        assert_eq!(read(&mut line.server).await.unwrap(), b"late");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_passed_on_as_a_reset() {
    for (port, first) in [("tcp", &b""[..]), ("any", b"\x01hello")] {
        let mut line = Line::open(port, first).await;
        socket2::SockRef::from(&line.server)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(line.server);
        let error = read(&mut line.client).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        let mut line = Line::open(port, first).await;
        socket2::SockRef::from(&line.client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(line.client);
        let error = read(&mut line.server).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_slows_the_sender() {
    let Line {
        client,
        server,
        _mesh,
    } = Line::open("tcp", b"").await;
    for (mut from, mut to) in [(client, server)] {
        // As much as the sockets on the way take; then the sender stands still.
        let block = vec![1; 64 * 1024];
        let mut sent = 0;
        while let Ok(written) =
            tokio::time::timeout(Duration::from_secs(1), from.write(&block)).await
        {
            sent += written.unwrap();
            assert!(sent < 256 << 20, "nothing holds the sender back");
        }
        from.shutdown().await.unwrap();
        assert_eq!(read(&mut to).await.unwrap().len(), sent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_no_connection() {
    for (port, first) in [("tcp", &b""[..]), ("any", b"\x01hello")] {
        let mut line = Line::open(port, first).await;
        // Longer than anything but the idle timeout of an hour.
        tokio::time::sleep(DETECT * 4).await;
        line.client.write_all(b"ping").await.unwrap();
        let mut got = [0; 4];
        line.server.read_exact(&mut got).await.unwrap();
        tokio::time::sleep(PAUSE).await;
        line.server.write_all(b"pong").await.unwrap();
        line.client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"pong");
    }
}
