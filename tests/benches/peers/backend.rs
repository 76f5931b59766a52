//! The application behind the sidecars.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::child::{Running, free_port};
use crate::kind::Kind;
use crate::load::{METHOD, message_of};

/// The application behind the sidecars.
pub(crate) struct Backend {
    _running: Running,
    pub(crate) port: u16,
}

// === impl Backend ===

impl Backend {
    /// Starts what answers this kind with so many octets.
    pub(crate) fn start(kind: Kind, size: usize, directory: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut command = match kind {
            Kind::H1 => nginx(size, directory, port)?,
            Kind::H2 | Kind::Grpc => nghttpd(kind, size, directory, port)?,
            Kind::Tcp => {
                let mut command = Command::new("iperf3");
                command.args(["-s", "-B", "127.0.0.1", "-p", &port.to_string()]);
                command
            }
        };
        let mut running = Running::start("backend", &mut command, directory)?;
        running.serves(port)?;
        Ok(Self {
            _running: running,
            port,
        })
    }
}

fn nginx(size: usize, directory: &Path, port: u16) -> anyhow::Result<Command> {
    let configuration = directory.join("nginx.conf");
    let here = directory.display();
    let body = "x".repeat(size);
    fs::write(
        &configuration,
        format!(
            "daemon off; worker_processes 1; pid {here}/nginx.pid; error_log {here}/nginx.err;\n\
             events {{ worker_connections 8192; }}\n\
             http {{\n\
             access_log off; keepalive_requests 100000000;\n\
             client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;\n\
             uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
             server {{ listen 127.0.0.1:{port};\n\
             location / {{ default_type text/plain; return 200 \"{body}\"; }} }}\n\
             }}\n"
        ),
    )?;
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(configuration)
        .arg("-p")
        .arg(directory);
    Ok(command)
}

fn nghttpd(kind: Kind, size: usize, directory: &Path, port: u16) -> anyhow::Result<Command> {
    let root = directory.join("www");
    let answer = root.join(METHOD);
    fs::create_dir_all(answer.parent().unwrap_or(&root))?;
    fs::write(answer, message_of(size))?;
    fs::write(root.join("index.html"), "x".repeat(size))?;
    let mut command = Command::new("nghttpd");
    command.args(["--no-tls", "-n1", "-a", "127.0.0.1", "-d"]);
    command.arg(root);
    if kind == Kind::Grpc {
        command.args(["--trailer", "grpc-status: 0"]);
    }
    command.arg(port.to_string());
    Ok(command)
}
