//! What is read.

use serde_json::{Value, json};

use crate::cluster::{Control, Place, eventually};

fn service(name: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec:
  ports: [{{ name: http, port: 9080 }}]
"
    )
}

fn virtual_service(name: &str, host: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: {name} }}
spec:
  hosts: [{host}]
  http: [{{ route: [{{ destination: {{ host: {host} }} }}] }}]
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn knows_what_was_there_and_what_changes() {
    let place = Place::new("source").await;
    let namespace = place.namespace.clone();
    place.apply(&service("early")).await;
    let control = Control::start(&place, "a").await.ready().await;
    let host = |name: &str| format!("{name}.{namespace}.svc.cluster.local");
    assert_eq!(control.services(&namespace).await, [host("early")]);

    // `wait` takes in everything that was applied before it, and nothing is left over.
    for round in 0..5 {
        let name = format!("late-{round}");
        place.apply(&service(&name)).await;
        place.apply(&virtual_service(&name, "nobody")).await;
        control.wait().await;
        assert!(control.services(&namespace).await.contains(&host(&name)));
        let problems = control.problems(&namespace).await;
        assert!(
            problems.iter().any(|p| p.starts_with(&name)),
            "{problems:?}"
        );
        place.delete("v1", "Service", &name).await;
        place
            .delete("networking.istio.io/v1", "VirtualService", &name)
            .await;
        control.wait().await;
        assert_eq!(control.services(&namespace).await, [host("early")]);
        assert!(control.problems(&namespace).await.is_empty());
    }
    control.stop().await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantine_outlives_a_restart() {
    let place = Place::new("quarantine").await;
    let namespace = place.namespace.clone();
    let entry = |hosts: &str| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: out }}
spec:
  hosts: {hosts}
  resolution: DNS
  ports: [{{ number: 443, name: tls, protocol: TLS }}]
"
        )
    };
    place.apply(&entry("[one.example]")).await;
    let control = Control::start(&place, "a").await.ready().await;
    place.apply(&entry("[two.example, 'a b']")).await;
    control.wait().await;
    assert_eq!(control.problems(&namespace).await.len(), 1);
    assert_eq!(control.services(&namespace).await, ["one.example"]);
    let control = control.restart().await;
    assert_eq!(control.problems(&namespace).await.len(), 1);
    assert_eq!(control.services(&namespace).await, ["one.example"]);
    // Another replica has never seen the good version: the leader tells it.
    let maps = place.api("v1", "ConfigMap");
    eventually("the leader's note", || async {
        maps.get_opt("mesh-last-good").await.unwrap()
    })
    .await;
    let other = Control::start(&place, "b").await.ready().await;
    assert_eq!(other.services(&namespace).await, ["one.example"]);
    eventually("the same digest", || async {
        let (one, other) = (control.wait().await, other.wait().await);
        (one["digest"] == other["digest"]).then_some(())
    })
    .await;
    other.stop().await;
    place.apply(&entry("[two.example]")).await;
    control.wait().await;
    assert_eq!(control.services(&namespace).await, ["two.example"]);
    control.stop().await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_agree() {
    let place = Place::new("agree").await;
    place.apply(&service("one")).await;
    let first = Control::start(&place, "a").await.ready().await;
    place.apply(&service("two")).await;
    let second = Control::start(&place, "b").await.ready().await;
    eventually("the same digest", || async {
        let (one, other) = (first.wait().await, second.wait().await);
        (one["digest"] == other["digest"]).then_some(())
    })
    .await;
    first.stop().await;
    second.stop().await;
    place.leave().await;
}

/// A definition of a kind that Istio has and `meshd crds` has not, as another installation may
/// bring it at any time.
fn plugin_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "wasmplugins.extensions.istio.io" },
        "spec": {
            "group": "extensions.istio.io",
            "scope": "Namespaced",
            "names": { "kind": "WasmPlugin", "plural": "wasmplugins", "singular": "wasmplugin", "listKind": "WasmPluginList" },
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_come_and_go() {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    use kube::Api;
    use kube::api::{DeleteParams, PostParams};
    use kube::runtime::conditions::is_crd_established;
    use kube::runtime::wait::await_condition;

    let place = Place::new("kinds").await;
    let namespace = place.namespace.clone();
    let definitions: Api<CustomResourceDefinition> = Api::all(place.client.clone());
    let name = "wasmplugins.extensions.istio.io";
    let there = definitions.get_opt(name).await.unwrap();
    assert!(
        there.is_none(),
        "run this on a cluster without Istio: the test makes and removes {name}"
    );
    let control = Control::start(&place, "a").await.ready().await;
    let definition = serde_json::from_value(plugin_definition()).unwrap();
    let params = PostParams::default();
    definitions.create(&params, &definition).await.unwrap();
    await_condition(definitions.clone(), name, is_crd_established())
        .await
        .unwrap();
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": { "name": "t" },
        "spec": {},
    });
    let api = place.api("extensions.istio.io/v1alpha1", "WasmPlugin");
    eventually("the new kind to be served", || async {
        let object = serde_json::from_value(object.clone()).unwrap();
        api.create(&params, &object).await.ok()
    })
    .await;
    control.wait().await;
    let problems = control.problems(&namespace).await;
    assert!(problems[0].starts_with("t: "), "{problems:?}");

    let delete = DeleteParams::default();
    definitions.delete(name, &delete).await.unwrap();
    eventually("the object to go with its kind", || async {
        control.problems(&namespace).await.is_empty().then_some(())
    })
    .await;
    control.stop().await;
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mesh_settings_come_from_a_config_map() {
    let place = Place::new("config").await;
    let namespace = place.namespace.clone();
    let map = |name: &str, mesh: &str| {
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": name },
        });
        object["data"]["mesh"] = mesh.into();
        object.to_string()
    };
    place
        .apply(&map(
            "istio",
            "trustDomain: shop.example\nenableTracing: true\n",
        ))
        .await;
    let control = Control::start(&place, "a").await.ready().await;
    let world = control.json("/debug/world").await;
    assert_eq!(world["trust_domain"], "shop.example");
    let problems = control.problems(&namespace).await;
    assert_eq!(problems, ["istio: not used by this mesh: enableTracing"]);

    let text = "trustDomain: shop.example\nrootNamespace: elsewhere\noutboundTrafficPolicy: { mode: REGISTRY_ONLY }\n";
    place.apply(&map("mesh", text)).await;
    control.wait().await;
    let world = control.json("/debug/world").await;
    assert_eq!(world["root_namespace"], "elsewhere");
    assert_eq!(world["outbound_policy"], "OUTBOUND_POLICY_REGISTRY_ONLY");
    place.delete("v1", "ConfigMap", "mesh").await;
    control.wait().await;
    let world = control.json("/debug/world").await;
    assert_eq!(world["root_namespace"], namespace.as_str());
    control.stop().await;
    place.leave().await;
}
