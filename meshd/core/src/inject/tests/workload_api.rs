//! The workload's identity for applications.

use super::golden::REVIEWS;
use super::*;

#[test]
fn applications_get_their_identity_if_they_ask() {
    let mut deployment = yaml(REVIEWS);
    let annotations = &mut deployment["spec"]["template"]["metadata"]["annotations"];
    annotations["mesh.dev/workload-api"] = "true".into();
    let (object, _) = injected(deployment, &settings());
    let pod = &object["spec"]["template"]["spec"];
    let application = &pod["containers"][0];
    let mount = json!({"name": "workload-socket", "mountPath": "/var/run/secrets/workload-spiffe-uds", "readOnly": true});
    assert_eq!(
        application["volumeMounts"],
        json!([{"name": "tmp", "mountPath": "/tmp"}, mount])
    );
    let socket = "/var/run/secrets/workload-spiffe-uds/socket";
    assert_eq!(
        application["env"],
        json!([{"name": "SPIFFE_ENDPOINT_SOCKET", "value": format!("unix://{socket}")}])
    );
    let containers = pod["initContainers"].as_array().unwrap();
    let proxy = containers.iter().find(|one| one["name"] == "istio-proxy");
    let environment = proxy.unwrap()["env"].as_array().unwrap();
    for (name, value) in [
        ("MESH_WORKLOAD_API", socket),
        ("MESH_WORKLOAD_API_USERS", "any"),
    ] {
        assert!(environment.contains(&json!({"name": name, "value": value})));
    }
    let volume = json!({"name": "workload-socket", "emptyDir": {}});
    assert!(pod["volumes"].as_array().unwrap().contains(&volume));
}
