//! Istio's certificate service, called by the Python package `grpcio` with a request of OpenSSL's,
//! and checked by OpenSSL.

use std::path::Path;
use std::process::Command;

use mesh_ca::listen::BoundAddress;
use mesh_ca::{App, AuthorityOptions, JoinClaims, JoinTokens, Settings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::programs::{LIMIT, ask, must, program, script};

const IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/reviews";

fn token(tokens: &JoinTokens, dir: &Path) {
    let claims = JoinClaims {
        workload: "default/reviews-v1".parse().unwrap(),
        service_account: "reviews".to_owned(),
        expires: mesh_ca::now() + LIMIT,
        single_use: true,
        labels: [].into(),
    };
    std::fs::write(dir.join("token"), tokens.mint(&claims).unwrap()).unwrap();
}

async fn request(dir: &Path, uri: &str, key: &[&str]) {
    let mut command = Command::new(program("openssl"));
    command
        .args(["req", "-new", "-nodes", "-subj", "/O=x", "-addext"])
        .arg(format!("subjectAltName=URI:{uri}"))
        .args(key)
        .args(["-keyout", "key.pem", "-out", "csr.pem"])
        .current_dir(dir);
    must(command).await;
}

async fn call(dir: &Path, address: &BoundAddress) -> Value {
    let BoundAddress::Tcp(address) = address else {
        panic!("the authority listens on TCP");
    };
    let mut command = script("istio_ca_client.py");
    command.args([&address.to_string(), "mesh-ca"]);
    for name in ["ca/root.pem", "csr.pem", "token"] {
        command.arg(dir.join(name));
    }
    ask(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_istio_gets_what_openssl_takes() {
    let dir = tempfile::tempdir().unwrap();
    let bound = App::build(Settings {
        dir: dir.path().join("ca"),
        cacerts: None,
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        authority: AuthorityOptions::default(),
        dns_names: Vec::new(),
    })
    .await
    .unwrap();
    let address = bound.addresses[0].clone();
    let tokens = std::sync::Arc::clone(bound.tokens());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));
    let p256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let p384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];
    // What Istio's agents make by default.
    let rsa: &[&str] = &["-newkey", "rsa:2048"];
    for key in [p256, p384, rsa] {
        token(&tokens, dir.path());
        request(dir.path(), IDENTITY, key).await;
        let answer = call(dir.path(), &address).await;
        let chain = answer["chain"].as_array().unwrap();
        assert_eq!(chain.len(), 3, "leaf, intermediate, roots: {answer}");
        for (name, pem) in ["leaf.pem", "between.pem", "roots.pem"].iter().zip(chain) {
            std::fs::write(dir.path().join(name), pem.as_str().unwrap()).unwrap();
        }
        let mut verify = Command::new(program("openssl"));
        verify
            .args(["verify", "-x509_strict", "-purpose", "sslclient"])
            .args([
                "-CAfile",
                "roots.pem",
                "-untrusted",
                "between.pem",
                "leaf.pem",
            ])
            .current_dir(dir.path());
        must(verify).await;
        let mut show = Command::new(program("openssl"));
        show.args([
            "x509",
            "-in",
            "leaf.pem",
            "-noout",
            "-ext",
            "subjectAltName",
        ])
        .current_dir(dir.path());
        assert!(must(show).await.contains(IDENTITY));
    }
    // The last token again, with another key.
    request(dir.path(), IDENTITY, p256).await;
    let answer = call(dir.path(), &address).await;
    assert_eq!(answer["refusal"], "token_replayed", "{answer}");
    token(&tokens, dir.path());
    request(
        dir.path(),
        "spiffe://cluster.local/ns/default/sa/ratings",
        p256,
    )
    .await;
    let answer = call(dir.path(), &address).await;
    assert_eq!(answer["code"], "PERMISSION_DENIED", "{answer}");
    assert_eq!(answer["refusal"], "request_name");
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
