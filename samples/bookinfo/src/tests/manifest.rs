//! The manifest for Kubernetes: its images are those that the Dockerfile makes, and every
//! workload of MESH.yaml is in it under the same name.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap()
}

#[test]
fn workloads_accounts_and_images_fit() {
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&read("platform/kube/bookinfo.yaml")).unwrap();
    let of = |kind: &str| {
        let all = objects.iter().filter(move |object| object["kind"] == kind);
        all.cloned().collect::<Vec<Value>>()
    };
    let names = |kind: &str| -> BTreeSet<String> {
        let named = of(kind);
        named
            .iter()
            .map(|one| text(one, "/metadata/name").to_owned())
            .collect()
    };
    let mesh: Value = serde_saphyr::from_str(&read("mesh.yaml")).unwrap();
    let workloads = mesh["spec"]["workloads"].as_array().unwrap();
    let wanted: BTreeSet<String> = workloads
        .iter()
        .map(|workload| text(workload, "/name").to_owned())
        .collect();
    assert_eq!(names("Deployment"), wanted);

    let dockerfile = read("../../deploy/Dockerfile");
    for deployment in of("Deployment") {
        let name = text(&deployment, "/metadata/name");
        let pod = &deployment["spec"]["template"];
        let image = text(pod, "/spec/containers/0/image");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(image, format!("mesh.local/bookinfo-{name}:{version}"));
        assert!(
            dockerfile.contains(&format!("AS bookinfo-{name}\n")),
            "the Dockerfile has no target for {image}"
        );
        let app = text(pod, "/metadata/labels/app");
        let workload = workloads.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(text(workload, "/labels/app"), app);
        assert_eq!(
            workload["serviceAccount"], pod["spec"]["serviceAccountName"],
            "{name}"
        );
        assert!(names("Service").contains(app), "{app} has no Service");
        assert!(names("ServiceAccount").contains(text(pod, "/spec/serviceAccountName")));
    }
}
