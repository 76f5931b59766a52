//! How many instructions a decision takes, at small and large sizes, so that growth is visible.
//!
//! `cargo bench -p mesh-proxy-core --bench instructions` runs all cases;
//! `… -- route pick` those whose names hold one of the words.
//!
//! Each case runs under valgrind (Debian: `valgrind`), in a process of its own, which counts the
//! instructions of the decision alone. The counts are the same on every run of one binary, and on
//! a busy machine as on an idle one. What should not grow with its size says so if it does.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod callgrind;
mod cases;
mod configuration;

use std::process::ExitCode;

use cases::{CASES, Case};

/// That of the proxy's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs one case at one size; said by this program to itself.
const ALONE: &str = "--case";
/// What `cargo bench` says.
const BENCH: &str = "--bench";
/// A count that is not to grow may do so by this factor: a deeper heap, a longer name.
const FLAT: f64 = 2.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [alone, name, size] = arguments.as_slice()
        && alone == ALONE
    {
        let case = CASES.iter().find(|case| case.name == name);
        let size = size.parse().expect("a size is a number");
        (case.expect("the case is known").run)(size);
        return ExitCode::SUCCESS;
    }
    if !arguments.iter().any(|argument| argument == BENCH) {
        // `cargo test --benches`, or a test runner that asks for a list.
        return ExitCode::SUCCESS;
    }
    let words: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let wanted =
        |case: &&Case| words.is_empty() || words.iter().any(|word| case.name.contains(*word));
    println!("{:<44} instructions at each size", "");
    for case in CASES.iter().filter(wanted) {
        match measure(case) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                eprintln!("error: {}: {error}", case.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn measure(case: &Case) -> Result<String, String> {
    let mut counts = Vec::new();
    for size in case.sizes {
        let size = size.to_string();
        counts.push(callgrind::instructions(&[ALONE, case.name, &size])? / case.times);
    }
    let mut line = format!("{:<44}", case.name);
    for (size, count) in case.sizes.iter().zip(&counts) {
        line.push_str(&format!(" {size:>6}: {count:<10}"));
    }
    if let (true, Some(first), Some(last)) = (case.flat, counts.first(), counts.last()) {
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let growth = *last as f64 / (*first).max(1) as f64;
        let verdict = if growth <= FLAT { "flat" } else { "GROWS" };
        line.push_str(&format!(" × {growth:.2}: {verdict}"));
    }
    Ok(line)
}
