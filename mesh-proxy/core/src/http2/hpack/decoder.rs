//! From octets to fields.

use bytes::Bytes;

use super::table::Table;
use super::{DEFAULT_TABLE_SIZE, Field, huffman, static_table};

/// Reads the header blocks of one connection, in their order.
#[derive(Debug)]
pub struct Decoder {
    table: Table<Field>,
    // What this side has allowed; the peer chooses up to it.
    allowed: usize,
    scratch: Vec<u8>,
}

/// A header block that nobody can read: the connection is lost (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    /// An index beyond the tables.
    #[error("index {0} names no field")]
    Index(usize),
    /// It ends in the middle of a field.
    #[error("the block ends in the middle of a field")]
    Truncated,
    /// A number that is too large for anything.
    #[error("a number is too large")]
    Overflow,
    /// Broken Huffman code.
    #[error("the Huffman code is broken")]
    Huffman,
    /// A table that is larger than was allowed, or changed in the middle of a block.
    #[error("a change of the table's size is not allowed")]
    TableSize,
}

// Indexes and lengths; RFC 7541 section 7.4 wants a limit.
const MAX_INTEGER: usize = 1 << 24;

// === impl Decoder ===

impl Default for Decoder {
    fn default() -> Self {
        Self {
            table: Table::new(DEFAULT_TABLE_SIZE),
            allowed: DEFAULT_TABLE_SIZE,
            scratch: Vec::new(),
        }
    }
}

impl Decoder {
    /// Reads one whole block and gives each field to `each`.
    ///
    /// # Errors
    /// [`HpackError`].
    pub fn decode(&mut self, block: &[u8], mut each: impl FnMut(Field)) -> Result<(), HpackError> {
        let mut rest = block;
        let mut may_resize = true;
        while let Some(first) = rest.first().copied() {
            // RFC 7541 section 6: the first bits say what it is.
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                each(self.get(index)?.clone());
            } else if first & 0xc0 == 0x40 {
                let field = self.literal(&mut rest, 6)?;
                self.table.add(field.clone());
                each(field);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut rest, 5)?;
                if !may_resize || size > self.allowed {
                    return Err(HpackError::TableSize);
                }
                self.table.set_limit(size);
                continue;
            } else {
                each(self.literal(&mut rest, 4)?);
            }
            may_resize = false;
        }
        // A long value is no reason to keep its room.
        if self.scratch.capacity() > KEPT_SCRATCH {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    fn get(&self, index: usize) -> Result<&Field, HpackError> {
        let found = match index.checked_sub(static_table::LEN + 1) {
            Some(index) => self.table.get(index),
            None => static_table::get(index),
        };
        found.ok_or(HpackError::Index(index))
    }

    fn literal(&mut self, rest: &mut &[u8], prefix: u32) -> Result<Field, HpackError> {
        let index = integer(rest, prefix)?;
        if index != 0 {
            let value = self.string(rest)?;
            return Ok(self.get(index)?.with_value(value));
        }
        let name = self.string(rest)?;
        let value = self.string(rest)?;
        Ok(Field::from_octets(&name, value))
    }

    fn string(&mut self, rest: &mut &[u8]) -> Result<Bytes, HpackError> {
        let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
        let length = integer(rest, 7)?;
        let (octets, after) = rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
        *rest = after;
        if !coded {
            return Ok(Bytes::copy_from_slice(octets));
        }
        self.scratch.clear();
        huffman::decode(octets, &mut self.scratch).ok_or(HpackError::Huffman)?;
        Ok(Bytes::copy_from_slice(&self.scratch))
    }
}

const KEPT_SCRATCH: usize = 1024;

/// RFC 7541 section 5.1.
fn integer(rest: &mut &[u8], prefix: u32) -> Result<usize, HpackError> {
    let (first, mut after) = rest.split_first().ok_or(HpackError::Truncated)?;
    let mask = (1_u8 << prefix) - 1;
    let mut value = usize::from(first & mask);
    if value == usize::from(mask) {
        let mut shift = 0;
        loop {
            let (octet, left) = after.split_first().ok_or(HpackError::Truncated)?;
            after = left;
            value += usize::from(octet & 0x7f) << shift;
            if value > MAX_INTEGER {
                return Err(HpackError::Overflow);
            }
            if octet & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 21 {
                return Err(HpackError::Overflow);
            }
        }
    }
    *rest = after;
    Ok(value)
}
