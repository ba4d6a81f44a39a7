//! Masking (RFC 6455 §5.3).

/// A masking key. Its first byte belongs to the next byte of the payload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MaskingKey(pub [u8; 4]);

impl MaskingKey {
    /// The key that changes nothing: of frames that are not masked.
    pub const NONE: MaskingKey = MaskingKey([0; 4]);

    /// Whether it changes anything.
    #[inline]
    pub const fn is_none(self) -> bool {
        u32::from_ne_bytes(self.0) == 0
    }

    /// The key after `bytes` of payload.
    #[inline]
    #[must_use]
    pub const fn after(self, bytes: u64) -> MaskingKey {
        let [a, b, c, d] = self.0;
        match bytes & 3 {
            0 => self,
            1 => MaskingKey([b, c, d, a]),
            2 => MaskingKey([c, d, a, b]),
            _ => MaskingKey([d, a, b, c]),
        }
    }

    /// Unmasks `masked` into the beginning of `plain`, and returns that. As much as both have room for.
    #[inline]
    pub fn unmask<'a>(self, masked: &[u8], plain: &'a mut [u8]) -> &'a mut [u8] {
        let length = masked.len().min(plain.len());
        let plain = &mut plain[..length];
        let [a, b, c, d] = self.0;
        let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (words, tail) = masked[..length].as_chunks::<8>();
        let (plain_words, plain_tail) = plain.as_chunks_mut::<8>();
        for (word, plain_word) in words.iter().zip(plain_words) {
            *plain_word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
        }
        // A word is twice the key, so the tail begins with the key's first byte; and so does what is behind half a word.
        let (halves, rest) = tail.as_chunks::<4>();
        let (plain_halves, plain_rest) = plain_tail.as_chunks_mut::<4>();
        for (half, plain_half) in halves.iter().zip(plain_halves) {
            *plain_half = (u32::from_ne_bytes(*half) ^ key as u32).to_ne_bytes();
        }
        for (index, (byte, plain_byte)) in rest.iter().zip(plain_rest).enumerate() {
            *plain_byte = byte ^ self.0[index];
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn unmasking_in_pieces_is_the_rule_of_the_rfc(masked in prop::collection::vec(any::<u8>(), 0..200), key: [u8; 4], cut in 0usize..200) {
            // RFC 6455 §5.3: j = i MOD 4; transformed-octet-i = original-octet-i XOR masking-key-octet-j
            let expected: Vec<u8> = masked.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            let cut = cut.min(masked.len());
            let mut plain = vec![0; masked.len()];
            let (head, tail) = plain.split_at_mut(cut);
            MaskingKey(key).unmask(&masked[..cut], head);
            MaskingKey(key).after(cut as u64).unmask(&masked[cut..], tail);
            prop_assert_eq!(plain, expected);
        }
    }
}
