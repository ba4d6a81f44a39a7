//! Handshake messages (RFC 8446 §4, RFC 5246 §7.4): put together over record boundaries, and read field by field.

/// The type of a handshake message, by its number. Unknown numbers keep their value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HandshakeType(pub u8);

impl HandshakeType {
    /// client_hello.
    pub const CLIENT_HELLO: HandshakeType = HandshakeType(1);
    /// server_hello; also HelloRetryRequest.
    pub const SERVER_HELLO: HandshakeType = HandshakeType(2);
    /// new_session_ticket.
    pub const NEW_SESSION_TICKET: HandshakeType = HandshakeType(4);
    /// end_of_early_data.
    pub const END_OF_EARLY_DATA: HandshakeType = HandshakeType(5);
    /// encrypted_extensions.
    pub const ENCRYPTED_EXTENSIONS: HandshakeType = HandshakeType(8);
    /// certificate.
    pub const CERTIFICATE: HandshakeType = HandshakeType(11);
    /// certificate_request.
    pub const CERTIFICATE_REQUEST: HandshakeType = HandshakeType(13);
    /// server_hello_done (TLS 1.2).
    pub const SERVER_HELLO_DONE: HandshakeType = HandshakeType(14);
    /// client_key_exchange (TLS 1.2).
    pub const CLIENT_KEY_EXCHANGE: HandshakeType = HandshakeType(16);
    /// finished.
    pub const FINISHED: HandshakeType = HandshakeType(20);
    /// key_update.
    pub const KEY_UPDATE: HandshakeType = HandshakeType(24);
}

/// Puts the handshake messages of one direction together: records cut them anywhere.
#[derive(Debug, Default)]
pub struct MessageReader {
    held: Vec<u8>,
    /// Bytes of a message that is too long to be held, still to pass.
    skip: usize,
}

/// The bytes before every message: type and length.
const HEADER: usize = 4;

impl MessageReader {
    /// Takes the content of the next record; calls `each` for every message that is complete. A message of more than
    /// `limit` bytes is passed over.
    pub fn read(&mut self, mut content: &[u8], limit: usize, mut each: impl FnMut(HandshakeType, &[u8])) {
        while !content.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(content.len());
                self.skip -= skipped;
                content = &content[skipped..];
            } else if self.held.is_empty() {
                let Some(length) = message_length(content) else { return self.held.extend_from_slice(content) };
                if length > limit {
                    self.skip = length;
                } else if length > content.len() {
                    return self.held.extend_from_slice(content);
                } else {
                    each(HandshakeType(content[0]), &content[HEADER..length]);
                    content = &content[length..];
                }
            } else {
                // What is held goes on: the header first, then as much as the message needs.
                let wants = message_length(&self.held).unwrap_or(HEADER);
                if wants > limit {
                    self.skip = wants - self.held.len();
                    self.held = Vec::new();
                    continue;
                }
                let taken = (wants - self.held.len()).min(content.len());
                self.held.extend_from_slice(&content[..taken]);
                content = &content[taken..];
                if message_length(&self.held).is_some_and(|length| length == self.held.len()) {
                    let message = std::mem::take(&mut self.held);
                    each(HandshakeType(message[0]), &message[HEADER..]);
                }
            }
        }
    }

    /// The next bytes are missing: the message under way is over. `each` gets what of it came.
    pub fn cut(&mut self, each: impl FnOnce(HandshakeType, &[u8])) {
        let MessageReader { held, .. } = std::mem::take(self);
        if let Some((header, body)) = held.split_first_chunk::<HEADER>() {
            each(HandshakeType(header[0]), body);
        }
    }
}

/// The length of a message with its header, once that is there.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    Some(HEADER + u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize)
}

/// Reads the fields of a message in turn. Each read is `None` when the message is too short for it.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next so many bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// A vector with one byte of length.
    pub fn vector8(&mut self) -> Option<Fields<'a>> {
        let length = self.u8()?;
        self.take(length.into()).map(Fields)
    }

    /// A vector with two bytes of length.
    pub fn vector16(&mut self) -> Option<Fields<'a>> {
        let length = self.u16()?;
        self.take(length.into()).map(Fields)
    }

    /// A vector with three bytes of length.
    pub fn vector24(&mut self) -> Option<Fields<'a>> {
        let length = self.u24()?;
        self.take(length as usize).map(Fields)
    }

    /// Whether all is read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_are_the_same_however_records_cut_them(
            messages in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..8),
            cuts in prop::collection::vec(1usize..40, 1..40),
        ) {
            let mut stream = Vec::new();
            for (kind, body) in &messages {
                stream.push(*kind);
                stream.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
                stream.extend_from_slice(body);
            }
            let mut reader = MessageReader::default();
            let mut seen = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                let (record, behind) = rest.split_at((*cut).min(rest.len()));
                reader.read(record, 200, |kind, body| seen.push((kind.0, body.to_vec())));
                rest = behind;
                if rest.is_empty() { break }
            }
            let within: Vec<_> = messages.into_iter().filter(|(_, body)| body.len() + HEADER <= 200).collect();
            prop_assert_eq!(seen, within);
        }
    }
}
