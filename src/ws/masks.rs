//! The masking keys that a client used: by them the same frame is known again on the other side of a proxy.
//!
//! A client chooses each key by chance (RFC 6455 §5.3), and a proxy that passes a tunnel on does not touch it.

use crate::packet::Moment;
use crate::ws::mask::MaskingKey;

/// The first key and the last one of a direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Masks {
    /// The first masked frame that was seen.
    pub first: Masked,
    /// The last one.
    pub last: Masked,
    /// Whether two frames in a row had the same key: then it is not chosen by chance.
    pub repeated: bool,
}

/// A masked frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Masked {
    /// Its key.
    pub key: MaskingKey,
    /// The packet with its header.
    pub moment: Moment,
}

impl Masks {
    /// A frame goes by.
    pub(super) fn note(masks: &mut Option<Masks>, frame: Masked) {
        match masks {
            Some(masks) => {
                masks.repeated |= masks.last.key == frame.key;
                masks.last = frame;
            }
            None => *masks = Some(Masks { first: frame, last: frame, repeated: false }),
        }
    }

    /// Whether the keys tell this direction from others: some clients use one key again and again, or one that changes nothing.
    pub fn are_telling(&self) -> bool {
        !self.repeated && !self.last.key.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(keys: &[u32]) -> Masks {
        let mut masks = None;
        for key in keys {
            Masks::note(&mut masks, Masked { key: MaskingKey(key.to_be_bytes()), moment: Moment::default() });
        }
        masks.unwrap()
    }

    #[test]
    fn a_key_that_is_no_choice_tells_nothing() {
        assert!(masks(&[7]).are_telling());
        assert!(masks(&[7, 9, 7]).are_telling());
        assert!(!masks(&[0]).are_telling());
        assert!(!masks(&[7, 7, 9]).are_telling());
        assert_eq!(masks(&[7, 8, 9]).first.key, MaskingKey([0, 0, 0, 7]));
        assert_eq!(masks(&[7, 8, 9]).last.key, MaskingKey([0, 0, 0, 9]));
    }
}
