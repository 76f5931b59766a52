//! Which route of which VirtualService takes a request at a gateway: random VirtualServices, what
//! the control plane compiles of them and the proxy decides by, beside a plain reading of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use http::Request;
use http::request::Parts;
use mesh_api::v1::{ProxyKind, Severity};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::plan::{self, HttpAction, Step};
use meshd_core::{MeshSettings, Store};
use rand::prelude::*;
use rand::rngs::SmallRng;

use crate::number;
use crate::proxies::snapshot;

/// Random configurations, 2 s in a debug build.
const WORLDS: u64 = 200;
/// Requests to each.
const REQUESTS: usize = 60;

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: gate, namespace: default }
spec: { address: 10.0.0.8, serviceAccount: gate, labels: { istio: gate } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gate, namespace: default }
spec:
  selector: { istio: gate }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*'] }]
";

const HOSTS: [&str; 6] = [
    "*",
    "*.com",
    "*.example.com",
    "a.example.com",
    "b.example.com",
    "other.org",
];
const ASKED: [&str; 6] = [
    "a.example.com",
    "A.Example.com:80",
    "b.example.com",
    "x.a.example.com",
    "other.org",
    "nobody.net",
];
const PATHS: [&str; 6] = ["/", "/a", "/a/", "/a/b", "/ab", "/b"];

/// A VirtualService.
struct Service {
    hosts: Vec<&'static str>,
    /// Of this gateway.
    is_bound: bool,
    rules: Vec<Rule>,
}

/// A rule, which answers by a status of its own.
struct Rule {
    matches: Vec<Match>,
    status: u16,
}

#[derive(Clone, Copy)]
enum Path {
    Exact(&'static str),
    Prefix(&'static str),
}

struct Match {
    path: Option<Path>,
    header: Option<&'static str>,
    method: Option<&'static str>,
    port: Option<u16>,
}

fn maybe<T>(rng: &mut SmallRng, chance: f64, make: impl FnOnce(&mut SmallRng) -> T) -> Option<T> {
    rng.random_bool(chance).then(|| make(rng))
}

fn one(rng: &mut SmallRng, from: &[&'static str]) -> &'static str {
    from.choose(rng).unwrap()
}

// === impl Service ===

impl Service {
    fn random(rng: &mut SmallRng, status: &mut u16) -> Self {
        let count = rng.random_range(1..=2);
        let rules = (0..rng.random_range(1..=3)).map(|_| {
            *status += 1;
            Rule {
                matches: (0..rng.random_range(0..=2))
                    .map(|_| Match::random(rng))
                    .collect(),
                status: *status,
            }
        });
        let rules = rules.collect();
        let mut hosts: Vec<_> = HOSTS.sample(rng, count).copied().collect();
        // Hosts that cover each other are refused in one object.
        if let [one, other] = hosts[..]
            && (fits(one, other).is_some() || fits(other, one).is_some())
        {
            hosts.pop();
        }
        Self {
            rules,
            hosts,
            is_bound: rng.random_bool(0.9),
        }
    }

    fn write(&self, text: &mut String, number: usize) {
        let gateway = if self.is_bound { "gate" } else { "another" };
        write!(
            text,
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: vs-{number}, namespace: default }}\nspec:\n  hosts: {:?}\n  gateways: [{gateway}]\n  http:\n",
            self.hosts
        )
        .unwrap();
        for rule in &self.rules {
            let all: Vec<String> = rule.matches.iter().map(Match::written).collect();
            let matches = match all.is_empty() {
                true => String::new(),
                false => format!("match: [{}], ", all.join(", ")),
            };
            let status = rule.status;
            writeln!(
                text,
                "  - {{ {matches}directResponse: {{ status: {status} }} }}"
            )
            .unwrap();
        }
    }

    /// Its routes, each with its condition: those after one that takes everything are dead.
    fn routes(&self) -> Vec<(Option<&Match>, u16)> {
        let mut routes = Vec::new();
        for rule in &self.rules {
            let here = rule
                .matches
                .iter()
                .filter(|one| one.port.is_none_or(|port| port == 80));
            let mut conditions: Vec<Option<&Match>> = here.map(Some).collect();
            if rule.matches.is_empty() {
                conditions.push(None);
            }
            for condition in conditions {
                routes.push((condition, rule.status));
                if condition.is_none_or(Match::takes_everything) {
                    return routes;
                }
            }
        }
        routes
    }
}

// === impl Match ===

impl Match {
    fn random(rng: &mut SmallRng) -> Self {
        Self {
            path: maybe(rng, 0.7, |rng| {
                let path = one(rng, &PATHS);
                match rng.random_bool(0.3) {
                    true => Path::Exact(path),
                    false => Path::Prefix(path),
                }
            }),
            header: maybe(rng, 0.3, |rng| one(rng, &["1", "2"])),
            method: maybe(rng, 0.2, |rng| one(rng, &["GET", "POST"])),
            port: maybe(rng, 0.2, |rng| *[80, 81].choose(rng).unwrap()),
        }
    }

    fn written(&self) -> String {
        let mut parts = Vec::new();
        match self.path {
            Some(Path::Exact(path)) => parts.push(format!("uri: {{ exact: {path} }}")),
            Some(Path::Prefix(path)) => parts.push(format!("uri: {{ prefix: {path} }}")),
            None => {}
        }
        parts.extend(
            self.header
                .map(|value| format!("headers: {{ x-a: {{ exact: '{value}' }} }}")),
        );
        parts.extend(
            self.method
                .map(|method| format!("method: {{ exact: {method} }}")),
        );
        parts.extend(self.port.map(|port| format!("port: {port}")));
        format!("{{ {} }}", parts.join(", "))
    }

    fn takes_everything(&self) -> bool {
        matches!(self.path, None | Some(Path::Prefix("/")))
            && self.header.is_none()
            && self.method.is_none()
    }

    fn takes(&self, parts: &Parts) -> bool {
        let path = parts.uri.path();
        let by_path = match self.path {
            None => true,
            Some(Path::Exact(wanted)) => path == wanted,
            Some(Path::Prefix(wanted)) => path.starts_with(wanted),
        };
        let header = parts.headers.get("x-a");
        by_path
            && self
                .header
                .is_none_or(|wanted| header.is_some_and(|found| found == wanted))
            && self.method.is_none_or(|wanted| parts.method == wanted)
    }
}

/// How well a name of the configuration fits a host: an exact one best, then the longest.
fn fits(name: &str, host: &str) -> Option<usize> {
    match name.strip_prefix('*') {
        Some("") => Some(0),
        Some(rest) => (host.len() > rest.len() && host.ends_with(rest)).then_some(rest.len()),
        None => (name == host).then_some(usize::MAX),
    }
}

/// The status of the route that takes a request (Istio: hosts of a gateway are merged, the routes
/// of the oldest VirtualService first, those that take everything last; one without routes for the
/// port has no virtual host).
fn wanted(services: &[Service], host: &str, parts: &Parts) -> u16 {
    let host = host.trim_end_matches(":80").to_ascii_lowercase();
    let bound: Vec<&Service> = services
        .iter()
        .filter(|one| one.is_bound && !one.routes().is_empty())
        .collect();
    let names = bound.iter().flat_map(|service| &service.hosts);
    let best = names
        .filter_map(|name| Some((fits(name, &host)?, *name)))
        .max();
    let Some((_, best)) = best else {
        return 404;
    };
    let of_host = bound.iter().filter(|service| service.hosts.contains(&best));
    let routes: Vec<_> = of_host.flat_map(|service| service.routes()).collect();
    let last = |route: &&(Option<&Match>, u16)| route.0.is_none_or(Match::takes_everything);
    let mut in_order = routes
        .iter()
        .filter(|route| !last(route))
        .chain(routes.iter().filter(last));
    in_order
        .find(|(condition, _)| condition.is_none_or(|condition| condition.takes(parts)))
        .map_or(404, |(_, status)| *status)
}

/// Absent if it answers otherwise than by a status, which no route of these asks for.
fn decided(gateway: &Snapshot, parts: &Parts, rng: &mut SmallRng) -> Option<u16> {
    match plan::gateway_http(gateway, 80, parts, rng) {
        Step::Ready(plan) => match plan.action {
            HttpAction::Respond(answer) => Some(answer.status.as_u16()),
            _ => None,
        },
        Step::Need(_) => None,
    }
}

fn request(rng: &mut SmallRng) -> (&'static str, Parts) {
    let host = one(rng, &ASKED);
    let mut builder = Request::builder()
        .method(one(rng, &["GET", "POST", "PUT"]))
        .uri(one(rng, &PATHS))
        .header("host", host);
    if let Some(value) = maybe(rng, 0.6, |rng| one(rng, &["1", "2"])) {
        builder = builder.header("x-a", value);
    }
    let (parts, ()) = builder.body(()).unwrap().into_parts();
    (host, parts)
}

#[test]
fn gateways_take_the_routes_that_virtual_services_say() {
    let seed = number("MESH_SEED", 20_261_124);
    let (mut answered, mut unknown) = (0, 0);
    for world in 0..number("MESH_WORLDS", WORLDS) {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(world));
        let (mut text, mut status) = (GATEWAY.to_owned(), 210);
        let count = rng.random_range(1..=4);
        let services: Vec<Service> = (0..count)
            .map(|_| Service::random(&mut rng, &mut status))
            .collect();
        for (number, service) in services.iter().enumerate() {
            service.write(&mut text, number);
        }
        let mut store = Store::new();
        store.set_file("input.yaml", &text);
        let world_of = store.world(&MeshSettings::default());
        let problems = world_of.problems().iter();
        let errors: Vec<_> = problems
            .filter(|problem| problem.severity() == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
        let gate = world_of.workloads().find(|view| view.uid == "default/gate");
        let roots = BTreeSet::from(["gateway/self".parse().unwrap()]);
        let gateway = snapshot(&world_of, &gate.unwrap(), ProxyKind::Gateway, roots);
        for _ in 0..REQUESTS {
            let (host, parts) = request(&mut rng);
            let wanted = wanted(&services, host, &parts);
            let found = decided(&gateway, &parts, &mut rng);
            assert_eq!(
                found,
                Some(wanted),
                "MESH_SEED={} MESH_WORLDS=1: {} {} of {host}, {:?}\n{text}",
                seed.wrapping_add(world),
                parts.method,
                parts.uri,
                parts.headers.get("x-a")
            );
            match wanted {
                404 => unknown += 1,
                _ => answered += 1,
            }
        }
    }
    // The generator would be worthless if it reached one kind of answers only.
    assert!(
        answered > unknown && unknown > answered / 20,
        "{answered} {unknown}"
    );
}
