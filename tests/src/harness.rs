//! What a benchmark is told by cargo, and on what machine it runs.

/// What `cargo bench`, `cargo test` and test runners give to every target.
#[derive(Clone, Debug, clap::Args)]
pub struct Harness {
    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[arg(long, hide = true)]
    list: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(long, hide = true)]
    format: Option<String>,
}

// === impl Harness ===

impl Harness {
    /// Whether it was `cargo bench` that started it, to measure.
    pub fn is_wanted(&self) -> bool {
        self.bench && !self.test && !self.list
    }
}

/// Load of the machine (getloadavg(3), one minute): times mean little if it is high.
pub fn load_average() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = load.split(' ').next();
    first.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Cores that there are to share.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
