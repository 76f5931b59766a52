use proptest::prelude::*;

use super::*;

fn window(millis: u64, throughput: f64, peak: u32) -> Window {
    Window {
        quick: Some(Duration::from_millis(millis)),
        throughput,
        peak,
        refused: false,
    }
}

#[test]
fn steps_of_time_are_near() {
    for micros in [1, 4, 10, 999, 5_000, 77_777, 3_000_000, 3_600_000_000] {
        let mut times = [0; BUCKETS];
        times[bucket(Duration::from_micros(micros))] = 9;
        let found = quickest(&times).unwrap().as_secs_f64() * 1e6;
        let ratio = found / micros as f64;
        assert!((0.79..=1.0).contains(&ratio), "{micros} {found}");
    }
    assert_eq!(quickest(&[0; BUCKETS]), None);
    // A quarter of quick answers is enough to be no queue.
    let mut times = [0; BUCKETS];
    times[bucket(Duration::from_millis(1))] = 25;
    times[bucket(Duration::from_secs(1))] = 75;
    assert!(quickest(&times).unwrap() <= Duration::from_millis(1));
}

#[test]
fn what_is_slow_at_the_lowest_limit_is_usual() {
    let policy = OverloadPolicy::default();
    let mut limit = ConcurrencyLimit::new(&policy);
    limit.observe(&window(1, 100.0, 10), &policy);
    // The application does something else now, which takes a second however little there is.
    let mut after = |wanted: &dyn Fn(u32) -> bool| {
        let mut windows = 0;
        while !wanted(limit.limit()) {
            limit.observe(&window(1000, 90.0, 400), &policy);
            windows += 1;
            assert!(windows < 120, "{}", limit.limit());
        }
        windows
    };
    assert!(after(&|limit| limit == OverloadPolicy::MIN_REQUESTS) >= 3);
    assert!(after(&|limit| limit > 500) >= PATIENCE, "it recovers");
}

/// A server of so many hands that gets slower by what waits: each request takes `work`, and
/// `strain` times as long for each that waits beyond the hands.
struct Server {
    hands: f64,
    work: f64,
    strain: f64,
    waiting: f64,
}

impl Server {
    /// One window with so many arrivals a second and at most so many at a time. Gives what was
    /// seen, and how many were answered within a second.
    fn run(&mut self, rate: f64, limit: f64) -> (Window, f64) {
        let seconds = WINDOW.as_secs_f64();
        let offered = rate * seconds;
        let before = self.waiting;
        let work = self.work * (1.0 + self.strain * (before - self.hands).max(0.0));
        let capacity = self.hands / work * seconds;
        let admitted = offered.min((limit - before + capacity).max(0.0));
        let done = capacity.min(before + admitted);
        self.waiting = before + admitted - done;
        let latency = work + self.waiting.max(before) / (self.hands / work);
        let window = Window {
            quick: (done >= 1.0).then(|| Duration::from_secs_f64(latency)),
            throughput: done / seconds,
            peak: (before + admitted).ceil() as u32,
            refused: admitted < offered,
        };
        let good = if latency <= 1.0 { done } else { 0.0 };
        (window, good)
    }
}

/// Parts of the requests that were answered in time, second by second.
fn goodput(server: &mut Server, rate: f64, seconds: u32, limited: bool) -> Vec<f64> {
    let policy = OverloadPolicy::default();
    let mut limit = ConcurrencyLimit::new(&policy);
    let per_second = (1.0 / WINDOW.as_secs_f64()).round() as u32;
    // An hour of calm before.
    for _ in 0..100 {
        let (window, _) = server.run(10.0, f64::INFINITY);
        limit.observe(&window, &policy);
    }
    (0..seconds)
        .map(|_| {
            let good: f64 = (0..per_second)
                .map(|_| {
                    let allowed = if limited {
                        f64::from(limit.limit())
                    } else {
                        f64::INFINITY
                    };
                    let (window, good) = server.run(rate, allowed);
                    limit.observe(&window, &policy);
                    good
                })
                .sum();
            good / rate
        })
        .collect()
}

fn slow_server() -> Server {
    Server {
        hands: 8.0,
        work: 0.01,
        strain: 0.02,
        waiting: 0.0,
    }
}

#[test]
fn goodput_is_kept_where_it_would_collapse() {
    // Twice what the server can do: half of it is the best there is.
    let without = goodput(&mut slow_server(), 1600.0, 20, false);
    assert!(
        without.iter().skip(5).all(|part| *part < 0.05),
        "{without:?}"
    );
    let with = goodput(&mut slow_server(), 1600.0, 20, true);
    assert!(with.iter().skip(5).all(|part| *part > 0.3), "{with:?}");
}

proptest! {
    #[test]
    fn the_limit_keeps_its_bounds(
        windows in prop::collection::vec(
            (prop::option::of(1u64..100_000), 0f64..1e6, 0u32..100_000, any::<bool>()), 1..200),
        least in 1u32..1000,
        most in 1u32..100_000,
    ) {
        let policy = OverloadPolicy {
            min_requests: least,
            max_requests: most,
            ..OverloadPolicy::default()
        };
        let mut limit = ConcurrencyLimit::new(&policy);
        for (millis, throughput, peak, refused) in windows {
            limit.observe(
                &Window { quick: millis.map(Duration::from_millis), throughput, peak, refused },
                &policy,
            );
            prop_assert!(limit.limit() >= least.min(most));
            prop_assert!(limit.limit() <= most);
        }
    }

    /// However many there are, and whatever they take as long as it varies by less than the
    /// ratio: nothing is ever refused.
    #[test]
    fn healthy_load_is_never_limited(
        base in 1u64..2000,
        windows in prop::collection::vec((100u64..400, 0f64..1e6, 0u32..16_000), 1..300),
    ) {
        let policy = OverloadPolicy::default();
        let mut limit = ConcurrencyLimit::new(&policy);
        for (percent, throughput, peak) in windows {
            let quick = Duration::from_micros(base * 10 * percent);
            limit.observe(
                &Window { quick: Some(quick), throughput, peak, refused: false },
                &policy,
            );
            prop_assert_eq!(limit.limit(), OverloadPolicy::MAX_REQUESTS);
        }
    }
}
