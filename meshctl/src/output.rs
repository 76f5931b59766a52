//! Standard output of commands. A reader that goes away (`meshctl status | head`) is no error.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line.
pub fn say(text: impl Display) {
    let mut out = io::stdout().lock();
    // Nobody reads any more: there is nobody to tell it to either.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line on standard error.
pub fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a JSON document.
///
/// # Errors
/// If the value has no JSON form.
pub fn json(value: &impl Serialize) -> serde_json::Result<()> {
    say(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// `1 error`, `2 errors`.
pub fn count(number: impl Into<u64>, noun: &str) -> String {
    let number = number.into();
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
