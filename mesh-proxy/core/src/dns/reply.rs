//! Messages that the mesh makes.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mesh_api::Hostname;

use super::query::{HEADER, RESPONSE};
use super::{Query, Transport};

/// How long an answer may be kept, in seconds: Istio's, short enough for addresses that change.
pub const TTL: u32 = 30;

pub(super) const FORMAT_ERROR: u8 = 1;
pub(super) const NOT_IMPLEMENTED: u8 = 4;
const SERVER_FAILURE: u8 = 2;

const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;
// Fits into a packet everywhere (DNS flag day 2020).
const OUR_PAYLOAD: u16 = 1232;

/// An answer with addresses of the kind that was asked for; without one, it says that there are
/// other records of the name. `alias` is what the name stands for, if another than itself.
///
/// `None` if the query cannot be answered but only passed on.
pub fn addresses(
    query: &Query<'_>,
    alias: Option<&Hostname>,
    addresses: &[IpAddr],
    transport: Transport,
) -> Option<Vec<u8>> {
    let mut message = begin(query)?;
    let question = message.queries.first()?;
    let (name, kind) = (question.name.clone(), question.query_type);
    let records = addresses
        .iter()
        .filter_map(|address| match (kind, address) {
            (RecordType::A, IpAddr::V4(ip)) => Some(RData::A(A(*ip))),
            (RecordType::AAAA, IpAddr::V6(ip)) => Some(RData::AAAA(AAAA(*ip))),
            _ => None,
        });
    let owner = match alias {
        None => name,
        Some(alias) => {
            let target = Name::from_labels(alias.as_str().split('.').map(str::as_bytes)).ok()?;
            let cname = RData::CNAME(CNAME(target.clone()));
            message.add_answer(Record::from_rdata(name, TTL, cname));
            target
        }
    };
    for data in records {
        message.add_answer(Record::from_rdata(owner.clone(), TTL, data));
    }
    encode(&message, query.limit(transport))
}

/// An answer that says that nothing could be found out.
pub fn server_failure(query: &Query<'_>) -> Vec<u8> {
    let mut reply = query.head().to_vec();
    let message = begin(query).and_then(|mut message| {
        message.metadata.authoritative = false;
        message.metadata.response_code = ResponseCode::ServFail;
        message.to_vec().ok()
    });
    message.unwrap_or_else(|| {
        mark(&mut reply, SERVER_FAILURE, 1);
        reply
    })
}

/// An error without a question.
pub(super) fn bare(header: &[u8; HEADER], code: u8) -> Vec<u8> {
    let mut reply = header.to_vec();
    mark(&mut reply, code, 0);
    reply
}

/// Makes the header of a query one of a response.
fn mark(message: &mut [u8], code: u8, questions: u8) {
    if let Some(header) = message.first_chunk_mut::<HEADER>() {
        header[2] = RESPONSE | header[2] & (0x78 | RECURSION_DESIRED);
        header[3] = RECURSION_AVAILABLE | code;
        header[4..].copy_from_slice(&[0, questions, 0, 0, 0, 0, 0, 0]);
    }
}

fn begin(query: &Query<'_>) -> Option<Message> {
    let asked = query.message()?;
    let mut message = Message::response(query.id(), OpCode::Query);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.checking_disabled = asked.metadata.checking_disabled;
    // The mesh is where these names come from.
    message.metadata.authoritative = true;
    message.add_queries(asked.queries.iter().cloned());
    if let Some(edns) = &asked.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(OUR_PAYLOAD);
        ours.set_dnssec_ok(edns.flags().dnssec_ok);
        message.set_edns(ours);
    }
    Some(message)
}

fn encode(message: &Message, limit: usize) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= limit {
        return Some(bytes);
    }
    message.truncate().to_vec().ok()
}
