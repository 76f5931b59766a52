//! The workload's identity for the application itself: by the Python package `spiffe`, and by
//! Envoy's secret discovery. What they get is used to call a workload that lets nobody else in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_tests::LaptopMesh;

use crate::envoy::envoy_as_client;
use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::programs::{Daemon, ask, must, program, run, script};

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: default}
spec:
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/client]}}]}]
";

fn socket(mesh: &LaptopMesh) -> PathBuf {
    mesh.state().join("proxies/default.client/svid.sock")
}

fn client(socket: &Path, directory: &Path, updates: u32) -> Command {
    let mut command = script("spiffe_client.py");
    command
        .arg(format!("unix://{}", socket.display()))
        .arg(directory)
        .arg(updates.to_string());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_gets_its_identity_by_the_workload_api() {
    let nginx = Nginx::start().await;
    let mesh = mesh(&workload("web", "http", 8080, nginx.port), POLICY).await;
    let directory = Daemon::directory();
    let own = directory.path();
    let given = ask(client(&socket(&mesh), own, 1)).await;
    assert_eq!(given["id"], "spiffe://cluster.local/ns/default/sa/client");
    assert_eq!(given["domains"], serde_json::json!(["cluster.local"]));
    assert_eq!(given["bare"], "INVALID_ARGUMENT");
    let ip = mesh.workload("web").unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut curl = Command::new(program("curl"));
    curl.env_clear()
        // The server's certificate names no host; the chain is checked below.
        .args([
            "-q",
            "-sS",
            "-k",
            "--max-time",
            "30",
            "-H",
            "Host: web:8080",
        ])
        .arg("--cert")
        .arg(own.join("chain.pem"))
        .arg("--key")
        .arg(own.join("key.pem"))
        .arg(format!("https://{ip}:8080/hello"));
    assert_eq!(must(curl).await, "hello\n");
    let mut verify = Command::new(program("openssl"));
    verify
        .args(["verify", "-CAfile"])
        .arg(own.join("roots.pem"))
        .arg("-untrusted")
        .arg(own.join("chain.pem"))
        .arg(own.join("chain.pem"));
    assert!(must(verify).await.contains("chain.pem: OK"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_gets_tokens_that_others_can_check() {
    let nginx = Nginx::start().await;
    let mesh = mesh(&workload("web", "http", 8080, nginx.port), POLICY).await;
    let other = mesh.state().join("proxies/default.web/svid.sock");
    let mut tokens = script("spiffe_tokens.py");
    for socket in [socket(&mesh), other] {
        tokens.arg(format!("unix://{}", socket.display()));
    }
    let said = ask(tokens).await;
    for who in ["id", "seen", "checked"] {
        assert_eq!(
            said[who], "spiffe://cluster.local/ns/default/sa/client",
            "{said}"
        );
    }
    assert_eq!(said["same"], true, "the sidecar keeps it: {said}");
    for (attempt, words) in [
        ("elsewhere", "another audience"),
        ("damaged", "no key of its trust domain"),
        ("foreign", "and nobody else"),
        ("bare", "INVALID_ARGUMENT"),
    ] {
        let text = said[attempt].as_str().unwrap();
        assert!(text.contains(words), "{attempt}: {text}");
    }
    let audit = std::fs::read_to_string(mesh.state().join("ca/audit.jsonl")).unwrap();
    assert_eq!(audit.matches("jwtIssued").count(), 1, "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_comes_before_the_old_one_expires() {
    let mesh = crate::place::mesh_with_certificates("6s").await;
    let directory = Daemon::directory();
    let given = ask(client(&socket(&mesh), directory.path(), 3)).await;
    let serials: BTreeSet<&str> = given["serials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|serial| serial.as_str().unwrap())
        .collect();
    assert_eq!(serials.len(), 3, "{given}");
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_gets_the_identity_by_secret_discovery() {
    let nginx = Nginx::start().await;
    let mesh = mesh(&workload("web", "http", 8080, nginx.port), POLICY).await;
    let (envoy, port) = envoy_as_client(&mesh, "web", 8080, &socket(&mesh)).await;
    let mut curl = Command::new(program("curl"));
    curl.env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-H", "Host: web:8080"])
        .args([
            "--retry",
            "20",
            "--retry-delay",
            "1",
            "--retry-all-errors",
            "--fail",
        ])
        .arg(format!("http://127.0.0.1:{port}/hello"));
    let said = run(curl).await;
    assert_eq!(said.out, "hello\n", "{said:?}\n{}", envoy.printed());
}
