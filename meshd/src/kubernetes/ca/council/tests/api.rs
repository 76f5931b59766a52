//! An API server of the test.

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Objects by path, as the API server keeps them.
#[derive(Default)]
pub(super) struct Api0 {
    objects: std::sync::Mutex<BTreeMap<String, Value>>,
    // Who has applied which data to which object.
    applied: std::sync::Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
    version: AtomicUsize,
}

// === impl Api0 ===

impl Api0 {
    /// For a replica that can be cut off.
    pub(super) fn client(self: &Arc<Self>, cut: &Arc<AtomicBool>) -> Client {
        let (api, cut) = (Arc::clone(self), Arc::clone(cut));
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&api);
            let cut = cut.load(Ordering::Relaxed);
            async move {
                if cut {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let object = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let query = parts.uri.query().unwrap_or_default();
                let (code, answer) = api.answer(&parts.method, parts.uri.path(), query, object);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "istio-system")
    }

    pub(super) fn answer(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        mut object: Value,
    ) -> (StatusCode, Value) {
        let refuse = |code: StatusCode, reason: &str| {
            let status = json!({"status": "Failure", "code": code.as_u16(), "reason": reason, "message": reason});
            (code, status)
        };
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let version = (self.version.fetch_add(1, Ordering::Relaxed) + 1).to_string();
        let path = match method {
            &Method::POST => format!("{path}/{}", object["metadata"]["name"].as_str().unwrap()),
            _ => path.to_owned(),
        };
        if let Some(name) = query.split_once("fieldSelector=metadata.name%3D") {
            let name = name.1.split('&').next().unwrap_or_default();
            let found = objects.get(&format!("{path}/{name}"));
            let items: Vec<_> = found.into_iter().cloned().collect();
            return (StatusCode::OK, json!({"metadata": {}, "items": items}));
        }
        let found = objects.get(&path).cloned();
        match (method.as_str(), found) {
            ("GET", Some(found)) => return (StatusCode::OK, found),
            ("GET" | "PUT" | "DELETE", None) => {
                return refuse(StatusCode::NOT_FOUND, "NotFound");
            }
            ("POST", Some(_)) => return refuse(StatusCode::CONFLICT, "AlreadyExists"),
            ("PUT", Some(found))
                if found["metadata"]["resourceVersion"]
                    != object["metadata"]["resourceVersion"] =>
            {
                return refuse(StatusCode::CONFLICT, "Conflict");
            }
            ("DELETE", Some(_)) => {
                self.applied.lock().unwrap().remove(&path);
                objects.remove(&path);
                return (StatusCode::OK, json!({"status": "Success"}));
            }
            ("PATCH", Some(found))
                if object["metadata"]["resourceVersion"].is_string()
                    && found["metadata"]["resourceVersion"]
                        != object["metadata"]["resourceVersion"] =>
            {
                return refuse(StatusCode::CONFLICT, "Conflict");
            }
            ("PATCH", _) => {
                let manager = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("fieldManager="));
                let mut applied = self.applied.lock().unwrap();
                let owners = applied.entry(path.clone()).or_default();
                owners.insert(manager.unwrap().to_owned(), object["data"].clone());
                let data = owners.values().filter_map(Value::as_object).flatten();
                object["data"] = data
                    .map(|(name, text)| (name.clone(), text.clone()))
                    .collect();
            }
            _ => {}
        }
        object["metadata"]["resourceVersion"] = version.into();
        objects.insert(path, object.clone());
        (StatusCode::OK, object)
    }

    pub(super) fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let path = format!("/api/v1/namespaces/istio-system/{kind}/{name}");
        self.objects.lock().unwrap().get(&path).cloned()
    }

    /// The pod of a replica is there, or not any more.
    pub(super) fn pod(&self, number: usize, there: bool) {
        let path = format!("/api/v1/namespaces/istio-system/pods/meshd-{number}");
        let mut objects = self.objects.lock().unwrap();
        match there {
            true => objects.insert(
                path,
                json!({"metadata": {"name": format!("meshd-{number}")}}),
            ),
            false => objects.remove(&path),
        };
    }

    pub(super) fn secret_names(&self) -> BTreeSet<String> {
        let secret = self.get("secrets", "mesh-ca").unwrap();
        secret["data"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }
}
