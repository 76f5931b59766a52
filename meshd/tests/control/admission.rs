//! Who gets whose configuration, and for how long.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_for_another() {
    let control = Control::start().await;
    let reason = |status: &tonic::Status| {
        status
            .metadata()
            .get("mesh-refusal")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    for (identity, workload, code, want) in [
        (
            Some("spiffe://cluster.local/ns/other/sa/reviews"),
            "default/reviews-v1",
            Code::PermissionDenied,
            "namespace_mismatch",
        ),
        (
            Some("spiffe://cluster.local/ns/default/sa/ratings"),
            "default/reviews-v1",
            Code::PermissionDenied,
            "service_account_mismatch",
        ),
        (
            Some(REVIEWS),
            "reviews-v1",
            Code::InvalidArgument,
            "workload_name",
        ),
        (
            None,
            "default/reviews-v1",
            Code::Unauthenticated,
            "no_certificate",
        ),
    ] {
        let credentials = identity.map(|identity| control.credentials(identity));
        let channel = channel(&control.discovery[0], &control.roots, credentials.as_ref()).await;
        let refused = match Proxy::start(channel, first(workload, &ROOTS, HashMap::new())).await {
            Ok(mut proxy) => proxy.response().await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!(
            (refused.code(), reason(&refused)),
            (code, want.to_owned()),
            "{refused}"
        );
    }
    // A workload that nobody declared is known by its certificate alone.
    let credentials = control.credentials("spiffe://cluster.local/ns/default/sa/any");
    let channel = channel(&control.discovery[0], &control.roots, Some(&credentials)).await;
    Proxy::start(channel, first("default/any", &ROOTS, HashMap::new()))
        .await
        .unwrap()
        .take()
        .await;
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_workload_gets_another_service_account() {
    let control = Control::start().await;
    let mut proxy = control.proxy(HashMap::new()).await;
    proxy.take().await;
    let text = workload("reviews-v1", "10.0.0.1")
        .replace("serviceAccount: reviews", "serviceAccount: other");
    // At once: half a file is another configuration.
    fs::write(control.file(".v1.tmp"), text).unwrap();
    fs::rename(control.file(".v1.tmp"), control.file("v1.yaml")).unwrap();
    let status = proxy.response().await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    control.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_certificate() {
    let control = Control::start().await;
    let credentials = Credentials::issue(&control.authority, REVIEWS, Duration::from_secs(2));
    let channel = channel(&control.discovery[0], &control.roots, Some(&credentials)).await;
    let mut proxy = Proxy::start(channel, first("default/reviews-v1", &ROOTS, HashMap::new()))
        .await
        .unwrap();
    proxy.take().await;
    let status = proxy.response().await.unwrap_err();
    assert!(
        status.code() == Code::Unavailable && status.message().contains("expired"),
        "{status}"
    );
    control.stop().await;
}
