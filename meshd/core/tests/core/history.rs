//! Worlds built one from another: sessions that are told only what changed hold the same as if
//! everything were compiled anew.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::ResourceName;
use mesh_api::v1::{Ack, DiscoveryRequest, Node, Resource};
use meshd_core::session::Session;
use meshd_core::{MeshSettings, ObjectKey, Scope, Store, World, translate};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::{endpoint, node, over, pod, service, slice};

const APPS: [&str; 3] = ["a", "b", "c"];
/// Pods of one name may be of any of the apps.
const PODS: u8 = 5;

/// What may happen in a cluster.
#[derive(Clone, Debug)]
enum Event {
    /// A pod comes or changes: its app, its labels, whether it is ready.
    Pod {
        number: u8,
        app: usize,
        version: u8,
        ready: bool,
    },
    PodGone(u8),
    /// The slice of an app names these pods, ready or not, whether they are there or not.
    Slice {
        app: usize,
        pods: Vec<(u8, bool)>,
    },
    Service {
        app: usize,
        headless: bool,
    },
    ServiceGone(usize),
    Rule {
        app: usize,
        version: u8,
    },
    RuleGone(usize),
    /// Clients may ask for one app only.
    Scope(usize),
    ScopeGone,
    Route {
        app: usize,
        version: Option<u8>,
    },
    Zone(u8),
    /// An entry of mesh.example for pods of an app.
    Entry(usize),
    Mtls(&'static str),
    /// Nothing is published in between.
    Quiet,
}

fn event() -> impl Strategy<Value = Event> {
    let app = || 0..APPS.len();
    let pods = prop::collection::vec((0..PODS, prop::bool::ANY), 0..4);
    prop_oneof![
        4 => (0..PODS, app(), 1..3_u8, prop::bool::ANY).prop_map(|(number, app, version, ready)| Event::Pod { number, app, version, ready }),
        2 => (0..PODS).prop_map(Event::PodGone),
        6 => (app(), pods).prop_map(|(app, pods)| Event::Slice { app, pods }),
        1 => (app(), prop::bool::ANY).prop_map(|(app, headless)| Event::Service { app, headless }),
        1 => app().prop_map(Event::ServiceGone),
        1 => (app(), 1..3_u8).prop_map(|(app, version)| Event::Rule { app, version }),
        1 => app().prop_map(Event::RuleGone),
        1 => app().prop_map(Event::Scope),
        1 => Just(Event::ScopeGone),
        1 => (app(), prop::option::of(1..3_u8)).prop_map(|(app, version)| Event::Route { app, version }),
        1 => (0..3_u8).prop_map(Event::Zone),
        1 => app().prop_map(Event::Entry),
        1 => prop::sample::select(vec!["STRICT", "DISABLE"]).prop_map(Event::Mtls),
        3 => Just(Event::Quiet),
    ]
}

fn app(index: usize) -> &'static str {
    APPS[index % APPS.len()]
}

fn istio(kind: &str, name: &str, spec: &Value) -> Value {
    let group = if kind == "PeerAuthentication" {
        "security"
    } else {
        "networking"
    };
    json!({ "apiVersion": format!("{group}.istio.io/v1"), "kind": kind, "metadata": { "namespace": "default", "name": name }, "spec": spec })
}

fn happen(store: &mut Store, event: &Event) {
    let remove = |store: &mut Store, object: Value| store.remove_object(&ObjectKey::of(&object));
    match event {
        Event::Pod {
            number,
            app: index,
            version,
            ready,
        } => {
            let more = json!({
                "metadata": { "labels": { "version": format!("v{version}") } },
                "status": { "conditions": [{ "type": "Ready", "status": if *ready { "True" } else { "False" } }] },
            });
            let (name, address) = (format!("p-{number}"), format!("10.0.0.{number}"));
            store.set_object(&over(pod(&name, app(*index), &address), &more));
        }
        Event::PodGone(number) => remove(store, pod(&format!("p-{number}"), "a", "10.0.0.1")),
        Event::Slice { app: index, pods } => store.set_object(&endpoints(app(*index), pods)),
        Event::Service {
            app: index,
            headless,
        } => {
            let ports = json!([{ "name": "http", "port": 80, "targetPort": "web" }]);
            let address = if *headless {
                "None".to_owned()
            } else {
                format!("10.96.0.{}", index + 1)
            };
            let more = json!({ "spec": { "clusterIP": address } });
            store.set_object(&over(service(app(*index), &ports), &more));
        }
        Event::ServiceGone(index) => remove(store, service(app(*index), &json!([]))),
        Event::Rule {
            app: index,
            version,
        } => store.set_object(&istio(
            "DestinationRule",
            app(*index),
            &json!({ "host": app(*index), "workloadSelector": { "matchLabels": { "version": format!("v{version}") } }, "trafficPolicy": { "outlierDetection": {} }, "subsets": [{ "name": "one", "labels": { "version": "v1" } }] }),
        )),
        Event::Scope(index) => {
            let hosts = json!([format!("./{}.default.svc.cluster.local", app(*index))]);
            let spec = json!({ "egress": [{ "hosts": hosts }] });
            store.set_object(&istio("Sidecar", "scope", &spec));
        }
        Event::ScopeGone => remove(store, istio("Sidecar", "scope", &json!({}))),
        Event::RuleGone(index) => {
            remove(store, istio("DestinationRule", app(*index), &json!({})));
        }
        Event::Route {
            app: index,
            version,
        } => {
            let to = |host: &str| json!([{ "destination": { "host": host } }]);
            let mut http = vec![json!({ "route": to(app(index + 1)) })];
            if let Some(version) = version {
                let source = json!([{ "sourceLabels": { "version": format!("v{version}") } }]);
                http.insert(0, json!({ "match": source, "route": to(app(index + 2)) }));
            }
            store.set_object(&istio(
                "VirtualService",
                app(*index),
                &json!({ "hosts": [app(*index)], "http": http }),
            ));
        }
        Event::Zone(zone) => store.set_object(&zone_of_node(*zone)),
        Event::Entry(index) => store.set_object(&istio(
            "ServiceEntry",
            "mesh",
            &json!({
                "hosts": ["mesh.example"], "resolution": "STATIC", "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
                "workloadSelector": { "labels": { "app": app(*index) } },
            }),
        )),
        Event::Mtls(mode) => store.set_object(&istio(
            "PeerAuthentication",
            "default",
            &json!({ "mtls": { "mode": mode } }),
        )),
        Event::Quiet => {}
    }
}

fn endpoints(app: &str, pods: &[(u8, bool)]) -> Value {
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|(number, ready)| {
            let (name, address) = (format!("p-{number}"), format!("10.0.0.{number}"));
            let conditions = json!({ "ready": ready, "serving": ready });
            endpoint(&address, &name, &conditions)
        })
        .collect();
    slice(app, app, ("http", 8080), &endpoints)
}

fn zone_of_node(zone: u8) -> Value {
    let zone = format!("z{zone}");
    let labels =
        json!({ "topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": zone });
    node("node-1", &labels)
}

/// A proxy at the other end of a session.
struct Proxy {
    session: Session,
    scope: Scope,
    roots: BTreeSet<ResourceName>,
    held: BTreeMap<ResourceName, Resource>,
}

impl Proxy {
    fn new(world: &World, workload: &str, roots: &[&str]) -> Self {
        let version = [("version", "v1")];
        let scope = crate::mesh::sidecar(world, workload, &version);
        let mut session = Session::new(scope.clone());
        session
            .on_request(&DiscoveryRequest {
                node: Some(Node::default()),
                subscribe: roots.iter().map(|&root| root.to_owned()).collect(),
                ..DiscoveryRequest::default()
            })
            .unwrap();
        Self {
            session,
            scope,
            roots: roots.iter().map(|root| root.parse().unwrap()).collect(),
            held: BTreeMap::new(),
        }
    }

    /// Takes what a World brings, and compares it with what a World of nothing but the same
    /// objects gives.
    fn follow(&mut self, world: &World, alone: &World, revision: u64) {
        if let Some(response) = self.session.next(world, revision) {
            for name in &response.removed {
                let name: ResourceName = name.parse().unwrap();
                assert!(self.held.remove(&name).is_some(), "{name} was not held");
            }
            for resource in response.upsert {
                let name: ResourceName = resource.name.parse().unwrap();
                let old = self.held.insert(name, resource.clone());
                assert_ne!(old.as_ref(), Some(&resource), "sent again");
            }
            let ack = Ack {
                nonce: response.nonce,
                revision,
                rejected: Vec::new(),
            };
            let request = DiscoveryRequest {
                ack: Some(ack),
                ..DiscoveryRequest::default()
            };
            self.session.on_request(&request).unwrap();
        }
        let want = translate(alone, &self.scope, &self.roots);
        let names: Vec<_> = self.held.keys().collect();
        assert_eq!(names, want.keys().collect::<Vec<_>>());
        for (name, resource) in &want {
            assert_eq!(self.held[name], **resource);
        }
        assert_eq!(self.session.acked_revision(), revision);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn sessions_that_follow_changes_hold_what_everything_compiled_anew_gives(
        events in prop::collection::vec(event(), 1..40),
        behind in prop::collection::vec(prop::bool::ANY, 40),
    ) {
        let settings = MeshSettings::default();
        let mut store = Store::new();
        for index in 0..APPS.len() {
            happen(&mut store, &Event::Service { app: index, headless: index == 2 });
        }
        happen(&mut store, &Event::Zone(0));
        happen(&mut store, &Event::Pod { number: 0, app: 0, version: 1, ready: true });
        let mut world = store.world(&settings);
        let routes = ["mesh/default", "inbound/self", "routes/a:80", "routes/b:80", "name/a"];
        let addresses = ["inbound/self", "address/10.96.0.1:80", "address/10.0.0.3:8080", "address/10.9.9.9:80"];
        let mut proxies = [
            Proxy::new(&world, "default/p-0", &routes),
            Proxy::new(&world, "default/p-0", &["inbound/self", "routes/c:80", "routes/mesh.example:80"]),
            Proxy::new(&world, "default/p-0", &addresses),
            Proxy::new(&world, "other/client", &["routes/a.default:80", "routes/nobody:80"]),
        ];
        let mut revision = 1;
        for (event, behind) in events.iter().zip(behind) {
            happen(&mut store, event);
            if matches!(event, Event::Quiet) {
                continue;
            }
            world = store.world_after(&settings, &world);
            let alone = store.world(&settings);
            prop_assert_eq!(world.digest(), alone.digest());
            prop_assert_eq!(world.problems(), alone.problems());
            revision += 1;
            for (index, proxy) in proxies.iter_mut().enumerate() {
                // Some miss Worlds in between.
                if !behind || index % 2 == 0 {
                    proxy.follow(&world, &alone, revision);
                }
            }
        }
        let last = store.world(&settings);
        for proxy in &mut proxies {
            proxy.follow(&world, &last, revision);
        }
    }
}

#[test]
fn one_endpoint_tells_only_those_who_use_its_service() {
    let settings = MeshSettings::default();
    let mut store = Store::new();
    for app in 0..3 {
        happen(
            &mut store,
            &Event::Service {
                app,
                headless: false,
            },
        );
    }
    for number in 0..3 {
        let (app, version, ready) = (usize::from(number), 1, true);
        happen(
            &mut store,
            &Event::Pod {
                number,
                app,
                version,
                ready,
            },
        );
    }
    let before = store.world(&settings);
    let mut user = Proxy::new(&before, "default/p-0", &["inbound/self", "routes/b:80"]);
    let mut other = Proxy::new(&before, "default/p-0", &["inbound/self", "routes/c:80"]);
    user.follow(&before, &before, 1);
    other.follow(&before, &before, 1);
    let pods = vec![(1, true)];
    happen(&mut store, &Event::Slice { app: 1, pods });
    let after = store.world_after(&settings, &before);
    assert!(other.session.holds(&after) && !user.session.holds(&after));
    let response = user.session.next(&after, 2).unwrap();
    let names: Vec<&str> = response.upsert.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["workload/default/p-1"]);
    // A second World after the same one knows nothing of the first.
    let branch = store.world_after(&settings, &before);
    happen(&mut store, &Event::PodGone(2));
    let on_branch = store.world_after(&settings, &branch);
    other.follow(&on_branch, &store.world(&settings), 3);
}
