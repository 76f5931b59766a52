//! WebSocket: server and client of the Python package `websockets`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use mesh_tests::laptop::free_address;
use serde_json::json;

use crate::door::Door;
use crate::place::{mesh_with_gateways, workload};
use crate::programs::{Daemon, LIMIT, PAUSE, ask, free_port, script};

const CONFIG: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: chat}
spec:
  hosts: [chat, chat.example.com]
  gateways: [mesh, entry]
  http:
  - timeout: 300ms
    route: [{destination: {host: chat}}]
";

/// A server on an address.
pub(crate) async fn server(ip: IpAddr) -> (Daemon, u16) {
    let port = free_port();
    let mut command = script("websocket_server.py");
    command.args([ip.to_string(), port.to_string()]);
    let address = SocketAddr::new(ip, port);
    (
        Daemon::start(command, Daemon::directory(), address).await,
        port,
    )
}

/// Everything that two sides can say, with a silence of these seconds.
pub(crate) async fn talk(host: &str, at: SocketAddr, silence: &str) {
    let mut client = script("websocket_client.py");
    client.args([
        &format!("ws://{host}/room?x=1"),
        &at.ip().to_string(),
        &at.port().to_string(),
        silence,
    ]);
    let expected = json!({
        "messages": true,
        "ping": true,
        "pong": "pong came",
        "silence": "after the silence",
        "closed": [4002, "as asked"],
    });
    assert_eq!(ask(client).await, expected, "through {at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_both_ways_for_as_long_as_both_want() {
    let (server, port) = server(Ipv4Addr::LOCALHOST.into()).await;
    let entry = free_address().unwrap();
    let gateway = format!(
        "- {{name: gateway, labels: {{istio: ingressgateway}}, ports: [{{port: 8080, listen: '{entry}'}}]}}"
    );
    let workloads = workload("chat", "http", 8080, port);
    let mesh = mesh_with_gateways(&workloads, &gateway, CONFIG).await;
    let door = Door::open(&mesh, "chat", 8080).await;
    for (count, at) in [door.address(), entry].into_iter().enumerate() {
        // Five times the timeout of the route.
        talk("chat.example.com", at, "1.5").await;
        let deadline = Instant::now() + LIMIT;
        let both = ["closed 3001 done", "closed 4002 as asked"];
        while !both
            .iter()
            .all(|line| server.printed().matches(line).count() == count + 1)
        {
            assert!(Instant::now() < deadline, "{}", server.printed());
            tokio::time::sleep(PAUSE).await;
        }
    }
}
