use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::fixtures::rng;
use crate::ir::{RetryOn, RetryPolicy};

fn policy(on: &[&str], attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        per_try_timeout: None,
        on: on.iter().fold(RetryOn::NONE, |all, name| {
            all.with(RetryOn::named(name).unwrap())
        }),
        status_codes: vec![418],
        backoff_base: Duration::from_millis(25),
        backoff_max: Duration::from_millis(250),
        allow_previous_hosts: false,
        origin: None,
    }
}

fn status(code: u16) -> AttemptOutcome {
    let status = StatusCode::from_u16(code).unwrap();
    AttemptOutcome::Response {
        status,
        grpc_status: None,
        rate_limited: false,
        overloaded: false,
        retry_after: None,
    }
}

fn grpc(code: u32) -> AttemptOutcome {
    AttemptOutcome::Response {
        status: StatusCode::OK,
        grpc_status: Some(code),
        rate_limited: false,
        overloaded: false,
        retry_after: None,
    }
}

#[test]
fn trap_08_conditions() {
    let reset = AttemptOutcome::Reset {
        request_started: true,
    };
    let early = AttemptOutcome::Reset {
        request_started: false,
    };
    let limited = AttemptOutcome::Response {
        status: StatusCode::SERVICE_UNAVAILABLE,
        grpc_status: None,
        rate_limited: true,
        overloaded: false,
        retry_after: None,
    };
    let cases: &[(&str, &[AttemptOutcome], &[AttemptOutcome])] = &[
        (
            "5xx",
            &[
                status(500),
                status(503),
                reset,
                AttemptOutcome::ConnectFailure,
                AttemptOutcome::PerTryTimeout,
            ],
            &[status(404), limited],
        ),
        (
            "gateway-error",
            &[status(502), status(503), status(504)],
            &[status(500), status(501)],
        ),
        (
            "reset",
            &[
                reset,
                AttemptOutcome::ConnectFailure,
                AttemptOutcome::PerTryTimeout,
            ],
            &[status(503)],
        ),
        (
            "connect-failure",
            &[AttemptOutcome::ConnectFailure],
            &[reset, early, status(503)],
        ),
        (
            "refused-stream",
            &[AttemptOutcome::RefusedStream],
            &[reset, status(503)],
        ),
        (
            "reset-before-request",
            &[early, AttemptOutcome::ConnectFailure],
            &[reset],
        ),
        ("envoy-ratelimited", &[limited], &[status(429)]),
        ("retriable-4xx", &[status(409)], &[status(404), status(429)]),
        ("retriable-status-codes", &[status(418)], &[status(503)]),
        ("cancelled", &[grpc(1)], &[grpc(14), status(503)]),
        ("deadline-exceeded", &[grpc(4)], &[grpc(1)]),
        ("resource-exhausted", &[grpc(8)], &[grpc(1)]),
        ("internal", &[grpc(13)], &[grpc(1)]),
        ("unavailable", &[grpc(14)], &[grpc(0), status(503)]),
    ];
    for (on, yes, no) in cases {
        let policy = policy(&[on], 1);
        for outcome in *yes {
            assert!(is_retriable(&policy, outcome), "{on} {outcome:?}");
        }
        for outcome in *no {
            assert!(!is_retriable(&policy, outcome), "{on} {outcome:?}");
        }
    }
}

fn tries(
    policy: RetryPolicy,
    timeout: Option<Duration>,
    budget: &mut Budget,
    now: Instant,
) -> Tries {
    Tries::new(
        Some(Arc::new(policy)),
        Deadline::new(timeout, now),
        budget,
        now,
    )
}

#[test]
fn reasons_to_stop() {
    let now = Instant::now();
    let mut rng = rng();
    let on = policy(&["5xx"], 2);
    let overloaded = AttemptOutcome::Response {
        status: StatusCode::SERVICE_UNAVAILABLE,
        grpc_status: None,
        rate_limited: false,
        overloaded: true,
        retry_after: None,
    };
    for (outcome, replayable, want) in [
        (status(200), true, Stop::NotRetriable),
        (overloaded, true, Stop::Overload),
        (AttemptOutcome::Overflow, true, Stop::Overload),
        (AttemptOutcome::RequestTimeout, true, Stop::Deadline),
        (status(503), false, Stop::BodyConsumed),
    ] {
        let mut budget = Budget::new(1, now);
        let mut tries = tries(on.clone(), None, &mut budget, now);
        assert_eq!(
            tries.decide(&outcome, replayable, &mut budget, now, &mut rng),
            Decision::Stop(want),
            "{outcome:?}"
        );
    }
    let mut budget = Budget::new(1, now);
    let mut twice = tries(on.clone(), None, &mut budget, now);
    let mut decide =
        |tries: &mut Tries, now| tries.decide(&status(503), true, &mut budget, now, &mut rng);
    assert!(matches!(decide(&mut twice, now), Decision::Retry { .. }));
    assert!(matches!(decide(&mut twice, now), Decision::Retry { .. }));
    assert_eq!(decide(&mut twice, now), Decision::Stop(Stop::Exhausted));
    assert!(!twice.may_retry());
    let mut late = tries(
        on,
        Some(Duration::from_secs(1)),
        &mut Budget::new(1, now),
        now,
    );
    assert_eq!(
        decide(&mut late, now + Duration::from_secs(1)),
        Decision::Stop(Stop::Deadline)
    );
    let mut none = Tries::new(
        None,
        Deadline::new(None, now),
        &mut Budget::new(1, now),
        now,
    );
    assert_eq!(decide(&mut none, now), Decision::Stop(Stop::NotRetriable));
}

#[test]
fn overload_is_read_from_the_answer() {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-mesh-reason", http::HeaderValue::from_static("overload"));
    headers.insert("grpc-status", http::HeaderValue::from_static("14"));
    let outcome = AttemptOutcome::of_response(StatusCode::OK, &headers);
    assert_eq!(
        outcome,
        AttemptOutcome::Response {
            status: StatusCode::OK,
            grpc_status: Some(14),
            rate_limited: false,
            overloaded: true,
            retry_after: None,
        }
    );
    assert!(!is_retriable(&policy(&["unavailable"], 1), &outcome));
}

#[test]
fn previous_hosts_are_excluded_unless_allowed() {
    let now = Instant::now();
    let mut budget = Budget::new(1, now);
    for allow in [false, true] {
        let policy = RetryPolicy {
            allow_previous_hosts: allow,
            ..policy(&["5xx"], 1)
        };
        let mut tries = tries(policy, None, &mut budget, now);
        tries.tried(&Arc::from("a"));
        assert_eq!(tries.exclude().is_empty(), allow);
    }
}

#[test]
fn pauses_grow_with_full_jitter() {
    let policy = policy(&[], 9);
    let mut rng = rng();
    for (retry, most) in [
        (1, 25),
        (2, 50),
        (3, 100),
        (4, 200),
        (5, 250),
        (40, 250),
        (u32::MAX, 250),
    ] {
        let pauses: Vec<_> = (0..500)
            .map(|_| backoff(&policy, retry, &mut rng))
            .collect();
        let most = Duration::from_millis(most);
        assert!(pauses.iter().all(|pause| *pause < most));
        assert!(
            pauses.iter().any(|pause| *pause < most / 4)
                && pauses.iter().any(|pause| *pause > most / 4 * 3)
        );
    }
    let none = RetryPolicy {
        backoff_base: Duration::ZERO,
        backoff_max: Duration::ZERO,
        ..policy
    };
    assert_eq!(backoff(&none, 1, &mut rng), Duration::ZERO);
}

#[test]
fn limits_of_tries() {
    let now = Instant::now();
    let seconds = Duration::from_secs;
    let deadline = Deadline::new(Some(seconds(3)), now);
    assert_eq!(
        deadline.of_try(Some(seconds(2)), now),
        Some((now + seconds(2), true))
    );
    assert_eq!(
        deadline.of_try(Some(seconds(2)), now + seconds(2)),
        Some((now + seconds(3), false))
    );
    assert_eq!(deadline.of_try(None, now), Some((now + seconds(3), false)));
    assert_eq!(
        Deadline::new(None, now).of_try(Some(seconds(2)), now),
        Some((now + seconds(2), true))
    );
    assert_eq!(Deadline::new(None, now).of_try(None, now), None);
    assert_eq!(Deadline::new(Some(Duration::MAX), now).end(), None);
    assert_eq!(
        deadline.at_most(Some(seconds(1)), now).end(),
        Some(now + seconds(1))
    );
    assert_eq!(deadline.at_most(None, now), deadline);
    assert!(deadline.is_over(now + seconds(3)) && !deadline.is_over(now));
}

proptest! {
    #[test]
    fn retries_never_exceed_attempts_nor_budget(
        attempts in 0..6_u32,
        requests in proptest::collection::vec((0..2000_u64, 0..10_usize), 1..200),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut rng = rng();
        let mut budget = Budget::new(1, now);
        let (mut all, mut count) = (0_u32, 0_u32);
        for (pause, asks) in requests {
            now += Duration::from_millis(pause);
            let mut tries = tries(policy(&["5xx"], attempts), None, &mut budget, now);
            count += 1;
            for _ in 0..asks {
                if matches!(tries.decide(&status(503), true, &mut budget, now, &mut rng), Decision::Retry { .. }) {
                    all += 1;
                }
            }
            prop_assert!(tries.retries() <= attempts);
            let elapsed = now.duration_since(start).as_secs_f64();
            let affordable = 0.2 * f64::from(count) + 3.0 * elapsed + 3.0;
            prop_assert!(f64::from(all) <= affordable, "{} of {}", all, affordable);
        }
    }
}

#[test]
fn workers_share_what_comes_for_free() {
    let start = Instant::now();
    for workers in [1, 2, 8, 64] {
        let mut budgets: Vec<_> = (0..workers).map(|_| Budget::new(workers, start)).collect();
        let mut granted = 0_usize;
        for step in 0..6000_u64 {
            let now = start + Duration::from_millis(10 * step);
            granted += budgets
                .iter_mut()
                .filter_map(|budget| budget.withdraw(now).then_some(()))
                .count();
        }
        // Of a minute, and what each begins with.
        let most = 180 + 3 * workers;
        assert!((175..=most).contains(&granted), "{workers}: {granted}");
    }
}

#[test]
fn servers_that_ask_for_time_get_it() {
    let now = Instant::now();
    let after = |text: &'static str, timeout: Option<u64>| {
        let mut headers = http::HeaderMap::new();
        headers.insert("retry-after", http::HeaderValue::from_static(text));
        let outcome = AttemptOutcome::of_response(StatusCode::SERVICE_UNAVAILABLE, &headers);
        let mut budget = Budget::new(1, now);
        let timeout = timeout.map(Duration::from_secs);
        let mut tries = tries(policy(&["5xx"], 3), timeout, &mut budget, now);
        tries.decide(&outcome, true, &mut budget, now, &mut rng())
    };
    let seconds = |text, timeout| match after(text, timeout) {
        Decision::Retry { after } => Ok(after.as_secs()),
        Decision::Stop(stop) => Err(stop),
    };
    assert_eq!(seconds("2", None), Ok(2));
    assert_eq!(seconds("0", None), Ok(0));
    assert_eq!(seconds("2", Some(1)), Err(Stop::Deadline));
    assert_eq!(seconds("31", None), Err(Stop::Overload));
    // A date, or nonsense: as if nothing had been said.
    assert_eq!(seconds("Fri, 31 Dec 1999 23:59:59 GMT", None), Ok(0));
}
