//! HTTP/2: the tools of nghttp2, and nginx for what its server cannot do.

use std::fs;
use std::process::Command;
use std::time::Instant;

use mesh_tests::LaptopMesh;
use mesh_tests::laptop::free_address;

use crate::door::Door;
use crate::nginx::{Nginx, large};
use crate::place::{Family, Served, complaints, mesh, workload};
use crate::programs::{Daemon, LIMIT, PAUSE, ask, free_port, must, program, script};
use crate::proxy::Proxy;

struct Site {
    served: Served,
    door: Door,
    server: Daemon,
}

// === impl Site ===

impl Site {
    /// nghttpd with these options, behind a port of this name.
    async fn start(family: Family, port: &str, options: &[&str]) -> Self {
        let directory = Daemon::directory();
        fs::write(directory.path().join("index.html"), "index\n").unwrap();
        fs::write(directory.path().join("large.bin"), large()).unwrap();
        let number = free_port();
        let mut command = Command::new(program("nghttpd"));
        command
            .args(["--no-tls", "-v", "-a", &family.loopback().to_string(), "-d"])
            .arg(directory.path())
            .args(options)
            .arg(number.to_string());
        let server = Daemon::start(command, directory, family.at(number)).await;
        let served = family.serve("files", port, 8080, number).await;
        let door = Door::through(served.proxy, "files", 8080).await;
        Self {
            served,
            door,
            server,
        }
    }

    /// What nghttp says of its requests, frame by frame.
    async fn nghttp(&self, options: &[&str], paths: &[&str]) -> String {
        let mut command = Command::new(program("nghttp"));
        command
            .args(["-v", "-n", "-t", "30", "-H", ":authority: files:8080"])
            .args(options)
            .args(paths.iter().map(|path| self.door.url(path)));
        must(command).await
    }

    async fn load(&self, options: &[&str], path: &str) -> String {
        load(&self.served.mesh, &self.door, options, path).await
    }
}

/// Runs h2load; all requests have to succeed.
async fn load(mesh: &LaptopMesh, door: &Door, options: &[&str], path: &str) -> String {
    let mut command = Command::new(program("h2load"));
    command
        .args(["-t1", "-H", ":authority: files:8080"])
        .args(options)
        .arg(door.url(path));
    let said = must(command).await;
    let all_well = said.contains(" 0 failed, 0 errored, 0 timeout");
    assert!(all_well, "{said}\n{}", complaints(mesh));
    said
}

const SITES: [(Family, &str); 4] = [
    (Family::Four, "http2"),
    (Family::Four, "any"),
    (Family::Six, "http2"),
    (Family::Six, "any"),
];

fn file(directory: &std::path::Path, size: usize) -> String {
    let path = directory.join("sent");
    fs::write(&path, &large()[..size]).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_connections() {
    for (family, port) in SITES {
        let site = Site::start(family, port, &[]).await;
        let said = site
            .nghttp(&[], &["/index.html", "/index.html?2", "/none"])
            .await;
        assert_eq!(said.matches(":status: 200").count(), 2, "{said}");
        assert_eq!(said.matches(":status: 404").count(), 1, "{said}");
        let said = site.load(&["-n2000", "-c4", "-m5"], "/index.html").await;
        assert!(said.contains("status codes: 2000 2xx"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flow_control_holds_both_ways() {
    // Windows from the smallest to the largest, on both sides.
    for (family, bits) in [
        (Family::Four, "10"),
        (Family::Four, "30"),
        (Family::Six, "10"),
    ] {
        let site = Site::start(family, "http2", &["-w", bits, "-W", bits]).await;
        let out = site
            .load(&["-n8", "-c2", "-m4", "-w", bits, "-W", bits], "/large.bin")
            .await;
        assert!(
            out.contains(&format!("({}) data", 8 * large().len())),
            "{out}"
        );
        let body = file(site.server.path(), 2 << 20);
        site.load(&["-n8", "-c2", "-m4", "-d", &body], "/index.html")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_come_before_the_body_ends() {
    for family in Family::BOTH {
        let site = Site::start(family, "http2", &["--early-response"]).await;
        let body = file(site.server.path(), 4 << 20);
        let said = site.nghttp(&["-d", &body], &["/index.html"]).await;
        assert!(said.contains(":status: 200"), "{said}");
        site.load(&["-n20", "-c2", "-m4", "-d", &body], "/index.html")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_both_ways() {
    for family in Family::BOTH {
        let site = Site::start(family, "http2", &["--trailer", "x-last: of the answer"]).await;
        let body = file(site.server.path(), 1000);
        let said = site
            .nghttp(
                &["-d", &body, "--trailer", "x-sum: of the request"],
                &["/index.html"],
            )
            .await;
        assert!(said.contains("x-last: of the answer"), "{said}");
        let server = site.server.printed();
        assert!(server.contains("x-sum: of the request"), "{server}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn goaway_of_a_server_costs_no_request() {
    for family in Family::BOTH {
        let settings = "keepalive_requests 25;";
        let nginx = Nginx::on(family.loopback(), " http2", settings).await;
        let served = family.serve("files", "http2", 8080, nginx.port).await;
        let door = Door::through(served.proxy, "files", 8080).await;
        // No more at a time than protection against overload lets in, however slow the machine is.
        let said = load(&served.mesh, &door, &["-n1000", "-c2", "-m8"], "/hello").await;
        assert!(said.contains("status codes: 1000 2xx"), "{said}");
    }
}

// The client is the Python package `h2`. That the server hears of it, grpcio's test of
// cancellation sees.
#[tokio::test(flavor = "multi_thread")]
async fn resets_are_of_one_stream() {
    for family in Family::BOTH {
        let nginx = Nginx::on(family.loopback(), " http2", "").await;
        let served = family.serve("files", "http2", 8080, nginx.port).await;
        let door = Door::through(served.proxy, "files", 8080).await;
        let mut command = script("http2_resets.py");
        command.args([&door.address().to_string(), "files:8080"]);
        let said = ask(command).await;
        let streams = said.as_array().unwrap();
        let of = |path: &'static str| streams.iter().filter(move |stream| stream["path"] == path);
        let ends =
            |path: &'static str, end: &str| of(path).filter(|stream| stream["end"] == end).count();
        assert_eq!(ends("/endless", "cancelled"), 2, "{said}");
        assert_eq!(of("/endless").filter(|one| one["end"].is_null()).count(), 2);
        assert_eq!(
            of("/endless").filter(|one| one["status"] == "200").count(),
            4
        );
        // A server that answers nothing is told to the client by a status.
        assert!(of("/reset").all(|one| one["status"] == "503"), "{said}");
        assert!(of("/hello").all(|one| one["status"] == "200"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_translated() {
    // A client of HTTP/1 and a server that speaks HTTP/2 only.
    let site = Site::start(Family::Six, "http2", &[]).await;
    let curl = |options: &[&str], door: &Door| {
        let mut command = Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30", "-H", "Host: files:8080"])
            .args(["-w", "%{http_code} %{http_version}"])
            .args(options)
            .arg(door.url("/index.html"));
        must(command)
    };
    assert_eq!(curl(&[], &site.door).await, "index\n200 1.1");
    assert_eq!(
        curl(&["--http2-prior-knowledge"], &site.door).await,
        "index\n200 2"
    );
    assert_eq!(curl(&["--http2"], &site.door).await, "index\n200 2");
    // A client of HTTP/2 and a server that speaks HTTP/1 only.
    let nginx = Nginx::start().await;
    let mesh = mesh(&workload("files", "http", 8080, nginx.port), "").await;
    let door = Door::open(&mesh, "files", 8080).await;
    let said = load(&mesh, &door, &["-n200", "-c2", "-m8"], "/hello").await;
    assert!(said.contains("status codes: 200 2xx"), "{said}");
    drop(site);
}

// RFC 7540 section 3.2, as older clients ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn clients_may_go_over_to_it() {
    for (family, port) in SITES {
        let site = Site::start(family, port, &[]).await;
        let said = site
            .nghttp(
                &["-u", "-H", "host: files:8080"],
                &["/index.html", "/index.html?2", "/none"],
            )
            .await;
        assert!(said.contains("HTTP/1.1 101 Switching Protocols"), "{said}");
        assert_eq!(said.matches(":status: 200").count(), 2, "{said}");
        assert_eq!(said.matches(":status: 404").count(), 1, "{said}");
        let head = site
            .nghttp(&["-u", "-H", ":method: HEAD"], &["/index.html"])
            .await;
        assert_eq!(head.matches(":status: 200").count(), 1, "{head}");
    }
}

const ENTRY: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {app: entry}
  servers: [{port: {number: 8080, name: http2, protocol: HTTP2}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ['*']
  gateways: [entry]
  http: [{route: [{destination: {host: files, port: {number: 8080}}}]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_gateway_says_goodbye_and_loses_no_request() {
    let nginx = Nginx::http2(1000).await;
    let mesh = mesh(&workload("files", "http2", 8080, nginx.port), ENTRY).await;
    let ip = free_address().unwrap().ip().to_string();
    let more = ["--kind", "gateway", "--gateway-listen", &ip];
    let gateway = Proxy::start(&mesh, "entry", "entry", &more);
    mesh.settle().await.unwrap();
    // Answers that take a while are under way when the gateway begins to drain.
    let mut command = Command::new(program("nghttp"));
    command.args(["-v", "-t", "30"]);
    command.args((0..20).map(|n| format!("http://{ip}:8080/slow?{n}")));
    let running = tokio::spawn(must(command));
    let metrics = async || gateway.admin("GET", "/metrics").await;
    let deadline = Instant::now() + LIMIT;
    while !metrics()
        .await
        .contains("mesh_accept_open{listener=\"gateway\"} 1")
    {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(PAUSE).await;
    }
    gateway.admin("POST", "/drain").await;
    let said = running.await.unwrap();
    assert_eq!(said.matches(":status: 200").count(), 20, "{said}");
    assert!(said.contains("recv GOAWAY frame"), "{said}");
    // Who comes meanwhile is served, too.
    let mut command = Command::new(program("nghttp"));
    command
        .args(["-v", "-n", "-t", "30"])
        .arg(format!("http://{ip}:8080/hello"));
    let late = must(command).await;
    assert!(late.contains(":status: 200"), "{late}");
}
