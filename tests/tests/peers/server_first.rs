//! Servers that speak first, on ports that nobody has declared: MariaDB and an SMTP server, with
//! redis between them, whose clients speak first.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::door::{Door, connect};
use crate::place::{DETECT, Family, Served};
use crate::programs::{Daemon, free_port, must, program, python};
use crate::tcp::{as_nobody, redis, redis_cli};

/// A running MariaDB that asks nobody for a password.
async fn mariadb(family: Family) -> (Daemon, u16) {
    let directory = Daemon::directory();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    let port = free_port();
    let mut command = Command::new(program("mariadbd"));
    command
        .args([
            "--no-defaults",
            "--skip-grant-tables",
            "--skip-networking=0",
        ])
        .arg(format!("--bind-address={}", family.loopback()))
        .arg("--innodb-buffer-pool-size=16M")
        .arg(format!("--port={port}"))
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}/socket", directory.path().display()));
    as_nobody(&mut command, directory.path());
    as_nobody(&mut command, &data);
    let daemon = Daemon::start(command, directory, family.at(port)).await;
    (daemon.ended_by(Signal::SIGTERM), port)
}

/// A running SMTP server that prints the messages it gets.
async fn smtp(family: Family) -> (Daemon, u16) {
    let port = free_port();
    let mut command = Command::new(python("aiosmtpd"));
    command
        .args(["-n", "-c", "aiosmtpd.handlers.Debugging", "stdout"])
        .args(["-l", &format!("{}:{port}", family.loopback())])
        .env("PYTHONUNBUFFERED", "1");
    (
        Daemon::start(command, Daemon::directory(), family.at(port)).await,
        port,
    )
}

async fn sql(door: &Door, statement: &str) -> String {
    let mut command = Command::new(program("mariadb"));
    command
        .args([
            "--no-defaults",
            "--protocol=tcp",
            "-h",
            "127.0.0.1",
            "--skip-ssl",
            "-N",
            "-B",
        ])
        .arg(format!("-P{}", door.address().port()))
        .args(["-e", statement]);
    must(command).await
}

async fn mail(proxy: SocketAddr, text: &str) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mail");
    fs::write(
        &file,
        format!("From: a@example.com\r\nSubject: {text}\r\n\r\n{text}\r\n"),
    )
    .unwrap();
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args([
            "-q",
            "-sS",
            "--max-time",
            "30",
            "--mail-from",
            "a@example.com",
        ])
        .args(["--mail-rcpt", "b@example.com", "-T"])
        .arg(file)
        .args(["-x", &format!("socks5h://{proxy}"), "smtp://mail:9003/here"]);
    must(command).await;
}

/// The time from the connection to the server's first byte.
async fn greeted(mut stream: TcpStream, start: Instant) -> Duration {
    let mut byte = [0];
    tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut byte))
        .await
        .expect("no greeting")
        .unwrap();
    start.elapsed()
}

async fn compare(served: &Served, host: &str, port: u16, app: SocketAddr) {
    let mut through = Vec::new();
    let mut straight = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let stream = TcpStream::connect(app).await.unwrap();
        straight.push(greeted(stream, start).await);
        let start = Instant::now();
        let stream = connect(served.proxy, host, port).await;
        through.push(greeted(stream, start).await);
    }
    let worst = *through.iter().max().unwrap();
    straight.sort();
    through.sort();
    println!(
        "{host}: greeting after {:?}, through two sidecars {:?}, at worst {worst:?}",
        straight[10], through[10]
    );
    // Nothing waits for the time of detection, the first connection included.
    assert!(worst < DETECT, "{host}: {through:?}");
}

async fn heard_at_once(family: Family) {
    let ((maria, maria_port), (mailer, mail_port), (_redis, redis_port)) =
        tokio::join!(mariadb(family), smtp(family), redis(family));
    let (one, two, three) = tokio::join!(
        family.serve("db", "one", 9001, maria_port),
        family.serve("cache", "two", 9002, redis_port),
        family.serve("mail", "three", 9003, mail_port),
    );
    compare(&one, "db", 9001, family.at(maria_port)).await;
    compare(&three, "mail", 9003, family.at(mail_port)).await;

    let (db, cache) = (
        Door::through(one.proxy, "db", 9001).await,
        Door::through(two.proxy, "cache", 9002).await,
    );
    sql(&db, "create database d; create table d.t (i int)").await;
    for turn in 1..=5 {
        let (count, pong, ()) = tokio::join!(
            sql(&db, "insert into d.t values (1); select count(*) from d.t"),
            redis_cli(cache.address(), &["INCR", "n"]),
            mail(three.proxy, "subject"),
        );
        assert_eq!((count, pong), (format!("{turn}\n"), format!("{turn}\n")));
    }
    assert_eq!(mailer.printed().matches("Subject: subject").count(), 5);
    drop(maria);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_first_are_heard_at_once() {
    for family in Family::BOTH {
        heard_at_once(family).await;
    }
}
