//! What the status of Ingresses should say: where those are reached that the mesh serves (Istio:
//! `status.go` of pilot/pkg/config/kube/ingress). Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use meshd_core::{MeshSettings, ObjectKey, World};
use serde_json::{Value, json};

/// Namespace and name.
pub(super) type Name = (String, String);

/// Where something is reached: an entry of `status.loadBalancer.ingress`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Ip(String),
    Hostname(String),
}

/// What the source sees of an object that the status of Ingresses depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// An Ingress, and what its status says.
    Ingress(Shown),
    /// Where a Service is reached from outside.
    Service(Addresses),
    /// Where a node is reached from outside.
    Node(Addresses),
    /// A running pod of a gateway: the value of its label `istio`, and its node.
    Gateway(String, String),
    /// Nothing that matters any more.
    Nothing,
}

/// An Ingress on the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    uid: String,
    addresses: Addresses,
}

/// Sorted, each once.
pub(crate) type Addresses = BTreeSet<Address>;

/// All facts.
#[derive(Debug, Default)]
pub(super) struct Picture {
    ingresses: BTreeMap<Name, Followed>,
    services: BTreeMap<Name, Addresses>,
    nodes: BTreeMap<String, Addresses>,
    gateways: BTreeMap<Name, (String, String)>,
}

#[derive(Debug, Default)]
struct Followed {
    shown: Shown,
    /// What it shows was written by this process.
    ours: bool,
    /// What the API server does not take.
    refused: Option<Addresses>,
}

/// A status to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) uid: String,
    /// Empty takes away what we have written.
    pub(super) addresses: Addresses,
}

// === impl Address ===

impl Address {
    fn of(text: &str) -> Option<Self> {
        match text.parse::<IpAddr>() {
            Ok(_) => Some(Self::Ip(text.to_owned())),
            Err(_) if text.is_empty() => None,
            Err(_) => Some(Self::Hostname(text.to_owned())),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Ip(ip) => json!({ "ip": ip }),
            Self::Hostname(name) => json!({ "hostname": name }),
        }
    }
}

/// Of a `status` with a `loadBalancer`.
fn load_balancer(object: &Value) -> Addresses {
    let entries = object.pointer("/status/loadBalancer/ingress");
    items(entries)
        .filter_map(|entry| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            // Istio: the address goes before the name.
            Address::of(text("ip")).or_else(|| Address::of(text("hostname")))
        })
        .collect()
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let value = object.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default()
}

// === impl Fact ===

impl Fact {
    /// What an object, as it comes from the API server, means here; absent if nothing, whatever
    /// it meant before.
    pub(crate) fn of(key: &ObjectKey, object: &Value) -> Option<Self> {
        let fact = match (key.group.as_str(), key.kind.as_str()) {
            ("networking.k8s.io", "Ingress") => Self::Ingress(Shown {
                uid: text(object, "/metadata/uid").to_owned(),
                addresses: load_balancer(object),
            }),
            ("", "Service") => Self::Service(service(object)),
            ("", "Node") => Self::Node(node(object)),
            ("", "Pod") => {
                let label = text(object, "/metadata/labels/istio");
                match (label, text(object, "/status/phase")) {
                    ("", _) => return None,
                    (_, "Running") => {
                        let node = text(object, "/spec/nodeName");
                        Self::Gateway(label.to_owned(), node.to_owned())
                    }
                    _ => Self::Nothing,
                }
            }
            _ => return None,
        };
        Some(fact)
    }
}

fn service(object: &Value) -> Addresses {
    if text(object, "/spec/type") == "ExternalName" {
        let name = text(object, "/spec/externalName");
        return Address::of(name).into_iter().collect();
    }
    let external = items(object.pointer("/spec/externalIPs")).filter_map(Value::as_str);
    let mut addresses = load_balancer(object);
    addresses.extend(external.filter_map(Address::of));
    addresses
}

fn node(object: &Value) -> Addresses {
    items(object.pointer("/status/addresses"))
        .filter(|address| text(address, "/type") == "ExternalIP")
        .filter_map(|address| Address::of(text(address, "/address")))
        .collect()
}

// === impl Picture ===

impl Picture {
    /// Takes what is new. Says whether anything may have to be written.
    pub(super) fn take(&mut self, key: &ObjectKey, fact: Fact) -> bool {
        let name = (key.namespace.clone(), key.name.clone());
        match fact {
            Fact::Ingress(shown) => {
                let followed = self.ingresses.entry(name).or_default();
                if followed.shown.uid != shown.uid {
                    *followed = Followed::default();
                }
                let changed = followed.shown != shown;
                followed.shown = shown;
                changed
            }
            Fact::Service(addresses) => set(&mut self.services, name, addresses),
            Fact::Node(addresses) => set(&mut self.nodes, name.1, addresses),
            Fact::Gateway(label, node) => {
                let pod = (label, node);
                self.gateways.insert(name, pod.clone()) != Some(pod)
            }
            Fact::Nothing => self.gone(key),
        }
    }

    /// Forgets an object.
    pub(super) fn gone(&mut self, key: &ObjectKey) -> bool {
        let name = (key.namespace.clone(), key.name.clone());
        match key.kind.as_str() {
            // There is nothing to write on what is gone.
            "Ingress" => {
                self.ingresses.remove(&name);
                false
            }
            "Service" => self.services.remove(&name).is_some(),
            "Node" => self.nodes.remove(&name.1).is_some(),
            "Pod" => self.gateways.remove(&name).is_some(),
            _ => false,
        }
    }

    /// Where the gateways are reached that serve Ingresses: at their Service, or, if the settings
    /// name none, at the nodes of their pods.
    pub(super) fn addresses(&self, settings: &MeshSettings) -> Addresses {
        let (namespace, service) = (&settings.root_namespace, &settings.ingress.service);
        if !service.is_empty() {
            let name = (namespace.clone(), service.clone());
            return self.services.get(&name).cloned().unwrap_or_default();
        }
        let label = settings.ingress.gateway_label();
        self.gateways
            .iter()
            .filter(|((place, _), (value, _))| place == namespace && value == label)
            .filter_map(|(_, (_, node))| self.nodes.get(node))
            .flatten()
            .cloned()
            .collect()
    }

    /// What is to be written. An Ingress that is not ours keeps what others have written.
    pub(super) fn due(&self, world: &World) -> BTreeMap<Name, Due> {
        let addresses = self.addresses(world.settings());
        let served: BTreeSet<(&str, &str)> = world
            .ingresses()
            .iter()
            .map(|ingress| (ingress.namespace.as_str(), ingress.name.as_str()))
            .collect();
        let mut due = BTreeMap::new();
        for (name, followed) in &self.ingresses {
            let shown = &followed.shown.addresses;
            let wanted = if served.contains(&(name.0.as_str(), name.1.as_str())) {
                &addresses
            } else if followed.ours || *shown == addresses {
                // It was ours: another controller has other addresses.
                &Addresses::new()
            } else {
                continue;
            };
            if shown != wanted && followed.refused.as_ref() != Some(wanted) {
                let status = Due {
                    uid: followed.shown.uid.clone(),
                    addresses: wanted.clone(),
                };
                due.insert(name.clone(), status);
            }
        }
        due
    }

    /// This status was written, or was refused for good.
    pub(super) fn done(&mut self, name: &Name, due: Due, taken: bool) {
        let Some(followed) = self.ingresses.get_mut(name) else {
            return;
        };
        if followed.shown.uid != due.uid {
            return;
        }
        if taken {
            followed.ours = !due.addresses.is_empty();
            followed.refused = None;
            followed.shown.addresses = due.addresses;
        } else {
            followed.refused = Some(due.addresses);
        }
    }
}

/// Whether it is another. What has no address is not held.
fn set<K: Ord>(held: &mut BTreeMap<K, Addresses>, name: K, addresses: Addresses) -> bool {
    if addresses.is_empty() {
        return held.remove(&name).is_some();
    }
    if held.get(&name) == Some(&addresses) {
        return false;
    }
    held.insert(name, addresses);
    true
}

// === impl Due ===

impl Due {
    /// The `status` to apply.
    pub(super) fn status(&self) -> Value {
        if self.addresses.is_empty() {
            return json!({ "loadBalancer": {} });
        }
        let ingress: Vec<Value> = self.addresses.iter().map(Address::json).collect();
        json!({ "loadBalancer": { "ingress": ingress } })
    }
}

#[cfg(test)]
mod tests {
    use meshd_core::Store;

    use super::*;

    fn ingress(name: &str, class: &str, status: &Value) -> Value {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {
                "name": name, "namespace": "shop", "uid": name,
                "annotations": { "kubernetes.io/ingress.class": class },
            },
            "spec": { "defaultBackend": { "service": { "name": "a", "port": { "number": 80 } } } },
            "status": status,
        })
    }

    fn gateway(spec: &Value, status: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "istio-ingressgateway", "namespace": "istio-system" },
            "spec": spec, "status": status,
        })
    }

    fn shows(addresses: &Value) -> Value {
        json!({ "loadBalancer": { "ingress": addresses } })
    }

    /// Takes objects; what is to be written then.
    fn due(
        picture: &mut Picture,
        settings: &MeshSettings,
        objects: &[Value],
    ) -> Vec<(String, Value)> {
        let mut store = Store::new();
        for object in objects {
            store.set_object(object);
            let key = ObjectKey::of(object);
            if let Some(fact) = Fact::of(&key, object) {
                picture.take(&key, fact);
            }
        }
        let due = picture.due(&store.world(settings));
        due.iter()
            .map(|((_, name), due)| {
                (
                    name.clone(),
                    due.status()["loadBalancer"]["ingress"].clone(),
                )
            })
            .collect()
    }

    #[test]
    fn shows_the_addresses_of_the_gateways_service() {
        let own = json!([{ "ip": "10.0.0.9" }]);
        let cases = [
            (
                json!({}),
                shows(&json!([{ "ip": "10.0.0.2" }, { "ip": "10.0.0.1", "ports": [] }])),
                json!([{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }]),
            ),
            (
                json!({ "externalIPs": ["192.0.2.1"] }),
                shows(&json!([{ "hostname": "lb.example" }])),
                json!([{ "ip": "192.0.2.1" }, { "hostname": "lb.example" }]),
            ),
            (
                json!({ "type": "ExternalName", "externalName": "out.example" }),
                json!({}),
                json!([{ "hostname": "out.example" }]),
            ),
            // What is not there any more is not shown any more.
            (
                json!({ "type": "NodePort" }),
                json!({ "loadBalancer": {} }),
                Value::Null,
            ),
        ];
        for (spec, status, want) in cases {
            let objects = [
                ingress("ours", "istio", &shows(&own)),
                ingress("theirs", "nginx", &shows(&own)),
                gateway(&spec, &status),
            ];
            let found = due(&mut Picture::default(), &MeshSettings::default(), &objects);
            assert_eq!(found, [("ours".to_owned(), want)], "{spec}");
        }
    }

    #[test]
    fn writes_nothing_twice_and_takes_its_own_away() {
        let settings = MeshSettings::default();
        let address = json!([{ "ip": "10.0.0.1" }]);
        let service = gateway(&json!({}), &shows(&address));
        let mut picture = Picture::default();
        let name = ("shop".to_owned(), "a".to_owned());
        let wanted = |addresses: &Value| vec![("a".to_owned(), addresses.clone())];
        let empty = ingress("a", "istio", &Value::Null);
        let objects = [empty.clone(), service.clone()];
        assert_eq!(due(&mut picture, &settings, &objects), wanted(&address));
        let status = |addresses: Addresses| Due {
            uid: "a".to_owned(),
            addresses,
        };
        let all = picture.addresses(&settings);
        picture.done(&name, status(all.clone()), false);
        assert_eq!(
            due(&mut picture, &settings, &objects),
            [],
            "refused for good"
        );
        picture.done(&name, status(all), true);
        let written = ingress("a", "istio", &shows(&address));
        assert_eq!(
            due(&mut picture, &settings, &[written, service.clone()]),
            []
        );
        // Another class: whatever it shows that we wrote goes, also by another process.
        let other = ingress("a", "nginx", &shows(&address));
        for picture in [&mut picture, &mut Picture::default()] {
            let found = due(picture, &settings, &[other.clone(), service.clone()]);
            assert_eq!(found, wanted(&Value::Null));
        }
        picture.done(&name, status(Addresses::new()), true);
        let foreign = ingress("a", "nginx", &shows(&json!([{ "ip": "10.0.0.7" }])));
        assert_eq!(due(&mut picture, &settings, &[foreign, service]), []);
    }

    #[test]
    fn shows_the_nodes_of_gateways_without_a_service() {
        let mut settings = MeshSettings::default();
        settings.ingress.service = String::new();
        let node = |name: &str, ip: &str| {
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
                "status": { "addresses": [{ "type": "InternalIP", "address": "10.1.1.1" }, { "type": "ExternalIP", "address": ip }] },
            })
        };
        let pod = |name: &str, node: &str, phase: &str| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": name, "namespace": "istio-system", "labels": { "istio": "ingressgateway" } },
                "spec": { "nodeName": node, "containers": [] }, "status": { "phase": phase },
            })
        };
        let objects = [
            node("one", "192.0.2.1"),
            node("two", "192.0.2.2"),
            pod("a", "one", "Running"),
            pod("b", "two", "Pending"),
            ingress("ours", "istio", &Value::Null),
        ];
        let mut picture = Picture::default();
        let found = due(&mut picture, &settings, &objects);
        assert_eq!(found, [("ours".to_owned(), json!([{ "ip": "192.0.2.1" }]))]);
        assert!(picture.gone(&ObjectKey::of(&objects[2])));
        assert!(picture.addresses(&settings).is_empty());
    }
}
