//! The scripted tour of the demo, from the outside.

use std::time::Duration;

use mesh_tests::Running;

#[test]
fn the_tour_passes() {
    let state = tempfile::tempdir().unwrap();
    let mut demo = Running::start([
        "demo",
        "--check",
        "--state",
        state.path().join("s").to_str().unwrap(),
    ])
    .unwrap();
    let (status, printed) = demo.wait(Duration::from_secs(300)).unwrap();
    assert!(status.success(), "{printed}");
    assert!(
        printed.contains("PASS") && !printed.contains("FAIL"),
        "{printed}"
    );
}
