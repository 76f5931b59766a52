use mesh_proxy_core::Snapshot;

use super::*;
use crate::control::{Cache, NeedError};
use crate::testing::{DEADLINE, Kept, Plane, Responses, inbound, mesh, response, undeclared};

impl Kept {
    async fn runs(&self, revision: u64) {
        let mut epoch = self.store.epoch();
        let wait = async {
            while self.store.load().revision() != revision {
                epoch.changed().await.unwrap();
            }
        };
        tokio::time::timeout(DEADLINE, wait)
            .await
            .expect("the revision did not come");
    }

    async fn disconnected(&mut self) {
        let wait = self
            .status
            .current
            .wait_for(|status| !status.connected && !status.error.is_empty());
        tokio::time::timeout(DEADLINE, wait)
            .await
            .expect("still connected")
            .unwrap();
    }
}

// Opens a stream and answers with mesh and inbound.
async fn configured(plane: &mut Plane) -> (Responses, v1::DiscoveryRequest) {
    let responses = plane.opened().await;
    let first = plane.asked().await;
    let resources = vec![mesh(vec![plane.root.der.to_vec()], "1"), inbound()];
    responses.send(Ok(response(1, resources))).unwrap();
    let ack = plane.asked().await.ack.unwrap();
    assert_eq!(
        (ack.nonce.as_str(), ack.revision, ack.rejected.len()),
        ("1", 1, 0),
        "{ack:?}"
    );
    (responses, first)
}

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

fn far() -> std::time::Instant {
    clock::monotonic() + DEADLINE
}

#[tokio::test]
async fn subscribes_applies_and_acknowledges() {
    let mut plane = Plane::start();
    let running = Kept::start(&plane, Snapshot::empty());
    let (_responses, first) = configured(&mut plane).await;
    assert_eq!(first.node.unwrap().workload, "default/reviews-v1");
    assert_eq!(first.subscribe, ["mesh/default", "inbound/self"]);
    assert!(first.known.is_empty());
    running.runs(1).await;
    assert!(running.status.get().connected);
}

#[tokio::test]
async fn every_stream_begins_with_what_the_identity_is() {
    let mut plane = Plane::start();
    let _running = Kept::start(&plane, Snapshot::empty());
    let responses = plane.opened().await;
    let report = plane.reported().await;
    assert_eq!(report.trusted_roots.len(), 1);
    assert_eq!(report.vouching_roots, report.trusted_roots);
    drop(responses);
    let _responses = plane.opened().await;
    assert_eq!(plane.reported().await, report);
}

#[tokio::test]
async fn fetches_on_demand_once() {
    let mut plane = Plane::start();
    let running = Kept::start(&plane, Snapshot::empty());
    let (responses, _) = configured(&mut plane).await;
    let wanted = name("routes/ratings:80");
    let answer = async {
        assert_eq!(plane.asked().await.subscribe, ["routes/ratings:80"]);
        responses
            .send(Ok(response(1, vec![undeclared("routes/ratings:80")])))
            .unwrap();
        // The acknowledgement is next: the second demand asked nothing.
        assert!(plane.asked().await.ack.is_some());
    };
    let (one, two, ()) = tokio::join!(
        running.store.need(&wanted, far()),
        running.store.need(&wanted, far()),
        answer
    );
    assert!(one.unwrap().holds(&wanted) && two.unwrap().holds(&wanted));
    running.store.touch(&wanted);
}

#[tokio::test]
async fn a_refused_destination_fails_with_the_reason() {
    let mut plane = Plane::start();
    let running = Kept::start(&plane, Snapshot::empty());
    let (responses, _) = configured(&mut plane).await;
    let wanted = name("routes/ratings:80");
    let answer = async {
        plane.asked().await;
        let broken = v1::Resource {
            name: wanted.to_string(),
            version: "1".into(),
            body: None,
        };
        responses.send(Ok(response(1, vec![broken]))).unwrap();
        assert_eq!(plane.asked().await.ack.unwrap().rejected.len(), 1);
    };
    let (result, ()) = tokio::join!(running.store.need(&wanted, far()), answer);
    assert!(
        matches!(result, Err(NeedError::Refused { .. })),
        "{result:?}"
    );
    assert_eq!(
        running.status.get().rejected[0].resource,
        "routes/ratings:80"
    );
}

#[tokio::test]
async fn serves_without_the_control_plane_and_resumes_with_what_it_knows() {
    let mut plane = Plane::start();
    let mut running = Kept::start(&plane, Snapshot::empty());
    let (responses, _) = configured(&mut plane).await;
    running.runs(1).await;
    plane.stop().await;
    drop(responses);
    running.disconnected().await;
    assert_eq!(running.store.load().revision(), 1, "the snapshot stays");

    // Wanted while nobody answers, asked for as soon as somebody does.
    let wanted = name("routes/ratings:80");
    let soon = clock::monotonic() + Duration::from_millis(20);
    assert!(matches!(
        running.store.need(&wanted, soon).await,
        Err(NeedError::Deadline(_))
    ));
    plane.serve();
    let responses = plane.opened().await;
    let first = plane.asked().await;
    assert_eq!(
        first.known.get("inbound/self").map(String::as_str),
        Some("1")
    );
    assert!(
        first.subscribe.contains(&wanted.to_string()),
        "{:?}",
        first.subscribe
    );
    responses
        .send(Ok(response(2, vec![undeclared("routes/ratings:80")])))
        .unwrap();
    running.runs(2).await;
    assert!(running.store.load().holds(&name("inbound/self")));
}

#[tokio::test]
async fn a_restart_begins_with_the_cached_snapshot() {
    let mut plane = Plane::start();
    let directory = plane.directory.path().join("state");
    let settings = plane.settings();
    let running = Kept::start(&plane, Snapshot::empty());
    let follow =
        tokio::spawn(Cache::new(&directory, &settings.workload).follow(running.store.clone()));
    let (responses, _) = configured(&mut plane).await;
    responses
        .send(Ok(response(2, vec![undeclared("routes/ratings:80")])))
        .unwrap();
    running.runs(2).await;
    let cache = Cache::new(&directory, &settings.workload);
    let load = async {
        loop {
            match cache.load().await.unwrap() {
                Some(snapshot) if snapshot.revision() == 2 => return snapshot,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let cached = tokio::time::timeout(DEADLINE, load).await.unwrap();
    follow.abort();
    drop(running);

    let running = Kept::start(&plane, cached);
    assert!(
        running.store.load().holds(&name("routes/ratings:80")),
        "served before the control plane answers"
    );
    let _responses = plane.opened().await;
    let first = loop {
        let request = plane.asked().await;
        if request.node.is_some() {
            break request;
        }
    };
    assert_eq!(first.known.len(), 3, "{:?}", first.known);
    assert!(
        first.subscribe.contains(&"routes/ratings:80".to_owned()),
        "what was used before is fetched ahead"
    );
}

#[tokio::test]
async fn the_stream_moves_to_a_newer_certificate_before_the_old_one_expires() {
    let mut plane = Plane::start();
    plane.authority.lock().unwrap().seconds = (-60, 30);
    let running = Kept::start(&plane, Snapshot::empty());
    let (_first, _) = configured(&mut plane).await;
    plane.authority.lock().unwrap().seconds = (-60, 3600);
    running.rotate.rotate().await.unwrap();
    let _second = plane.opened().await;
    let request = plane.asked().await;
    assert_eq!(
        request.known.len(),
        2,
        "nothing is sent again: {:?}",
        request.known
    );
}

#[test]
fn pauses_grow_and_stay_bounded() {
    let mut rng = clock::rng();
    for failures in [0, 1, 5, 100, u32::MAX] {
        let pause = pause(failures, &mut rng);
        assert!(
            pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE,
            "{failures}: {pause:?}"
        );
    }
    assert!(pause(20, &mut rng) >= LONGEST_PAUSE / 2);
}
