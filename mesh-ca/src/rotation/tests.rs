use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::*;
use crate::authority::Authority;
use crate::clock;
use crate::fingerprint::Fingerprint;
use crate::issue::Issue;
use crate::ledger::{IssuedLeaf, Ledger, Report};
use crate::secret_key::SecretKey;

const LIMIT: Duration = Duration::from_secs(20);

struct Place {
    authority: Arc<Authority>,
    ledger: Arc<Ledger>,
    rotator: Arc<Rotator>,
}

impl Place {
    async fn open(dir: &Path) -> Self {
        let options = AuthorityOptions::default();
        let authority = Arc::new(Authority::open(dir, &options).unwrap());
        let ledger = Arc::new(Ledger::open(dir, clock::now()).unwrap());
        let store = Arc::new(Generations::new(dir));
        let rotator = Rotator::open(Arc::clone(&authority), Arc::clone(&ledger), store);
        Self {
            rotator: Arc::new(rotator.await.unwrap()),
            authority,
            ledger,
        }
    }

    fn issue(&self, workload: &str) -> IssuedLeaf {
        let key = SecretKey::generate().unwrap();
        let issue = Issue {
            identity: "spiffe://cluster.local/ns/default/sa/a".parse().unwrap(),
            csr_der: key.certificate_request().unwrap(),
            ttl: None,
            dns_names: Vec::new(),
            binding: None,
        };
        let issued = self.authority.issue(&issue, SystemTime::now()).unwrap();
        let leaf = IssuedLeaf {
            serial: issued.serial,
            identity: issue.identity,
            workload: Some(workload.to_owned()),
            previous: None,
            root: issued.root,
            not_after: clock::unix_seconds(issued.not_after),
        };
        self.ledger
            .issued("token", leaf.clone(), SystemTime::now())
            .unwrap();
        leaf
    }

    fn report(&self, leaf: &IssuedLeaf) {
        let trusted: BTreeSet<Fingerprint> = self
            .authority
            .roots_der()
            .iter()
            .map(|der| Fingerprint::of(der))
            .collect();
        let report = Report {
            trusted,
            vouching: [leaf.root].into(),
            serial: leaf.serial.clone(),
            not_after: leaf.not_after,
        };
        let workload = leaf.workload.clone().unwrap();
        self.ledger.reported(&workload, &leaf.identity, report, 1);
    }

    async fn phase(&self) -> Option<Phase> {
        let status = self.rotator.status().await;
        status.rotation.map(|rotation| rotation.phase)
    }

    async fn reach(&self, phase: Option<Phase>) {
        let arrival = async {
            while self.phase().await != phase {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LIMIT, arrival).await.unwrap();
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn a_rotation_survives_its_process_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).await;
    let old = place.authority.material().anchor();
    let leaf = place.issue("default/a");
    let status = place.rotator.begin().await.unwrap();
    let rotation = status.rotation.unwrap();
    assert_eq!(
        (rotation.phase, rotation.blocked_by),
        (Phase::Distributing, 1)
    );
    assert_eq!(status.trusted_roots.len(), 2);
    assert_eq!(place.issue("default/b").root, old, "the old one signs");
    place.ledger.forget("default/b").unwrap();
    drop(place);

    // Whoever holds a leaf is known after a restart, and must say that it trusts the new root.
    let place = Place::open(dir.path()).await;
    let blockers = place.rotator.status().await.rotation.unwrap().blockers;
    assert_eq!(blockers.len(), 1);
    let old_tokens = place.authority.material().jwt_public_key().unwrap();
    assert_eq!(
        (
            blockers[0].name.as_str(),
            blockers[0].reason,
            blockers[0].connected
        ),
        ("default/a", Reason::NotTrusting, false)
    );
    let running = tokio::spawn(Arc::clone(&place.rotator).run());
    place.report(&leaf);
    place.reach(Some(Phase::Signing)).await;
    running.abort();
    drop(place);

    let place = Place::open(dir.path()).await;
    let new = place.authority.material().anchor();
    assert_ne!(new, old);
    assert_eq!(place.authority.roots_der().len(), 2);
    assert!(!place.authority.renewal().is_empty());
    let running = tokio::spawn(Arc::clone(&place.rotator).run());
    place.report(&leaf);
    let status = place.rotator.status().await.rotation.unwrap();
    assert_eq!(status.blockers[0].reason, Reason::OldLeaf);
    let leaf = place.issue("default/a");
    assert_eq!(leaf.root, new);
    place.report(&leaf);
    place.reach(Some(Phase::Retiring)).await;
    assert!(matches!(
        place.rotator.abort().await,
        Err(RotateError::Refused(RotationRefusal::TooLate))
    ));
    running.abort();
    drop(place);

    let place = Place::open(dir.path()).await;
    assert_eq!(place.authority.roots_der().len(), 1);
    tokio::spawn(Arc::clone(&place.rotator).run());
    place.report(&leaf);
    place.reach(None).await;
    assert_eq!(place.authority.material().anchor(), new);
    // Nothing of the old keys is left.
    let expected = [
        "audit.jsonl",
        "generations",
        "lock",
        "root.pem",
        "rotation.json",
        "rotation.lock",
    ];
    assert_eq!(names(dir.path()), expected.map(str::to_owned).into());
    assert_eq!(
        names(&dir.path().join("generations")),
        ["1".to_owned()].into()
    );
    let again = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
    assert_eq!(again.material().anchor(), new);
    assert_eq!(*again.roots_der(), *place.authority.roots_der());
    // Tokens of the old key are good for their time, over every restart.
    assert!(again.jwks(clock::now()).contains(old_tokens.id()));
    let later = clock::now() + Duration::from_secs(3600);
    assert!(!again.jwks(later).contains(old_tokens.id()));
}

#[tokio::test]
async fn a_new_root_is_published_before_it_signs() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).await;
    place.rotator.publish_ahead(LIMIT * 100);
    tokio::spawn(Arc::clone(&place.rotator).run());
    let rotation = place.rotator.begin().await.unwrap().rotation.unwrap();
    assert_eq!(rotation.phase, Phase::Distributing);
    let [blocker] = &rotation.blockers[..] else {
        panic!("{rotation:?}");
    };
    assert_eq!(blocker.reason, Reason::Notice);
    assert_eq!(blocker.not_after, rotation.since + 100 * 20);
    place.rotator.abort().await.unwrap();
    // It is over by itself.
    place.rotator.publish_ahead(Duration::from_secs(1));
    place.rotator.begin().await.unwrap();
    place.reach(None).await;
}

/// RSS of this process, and the most that it was.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let words = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = words.unwrap().parse().unwrap();
        format!("{:.1} MiB", kib as f64 / 1024.0)
    };
    format!("{} ({})", of("VmRSS:"), of("VmHWM:"))
}

// Some seconds: 5 000 certificates of everybody are signed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_of_thousands_waits_for_each_of_them() {
    const PROXIES: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).await;
    tokio::spawn(Arc::clone(&place.rotator).run());
    let names: Vec<String> = (0..PROXIES).map(|n| format!("default/p{n}")).collect();
    let empty = memory();
    let mut leaves: Vec<_> = names.iter().map(|name| place.issue(name)).collect();
    let before = memory();
    place.rotator.begin().await.unwrap();
    let begun = std::time::Instant::now();
    let (last, others) = leaves.split_last().unwrap();
    others.iter().for_each(|leaf| place.report(leaf));
    // One of thousands holds it up, and is named.
    let status = place.rotator.status().await.rotation.unwrap();
    assert_eq!((status.phase, status.blocked_by), (Phase::Distributing, 1));
    assert_eq!(status.blockers[0].name, format!("default/p{}", PROXIES - 1));
    place.report(last);
    place.reach(Some(Phase::Signing)).await;
    for (name, leaf) in names.iter().zip(&mut leaves) {
        *leaf = place.issue(name);
        place.report(leaf);
    }
    place.reach(Some(Phase::Retiring)).await;
    let during = memory();
    leaves.iter().for_each(|leaf| place.report(leaf));
    place.reach(None).await;
    eprintln!(
        "{PROXIES} proxies: {:?}; RSS and its peak: {empty} without them, {before} before, {during} at the last step, {} after",
        begun.elapsed(),
        memory()
    );
}

#[tokio::test]
async fn a_rotation_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).await;
    let old = place.authority.material().anchor();
    tokio::spawn(Arc::clone(&place.rotator).run());
    let leaf = place.issue("default/a");
    place.rotator.begin().await.unwrap();
    assert!(matches!(
        place.rotator.begin().await,
        Err(RotateError::Refused(RotationRefusal::UnderWay))
    ));
    let status = place.rotator.abort().await.unwrap();
    assert_eq!((status.rotation, status.trusted_roots.len()), (None, 1));
    assert!(place.rotator.abort().await.is_err());

    place.rotator.begin().await.unwrap();
    place.report(&leaf);
    place.reach(Some(Phase::Signing)).await;
    let new = place.issue("default/a");
    place.report(&new);
    // It has no chance to retire: the answer to a second one is on its way.
    let second = place.issue("default/b");
    place
        .rotator
        .abort()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(place.phase().await, Some(Phase::Unwinding));
    assert_eq!(place.authority.material().anchor(), old);
    for workload in ["default/a", "default/b"] {
        place.report(&place.issue(workload));
    }
    assert_ne!(second.root, old);
    place.reach(None).await;
    assert_eq!(place.authority.material().anchor(), old);
    assert_eq!(
        names(&dir.path().join("generations")),
        ["0".to_owned()].into()
    );
}

#[tokio::test]
async fn who_will_not_come_back_is_forgotten_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path()).await;
    tokio::spawn(Arc::clone(&place.rotator).run());
    place.issue("default/gone");
    place.rotator.begin().await.unwrap();
    assert!(matches!(
        place.rotator.forget("default/other").await,
        Err(RotateError::Unknown(_))
    ));
    place.rotator.forget("default/gone").await.unwrap();
    place.reach(None).await;
}
