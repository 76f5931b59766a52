//! The tour with transparent capture: every workload in a network namespace of its own.
//!
//! Needs root or unprivileged user namespaces, nftables (or iptables) and iproute2; without
//! them it fails and says what is missing. Run with
//! `cargo test -p mesh-tests --features netns --test netns`.

use std::time::Duration;

use mesh_tests::Running;

#[test]
fn the_tour_passes_with_transparent_capture() {
    let state = tempfile::tempdir().unwrap();
    let mut demo = Running::start([
        "demo",
        "--check",
        "--capture",
        "transparent",
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
