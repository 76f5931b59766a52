//! TLS that ends at a gateway: curl and openssl, on certificates from Secrets.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use base64::Engine as _;
use mesh_tests::laptop::free_address;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::certificates::Own;
use crate::nginx::Nginx;
use crate::place::{mesh_with_gateways, workload};
use crate::programs::{LIMIT, Said, program, run};

const CONFIG: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}
  - {port: {number: 8443, name: one, protocol: HTTPS}, hosts: [one.example.com], tls: {mode: SIMPLE, credentialName: one}}
  - {port: {number: 8443, name: two, protocol: HTTPS}, hosts: [two.example.com], tls: {mode: MUTUAL, credentialName: two}}
  - {port: {number: 8443, name: any, protocol: HTTPS}, hosts: [any.example.com], tls: {mode: OPTIONAL_MUTUAL, credentialName: any}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ['*.example.com']
  gateways: [entry]
  http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
";

const NAMES: [&str; 4] = [
    "one.example.com",
    "two.example.com",
    "any.example.com",
    "client.example.com",
];

/// A Secret in the gateway's namespace with the certificate of `<name>.example.com`, and the root for clients.
fn secret(own: &Own, name: &str) -> String {
    let field = |field: &str, file: &str| {
        let text = fs::read(own.file(file)).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        format!("  {field}: {text}\n")
    };
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: istio-system}}\ntype: kubernetes.io/tls\ndata:\n{}{}{}",
        field("tls.crt", &format!("{name}.example.com.crt")),
        field("tls.key", &format!("{name}.example.com.key")),
        field("ca.crt", "root.crt"),
    )
}

/// What curl says of `/hello` of a name that is at this address.
async fn curl(own: &Own, name: &str, (scheme, at): (&str, SocketAddr), certified: bool) -> Said {
    let mut command = Command::new(program("curl"));
    let format = "%{http_code} %{http_version} %{redirect_url}";
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-w", format, "--cacert"])
        .arg(own.root())
        .args(["--resolve", &format!("{name}:{}:{}", at.port(), at.ip())]);
    if certified {
        command
            .arg("--cert")
            .arg(own.file("client.example.com.crt"));
        command.arg("--key").arg(own.file("client.example.com.key"));
    }
    command.arg(format!("{scheme}://{name}:{}/hello", at.port()));
    run(command).await
}

/// A connection of openssl that stays open.
struct Open {
    child: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

// === impl Open ===

impl Open {
    fn start(own: &Own, name: &str, at: SocketAddr) -> Self {
        let mut command = tokio::process::Command::new(program("openssl"));
        command
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
            .arg(own.root())
            .args(["-connect", &at.to_string(), "-servername", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Asks for `/hello` of a name, and waits for its body.
    async fn ask(&mut self, name: &str) {
        let request = format!("GET /hello HTTP/1.1\r\nHost: {name}\r\n\r\n");
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(request.as_bytes()).await.unwrap();
        let answer = async {
            let mut seen = Vec::new();
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if line == "hello" {
                    return;
                }
                seen.push(line);
            }
            panic!("the connection has ended: {seen:?}");
        };
        tokio::time::timeout(LIMIT, answer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_ends_tls_as_its_servers_say() {
    let nginx = Nginx::start().await;
    let (own, later) = (Own::new(&NAMES), Own::new(&NAMES));
    let ip = free_address().unwrap().ip();
    let (plain, secure) = (SocketAddr::new(ip, 8080), SocketAddr::new(ip, 8443));
    let gateway = format!(
        "- {{name: gateway, labels: {{istio: ingressgateway}}, ports: [{{port: 8080, listen: '{plain}'}}, {{port: 8443, listen: '{secure}'}}]}}"
    );
    let secrets = ["two", "any"].map(|name| secret(&own, name)).concat();
    let config = format!("{CONFIG}{secrets}");
    let mesh = mesh_with_gateways(
        &workload("web", "http", 8080, nginx.port),
        &gateway,
        &config,
    )
    .await;
    let get = async |own: &Own, name: &str, certified: bool| {
        curl(own, name, ("https", secure), certified).await
    };
    // Its Secret is not there yet; the other servers do not mind.
    assert!(!get(&own, "one.example.com", false).await.ok);
    mesh.apply("one.yaml", Some(&secret(&own, "one")))
        .await
        .unwrap();
    for (name, certified, served) in [
        ("one.example.com", false, true),
        ("one.example.com", true, true),
        ("two.example.com", false, false),
        ("two.example.com", true, true),
        ("any.example.com", false, true),
        ("any.example.com", true, true),
        ("far.example.com", false, false),
    ] {
        let said = get(&own, name, certified).await;
        let whole = said.ok && said.out == "hello\n200 2 ";
        assert_eq!(whole, served, "{name} {certified}: {said:?}");
        assert_eq!(said.ok, served, "{name} {certified}: {said:?}");
    }
    // Of whom it does not trust it takes no certificate.
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-k", "--cert"])
        .arg(later.file("client.example.com.crt"))
        .arg("--key")
        .arg(later.file("client.example.com.key"))
        .args([
            "--resolve",
            &format!("any.example.com:{}:{}", secure.port(), secure.ip()),
        ])
        .arg(format!("https://any.example.com:{}/hello", secure.port()));
    let said = run(command).await;
    assert!(!said.ok && said.out.is_empty(), "{said:?}");

    let said = curl(&own, "one.example.com", ("http", plain), false).await;
    assert!(
        said.out.starts_with("301 1.1 https://one.example.com"),
        "{said:?}"
    );

    // Another certificate is for those who connect from now on; nobody is cut off.
    let mut open = Open::start(&own, "one.example.com", secure);
    open.ask("one.example.com").await;
    mesh.apply("one.yaml", Some(&secret(&later, "one")))
        .await
        .unwrap();
    let said = get(&later, "one.example.com", false).await;
    assert_eq!(said.out, "hello\n200 2 ", "{said:?}");
    assert!(!get(&own, "one.example.com", false).await.ok);
    open.ask("one.example.com").await;
    // Without its Secret it has no certificate for anybody, and the others stay.
    mesh.apply("one.yaml", None).await.unwrap();
    assert!(!get(&later, "one.example.com", false).await.ok);
    assert!(get(&own, "two.example.com", true).await.ok);
    open.ask("one.example.com").await;
}
