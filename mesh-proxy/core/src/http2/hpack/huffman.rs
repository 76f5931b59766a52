//! The Huffman code of HPACK (RFC 7541 appendix B).
//!
//! The code is canonical: codes of one length are consecutive, in the order of the symbols, and
//! follow from the lengths alone.

/// Length of each symbol's code in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const SHORTEST: usize = 5;
const LONGEST: usize = 30;
/// Codes up to this length, which all but rare symbols have, are found by one look.
const QUICK: u32 = 9;

/// For each length: the first code, how many codes are shorter, how many have it.
struct Lengths {
    first: [u32; LONGEST + 1],
    before: [u16; LONGEST + 1],
    count: [u16; LONGEST + 1],
}

struct Tables {
    lengths: Lengths,
    /// Symbols in the order of their codes.
    symbols: [u8; 256],
    /// By the next bits: symbol and length; length 0 for longer codes.
    quick: [(u8, u8); 1 << QUICK],
}

static TABLES: Tables = tables();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn tables() -> Tables {
    let mut lengths = Lengths {
        first: [0; LONGEST + 1],
        before: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
    };
    let mut symbols = [0; 256];
    let mut quick = [(0, 0); 1 << QUICK];
    let (mut code, mut found, mut length) = (0_u32, 0_u16, SHORTEST);
    while length <= LONGEST {
        lengths.first[length] = code;
        lengths.before[length] = found;
        let mut symbol = 0;
        while symbol < 256 {
            if LENGTHS[symbol] as usize == length {
                symbols[found as usize] = symbol as u8;
                if length <= QUICK as usize {
                    let spare = QUICK - length as u32;
                    let mut rest = 0;
                    while rest < 1 << spare {
                        quick[((code << spare) | rest) as usize] = (symbol as u8, length as u8);
                        rest += 1;
                    }
                }
                code += 1;
                found += 1;
                lengths.count[length] += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    Tables {
        lengths,
        symbols,
        quick,
    }
}

/// Appends the decoded octets to `out`. `None` if the code is broken or padded wrongly.
#[expect(
    clippy::indexing_slicing,
    reason = "indexes are cut to the sizes of the tables by shifts and comparisons"
)]
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.reserve(coded.len() * 8 / SHORTEST);
    let (mut bits, mut held) = (0_u64, 0_u32);
    let mut input = coded.iter();
    loop {
        while held <= 56 {
            let Some(octet) = input.next() else { break };
            bits |= u64::from(*octet) << (56 - held);
            held += 8;
        }
        if held < 8 && input.len() == 0 && is_padding(bits, held) {
            return Some(());
        }
        let (symbol, length) = TABLES.quick[(bits >> (64 - QUICK)) as usize];
        let (symbol, length) = if length > 0 {
            (symbol, u32::from(length))
        } else {
            long(bits)?
        };
        if length > held {
            return None;
        }
        out.push(symbol);
        bits <<= length;
        held -= length;
    }
}

// Less than an octet, of the first bits of the code of the end (all ones).
fn is_padding(bits: u64, held: u32) -> bool {
    held == 0 || bits >> (64 - held) == (1 << held) - 1
}

#[expect(
    clippy::indexing_slicing,
    reason = "lengths are in the range of the tables"
)]
fn long(bits: u64) -> Option<(u8, u32)> {
    let lengths = &TABLES.lengths;
    for length in QUICK as usize + 1..=LONGEST {
        let code = (bits >> (64 - length)) as u32;
        let nth = code.checked_sub(lengths.first[length]);
        if let Some(nth) = nth.filter(|nth| *nth < u32::from(lengths.count[length])) {
            let at = u32::from(lengths.before[length]) + nth;
            return Some((*TABLES.symbols.get(at as usize)?, length as u32));
        }
    }
    None
}

#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut out) = (0_u64, 0, Vec::new());
    for symbol in text {
        let length = usize::from(LENGTHS[usize::from(*symbol)]);
        let before = usize::from(TABLES.lengths.before[length]);
        let among = &TABLES.symbols[before..];
        let nth = among.iter().position(|one| one == symbol).unwrap();
        bits = bits << length | u64::from(TABLES.lengths.first[length] + nth as u32);
        held += length;
        while held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    if held > 0 {
        out.push((bits << (8 - held)) as u8 | (0xff >> held));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    // RFC 7541 appendix C.4 and C.6.
    #[test]
    fn vectors_of_the_rfc() {
        let cases: [(&str, &[u8]); 4] = [
            (
                "www.example.com",
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ],
            ),
            ("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            (
                "custom-value",
                &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf],
            ),
            ("302", &[0x64, 0x02]),
        ];
        for (text, coded) in cases {
            assert_eq!(decoded(coded).unwrap(), text.as_bytes());
            assert_eq!(encode(text.as_bytes()), coded, "{text}");
        }
    }

    #[test]
    fn wrong_padding_and_the_end_symbol_are_refused() {
        // A whole octet of padding, padding of zeros, the end symbol itself.
        for coded in [
            &[0xff_u8][..],
            &[0x64, 0x02, 0xff],
            &[0x00],
            &[0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(decoded(coded), None, "{coded:x?}");
        }
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)).unwrap(), text);
        }

        #[test]
        fn any_octets_are_decoded_or_refused(coded: Vec<u8>) {
            if let Some(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
