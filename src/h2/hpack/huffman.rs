//! The Huffman code of string literals (RFC 7541 §5.2, Appendix B).
//!
//! The code is canonical: among codes of one length the symbols are in order, and each length goes on where the one
//! before ended. So the number of codes of each length and the symbols in order of their codes say all.

/// Why a string is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BadHuffman;

/// The symbol that ends a string: only its beginning is ever sent, as padding.
const END: u16 = 256;

/// The shortest code has 5 bits, the longest 30.
const SHORTEST: u32 = 5;

const LONGEST: u32 = 30;

/// Appends what `bytes` say. Whatever was read before an error stays in `out`.
///
/// The last bits must be the beginning of the end symbol's code, which is all ones, and fewer than eight.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadHuffman> {
    let mut bits: u64 = 0; // the next bits, the first one highest
    let mut have = 0;
    let mut bytes = bytes.iter();
    loop {
        while have <= 56
            && let Some(&byte) = bytes.next()
        {
            bits |= u64::from(byte) << (56 - have);
            have += 8;
        }
        match symbol(bits) {
            Some((symbol, length)) if length <= have => {
                if symbol == END {
                    return Err(BadHuffman);
                }
                out.push(symbol as u8);
                bits <<= length;
                have -= length;
            }
            _ => break,
        }
    }
    let padding_is_ones = have == 0 || bits >> (64 - have) == (1 << have) - 1;
    if have < 8 && padding_is_ones { Ok(()) } else { Err(BadHuffman) }
}

/// The symbol whose code these bits begin with, and its length.
fn symbol(bits: u64) -> Option<(u16, u32)> {
    let mut first_code = 0; // of this length
    let mut first_symbol = 0;
    for length in SHORTEST..=LONGEST {
        let count = u64::from(COUNTS[length as usize]);
        let code = bits >> (64 - length);
        if code < first_code + count {
            let index = first_symbol + (code - first_code) as usize;
            return SYMBOLS.get(index).map(|&symbol| (symbol, length));
        }
        first_symbol += count as usize;
        first_code = (first_code + count) << 1;
    }
    None
}

/// How many codes there are of each length, from 0 bits on.
const COUNTS: [u16; 31] =
    [0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4];

/// All symbols in order of their codes.
#[rustfmt::skip]
const SYMBOLS: [u16; 257] = [48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55,
    56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74,
    75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88,
    90, 33, 34, 40, 41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130,
    131, 162, 184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134,
    136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1,
    135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183,
    188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193,
    200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244,
    245, 246, 247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24,
    25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22, 256] ;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The other direction: what a sender makes of a string.
    pub(in crate::h2) fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for &byte in text {
            bits.push_str(&code(u16::from(byte)));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |sum, bit| sum * 2 + (bit - b'0'))).collect()
    }

    fn code(symbol: u16) -> String {
        let (mut code, mut index) = (0u32, 0);
        for length in SHORTEST..=LONGEST {
            for _ in 0..COUNTS[length as usize] {
                if SYMBOLS[index] == symbol {
                    return format!("{code:0width$b}", width = length as usize);
                }
                (code, index) = (code + 1, index + 1);
            }
            code <<= 1;
        }
        unreachable!("every symbol has a code")
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, BadHuffman> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    /// RFC 7541 Appendix B, some rows of the table.
    #[test]
    fn rfc7541_b_codes() {
        let rows: [(u16, &str); 8] = [
            (0, "1111111111000"),
            (10, "111111111111111111111111111100"),
            (b'0'.into(), "00000"),
            (b'a'.into(), "00011"),
            (b'~'.into(), "1111111111101"),
            (249, "1111111111111111111111111110"),
            (255, "11111111111111111111101110"),
            (256, "111111111111111111111111111111"),
        ];
        for (symbol, bits) in rows {
            assert_eq!(code(symbol), bits, "{symbol}");
        }
        assert_eq!((COUNTS.iter().sum::<u16>(), SYMBOLS.len()), (257, 257));
    }

    /// RFC 7541 C.4.1.
    #[test]
    fn rfc7541_c_4_1_string() {
        let bytes = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&bytes).unwrap(), b"www.example.com");
        assert_eq!(encode(b"www.example.com"), bytes);
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encode(&all)).unwrap(), all);
        assert_eq!(decoded(b"").unwrap(), b"");
    }

    /// RFC 7541 §5.2: padding longer than 7 bits, padding that is not the end symbol's, and the end symbol itself.
    #[test]
    fn rfc7541_5_2_wrong_padding() {
        for wrong in [&[0xff][..], &[0x1f, 0xff], &[0x18], &[0xff, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xfc]] {
            assert_eq!(decoded(wrong), Err(BadHuffman), "{wrong:x?}");
        }
        assert_eq!(decoded(&[0x1f]).unwrap(), b"a");
    }
}
