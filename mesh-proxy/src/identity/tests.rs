use std::sync::Arc;

use mesh_api::v1::resource::Body;
use mesh_proxy_core::Snapshot;
use tokio::task::JoinHandle;

use super::authority::CaClient;
use super::jwt::AppTokens;
use super::*;
use crate::control::{Demands, Store, Writer};
use crate::settings::{AccessLog, LogFormat, LogSink};
use crate::telemetry::Telemetry;
use crate::testing::{DEADLINE, Plane, mesh, response};
use crate::testing::{REVIEWS, TestRoot};

struct Running {
    identity: IdentityHandle,
    rotate: RotateHandle,
    writer: Writer,
    telemetry: Telemetry,
    task: JoinHandle<()>,
    _demands: Demands,
}

fn start(plane: &Plane) -> Running {
    let (store, writer, demands) = Store::new(Snapshot::empty());
    let telemetry = Telemetry::new(&AccessLog {
        sink: LogSink::Off,
        format: LogFormat::Text,
    })
    .unwrap();
    let (publisher, identity) = IdentityHandle::channel();
    let settings = Arc::new(plane.settings());
    let (manager, rotate) = Manager::new(
        &settings,
        settings.control_plane().unwrap(),
        store,
        publisher,
        telemetry.stages.clone(),
    );
    let task = tokio::spawn(manager.run());
    Running {
        identity,
        rotate,
        writer,
        telemetry,
        task,
        _demands: demands,
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("took too long")
}

#[tokio::test]
async fn the_first_certificate_takes_the_token_and_renewals_the_certificate() {
    let mut plane = Plane::start();
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    assert_eq!(first.id().as_str(), REVIEWS);
    assert_eq!(plane.signed().await.as_deref(), Some("Bearer the-token"));
    assert_eq!(first.roots_der(), [plane.root.der.to_vec()]);

    within(running.rotate.rotate()).await.unwrap();
    let second = running.identity.current().unwrap();
    assert_ne!(first.serial(), second.serial());
    assert_eq!(
        plane.signed().await,
        None,
        "the certificate proves who asks"
    );
    assert!(!Arc::ptr_eq(&first.server(), &second.server()));
}

#[tokio::test]
async fn short_lives_are_renewed_in_time() {
    let plane = Plane::start();
    plane.authority.lock().unwrap().seconds = (0, 3);
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    let mut generation = running.identity.generation();
    within(generation.changed()).await.unwrap();
    let second = running.identity.current().unwrap();
    assert_ne!(first.serial(), second.serial());
    assert!(
        first.not_after() > crate::clock::wall(),
        "renewed only after it had expired"
    );
}

#[tokio::test]
async fn a_failing_authority_is_asked_again_while_the_old_certificate_serves() {
    let plane = Plane::start();
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    plane.authority.lock().unwrap().refuses = true;
    let error = within(running.rotate.rotate()).await.unwrap_err();
    assert!(error.to_string().contains("not now"), "{error}");
    assert_eq!(running.identity.current().unwrap().serial(), first.serial());

    let mut generation = running.identity.generation();
    plane.authority.lock().unwrap().refuses = false;
    within(generation.changed()).await.unwrap();
    assert_ne!(running.identity.current().unwrap().serial(), first.serial());
    assert!(
        running
            .telemetry
            .metrics()
            .contains("mesh_certificate_failures_total 1")
    );
}

#[tokio::test]
async fn certificates_without_life_are_refused() {
    let mut plane = Plane::start();
    plane.authority.lock().unwrap().seconds = (-60, -1);
    let running = start(&plane);
    for _ in 0..2 {
        plane.signed().await;
    }
    assert!(running.identity.current().is_none());
    plane.authority.lock().unwrap().seconds = (-60, 3600);
    within(running.identity.wait()).await.unwrap();
}

#[tokio::test]
async fn an_absent_authority_is_waited_for() {
    let mut plane = Plane::start();
    plane.stop().await;
    let running = start(&plane);
    let failures = || running.telemetry.stages.renewal_failures.get();
    within(async {
        while failures() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    plane.serve();
    within(running.identity.wait()).await.unwrap();
}

#[tokio::test]
async fn new_roots_make_new_configurations_of_the_same_certificate() {
    let plane = Plane::start();
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    let mut generation = running.identity.generation();
    let roots = vec![plane.root.der.to_vec(), TestRoot::new().der.to_vec()];
    let applied = Snapshot::empty().apply(&response(1, vec![mesh(roots.clone(), "1")]));
    running
        .writer
        .publish(applied.snapshot, std::collections::BTreeMap::new());
    within(generation.changed()).await.unwrap();
    let second = running.identity.current().unwrap();
    assert_eq!(
        (first.serial(), second.roots_der()),
        (second.serial(), roots.as_slice())
    );
    assert!(
        !Arc::ptr_eq(&first.server(), &second.server()),
        "sessions must not be resumed across roots"
    );
}

#[tokio::test]
async fn a_call_to_renew_is_followed_once() {
    let plane = Plane::start();
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    let call = |version: &str, call: &str| {
        let mut resource = mesh(vec![plane.root.der.to_vec()], version);
        if let Some(Body::Mesh(mesh)) = &mut resource.body {
            call.clone_into(&mut mesh.renew_certificates);
        }
        let applied = Snapshot::empty().apply(&response(1, vec![resource]));
        running
            .writer
            .publish(applied.snapshot, std::collections::BTreeMap::new());
    };
    let mut generation = running.identity.generation();
    call("1", "");
    call("2", "rotation-new");
    within(generation.wait_for(|_| {
        let current = running.identity.current();
        current.is_some_and(|current| current.serial() != first.serial())
    }))
    .await
    .unwrap();
    let second = running.identity.current().unwrap();
    // The same call again is no other one, and none is none.
    call("3", "rotation-new");
    call("4", "");
    call("5", "another");
    within(generation.wait_for(|_| {
        let current = running.identity.current();
        current.is_some_and(|current| current.serial() != second.serial())
    }))
    .await
    .unwrap();
    assert_eq!(running.telemetry.stages.renewals.get(), 3);
}

#[tokio::test]
async fn what_it_trusts_and_presents_is_reported() {
    let plane = Plane::start();
    let running = start(&plane);
    let first = within(running.identity.wait()).await.unwrap();
    let own = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &plane.root.der);
    let report = first.report();
    assert_eq!(report.trusted_roots, [own.as_ref()]);
    assert_eq!(report.vouching_roots, [own.as_ref()]);
    assert_eq!(report.serial, first.serial());

    let other = TestRoot::new();
    let mut generation = running.identity.generation();
    let roots = vec![
        other.der.to_vec(),
        plane.root.der.to_vec(),
        b"junk".to_vec(),
    ];
    let applied = Snapshot::empty().apply(&response(1, vec![mesh(roots, "1")]));
    running
        .writer
        .publish(applied.snapshot, std::collections::BTreeMap::new());
    within(generation.changed()).await.unwrap();
    let report = running.identity.current().unwrap().report();
    assert_eq!(
        report.trusted_roots.len(),
        2,
        "what is no root is not trusted"
    );
    assert_eq!(report.vouching_roots, [own.as_ref()]);
}

#[tokio::test]
async fn no_output_shows_the_key() {
    let plane = Plane::start();
    let running = start(&plane);
    let identity = within(running.identity.wait()).await.unwrap();
    let text = format!("{identity:?} {:?}", identity.svid());
    assert!(!text.to_lowercase().contains("key"), "{text}");
}

#[tokio::test]
async fn tokens_are_kept_by_audience_until_half_of_their_life() {
    let mut plane = Plane::start();
    let running = start(&plane);
    within(running.identity.wait()).await.unwrap();
    plane.signed().await;
    let settings = Arc::new(plane.settings());
    let client = CaClient::new(
        Arc::clone(&settings),
        Arc::clone(settings.control_plane().unwrap()),
    );
    let tokens = AppTokens::new(client, running.identity.clone());
    let get = async |audience: &[&str]| {
        let audience = audience.iter().map(ToString::to_string).collect();
        within(tokens.get(audience)).await.map(Option::unwrap)
    };
    let first = get(&["b", "a"]).await.unwrap();
    assert_eq!(
        (first.id.as_str(), first.text.as_str()),
        (REVIEWS, "for a,b")
    );
    assert_eq!(plane.token().await, ["a", "b"]);
    // The same ones in any order; nobody is asked, and nobody would answer.
    plane.authority.lock().unwrap().refuses = true;
    let again = get(&["a", "b", "a"]).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let refused = get(&["c"]).await.err().unwrap();
    assert!(refused.to_string().contains("not now"), "{refused}");

    // Half of its life is over when it comes, so the next one is asked for at once; without an
    // answer the last one serves.
    {
        let mut authority = plane.authority.lock().unwrap();
        (authority.refuses, authority.seconds) = (false, (0, 0));
    }
    get(&["c"]).await.unwrap();
    assert_eq!(plane.token().await, ["c"]);
    plane.authority.lock().unwrap().seconds = (0, 1);
    let short = get(&["c"]).await.unwrap();
    assert_eq!(plane.token().await, ["c"]);
    assert!(!Arc::ptr_eq(&short, &first));
}
