//! Two meshes of different trust domains call each other once each has fetched the other's bundle.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mesh_tests::echo::{Echo, Seen};
use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, meshctl};
use serde_json::{Value, json};

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(50);

const STRICT: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers}
spec: {rules: [{from: [{source: {principals: [a.example/ns/default/sa/client]}}]}]}
";

/// A mesh of a trust domain of its own, which serves its bundle.
struct Mesh {
    mesh: LaptopMesh,
    domain: &'static str,
}

impl Mesh {
    fn start(domain: &'static str, workload: &str, file: &str) -> Self {
        let text = format!(
            "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: {}}}
spec:
  trustDomain: {domain}
  meshConfig: {{trustDomainAliases: []}}
  workloads: [{workload}]
",
            domain.replace('.', "-")
        );
        let mut command = Command::new(meshctl());
        command
            .env("MESHD_BUNDLE_ENDPOINT", "127.0.0.1:0")
            .env("MESHD_BUNDLE_REFRESH_HINT", "5s");
        let mesh = LaptopMesh::launch(command, &text, &[("config.yaml", file)]).unwrap();
        Self { mesh, domain }
    }

    /// How another mesh is told of this one.
    fn as_seen_by_others(&self) -> Value {
        let log = fs::read_to_string(self.mesh.state().join("logs/meshd.log")).unwrap();
        let line = log.lines().find(|line| line.contains("is served")).unwrap();
        let (_, address) = line.rsplit_once("address=").unwrap();
        // The log may be in colours.
        let end = address.find(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter));
        let address = address.split_at(end.unwrap_or(address.len())).0;
        let root = fs::read_to_string(self.mesh.state().join("ca/root.pem")).unwrap();
        json!([{
            "spiffeBundleUrl": format!("https://{address}/bundle.json"),
            "trustDomains": [self.domain],
            "bundleEndpointProfile": {
                "type": "https_spiffe",
                "endpointSPIFFEID": format!("spiffe://{}/ns/istio-system/sa/meshd", self.domain),
            },
            "trustDomainBundle": root,
        }])
    }

    /// Replaces the mesh configuration while it runs.
    fn configure(&self, trusted: &Value) {
        let text = json!({"caCertificates": trusted}).to_string();
        let place = self.mesh.state().join("mesh-config.json");
        let new = place.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &place).unwrap();
    }

    /// Status of a call of the other mesh's server, and what that saw.
    async fn call(&self) -> (u16, Option<Seen>) {
        let request = Request::get("http://echo.b.example:9000/")
            .header("host", "echo.b.example:9000")
            .body(Bytes::new())
            .unwrap();
        let answer = self.mesh.send("client", request).await.unwrap();
        let seen = serde_json::from_slice(&answer.body).ok();
        (answer.status.as_u16(), seen)
    }

    async fn until(&self, wanted: impl Fn(u16) -> bool) -> Option<Seen> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let (status, seen) = self.call().await;
            if wanted(status) {
                return seen;
            }
            assert!(Instant::now() < deadline, "still {status}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

// Some seconds: a control plane looks at its file every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_meshes_that_fetch_each_others_bundles_call_each_other() {
    let echo = Echo::start("echo").await.unwrap();
    let server = format!(
        "{{name: echo, serviceAccount: echo, labels: {{app: echo}}, ports: [{{name: http, port: 9000, appPort: {}}}]}}",
        echo.address().port()
    );
    let b = Mesh::start("b.example", &server, STRICT);
    let address = b.mesh.workload("echo").unwrap().clone();
    let elsewhere = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: echo}}
spec:
  hosts: [echo.b.example]
  resolution: STATIC
  ports: [{{number: 9000, name: http, protocol: HTTP}}]
  endpoints: [{{address: {}}}]
  subjectAltNames: ['spiffe://b.example/ns/default/sa/echo']
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo}}
spec: {{host: echo.b.example, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}
",
        address.get("address").and_then(Value::as_str).unwrap()
    );
    let client = "{name: client, serviceAccount: client, labels: {app: client}}";
    let a = Mesh::start("a.example", client, &elsewhere);

    // Neither knows the other; then only one knows the other.
    assert_eq!(a.call().await.0, 503);
    a.configure(&b.as_seen_by_others());
    b.configure(&a.as_seen_by_others());
    let seen = a.until(|status| status == 200).await.unwrap();
    let client = seen.headers.iter().find_map(|(name, value)| {
        let named = name == "x-forwarded-client-cert";
        named.then(|| value.clone())
    });
    let client = client.unwrap_or_default();
    assert!(
        client.contains("URI=spiffe://a.example/ns/default/sa/client"),
        "{client}"
    );

    // What is trusted no more is refused, on the connection that is open, too.
    b.configure(&json!([]));
    a.until(|status| status != 200).await;

    a.mesh.stop().unwrap();
    b.mesh.stop().unwrap();
}
