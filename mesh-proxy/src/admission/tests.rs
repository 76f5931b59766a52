use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use mesh_proxy_core::ir::OverloadPolicy;

use super::*;

fn parts(agent: &str, path: &str) -> Parts {
    let request = Request::get(path).header("user-agent", agent);
    request.body(()).unwrap().into_parts().0
}

#[test]
fn probes_are_known() {
    for (agent, path, want) in [
        ("kube-probe/1.31", "/", true),
        (crate::upstream::HEALTH_CHECKER, "/healthz", true),
        ("curl/8", "/grpc.health.v1.Health/Check", true),
        ("curl/8 kube-probe/", "/healthz", false),
    ] {
        assert_eq!(is_health_probe(&parts(agent, path)), want, "{agent} {path}");
    }
}

#[test]
fn probes_get_in_when_others_do_not() {
    let admission = Admission::default();
    let gate = admission.gate(80);
    let policy = OverloadPolicy {
        max_requests: 2,
        ..OverloadPolicy::default()
    };
    let now = crate::clock::monotonic();
    let admit = |probe| gate.admit((&policy, true), probe, now);
    let first = admit(false).unwrap();
    let second = admit(false).unwrap();
    assert!(admit(false).is_none());
    let probes: Vec<Permit> = std::iter::from_fn(|| admit(true)).collect();
    assert_eq!(probes.len(), 16, "but not without end");
    drop(probes);
    first.answered(StatusCode::OK);
    drop(second);
    assert_eq!(gate.under_way(), 0);
    assert!(admit(false).is_some());
}

#[test]
fn slow_answers_narrow_the_gate_and_quick_ones_widen_it() {
    let gate: Arc<Gate> = Admission::default().gate(80);
    let policy = OverloadPolicy::default();
    let mut now = crate::clock::monotonic();
    let mut windows = |count: u32, took: Duration| {
        for _ in 0..count {
            // The clock of answers is the real one: requests are said to have begun earlier.
            let began = crate::clock::monotonic().checked_sub(took).unwrap();
            let permits: Vec<_> = (0..100)
                .filter_map(|_| gate.admit((&policy, true), false, began))
                .collect();
            for permit in permits {
                permit.answered(StatusCode::OK);
            }
            now += Duration::from_millis(110);
            drop(gate.admit((&policy, true), false, now));
        }
        gate.limit()
    };
    assert_eq!(windows(3, Duration::from_millis(5)), 16_384);
    let narrow = windows(5, Duration::from_secs(2));
    assert!(narrow < 100, "{narrow}");
    assert!(windows(40, Duration::from_millis(5)) > 100);
}
