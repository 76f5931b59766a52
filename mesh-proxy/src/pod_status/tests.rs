use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_proxy_core::Snapshot;

use super::call::host_field;
use super::*;
use crate::control::Store;
use crate::drain;
use crate::hand_over::Sockets;
use crate::identity::IdentityHandle;
use crate::net::{Dialer, TcpListener, connect};
use crate::settings::SettingsSource;
use crate::testing::DEADLINE;

struct Served {
    status: SocketAddr,
    readiness: SocketAddr,
    drain: DrainSignal,
    quit: CancellationToken,
    telemetry: Telemetry,
    task: tokio::task::JoinHandle<Result<(), StatusError>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(probes: &str, metrics: Option<&str>) -> Served {
    let settings = Settings::try_from(SettingsSource {
        workload: Some("default/a".into()),
        control: Some("unix:///nowhere/meshd.sock".into()),
        roots: Some("/nowhere/root.pem".into()),
        explicit: Some("127.0.0.1:0".into()),
        addresses: vec!["127.0.0.1".into()],
        status: Some("127.0.0.1:0".into()),
        readiness: Some("127.0.0.1:0".into()),
        probes: Some(probes.to_owned()),
        app_metrics: metrics.map(str::to_owned),
        ..SettingsSource::default()
    })
    .unwrap();
    let listeners = StatusListeners::bind(&settings, &Sockets::default()).unwrap();
    let (status, readiness) = (listeners.status().unwrap(), listeners.readiness().unwrap());
    let telemetry = Telemetry::new(&settings.access_log).unwrap();
    let (signal, drain) = drain::channel();
    let store = Store::fixed(Snapshot::empty());
    let quit = CancellationToken::new();
    let pod = PodStatus {
        own_port: Some(status.port()),
        telemetry: telemetry.clone(),
        readiness: Readiness::new(&settings, store, IdentityHandle::none(), drain),
        drain: signal.clone(),
        quit: quit.clone(),
        scraper: Arc::new(telemetry.register(Scraper::register)),
        originator: Arc::default(),
        settings: Arc::new(settings),
    };
    Served {
        status,
        readiness,
        drain: signal,
        quit,
        telemetry,
        task: tokio::spawn(listeners.serve(pod, CancellationToken::new())),
    }
}

async fn get(
    to: SocketAddr,
    method: Method,
    path: &str,
    fields: &[(&'static str, &'static str)],
) -> (u16, HeaderMap, String) {
    let mut headers = HeaderMap::from_iter(host_field(&to.ip().to_string(), to.port()));
    for (name, value) in fields {
        headers.insert(*name, HeaderValue::from_static(value));
    }
    let call = Call {
        method,
        path: path.to_owned(),
        headers,
        limit: 1 << 24,
    };
    let stream = connect(to, DEADLINE, Dialer::default()).await.unwrap();
    let (parts, body) = exchange(stream, &call).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, text)
}

/// An application: answers by path, and remembers the fields of the last request.
struct Application {
    address: SocketAddr,
    seen: Arc<Mutex<HeaderMap>>,
}

async fn application(
    answer: impl Fn(&str) -> Response<Bytes> + Send + Sync + 'static,
) -> Application {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let (answer, fields) = (Arc::new(answer), Arc::clone(&seen));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (answer, fields) = (Arc::clone(&answer), Arc::clone(&fields));
            let service = service_fn(move |request: Request<Incoming>| {
                *fields.lock().unwrap() = request.headers().clone();
                let response = answer(request.uri().path()).map(Full::new);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Application { address, seen }
}

fn answer(status: u16, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status.try_into().unwrap();
    response
}

fn probe(path: &str, check: &str) -> String {
    format!(r#"{{"/app-health/web/{path}": {{{check}, "timeoutSeconds": 20}}}}"#)
}

#[tokio::test]
async fn http_probes_are_passed_on() {
    let app = application(|path| match path {
        "/here" => answer(200, "fine"),
        "/moved" => {
            let mut response = answer(302, "");
            let place = HeaderValue::from_static("/here");
            response.headers_mut().insert("location", place);
            response
        }
        "/login" => {
            let mut response = answer(302, "");
            let place = HeaderValue::from_static("https://login.example.com/");
            response.headers_mut().insert("location", place);
            response
        }
        "/circle" => {
            let mut response = answer(302, "");
            let place = HeaderValue::from_static("/circle");
            response.headers_mut().insert("location", place);
            response
        }
        _ => answer(503, "busy"),
    })
    .await;
    let port = app.address.port();
    for (path, status, body) in [
        ("/here", 200, "fine"),
        ("/moved", 200, "fine"),
        ("/login", 200, ""),
        ("/other", 503, "busy"),
    ] {
        let check = format!(r#""httpGet": {{"path": "{path}", "port": {port}}}"#);
        let served = serve(&probe("readyz", &check), None).await;
        let fields = [("user-agent", "kube-probe/1.36"), ("x-custom", "1")];
        let (found, _, text) = get(
            served.status,
            Method::GET,
            "/app-health/web/readyz",
            &fields,
        )
        .await;
        assert_eq!((found, text.as_str()), (status, body), "{path}");
        let seen = app.seen.lock().unwrap().clone();
        assert_eq!(seen["user-agent"], "kube-probe/1.36");
        assert_eq!(seen["x-custom"], "1");
        assert_eq!(seen["host"], format!("127.0.0.1:{port}").as_str());
    }
    let check = format!(r#""httpGet": {{"path": "/circle", "port": {port}}}"#);
    let served = serve(&probe("livez", &check), None).await;
    let (status, _, text) = get(served.status, Method::GET, "/app-health/web/livez", &[]).await;
    assert_eq!(status, 500);
    assert!(text.contains("redirects"), "{text}");
    let (status, ..) = get(served.status, Method::GET, "/app-health/other/livez", &[]).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn probes_over_tls_check_no_certificate() {
    let key = rcgen::generate_simple_self_signed(vec!["nobody.example".to_owned()]).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls_pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"safe"))))
        });
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await
            .unwrap();
    });
    let check = format!(r#""httpGet": {{"path": "/", "port": {port}, "scheme": "HTTPS"}}"#);
    let served = serve(&probe("livez", &check), None).await;
    let (status, _, text) = get(served.status, Method::GET, "/app-health/web/livez", &[]).await;
    assert_eq!((status, text.as_str()), (200, "safe"));
}

#[tokio::test]
async fn tcp_probes_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = serve(
        &probe("livez", &format!(r#""tcpSocket": {{"port": {port}}}"#)),
        None,
    )
    .await;
    let ask = || get(served.status, Method::GET, "/app-health/web/livez", &[]);
    assert_eq!(ask().await.0, 200);
    drop(listener);
    assert_eq!(ask().await.0, 500);
}

/// A gRPC server with one answer.
async fn health(status: u8, code: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<Incoming>| async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(&body[..], b"\0\0\0\0\x04\x0a\x02db");
            let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, status]);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(code));
            let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
            let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
            let kind = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", kind);
            Ok::<_, Infallible>(response)
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    port
}

#[tokio::test]
async fn grpc_probes_ask_for_health() {
    for (health_status, code, want) in [(1, "0", 200), (2, "0", 500), (1, "12", 500)] {
        let port = health(health_status, code).await;
        let check = format!(r#""grpc": {{"port": {port}, "service": "db"}}"#);
        let served = serve(&probe("startupz", &check), None).await;
        let (status, _, text) =
            get(served.status, Method::GET, "/app-health/web/startupz", &[]).await;
        assert_eq!(status, want, "{text}");
    }
}

const OPEN: (&str, &str) = ("accept", "application/openmetrics-text;version=1.0.0");

#[tokio::test]
async fn metrics_of_both() {
    let app = application(|path| match path {
        "/custom" => {
            let mut response = answer(200, "# TYPE up gauge\nup 1\n");
            let kind = HeaderValue::from_static("text/plain; version=0.0.4");
            response.headers_mut().insert("content-type", kind);
            response
        }
        _ => answer(404, ""),
    })
    .await;
    let port = app.address.port();
    let metrics = format!(r#"{{"port": "{port}", "path": "/custom"}}"#);
    let served = serve("{}", Some(&metrics)).await;
    let (status, headers, text) =
        get(served.status, Method::GET, "/stats/prometheus", &[OPEN]).await;
    assert_eq!(status, 200);
    assert_eq!(
        headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(
        text.contains("mesh_app_scrape_failures_total 0") && text.ends_with("up 1\n"),
        "{text}"
    );
    assert!(!text.contains("# EOF"));
    let seen = app.seen.lock().unwrap().clone();
    assert!(
        seen["accept"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );

    let metrics = format!(r#"{{"port": {port}, "path": "/gone"}}"#);
    let served = serve("{}", Some(&metrics)).await;
    let ask = || get(served.status, Method::GET, "/metrics", &[OPEN]);
    let (status, headers, text) = ask().await;
    assert_eq!(status, 200);
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(
        text.contains("mesh_app_scrape_failures_total 1") && text.ends_with("# EOF\n"),
        "{text}"
    );
    let troubles = served.telemetry.troubles.list();
    assert!(troubles[0].contains("404"), "{troubles:?}");
    assert!(ask().await.2.contains("mesh_app_scrape_failures_total 2"));
}

#[tokio::test]
async fn the_proxys_metrics_alone() {
    let served = serve("", None).await;
    let (_, headers, text) = get(served.status, Method::GET, "/stats/prometheus", &[]).await;
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    assert!(
        !text.contains("# EOF") && text.contains("# TYPE mesh_connect_total counter"),
        "{text}"
    );
}

#[tokio::test]
async fn readiness_alone() {
    let served = serve("", None).await;
    for address in [served.status, served.readiness] {
        let (status, _, text) = get(address, Method::GET, "/healthz/ready", &[]).await;
        assert_eq!(status, 503);
        assert!(text.contains("no certificate yet"), "{text}");
    }
    for path in ["/metrics", "/quitquitquit", "/drain"] {
        let (status, ..) = get(served.readiness, Method::POST, path, &[]).await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test]
async fn commands_of_the_pod_itself() {
    let served = serve("", None).await;
    assert_eq!(
        get(served.status, Method::GET, "/quitquitquit", &[])
            .await
            .0,
        405
    );
    assert!(!served.quit.is_cancelled());
    assert_eq!(get(served.status, Method::POST, "/drain", &[]).await.0, 200);
    assert!(served.drain.is_draining());
    assert_eq!(
        get(served.status, Method::POST, "/quitquitquit", &[])
            .await
            .0,
        200
    );
    assert!(served.quit.is_cancelled());
    for (peer, here) in [
        ("127.0.0.6:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("10.0.0.1:1", false),
        ("[fd00::1]:1", false),
    ] {
        assert_eq!(is_from_here(peer.parse().unwrap()), here, "{peer}");
    }
}
