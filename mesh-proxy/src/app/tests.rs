use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::net::TcpStream;
use crate::settings::{AccessLog, LogFormat, LogSink};
use crate::testing::{DEADLINE, Plane, Responses, inbound, mesh, response, undeclared};

struct Running {
    handle: Handle,
    admin: SocketAddr,
    explicit: SocketAddr,
    shutdown: CancellationToken,
    result: JoinHandle<Result<(), RunError>>,
}

async fn start(settings: Settings) -> Running {
    let bound = App::build(settings).await.unwrap();
    let (handle, admin, explicit) = (
        bound.handle(),
        bound.admin().unwrap(),
        bound.explicit().unwrap(),
    );
    let shutdown = CancellationToken::new();
    let result = tokio::spawn(bound.run(shutdown.clone()));
    Running {
        handle,
        admin,
        explicit,
        shutdown,
        result,
    }
}

async fn configure(plane: &mut Plane) -> Responses {
    let responses = plane.opened().await;
    let resources = vec![mesh(vec![plane.root.der.to_vec()], "1"), inbound()];
    responses.send(Ok(response(1, resources))).unwrap();
    responses
}

fn settings(plane: &Plane) -> Settings {
    Settings {
        admin: Some("127.0.0.1:0".parse().unwrap()),
        admin_socket: Some(plane.directory.path().join("admin.sock")),
        state: Some(plane.directory.path().join("state")),
        drain: Duration::from_secs(10),
        ..plane.settings()
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("took too long")
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

async fn call(address: SocketAddr, method: &str, path: &str) -> String {
    exchange(
        address,
        &format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
    )
    .await
}

#[tokio::test]
async fn starts_becomes_ready_and_ends() {
    let mut plane = Plane::start();
    let running = start(settings(&plane)).await;
    assert!(
        call(running.admin, "GET", "/ready").await.contains("503"),
        "no configuration yet"
    );
    let _responses = configure(&mut plane).await;
    within(running.handle.readiness().wait()).await;
    assert!(
        call(running.admin, "GET", "/ready")
            .await
            .starts_with("HTTP/1.1 200")
    );
    running.shutdown.cancel();
    within(running.result).await.unwrap().unwrap();
    assert!(
        !plane.directory.path().join("admin.sock").exists(),
        "the socket is removed"
    );
    assert!(
        TcpStream::connect(running.explicit).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn carries_a_request_with_configuration_on_demand() {
    let mut plane = Plane::start();
    let log = plane.directory.path().join("access.log");
    let access_log = AccessLog {
        sink: LogSink::File(log.clone()),
        format: LogFormat::Text,
    };
    let running = start(Settings {
        access_log,
        ..settings(&plane)
    })
    .await;
    let responses = configure(&mut plane).await;
    within(running.handle.readiness().wait()).await;

    let server = crate::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = server.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut head = [0; 1024];
        assert!(stream.read(&mut head).await.unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
            .await
            .unwrap();
        stream
    };
    let grant = async {
        let name = format!("address/{target}");
        loop {
            if plane.asked().await.subscribe.contains(&name) {
                responses
                    .send(Ok(response(1, vec![undeclared(&name)])))
                    .unwrap();
                return;
            }
        }
    };
    let request =
        format!("GET http://{target}/a HTTP/1.1\r\nhost: {target}\r\nconnection: close\r\n\r\n");
    let (answer, _stream, ()) =
        within(async { tokio::join!(exchange(running.explicit, &request), serve, grant) }).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
        "{answer}"
    );

    let edges = running.handle.telemetry().edges();
    assert_eq!(
        edges.iter().map(|edge| edge.count).sum::<u64>(),
        1,
        "{edges:?}"
    );
    assert!(
        call(running.admin, "POST", "/quitquitquit")
            .await
            .contains("200")
    );
    within(running.result).await.unwrap().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    assert!(
        text.contains("\"GET /a HTTP/1.1\" 200 - via_upstream"),
        "{text}"
    );
    assert!(
        !running.shutdown.is_cancelled(),
        "the caller's token is the caller's"
    );
}

#[tokio::test]
async fn a_restart_is_ready_without_the_control_plane() {
    let mut plane = Plane::start();
    let running = start(settings(&plane)).await;
    let responses = configure(&mut plane).await;
    within(running.handle.readiness().wait()).await;
    let cached = plane.directory.path().join("state/snapshot.pb");
    within(async {
        while !cached.exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.shutdown.cancel();
    within(running.result).await.unwrap().unwrap();
    drop(responses);

    // Certificates are there, configuration is not: nobody answers the stream.
    let running = start(settings(&plane)).await;
    within(running.handle.readiness().wait()).await;
    assert_eq!(running.handle.store().load().revision(), 1);
    running.shutdown.cancel();
    within(running.result).await.unwrap().unwrap();
}

#[tokio::test]
async fn taken_addresses_are_named() {
    let plane = Plane::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = App::build(Settings {
        explicit: Some(address),
        ..settings(&plane)
    })
    .await
    .err()
    .unwrap();
    assert!(
        error.to_string().contains("--explicit")
            && error.to_string().contains(&address.to_string()),
        "{error}"
    );
    let error = App::build(Settings {
        admin: Some(address),
        ..settings(&plane)
    })
    .await
    .err()
    .unwrap();
    assert!(error.to_string().contains("admin"), "{error}");
}

#[tokio::test]
async fn a_sidecar_that_ends_with_its_workload_serves_on() {
    let mut plane = Plane::start();
    let long = Duration::from_secs(600);
    let running = start(Settings {
        drain: long,
        drain_minimum: long,
        ..settings(&plane)
    })
    .await;
    let _responses = configure(&mut plane).await;
    within(running.handle.readiness().wait()).await;
    running.shutdown.cancel();
    within(async {
        while running.handle.readiness().is_ready() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Not ready, and there all the same, though nothing runs.
    assert!(
        call(running.admin, "GET", "/ready")
            .await
            .contains("draining")
    );
    let answer = exchange(
        running.explicit,
        "GET http://a.invalid/ HTTP/1.1\r\nhost: a.invalid\r\n\r\n",
    );
    assert!(answer.await.contains("connection: close"));
    assert!(!running.result.is_finished());
    // A second signal ends it at once.
    running.handle.close();
    within(running.result).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_pod_has_dns_and_status() {
    let mut plane = Plane::start();
    let free = Some("127.0.0.1:0".parse().unwrap());
    let mut settings = settings(&plane);
    settings.pod.dns = free;
    settings.pod.status = free;
    settings.pod.readiness = free;
    let bound = App::build(settings).await.unwrap();
    let (pod, handle) = (bound.pod(), bound.handle());
    let shutdown = CancellationToken::new();
    let result = tokio::spawn(bound.run(shutdown.clone()));
    let responses = configure(&mut plane).await;
    within(handle.readiness().wait()).await;
    for address in [pod.status, pod.readiness] {
        let answer = call(address.unwrap(), "GET", "/healthz/ready").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    let socket = crate::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02Db\x07example\0\0\x01\0\x01";
    socket.send_to(query, pod.dns.unwrap()).await.unwrap();
    let name = "name/db.example";
    within(async { while !plane.asked().await.subscribe.contains(&name.to_owned()) {} }).await;
    let body = mesh_api::v1::Name {
        hostname: "db.example".into(),
        addresses: vec!["240.240.0.7".into()],
        declared: "db.example".into(),
    };
    let resource = mesh_api::v1::Resource {
        name: name.into(),
        version: "1".into(),
        body: Some(mesh_api::v1::resource::Body::NameAddresses(body)),
    };
    responses.send(Ok(response(2, vec![resource]))).unwrap();
    let mut answer = [0; 512];
    let length = within(socket.recv(&mut answer)).await.unwrap();
    assert_eq!(&answer[..2], b"\x12\x34");
    assert!(answer[..length].ends_with(&[240, 240, 0, 7]));
    let metrics = call(pod.status.unwrap(), "GET", "/stats/prometheus").await;
    assert!(metrics.contains("mesh_dns_queries_total 1"), "{metrics}");

    shutdown.cancel();
    within(result).await.unwrap().unwrap();
}
