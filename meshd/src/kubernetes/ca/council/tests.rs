//! Two replicas on an API server of the test replace the root together.

mod api;
mod cut_off;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::http::{Method, StatusCode};
use mesh_ca::rotation::{Phase, RotateError, RotationRefusal, RotationStatus, Rotator};
use mesh_ca::{Authority, AuthorityOptions, Fingerprint, Issue, Issued, Ledger, Refusal, Report};
use tokio::task::JoinSet;

use super::*;
use crate::kubernetes::ca::{AuthorityInCluster, Keeper};

use api::Api0;

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

struct Replica {
    // Ends with it, as a process does: nobody else speaks for its name.
    _running: JoinSet<()>,
    authority: Arc<Authority>,
    ledger: Arc<Ledger>,
    rotator: Arc<Rotator>,
    keeper: Keeper,
    cut: Arc<AtomicBool>,
}

// === impl Replica ===

impl Replica {
    async fn open(api: &Arc<Api0>, number: usize, leader: &Arc<AtomicUsize>) -> Self {
        Self::open_for(api, number, leader, LIMIT).await
    }

    async fn open_for(
        api: &Arc<Api0>,
        number: usize,
        leader: &Arc<AtomicUsize>,
        signs_alone: Duration,
    ) -> Self {
        api.pod(number, true);
        let cut = Arc::new(AtomicBool::new(false));
        let settings = AuthorityInCluster {
            namespace: "istio-system".to_owned(),
            options: AuthorityOptions::default(),
            audiences: Vec::new(),
            settle: Duration::ZERO,
            instance: format!("meshd-{number}"),
            signs_alone,
        };
        let ledger = Arc::new(Ledger::in_memory());
        let client = api.client(&cut);
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
        let mut running = JoinSet::new();
        running.spawn(Arc::clone(&opened.rotator).run());
        Self {
            _running: running,
            authority: opened.authority,
            ledger,
            rotator: opened.rotator,
            keeper: opened.keeper,
            cut,
        }
    }

    /// What it answers to a workload that asks for a certificate.
    fn certify(&self) -> Result<Issued, Refusal> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let request = Issue {
            identity: ID.parse().unwrap(),
            csr_der: params.serialize_request(&key).unwrap().der().to_vec(),
            ttl: None,
            dns_names: Vec::new(),
            binding: None,
        };
        self.authority.issue(&request, clock::now())
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
async fn leaders_that_come_and_go_take_a_rotation_back() {
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(0));
    let mut replicas = [
        Replica::open(&api, 0, &leader).await,
        Replica::open(&api, 1, &leader).await,
    ];
    let old = replicas[0].authority.material().anchor();
    let both = |replicas: &[Replica; 2]| {
        replicas[0].hear("d/a");
        replicas[1].hear("d/b");
    };
    replicas[0].rotator.begin().await.unwrap();
    // Nobody leads for a while: nothing goes on, and nothing is lost.
    leader.store(9, Ordering::Relaxed);
    for _ in 0..10 {
        until(&mut replicas, both, |status| {
            in_phase(status, Phase::Distributing)
        })
        .await;
    }
    leader.store(1, Ordering::Relaxed);
    until(&mut replicas, both, |status| {
        in_phase(status, Phase::Signing)
    })
    .await;
    let signed = replicas[0].authority.material().jwt_public_key().unwrap();
    // The order comes to the one that does not lead, and the one that does is gone at once.
    leader.store(9, Ordering::Relaxed);
    let aborted = replicas[0].rotator.abort().await.unwrap();
    assert!(in_phase(&aborted, Phase::Unwinding), "{aborted:?}");
    replicas[1] = Replica::open(&api, 1, &leader).await;
    assert_eq!(replicas[1].authority.material().anchor(), old);
    assert_eq!(replicas[1].authority.roots_der().len(), 2);
    // The new process knows nobody until the proxies come to it.
    leader.store(0, Ordering::Relaxed);
    let only_a = |replicas: &[Replica; 2]| replicas[0].hear("d/a");
    until(&mut replicas, only_a, |status| {
        let rotation = status.rotation.as_ref().unwrap();
        let mut blockers = rotation.blockers.iter().map(|blocker| &blocker.name);
        blockers.next().is_some_and(|name| name == "d/b") && blockers.next().is_none()
    })
    .await;
    until(&mut replicas, both, |status| status.rotation.is_none()).await;
    for replica in &mut replicas {
        replica.keeper.refresh().await.unwrap();
        assert_eq!(replica.authority.material().anchor(), old);
        assert_eq!(replica.authority.roots_der().len(), 1);
        // Tokens that the new key has signed meanwhile are good for their time.
        assert!(replica.authority.jwks(clock::now()).contains(signed.id()));
    }
    let late = Replica::open(&api, 2, &leader).await;
    assert!(late.authority.jwks(clock::now()).contains(signed.id()));
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
