//! The payload of Close frames (RFC 6455 §5.5.1, §7.4).

use std::fmt::Write;

use crate::packet::Moment;
use crate::ws::facts::{Close, ViolationKind};

/// Whether an endpoint may put `code` into a Close frame (RFC 6455 §7.4.1, §7.4.2, and the IANA registry).
///
/// 1004, 1005, 1006 and 1015 must not be on the wire; 1016 to 2999 are for later standards.
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Code and reason of a Close frame's payload. The code is `None` when there are less than two bytes.
pub fn split(payload: &[u8]) -> (Option<u16>, &[u8]) {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
        None => (None, &[]),
    }
}

/// A Close frame with this payload, seen at that moment.
pub fn read(payload: &[u8], moment: Moment) -> Close {
    let (code, reason) = split(payload);
    Close { code, reason: escaped(reason), moment }
}

/// What is wrong with the payload of a whole Close frame: of its length, its code, its reason.
pub fn violations(payload: &[u8]) -> impl Iterator<Item = ViolationKind> {
    let (code, reason) = split(payload);
    let length = (payload.len() == 1).then_some(ViolationKind::CloseLength);
    let code = code.filter(|&code| !may_be_sent(code)).map(ViolationKind::CloseCode);
    let reason = std::str::from_utf8(reason).is_err().then_some(ViolationKind::ReasonUtf8);
    [length, code, reason].into_iter().flatten()
}

/// Text, with the bytes that are not UTF-8 as `\xff`.
fn escaped(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_by_the_registry() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
            assert!(may_be_sent(code), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!may_be_sent(code), "{code}");
        }
    }

    #[test]
    fn a_reason_is_escaped_where_it_is_not_text() {
        let close = read(b"\x03\xE8g\xC3\xB6\xFFt", Moment::default());
        assert_eq!((close.code, &*close.reason), (Some(1000), "gö\\xfft"));
    }

    #[test]
    fn payloads_that_must_not_be() {
        assert_eq!(violations(b"").count(), 0);
        assert_eq!(violations(b"\x03").collect::<Vec<_>>(), [ViolationKind::CloseLength]);
        assert_eq!(
            violations(b"\x03\xED\xFF").collect::<Vec<_>>(),
            [ViolationKind::CloseCode(1005), ViolationKind::ReasonUtf8]
        );
    }
}
