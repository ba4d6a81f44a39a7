//! Bytes of the wire as text.

use std::borrow::Cow;
use std::fmt::Write;

/// These bytes as text: what is not UTF-8 is shown as `\xff`. Control characters stay what they are; whoever shows the
/// text escapes them.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}"); // writing to a string does not fail
        }
    }
    Cow::Owned(text)
}

/// The beginning of these bytes as text: enough to recognise them by.
pub(super) fn preview(bytes: &[u8]) -> Box<str> {
    const LONGEST: usize = 256;
    text(&bytes[..bytes.len().min(LONGEST)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_escaped() {
        assert_eq!(text(b"caf\xc3\xa9"), "caf\u{e9}");
        assert_eq!(text(b"caf\xe9 \xff\xfe!"), "caf\\xe9 \\xff\\xfe!");
        assert_eq!(&*preview(&[b'x'; 1000]), "x".repeat(256));
    }
}
