//! Which endpoints are called through HBONE.

use meshd_core::MeshSettings;
use serde_json::json;

use crate::cluster::{endpoint, over, pod, service, slice, workloads, world};
use crate::mesh::world_with;

#[test]
fn hbone_is_for_those_that_say_so_and_take_no_other_mutual_tls() {
    let label = |name: &str, value: &str| json!({ "metadata": { "labels": { name: value } } });
    let plain = label("security.istio.io/tlsMode", "disabled");
    let redirected =
        json!({ "metadata": { "annotations": { "ambient.istio.io/redirection": "enabled" } } });
    let both = json!({ "metadata": { "labels": {
        "networking.istio.io/tunnel": "http",
        "security.istio.io/tlsMode": "istio",
    } } });
    let cases = [
        (json!({}), 0),
        (label("networking.istio.io/tunnel", "http"), 15008),
        (label("networking.istio.io/tunnel", "http3,http"), 15008),
        (label("networking.istio.io/tunnel", "http3"), 0),
        (
            label("gateway.istio.io/managed", "istio.io-mesh-controller"),
            15008,
        ),
        (redirected, 15008),
        (both, 0),
    ];
    for (more, want) in cases {
        let found = world(&[
            service("a", &json!([{ "name": "http", "port": 80 }])),
            over(over(pod("a-1", "a", "10.0.0.1"), &plain), &more),
            slice(
                "a-x",
                "a",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", &json!({}))],
            ),
        ]);
        assert_eq!(workloads(&found, "a", 80)[0].hbone_port, want, "{more}");
    }
}

#[test]
fn hbone_may_be_preferred() {
    for (labels, want) in [
        ("security.istio.io/tlsMode: istio", [0, 0]),
        (
            "networking.istio.io/tunnel: http, security.istio.io/tlsMode: istio",
            [0, 15008],
        ),
    ] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{ name: a-2 }}\nspec: {{ address: 10.0.0.7, labels: {{ app: a, {labels} }} }}\n"
        );
        for (prefer_hbone, want) in [false, true].into_iter().zip(want) {
            let settings = MeshSettings {
                prefer_hbone,
                ..MeshSettings::default()
            };
            let world = world_with(&text, &settings);
            let found = workloads(&world, "a", 80);
            let one = found.iter().find(|one| one.address == "10.0.0.7").unwrap();
            assert_eq!(one.hbone_port, want, "{labels} {prefer_hbone}");
        }
    }
}
