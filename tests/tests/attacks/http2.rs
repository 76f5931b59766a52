//! Over HTTP/2, frame by frame: control data that says two things, blocks in pieces, and streams of
//! a connection that was let in before a policy changed.

use std::collections::BTreeMap;

use crate::policy::{POLICIES, Place};
use crate::raw_http2::{END_HEADERS, END_STREAM, Field, Outcome, PROTOCOL_ERROR, Raw};
use crate::told::{of_reason, until_counted, until_logged};

fn get<'a>(path: &'a str, authority: &'a str) -> [Field<'a>; 4] {
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", authority),
    ]
}

fn denied() -> Outcome {
    Outcome::Answered(403, "authorization_denied".to_owned())
}

fn served() -> Outcome {
    Outcome::Answered(200, String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_control_data_gets_around_a_policy() {
    let place = Place::start().await;
    let mut raw = Raw::connect(place.address).await;
    let secret = "secret.example";
    let no_authority = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        ("host", secret),
    ];
    let both = [&get("/", secret)[..], &[("host", "SECRET.example")]].concat();
    for (what, fields) in [
        ("a plain path", get("/admin", "echo").to_vec()),
        ("slashes", get("//admin", "echo").to_vec()),
        ("dots", get("/x/%2e%2E/./admin", "echo").to_vec()),
        ("an encoded slash", get("/x%2f..%2fadmin", "echo").to_vec()),
        ("a backslash", get("/x\\..\\admin", "echo").to_vec()),
        ("encoded", get("/%61dmin?a=b", "echo").to_vec()),
        ("a fragment", get("/admin#/open", "echo").to_vec()),
        ("the authority", get("/", secret).to_vec()),
        (
            "its case and port",
            get("/", "SECRET.example.:9000").to_vec(),
        ),
        ("Host in its place", no_authority.to_vec()),
        ("both, alike", both),
    ] {
        let id = raw.request(&fields).await;
        assert_eq!(raw.outcome(id).await, denied(), "{what}");
    }
    let id = raw.request(&get("/open", "echo")).await;
    assert_eq!(raw.outcome(id).await, served(), "the rest of it");
}

/// What is no request, and why.
#[expect(clippy::too_many_lines, reason = "one case after the other")]
fn malformed() -> Vec<(&'static str, Vec<Field<'static>>, &'static str)> {
    let (good, protocol) = (get("/open", "echo"), "downstream_protocol_error");
    let with = |field: Field<'static>| [&good[..], &[field]].concat();
    let instead = |name: &str, value: &'static str| {
        let fields = good.iter().copied();
        let replaced = fields.map(|(n, v)| if n == name { (n, value) } else { (n, v) });
        replaced.collect::<Vec<_>>()
    };
    let hosts = [&good[..3], &[("host", "echo"), ("host", "secret.example")]].concat();
    let late = [&[("x-a", "b")], &good[..]].concat();
    vec![
        ("two hosts", hosts, "host_invalid"),
        (
            "authority against Host",
            with(("host", "secret.example")),
            "host_invalid",
        ),
        (
            "user information",
            instead(":authority", "echo@secret.example"),
            "host_invalid",
        ),
        ("two paths", with((":path", "/admin")), protocol),
        ("two methods", with((":method", "POST")), protocol),
        (
            "two authorities",
            with((":authority", "secret.example")),
            protocol,
        ),
        ("two schemes", with((":scheme", "https")), protocol),
        ("a status", with((":status", "200")), protocol),
        (
            "extended CONNECT",
            with((":protocol", "websocket")),
            protocol,
        ),
        ("unknown control data", with((":x", "y")), protocol),
        ("late control data", late, protocol),
        ("no path", good[..2].to_vec(), protocol),
        ("an empty path", instead(":path", ""), protocol),
        ("a path without slash", instead(":path", "admin"), protocol),
        (
            "a whole URL",
            instead(":path", "http://secret.example/"),
            protocol,
        ),
        ("an asterisk", instead(":path", "*"), protocol),
        ("a space", instead(":path", "/open /admin"), protocol),
        (
            "a line break",
            instead(":path", "/open HTTP/1.1\r\nx: y"),
            protocol,
        ),
        (
            "a method with spaces",
            instead(":method", "GET /admin"),
            protocol,
        ),
        (
            "CONNECT with a path",
            instead(":method", "CONNECT"),
            protocol,
        ),
        ("upper case", with(("X-Sub", "root")), protocol),
        (
            "a colon in a name",
            with(("x-sub: root\r\nx", "y")),
            protocol,
        ),
        (
            "a line break in a value",
            with(("x-a", "b\r\nx-sub: root")),
            protocol,
        ),
        ("a NUL", with(("x-a", "b\0c")), protocol),
        (
            "a coding of HTTP/1",
            with(("transfer-encoding", "chunked")),
            protocol,
        ),
        (
            "a connection of HTTP/1",
            with(("connection", "x-sub")),
            protocol,
        ),
        ("an upgrade", with(("upgrade", "h2c")), protocol),
        (
            "a body that is not there",
            with(("content-length", "5")),
            protocol,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_reset_and_named() {
    let place = Place::start().await;
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, fields, reason) in malformed() {
        // On a connection that had a good request, and has one again.
        let mut raw = Raw::connect(place.address).await;
        for good in [true, false, true] {
            let open = get("/open", "echo");
            let id = raw.request(if good { &open } else { &fields }).await;
            let expected = if good {
                served()
            } else {
                Outcome::Reset(PROTOCOL_ERROR)
            };
            assert_eq!(raw.outcome(id).await, expected, "{what}");
        }
        *wanted.entry(reason).or_default() += 1;
    }
    for (reason, count) in wanted {
        until_counted(&place.mesh, "echo", &of_reason(reason), count).await;
        until_logged(&place.mesh, "default.echo", &["HTTP/2\" 400 DPE", reason]).await;
    }
    // Tunnels are for nobody.
    let mut raw = Raw::connect(place.address).await;
    let id = raw
        .request(&[(":method", "CONNECT"), (":authority", "echo:9000")])
        .await;
    let outcome = raw.outcome(id).await;
    assert_eq!(
        outcome,
        Outcome::Answered(404, "route_not_found".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_of_an_old_connection_skips_a_new_policy() {
    let place = Place::start().await;
    let mut raw = Raw::connect(place.address).await;
    let later = get("/later", "echo:9000");
    let id = raw.request(&later).await;
    assert_eq!(raw.outcome(id).await, served());
    // The client's sidecar keeps its connection, too.
    let by_sidecar = || {
        let request = http::Request::get("http://echo:9000/later").body(bytes::Bytes::new());
        place.mesh.send("client", request.unwrap())
    };
    assert_eq!(by_sidecar().await.unwrap().status, 200);
    // One that has said half of its head, and one that was let in and has a body to come.
    let mut half = Raw::connect(place.address).await;
    let begun = half.stream_id();
    half.head(begun, END_STREAM, &later[..2]).await;
    let admitted = raw.stream_id();
    let post = [&[(":method", "POST")], &later[1..]].concat();
    raw.head(admitted, END_HEADERS, &post).await;

    let closed = POLICIES.replace("/admin/*", "/admin/*, /later");
    let applied = place.mesh.apply("policies.yaml", Some(&closed));
    applied.await.unwrap();

    half.continued(begun, &later[2..]).await;
    assert_eq!(half.outcome(begun).await, denied(), "half a head");
    let id = raw.request(&later).await;
    assert_eq!(raw.outcome(id).await, denied(), "a new stream");
    let answer = by_sidecar().await.unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(answer.headers["x-mesh-reason"], "authorization_denied");
    // What was let in is not another request by its trailers.
    raw.body(admitted, 0, b"body").await;
    raw.head(admitted, END_HEADERS | END_STREAM, &later).await;
    let outcome = raw.outcome(admitted).await;
    assert_eq!(outcome, Outcome::Reset(PROTOCOL_ERROR));
    // A stream that was passed over cannot be opened any more, and skips nothing.
    let (passed_over, id) = (raw.stream_id(), raw.stream_id());
    raw.head(id, END_HEADERS | END_STREAM, &later).await;
    assert_eq!(raw.outcome(id).await, denied());
    raw.head(passed_over, END_HEADERS | END_STREAM, &later)
        .await;
    let id = raw.request(&later).await;
    assert_eq!(raw.outcome(id).await, denied());
}
