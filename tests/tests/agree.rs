//! `explain` and the running proxies agree: random configuration, random requests, thousands of
//! cases, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Method, Request};
use mesh_proxy_core::explain::{ExplainReport, ExplainRequest, InboundReport, OutboundReport};
use mesh_tests::LaptopMesh;
use mesh_tests::echo::{Echo, Seen};
use mesh_tests::laptop::Answer;
use rand::prelude::*;
use rand::rngs::SmallRng;

const CONFIGURATIONS: usize = 60;
const REQUESTS: usize = 40;

#[tokio::test]
async fn explain_tells_what_the_proxies_do() {
    let seed: u64 = std::env::var("MESH_SEED")
        .ok()
        .map_or(20_261_122, |text| text.parse().unwrap());
    let echoes = [
        Echo::start("echo-a").await.unwrap(),
        Echo::start("echo-b").await.unwrap(),
    ];
    let mesh = LaptopMesh::start(&mesh_file(&echoes), &[]).unwrap();
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut forwarded = 0;
    let mut denied = 0;
    let mut made_up = 0;
    for number in 0..CONFIGURATIONS {
        let text = configuration(number, &mut rng);
        mesh.apply("case.yaml", Some(&text)).await.unwrap();
        for _ in 0..REQUESTS {
            let case = Case::random(&mut rng);
            let seen = mesh.send("client", case.request()).await.unwrap();
            let expected = case.explain(&mesh).await;
            let context =
                format!("seed {seed}\n{text}\n{case:?}\nexplain: {expected:#?}\nseen: {seen:?}");
            match check(&expected, &seen) {
                Ok(Outcome::Forwarded) => forwarded += 1,
                Ok(Outcome::Denied) => denied += 1,
                Ok(Outcome::MadeUp) => made_up += 1,
                Err(difference) => panic!("{difference}\n{context}"),
            }
        }
    }
    assert_eq!(forwarded + denied + made_up, CONFIGURATIONS * REQUESTS);
    // The generator would be worthless if it reached one kind of answer only.
    for (kind, count) in [
        ("forwarded", forwarded),
        ("denied", denied),
        ("made up", made_up),
    ] {
        assert!(
            count > CONFIGURATIONS * REQUESTS / 50,
            "only {count} {kind}"
        );
    }
    mesh.stop().unwrap();
}

fn mesh_file(echoes: &[Echo; 2]) -> String {
    let mut text = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: agree}
spec:
  workloads:
  - name: client
    serviceAccount: client
    labels: {app: client}
    ports: []
"
    .to_owned();
    for (version, echo) in ["a", "b"].iter().zip(echoes) {
        write!(
            text,
            "  - name: echo-{version}\n    serviceAccount: echo\n    labels: {{app: echo, version: {version}}}\n    \
             ports: [{{name: http, port: 9000, appPort: {}}}]\n",
            echo.address().port()
        )
        .unwrap();
    }
    text
}

// === Configuration ===

fn pick<'a>(rng: &mut SmallRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).unwrap()
}

const PATHS: [&str; 8] = [
    "/",
    "/a",
    "/a/b",
    "/ab",
    "/A",
    "/api/v1/items",
    "/api/v1",
    "/x?q=1",
];
const HEADERS: [&str; 3] = ["x-user", "x-team", "end-user"];
const VALUES: [&str; 4] = ["jason", "jas", "anna", "a-1"];
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];

fn configuration(number: usize, rng: &mut SmallRng) -> String {
    let mut text = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: echo, annotations: {{case: \"{number}\"}}}}\n\
         spec:\n  host: echo\n  subsets:\n  - {{name: a, labels: {{version: a}}}}\n  - {{name: b, labels: {{version: b}}}}\n  \
         - {{name: none, labels: {{version: none}}}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: echo-{number}}}\nspec:\n  hosts: [echo]\n  http:\n"
    );
    for _ in 0..rng.random_range(1..5) {
        route(&mut text, rng, true);
    }
    if rng.random_bool(0.8) {
        route(&mut text, rng, false);
    }
    for policy in 0..rng.random_range(0..3) {
        authorization(&mut text, rng, policy);
    }
    text
}

fn route(text: &mut String, rng: &mut SmallRng, matches: bool) {
    text.push_str("  - name: r\n");
    if matches {
        text.push_str("    match:\n");
        for _ in 0..rng.random_range(1..3) {
            text.push_str("    - ");
            condition(text, rng);
        }
    }
    match rng.random_range(0..10) {
        0 => text.push_str(
            "    redirect: {uri: /moved, authority: elsewhere.example, redirectCode: 302}\n",
        ),
        1 => text.push_str("    directResponse: {status: 418, body: {string: teapot}}\n"),
        _ => forward(text, rng),
    }
}

fn condition(text: &mut String, rng: &mut SmallRng) {
    let kind = pick(rng, &["exact", "prefix"]);
    let path = pick(rng, &["/", "/a", "/a/b", "/api", "/A"]);
    let mut line = match rng.random_range(0..5) {
        0 => format!(
            "uri: {{regex: \"/a.*\"}}\n      ignoreUriCase: {}\n",
            rng.random_bool(0.5)
        ),
        1 => format!("method: {{exact: {}}}\n", pick(rng, &METHODS)),
        _ => format!(
            "uri: {{{kind}: {path}}}\n      ignoreUriCase: {}\n",
            rng.random_bool(0.3)
        ),
    };
    let value = match rng.random_range(0..4) {
        0 => "{}".to_owned(),
        1 => format!("{{prefix: {}}}", pick(rng, &VALUES)),
        2 => "{regex: \"[a-z]+\"}".to_owned(),
        _ => format!("{{exact: {}}}", pick(rng, &VALUES)),
    };
    if rng.random_bool(0.4) {
        let field = pick(rng, &["headers", "withoutHeaders"]);
        writeln!(line, "      {field}: {{{}: {value}}}", pick(rng, &HEADERS)).unwrap();
    }
    if rng.random_bool(0.2) {
        writeln!(line, "      queryParams: {{q: {{exact: \"1\"}}}}").unwrap();
    }
    text.push_str(&line);
}

fn forward(text: &mut String, rng: &mut SmallRng) {
    match rng.random_range(0..4) {
        0 => text.push_str("    route: [{destination: {host: echo}}]\n"),
        1 => writeln!(
            text,
            "    route: [{{destination: {{host: echo, subset: {}}}}}]",
            pick(rng, &["a", "b", "none"])
        )
        .unwrap(),
        _ => {
            let weight = rng.random_range(0..=100);
            writeln!(
                text,
                "    route:\n    - {{destination: {{host: echo, subset: a}}, weight: {weight}}}\n    \
                 - {{destination: {{host: echo, subset: b}}, weight: {}, headers: {{request: {{set: {{x-to: b}}}}}}}}",
                100 - weight
            )
            .unwrap();
        }
    }
    match rng.random_range(0..5) {
        0 => text.push_str("    rewrite: {uri: /rewritten}\n"),
        1 => text.push_str("    rewrite: {uri: /r, authority: rewritten.example}\n"),
        2 => text.push_str("    fault: {abort: {httpStatus: 555, percentage: {value: 100}}}\n"),
        3 => text.push_str(
            "    headers: {request: {set: {x-set: \"1\"}, remove: [x-team]}}\n    timeout: 20s\n",
        ),
        _ => {}
    }
}

fn authorization(text: &mut String, rng: &mut SmallRng, number: usize) {
    let action = pick(rng, &["ALLOW", "DENY"]);
    write!(
        text,
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p{number}}}\n\
         spec:\n  selector: {{matchLabels: {{app: echo}}}}\n  action: {action}\n  rules:\n"
    )
    .unwrap();
    let principal = pick(
        rng,
        &["*/sa/client", "cluster.local/ns/default/sa/other", "*"],
    );
    let operation = match rng.random_range(0..4) {
        0 => format!("methods: [{}]", pick(rng, &METHODS)),
        1 => format!(
            "paths: [\"{}\"]",
            pick(rng, &["/a*", "*b", "/rewritten", "/api/{*}/items"])
        ),
        2 => format!("notPaths: [\"{}\"]", pick(rng, &["/a*", "/"])),
        _ => "ports: [\"9000\"]".to_owned(),
    };
    writeln!(text, "  - from: [{{source: {{principals: [\"{principal}\"]}}}}]\n    to: [{{operation: {{{operation}}}}}]").unwrap();
    if rng.random_bool(0.3) {
        writeln!(
            text,
            "    when: [{{key: \"request.headers[x-user]\", values: [{}]}}]",
            pick(rng, &VALUES)
        )
        .unwrap();
    }
}

// === Requests ===

#[derive(Debug)]
struct Case {
    host: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn random(rng: &mut SmallRng) -> Self {
        let mut headers = Vec::new();
        for name in HEADERS {
            if rng.random_bool(0.4) {
                headers.push((name, pick(rng, &VALUES)));
            }
        }
        Self {
            host: pick(
                rng,
                &["echo", "echo.default", "echo.default.svc.cluster.local"],
            ),
            method: pick(rng, &METHODS),
            path: pick(rng, &PATHS),
            headers,
        }
    }

    fn request(&self) -> Request<Bytes> {
        let mut builder = Request::builder()
            .method(self.method)
            .uri(format!("http://{}:9000{}", self.host, self.path))
            .header("host", format!("{}:9000", self.host));
        for (name, value) in &self.headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Bytes::new()).unwrap()
    }

    /// The client's side, and the servers' side for each workload that it may reach.
    async fn explain(&self, mesh: &LaptopMesh) -> (OutboundReport, Vec<(String, InboundReport)>) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut question = ExplainRequest {
            host: self.host.to_owned(),
            port: 9000,
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            headers: self.headers.iter().map(own).collect(),
            ..ExplainRequest::default()
        };
        question
            .headers
            .push(("host".to_owned(), format!("{}:9000", self.host)));
        let outbound = ask(mesh, "client", "/v1/explain", &question)
            .await
            .outbound
            .unwrap();
        let mut servers = Vec::new();
        if outbound.action == "forward" {
            question.source_identity =
                Some("spiffe://cluster.local/ns/default/sa/client".to_owned());
            question.path = outbound.sent_path.clone().unwrap();
            question.headers.pop();
            question
                .headers
                .push(("host".to_owned(), outbound.sent_authority.clone().unwrap()));
            for name in ["echo-a", "echo-b"] {
                let report = ask(mesh, name, "/v1/explain?direction=inbound", &question).await;
                servers.push((name.to_owned(), report.inbound.unwrap()));
            }
        }
        (outbound, servers)
    }
}

async fn ask(
    mesh: &LaptopMesh,
    workload: &str,
    path: &str,
    question: &ExplainRequest,
) -> ExplainReport {
    let body = serde_json::to_vec(question).unwrap().into();
    serde_json::from_value(
        mesh.proxy(workload, Method::POST, path, body)
            .await
            .unwrap(),
    )
    .unwrap()
}

// === Comparison ===

enum Outcome {
    Forwarded,
    Denied,
    MadeUp,
}

fn check(
    (outbound, servers): &(OutboundReport, Vec<(String, InboundReport)>),
    seen: &Answer,
) -> Result<Outcome, String> {
    let header = |name: &str| {
        seen.headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let reason = header("x-mesh-reason");
    if outbound.action == "respond" {
        return same("status", &outbound.status, &Some(seen.status.as_u16()))
            .and_then(|()| same("location", &outbound.location, &header("location")))
            .map(|()| Outcome::MadeUp);
    }
    if let Some(fault) = &outbound.fault
        && fault.abort_percent > 99.0
    {
        return same("status", &555, &seen.status.as_u16()).map(|()| Outcome::MadeUp);
    }
    let possible: Vec<&str> = outbound
        .destinations
        .iter()
        .filter(|destination| destination.percent > 0.0)
        .flat_map(|destination| &destination.endpoints)
        .map(|endpoint| endpoint.uid.rsplit('/').next().unwrap())
        .collect();
    let allowed = |name: &str| {
        servers
            .iter()
            .any(|(server, inbound)| server == name && inbound.verdict.allowed)
    };
    match seen.status.as_u16() {
        200 => {
            let got: Seen =
                serde_json::from_slice(&seen.body).map_err(|error| error.to_string())?;
            if !possible.contains(&got.server.as_str()) {
                return Err(format!(
                    "{} answered, possible are {possible:?}",
                    got.server
                ));
            }
            if !allowed(&got.server) {
                return Err(format!("{} answered, though it denies", got.server));
            }
            same(
                "path",
                &outbound.sent_path.as_deref(),
                &Some(got.path.as_str()),
            )?;
            same(
                "authority",
                &outbound.sent_authority.as_deref(),
                &Some(got.host.as_str()),
            )?;
            Ok(Outcome::Forwarded)
        }
        403 if reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("authorization_")) =>
        {
            if possible.iter().all(|name| allowed(name)) {
                return Err("denied, though every possible server allows it".to_owned());
            }
            Ok(Outcome::Denied)
        }
        503 if possible.is_empty() => Ok(Outcome::MadeUp),
        other => Err(format!("status {other}, reason {reason:?}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, seen: &T) -> Result<(), String> {
    if expected == seen {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, seen {seen:?}"))
    }
}
