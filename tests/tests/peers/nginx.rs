//! nginx, as an application of the mesh.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use crate::programs::{Daemon, free_port, program};

/// A running nginx.
pub(crate) struct Nginx {
    pub(crate) port: u16,
    _daemon: Daemon,
}

// What a request looked like when it came, and bodies of every kind.
const LOCATIONS: &str = r#"
    default_type text/plain;
    if_modified_since before;
    client_max_body_size 64m;
    root www;
    location / { add_header X-CaMeL-Case kept; }
    location = /hello { return 200 "hello\n"; }
    location = /none { return 204; }
    # Header lines as they came, in their order and case.
    location = /head { echo -n $echo_client_request_headers; }
    location = /who { echo "$remote_addr|$http_x_forwarded_for|$http_x_forwarded_proto|$scheme"; }
    location = /body { client_body_buffer_size 16m; echo_read_request_body; echo_request_body; }
    # Without a length: in chunks, and up to the end of the connection.
    location = /chunked { echo one; echo two; }
    location = /closed { chunked_transfer_encoding off; echo one; echo two; }
    location = /trailer { add_header Trailer X-Sum; add_trailer X-Sum four; echo one; }
    location = /slow { echo_sleep 1; echo slow; }
    # Not even a head.
    location = /reset { return 444; }
    location = /late { echo_flush; echo one; echo_flush; echo_sleep 0.2; echo two; }
"#;

// === impl Nginx ===

impl Nginx {
    /// Starts one that speaks HTTP/1, on 127.0.0.1.
    pub(crate) async fn start() -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), "", "").await
    }

    /// Starts one that speaks HTTP/2 only, and ends each connection after some requests.
    pub(crate) async fn http2(requests: u32) -> Self {
        let settings = format!("keepalive_requests {requests};");
        Self::on(Ipv4Addr::LOCALHOST.into(), " http2", &settings).await
    }

    /// Starts one that passes everything on, and tells for whom as balancers do.
    pub(crate) async fn before(to: SocketAddr) -> Self {
        let locations = format!(
            "location / {{ proxy_pass http://{to}; proxy_http_version 1.1;
                proxy_set_header Host $host;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}"
        );
        Self::serving(Ipv4Addr::LOCALHOST.into(), "", "", &locations).await
    }

    /// Starts one on an address, with these words after `listen` and these settings.
    pub(crate) async fn on(ip: IpAddr, listen: &str, settings: &str) -> Self {
        // Goes on for longer than anybody waits.
        let endless = "echo more; echo_flush; echo_sleep 0.2;".repeat(150);
        let locations = format!("{LOCATIONS} location = /endless {{ {endless} }}");
        Self::serving(ip, listen, settings, &locations).await
    }

    async fn serving(ip: IpAddr, listen: &str, settings: &str, locations: &str) -> Self {
        let directory = Daemon::directory();
        let port = free_port();
        let address = SocketAddr::new(ip, port);
        let root = directory.path().display();
        let user = if nix::unistd::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {root}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off; master_process off; {user} pid {root}/pid; error_log stderr;
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
events {{ worker_connections 1024; }}
http {{ access_log off; {temporary} {settings}
server {{ listen {address}{listen}; {locations} }} }}
"
        );
        fs::write(directory.path().join("nginx.conf"), text).unwrap();
        let files = directory.path().join("www");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("small.txt"), "small\n").unwrap();
        fs::write(files.join("large.bin"), large()).unwrap();
        let mut command = Command::new(program("nginx"));
        command
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(directory.path().join("nginx.conf"));
        Self {
            port,
            _daemon: Daemon::start(command, directory, address).await,
        }
    }
}

/// The content of `/large.bin`: 8 MiB in which no place looks like another.
pub(crate) fn large() -> Vec<u8> {
    (0..2_u32 * 1024 * 1024)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .collect()
}
