//! Attacks on a running mesh. Each is refused, with the right named reason, and disturbs nobody
//! else. The table of them is in `SECURITY.md`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by failing"
)]

mod bypass;
mod control_plane;
mod cores;
mod decisions;
mod http2;
mod identity;
mod place;
mod policy;
mod raw_http2;
mod registration;
mod secrets;
mod told;
