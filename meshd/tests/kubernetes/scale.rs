//! Many objects.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::cluster::{Control, Place};

/// Pages of lists have 250 objects: this is several, with a partial one at the end.
/// `MESH_TEST_PODS` sets another number.
fn pods_wanted() -> usize {
    let wanted = std::env::var("MESH_TEST_PODS").ok();
    wanted.map_or(1234, |number| {
        number.parse().expect("MESH_TEST_PODS is a number")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages() {
    let place = Place::new("pages").await;
    let pods: Api<Pod> = Api::namespaced(place.client.clone(), &place.namespace);
    let count = pods_wanted();
    stream::iter(0..count)
        .for_each_concurrent(16, |number| {
            let pods = pods.clone();
            async move {
                let pod = json!({
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": { "name": format!("p{number}"), "labels": { "app": "many" } },
                    "spec": {
                        "containers": [{ "name": "c", "image": "none" }],
                        // Nobody runs them.
                        "schedulerName": "nobody",
                        "automountServiceAccountToken": false,
                    },
                });
                let pod = serde_json::from_value(pod).unwrap();
                pods.create(&PostParams::default(), &pod).await.unwrap();
            }
        })
        .await;
    let begun = Instant::now();
    let control = Control::start(&place, "a").await.ready().await;
    println!("{count} pods known after {:?}", begun.elapsed());
    let known = control.metric("mesh_kubernetes_objects{kind=\"pods\"}");
    assert!(known.await.unwrap() >= count as f64);
    let begun = Instant::now();
    control.wait().await;
    println!("caught up with them after {:?}", begun.elapsed());
    control.stop().await;
    place.leave().await;
}
