//! HTTP: connections of clients, bodies, hop-by-hop headers, answers of the proxy's own.

mod exchange;
pub mod headers;
mod incoming;
pub mod peer;
mod request_body;
pub mod respond;
mod response_body;
mod server;
pub mod upgrade;
pub mod wire;

pub use exchange::{Downstream, Exchange, UpstreamFacts};
pub use incoming::{Buffered, Incoming, TransportError};
pub use request_body::{BodySource, REPLAY_LIMIT, RequestBody, RequestBodyError};
pub use response_body::{ResponseBody, ResponseBodyError};
pub use server::{HEAD_TIMEOUT, MAX_HEAD, NoRequest, ServeError, Version, Wrong, serve};
