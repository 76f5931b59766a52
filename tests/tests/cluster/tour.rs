//! The whole tour, by the command that users type.

use std::time::Duration;

use anyhow::ensure;

use crate::place::{self, Place, succeeded};

const TOUR: Duration = Duration::from_secs(20 * 60);

#[test]
fn the_tour_passes() -> anyhow::Result<()> {
    place::run("tour", tour)
}

async fn tour(place: &Place) -> anyhow::Result<()> {
    place.bookinfo().await?;
    place
        .apply_file("samples/bookinfo/config/base", |_| {})
        .await?;
    let mut command = place.meshctl();
    command.args(["demo", "--check"]).args(place.options());
    if let Ok(gateway) = std::env::var("MESH_TEST_GATEWAY") {
        command.args(["--gateway", &gateway]);
    }
    let printed = succeeded(place.run(command, TOUR).await?)?;
    let passed = printed.matches("PASS").count();
    println!("{printed}\ntour: {passed} steps passed");
    ensure!(passed > 0, "no step was taken:\n{printed}");
    ensure!(!printed.contains("FAIL"), "a step failed:\n{printed}");
    Ok(())
}
