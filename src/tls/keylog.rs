//! The key log format (RFC 9850), which began with NSS: one secret a line.

use zeroize::Zeroize;

use super::secrets::{Label, Origin, Secret};

/// The longest line of a key log that may be of use is 161 bytes.
pub(super) const LINE: usize = 256;

/// Cuts text into lines. Holds the beginning of the last one until its end comes.
#[derive(Default)]
pub(super) struct LineReader {
    /// At most [`LINE`] bytes: what a longer line goes on with is of no use.
    held: Vec<u8>,
}

impl LineReader {
    /// Takes the next bytes; calls `line` for every line that is complete.
    pub(super) fn read(&mut self, mut text: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = memchr::memchr(b'\n', text) {
            if self.held.is_empty() {
                line(&text[..end.min(LINE)]);
            } else {
                self.hold(&text[..end]);
                self.finish(&mut line);
            }
            text = &text[end + 1..];
        }
        self.hold(text);
    }

    fn hold(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        // Reserved once, so that no copy is left behind by growing.
        self.held.reserve_exact(LINE - self.held.len());
        let room = LINE - self.held.len();
        self.held.extend_from_slice(&text[..text.len().min(room)]);
    }

    /// The text ends: so does its last line.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.held.is_empty() {
            line(&self.held);
            self.held.zeroize();
        }
    }
}

impl Drop for LineReader {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

/// What a line says, without the white space around it; `None` when it is empty or a comment.
pub(super) fn content(line: &[u8]) -> Option<&[u8]> {
    // Some editors write a byte order mark before the first line.
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    (!line.is_empty() && line[0] != b'#').then_some(line)
}

/// What a line is.
pub(super) enum Line {
    /// A secret.
    Secret(Secret),
    /// Something that decryption does not need.
    Other,
    /// Not of the format.
    Malformed,
}

/// `LABEL client_random secret`, the latter two in hexadecimal of either case (RFC 9850 §2).
pub(super) fn parse_line(origin: Origin, line: &[u8]) -> Line {
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let (Some(name), Some(random), Some(secret), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Line::Malformed;
    };
    let mut client_random = [0; 32];
    let mut bytes = [0; 48];
    let Some(label) = label(name) else {
        return if is_other_label(name, random) { Line::Other } else { Line::Malformed };
    };
    let parsed = (decode_hex(random, &mut client_random) == Some(32))
        .then(|| decode_hex(secret, &mut bytes))
        .flatten()
        .and_then(|length| Secret::new(label, client_random, &bytes[..length], origin));
    bytes.zeroize();
    parsed.map_or(Line::Malformed, Line::Secret)
}

/// The labels that are of use, by their names (RFC 9850 §2.1, §2.2).
const LABELS: [(&[u8], Label); 6] = [
    (b"CLIENT_RANDOM", Label::MasterSecret),
    (b"CLIENT_EARLY_TRAFFIC_SECRET", Label::ClientEarlyTraffic),
    (b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", Label::ClientHandshakeTraffic),
    (b"SERVER_HANDSHAKE_TRAFFIC_SECRET", Label::ServerHandshakeTraffic),
    (b"CLIENT_TRAFFIC_SECRET_0", Label::ClientTraffic),
    (b"SERVER_TRAFFIC_SECRET_0", Label::ServerTraffic),
];

/// Writes the line that says this secret.
pub(super) fn write_line(secret: &Secret, client_random: &[u8], out: &mut Vec<u8>) {
    let Some((name, _)) = LABELS.iter().find(|(_, label)| *label == secret.label()) else { return };
    // Reserved at once, so that no copy is left behind by growing.
    out.reserve(LINE);
    out.extend_from_slice(name);
    for bytes in [client_random, secret.bytes()] {
        out.push(b' ');
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        bytes.iter().for_each(|byte| out.extend([digit(byte >> 4), digit(byte & 0xF)]));
    }
    out.push(b'\n');
}

fn label(name: &[u8]) -> Option<Label> {
    LABELS.iter().find(|(known, _)| *known == name).map(|&(_, label)| label)
}

/// Labels that exist, or may come to exist, and do not help to decrypt: a name in capitals before hexadecimal.
fn is_other_label(name: &[u8], random: &[u8]) -> bool {
    name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
        && random.iter().all(u8::is_ascii_hexdigit)
}

/// How many bytes the digits give; `None` when they are no pairs of hexadecimal digits or too many.
fn decode_hex(digits: &[u8], bytes: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > bytes.len() {
        return None;
    }
    let mut wrong = 0;
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
        wrong |= high | low;
        *byte = high << 4 | low & 0xF;
    }
    (wrong & NOT_A_DIGIT == 0).then_some(pairs.len())
}

/// Set in the value of what is not a hexadecimal digit.
const NOT_A_DIGIT: u8 = 0x80;

/// The value of each hexadecimal digit.
const DIGITS: [u8; 256] = {
    let mut values = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
