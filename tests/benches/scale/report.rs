//! What was measured, beside its budgets.

use std::fmt;
use std::time::Duration;

use mesh_tests::harness;
use serde::Serialize;

use crate::options::Options;

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    source: &'static str,
    services: usize,
    pods: usize,
    proxies: usize,
    destinations: usize,
    changes: usize,
    /// Load of the machine before (getloadavg(3), one minute): times mean little if it is high.
    load: f64,
    cores: usize,
    results: Vec<Measured>,
    #[serde(skip)]
    lines_on_stderr: bool,
}

/// One result.
#[derive(Debug, Serialize)]
struct Measured {
    what: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    within: Option<bool>,
}

/// Of how many, which share is not above it.
const P50: f64 = 0.50;
const P99: f64 = 0.99;

// === impl Report ===

impl Report {
    /// Begins it, and says of what.
    pub(crate) fn begin(options: &Options) -> Self {
        let report = Self {
            source: if options.kubernetes {
                "an API server"
            } else {
                "files"
            },
            services: options.services,
            pods: options.pods,
            proxies: options.proxies(),
            destinations: options.destinations,
            changes: options.changes,
            load: harness::load_average(),
            cores: harness::cores(),
            results: Vec::new(),
            lines_on_stderr: options.json,
        };
        report.say(&report);
        report
    }

    /// To who waits: on the standard output, unless JSON is to stand there.
    fn say(&self, line: &dyn fmt::Display) {
        if self.lines_on_stderr {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    /// Adds a result, and shows it at once to who waits.
    pub(crate) fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.with_budget(what, value, unit, None);
    }

    /// Adds a result that has a budget, if it has one here.
    pub(crate) fn with_budget(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        budget: impl Into<Option<f64>>,
    ) {
        let budget = budget.into();
        let measured = Measured {
            what: what.into(),
            value,
            unit,
            budget,
            within: budget.map(|budget| value <= budget),
        };
        self.say(&measured);
        self.results.push(measured);
    }

    /// Adds the distribution of many times.
    pub(crate) fn times(&mut self, what: &str, times: Vec<Duration>, p99: Option<f64>) {
        let times = sorted(times);
        self.add(format!("{what}, p50"), quantile(&times, P50), "ms");
        self.with_budget(format!("{what}, p99"), quantile(&times, P99), "ms", p99);
        self.add(format!("{what}, max"), quantile(&times, 1.0), "ms");
    }

    /// Adds what can be said of few times.
    pub(crate) fn few_times(&mut self, what: &str, times: Vec<Duration>) {
        let times = sorted(times);
        self.add(format!("{what}, p50"), quantile(&times, P50), "ms");
        self.add(format!("{what}, max"), quantile(&times, 1.0), "ms");
    }
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

/// Of sorted times, milliseconds.
fn quantile(times: &[Duration], share: f64) -> f64 {
    let rank = (share * times.len() as f64).ceil() as usize;
    let time = times.get(rank.saturating_sub(1)).or(times.last());
    time.copied().map_or(0.0, milliseconds)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} services and {} pods in {}, {} proxies with {} destinations each,\n\
             {} changes of each kind; a machine of {} cores, load {} before\n",
            self.services,
            self.pods,
            self.source,
            self.proxies,
            self.destinations,
            self.changes,
            self.cores,
            self.load
        )
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what, value, unit, ..
        } = self;
        // Three digits, whatever the unit.
        let digits = match value.abs() {
            small if small < 10.0 => 2,
            small if small < 100.0 => 1,
            _ => 0,
        };
        write!(f, "{what:<58} {value:>9.digits$} {unit:<4}")?;
        let Some(budget) = self.budget else {
            return Ok(());
        };
        let verdict = if self.within == Some(true) {
            "within"
        } else {
            "over"
        };
        write!(f, "  budget {budget:>4}: {verdict}")
    }
}

/// In milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
