//! The mesh of a test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;

use mesh_tests::{LaptopMesh, meshctl};

use crate::programs::free_port;
use crate::proxy::Proxy;

/// How long the sidecars of a test wait for first bytes: short, so that one can wait for longer.
pub(crate) const DETECT: std::time::Duration = std::time::Duration::from_millis(500);

/// The addresses that everything of a test has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Four,
    Six,
}

/// A mesh with one application, and the sidecar of one that calls it.
pub(crate) struct Served {
    pub(crate) mesh: LaptopMesh,
    /// The explicit proxy of the client.
    pub(crate) proxy: SocketAddr,
    /// Where the application's sidecar takes calls from others.
    pub(crate) inbound: SocketAddr,
    // On ::1, where the mesh file has no words for them.
    _proxies: Vec<Proxy>,
}

// === impl Family ===

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::Four, Self::Six];

    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Self::Four => Ipv4Addr::LOCALHOST.into(),
            Self::Six => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// A socket address of it.
    pub(crate) fn at(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.loopback(), port)
    }

    /// A mesh in which `name` serves port `number`, called `port`, by the application on port
    /// `app` of this family's loopback address. On IPv6 both sidecars listen on `::1`, too.
    pub(crate) async fn serve(self, name: &str, port: &str, number: u16, app: u16) -> Served {
        if self == Self::Four {
            let mesh = mesh(&workload(name, port, number, app), "").await;
            let proxy = mesh.explicit("client").unwrap();
            let address = mesh.workload(name).unwrap()["address"].as_str().unwrap();
            let inbound = SocketAddr::new(address.parse().unwrap(), number);
            return Served {
                mesh,
                proxy,
                inbound,
                _proxies: Vec::new(),
            };
        }
        let target = free_port();
        let service = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
             spec: {{selector: {{app: {name}}}, ports: [{{name: {port}, port: {number}, targetPort: {target}}}]}}\n"
        );
        let mesh = mesh("", &service).await;
        let inbound = format!("{target}=[::1]:{target}=[::1]:{app}");
        let more = ["--addresses", "::1", "--register", "--inbound", &inbound];
        let server = Proxy::start(&mesh, &format!("{name}-six"), name, &more);
        let more = ["--addresses", "::1", "--explicit", "[::1]:0"];
        let client = Proxy::start(&mesh, "client-six", "client", &more);
        mesh.settle().await.unwrap();
        Served {
            proxy: client.explicit.unwrap(),
            inbound: self.at(target),
            mesh,
            _proxies: vec![server, client],
        }
    }
}

/// Starts a mesh with a workload `client` and these, on this configuration of Istio. Mutual TLS
/// is required everywhere.
pub(crate) async fn mesh(workloads: &str, config: &str) -> LaptopMesh {
    mesh_with_gateways(workloads, "", config).await
}

/// As [`mesh`], with nothing but the workload `client`, whose certificates live so long.
pub(crate) async fn mesh_with_certificates(life: &str) -> LaptopMesh {
    let text = "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {name: peers}
spec:
  workloads:
  - {name: client, serviceAccount: client, labels: {app: client}}
";
    let mut command = Command::new(meshctl());
    command.env("MESH_CERTIFICATE_TTL", life);
    LaptopMesh::launch(command, text, &[]).unwrap()
}

/// As [`mesh`], with gateways.
pub(crate) async fn mesh_with_gateways(
    workloads: &str,
    gateways: &str,
    config: &str,
) -> LaptopMesh {
    let workloads = indent(workloads);
    let gateways = if gateways.is_empty() {
        String::new()
    } else {
        format!("  gateways:\n{}", indent(gateways))
    };
    let text = format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: peers}}
spec:
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
{workloads}{gateways}"
    );
    let strict = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
";
    let mut command = Command::new(meshctl());
    command.env("MESH_DETECT_TIMEOUT", format!("{}ms", DETECT.as_millis()));
    let files = [("strict.yaml", strict), ("test.yaml", config)];
    let files: &[_] = if config.is_empty() {
        &files[..1]
    } else {
        &files
    };
    let mesh = LaptopMesh::launch(command, &text, files).unwrap();
    // What is wrong in a test's configuration is found here.
    let problems = mesh.meshd("/v1/problems").await.unwrap();
    let errors = problems["problems"].as_array().into_iter().flatten();
    let errors = errors.filter(|problem| problem["severity"] == "SEVERITY_ERROR");
    assert_eq!(errors.count(), 0, "{problems:#}");
    mesh
}

/// What the access logs of all proxies say of requests that did not end well.
pub(crate) fn complaints(mesh: &LaptopMesh) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(mesh.state().join("proxies")).unwrap() {
        let path = entry.unwrap().path();
        let log = fs::read_to_string(path.join("access.log")).unwrap_or_default();
        let bad = log.lines().filter(|line| !line.contains("\" 200 - "));
        let few: Vec<&str> = bad.take(5).collect();
        all += &format!("{}:\n{}\n", path.display(), few.join("\n"));
    }
    all
}

/// A workload with one port, in the form of [`mesh`]'s argument. `port` is the name of the port,
/// which says what is spoken there.
pub(crate) fn workload(name: &str, port: &str, number: u16, app: u16) -> String {
    format!(
        "- {{name: {name}, serviceAccount: {name}, labels: {{app: {name}}}, \
         ports: [{{name: {port}, port: {number}, appPort: {app}}}]}}\n"
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
