//! Replicas that the API server cannot be reached from.

use mesh_ca::Refusal;
use mesh_ca::rotation::Reason;

use super::*;

/// Looks at a replica until `done` says so of what it would sign.
async fn until_it_signs(replica: &mut Replica, done: impl Fn(&Result<Issued, Refusal>) -> bool) {
    let reached = async {
        loop {
            // Its keeper may be cut off.
            let _ = replica.keeper.refresh().await;
            if done(&replica.certify()) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, reached).await;
    assert!(reached.is_ok(), "{:?}", replica.certify());
}

// Some seconds: that long a replica signs that hears nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_signs_nothing_by_a_root_that_may_be_retired() {
    let signs_alone = Duration::from_secs(3);
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(0));
    let mut here = Replica::open_for(&api, 0, &leader, signs_alone).await;
    let mut cut = Replica::open_for(&api, 1, &leader, signs_alone).await;
    let old = here.authority.material().anchor();
    assert_eq!(cut.certify().unwrap().root, old);

    cut.cut.store(true, Ordering::Relaxed);
    here.rotator.begin().await.unwrap();
    let mut named = false;
    let all = async {
        loop {
            here.keeper.refresh().await.unwrap();
            here.hear("d/a");
            here.hear("d/b");
            let status = here.status().await;
            // Whatever else there is to wait for: as long as it signs, the first step is not taken.
            if !in_phase(&status, Phase::Distributing) {
                let refused = cut.certify().unwrap_err();
                assert!(matches!(refused, Refusal::Unconfirmed { .. }), "{refused}");
            }
            let Some(rotation) = &status.rotation else {
                return;
            };
            let blockers = rotation.blockers.iter();
            let mut signers = blockers.filter(|one| one.reason == Reason::StillSigning);
            named |= signers.any(|one| one.name == "meshd replica meshd-1" && !one.connected);
            tokio::time::sleep(PAUSE).await;
        }
    };
    let all = tokio::time::timeout(LIMIT, all).await;
    assert!(all.is_ok(), "{:#?}", here.status().await);
    assert!(named, "nobody said who held it up");
    let new = here.certify().unwrap().root;
    assert_ne!(new, old);

    // It has missed all of it, and never signs by the old root again.
    cut.cut.store(false, Ordering::Relaxed);
    until_it_signs(&mut cut, |signed| match signed {
        Ok(issued) => {
            assert_eq!(issued.root, new);
            true
        }
        Err(_) => false,
    })
    .await;

    // Without an API server both stop, and go on with it.
    let mut both = [here, cut];
    for replica in &both {
        replica.cut.store(true, Ordering::Relaxed);
    }
    for replica in &mut both {
        until_it_signs(replica, Result::is_err).await;
        replica.cut.store(false, Ordering::Relaxed);
    }
    for replica in &mut both {
        until_it_signs(replica, Result::is_ok).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_pod_is_gone_holds_nothing_up() {
    let api = Arc::new(Api0::default());
    let leader = Arc::new(AtomicUsize::new(0));
    let mut here = Replica::open(&api, 0, &leader).await;
    drop(Replica::open(&api, 1, &leader).await);
    here.rotator.begin().await.unwrap();
    let mut gone = false;
    let all = async {
        loop {
            here.keeper.refresh().await.unwrap();
            here.hear("d/a");
            here.hear("d/b");
            let status = here.status().await;
            let Some(rotation) = &status.rotation else {
                return;
            };
            let names: Vec<_> = rotation
                .blockers
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            if names == ["meshd replica meshd-1"] && !gone {
                assert!(in_phase(&status, Phase::Distributing));
                gone = true;
                api.pod(1, false);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let all = tokio::time::timeout(LIMIT, all).await;
    assert!(all.is_ok(), "{:#?}", here.status().await);
    assert!(gone);
}
