//! Keys of an issuer of tokens, over restarts of the control plane.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// An issuer that ends when it is dropped.
struct Issuer {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(octet) => head.push(octet),
                        Err(_) => break,
                    }
                }
                let length = KEYS.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{KEYS}");
                // Whoever has gone asks again.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, serving }
    }

    fn uri(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

fn tokens(uri: &str) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{ name: tokens }}
spec: {{ jwtRules: [{{ issuer: somebody, jwksUri: '{uri}' }}] }}
"
    )
}

/// What is known of the keys, and what is said of them.
fn seen(published: &Published) -> (String, Vec<String>) {
    let keys = &published.world.settings().key_sets;
    let problems = published.problems.iter();
    let problems = problems.filter(|problem| problem.code == "jwks");
    (
        keys.values().map(|keys| keys.jwks.as_str()).collect(),
        problems.map(|problem| problem.message.clone()).collect(),
    )
}

async fn until(control: &mut Control, what: &str, wanted: impl Fn(&str, &[String]) -> bool) {
    let seen_well = control.published.wait_for(|published| {
        let (keys, problems) = seen(published);
        wanted(&keys, &problems)
    });
    let waited = tokio::time::timeout(DEADLINE, seen_well).await.map(drop);
    if waited.is_err() {
        panic!("{what}: {:?}", seen(&control.published.borrow()));
    }
}

async fn restarted(control: Control, uri: &str) -> Control {
    let dir = control.stop().await;
    fs::write(dir.path().join("config/tokens.yaml"), tokens(uri)).unwrap();
    Control::start_in(dir).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_outlive_a_restart_while_their_issuer_is_down() {
    let issuer = Issuer::start().await;
    let (uri, other) = (issuer.uri("keys"), issuer.uri("others"));
    let mut control = Control::start().await;
    fs::write(control.file("tokens.yaml"), tokens(&uri)).unwrap();
    until(&mut control, "fetched", |keys, problems| {
        keys == KEYS && problems.is_empty()
    })
    .await;
    issuer.stop().await;

    // They are in force at once, and how old they are is told.
    let mut control = restarted(control, &uri).await;
    until(&mut control, "kept", |keys, problems| {
        let [problem] = problems else { return false };
        keys == KEYS
            && problem.contains("cannot be fetched: no connection to")
            && problem.contains("; those that were fetched at 2")
            && problem.ends_with("Z stay in force")
    })
    .await;

    // They are nobody else's, and go with what names them.
    let mut control = restarted(control, &other).await;
    until(&mut control, "another URI", |keys, problems| {
        keys.is_empty() && problems.len() == 1 && problems[0].contains("its tokens are refused")
    })
    .await;
    let mut control = restarted(control, &uri).await;
    until(&mut control, "again", |keys, problems| {
        keys == KEYS && problems.len() == 1
    })
    .await;

    // What is damaged is told, and passed over.
    let kept = fs::read_dir(control.dir.path().join("state/keys")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let text = fs::read_to_string(&kept[0]).unwrap();
    fs::write(&kept[0], text.replace("11qYAYKxC", "22qYAYKxC")).unwrap();
    let mut control = restarted(control, &uri).await;
    until(&mut control, "damaged", |keys, problems| {
        let [problem] = problems else { return false };
        keys.is_empty()
            && problem.contains("cannot be used: it is damaged: its digest is another")
            && problem.ends_with("its tokens are refused")
    })
    .await;

    // What nobody names any more is forgotten.
    fs::remove_file(control.file("tokens.yaml")).unwrap();
    until(&mut control, "gone", |keys, _| keys.is_empty()).await;
    let deadline = std::time::Instant::now() + DEADLINE;
    while kept[0].exists() {
        assert!(std::time::Instant::now() < deadline, "the file stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    control.stop().await;
}
