//! The client's address behind balancers that speak HTTP: curl, nginx in front of nginx, then our
//! gateway (Istio: gatewayTopology.numTrustedProxies).

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use mesh_tests::laptop::free_address;

use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::programs::{must, program};
use crate::proxy::Proxy;

/// Only the client that curl says it is may come in, as far as `remote.ip` can tell.
const CONFIG: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {app: entry}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ['*']
  gateways: [entry]
  http: [{route: [{destination: {host: web, port: {number: 8080}}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: entry}
spec:
  selector: {matchLabels: {app: entry}}
  action: DENY
  rules: [{from: [{source: {notRemoteIpBlocks: [127.0.0.7]}}]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn as_many_proxies_are_believed_as_there_are() {
    let web = Nginx::start().await;
    let mesh = mesh(&workload("web", "http", 8080, web.port), CONFIG).await;
    for (trusted, code) in [("0", "403"), ("1", "403"), ("2", "200"), ("3", "403")] {
        let ip = free_address().unwrap().ip();
        let listen = ip.to_string();
        let more = ["--kind", "gateway", "--gateway-listen", &listen];
        let more = [&more[..], &["--gateway-trusted-proxies", trusted]].concat();
        let _gateway = Proxy::start(&mesh, "entry", "entry", &more);
        mesh.settle().await.unwrap();
        let inner = Nginx::before(SocketAddr::new(ip, 8080)).await;
        let outer = Nginx::before(local(inner.port)).await;
        let mut command = Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30", "-w", "%{http_code}"])
            // What a client forges stands before all that balancers say.
            .args(["--interface", "127.0.0.7", "-H", "X-Forwarded-For: 9.9.9.9"])
            .arg(format!("http://{}/who", local(outer.port)));
        let said = must(command).await;
        assert!(said.ends_with(code), "{trusted}: {said}");
        if code == "200" {
            // The application hears of all of them.
            let chain = said.split('|').nth(1).unwrap().replace(' ', "");
            assert_eq!(chain, "9.9.9.9,127.0.0.7,127.0.0.1,127.0.0.1", "{said}");
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
