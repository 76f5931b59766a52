//! Who leads.

use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::{Control, Place, eventually};

async fn leads(control: &Control) -> bool {
    control.metric("mesh_leader").await == Some(1.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_another_takes_over_at_once() {
    let place = Place::new("leader").await;
    let first = Control::start(&place, "a").await.ready().await;
    eventually("the first to lead", || async {
        leads(&first).await.then_some(())
    })
    .await;
    let second = Control::start(&place, "b").await.ready().await;
    assert!(!leads(&second).await);
    let begun = Instant::now();
    first.stop().await;
    eventually("the second to lead", || async {
        leads(&second).await.then_some(())
    })
    .await;
    // Without a release it would take 15 s.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    // Nor does it wait longer than that for one that vanished without a word.
    let third = Control::start(&place, "c").await.ready().await;
    let begun = Instant::now();
    second.kill().await;
    eventually("the third to lead", || async {
        leads(&third).await.then_some(())
    })
    .await;
    let took = begun.elapsed();
    assert!((5..25).contains(&took.as_secs()), "{took:?}");
    third.stop().await;
    place.leave().await;
}
