//! The DNS servers of the system: which one is asked, and what its response is worth.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Query;
use super::query::{HEADER, RESPONSE, question_end};

/// How long a server that failed is asked only after the others.
pub const AVOIDED: Duration = Duration::from_secs(10);

/// The servers, and which of them failed lately.
#[derive(Clone, Debug)]
pub struct Servers {
    all: Vec<Server>,
    rotate: bool,
    turn: usize,
}

#[derive(Clone, Debug)]
struct Server {
    address: SocketAddr,
    failed: Option<Instant>,
}

/// What a response is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It answers the question, maybe cut short: then the client asks again over TCP.
    Answer,
    /// The server could not answer; another may.
    Failure,
    /// It belongs to another question, or is none.
    Foreign,
}

const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

// === impl Servers ===

impl Servers {
    /// All are well at first.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, rotate: bool) -> Self {
        let server = |address| Server {
            address,
            failed: None,
        };
        Self {
            all: addresses.into_iter().map(server).collect(),
            rotate,
            turn: 0,
        }
    }

    /// The servers in the order to ask them: as configured, those that failed lately last.
    pub fn order(&mut self, now: Instant) -> Vec<SocketAddr> {
        let count = self.all.len().max(1);
        let first = if self.rotate { self.turn % count } else { 0 };
        self.turn = self.turn.wrapping_add(1);
        let (before, after) = self.all.split_at(first.min(self.all.len()));
        let turned = || after.iter().chain(before);
        let avoided = |server: &&Server| {
            let since = |at| now.saturating_duration_since(at);
            server.failed.is_some_and(|at| since(at) < AVOIDED)
        };
        let well = turned().filter(|server| !avoided(server));
        let failed = turned().filter(avoided);
        well.chain(failed).map(|server| server.address).collect()
    }

    /// A server did not answer, or could not.
    pub fn failed(&mut self, address: SocketAddr, now: Instant) {
        self.set(address, Some(now));
    }

    /// A server answered.
    pub fn answered(&mut self, address: SocketAddr) {
        self.set(address, None);
    }

    fn set(&mut self, address: SocketAddr, failed: Option<Instant>) {
        for server in &mut self.all {
            if server.address == address {
                server.failed = failed;
            }
        }
    }
}

/// The message with another number: each question goes out under a new one, so that nobody can
/// guess it and answer in the server's place.
pub fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut message = message.to_vec();
    if let Some(place) = message.first_chunk_mut::<2>() {
        *place = id.to_be_bytes();
    }
    message
}

/// What a response to `query`, sent under the number `id`, is worth.
pub fn worth(query: &Query<'_>, id: u16, response: &[u8]) -> Worth {
    let Some(header) = response.first_chunk::<HEADER>() else {
        return Worth::Foreign;
    };
    if header[..2] != id.to_be_bytes() || header[2] & RESPONSE == 0 {
        return Worth::Foreign;
    }
    let code = code(header);
    let fine = matches!(code, NO_ERROR | NO_SUCH_NAME);
    match u16::from_be_bytes([header[4], header[5]]) {
        // Some servers leave the question out of an error.
        0 if !fine => return Worth::Failure,
        1 => {}
        _ => return Worth::Foreign,
    }
    let question = question_end(response).and_then(|end| response.get(HEADER..end));
    // Some servers do not keep the case of letters.
    if !question.is_some_and(|question| question.eq_ignore_ascii_case(query.question())) {
        return Worth::Foreign;
    }
    if fine { Worth::Answer } else { Worth::Failure }
}

/// Whether a response says that there is no such name (NXDOMAIN).
pub fn is_no_such_name(response: &[u8]) -> bool {
    response
        .first_chunk::<HEADER>()
        .is_some_and(|header| code(header) == NO_SUCH_NAME)
}

fn code(header: &[u8; HEADER]) -> u8 {
    header[3] & 0x0f
}
