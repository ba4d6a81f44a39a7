//! Numbers in decimal digits, without a formatter: an output may have a million of them.

use std::fmt;

/// Digits and the signs between them in the making, from the last to the first: so they come out of a number.
pub struct Digits {
    text: [u8; Digits::MOST],
    first: usize,
}

impl Digits {
    /// More than the greatest number has, or an IPv4 address with a port; whole words.
    pub const MOST: usize = 32;

    /// None yet.
    #[inline]
    pub const fn new() -> Digits {
        Digits { text: [b'0'; Digits::MOST], first: Digits::MOST }
    }

    /// Puts a sign in front: an ASCII character.
    #[inline]
    pub fn sign(&mut self, sign: u8) {
        debug_assert!(sign.is_ascii());
        self.first -= 1;
        self.text[self.first] = sign;
    }

    /// Puts a number in front.
    #[inline]
    pub fn number(&mut self, number: u64) {
        let mut rest = number;
        loop {
            self.sign(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
    }

    /// Puts the last `count` digits of a number in front, with zeros where it has fewer.
    #[inline]
    pub fn last_of(&mut self, number: u64, count: usize) {
        let mut rest = number;
        for _ in 0..count {
            self.sign(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
    }

    /// All of them.
    #[inline]
    pub fn as_str(&self) -> &str {
        // Words are checked at once, bytes one by one: all of the room is less work than a part of it.
        let text = str::from_utf8(&self.text).expect("digits and signs are ASCII");
        &text[self.first..]
    }
}

impl Default for Digits {
    fn default() -> Digits {
        Digits::new()
    }
}

/// Writes a number.
#[inline]
pub fn write(out: &mut impl fmt::Write, number: u64) -> fmt::Result {
    let mut digits = Digits::new();
    digits.number(number);
    out.write_str(digits.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_a_formatter_does() {
        for number in [0, 7, 10, 99, 100, 8080, 1_234_567, u64::MAX] {
            let mut written = String::new();
            write(&mut written, number).expect("a string takes everything");
            assert_eq!(written, number.to_string());
        }
    }

    #[test]
    fn what_is_put_in_comes_from_the_end_on() {
        let mut digits = Digits::new();
        digits.last_of(12_345, 2);
        digits.sign(b'.');
        digits.last_of(7, 3);
        digits.sign(b':');
        digits.number(60);
        assert_eq!(digits.as_str(), "60:007.45");
    }
}
