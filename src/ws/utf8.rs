//! UTF-8 in pieces (RFC 6455 §8.1, RFC 3629): fragments and segments may end inside a character.

/// Checks one text message as its bytes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Utf8 {
    /// The beginning of a character whose end has not come.
    begun: [u8; 4],
    /// How many bytes of it: at most three.
    length: u8,
    failed: bool,
}

impl Utf8 {
    /// The next bytes.
    #[inline]
    pub fn push(&mut self, mut bytes: &[u8]) {
        while self.length > 0 && !self.failed {
            let Some((&next, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.complete(next);
        }
        if self.failed {
            return;
        }
        if let Err(error) = simdutf8::compat::from_utf8(bytes) {
            let tail = &bytes[error.valid_up_to()..];
            // An error without a length is a character that is right so far and goes on behind the end.
            if error.error_len().is_none() && tail.len() < self.begun.len() {
                self.begun[..tail.len()].copy_from_slice(tail);
                self.length = tail.len() as u8;
            } else {
                self.failed = true;
            }
        }
    }

    /// One more byte of the character that is under way.
    fn complete(&mut self, next: u8) {
        let length = usize::from(self.length);
        self.begun[length] = next;
        match std::str::from_utf8(&self.begun[..=length]) {
            Ok(_) => self.length = 0,
            Err(error) if error.error_len().is_none() => self.length += 1,
            Err(_) => self.failed = true,
        }
    }

    /// Whether no continuation can make it valid any more.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether all that came is valid, and ends with a whole character.
    pub const fn is_valid(&self) -> bool {
        !self.failed && self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_pieces(bytes: &[u8], size: usize) -> bool {
        let mut utf8 = Utf8::default();
        bytes.chunks(size).for_each(|piece| utf8.push(piece));
        utf8.is_valid()
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "ä€😀";
        for size in 1..=text.len() {
            assert!(in_pieces(text.as_bytes(), size));
        }
    }

    #[test]
    fn surrogates_overlong_forms_and_cut_ends_are_not_utf8() {
        for bytes in [&b"\xED\xA0\x80"[..], b"\xC0\x80", b"\xF4\x90\x80\x80", b"\xE2\x82", b"\xFF", b"a\x80"] {
            for size in 1..=bytes.len() {
                assert!(!in_pieces(bytes, size), "{bytes:x?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_error_shows_as_soon_as_nothing_can_mend_it() {
        let mut utf8 = Utf8::default();
        utf8.push(b"\xF4\x90");
        assert!(utf8.has_failed());
    }

    proptest! {
        #[test]
        fn pieces_judge_as_the_whole(
            bytes in prop::collection::vec(prop_oneof![4 => Just(0x80u8), 1 => 0xC0..=0xFFu8, 4 => 0x80..=0xBFu8, 4 => 0x00..=0x7Fu8], 0..12),
            size in 1usize..5,
        ) {
            prop_assert_eq!(in_pieces(&bytes, size), std::str::from_utf8(&bytes).is_ok());
        }

        #[test]
        fn pieces_of_text_are_valid(text: String, size in 1usize..9) {
            prop_assert!(in_pieces(text.as_bytes(), size));
        }
    }
}
