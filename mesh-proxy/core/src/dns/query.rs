//! Questions.

use hickory_proto::op::Message;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use mesh_api::Hostname;

use super::reply;

/// A query with one question (RFC 1035 section 4.1). Queries with more are refused, as all
/// servers do (RFC 9619).
#[derive(Debug)]
pub struct Query<'a> {
    bytes: &'a [u8],
    // Where the question ends; it begins behind the header.
    question_end: usize,
    // Absent if something behind the question cannot be read: then it can only be passed on.
    message: Option<Message>,
}

/// How a query came. Over TCP an answer may have any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// What is no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Too short to be a message, or a response: answering those makes loops.
    Ignore,
    /// To be answered by this error.
    Refuse(Vec<u8>),
}

pub(super) const HEADER: usize = 12;
/// Flag of responses, in the first byte of flags.
pub(super) const RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
// RFC 1035 section 4.2.1: without EDNS.
const PLAIN_SIZE: usize = 512;
// What EDNS may ask for at most: more is fragmented everywhere.
const LARGEST_SIZE: usize = 4096;
const LONGEST_NAME: usize = 255;

// === impl Query ===

impl<'a> Query<'a> {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Unusable`], with the answer if it deserves one.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let header = bytes.first_chunk::<HEADER>().ok_or(Unusable::Ignore)?;
        if header[2] & RESPONSE != 0 {
            return Err(Unusable::Ignore);
        }
        if header[2] & OPCODE != 0 {
            return Err(Unusable::Refuse(reply::bare(
                header,
                reply::NOT_IMPLEMENTED,
            )));
        }
        let malformed = || Unusable::Refuse(reply::bare(header, reply::FORMAT_ERROR));
        if u16::from_be_bytes([header[4], header[5]]) != 1 {
            return Err(malformed());
        }
        let question_end = question_end(bytes).ok_or_else(malformed)?;
        let message = Message::from_vec(bytes).ok();
        Ok(Self {
            bytes,
            question_end,
            message: message.filter(|message| message.queries.len() == 1),
        })
    }

    /// The message.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its number.
    pub fn id(&self) -> u16 {
        match self.bytes {
            [high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }

    /// The question as it stands in the message: name, type and class.
    pub fn question(&self) -> &'a [u8] {
        self.bytes
            .get(HEADER..self.question_end)
            .unwrap_or_default()
    }

    /// The header and the question.
    pub(super) fn head(&self) -> &'a [u8] {
        self.bytes.get(..self.question_end).unwrap_or_default()
    }

    pub(super) fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// The host name that is asked for, if it can be one that the mesh declares: of class IN, and
    /// of the letters of host names.
    pub fn host(&self) -> Option<Hostname> {
        let question = self.message.as_ref()?.queries.first()?;
        if question.query_class != DNSClass::IN {
            return None;
        }
        host_name(&question.name).filter(|host| !host.is_wildcard())
    }

    /// The type of records that is asked for.
    pub fn kind(&self) -> Option<RecordType> {
        let question = self.message.as_ref()?.queries.first()?;
        Some(question.query_type)
    }

    /// How long a datagram with a server's answer may be: what the client says.
    pub fn payload(&self) -> usize {
        let edns = self.message.as_ref().and_then(|m| m.edns.as_ref());
        edns.map_or(PLAIN_SIZE, |edns| {
            usize::from(edns.max_payload()).max(PLAIN_SIZE)
        })
    }

    /// How long an answer of the mesh may be.
    pub fn limit(&self, transport: Transport) -> usize {
        match transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => self.payload().min(LARGEST_SIZE),
        }
    }
}

/// Where the one question of a message ends. A name in a question has nothing to point to.
pub(super) fn question_end(bytes: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        if length > 63 {
            return None;
        }
        at += length;
        if at - HEADER >= LONGEST_NAME {
            return None;
        }
    }
    let end = at + 4;
    (end <= bytes.len()).then_some(end)
}

fn host_name(name: &Name) -> Option<Hostname> {
    let mut text = String::new();
    for label in name {
        if !text.is_empty() {
            text.push('.');
        }
        // A dot inside of a label would make two of it.
        if label.contains(&b'.') {
            return None;
        }
        text.push_str(std::str::from_utf8(label).ok()?);
    }
    let host: Hostname = text.parse().ok()?;
    // An address is no name.
    host.as_str()
        .parse::<std::net::IpAddr>()
        .is_err()
        .then_some(host)
}
