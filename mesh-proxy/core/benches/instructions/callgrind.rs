//! Counts the instructions of this program's own [`counted`].

use std::fs;
use std::hint::black_box;
use std::process::{Command, Stdio};

/// The only function whose instructions are counted, with all that it calls.
#[inline(never)]
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Runs this program with the arguments, and gives the instructions that were counted.
///
/// # Errors
/// What went wrong, in words.
pub(crate) fn instructions(arguments: &[&str]) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = std::env::temp_dir().join(format!("callgrind.{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let text = fs::read_to_string(&out).unwrap_or_default();
    // Nobody needs it again.
    let _ = fs::remove_file(&out);
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    match total {
        Some(total) if output.status.success() && total > 0 => Ok(total),
        _ => Err(format!(
            "nothing was counted: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}
