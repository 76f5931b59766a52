//! Whether the nodes can run native sidecars: init containers that keep running.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::kubernetes::client::words;

/// On by default since Kubernetes 1.29 (feature `SidecarContainers`).
const SINCE: u32 = 29;
/// A kubelet is at most three minor versions older than its API server (version skew policy).
const SKEW: u32 = 3;
const LOOK: Duration = Duration::from_secs(60);
const PAGE: u32 = 250;

/// Follows the versions of the cluster in a task of `chores`. True until something old is seen.
pub(super) fn follow(client: Client, chores: &mut JoinSet<()>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(true);
    chores.spawn(async move {
        loop {
            match look(&client).await {
                // Clusters do not get older.
                Ok(Seen::AllNew) => {
                    sender.send_replace(true);
                    return;
                }
                Ok(Seen::Nodes(native)) => {
                    if sender.send_replace(native) != native && !native {
                        tracing::info!("some nodes cannot run native sidecars (Kubernetes before 1.29): proxies are ordinary containers");
                    }
                }
                Err(error) => {
                    tracing::warn!(error = words(&error), "cannot see which versions the nodes have; trying again");
                }
            }
            sleep(LOOK).await;
        }
    });
    receiver
}

enum Seen {
    /// By the version of the API server no node can be too old.
    AllNew,
    /// Whether all nodes of today can.
    Nodes(bool),
}

async fn look(client: &Client) -> Result<Seen, kube::Error> {
    let server = client.apiserver_version().await?;
    let minor_of_server = minor(&server.git_version);
    if minor_of_server.is_none_or(|minor| minor >= SINCE + SKEW) {
        return Ok(Seen::AllNew);
    }
    if minor_of_server.is_some_and(|minor| minor < SINCE) {
        return Ok(Seen::Nodes(false));
    }
    let nodes: Api<Node> = Api::all(client.clone());
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = nodes.list(&params).await?;
        let old = page.items.iter().any(|node| {
            let info = node
                .status
                .as_ref()
                .and_then(|status| status.node_info.as_ref());
            info.and_then(|info| minor(&info.kubelet_version))
                .is_some_and(|minor| minor < SINCE)
        });
        if old {
            return Ok(Seen::Nodes(false));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(Seen::Nodes(true)),
        }
    }
}

/// The minor version of `v1.29.3+k3s1`.
fn minor(version: &str) -> Option<u32> {
    let rest = version.trim_start_matches('v').strip_prefix("1.")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        for (text, want) in [
            ("v1.29.3", Some(29)),
            ("v1.33.1+k3s1", Some(33)),
            ("v1.28.5-eks-5e0fdde", Some(28)),
            ("1.31", Some(31)),
            ("v2.0", None),
            ("", None),
        ] {
            assert_eq!(minor(text), want, "{text}");
        }
    }
}
