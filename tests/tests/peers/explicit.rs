//! The explicit proxy: requests of a proxy, CONNECT and SOCKS5, asked for by curl.

use std::process::Command;

use crate::certificates::Own;
use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::programs::{must, program};
use crate::tls::s_server;

#[tokio::test(flavor = "multi_thread")]
async fn curl_reaches_the_mesh_in_every_way() {
    let nginx = Nginx::start().await;
    let own = Own::new(&["bank"]);
    let (bank, bank_port) = s_server(&own, "bank").await;
    let other = Nginx::start().await;
    let workloads = [
        workload("web", "http", 8080, nginx.port),
        workload("raw", "tcp", 8081, other.port),
        workload("bank", "tls", 8443, bank_port),
    ];
    let mesh = mesh(&workloads.concat(), "").await;
    let proxy = mesh.explicit("client").unwrap().to_string();
    let (http, socks, named) = (
        format!("http://{proxy}"),
        format!("socks5://{proxy}"),
        format!("socks5h://{proxy}"),
    );
    let get = |arguments: &[&str]| {
        let mut command = Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30"])
            .args(arguments);
        must(command)
    };
    for proxying in [&["-x", &http][..], &["-p", "-x", &http], &["-x", &named]] {
        for host in [
            "web:8080",
            "web.default:8080",
            "web.default.svc.cluster.local:8080",
        ] {
            let url = format!("http://{host}/hello");
            let arguments = [proxying, &[url.as_str()]].concat();
            assert_eq!(get(&arguments).await, "hello\n", "{arguments:?}");
        }
    }
    for proxying in [&["-p", "-x", &http][..], &["-x", &named]] {
        let arguments = [proxying, &["http://raw:8081/hello"]].concat();
        assert_eq!(get(&arguments).await, "hello\n", "{arguments:?}");
        // The certificate is the bank's own: nobody has looked into the connection.
        let root = own.root().display().to_string();
        let arguments = [proxying, &["--cacert", &root, "https://bank:8443/"]].concat();
        assert!(get(&arguments).await.contains("s_server"), "{arguments:?}");
    }
    // By an address that nobody has declared.
    let web = format!("http://127.0.0.1:{}/hello", nginx.port);
    for proxying in [&["-x", &http][..], &["-p", "-x", &http], &["-x", &socks]] {
        let arguments = [proxying, &["--noproxy", "", web.as_str()]].concat();
        assert_eq!(get(&arguments).await, "hello\n", "{arguments:?}");
    }
    drop(bank);
}
