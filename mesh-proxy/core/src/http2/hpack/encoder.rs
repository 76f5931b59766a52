//! From fields to octets.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, header};

use super::table::Table;
use super::{DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD, Field, Pseudo, static_table};

/// Writes the header blocks of one connection, in their order.
///
/// Strings are written without Huffman code: between proxies, processor time is dearer than the
/// few octets, and fields that repeat are references anyway.
#[derive(Debug)]
pub struct Encoder {
    table: Table<Entry>,
    // A new size that the peer must be told with the next block: the smallest since, and the last.
    resize: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Entry {
    name_hash: u32,
    hash: u32,
    field: Field,
}

/// How a field is written if the table does not have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Indexing {
    /// For the next time.
    Yes,
    /// The value will hardly come again; its name will.
    NameOnly,
}

// A name with so many values in the table has one that hardly comes again.
const MAX_VALUES: usize = 4;

// A larger field would drive out too many others.
const MAX_INDEXED: usize = 1024;

// Shorter secrets can be guessed octet by octet.
const SHORT_SECRET: usize = 20;

// === impl Encoder ===

impl Default for Encoder {
    fn default() -> Self {
        Self {
            table: Table::new(DEFAULT_TABLE_SIZE),
            resize: None,
        }
    }
}

impl Encoder {
    /// The peer allows a table of this size (`SETTINGS_HEADER_TABLE_SIZE`). No more than the
    /// default is used.
    pub fn set_allowed(&mut self, size: usize) {
        let size = size.min(DEFAULT_TABLE_SIZE);
        if size == self.table.limit() && self.resize.is_none() {
            return;
        }
        let smallest = self.resize.map_or(size, |(smallest, _)| smallest.min(size));
        self.resize = Some((smallest, size));
        self.table.set_limit(size);
    }

    /// To be called before the fields of each block.
    pub fn begin(&mut self, out: &mut BytesMut) {
        if let Some((smallest, last)) = self.resize.take() {
            if smallest < last {
                integer(out, 0x20, 5, smallest);
            }
            integer(out, 0x20, 5, last);
        }
    }

    /// Writes control data.
    pub fn pseudo(&mut self, name: Pseudo, value: &[u8], out: &mut BytesMut) {
        if let Some(index) = known(name, value) {
            out.put_u8(0x80 | index);
            return;
        }
        // Paths are names of things, mostly.
        let changes = name == Pseudo::Path;
        let find = || static_table::pseudo(name);
        let make = || Field::Pseudo(name, Bytes::copy_from_slice(value));
        let indexing = || {
            if changes {
                Indexing::NameOnly
            } else {
                Indexing::Yes
            }
        };
        self.write((name.as_str(), value), indexing, find, make, out);
    }

    /// Writes a header or trailer field.
    pub fn field(&mut self, name: &HeaderName, value: &HeaderValue, out: &mut BytesMut) {
        let octets = value.as_bytes();
        let find = || static_table::find_name(name);
        if is_secret(name, value) {
            put_literal((name.as_str(), octets), NEVER, find(), out);
            return;
        }
        // The copy lets go of the buffer that the value was read into.
        let make = || match HeaderValue::from_bytes(octets) {
            Ok(value) => Field::Regular(name.clone(), value),
            Err(_) => Field::Invalid(Bytes::new(), Bytes::new()),
        };
        let indexing = || indexing(name);
        self.write((name.as_str(), octets), indexing, find, make, out);
    }

    // What is in the table is one reference; the rest is only asked for if it is not.
    fn write(
        &mut self,
        (name, value): (&str, &[u8]),
        indexing: impl FnOnce() -> Indexing,
        find: impl FnOnce() -> Option<usize>,
        make: impl FnOnce() -> Field,
        out: &mut BytesMut,
    ) {
        let (name_hash, hash) = hashes(name.as_bytes(), value);
        let mut name_index = None;
        let mut values = 0;
        for (at, entry) in self.table.iter().enumerate() {
            if entry.name_hash != name_hash || entry.field.name() != name.as_bytes() {
                continue;
            }
            let index = static_table::LEN + 1 + at;
            if entry.hash == hash && entry.field.value() == value {
                integer(out, 0x80, 7, index);
                return;
            }
            values += 1;
            name_index.get_or_insert(index);
        }
        let name_index = name_index.or_else(find);
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        let add = size <= MAX_INDEXED
            && match indexing() {
                Indexing::Yes => values < MAX_VALUES,
                Indexing::NameOnly => name_index.is_none(),
            };
        let pattern = if add { ADD } else { WITHOUT };
        put_literal((name, value), pattern, name_index, out);
        if add {
            let entry = Entry {
                name_hash,
                hash,
                field: make(),
            };
            self.table.insert(entry, size);
        }
    }
}

/// First bits of a literal, and how many are left for the index (RFC 7541 section 6.2).
type Pattern = (u8, u32);
const ADD: Pattern = (0x40, 6);
const WITHOUT: Pattern = (0x00, 4);
/// It must not get into any table on the way (section 7.1.3).
const NEVER: Pattern = (0x10, 4);

fn put_literal(
    (name, value): (&str, &[u8]),
    (bits, prefix): Pattern,
    name_index: Option<usize>,
    out: &mut BytesMut,
) {
    integer(out, bits, prefix, name_index.unwrap_or(0));
    if name_index.is_none() {
        string(out, name.as_bytes());
    }
    string(out, value);
}

/// Control data that is in the static table whole.
fn known(name: Pseudo, value: &[u8]) -> Option<u8> {
    match (name, value) {
        (Pseudo::Method, b"GET") => Some(2),
        (Pseudo::Method, b"POST") => Some(3),
        (Pseudo::Path, b"/") => Some(4),
        (Pseudo::Path, b"/index.html") => Some(5),
        (Pseudo::Scheme, b"http") => Some(6),
        (Pseudo::Scheme, b"https") => Some(7),
        (Pseudo::Status, b"200") => Some(8),
        (Pseudo::Status, b"204") => Some(9),
        (Pseudo::Status, b"206") => Some(10),
        (Pseudo::Status, b"304") => Some(11),
        (Pseudo::Status, b"400") => Some(12),
        (Pseudo::Status, b"404") => Some(13),
        (Pseudo::Status, b"500") => Some(14),
        _ => None,
    }
}

fn is_secret(name: &HeaderName, value: &HeaderValue) -> bool {
    let guessable = || value.len() < SHORT_SECRET;
    value.is_sensitive()
        || *name == header::AUTHORIZATION
        || *name == header::PROXY_AUTHORIZATION
        || (*name == header::COOKIE || *name == header::SET_COOKIE) && guessable()
}

fn indexing(name: &HeaderName) -> Indexing {
    let changes = [
        header::CONTENT_LENGTH,
        header::DATE,
        header::ETAG,
        header::AGE,
        header::EXPIRES,
        header::LAST_MODIFIED,
        header::LOCATION,
        header::IF_MODIFIED_SINCE,
        header::IF_NONE_MATCH,
    ];
    let told_by_name = [
        "x-request-id",
        "traceparent",
        "x-b3-spanid",
        "x-b3-traceid",
        "grpc-timeout",
    ];
    if changes.contains(name) || told_by_name.contains(&name.as_str()) {
        Indexing::NameOnly
    } else {
        Indexing::Yes
    }
}

fn hashes(name: &[u8], value: &[u8]) -> (u32, u32) {
    let name = mix(0x9e37_79b9_7f4a_7c15, name);
    (fold(name), fold(mix(name, value)))
}

// Only a filter before a comparison: speed matters, quality hardly.
fn mix(mut state: u64, octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<8>();
    let mut step = |word: u64| {
        state = (state.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    };
    for word in words {
        step(u64::from_le_bytes(*word));
    }
    let mut last = [0_u8; 8];
    if let Some(room) = last.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    step(u64::from_le_bytes(last) ^ octets.len() as u64);
    state
}

fn fold(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn string(out: &mut BytesMut, octets: &[u8]) {
    integer(out, 0, 7, octets.len());
    out.extend_from_slice(octets);
}

/// RFC 7541 section 5.1.
fn integer(out: &mut BytesMut, pattern: u8, prefix: u32, value: usize) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        out.put_u8(pattern | value as u8);
        return;
    }
    out.put_u8(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.put_u8(rest as u8 & 0x7f | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}
