//! What a proxy lets in: rates, and no more than the server can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use http_body_util::Full;
use mesh_api::v1::rate_key::By;
use mesh_api::v1::{
    Admission, Field, GatewayHost, HttpMatch, HttpRoute, MtlsMode, OverloadProtection, Protocol,
    RateKey, RateLimit, StringMatch, http_route::Action, string_match::Kind,
};
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{Config, forward, route, service};
use crate::peers::{App, Client, until, within};
use crate::proxy::{PORT, Proxy, proxy, vacant};

/// Two, and then one an hour.
fn two_an_hour(name: &str) -> RateLimit {
    RateLimit {
        policy: "default/limits".to_owned(),
        name: name.to_owned(),
        amount: 1,
        interval_ms: 3_600_000,
        burst: 2,
        ..Default::default()
    }
}

fn limited(limits: &[RateLimit], app: &App) -> Proxy {
    let admission = Admission {
        rate_limits: limits.to_vec(),
        overload: None,
    };
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    proxy(config.admission(admission)).app(app.address).start()
}

async fn get(client: &mut Client, path: &str, fields: &str) -> crate::peers::Answer {
    client
        .send(&format!("GET {path} HTTP/1.1\r\nHost: app\r\n{fields}\r\n"))
        .await;
    client.answer().await
}

#[tokio::test]
async fn routes_have_rates_of_their_own() {
    let app = App::echo("app").await;
    let on = |path: &str, limits: Vec<RateLimit>| HttpRoute {
        name: path.to_owned(),
        matches: vec![HttpMatch {
            uri: Some(StringMatch {
                kind: Some(Kind::Prefix(path.to_owned())),
            }),
            ..Default::default()
        }],
        rate_limits: limits,
        ..route(Action::Forward(forward("app", 80)))
    };
    let by_user = RateLimit {
        keys: vec![RateKey {
            by: Some(By::Header("x-user".to_owned())),
        }],
        ..two_an_hour("user")
    };
    let app = service("app", 80, Protocol::Http)
        .plain(app.address)
        .route(on("/a", vec![two_an_hour("both")]))
        .route(on("/b", vec![two_an_hour("both")]))
        .route(on("/c", vec![by_user]))
        .route(on("/", vec![]));
    let proxy = proxy(Config::default().service(app)).start();
    let mut client = Client::to(proxy.explicit).await;
    let mut ask = async |path: &str, fields: &str| {
        let url = format!("http://app{path}");
        let answer = get(&mut client, &url, fields).await;
        (answer.status(), answer.reason().to_owned())
    };
    assert_eq!(ask("/a", "").await.0, 200);
    assert_eq!(ask("/b", "").await.0, 200);
    let refused = (429, "rate_limited".to_owned());
    assert_eq!(ask("/a", "").await, refused, "one rate for both routes");
    assert_eq!(ask("/b", "").await, refused);
    for user in ["X-User: 1\r\n", "X-User: 2\r\n"] {
        assert_eq!(ask("/c", user).await.0, 200);
        assert_eq!(ask("/c", user).await.0, 200);
        assert_eq!(ask("/c", user).await, refused);
    }
    assert_eq!(ask("/other", "").await.0, 200);
    let metrics = proxy.telemetry.metrics();
    for line in [
        "mesh_rate_limit_total{policy=\"default/limits\",limit=\"both\",result=\"refused\"} 2",
        "mesh_rate_limit_total{policy=\"default/limits\",limit=\"user\",result=\"allowed\"} 4",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn requests_over_the_rate_are_answered_429() {
    let app = App::echo("app").await;
    let uri = Some(StringMatch {
        kind: Some(Kind::Prefix("/api".to_owned())),
    });
    let limit = RateLimit {
        matches: vec![HttpMatch {
            uri,
            ..Default::default()
        }],
        response_headers: vec![Field {
            name: "x-why".to_owned(),
            value: "too fast".to_owned(),
        }],
        ..two_an_hour("api")
    };
    let proxy = limited(&[limit], &app);
    let mut client = Client::to(proxy.served()).await;
    for _ in 0..2 {
        assert_eq!(get(&mut client, "/api/a", "").await.status(), 200);
    }
    let refused = get(&mut client, "/api/b", "").await;
    assert_eq!((refused.status(), refused.reason()), (429, "rate_limited"));
    assert!(refused.body.contains("default/limits api"), "{refused:?}");
    for (name, value) in [
        ("x-why", "too fast"),
        ("ratelimit-limit", "1"),
        ("ratelimit-remaining", "0"),
        ("x-envoy-ratelimited", "true"),
    ] {
        assert_eq!(refused.header(name), Some(value), "{name}");
    }
    for name in ["retry-after", "ratelimit-reset"] {
        let seconds: u64 = refused.header(name).unwrap().parse().unwrap();
        assert!((3500..=3600).contains(&seconds), "{name}: {seconds}");
    }
    assert_eq!(get(&mut client, "/other", "").await.status(), 200);
    let metrics = proxy.telemetry.metrics();
    for line in [
        "mesh_rate_limit_total{policy=\"default/limits\",limit=\"api\",result=\"allowed\"} 2",
        "mesh_rate_limit_total{policy=\"default/limits\",limit=\"api\",result=\"refused\"} 1",
        "mesh_reasons_total{reason=\"rate_limited\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    assert!(metrics.contains("response_flags=\"RL\""));
}

#[tokio::test]
async fn a_rate_may_be_that_of_a_key_or_only_counted() {
    let app = App::echo("app").await;
    let keyed = RateLimit {
        keys: vec![RateKey {
            by: Some(By::Header("x-user".to_owned())),
        }],
        max_keys: 2,
        ..two_an_hour("per-user")
    };
    let shadow = RateLimit {
        shadow: true,
        burst: 1,
        ..two_an_hour("shadow")
    };
    let proxy = limited(&[keyed, shadow], &app);
    let mut client = Client::to(proxy.served()).await;
    let mut statuses = Vec::new();
    for user in ["a", "a", "a", "b", "b", "c", "d", "c"] {
        let field = format!("x-user: {user}\r\n");
        statuses.push(get(&mut client, "/", &field).await.status());
    }
    // Of four users two have their own; the others share one.
    assert_eq!(statuses, [200, 200, 429, 200, 200, 200, 200, 429]);
    let metrics = proxy.telemetry.metrics();
    assert!(
        metrics.contains("limit=\"shadow\",result=\"shadow\"} 5"),
        "the first one is within it, and two were refused before: {metrics}"
    );
}

#[tokio::test]
async fn connections_over_the_rate_are_reset() {
    let app = App::echo("app").await;
    let limit = RateLimit {
        connections: true,
        ..two_an_hour("new")
    };
    let proxy = limited(&[limit], &app);
    for _ in 0..2 {
        let mut client = Client::to(proxy.served()).await;
        assert_eq!(get(&mut client, "/", "").await.status(), 200);
        // Requests on it are no connections.
        assert_eq!(get(&mut client, "/", "").await.status(), 200);
    }
    // The reset may come before the client knows that it is connected.
    let read = within(async {
        let mut third = tokio::net::TcpStream::connect(proxy.served()).await?;
        third.read(&mut [0; 8]).await
    })
    .await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    until(|| {
        let metrics = proxy.telemetry.metrics();
        metrics.contains("mesh_reasons_total{reason=\"rate_limited\"} 1")
    })
    .await;
}

#[tokio::test]
async fn gateways_have_rates_too() {
    let app = App::echo("app").await;
    let port = vacant();
    let host = GatewayHost {
        domain: "*".to_owned(),
        http: vec![route(Action::Forward(forward("app", 80)))],
        ..Default::default()
    };
    let other_port = RateLimit {
        ports: vec![443],
        ..two_an_hour("other")
    };
    let admission = Admission {
        rate_limits: vec![two_an_hour("edge"), other_port],
        overload: None,
    };
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .gateway(80, vec![host])
        .gateway_admission(admission);
    let _proxy = proxy(config).gateway(port.address.port() - 80).start();
    let mut client = crate::gateway::listens(port.address).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&mut client, "/", "").await.status());
    }
    assert_eq!(statuses, [200, 200, 429]);
}

/// A server that does eight requests at a time in 5 ms each, and ten times slower all of them once
/// more than 24 are there.
async fn strained() -> (App, Arc<AtomicU32>) {
    let hands = Arc::new(Semaphore::new(8));
    let present = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&present);
    let app = App::http(move |_| {
        let (hands, present) = (Arc::clone(&hands), Arc::clone(&present));
        async move {
            let here = Present::new(present);
            let _hand = hands.acquire().await.unwrap();
            let millis = if here.count() > 24 { 50 } else { 5 };
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Response::new(Full::default())
        }
    })
    .await;
    (app, seen)
}

struct Present(Arc<AtomicU32>);

impl Present {
    fn new(count: Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers in time, and refusals, of the second half of a burst of so many clients that each ask
/// as fast as they are answered. A refused client rests as long as a good answer takes.
async fn goodput(overload: OverloadProtection) -> (u32, u32) {
    const CLIENTS: usize = 150;
    const IN_TIME: Duration = Duration::from_millis(300);
    let (app, _) = strained().await;
    let admission = Admission {
        overload: Some(overload),
        ..Default::default()
    };
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let proxy = proxy(config.admission(admission)).app(app.address).start();
    // What is usual.
    let mut calm = Client::to(proxy.served()).await;
    for _ in 0..60 {
        assert_eq!(get(&mut calm, "/", "").await.status(), 200);
    }
    let began = Instant::now();
    let (half, end) = (Duration::from_secs(3), Duration::from_secs(6));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let address = proxy.served();
        clients.spawn(async move {
            let mut client = Client::to(address).await;
            let (mut good, mut refused) = (0, 0);
            while began.elapsed() < end {
                let asked = Instant::now();
                let answer = get(&mut client, "/", "").await;
                let counts = began.elapsed() > half;
                if answer.status() == 200 {
                    good += u32::from(counts && asked.elapsed() <= IN_TIME);
                } else {
                    assert_eq!(answer.reason(), "server_overloaded");
                    refused += u32::from(counts);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            (good, refused)
        });
    }
    let all = clients.join_all().await;
    let sum = |(good, refused): (u32, u32), (g, r): (u32, u32)| (good + g, refused + r);
    all.into_iter().fold((0, 0), sum)
}

#[tokio::test]
async fn goodput_is_kept_when_the_server_slows_down_under_load() {
    // 150 at a time take 50 ms each with eight hands: nobody is answered within 300 ms.
    let without = goodput(OverloadProtection {
        disabled: true,
        ..Default::default()
    });
    let (good, refused) = without.await;
    assert_eq!((good, refused), (0, 0), "it collapses");
    let (good, refused) = goodput(OverloadProtection::default()).await;
    // The server could do 480 in three seconds, on a machine with nothing else to do.
    assert!(good > 60, "{good} in time, {refused} refused");
    assert!(refused > 0);
}

/// How many requests of a healthy load are refused.
async fn refusals_of_healthy_load() -> usize {
    let app = App::http(|request| async move {
        // All kinds of answers, quick ones and slow ones.
        let path = request.uri().path().to_owned();
        let millis = path.trim_start_matches('/').parse().unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Response::new(Full::default())
    })
    .await;
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let proxy = proxy(config).app(app.address).start();
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..100_u64 {
        let address = proxy.served();
        clients.spawn(async move {
            let mut client = Client::to(address).await;
            let all = [20, 50, 100, 200, 400];
            let millis = all.get(usize::try_from(number % 5).unwrap()).unwrap();
            let mut refused = 0;
            while began.elapsed() < Duration::from_secs(2) {
                let answer = get(&mut client, &format!("/{millis}"), "").await;
                refused += usize::from(answer.status() != 200);
            }
            refused
        });
    }
    clients.join_all().await.into_iter().sum()
}

#[tokio::test]
async fn healthy_load_is_never_refused() {
    // Where other work takes the processors, everybody does queue: then once more.
    for _ in 0..5 {
        if refusals_of_healthy_load().await == 0 {
            return;
        }
    }
    panic!("a load that the application bears is refused each time");
}

#[tokio::test]
async fn more_than_the_limit_is_refused_but_for_probes() {
    let (leave, came) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (may_leave, has_come) = (Arc::clone(&leave), Arc::clone(&came));
    let app = App::http(move |_| {
        let (leave, came) = (Arc::clone(&may_leave), Arc::clone(&has_come));
        async move {
            came.add_permits(1);
            leave.acquire().await.unwrap().forget();
            Response::new(Full::default())
        }
    })
    .await;
    let overload = OverloadProtection {
        policy: "default/limits".to_owned(),
        max_requests: 1,
        min_requests: 1,
        ..Default::default()
    };
    let admission = Admission {
        overload: Some(overload),
        ..Default::default()
    };
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let proxy = proxy(config.admission(admission)).app(app.address).start();
    let ask = async |agent: &str| {
        let mut client = Client::to(proxy.served()).await;
        let request = format!("GET / HTTP/1.1\r\nHost: app\r\nUser-Agent: {agent}\r\n\r\n");
        client.send(&request).await;
        client
    };
    let mut first = ask("curl").await;
    until(|| came.available_permits() == 1).await;
    let mut refused = ask("curl").await;
    let answer = refused.answer().await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "server_overloaded")
    );
    let mut probe = ask("kube-probe/1.31").await;
    until(|| came.available_permits() == 2).await;
    leave.add_permits(2);
    assert_eq!(first.answer().await.status(), 200);
    assert_eq!(probe.answer().await.status(), 200);
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"OM\""), "{metrics}");
    assert!(metrics.contains("mesh_overload_total{result=\"refused\"} 1"));
}
