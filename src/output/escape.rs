//! The one place where text from the wire becomes safe to show.
//!
//! A terminal obeys control characters; bidirectional overrides and invisible characters make a line say something else
//! than it holds. All of them are shown as what they are: `\x1b`, `\u{202e}`. A backslash stays as it is.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// Whether a terminal would obey `character`, hide it, or turn the text around it.
pub const fn is_unsafe(character: char) -> bool {
    matches!(character,
        '\0'..='\x1f'                   // C0 controls
        | '\x7f'..='\u{9f}'             // DEL and C1 controls
        | '\u{ad}'                      // soft hyphen
        | '\u{34f}'                     // combining grapheme joiner
        | '\u{61c}'                     // Arabic letter mark
        | '\u{115f}'..='\u{1160}'       // Hangul fillers
        | '\u{180e}'                    // Mongolian vowel separator
        | '\u{200b}'..='\u{200f}'       // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'       // line and paragraph separators, bidirectional embeddings and overrides
        | '\u{2060}'..='\u{206f}'       // word joiner, invisible operators, bidirectional isolates
        | '\u{3164}' | '\u{ffa0}'       // Hangul fillers
        | '\u{feff}'                    // zero width no-break space
        | '\u{fff9}'..='\u{fffb}'       // interlinear annotation
        | '\u{1d173}'..='\u{1d17a}'     // musical formatting
        | '\u{e0000}'..='\u{e0fff}'     // tags and variation selectors that can carry hidden text
    )
}

/// `text`, safe to show; borrowed when it already is.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    escape(&mut out, text);
    Cow::Owned(out)
}

/// Appends `text`, made safe.
pub fn escape(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    let mut clean = 0;
    for (at, character) in text.char_indices().filter(|&(_, character)| is_unsafe(character)) {
        out.push_str(&text[clean..at]);
        escape_char(out, character);
        clean = at + character.len_utf8();
    }
    out.push_str(&text[clean..]);
}

/// `text`, safe to show and no wider than `columns`; what does not fit is cut and shown as `…`.
pub fn ellipsis(text: &str, columns: usize) -> Cow<'_, str> {
    if text.len() <= columns && is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(columns + 4);
    push_ellipsis(&mut out, text, columns);
    Cow::Owned(out)
}

/// Appends what [`ellipsis`] gives, and says how many columns that is.
pub fn push_ellipsis(out: &mut String, text: &str, columns: usize) -> usize {
    if is_plain(text) {
        let fits = text.len() <= columns;
        out.push_str(if fits { text } else { &text[..columns.saturating_sub(1)] });
        out.push_str(if fits || columns == 0 { "" } else { "…" });
        return text.len().min(columns);
    }
    let start = out.len();
    let mut width = 0;
    let mut fits = (start, 0); // where to cut so that the ellipsis still fits
    for character in text.chars() {
        let from = out.len();
        if is_unsafe(character) {
            escape_char(out, character);
            width += out.len() - from;
        } else {
            out.push(character);
            width += character.width().unwrap_or(0);
        }
        if width > columns {
            out.truncate(fits.0);
            if columns > 0 {
                out.push('…');
            }
            return columns.min(fits.1 + 1);
        }
        if width < columns {
            fits = (out.len(), width);
        }
    }
    width
}

/// Escapes bytes that should be UTF-8 and come in pieces: a character may be cut in two between them. Bytes that are no
/// UTF-8 are shown as `\xff`.
#[derive(Debug, Default)]
pub struct Escaper {
    /// The beginning of a character whose rest may still come.
    held: [u8; 4],
    length: usize,
}

impl Escaper {
    /// Appends the next piece, made safe.
    pub fn push(&mut self, out: &mut String, bytes: &[u8]) {
        let mut rest = bytes;
        while self.length > 0 {
            let Some((&byte, tail)) = rest.split_first() else { return };
            rest = tail;
            self.complete(out, byte);
        }
        let mut chunks = rest.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            escape(out, chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && may_go_on(invalid) {
                self.held[..invalid.len()].copy_from_slice(invalid);
                self.length = invalid.len();
            } else {
                push_hex(out, invalid);
            }
        }
    }

    /// Appends what was held back for a rest that never came.
    pub fn finish(&mut self, out: &mut String) {
        push_hex(out, &self.held[..self.length]);
        self.length = 0;
    }

    /// One more byte for the character that is held.
    fn complete(&mut self, out: &mut String, byte: u8) {
        self.held[self.length] = byte;
        self.length += 1;
        match str::from_utf8(&self.held[..self.length]) {
            Ok(character) => {
                escape(out, character);
                self.length = 0;
            }
            Err(error) => {
                // Nothing before the error is valid: what is held is the beginning of one character.
                if let Some(bad) = error.error_len() {
                    push_hex(out, &self.held[..bad]);
                    self.held.copy_within(bad..self.length, 0);
                    self.length -= bad;
                    if !may_go_on(&self.held[..self.length]) {
                        let held = self.held;
                        let length = std::mem::take(&mut self.length);
                        self.push(out, &held[..length]);
                    }
                }
            }
        }
    }
}

/// Appends bytes that should be UTF-8, made safe.
pub fn escape_bytes(out: &mut String, bytes: &[u8]) {
    let mut escaper = Escaper::default();
    escaper.push(out, bytes);
    escaper.finish(out);
}

/// Whether all of `text` is printable ASCII. Written without a branch a byte, so that it runs on whole vectors.
pub fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte.wrapping_sub(0x20) < 0x5f))
}

/// Whether `bytes` is the beginning of a character, and not more.
fn may_go_on(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

fn escape_char(out: &mut String, character: char) {
    let written = match character {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(character)),
        _ => write!(out, "\\u{{{:x}}}", u32::from(character)),
    };
    written.expect("writing to a string cannot fail");
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(out, "\\x{byte:02x}").expect("writing to a string cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown() {
        let cases = [
            ("plain text", "plain text"),
            ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
            ("\x7f\u{9b}2J", "\\x7f\\u{9b}2J"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("pay\u{200b}pal\u{feff}", "pay\\u{200b}pal\\u{feff}"),
            ("one\u{2028}two\u{2029}", "one\\u{2028}two\\u{2029}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("naïve 東京 🎉 \\x1b", "naïve 東京 🎉 \\x1b"),
        ];
        for (wire, shown) in cases {
            assert_eq!(escaped(wire), shown);
        }
    }

    #[test]
    fn invalid_utf8_is_shown_as_bytes() {
        let mut out = String::new();
        escape_bytes(&mut out, b"a\xffb\xc3\x28\xe2\x82");
        assert_eq!(out, "a\\xffb\\xc3(\\xe2\\x82");
    }

    #[test]
    fn an_ellipsis_never_cuts_an_escape_or_a_wide_character() {
        assert_eq!(ellipsis("short", 5), "short");
        assert_eq!(ellipsis("longer", 5), "long…");
        assert_eq!(ellipsis("東京都", 5), "東京…");
        assert_eq!(ellipsis("東京都", 4), "東…");
        assert_eq!(ellipsis("ab\x1bcd", 5), "ab…");
        assert_eq!(ellipsis("ab\x1bcd", 8), "ab\\x1bcd");
        assert_eq!(ellipsis("x", 0), "");
    }

    proptest! {
        #[test]
        fn cutting_the_input_changes_nothing(bytes: Vec<u8>, cuts: Vec<prop::sample::Index>) {
            let mut whole = String::new();
            escape_bytes(&mut whole, &bytes);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.push(bytes.len());
            ends.sort_unstable();
            let (mut pieces, mut escaper, mut start) = (String::new(), Escaper::default(), 0);
            for end in ends {
                escaper.push(&mut pieces, &bytes[start..end]);
                start = end;
            }
            escaper.finish(&mut pieces);
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn nothing_unsafe_is_left(text: String, columns in 0usize..40) {
            prop_assert!(!escaped(&text).chars().any(is_unsafe));
            let cut = ellipsis(&text, columns);
            prop_assert!(!cut.chars().any(is_unsafe));
            prop_assert!(cut.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() <= columns, "{} columns", cut.width());
        }
    }
}
