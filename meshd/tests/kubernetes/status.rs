//! What is written back.

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Control, Place, eventually};

const API: &str = "networking.istio.io/v1";

fn rule(name: &str, mode: &str) -> String {
    format!(
        "
apiVersion: {API}
kind: DestinationRule
metadata: {{ name: {name} }}
spec:
  host: here
  trafficPolicy: {{ loadBalancer: {{ simple: {mode} }}, nonsense: {} }}
",
        mode == "RANDOM"
    )
    .replace(", nonsense: false", "")
}

/// The status of a DestinationRule once its condition is about this generation.
async fn status(place: &Place, name: &str, generation: i64) -> Value {
    let api = place.api(API, "DestinationRule");
    eventually("a status of this generation", || async {
        let object = api.get(name).await.unwrap();
        let status = object.data["status"].clone();
        (status["observedGeneration"] == generation).then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_say_whether_they_are_in_force() {
    let place = Place::new("status").await;
    let service =
        "{apiVersion: v1, kind: Service, metadata: {name: here}, spec: {ports: [{port: 80}]}}";
    place.apply(service).await;
    place.apply(&rule("one", "ROUND_ROBIN")).await;
    let control = Control::start(&place, "a").await.ready().await;
    let good = status(&place, "one", 1).await;
    assert_eq!(good["conditions"][0]["type"], "Accepted");
    assert_eq!(good["conditions"][0]["status"], "True");

    place.apply(&rule("one", "RANDOM")).await;
    let bad = status(&place, "one", 2).await;
    assert_eq!(bad["conditions"][0]["status"], "False");
    assert_eq!(bad["conditions"][0]["reason"], "Quarantined");
    let message = bad["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("nonsense"), "{message}");
    assert_eq!(bad["validationMessages"][0]["type"]["code"], "IST0106");
    let events: Api<Event> = Api::namespaced(place.client.clone(), &place.namespace);
    eventually("an event", || async {
        let events = events.list(&ListParams::default()).await.unwrap();
        let mut events = events.items.into_iter();
        events.find(|event| event.reason.as_deref() == Some("Quarantined"))
    })
    .await;

    place.apply(&rule("one", "ROUND_ROBIN")).await;
    let good = status(&place, "one", 3).await;
    assert_eq!(good["conditions"][0]["status"], "True");
    assert!(good.get("validationMessages").is_none(), "{good}");

    // What has been written is not written again.
    let writes = control.metric("mesh_kubernetes_status_writes_total{result=\"success\"}");
    assert!(writes.await.unwrap() >= 3.0);
    let control = control.restart().await;
    place.apply(&rule("two", "ROUND_ROBIN")).await;
    status(&place, "two", 1).await;
    let api = place.api(API, "DestinationRule");
    let after = api.get("one").await.unwrap().data["status"].clone();
    assert_eq!(after, good);
    let writes = control.metric("mesh_kubernetes_status_writes_total{result=\"success\"}");
    assert!(writes.await.unwrap() >= 1.0);
    control.stop().await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_stays() {
    let place = Place::new("foreign").await;
    place.apply(&rule("one", "ROUND_ROBIN")).await;
    let foreign = json!({
        "apiVersion": API,
        "kind": "DestinationRule",
        "status": { "conditions": [{ "type": "Healthy", "status": "True" }] },
    });
    let api = place.api(API, "DestinationRule");
    let params = PatchParams::apply("another-controller");
    api.patch_status("one", &params, &Patch::Apply(&foreign))
        .await
        .unwrap();
    let control = Control::start(&place, "a").await.ready().await;
    let both = status(&place, "one", 1).await;
    let mut types: Vec<&str> = both["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| condition["type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(types, ["Accepted", "Healthy"]);
    control.stop().await;
    place.leave().await;
}
