//! HTTP/1.0 and 1.1: curl and bare sockets, nginx.

use std::fs;
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::door::{Door, connect};
use crate::nginx::{Nginx, large};
use crate::place::{Family, Served};
use crate::programs::{LIMIT, must, program, run};

struct Site {
    served: Served,
    door: Door,
    _nginx: Nginx,
}

// === impl Site ===

impl Site {
    /// nginx behind a port of this name, on addresses of each family.
    async fn both(port: &str) -> [Self; 2] {
        let [four, six] = Family::BOTH;
        [Self::start(four, port).await, Self::start(six, port).await]
    }

    async fn start(family: Family, port: &str) -> Self {
        let nginx = Nginx::on(family.loopback(), "", "").await;
        let served = family.serve("web", port, 8080, nginx.port).await;
        let door = Door::through(served.proxy, "web", 8080).await;
        Self {
            served,
            door,
            _nginx: nginx,
        }
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Command {
        let mut command = curl();
        command.args(arguments).arg(self.door.url(path));
        command
    }

    /// What curl prints for a path.
    async fn get(&self, arguments: &[&str], path: &str) -> String {
        must(self.curl(arguments, path)).await
    }

    /// Sends bytes to the server and gives all that comes back until the connection ends.
    async fn raw(&self, bytes: &str) -> String {
        let mut stream = connect(self.served.proxy, "web", 8080).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        to_end(&mut stream).await
    }
}

/// curl, with Host `web:8080` and nothing that its user's files or environment say.
fn curl() -> Command {
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-H", "Host: web:8080"]);
    command
}

async fn to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(LIMIT, stream.read_to_end(&mut bytes))
        .await
        .expect("the connection does not end")
        .unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The answer without what differs from one to the next, lines of the head sorted.
fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_bodies_whole() {
    for site in Site::both("http").await {
        let url = site.door.url("/hello");
        // One connection for three requests.
        let printed = site
            .get(&["-w", "%{num_connects} ", &url, &url], "/hello")
            .await;
        assert_eq!(printed, "hello\n1 hello\n0 hello\n0 ");

        for (path, text) in [
            ("/small.txt", "small\n"),
            ("/chunked", "one\ntwo\n"),
            ("/closed", "one\ntwo\n"),
            ("/late", "one\ntwo\n"),
        ] {
            let printed = site.get(&["-w", "%{http_code}"], path).await;
            assert_eq!(printed, format!("{text}200"), "{path}");
        }

        let directory = tempfile::tempdir().unwrap();
        let got = directory.path().join("got");
        site.get(&["-o", got.to_str().unwrap()], "/large.bin").await;
        assert!(fs::read(&got).unwrap() == large(), "/large.bin differs");

        // A body of a known length, and one in chunks because curl reads it from a pipe.
        let sent = directory.path().join("sent");
        fs::write(&sent, &large()[..1024 * 1024]).unwrap();
        for header in ["X-None: 1", "Transfer-Encoding: chunked"] {
            let file = format!("@{}", sent.display());
            let out = got.to_str().unwrap();
            site.get(&["-H", header, "--data-binary", &file, "-o", out], "/body")
                .await;
            assert!(
                fs::read(&got).unwrap() == fs::read(&sent).unwrap(),
                "{header}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_body_leave_the_connection_in_use() {
    for site in Site::both("http").await {
        let small = site.door.url("/small.txt");
        let count = "%{http_code} %{num_connects}\n";
        let head = site.get(&["-I"], "/small.txt").await.to_lowercase();
        assert!(head.contains("content-length: 6\r\n"), "{head}");
        let printed = site
            .get(
                &[
                    "-I",
                    "-o",
                    "/dev/null",
                    "-o",
                    "/dev/null",
                    "-w",
                    count,
                    &small,
                ],
                "/small.txt",
            )
            .await;
        assert_eq!(printed, "200 1\n200 0\n");
        let printed = site.get(&["-w", count, &small], "/none").await;
        assert_eq!(printed, "small\n200 1\n204 0\n");
        let since = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
        let printed = site
            .get(
                &["-H", since, "-w", count, &site.door.url("/hello")],
                "/small.txt",
            )
            .await;
        assert_eq!(printed, "hello\n200 1\n304 0\n");
        let head = site.get(&["-H", since, "-D", "-"], "/small.txt").await;
        assert!(
            head.starts_with("HTTP/1.1 304") && body(&head).is_empty(),
            "{head}"
        );
        assert!(head.to_lowercase().contains("etag: "), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_keep_their_case_and_order() {
    for site in Site::both("http").await {
        let head = site
            .get(
                &[
                    "-H",
                    "X-ZuLu: 1",
                    "-H",
                    "x-Alpha: 2",
                    "-H",
                    "X-MIKE: 3",
                    "-H",
                    "Keep-Alive: 9",
                ],
                "/head",
            )
            .await;
        let own: Vec<&str> = head
            .lines()
            .filter(|line| {
                let line = line.to_lowercase();
                [
                    "x-zulu",
                    "x-alpha",
                    "x-mike",
                    "host",
                    "user-agent",
                    "accept",
                ]
                .iter()
                .any(|name| line.starts_with(&format!("{name}:")))
            })
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let sent = [
            "Host",
            "User-Agent",
            "Accept",
            "X-ZuLu",
            "x-Alpha",
            "X-MIKE",
        ];
        assert_eq!(own, sent, "{head}");
        let answer = site.get(&["-D", "-"], "/small.txt").await;
        let place = |name: &str| {
            answer
                .find(name)
                .unwrap_or_else(|| panic!("no {name} in {answer}"))
        };
        let [server, kind, length, own] = [
            "Server: ",
            "Content-Type: ",
            "Content-Length: ",
            "X-CaMeL-Case: ",
        ]
        .map(place);
        assert!(server < kind && kind < length && length < own, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    for site in Site::both("http").await {
        let request =
            |path: &str, last: &str| format!("GET {path} HTTP/1.1\r\nHost: web\r\n{last}\r\n");
        let all = [
            request("/late", ""),
            "POST /body HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody".to_owned(),
            request("/none", ""),
            request("/small.txt", ""),
            request("/hello", "Connection: close\r\n"),
        ]
        .concat();
        let answers = site.raw(&all).await;
        let parts = [
            "one\n",
            "two\n",
            "body",
            "HTTP/1.1 204",
            "small\n",
            "hello\n",
        ];
        let mut rest = answers.as_str();
        for part in parts {
            let (_, after) = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("no {part} in {answers}"));
            rest = after;
        }
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 5, "{answers}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass() {
    for site in Site::both("http").await {
        let answer = site
        .raw("GET /trailer HTTP/1.1\r\nHost: web\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n")
        .await;
        let (_, after) = answer.split_once("one\n").unwrap();
        assert!(after.to_lowercase().contains("x-sum: four\r\n"), "{answer}");
        // Those of a request: the server has no use for them, and must get the body all the same.
        let answer = site
        .raw(
            "POST /body HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\
             Connection: close\r\n\r\n3\r\none\r\n0\r\nX-Sum: four\r\n\r\n",
        )
        .await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("one"),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_is_told_to_continue() {
    for site in Site::both("http").await {
        let waits = [
            "-v",
            "--expect100-timeout",
            "25",
            "-H",
            "Expect: 100-continue",
            "-d",
            "abc",
        ];
        let said = run(site.curl(&waits, "/body")).await;
        assert!(said.ok && said.out == "abc", "{said:?}");
        assert!(said.err.contains("< HTTP/1.1 100 Continue"), "{}", said.err);
        // Refused before the body: no `100`.
        let refused = [
            "-v",
            "--expect100-timeout",
            "25",
            "-H",
            "Expect: 100-continue",
            "-d",
            "abc",
        ];
        let said = run(site.curl(&refused, "/small.txt")).await;
        assert!(said.ok && said.err.contains("< HTTP/1.1 405"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_requests_are_for_whom_they_name() {
    for site in Site::both("http").await {
        let answer = site
            .raw("GET http://web:8080/hello HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
            .await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && body(&answer).contains("hello"),
            "{answer}"
        );
        let answer = site
            .raw("GET http://web:8080/head HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n")
            .await;
        // RFC 9112 section 3.2.2: the host of the target replaces the field.
        assert!(body(&answer).contains("ost: web:8080"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_upgrade_is_passed_over() {
    for site in Site::both("http").await {
        for upgrade in ["TLS/1.0", "whatever", "h2c", "TLS/1.2, HTTP/3"] {
            let header = format!("Upgrade: {upgrade}");
            let next = site.door.url("/hello");
            let printed = site
                .get(
                    &[
                        "-H",
                        &header,
                        "-H",
                        "Connection: Upgrade",
                        "-w",
                        "%{http_code}%{num_connects}\n",
                        &next,
                    ],
                    "/small.txt",
                )
                .await;
            assert_eq!(printed, "hello\n2001\nsmall\n2000\n", "{upgrade}");
        }
        // But that of curl to HTTP/2 is taken.
        let printed = site
            .get(
                &["--http2", "-w", "%{http_code} %{http_version}"],
                "/small.txt",
            )
            .await;
        assert_eq!(printed, "small\n200 2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_is_opaque_unless_the_port_is_declared() {
    for family in Family::BOTH {
        let declared = Site::start(family, "http").await;
        let answer = declared
            .get(
                &["--http1.0", "-o", "/dev/null", "-w", "%{http_code}"],
                "/hello",
            )
            .await;
        assert_eq!(answer, "426");
        drop(declared);
        let detected = Site::start(family, "web").await;
        let answer = detected
            .get(
                &["--http1.0", "-w", "%{http_code} %{http_version}"],
                "/hello",
            )
            .await;
        assert_eq!(answer, "hello\n200 1.1");
        let answer = detected.raw("GET /chunked HTTP/1.0\r\n\r\n").await;
        assert!(answer.ends_with("\r\n\r\none\ntwo\n"), "{answer}");
    }
}
