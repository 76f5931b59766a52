//! Clients that others wrote.

use super::*;

#[tokio::test]
async fn versions_and_suites_are_kept() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["old.example.com", "new.example.com", "suite.example.com"]);
    let port = vacant();
    let server = |name: &str, min: TlsVersion, max: TlsVersion, suites: &[&str]| TlsServer {
        min_version: min.into(),
        max_version: max.into(),
        cipher_suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        ..https(&[name], "cert", "app")
    };
    let (old, new, any) = (
        TlsVersion::TlsVersion12,
        TlsVersion::TlsVersion13,
        TlsVersion::Unspecified,
    );
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![
            server("old.example.com", any, old, &[]),
            server("new.example.com", new, any, &[]),
            server(
                "suite.example.com",
                any,
                old,
                &["ECDHE-ECDSA-AES256-GCM-SHA384"],
            ),
        ]));
    let _gateway = at(proxy(config), &port);
    drop(tcp(port.address).await);
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, &outside.pem).unwrap();
    for (name, arguments, accepted) in [
        ("old.example.com", &["-tls1_2"][..], "Protocol  : TLSv1.2"),
        ("old.example.com", &["-tls1_3"], ""),
        ("new.example.com", &["-tls1_2"], ""),
        ("new.example.com", &["-tls1_3"], "TLSv1.3"),
        (
            "suite.example.com",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            "suite.example.com",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            "",
        ),
    ] {
        let output = openssl(port.address, name, arguments, &root).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if accepted.is_empty() {
            assert!(!output.status.success(), "{name} {arguments:?}: {text}");
        } else {
            assert!(
                output.status.success() && text.contains(accepted),
                "{name} {arguments:?}: {text}"
            );
            assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
        }
    }
}

async fn openssl(
    address: SocketAddr,
    name: &str,
    arguments: &[&str],
    root: &std::path::Path,
) -> Output {
    let mut command = tokio::process::Command::new("openssl");
    command
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            name,
        ])
        .arg("-CAfile")
        .arg(root)
        .args(arguments)
        .stdin(std::process::Stdio::null());
    let output = within(command.output()).await;
    output.expect("openssl must be installed for this test")
}

#[tokio::test]
async fn curl_speaks_both_versions_of_http() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let config = a_example_com(&app, &leaf);
    let _gateway = at(proxy(config), &port);
    drop(tcp(port.address).await);
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, &outside.pem).unwrap();
    let number = port.address.port();
    for (argument, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["-sS", argument, "--cacert"])
            .arg(&root)
            .args(["--resolve", &format!("a.example.com:{number}:127.0.0.1")])
            .args([
                "-d",
                "body",
                "-w",
                "\nversion %{http_version} status %{http_code}",
            ])
            .arg(format!("https://a.example.com:{number}/x?y=z"));
        let output = within(command.output())
            .await
            .expect("curl must be installed for this test");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(text.starts_with("POST /x?y=z HTTP/1.1\n"), "{text}");
        assert!(
            text.ends_with(&format!("version {version} status 200")),
            "{text}"
        );
    }
}
