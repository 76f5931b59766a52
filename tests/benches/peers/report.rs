//! What was measured, beside its budgets.

use std::fmt;

use mesh_tests::harness;
use serde::Serialize;

use crate::kind::Kind;
use crate::load::Times;
use crate::options::Options;

/// Memory of a proxy that carries nothing, MiB.
const IDLE: f64 = 8.0;
/// Memory of a proxy under this load, MiB.
const LOADED: f64 = 16.0;
/// Whose CPU time is the measure.
const MEASURE: &str = "envoy";
/// Those that no budget is for.
const OTHERS: [&str; 3] = ["direct", "envoy", "haproxy"];

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    requests: u64,
    connections: u32,
    streams: u32,
    size: usize,
    rounds: usize,
    access_log: bool,
    /// Load of the machine before (getloadavg(3), one minute).
    load: f64,
    cores: usize,
    tables: Vec<Table>,
    #[serde(skip)]
    lines_on_stderr: bool,
}

/// Results for one kind.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    kind: Kind,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    peer: String,
    /// One for each round.
    samples: Vec<Sample>,
}

/// Result of one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Sample {
    /// Requests or Gbit in a second.
    pub(crate) rate: f64,
    /// How long requests took.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<Times>,
    /// CPU time of both proxies for a request, microseconds, or for a GB, milliseconds.
    pub(crate) cpu: f64,
    /// Memory of the larger proxy before the load, MiB.
    pub(crate) idle: f64,
    /// The most it ever had, MiB.
    pub(crate) peak: f64,
}

// === impl Report ===

impl Report {
    /// Begins it, and says of what.
    pub(crate) fn begin(options: &Options) -> Self {
        let report = Self {
            requests: options.requests,
            connections: options.connections,
            streams: options.streams,
            size: options.size,
            rounds: options.rounds,
            access_log: options.access_log,
            load: harness::load_average(),
            cores: harness::cores(),
            tables: Vec::new(),
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

    /// Adds a table, and shows it at once.
    pub(crate) fn add(&mut self, table: Table) {
        self.say(&table);
        self.tables.push(table);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = if self.access_log { "with" } else { "without" };
        writeln!(
            f,
            "{} requests of {} octets over {} connections, {} at a time on those of HTTP/2, {log} access logs;\n\
             medians of {} rounds; a machine of {} cores, load {} before",
            self.requests,
            self.size,
            self.connections,
            self.streams,
            self.rounds,
            self.cores,
            self.load
        )
    }
}

// === impl Table ===

impl Table {
    pub(crate) fn new<'a>(kind: Kind, peers: impl Iterator<Item = &'a str>) -> Self {
        let row = |peer: &str| Row {
            peer: peer.to_owned(),
            samples: Vec::new(),
        };
        Self {
            kind,
            rows: peers.map(row).collect(),
        }
    }

    /// Adds a round of a peer.
    pub(crate) fn push(&mut self, peer: &str, sample: Sample) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.peer == peer) {
            row.samples.push(sample);
        }
    }

    fn measure(&self) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.peer == MEASURE)?;
        Some(row.median(|sample| sample.cpu)).filter(|cpu| *cpu > 0.0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:>9} {:>8} {:>8} {:>12} {:>17} {:>9} {:>9} {:>9}",
            self.kind.to_string(),
            self.kind.rate(),
            "p50 µs",
            "p99 µs",
            self.kind.cpu_unit(),
            "least–most",
            "of Envoy",
            "idle MiB",
            "peak MiB",
        )?;
        let or_none = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        for row in &self.rows {
            let cpu = row.median(|sample| sample.cpu);
            let (least, most) = row.range();
            let share = self.measure().map(|measure| cpu / measure);
            writeln!(
                f,
                "{:<10} {:>9} {:>8} {:>8} {cpu:>12.1} {:>17} {:>9} {:>9.1} {:>9.1}",
                row.peer,
                or_none(
                    Some(row.median(|sample| sample.rate)),
                    if self.kind == Kind::Tcp { 2 } else { 0 }
                ),
                or_none(row.time(|times| times.p50), 0),
                or_none(row.time(|times| times.p99), 0),
                format!("{least:.1}–{most:.1}"),
                or_none(share, 2),
                row.median(|sample| sample.idle),
                row.median(|sample| sample.peak),
            )?;
        }
        for row in self.rows.iter().filter(|row| row.has_budget()) {
            let cpu = row.median(|sample| sample.cpu);
            let idle = row.median(|sample| sample.idle);
            let peak = row.median(|sample| sample.peak);
            let verdict = |value: f64, budget: f64| if value <= budget { "within" } else { "over" };
            write!(f, "{}:", row.peer)?;
            if let Some(measure) = self.measure() {
                let (share, budget) = (cpu / measure, self.kind.budget());
                let verdict = verdict(share, budget);
                write!(f, " {share:.2} of Envoy's CPU, budget {budget}: {verdict};")?;
            }
            writeln!(
                f,
                " {idle:.1} MiB idle, budget {IDLE}: {}; {peak:.1} MiB at most, budget {LOADED}: {}",
                verdict(idle, IDLE),
                verdict(peak, LOADED)
            )?;
        }
        Ok(())
    }
}

// === impl Row ===

impl Row {
    fn has_budget(&self) -> bool {
        !OTHERS.contains(&self.peer.as_str())
    }

    fn time(&self, field: impl Fn(Times) -> f64) -> Option<f64> {
        let timed = self.samples.iter().all(|sample| sample.times.is_some());
        timed.then(|| self.median(|sample| sample.times.map_or(0.0, &field)))
    }

    fn median(&self, field: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(field).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = values.get(middle).copied().unwrap_or_default();
        if values.len() % 2 == 1 {
            return upper;
        }
        let lower = values.get(middle.saturating_sub(1)).copied();
        (lower.unwrap_or_default() + upper) / 2.0
    }

    /// CPU time of the cheapest and of the dearest round.
    fn range(&self) -> (f64, f64) {
        let cpu = self.samples.iter().map(|sample| sample.cpu);
        let least = cpu.clone().fold(f64::INFINITY, f64::min);
        (least, cpu.fold(0.0, f64::max))
    }
}
