//! What happens when the API server refuses, or is away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::cluster::{Control, Place, eventually};

/// The kubeconfig that KUBECONFIG names, changed.
fn kubeconfig(dir: &Path, change: impl FnOnce(&mut Kubeconfig)) -> PathBuf {
    let mut config = Kubeconfig::read().unwrap();
    change(&mut config);
    let path = dir.join("kubeconfig");
    std::fs::write(&path, serde_json::to_string(&config).unwrap()).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_permission_is_a_problem_with_a_name() {
    let place = Place::new("rbac").await;
    let namespace = place.namespace.clone();
    let dir = tempfile::tempdir().unwrap();
    let user = format!("system:serviceaccount:{namespace}:meshd");
    let limited = kubeconfig(dir.path(), |config| {
        for user_of_config in &mut config.auth_infos {
            user_of_config.auth_info.as_mut().unwrap().impersonate = Some(user.clone());
        }
    });
    grant(&place, &cluster_role(&namespace, "some", &ALL_BUT_SERVICES)).await;
    grant(&place, &binding(&namespace, "some")).await;
    place
        .apply(&OWN_NAMESPACE.replace("NAMESPACE", &namespace))
        .await;

    let control = Control::start_with(&place, "a", |settings| {
        settings.access.kubeconfig = Some(limited);
    })
    .await;
    // Services are needed: it says so, and is not ready.
    eventually("the reason", || async {
        let (code, text) = crate::cluster::http(&control.monitoring, "/readyz").await;
        (code == 503 && text.contains("waiting for services") && text.contains("forbidden"))
            .then_some(())
    })
    .await;
    grant(&place, &cluster_role(&namespace, "services", &["services"])).await;
    grant(&place, &binding(&namespace, "services")).await;
    let control = control.ready().await;
    // Secrets are not: what is refused is named.
    let problems = control.json("/v1/problems").await;
    let refused: Vec<&str> = problems["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|problem| problem["code"] == "KubernetesForbidden")
        .map(|problem| problem["message"].as_str().unwrap())
        .collect();
    assert!(
        refused.iter().all(|text| !text.contains("services")),
        "{refused:?}"
    );
    assert!(
        refused
            .iter()
            .any(|text| text.contains("secrets (type=Opaque)")),
        "{refused:?}"
    );
    is_enough(&place, &control).await;
    grant(&place, &cluster_role(&namespace, "secrets", &["secrets"])).await;
    grant(&place, &binding(&namespace, "secrets")).await;
    eventually("the problem to be resolved", || async {
        let problems = control.json("/v1/problems").await.to_string();
        (!problems.contains("secrets (type=Opaque)")).then_some(())
    })
    .await;
    control.stop().await;
    for name in ["some", "services", "secrets"] {
        revoke(&place, &cluster_role(&namespace, name, &[])).await;
        revoke(&place, &binding(&namespace, name)).await;
    }
    place.leave().await;
}

/// What is granted is enough to lead, and to write down what is in quarantine.
async fn is_enough(place: &Place, control: &Control) {
    let entry = |hosts: &str| {
        let meta =
            "apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: { name: out }";
        format!(
            "{{{meta}, spec: {{ hosts: {hosts}, resolution: NONE, ports: [{{ number: 80, name: http }}] }}}}"
        )
    };
    place.apply(&entry("[one.example]")).await;
    control.wait().await;
    place.apply(&entry("['a b']")).await;
    eventually(
        "the note of the last good version, and the status",
        || async {
            let note = place
                .api("v1", "ConfigMap")
                .get_opt("mesh-last-good")
                .await
                .unwrap();
            let object = place
                .api("networking.istio.io/v1", "ServiceEntry")
                .get("out")
                .await
                .unwrap();
            let reason = &object.data["status"]["conditions"][0]["reason"];
            (note.is_some() && reason == "Quarantined").then_some(())
        },
    )
    .await;
}

const ALL_BUT_SERVICES: [&str; 24] = [
    "pods",
    "namespaces",
    "endpointslices",
    "nodes",
    "ingresses",
    "ingressclasses",
    "virtualservices",
    "destinationrules",
    "gateways",
    "serviceentries",
    "workloadentries",
    "peerauthentications",
    "authorizationpolicies",
    "sidecars",
    "workloadgroups",
    "envoyfilters",
    "proxyconfigs",
    "requestauthentications",
    "wasmplugins",
    "trafficextensions",
    "httproutes",
    "grpcroutes",
    "gatewayclasses",
    "referencegrants",
];

fn cluster_role(namespace: &str, name: &str, resources: &[&str]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": format!("{namespace}-{name}") },
        "rules": [
            { "apiGroups": ["*"], "resources": resources, "verbs": ["list", "watch"] },
            { "apiGroups": ["*"], "resources": ["*/status"], "verbs": ["patch"] },
            { "apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"] },
        ],
    })
}

fn binding(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": format!("{namespace}-{name}") },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": format!("{namespace}-{name}"),
        },
        "subjects": [{ "kind": "ServiceAccount", "name": "meshd", "namespace": namespace }],
    })
}

/// What a control plane may do in its own namespace.
const OWN_NAMESPACE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: meshd }
rules:
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [mesh, istio-mesh, istio]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [mesh-last-good]
  verbs: [get, list, watch, create, patch]
- apiGroups: ['']
  resources: [configmaps]
  resourceNames: [mesh-ca-signers]
  verbs: [get, create, patch]
- { apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create] }
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [mesh-leader]
  verbs: [get, list, watch, update]
# Of the authority.
- { apiGroups: [''], resources: [secrets], verbs: ['*'] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: meshd }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: meshd }
subjects: [{ kind: ServiceAccount, name: meshd, namespace: NAMESPACE }]
";

fn cluster_wide(place: &Place, object: &Value) -> kube::Api<kube::api::DynamicObject> {
    use kube::core::{ApiResource, GroupVersionKind};
    let kind = object["kind"].as_str().unwrap();
    let gvk = GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", kind);
    kube::Api::all_with(place.client.clone(), &ApiResource::from_gvk(&gvk))
}

async fn grant(place: &Place, object: &Value) {
    let params = kube::api::PatchParams::apply("a-user").force();
    let name = object["metadata"]["name"].as_str().unwrap();
    let patch = kube::api::Patch::Apply(object);
    cluster_wide(place, object)
        .patch(name, &params, &patch)
        .await
        .unwrap();
}

async fn revoke(place: &Place, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    cluster_wide(place, object)
        .delete(name, &kube::api::DeleteParams::default())
        .await
        .unwrap();
}

/// A way to the API server that can be cut.
struct Way {
    address: String,
    open: Arc<AtomicBool>,
    cut: Arc<Notify>,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (open, cut) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
        let way = Self {
            address,
            open: Arc::clone(&open),
            cut: Arc::clone(&cut),
        };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let (server, cut) = (server.clone(), Arc::clone(&cut));
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        way
    }

    fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
        if !open {
            self.cut.notify_waiters();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_the_server_was_away_is_known_after() {
    let place = Place::new("away").await;
    let namespace = place.namespace.clone();
    let service = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{ name: {name} }}, spec: {{ ports: [{{ port: 80 }}] }}}}"
        )
    };
    place.apply(&service("stays")).await;
    place.apply(&service("goes")).await;
    let dir = tempfile::tempdir().unwrap();
    let server = Kubeconfig::read().unwrap().clusters[0]
        .cluster
        .clone()
        .unwrap();
    let server = server.server.unwrap();
    let host = server
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_owned();
    let way = Way::to(host.clone()).await;
    let path = kubeconfig(dir.path(), |config| {
        let cluster = config.clusters[0].cluster.as_mut().unwrap();
        let name = host
            .rsplit_once(':')
            .map_or(host.as_str(), |(name, _)| name);
        cluster
            .tls_server_name
            .get_or_insert_with(|| name.to_owned());
        cluster.server = Some(format!("https://{}", way.address));
    });
    let control = Control::start_with(&place, "a", |settings| {
        settings.access.kubeconfig = Some(path);
    })
    .await
    .ready()
    .await;
    let host = |name: &str| format!("{name}.{namespace}.svc.cluster.local");
    assert_eq!(
        control.services(&namespace).await,
        [host("goes"), host("stays")]
    );

    way.set_open(false);
    place.delete("v1", "Service", "goes").await;
    place.apply(&service("comes")).await;
    let (code, text) = crate::cluster::http(&control.admin, "/v1/wait").await;
    assert_eq!(code, 503, "{text}");
    // Nothing is lost meanwhile, and it stays ready for proxies.
    assert_eq!(
        control.services(&namespace).await,
        [host("goes"), host("stays")]
    );
    let (code, _) = crate::cluster::http(&control.monitoring, "/readyz").await;
    assert_eq!(code, 200);
    way.set_open(true);
    eventually("the changes", || async {
        let services = control.services(&namespace).await;
        (services == [host("comes"), host("stays")]).then_some(())
    })
    .await;
    control.stop().await;
    place.leave().await;
}
