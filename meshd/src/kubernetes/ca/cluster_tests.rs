//! Against the Kubernetes that KUBECONFIG names. Each test has a namespace of its own.

use std::collections::BTreeSet;
use std::time::Instant;

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use mesh_ca::{AuthorityMaterial, BearerRefusal, JoinClaims};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::roots::{KEY, Target, keep};
use super::*;
use crate::kubernetes::ClusterAccess;

/// Not the name that a mesh in the same cluster would read.
const TEST_NAME: &str = "mesh-ca-root-cert-of-a-test";
const DEADLINE: Duration = Duration::from_secs(60);

async fn client() -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    ClusterAccess::default()
        .connect()
        .await
        .expect("set KUBECONFIG to the kubeconfig of a cluster that may be written to")
}

/// A new namespace; what an earlier run left behind does not matter.
async fn namespace(client: &Client, prefix: &str) -> String {
    let object = Namespace {
        metadata: ObjectMeta {
            generate_name: Some(format!("mesh-ca-{prefix}-")),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let api = Api::<Namespace>::all(client.clone());
    let made = api.create(&PostParams::default(), &object).await.unwrap();
    made.name_any()
}

/// A client that may do in a namespace, and in the cluster, what meshd's authority needs, and
/// nothing else.
async fn limited(client: &Client, namespace: &str) -> Client {
    let meta = serde_json::json!({ "name": "meshd", "namespace": namespace });
    let meta_of_all = serde_json::json!({ "name": namespace });
    let subjects = serde_json::json!([
        { "kind": "ServiceAccount", "name": "meshd", "namespace": namespace },
    ]);
    let reference = |kind: &str, name: &str| serde_json::json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
    let rule = |group: &str, resource: &str, names: &[&str], verbs: &[&str]| {
        serde_json::json!({
            "apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": verbs,
        })
    };
    let role = serde_json::json!({ "metadata": meta, "rules": [
        rule("", "secrets", &["mesh-ca", "cacerts"], &["get", "list", "watch"]),
        rule("", "secrets", &["mesh-ca"], &["update"]),
        rule("", "secrets", &[], &["create"]),
    ]});
    let role_of_all = serde_json::json!({ "metadata": meta_of_all, "rules": [
        rule("authentication.k8s.io", "tokenreviews", &[], &["create"]),
        rule("", "namespaces", &[], &["list", "watch"]),
        rule("", "configmaps", &[TEST_NAME], &["list", "watch", "patch"]),
        rule("", "configmaps", &[], &["create"]),
    ]});
    let binding = serde_json::json!({
        "metadata": meta, "roleRef": reference("Role", "meshd"), "subjects": subjects,
    });
    let binding_of_all = serde_json::json!({
        "metadata": meta_of_all,
        "roleRef": reference("ClusterRole", namespace),
        "subjects": subjects,
    });
    let within = (client, Some(namespace));
    make::<ServiceAccount>(within, serde_json::json!({ "metadata": meta })).await;
    make::<Role>(within, role).await;
    make::<RoleBinding>(within, binding).await;
    let all = (client, None);
    make::<ClusterRole>(all, role_of_all).await;
    make::<ClusterRoleBinding>(all, binding_of_all).await;
    let token = token(client, namespace, "meshd", None).await;
    let mut config = kube::Config::infer().await.unwrap();
    config.auth_info = serde_json::from_value(serde_json::json!({ "token": token })).unwrap();
    Client::try_from(config).unwrap()
}

async fn make<K>((client, namespace): (&Client, Option<&str>), object: serde_json::Value)
where
    K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned,
{
    let path = K::url_path(&(), namespace);
    let body = serde_json::to_vec(&object).unwrap();
    let request = kube::core::Request::new(path);
    let request = request.create(&PostParams::default(), body).unwrap();
    client.request::<K>(request).await.unwrap();
}

async fn remove(client: &Client, namespace: &str) {
    // Made for those tests that need them.
    let params = DeleteParams::default();
    let _ = Api::<ClusterRole>::all(client.clone())
        .delete(namespace, &params)
        .await;
    let _ = Api::<ClusterRoleBinding>::all(client.clone())
        .delete(namespace, &params)
        .await;
    let api = Api::<Namespace>::all(client.clone());
    api.delete(namespace, &DeleteParams::default())
        .await
        .unwrap();
}

fn settings(namespace: &str) -> AuthorityInCluster {
    AuthorityInCluster {
        namespace: namespace.to_owned(),
        options: AuthorityOptions::default(),
        audiences: vec!["istio-ca".to_owned()],
        settle: Duration::from_millis(500),
        instance: "meshd".to_owned(),
        signs_alone: Duration::from_secs(60),
    }
}

async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        // There is nothing to wait on: the API server is asked again.
        sleep(Duration::from_millis(50)).await;
    }
}

fn cacerts(namespace: &str) -> (Secret, Vec<u8>) {
    let made = AuthorityMaterial::generate(&AuthorityOptions::default(), clock::now()).unwrap();
    let data = made.to_data().unwrap();
    let names = [
        ("root.pem", "root-cert.pem"),
        ("intermediate.pem", "ca-cert.pem"),
        ("intermediate.key", "ca-key.pem"),
    ];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("cacerts".to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(
            names
                .map(|(ours, istio)| (istio.to_owned(), ByteString(data[ours].to_vec())))
                .into(),
        ),
        ..Secret::default()
    };
    (secret, made.roots_der()[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_have_one_root() {
    let client = client().await;
    let namespace = namespace(&client, "race").await;
    let mut replicas = JoinSet::new();
    for _ in 0..8 {
        let (client, settings) = (client.clone(), settings(&namespace));
        replicas.spawn(async move {
            open(&client, &settings, &Arc::new(Ledger::in_memory()))
                .await
                .unwrap()
        });
    }
    let opened = replicas.join_all().await;
    let roots: BTreeSet<_> = opened
        .iter()
        .map(|one| one.authority.roots_der().to_vec())
        .collect();
    assert_eq!(roots.len(), 1);
    let claims = JoinClaims {
        workload: "default/a".parse().unwrap(),
        service_account: "a".to_owned(),
        expires: clock::now() + DEADLINE,
        single_use: false,
        labels: [].into(),
    };
    let token = opened[0].tokens.mint(&claims).unwrap();
    for one in &opened {
        let checked = one.tokens.verify(&token, clock::now()).unwrap();
        assert_eq!(checked.workload, claims.workload);
    }
    remove(&client, &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_secrets_are_taken_over() {
    let client = client().await;
    let namespace = namespace(&client, "change").await;
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let meshd = limited(&client, &namespace).await;
    let opened = open(
        &meshd,
        &settings(&namespace),
        &Arc::new(Ledger::in_memory()),
    )
    .await
    .unwrap();
    let authority = Arc::clone(&opened.authority);
    let own = authority.roots_der()[0].clone();
    let mut running = JoinSet::new();
    running.spawn(opened.keeper.run());

    let (plugged_in, root) = cacerts(&namespace);
    secrets
        .create(&PostParams::default(), &plugged_in)
        .await
        .unwrap();
    let look = || async { (authority.material().roots_der()[0] == root).then_some(()) };
    eventually("cacerts is taken over", look).await;
    let trusted = authority.roots_der();
    assert!(trusted.contains(&own) && trusted.contains(&root));

    let broken = serde_json::json!({ "data": { "ca-key.pem": "eA==" } });
    let params = PatchParams::default();
    secrets
        .patch("cacerts", &params, &Patch::Merge(&broken))
        .await
        .unwrap();
    secrets
        .delete("cacerts", &DeleteParams::default())
        .await
        .unwrap();
    let look = || async { (authority.material().roots_der()[0] == own).then_some(()) };
    eventually("ours is taken again", look).await;
    assert!(
        authority.roots_der().contains(&root),
        "what it signed is still in use"
    );

    secrets
        .delete("mesh-ca", &DeleteParams::default())
        .await
        .unwrap();
    let look = || async { secrets.get_opt("mesh-ca").await.unwrap() };
    let restored = eventually("the Secret is restored", look).await;
    assert!(restored.data.unwrap().contains_key("root.key"));
    let again = open(
        &meshd,
        &settings(&namespace),
        &Arc::new(Ledger::in_memory()),
    )
    .await
    .unwrap();
    assert_eq!(again.authority.roots_der()[0], own);
    remove(&client, &namespace).await;
}

/// A token of a service account; for the API server if no audience is named.
async fn token(client: &Client, namespace: &str, account: &str, audience: Option<&str>) -> String {
    let api = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    eventually("the service account is there", || async {
        api.get_opt(account).await.unwrap()
    })
    .await;
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.into_iter().map(str::to_owned).collect(),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let params = PostParams::default();
    let made = api.create_token_request(account, &params, &request).await;
    made.unwrap().status.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn service_accounts_are_known_by_their_tokens() {
    let client = client().await;
    let namespace = namespace(&client, "token").await;
    let meshd = limited(&client, &namespace).await;
    let reviews = authenticator(&meshd, vec!["istio-ca".to_owned()]);
    let good = token(&client, &namespace, "default", Some("istio-ca")).await;
    for _ in 0..2 {
        let asked = (0..20).map(|_| reviews.authenticate(&good));
        for answer in futures_util::future::join_all(asked).await {
            let caller = answer.unwrap().unwrap();
            assert_eq!(
                (caller.namespace.as_str(), caller.service_account.as_str()),
                (namespace.as_str(), "default")
            );
        }
    }
    let other = token(&client, &namespace, "default", Some("vault")).await;
    assert!(matches!(
        reviews.authenticate(&other).await,
        Err(BearerRefusal::Audience { .. })
    ));
    let mut parts: Vec<&str> = good.split('.').collect();
    let forged: String = parts[2].chars().rev().collect();
    parts[2] = &forged;
    let forged = parts.join(".");
    assert!(matches!(
        reviews.authenticate(&forged).await,
        Err(BearerRefusal::Unauthenticated(_))
    ));
    assert_eq!(reviews.authenticate("mesh1.a.b.c").await.unwrap(), None);

    let mut config = kube::Config::new("https://127.0.0.1:1".parse().unwrap());
    config.connect_timeout = Some(Duration::from_secs(1));
    let nowhere = authenticator(
        &Client::try_from(config).unwrap(),
        vec!["istio-ca".to_owned()],
    );
    assert!(matches!(
        nowhere.authenticate(&good).await,
        Err(BearerRefusal::Unavailable(_))
    ));
    remove(&client, &namespace).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_namespace_has_the_roots_while_we_lead() {
    let client = client().await;
    let before = namespace(&client, "roots").await;
    let authority = AuthorityMaterial::generate(&AuthorityOptions::default(), clock::now());
    let authority = Arc::new(
        Authority::from_material(authority.unwrap(), &AuthorityOptions::default()).unwrap(),
    );
    let (leads, leader) = watch::channel(false);
    let mut running = JoinSet::new();
    let target = Target {
        client: limited(&client, &before).await,
        name: TEST_NAME,
    };
    let distributed = Arc::clone(&authority);
    running.spawn(async move { keep(&target, &distributed, leader).await });
    let holds = |namespace: String, text: String| {
        let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        async move {
            let look = || async {
                let map = api.get_opt(TEST_NAME).await.unwrap()?;
                (map.data?.get(KEY)? == &text).then_some(())
            };
            eventually("the roots are there", look).await;
        }
    };
    let pem = || pem::certificates(&authority.roots_der());
    leads.send(true).unwrap();
    holds(before.clone(), pem()).await;
    let after = namespace(&client, "roots").await;
    holds(after.clone(), pem()).await;

    let api = Api::<ConfigMap>::namespaced(client.clone(), &before);
    let damage = serde_json::json!({ "data": { (KEY): "x" } });
    api.patch(TEST_NAME, &PatchParams::default(), &Patch::Merge(&damage))
        .await
        .unwrap();
    holds(before.clone(), pem()).await;
    api.delete(TEST_NAME, &DeleteParams::default())
        .await
        .unwrap();
    holds(before.clone(), pem()).await;

    let more = AuthorityMaterial::generate(&AuthorityOptions::default(), clock::now()).unwrap();
    authority.trust(more.roots_der());
    holds(before.clone(), pem()).await;
    holds(after.clone(), pem()).await;

    // What ends is left alone, and does not stop the others.
    remove(&client, &after).await;
    let last = namespace(&client, "roots").await;
    holds(last.clone(), pem()).await;
    let namespaces = Api::<Namespace>::all(client.clone());
    eventually("the namespace goes", || async {
        namespaces
            .get_opt(&after)
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;

    drop(leads);
    timeout(DEADLINE, running.join_next()).await.unwrap();
    let only = ListParams::default().fields(&format!("metadata.name={TEST_NAME}"));
    let maps = Api::<ConfigMap>::all(client.clone())
        .list(&only)
        .await
        .unwrap();
    let holders: BTreeSet<_> = maps
        .items
        .iter()
        .filter_map(ResourceExt::namespace)
        .collect();
    assert!(holders.contains("kube-system") && !holders.contains(&after));
    for namespace in holders {
        let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
        // Its namespace may be about to go.
        let _ = api.delete(TEST_NAME, &DeleteParams::default()).await;
    }
    for namespace in [before, last] {
        remove(&client, &namespace).await;
    }
}
