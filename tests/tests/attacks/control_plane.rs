//! A proxy with a good certificate that lies on the discovery stream.

use std::collections::BTreeMap;

use mesh_api::v1::discovery_client::DiscoveryClient;
use mesh_api::v1::{
    Ack, DiscoveryRequest, DiscoveryResponse, IdentityReport, Node, ProxyKind, Registration,
};
use mesh_ca::AuthorityOptions;
use mesh_tests::laptop::LIMIT;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::place::{CLIENT, Credentials, Place, certificate, reason};

/// A stream of its own.
pub(crate) struct Stream {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
}

// === impl Stream ===

impl Stream {
    pub(crate) async fn open(place: &Place, own: &Credentials, first: DiscoveryRequest) -> Self {
        let (requests, sent) = mpsc::channel(8);
        requests.send(first).await.unwrap();
        let sent =
            futures_util::stream::unfold(sent, async |mut sent| Some((sent.recv().await?, sent)));
        let channel = place.channel(own.clone()).await.unwrap();
        let responses = DiscoveryClient::new(channel).stream(Box::pin(sent)).await;
        Self {
            requests,
            responses: responses.unwrap().into_inner(),
        }
    }

    pub(crate) async fn response(&mut self) -> Result<DiscoveryResponse, Status> {
        let message = tokio::time::timeout(LIMIT, self.responses.message());
        Ok(message.await.unwrap()?.unwrap())
    }

    /// Why it ends.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.response().await {
                return status;
            }
        }
    }
}

fn node() -> Node {
    Node {
        workload: "default/client".to_owned(),
        kind: ProxyKind::Sidecar.into(),
        ..Node::default()
    }
}

pub(crate) fn first(node: Option<Node>) -> DiscoveryRequest {
    DiscoveryRequest {
        node,
        subscribe: vec!["inbound/self".to_owned()],
        ..DiscoveryRequest::default()
    }
}

fn subscribe(names: impl IntoIterator<Item = String>) -> DiscoveryRequest {
    DiscoveryRequest {
        subscribe: names.into_iter().collect(),
        ..DiscoveryRequest::default()
    }
}

fn ack(nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        ack: Some(Ack {
            nonce: nonce.to_owned(),
            ..Ack::default()
        }),
        ..DiscoveryRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_on_the_stream_loses_it_by_name() {
    let place = Place::start().await;
    let own = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    let with = |change: &dyn Fn(&mut Node)| {
        let mut node = node();
        change(&mut node);
        first(Some(node))
    };
    for (what, request, want) in [
        ("nobody", first(None), "no_node"),
        ("no kind", with(&|node| node.kind = 0), "proxy_kind"),
        (
            "another kind",
            with(&|node| node.kind = ProxyKind::Gateway.into()),
            "resource_of_other_kind",
        ),
        (
            "an address that is none",
            with(&|node| node.addresses = vec!["everywhere".to_owned()]),
            "address",
        ),
        (
            "more labels than there are",
            with(&|node| node.labels = [("l".to_owned(), "x".repeat(70_000))].into()),
            "too_large",
        ),
    ] {
        let status = Stream::open(&place, &own, request).await.end().await;
        assert_eq!(reason(&status), want, "{what}: {status}");
    }
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_breaks_the_protocol_later_loses_it_too() {
    let place = Place::start().await;
    let own = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    let one = |name: &str| subscribe([name.to_owned()]);
    let report = IdentityReport {
        trusted_roots: vec![vec![0; 32]; 1_000],
        ..IdentityReport::default()
    };
    for (what, request, want) in [
        (
            "somebody else by now",
            first(Some(node())),
            "not_first_request",
        ),
        (
            "no root",
            one("service/echo.default.svc.cluster.local"),
            "resource_not_root",
        ),
        (
            "a workload",
            one("workload/default/echo"),
            "resource_not_root",
        ),
        (
            "keys",
            one("credential/istio-system/tls"),
            "resource_not_root",
        ),
        ("a gateway's", one("gateway/self"), "resource_of_other_kind"),
        ("nonsense", one("nonsense"), "resource_name"),
        (
            "without end",
            subscribe((0..20_000).map(|number| format!("routes/h{number}:80"))),
            "too_many_subscriptions",
        ),
        ("what was never sent", ack("x"), "unknown_nonce"),
        (
            "more trust than there is",
            DiscoveryRequest {
                identity: Some(report),
                ..DiscoveryRequest::default()
            },
            "too_large",
        ),
    ] {
        let mut stream = Stream::open(&place, &own, first(Some(node()))).await;
        let response = stream.response().await.unwrap();
        stream.requests.send(ack(&response.nonce)).await.unwrap();
        stream.requests.send(request).await.unwrap();
        let status = stream.end().await;
        assert_eq!(reason(&status), want, "{what}: {status}");
    }
    // The same answer twice.
    let mut stream = Stream::open(&place, &own, first(Some(node()))).await;
    let response = stream.response().await.unwrap();
    for _ in 0..2 {
        stream.requests.send(ack(&response.nonce)).await.unwrap();
    }
    let status = stream.end().await;
    assert_eq!(reason(&status), "unknown_nonce", "{status}");
    place.stays_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_itself_gets_nobodys_requests() {
    let place = Place::start().await;
    let own = certificate(&place.ca(), CLIENT, &AuthorityOptions::default());
    // By the name of its own workload, and by one that nobody has.
    for workload in ["default/client", "default/ghost"] {
        let liar = |registration| Node {
            workload: workload.to_owned(),
            labels: BTreeMap::from([("app".to_owned(), "echo".to_owned())]),
            addresses: vec!["127.0.0.99".to_owned()],
            registration,
            ..node()
        };
        let registration = Registration {
            ports: BTreeMap::from([("http".to_owned(), 9000)]),
            weight: 1_000,
        };
        let stream = Stream::open(&place, &own, first(Some(liar(Some(registration))))).await;
        let status = stream.end().await;
        assert_eq!(reason(&status), "registration_refused", "{status}");
        // What it claims without that makes it nobody's endpoint.
        let mut stream = Stream::open(&place, &own, first(Some(liar(None)))).await;
        let response = stream.response().await.unwrap();
        stream.requests.send(ack(&response.nonce)).await.unwrap();
        let world = place.mesh.meshd("/debug/world").await.unwrap().to_string();
        assert!(!world.contains("127.0.0.99"), "{world}");
    }
    place.stays_well().await;
}
