//! What a benchmark is told by cargo.

/// What `cargo bench`, `cargo test` and test runners give to every target.
#[derive(Debug, clap::Args)]
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
