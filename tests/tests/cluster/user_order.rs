//! The two services of `samples/user-order`: a replica of each is killed under load.

use std::time::Instant;

use crate::bookinfo::only_for;
use crate::load::Load;
use crate::place::{self, Place};

const ORDERS: [&str; 3] = ["/orders/1", "/orders/2", "/orders"];

#[test]
fn a_killed_replica_of_each_fails_no_request() -> anyhow::Result<()> {
    place::run("user-order", user_order)
}

async fn user_order(place: &Place) -> anyhow::Result<()> {
    place
        .apply_file("samples/user-order/kubernetes.yaml", |_| {})
        .await?;
    let host = format!("{}.example", place.namespace);
    place
        .apply_file("samples/user-order/config", |object| {
            only_for(object, &host);
        })
        .await?;
    place.deployments_ready().await?;
    place.settle().await?;
    let to = place.gateway().await?;
    place
        .poll("an answer with its user", async || {
            let mut load = Load::start(to, &host, &ORDERS);
            load.more(6).await?;
            let report = load.stop(Instant::now()).await?;
            Ok(report.failures.is_empty().then_some(()))
        })
        .await?;
    let mut load = Load::start(to, &host, &ORDERS);
    load.more(80).await?;
    let began = Instant::now();
    for deployment in ["user-service", "order-service"] {
        let pod = place.pod_of(deployment).await?;
        place.end(&pod, true).await?;
        load.more(80).await?;
        place.deployments_ready().await?;
    }
    place.settle().await?;
    load.more(80).await?;
    load.stop(began)
        .await?
        .none_failed("a replica of each of user-service and order-service killed")
}
