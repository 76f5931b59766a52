//! The writer against an API server of one object.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use meshd_core::{MeshSettings, ObjectKey, Store};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::clock;
use crate::kubernetes::leader::Leadership;
use crate::kubernetes::metrics::ClusterMetrics;
use crate::kubernetes::requests::ApiRequests;
use crate::kubernetes::status::{Input, StatusWriter, Subject};
use crate::kubernetes::{Cluster, KubernetesSettings};
use crate::publish::Published;

/// Longer than any pause of the writer: time stands still, and goes on only if nobody works.
const LONG: Duration = Duration::from_secs(3600);

/// An HTTPRoute on an API server, which adds a default to what is written.
struct Server {
    object: Arc<Mutex<Value>>,
    written: mpsc::UnboundedReceiver<Value>,
    inputs: mpsc::UnboundedSender<Input>,
    published: watch::Sender<Arc<Published>>,
}

fn published(objects: &[&Value]) -> Arc<Published> {
    let mut store = Store::new();
    store.set_file(
        "services.yaml",
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{name: http, port: 80}]}}",
    );
    for object in objects {
        store.set_object(object);
    }
    let world = store.world(&MeshSettings::default());
    Arc::new(Published {
        revision: 1,
        digest: world.digest().to_owned(),
        problems: world.problems().to_vec(),
        at: clock::instant(),
        world,
    })
}

fn route(parent: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": "r", "namespace": "default", "uid": "u", "generation": 1, "resourceVersion": "1" },
        "spec": {
            "parentRefs": [{ "group": "", "kind": "Service", "name": parent }],
            "rules": [{ "backendRefs": [{ "name": "a", "port": 80 }] }],
        },
    })
}

/// The API server's next version of an object.
fn next_version(object: &mut Value) {
    let version = object["metadata"]["resourceVersion"].as_str().unwrap();
    let next = version.parse::<u32>().unwrap() + 1;
    object["metadata"]["resourceVersion"] = next.to_string().into();
}

fn answer(object: &Mutex<Value>, patch: &Value) -> (u16, Value) {
    let mut object = object.lock().unwrap();
    if patch["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
        let refused = json!({ "status": "Failure", "code": 409, "reason": "Conflict", "message": "Conflict" });
        return (409, refused);
    }
    object["status"] = patch["status"].clone();
    for parent in object["status"]["parents"].as_array_mut().unwrap() {
        parent["added"] = "by default".into();
    }
    next_version(&mut object);
    (200, object.clone())
}

// === impl Server ===

impl Server {
    fn start(object: Value) -> Self {
        let (report, written) = mpsc::unbounded_channel();
        let object = Arc::new(Mutex::new(object));
        let served = Arc::clone(&object);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (object, report) = (Arc::clone(&served), report.clone());
            async move {
                let (parts, body) = request.into_parts();
                assert_eq!(parts.method, Method::PATCH);
                let path =
                    "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r/status";
                assert_eq!(parts.uri.path(), path);
                let body = body.collect().await.unwrap().to_bytes();
                let patch: Value = serde_json::from_slice(&body).unwrap();
                let (code, answer) = answer(&object, &patch);
                report
                    .send(if code == 200 { patch } else { Value::Null })
                    .unwrap();
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        let requests = Arc::<ApiRequests>::default();
        let cluster = Cluster {
            client: Client::new(service, "default"),
            requests: Arc::clone(&requests),
            settings: Arc::new(KubernetesSettings::default()),
            mesh: MeshSettings::default(),
        };
        let first = published(&[&object.lock().unwrap()]);
        let (published, receiver) = watch::channel(first);
        let metrics = Arc::new(ClusterMetrics::new(requests));
        let (writer, inputs) = StatusWriter::new(&cluster, receiver, Leadership::held(), metrics);
        tokio::spawn(writer.run());
        Self {
            object,
            written,
            inputs,
            published,
        }
    }

    fn object(&self) -> Value {
        self.object.lock().unwrap().clone()
    }

    /// Changes the object.
    fn change(&self, how: impl FnOnce(&mut Value)) -> Value {
        let mut object = self.object.lock().unwrap();
        how(&mut object);
        next_version(&mut object);
        object.clone()
    }

    fn applied(&self, object: &Value) {
        let subjects = BTreeMap::from([(ObjectKey::of(object), Subject::of(object))]);
        self.inputs.send(Input::Applied(subjects)).unwrap();
    }

    fn seen(&self, object: &Value) {
        let subject = Box::new(Subject::of(object));
        self.inputs
            .send(Input::Seen(ObjectKey::of(object), subject))
            .unwrap();
    }

    /// What is written next; nothing once the writer rests.
    async fn next(&mut self) -> Option<Value> {
        timeout(LONG, self.written.recv()).await.ok().flatten()
    }
}

fn condition(patch: &Value, kind: &str) -> Value {
    let parents = patch["status"]["parents"].as_array().unwrap();
    let ours = parents
        .iter()
        .find(|parent| parent["controllerName"] == "istio.io/gateway-controller");
    let conditions = ours.unwrap()["conditions"].as_array().unwrap().iter();
    let mut found = conditions.filter(|condition| condition["type"] == kind);
    found.next().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn trap_72_status_is_written_once_and_bumped_with_the_generation() {
    let mut server = Server::start(route("a"));
    server.applied(&server.object());
    let first = server.next().await.unwrap();
    assert_eq!(first["metadata"]["uid"], "u");
    let accepted = condition(&first, "Accepted");
    assert_eq!(
        (&accepted["status"], &accepted["observedGeneration"]),
        (&json!("True"), &json!(1))
    );
    // Its own write comes back, with what the API server has added; and the World is another.
    server.seen(&server.object());
    server
        .published
        .send_replace(published(&[&server.object()]));
    assert_eq!(server.next().await, None, "nothing is written twice");

    let bumped = server.change(|object| object["metadata"]["generation"] = 2.into());
    server.applied(&bumped);
    let second = condition(&server.next().await.unwrap(), "Accepted");
    assert_eq!(second["observedGeneration"], 2);
    assert_eq!(second["lastTransitionTime"], accepted["lastTransitionTime"]);

    // Another object goes away, and with it what this one is for.
    let detached = server.change(|object| object["spec"]["parentRefs"][0]["name"] = "gone".into());
    server.published.send_replace(published(&[&detached]));
    server.seen(&detached);
    let third = condition(&server.next().await.unwrap(), "Accepted");
    assert_eq!(
        (&third["status"], &third["reason"]),
        (&json!("False"), &json!("NoMatchingParent"))
    );
    assert_eq!(server.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn trap_72_two_control_planes_of_one_name_do_not_correct_each_other() {
    let mut server = Server::start(route("a"));
    server.applied(&server.object());
    assert!(server.next().await.is_some());
    let other = server.change(|object| {
        object["status"]["parents"][0]["conditions"][0]["message"] = "in other words".into();
    });
    server.seen(&other);
    assert_eq!(server.next().await, None);
    let lost = server.change(|object| object["status"] = json!({ "parents": [] }));
    server.seen(&lost);
    let again = server.next().await.unwrap();
    assert_eq!(
        condition(&again, "Accepted")["status"],
        "True",
        "what is lost comes again"
    );
}

#[tokio::test(start_paused = true)]
async fn trap_72_entries_that_others_write_meanwhile_are_kept() {
    let mut server = Server::start(route("a"));
    let old = server.object();
    let foreign = json!({ "controllerName": "example.com/other", "parentRef": { "name": "x" }, "conditions": [] });
    let new = server.change(|object| object["status"] = json!({ "parents": [foreign] }));
    server.applied(&old);
    assert_eq!(
        server.next().await,
        Some(Value::Null),
        "it is another by now"
    );
    assert_eq!(
        server.next().await,
        None,
        "and waits until it is told which"
    );
    server.seen(&new);
    let written = server.next().await.unwrap();
    let parents = written["status"]["parents"].as_array().unwrap();
    assert_eq!((parents.len(), &parents[0]), (2, &foreign));
    assert_eq!(condition(&written, "ResolvedRefs")["status"], "True");
}
