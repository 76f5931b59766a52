//! Two replicas on an API server of the test replace the root together.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use mesh_ca::rotation::{Phase, RotateError, RotationRefusal, RotationStatus, Rotator};
use mesh_ca::{Authority, AuthorityOptions, Fingerprint, Ledger, Report};
use serde_json::Value;

use super::*;
use crate::kubernetes::ca::{AuthorityInCluster, Keeper};

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Objects by path, as the API server keeps them.
#[derive(Default)]
struct Api0 {
    objects: std::sync::Mutex<BTreeMap<String, Value>>,
    // Who has applied which data to which object.
    applied: std::sync::Mutex<BTreeMap<String, BTreeMap<String, Value>>>,
    version: AtomicUsize,
}

struct Replica {
    authority: Arc<Authority>,
    ledger: Arc<Ledger>,
    rotator: Arc<Rotator>,
    keeper: Keeper,
}

// === impl Api0 ===

impl Api0 {
    fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&api);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let object = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let query = parts.uri.query().unwrap_or_default();
                let (code, answer) = api.answer(&parts.method, parts.uri.path(), query, object);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Client::new(service, "istio-system")
    }

    fn answer(
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

    fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let path = format!("/api/v1/namespaces/istio-system/{kind}/{name}");
        self.objects.lock().unwrap().get(&path).cloned()
    }

    fn secret_names(&self) -> BTreeSet<String> {
        let secret = self.get("secrets", "mesh-ca").unwrap();
        secret["data"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }
}

// === impl Replica ===

impl Replica {
    async fn open(api: &Arc<Api0>, number: usize, leader: &Arc<AtomicUsize>) -> Self {
        let settings = AuthorityInCluster {
            namespace: "istio-system".to_owned(),
            options: AuthorityOptions::default(),
            audiences: Vec::new(),
            settle: Duration::ZERO,
            instance: format!("meshd-{number}"),
        };
        let ledger = Arc::new(Ledger::in_memory());
        let client = api.client();
        let opened = crate::kubernetes::ca::open(&client, &settings, &ledger);
        let opened = opened.await.unwrap();
        let leader = Arc::clone(leader);
        opened.council.link(
            move || leader.load(Ordering::Relaxed) == number,
            || {
                let pods = ["d/a", "d/b"];
                Expected::new(
                    pods.into_iter()
                        .map(|name| (name.to_owned(), ID.to_owned(), true)),
                )
            },
        );
        tokio::spawn(Arc::clone(&opened.rotator).run());
        Self {
            authority: opened.authority,
            ledger,
            rotator: opened.rotator,
            keeper: opened.keeper,
        }
    }

    /// A proxy that follows this replica says so.
    fn hear(&self, name: &str) {
        let roots = self.authority.roots_der();
        let report = Report {
            trusted: roots.iter().map(|der| Fingerprint::of(der)).collect(),
            vouching: [self.authority.material().anchor()].into(),
            serial: "1".to_owned(),
            not_after: i64::MAX,
        };
        self.ledger.reported(name, &ID.parse().unwrap(), report, 1);
    }

    async fn status(&self) -> RotationStatus {
        self.rotator.status().await
    }
}

const ID: &str = "spiffe://cluster.local/ns/d/sa/a";

/// Looks until `done` says so; `turn` happens in between.
async fn until(
    replicas: &mut [Replica; 2],
    turn: impl Fn(&[Replica; 2]),
    done: impl Fn(&RotationStatus) -> bool,
) -> RotationStatus {
    let mut last = None;
    let reached = async {
        loop {
            let [a, b] = replicas;
            a.keeper.refresh().await.unwrap();
            b.keeper.refresh().await.unwrap();
            turn(replicas);
            let status = replicas[0].status().await;
            if done(&status) {
                return status;
            }
            last = Some(status);
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(LIMIT, reached).await {
        Ok(status) => status,
        Err(_) => panic!("never reached; last: {last:#?}"),
    }
}

fn in_phase(status: &RotationStatus, phase: Phase) -> bool {
    let rotation = status.rotation.as_ref();
    rotation.is_some_and(|rotation| rotation.phase == phase)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_replace_the_root_together() {
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(1));
    let mut replicas = [
        Replica::open(&api, 0, &leader).await,
        Replica::open(&api, 1, &leader).await,
    ];
    let first = api.secret_names();
    let old = replicas[0].authority.material().anchor();
    assert_eq!(old, replicas[1].authority.material().anchor());
    let jwks = replicas[0].authority.jwks(clock::now());

    // The order comes to a replica that does not lead.
    let status = replicas[0].rotator.begin().await.unwrap();
    assert!(in_phase(&status, Phase::Distributing), "{status:?}");
    let again = replicas[1].rotator.begin().await;
    // It has not heard of it, and is told.
    let Err(RotateError::Refused(RotationRefusal::Overtaken)) = again else {
        panic!("{again:?}");
    };
    // One proxy speaks; the other one is named, though no replica knows more than that it is.
    let only_a = |replicas: &[Replica; 2]| replicas[0].hear("d/a");
    let status = until(&mut replicas, only_a, |status| {
        let rotation = status.rotation.as_ref().unwrap();
        rotation.blockers.len() == 1
    })
    .await;
    let blocker = &status.rotation.unwrap().blockers[0];
    assert_eq!((blocker.name.as_str(), blocker.connected), ("d/b", false));
    let both = |replicas: &[Replica; 2]| {
        assert_eq!(replicas[1].authority.roots_der().len(), 2);
        replicas[0].hear("d/a");
        replicas[1].hear("d/b");
    };
    until(&mut replicas, both, |status| {
        in_phase(status, Phase::Signing)
    })
    .await;
    // Another one leads, and goes on.
    leader.store(0, Ordering::Relaxed);
    let all = |replicas: &[Replica; 2]| {
        replicas[0].hear("d/a");
        replicas[1].hear("d/b");
    };
    until(&mut replicas, all, |status| status.rotation.is_none()).await;
    for replica in &mut replicas {
        replica.keeper.refresh().await.unwrap();
        let new = replica.authority.material().anchor();
        assert_ne!(new, old);
        assert_eq!(replica.authority.roots_der().len(), 1);
        assert!(replica.authority.renewal().is_empty());
        assert_ne!(replica.authority.jwks(clock::now()), jwks);
    }
    let mut names = first;
    names.insert("rotation.json".to_owned());
    assert_eq!(api.secret_names(), names, "nothing is left behind");
    until(&mut replicas, all, |_| {
        api.get("configmaps", NAME).is_none()
    })
    .await;

    // Who starts now has the new keys, and trusts no others.
    let late = Replica::open(&api, 2, &leader).await;
    assert_ne!(late.authority.material().anchor(), old);
    assert_eq!(late.authority.roots_der().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_taken_back_by_any_replica_and_who_is_lost_is_forgotten() {
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(0));
    let mut replicas = [
        Replica::open(&api, 0, &leader).await,
        Replica::open(&api, 1, &leader).await,
    ];
    let first = api.secret_names();
    let old = replicas[0].authority.material().anchor();
    replicas[0].rotator.begin().await.unwrap();
    let only_a = |replicas: &[Replica; 2]| replicas[0].hear("d/a");
    until(&mut replicas, only_a, |status| {
        let rotation = status.rotation.as_ref().unwrap();
        rotation.blockers.len() == 1
    })
    .await;
    let unknown = replicas[0].rotator.forget("d/nobody").await;
    assert!(
        matches!(unknown, Err(RotateError::Unknown(_))),
        "{unknown:?}"
    );
    until(&mut replicas, only_a, |status| {
        let rotation = status.rotation.as_ref().unwrap();
        rotation.blockers.len() == 1
    })
    .await;
    replicas[0].rotator.forget("d/b").await.unwrap();
    until(&mut replicas, only_a, |status| {
        in_phase(status, Phase::Signing)
    })
    .await;
    let aborted = replicas[1].rotator.abort().await.unwrap();
    assert!(in_phase(&aborted, Phase::Unwinding), "{aborted:?}");
    until(&mut replicas, only_a, |status| status.rotation.is_none()).await;
    for replica in &replicas {
        assert_eq!(replica.authority.material().anchor(), old);
    }
    let mut names = first;
    names.insert("rotation.json".to_owned());
    assert_eq!(api.secret_names(), names);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_operator_are_never_replaced() {
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(0));
    let mut replica = Replica::open(&api, 0, &leader).await;
    let ours = api.get("secrets", "mesh-ca").unwrap();
    let path = "/api/v1/namespaces/istio-system/secrets";
    let cacerts = json!({
        "metadata": {"name": "cacerts", "namespace": "istio-system"},
        "data": {
            "root-cert.pem": ours["data"]["root.pem"],
            "ca-cert.pem": ours["data"]["intermediate.pem"],
            "ca-key.pem": ours["data"]["intermediate.key"],
        },
    });
    let (code, _) = api.answer(&Method::POST, path, "", cacerts);
    assert_eq!(code, StatusCode::OK);
    replica.keeper.refresh().await.unwrap();
    let refused = replica.rotator.begin().await.unwrap_err();
    let words = refused.to_string();
    assert!(
        words.contains("Secret cacerts, which is yours") && words.contains("root-cert.pem"),
        "{words}"
    );
    assert_eq!(api.get("secrets", "mesh-ca").unwrap()["data"], ours["data"]);
}
