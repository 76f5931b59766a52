//! Opaque bytes: iperf3, redis, PostgreSQL, and connections that end in every way.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::door::{Door, connect};
use crate::nginx::large;
use crate::place::{DETECT, Family, Served};
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

/// A running redis.
pub(crate) async fn redis(family: Family) -> (Daemon, u16) {
    let port = free_port();
    let mut command = Command::new(program("redis-server"));
    command.args([
        "--bind",
        &family.loopback().to_string(),
        "--save",
        "",
        "--port",
        &port.to_string(),
    ]);
    (
        Daemon::start(command, Daemon::directory(), family.at(port)).await,
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
    // Many times what the kernel's buffers take: iperf3 looks when the last octet is sent.
    const MEBIBYTES: u64 = 64;
    for family in Family::BOTH {
        let port = free_port();
        let mut server = Command::new(program("iperf3"));
        server.args(["-s", "-B", &family.loopback().to_string()]);
        server.args(["-p", &port.to_string()]);
        let _iperf = Daemon::start(server, Daemon::directory(), family.at(port)).await;
        let served = family.serve("sink", "tcp", 5201, port).await;
        let door = Door::through(served.proxy, "sink", 5201).await;
        // Not `--bidir`: it has connections for each direction, and iperf3 takes them for one or the
        // other by the order in which the server accepts them, which no proxy promises to keep.
        for direction in [&[][..], &["-R"]] {
            let mut client = Command::new(program("iperf3"));
            client
                .args(["-c", "127.0.0.1", "-n", &format!("{MEBIBYTES}M")])
                .args(["-P", "2", "-J", "-p"])
                .arg(door.address().port().to_string())
                .args(direction);
            let report: serde_json::Value = serde_json::from_str(&must(client).await).unwrap();
            // What is still on the way when the sender has ended is not counted by the receiver.
            let bytes = |side: &str| report["end"][side]["bytes"].as_u64().unwrap();
            let (sent, received) = (bytes("sum_sent"), bytes("sum_received"));
            assert!(
                sent >= MEBIBYTES << 20 && received > sent / 4,
                "{family:?} {direction:?}: {report}"
            );
        }
    }
}

// HTTP/2 on a port of opaque bytes: both directions of one connection are full all the time.
#[tokio::test(flavor = "multi_thread")]
async fn one_connection_is_full_both_ways_at_once() {
    for family in Family::BOTH {
        let directory = Daemon::directory();
        let body = directory.path().join("large");
        fs::write(&body, large()).unwrap();
        let port = free_port();
        let mut server = Command::new(program("nghttpd"));
        server
            .args(["--no-tls", "-w", "30", "-W", "30"])
            .args(["-a", &family.loopback().to_string(), "-d"])
            .arg(directory.path())
            .arg(port.to_string());
        let _nghttpd = Daemon::start(server, directory, family.at(port)).await;
        let served = family.serve("sink", "tcp", 8080, port).await;
        let door = Door::through(served.proxy, "sink", 8080).await;
        let mut client = Command::new(program("h2load"));
        client
            .args(["-t1", "-c1", "-n32", "-m8", "-w", "30", "-W", "30", "-d"])
            .arg(&body)
            .arg(door.url("/large"));
        let said = must(client).await;
        assert!(said.contains("32 succeeded, 0 failed"), "{said}");
        let all = format!("({}) data", 32 * large().len());
        assert!(said.contains(&all), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_served_on_declared_and_undeclared_ports() {
    for family in Family::BOTH {
        for name in ["tcp-redis", "cache"] {
            let (_redis, port) = redis(family).await;
            let served = family.serve("cache", name, 6379, port).await;
            let door = Door::through(served.proxy, "cache", 6379).await;
            assert_eq!(redis_cli(door.address(), &["PING"]).await, "PONG\n");
            let value = "x".repeat(100_000);
            assert_eq!(
                redis_cli(door.address(), &["SET", name, &value]).await,
                "OK\n"
            );
            let got = redis_cli(door.address(), &["GET", name]).await;
            assert_eq!(got.trim_end(), value);
        }
    }
}

/// A running PostgreSQL with an empty database.
async fn postgres(family: Family) -> (Daemon, u16) {
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
            &format!("listen_addresses={}", family.loopback()),
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
    let daemon = Daemon::start(server, directory, family.at(port)).await;
    (daemon.ended_by(Signal::SIGQUIT), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_sends_and_takes_large_tables() {
    let ((_four, four), (_six, six)) = tokio::join!(postgres(Family::Four), postgres(Family::Six));
    // On a declared port, and on one where the client's first bytes are looked at.
    for (family, port, name) in [
        (Family::Four, four, "tcp"),
        (Family::Four, four, "sql"),
        (Family::Six, six, "tcp"),
        (Family::Six, six, "sql"),
    ] {
        let served = family.serve("db", name, 5432, port).await;
        let door = Door::through(served.proxy, "db", 5432).await;
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

/// Names of ports with what the client says first on them: a declared port, and one where the
/// client's first bytes are looked at.
const PORTS: [(&str, &[u8]); 2] = [("tcp", b""), ("any", b"\x01hello")];

const LINES: [(Family, (&str, &[u8])); 4] = [
    (Family::Four, PORTS[0]),
    (Family::Four, PORTS[1]),
    (Family::Six, PORTS[0]),
    (Family::Six, PORTS[1]),
];

/// A listener of the test behind a workload `app`, and a connection of the client to it.
struct Line {
    client: TcpStream,
    server: TcpStream,
    _served: Served,
}

// === impl Line ===

impl Line {
    /// Through a port of this name. On a port of unknown protocol the client has to speak first,
    /// and does so by `first`.
    async fn open(family: Family, (port, first): (&str, &[u8])) -> Self {
        let listener = TcpListener::bind(family.at(0)).await.unwrap();
        let number = listener.local_addr().unwrap().port();
        let served = family.serve("app", port, 9000, number).await;
        let mut client = connect(served.proxy, "app", 9000).await;
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
            _served: served,
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
    for (family, port) in LINES {
        let mut line = Line::open(family, port).await;
        line.client.write_all(b"question").await.unwrap();
        line.client.shutdown().await.unwrap();
        assert_eq!(read(&mut line.server).await.unwrap(), b"question");
        // The other direction goes on, also after a while.
        let answer = vec![7; 1_000_000];
        line.server.write_all(&answer).await.unwrap();
        line.server.shutdown().await.unwrap();
        assert!(read(&mut line.client).await.unwrap() == answer);

        let mut line = Line::open(family, port).await;
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
    for (family, port) in LINES {
        let mut line = Line::open(family, port).await;
        socket2::SockRef::from(&line.server)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(line.server);
        let error = read(&mut line.client).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

        let mut line = Line::open(family, port).await;
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
        _served,
    } = Line::open(Family::Four, PORTS[0]).await;
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
    for (family, port) in LINES {
        let mut line = Line::open(family, port).await;
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
