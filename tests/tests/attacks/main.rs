//! Attacks on a running mesh. Each is refused, with the right named reason, and disturbs nobody
//! else. The table of them is in `SECURITY.md`.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod identity;
mod place;
mod policy;
