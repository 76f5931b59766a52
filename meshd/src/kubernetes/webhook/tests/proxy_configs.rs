//! What ProxyConfigs make of pods.

use super::*;

/// The value of a variable of the pod's proxy.
fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let containers = pod["spec"]["initContainers"].as_array().unwrap().iter();
    let mut proxies = containers.filter(|container| container["name"] == "istio-proxy");
    let mut variables = proxies.next().unwrap()["env"].as_array().unwrap().iter();
    variables.find(|variable| variable["name"] == name)?["value"].as_str()
}

/// Those that are in force when a pod is made count; pods that are there stay as they are.
#[tokio::test]
async fn proxies_start_as_proxy_configs_say() {
    #[expect(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn proxy_config(namespace: &str, spec: Value) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1beta1", "kind": "ProxyConfig",
            "metadata": {"name": "settings", "namespace": namespace}, "spec": spec,
        })
    }
    let of_mesh = proxy_config(
        "istio-system",
        json!({"environmentVariables": {"TEAM": "platform"}}),
    );
    let of_shop = |threads: u32| {
        let selector = json!({"matchLabels": {"app": "reviews"}});
        let spec = json!({"selector": selector, "concurrency": threads, "environmentVariables": {"TEAM": "shop"}});
        proxy_config("shop", spec)
    };
    let running = Running::start(&[of_mesh.clone(), of_shop(3)]).await;
    let told = async |namespace: &str| {
        let pod = running.inject(namespace, pod(&deployment())).await.object;
        let of = |name: &str| variable(&pod, name).unwrap_or_default().to_owned();
        (of("MESH_CONCURRENCY"), of("TEAM"))
    };
    let want = |threads: &str, team: &str| (threads.to_owned(), team.to_owned());
    assert_eq!(told("shop").await, want("3", "shop"));
    assert_eq!(told("other").await, want("", "platform"));
    let before = running.inject("shop", pod(&deployment())).await.object;
    running.publish(&[of_mesh.clone(), of_shop(4)]);
    assert_eq!(told("shop").await, want("4", "shop"));
    running.publish(&[of_mesh]);
    assert_eq!(told("shop").await, want("", "platform"));
    let again = running.inject("shop", before.clone()).await;
    assert_eq!(again.object, before);

    // What cannot be is refused, and what does nothing is named.
    let wrong = proxy_config("shop", json!({"concurrency": -1}));
    let reviewed = running.validate(wrong, Value::Null).await;
    assert!(
        !reviewed.allowed && reviewed.message.contains("spec.concurrency"),
        "{}",
        reviewed.message
    );
    let image = proxy_config("shop", json!({"image": {"imageType": "debug"}}));
    let reviewed = running.validate(image, Value::Null).await;
    assert!(reviewed.allowed);
    assert!(
        reviewed.warnings.len() == 1 && reviewed.warnings[0].contains("`debug` has no effect"),
        "{:?}",
        reviewed.warnings
    );
    running.stop().await;
}
