//! The containers of a docker-compose project, by the docker command.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// Labels that Compose, version 1 or 2, gives its containers.
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// What `docker inspect` says, as far as it matters.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) config: Config,
    pub(super) network_settings: NetworkSettings,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) running: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    pub(super) image: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    #[serde(default)]
    pub(super) networks: BTreeMap<String, Network>,
    #[serde(default)]
    pub(super) ports: BTreeMap<String, Option<Vec<Published>>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Network {
    #[serde(rename = "IPAddress", default)]
    pub(super) address: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Published {
    #[serde(rename = "HostIp", default)]
    pub(super) ip: String,
    #[serde(rename = "HostPort", default)]
    pub(super) port: String,
}

/// The containers of the project whose compose file is in a directory, by service.
pub(super) async fn project(dir: &Path) -> anyhow::Result<BTreeMap<String, Container>> {
    let dir = std::fs::canonicalize(dir)
        .with_context(|| format!("cannot find the directory {}", dir.display()))?;
    let filter = format!("label={WORKING_DIR}");
    let ids = docker(&["ps", "-aq", "--no-trunc", "--filter", &filter]).await?;
    let ids = ids.split_whitespace().collect::<Vec<_>>();
    let mut found = BTreeMap::new();
    if !ids.is_empty() {
        let all = docker(&[["inspect"].as_slice(), &ids].concat()).await?;
        let all: Vec<Container> =
            serde_json::from_str(&all).context("`docker inspect` prints something unexpected")?;
        for container in all {
            let label = |name: &str| container.config.labels.get(name).map(String::as_str);
            let here = label(WORKING_DIR)
                .and_then(|path| std::fs::canonicalize(path).ok())
                .is_some_and(|path| path == dir);
            let one_off = label(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
            if let Some(service) = label(SERVICE).filter(|_| here && !one_off) {
                found.insert(service.to_owned(), container.clone());
            }
        }
    }
    ensure!(
        !found.is_empty(),
        "no container of a docker-compose project in {}: start it with `docker compose up -d` there",
        dir.display()
    );
    Ok(found)
}

/// Runs docker and gives what it prints.
pub(super) async fn docker(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("docker")
        .args(args)
        .output()
        .await
        .context("cannot run `docker`")?;
    ensure!(
        output.status.success(),
        "`docker {}` says: {}",
        args.first().copied().unwrap_or_default(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_inspect_prints() {
        let text = r#"[{"Id": "ab", "State": {"Running": true, "Pid": 7, "More": 1},
            "Config": {"Image": "mesh.local/meshd:1", "Labels": {"com.docker.compose.service": "meshd"}},
            "NetworkSettings": {"Networks": {"c_mesh": {"IPAddress": "172.18.0.2"}},
                "Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "15000/tcp": null}}}]"#;
        let all: Vec<Container> = serde_json::from_str(text).unwrap();
        let one = &all[0];
        assert!(one.state.running);
        assert_eq!(
            one.network_settings.networks["c_mesh"].address,
            "172.18.0.2"
        );
        assert_eq!(
            one.network_settings.ports["8080/tcp"].as_ref().unwrap()[0].port,
            "8080"
        );
        assert!(one.network_settings.ports["15000/tcp"].is_none());
    }
}
