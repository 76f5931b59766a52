//! Proxies that join the mesh of a test by themselves, for what its file cannot say.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mesh_ca::{JoinClaims, JoinTokens};
use mesh_tests::{LaptopMesh, Running};

use crate::place::DETECT;
use crate::programs::{LIMIT, must, program};

/// A proxy of a running mesh. Dropping it ends it.
pub(crate) struct Proxy {
    /// Its listener for calls of its workload, if it has one.
    pub(crate) explicit: Option<SocketAddr>,
    _running: Running,
    directory: tempfile::TempDir,
}

// === impl Proxy ===

impl Proxy {
    /// Starts the proxy of a workload `name` of the namespace `default`, with label `app: <app>`
    /// and service account `<app>`, and waits until it serves.
    pub(crate) fn start(mesh: &LaptopMesh, name: &str, app: &str, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        let keys = mesh.state().join("ca");
        let claims = JoinClaims {
            workload: format!("default/{name}").parse().unwrap(),
            service_account: app.to_owned(),
            expires: mesh_ca::now() + Duration::from_secs(600),
            single_use: true,
            labels: [("app".to_owned(), app.to_owned())].into(),
        };
        let minted = JoinTokens::open(&keys).unwrap().mint(&claims).unwrap();
        std::fs::write(&token, minted).unwrap();
        let path = |path: &Path| path.display().to_string();
        let mut arguments = vec!["proxy".to_owned(), "run".to_owned()];
        for (option, value) in [
            ("--workload", format!("default/{name}")),
            ("--service-account", app.to_owned()),
            ("--labels", format!("app={app}")),
            (
                "--control",
                format!("unix://{}", path(&mesh.state().join("meshd.sock"))),
            ),
            ("--roots", path(&keys.join("root.pem"))),
            ("--token", path(&token)),
            ("--admin-socket", path(&directory.path().join("admin.sock"))),
            ("--concurrency", "1".to_owned()),
            ("--detect-timeout", format!("{}ms", DETECT.as_millis())),
        ] {
            arguments.extend([option.to_owned(), value]);
        }
        arguments.push("--on-ready".to_owned());
        arguments.extend(more.iter().map(|&argument| argument.to_owned()));
        let mut running = Running::start(&arguments).unwrap();
        let ready = running.wait_for("ready ", LIMIT).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(ready.trim_start_matches("ready ")).unwrap();
        Self {
            explicit: told["explicit"].as_str().map(|at| at.parse().unwrap()),
            _running: running,
            directory,
        }
    }

    /// What the admin endpoint answers.
    pub(crate) async fn admin(&self, method: &str, path: &str) -> String {
        let socket = self.directory.path().join("admin.sock");
        let mut command = std::process::Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sSf", "--max-time", "30", "-X", method])
            .arg("--unix-socket")
            .arg(socket)
            .arg(format!("http://admin{path}"));
        must(command).await
    }
}
