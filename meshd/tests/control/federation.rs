//! Two meshes that trust each other by the bundles that they serve.

use std::net::Ipv4Addr;

use mesh_api::TrustDomain;
use meshd::{BundleServing, WebCertificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const ENDPOINT: &str = "spiffe://b.example/ns/istio-system/sa/meshd";

/// A control plane of a trust domain of its own.
struct Mesh {
    dir: tempfile::TempDir,
    bundle: Option<BoundAddress>,
    admin: BoundAddress,
    authority: Arc<Authority>,
    published: watch::Receiver<Arc<Published>>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Mesh {
    async fn start(domain: &str, serving: Option<BundleServing>, config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("config")).unwrap();
        fs::write(dir.path().join("mesh.yaml"), config).unwrap();
        Self::start_in(dir, domain, serving).await
    }

    async fn start_in(
        dir: tempfile::TempDir,
        domain: &str,
        serving: Option<BundleServing>,
    ) -> Self {
        let mut settings = settings(&dir);
        settings.mesh.trust_domain = domain.parse().unwrap();
        settings.mesh_config = Some(dir.path().join("mesh.yaml"));
        settings.bundle = serving;
        let bound = Box::pin(App::build(settings)).await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            dir,
            bundle: bound.bundle_addr.clone(),
            admin: bound.admin_addrs[0].clone(),
            authority: Arc::clone(bound.authority().unwrap().0),
            published: bound.published(),
            running: tokio::spawn(Box::pin(bound.run(shutdown.clone()))),
            shutdown,
        }
    }

    fn configure(&self, text: &str) {
        let new = self.dir.path().join("mesh.new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, self.dir.path().join("mesh.yaml")).unwrap();
    }

    fn root(&self) -> String {
        fs::read_to_string(self.dir.path().join("state/ca/root.pem")).unwrap()
    }

    fn url(&self) -> String {
        let Some(BoundAddress::Tcp(address)) = &self.bundle else {
            panic!("it serves no bundle");
        };
        format!("https://localhost:{}/bundle.json", address.port())
    }

    /// The roots that vouch for b.example here, and what is said of its bundle.
    async fn until(&mut self, what: &str, wanted: impl Fn(&[Vec<u8>], &str) -> bool) {
        let seen = self.published.wait_for(|published| {
            let (roots, problem) = seen(published);
            wanted(&roots, &problem)
        });
        let seen = tokio::time::timeout(DEADLINE, seen).await.map(drop);
        if seen.is_err() {
            panic!("{what}: {:?}", self::seen(&self.published.borrow()).1);
        }
    }

    async fn stop(self) -> tempfile::TempDir {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        self.dir
    }
}

fn seen(published: &Published) -> (Vec<Vec<u8>>, String) {
    let domain: TrustDomain = "b.example".parse().unwrap();
    let mut bundles = published.world.settings().federation().into_iter();
    let bundle = bundles.find(|bundle| bundle.trust_domain == domain);
    let problems = published.problems.iter();
    let problems = problems.filter(|problem| problem.message.contains("b.example"));
    let problems: Vec<_> = problems.map(|problem| problem.message.as_str()).collect();
    (
        bundle.map(|bundle| bundle.roots_der).unwrap_or_default(),
        problems.join("\n"),
    )
}

fn serving(web: Option<WebCertificate>) -> BundleServing {
    BundleServing {
        listen: "127.0.0.1:0".parse().unwrap(),
        refresh_hint: Duration::from_secs(5),
        web,
    }
}

fn indented(pem: &str) -> String {
    pem.replace('\n', "\n      ")
}

/// `https_web`, by the roots given.
fn by_web(url: &str, roots: &str) -> String {
    format!(
        "caCertificates:\n- spiffeBundleUrl: {url}\n  trustDomains: [b.example]\n  bundleEndpointProfile:\n    roots: |\n      {}\n",
        indented(roots)
    )
}

/// `https_spiffe`, by the identity and the first bundle given.
fn by_identity(url: &str, id: &str, first: &str) -> String {
    format!(
        "caCertificates:\n- spiffeBundleUrl: {url}\n  trustDomains: [b.example]\n  bundleEndpointProfile: {{type: https_spiffe, endpointSPIFFEID: {id}}}\n  trustDomainBundle: |\n      {}\n",
        indented(first)
    )
}

// Some seconds: it is the other side that says how often to look, not more often than every 5 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_followed_kept_and_forgotten() {
    let b = Mesh::start("b.example", Some(serving(None)), "").await;
    let config = by_identity(&b.url(), ENDPOINT, &b.root());
    let mut a = Mesh::start("a.example", None, &config).await;
    let first = b.authority.roots_der().to_vec();
    a.until("the first bundle", |roots, problem| {
        roots == first && problem.is_empty()
    })
    .await;

    // A new root reaches the other mesh before it signs.
    let (status, answer) = http(&b.admin, "POST", "/v1/ca/rotate").await;
    assert_eq!(status, 200, "{answer}");
    a.until("both roots", |roots, _| {
        roots.len() == 2 && roots.contains(&first[0])
    })
    .await;
    let (_, answer) = http(&b.admin, "GET", "/v1/ca").await;
    assert!(answer.contains("other trust domains"), "{answer}");
    assert!(answer.contains("distributing"), "{answer}");
    let keys = {
        let published = a.published.borrow().clone();
        let bundles = published.world.settings().federation();
        bundles[0].jwks.clone()
    };
    assert_eq!(keys.matches("\"kid\"").count(), 2, "{keys}");

    // It stays in force while nobody answers, over a restart too, and status says so.
    b.stop().await;
    a.until("a warning", |roots, problem| {
        roots.len() == 2 && problem.contains("the last good one stays in force")
    })
    .await;
    let dir = a.stop().await;
    let mut a = Mesh::start_in(dir, "a.example", None).await;
    let (roots, _) = seen(&a.published.borrow());
    assert_eq!(roots.len(), 2);
    a.until("a warning again", |roots, problem| {
        roots.len() == 2 && problem.contains("stays in force")
    })
    .await;

    // What is configured no more is forgotten.
    a.configure("");
    a.until("nothing", |roots, problem| {
        roots.is_empty() && problem.is_empty()
    })
    .await;
    let kept = a.dir.path().join("state/bundles");
    let empty = || fs::read_dir(&kept).unwrap().next().is_none();
    while !empty() {
        tokio::task::yield_now().await;
    }
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_prove_itself_gives_nothing() {
    let b = Mesh::start("b.example", Some(serving(None)), "").await;
    let stranger = Mesh::start("c.example", None, "").await;
    let other_id = "spiffe://b.example/ns/other/sa/meshd";
    let mut a = Mesh::start("a.example", None, "").await;

    a.configure(&by_web(&b.url(), &stranger.root()));
    a.until("unknown roots", |roots, problem| {
        roots.is_empty() && problem.contains("UnknownIssuer")
    })
    .await;
    a.configure(&by_web(&b.url(), &b.root()));
    a.until("the bundle", |roots, problem| {
        roots.len() == 1 && problem.is_empty()
    })
    .await;
    // Its address instead of its name.
    let by_address = b.url().replace("localhost", "127.0.0.1");
    a.configure(&by_web(&by_address, &b.root()));
    a.until("another name", |roots, problem| {
        roots.is_empty() && problem.contains("not valid for name")
    })
    .await;
    a.configure(&by_identity(&by_address, ENDPOINT, &b.root()));
    a.until("an identity has no address", |roots, problem| {
        roots.len() == 1 && problem.is_empty()
    })
    .await;
    a.configure(&by_identity(&b.url(), other_id, &b.root()));
    a.until("another identity", |_, problem| {
        problem.contains(ENDPOINT) && problem.contains(other_id)
    })
    .await;
    a.configure(&by_identity(&b.url(), ENDPOINT, &stranger.root()));
    a.until("another root", |_, problem| {
        problem.contains("UnknownIssuer")
    })
    .await;
    // Settings that cannot be used change nothing.
    a.configure(&by_web("http://localhost/", &b.root()));
    let published = &mut a.published;
    let refused = published.wait_for(|published| {
        let mut problems = published.problems.iter();
        problems.any(|problem| problem.message.contains("it must be https"))
    });
    drop(tokio::time::timeout(DEADLINE, refused).await.unwrap());
    for mesh in [a, b, stranger] {
        mesh.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_is_served_by_a_certificate_of_its_own() {
    let web = tempfile::tempdir().unwrap();
    let (chain, key) = (web.path().join("tls.crt"), web.path().join("tls.key"));
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&parameters, &root_key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
    fs::write(&chain, leaf.pem()).unwrap();
    fs::write(&key, leaf_key.serialize_pem()).unwrap();

    let serving = serving(Some(WebCertificate { chain, key }));
    let b = Mesh::start("b.example", Some(serving), "").await;
    let mut a = Mesh::start("a.example", None, &by_web(&b.url(), &root.pem())).await;
    let roots = b.authority.roots_der().to_vec();
    a.until("the bundle", |found, problem| {
        found == roots && problem.is_empty()
    })
    .await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_is_no_other_mesh() {
    let mut a = Mesh::start("a.example", None, "").await;
    // Nobody else vouches for this mesh itself.
    let own = by_web("https://localhost/", &a.root()).replace("b.example", "a.example");
    a.configure(&own);
    let refused = a.published.wait_for(|published| {
        let mut problems = published.problems.iter();
        problems.any(|problem| problem.message.contains("this mesh itself"))
    });
    drop(tokio::time::timeout(DEADLINE, refused).await.unwrap());
    // Somebody who accepts and says nothing holds nothing up for more than 5 s.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    });
    let url = format!("https://localhost:{port}/");
    a.configure(&by_web(&url, &a.root()));
    a.until("no TLS", |roots, problem| {
        roots.is_empty() && problem.contains("no connection to")
    })
    .await;
    accepting.await.unwrap();
    a.stop().await;
}
