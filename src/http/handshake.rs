//! The opening handshake: what a request offers and what an answer agrees to (RFC 6455 §4, RFC 7692 §7).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::http::extension::{Extension, extensions, extensions_in, negotiate};
use crate::http::field_lines::Known;
use crate::http::fields::{Fields, elements};
use crate::http::head::{RequestHead, ResponseHead};

/// What each character stands for in base64 (RFC 4648 §4); 128 for those that stand for nothing.
const BASE64: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [128; 256];
    let mut digit = 0;
    while digit < 64 {
        digits[alphabet[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// The Sec-WebSocket-Key of a request (RFC 6455 §4.1). What it stands for: [`RequestHead::nonce`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Key {
    /// There is none.
    #[default]
    Absent,
    /// 16 bytes in base64, as it must be.
    Valid,
    /// There is one, but it is not 16 bytes in base64.
    Malformed,
    /// There are several fields.
    Repeated,
}

impl Key {
    /// Of the value of a field.
    fn of(value: &[u8]) -> Key {
        if nonce(value).is_some() { Key::Valid } else { Key::Malformed }
    }
}

/// What a key stands for: 16 bytes are 22 characters and padding. Bits behind the last byte do not matter (RFC 4648 §3.5),
/// as they do to no server.
fn nonce(key: &[u8]) -> Option<[u8; 16]> {
    let mut characters: [u8; 24] = key.try_into().ok()?;
    let [.., third @ b'=', fourth @ b'='] = &mut characters else { return None };
    (*third, *fourth) = (b'A', b'A');
    decode::<24, 18>(&characters)?.first_chunk().copied()
}

/// The bytes that these characters without padding stand for in base64, if all of them do: three for every four.
fn decode<const CHARACTERS: usize, const BYTES: usize>(characters: &[u8; CHARACTERS]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut all = 0;
    let digit = |character: u8| BASE64[usize::from(character)];
    for (&[a, b, c, d], three) in characters.as_chunks::<4>().0.iter().zip(bytes.as_chunks_mut::<3>().0) {
        let (a, b, c, d) = (digit(a), digit(b), digit(c), digit(d));
        *three = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        all |= a | b | c | d;
    }
    (all < 64).then_some(bytes)
}

/// The Upgrade field of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Upgrade {
    /// There is none.
    #[default]
    Absent,
    /// It names `websocket` once.
    WebSocket,
    /// It names `websocket` more than once, in one field or in several.
    Duplicate,
    /// It names something else only: `h2c`, `TLS/1.0`.
    Other,
}

/// What field lines say of a WebSocket, whoever sends them: read once for all heads that share the lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    upgrade: Upgrade,
    connection_upgrade: bool,
    /// Malformed where it is kept aside.
    key: Key,
    version_13: bool,
    websocket_fields: bool,
    deflate: bool,
}

impl Said {
    /// Reads fields in order; the value kept aside is empty.
    pub(super) fn read<'a>(fields: impl Iterator<Item = (Known, &'a str)>) -> Said {
        let mut said = Said::default();
        let mut upgrades = UpgradeCount::default();
        for (name, value) in fields {
            match name {
                Known::Upgrade => upgrades.add(value),
                Known::Connection => said.connection_upgrade |= has_upgrade(value),
                Known::WebSocketKey if said.key == Key::Absent => said.key = Key::of(value.as_bytes()),
                Known::WebSocketKey => said.key = Key::Repeated,
                Known::WebSocketVersion => said.version_13 = value == "13",
                Known::WebSocketExtensions => said.deflate |= extensions_in(value).any(Extension::is_deflate),
                _ => {}
            }
            said.websocket_fields |= is_websocket_field(name);
        }
        said.upgrade = upgrades.sum();
        said
    }

    /// The Upgrade field.
    pub(super) fn upgrade(&self) -> Upgrade {
        self.upgrade
    }
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Offer {
    /// Its Upgrade field.
    pub upgrade: Upgrade,
    /// Whether its Connection fields have the token `upgrade`.
    pub connection_upgrade: bool,
    /// Its key.
    pub key: Key,
    /// Whether Sec-WebSocket-Version is there and 13.
    pub version_13: bool,
    /// Whether it has any Sec-WebSocket-* field.
    pub websocket_fields: bool,
    /// Whether its permessage-deflate offer is there (RFC 7692).
    pub deflate: bool,
    /// Whether it is an extended CONNECT for a WebSocket, which needs no Upgrade and no key (RFC 8441 §4).
    pub extended_connect: bool,
}

impl Offer {
    /// Reads a request.
    pub fn read(head: &RequestHead) -> Offer {
        let said = head.fields.said();
        Offer {
            upgrade: said.upgrade,
            connection_upgrade: said.connection_upgrade,
            key: match (said.key, head.fields.aside(Known::WebSocketKey)) {
                (Key::Malformed, Some(value)) => Key::of(value),
                (key, _) => key,
            },
            version_13: said.version_13,
            websocket_fields: said.websocket_fields,
            deflate: said.deflate,
            extended_connect: head.is_extended_connect(),
        }
    }

    /// Whether somebody wants a WebSocket here, however broken the request is.
    pub fn is_attempt(&self) -> bool {
        self.websocket_fields
            || self.extended_connect
            || matches!(self.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
    }

    /// Whether a server must take it for an opening handshake (RFC 6455 §4.2.1), method and version aside.
    pub fn is_complete(&self) -> bool {
        self.upgrade == Upgrade::WebSocket && self.connection_upgrade && self.key == Key::Valid && self.version_13
    }
}

/// The Sec-WebSocket-Accept of an answer (RFC 6455 §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Accept {
    /// There is none.
    #[default]
    Absent,
    /// It fits the key of the request.
    Valid,
    /// It does not.
    Wrong,
    /// There is one, and no key to hold it against was seen.
    Unknown,
}

impl Accept {
    /// Holds the value of an answer against the keys of its request. Whatever they are: servers hash the text as it stands.
    fn read(answer: &Fields, request: Option<&Fields>) -> Accept {
        let Some(value) = answer.raw_values(Known::WebSocketAccept).last() else { return Accept::Absent };
        let Some(request) = request else { return Accept::Unknown };
        let mut accept = Accept::Unknown;
        for key in request.raw_values(Known::WebSocketKey) {
            if belongs(value, key) {
                return Accept::Valid;
            }
            accept = Accept::Wrong;
        }
        accept
    }
}

/// The Sec-WebSocket-Accept that belongs to a key: base64(SHA1(key + GUID)) (RFC 6455 §4.2.2).
pub fn accept_value(key: &str) -> String {
    STANDARD.encode(digest(key.as_bytes()))
}

/// Whether that is the Sec-WebSocket-Accept of this key.
fn belongs(value: &[u8], key: &[u8]) -> bool {
    let Ok(mut characters) = <[u8; 28]>::try_from(value) else { return false };
    if std::mem::replace(&mut characters[27], b'A') != b'=' {
        return false;
    }
    // The last byte is made of the padding, and of the bits before it: none of them is set.
    decode::<28, 21>(&characters).is_some_and(|bytes| bytes.split_last() == Some((&0, &digest(key)[..])))
}

fn digest(key: &[u8]) -> [u8; 20] {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    Sha1::new().chain_update(key).chain_update(GUID).finalize().into()
}

/// The parameters of permessage-deflate as agreed (RFC 7692 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PermessageDeflate {
    /// The server forgets its window after each message.
    pub server_no_context_takeover: bool,
    /// The client does.
    pub client_no_context_takeover: bool,
    /// The server's LZ77 window, in bits.
    pub server_max_window_bits: u8,
    /// The client's.
    pub client_max_window_bits: u8,
}

/// What an answer agrees to, read once when it comes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// Its Upgrade field.
    pub upgrade: Upgrade,
    /// Whether its Connection fields have the token `upgrade`.
    pub connection_upgrade: bool,
    /// Its accept value.
    pub accept: Accept,
    /// Whether the subprotocol fits: one of the offered, or none where none was offered.
    pub subprotocol: SubprotocolAnswer,
    /// Whether it names an extension or a parameter that was not offered, or one that does not exist.
    pub extension_mismatch: bool,
    /// permessage-deflate as agreed.
    pub deflate: Option<PermessageDeflate>,
}

impl Answer {
    /// Reads a response to a request, if that was seen.
    ///
    /// Only a 101, or a 2xx to an extended CONNECT (RFC 8441 §4), agrees to subprotocol and extensions.
    pub fn read(head: &ResponseHead, request: Option<&RequestHead>) -> Answer {
        let said = head.fields.said();
        let mut answer = Answer {
            upgrade: said.upgrade,
            connection_upgrade: said.connection_upgrade,
            accept: Accept::read(&head.fields, request.map(|head| &head.fields)),
            ..Answer::default()
        };
        if head.status == 101 || (200..300).contains(&head.status) {
            answer.subprotocol = SubprotocolAnswer::read(head, request);
            if head.fields.have(Known::WebSocketExtensions) {
                let agreement = negotiate(&head.fields, request.map(|head| &head.fields));
                answer.extension_mismatch = agreement.mismatch;
                answer.deflate = agreement.deflate;
            }
        }
        answer
    }
}

/// How the answer's Sec-WebSocket-Protocol fits the offer (RFC 6455 §4.1, §4.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SubprotocolAnswer {
    /// None offered, none selected.
    #[default]
    None,
    /// One of the offered ones.
    Selected,
    /// Some were offered, none selected.
    NotSelected,
    /// One that was not offered, or an empty field where nothing was offered.
    NotOffered,
    /// More than one.
    Several,
}

impl SubprotocolAnswer {
    fn read(answer: &ResponseHead, request: Option<&RequestHead>) -> SubprotocolAnswer {
        let have = |fields: &Fields| fields.have(Known::WebSocketProtocol);
        if !have(&answer.fields) && !request.is_some_and(|head| have(&head.fields)) {
            return SubprotocolAnswer::None;
        }
        let mut selected = answer.subprotocols();
        match (selected.next(), selected.next()) {
            (Some(_), Some(_)) => SubprotocolAnswer::Several,
            (Some(name), None) if request.is_none_or(|head| head.subprotocols_offered().any(|offer| offer == name)) => {
                SubprotocolAnswer::Selected
            }
            (Some(_), None) => SubprotocolAnswer::NotOffered,
            (None, _) if request.is_some_and(|head| head.subprotocols_offered().next().is_some()) => {
                SubprotocolAnswer::NotSelected
            }
            // The field is there and names nothing: that was not offered either, and clients leave.
            (None, _) if have(&answer.fields) => SubprotocolAnswer::NotOffered,
            (None, _) => SubprotocolAnswer::None,
        }
    }
}

impl RequestHead {
    /// The 16 bytes that its key stands for, if it has one key and that is valid: the nonce of RFC 6455 §4.1.
    pub fn nonce(&self) -> Option<[u8; 16]> {
        if self.fields.said().key == Key::Repeated {
            return None;
        }
        let aside = self.fields.aside(Known::WebSocketKey);
        nonce(aside.or_else(|| self.fields.raw_values(Known::WebSocketKey).next())?)
    }

    /// The subprotocols that it offers, in order of preference. They differ by case (RFC 6455 §4.1).
    pub fn subprotocols_offered(&self) -> impl Iterator<Item = &str> {
        self.fields.values(Known::WebSocketProtocol).flat_map(elements)
    }

    /// The extensions that it offers, each with its parameters.
    pub fn extensions_offered(&self) -> impl Iterator<Item = &str> {
        extensions(&self.fields).map(|extension| extension.text)
    }
}

impl ResponseHead {
    /// The subprotocols that it selects: one at most, unless the server is wrong.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.fields.values(Known::WebSocketProtocol).flat_map(elements)
    }

    /// The extensions that it agrees to, each with its parameters.
    pub fn extensions(&self) -> impl Iterator<Item = &str> {
        extensions(&self.fields).map(|extension| extension.text)
    }
}

/// How often Upgrade fields name `websocket`, and whether they name anything.
#[derive(Default)]
struct UpgradeCount {
    websocket: usize,
    other: usize,
}

impl UpgradeCount {
    /// Counts the protocols of one field: `name` or `name/version`, whatever the case (RFC 9110 §7.8).
    fn add(&mut self, value: &str) {
        if value == "websocket" {
            self.websocket += 1; // as nearly all write it
            return;
        }
        for protocol in elements(value) {
            let name = protocol.split('/').next().unwrap_or_default().trim_ascii_end();
            if name.eq_ignore_ascii_case("websocket") {
                self.websocket += 1;
            } else {
                self.other += 1;
            }
        }
    }

    fn sum(&self) -> Upgrade {
        match self {
            UpgradeCount { websocket: 0, other: 0 } => Upgrade::Absent,
            UpgradeCount { websocket: 0, .. } => Upgrade::Other,
            UpgradeCount { websocket: 1, .. } => Upgrade::WebSocket,
            UpgradeCount { .. } => Upgrade::Duplicate,
        }
    }
}

fn has_upgrade(connection: &str) -> bool {
    connection == "Upgrade" || elements(connection).any(|option| option.eq_ignore_ascii_case("upgrade"))
}

fn is_websocket_field(name: Known) -> bool {
    match name {
        Known::WebSocketKey
        | Known::WebSocketAccept
        | Known::WebSocketVersion
        | Known::WebSocketProtocol
        | Known::WebSocketExtensions
        | Known::WebSocketOther => true,
        Known::Connection
        | Known::Upgrade
        | Known::ContentLength
        | Known::TransferEncoding
        | Known::Forwarded
        | Known::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::head::Version;

    fn request(lines: &str) -> RequestHead {
        RequestHead::new("GET", "/chat", Some(Version::HTTP_11), lines)
    }

    fn response(status: u16, lines: &str) -> ResponseHead {
        ResponseHead::new(Version::HTTP_11, status, "", lines)
    }

    fn answer(response: &ResponseHead, request: &RequestHead) -> Answer {
        Answer::read(response, Some(request))
    }

    /// RFC 6455 §1.2, its example handshake.
    const CLIENT: &str = "Host: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n";
    const SERVER: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n";

    #[test]
    fn rfc6455_1_2_handshake() {
        let request = request(CLIENT);
        let offer = Offer::read(&request);
        assert!(offer.is_complete() && offer.is_attempt());
        assert_eq!((offer.key, request.nonce()), (Key::Valid, Some(*b"the sample nonce")));
        let answer = answer(&response(101, SERVER), &request);
        let expected = Answer {
            upgrade: Upgrade::WebSocket,
            connection_upgrade: true,
            accept: Accept::Valid,
            subprotocol: SubprotocolAnswer::Selected,
            extension_mismatch: false,
            deflate: None,
        };
        assert_eq!(answer, expected);
    }

    /// RFC 6455 §1.3.
    #[test]
    fn rfc6455_1_3_accept() {
        assert_eq!(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys() {
        assert_eq!(nonce(b"test"), None);
        assert_eq!(nonce(b""), None);
        assert_eq!(nonce(b"dGhlIHNhbXBsZSBub25jZQ"), None);
        assert_eq!(nonce(b"dGhlIHNhbXBsZSBub25jZQ==="), None);
        assert_eq!(nonce(b"dGhlIHNhbXBsZSBub25jZTE="), None, "17 bytes");
        assert_eq!(nonce(b"dGhlIHNhbXBsZSBub25jZTE2"), None, "18 bytes");
        assert_eq!(nonce(b"dGhlIHNhbXBsZSBub25jZR=="), Some(*b"the sample nonce"), "bits behind the end");
        let twice = request("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-key: x\r\n");
        let key = |request: &RequestHead| (Offer::read(request).key, request.nonce());
        assert_eq!(key(&twice), (Key::Repeated, None));
        assert_eq!(key(&request("Host: a\r\n")), (Key::Absent, None));
        assert_eq!(key(&request("Sec-WebSocket-Key: a b\r\n")), (Key::Malformed, None));
        // Where something else of such a name is kept aside.
        let odd = "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert_eq!(key(&request(odd)), (Key::Valid, Some(*b"the sample nonce")));
    }

    proptest! {
        /// Beside a decoder of base64 for all purposes.
        #[test]
        fn keys_are_base64(nonce: [u8; 16], place in 0..24_usize, other in prop::char::range(' ', '~')) {
            use base64::alphabet;
            use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
            let decoder = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
            let decoder = GeneralPurpose::new(&alphabet::STANDARD, decoder);
            let mut key = STANDARD.encode(nonce);
            prop_assert_eq!(super::nonce(key.as_bytes()), Some(nonce));
            key.replace_range(place..=place, other.encode_utf8(&mut [0; 4]));
            let expected = decoder.decode(&key).ok().and_then(|bytes| bytes.try_into().ok());
            prop_assert_eq!(super::nonce(key.as_bytes()), expected);
        }
    }

    #[test]
    fn upgrade_is_a_list_of_protocols() {
        let read = |lines: &str| Offer::read(&request(lines)).upgrade;
        assert_eq!(read("Upgrade: WebSocket\r\n"), Upgrade::WebSocket);
        assert_eq!(read("upgrade: websocket/13, h2c\r\n"), Upgrade::WebSocket);
        assert_eq!(read("Upgrade: websocket,websocket\r\n"), Upgrade::Duplicate);
        assert_eq!(read("Upgrade: websocket\r\nUpgrade: websocket\r\n"), Upgrade::Duplicate);
        assert_eq!(read("Upgrade: h2c\r\n"), Upgrade::Other);
        assert_eq!(read("Upgrade: \r\n"), Upgrade::Absent);
        assert_eq!(read("Host: a\r\n"), Upgrade::Absent);
    }

    #[test]
    fn what_makes_an_attempt() {
        let stripped = Offer::read(&request("Connection: close\r\nSec-WebSocket-Version: 13\r\n"));
        assert!(stripped.is_attempt() && !stripped.is_complete() && !stripped.connection_upgrade);
        let plain = Offer::read(&request("Connection: keep-alive\r\nUpgrade: h2c\r\n"));
        assert!(!plain.is_attempt());
        let firefox = Offer::read(&request("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"));
        assert!(firefox.connection_upgrade && !firefox.is_complete());
        assert!(!Offer::read(&request("Sec-WebSocket-Version: 8\r\n")).version_13);
    }

    #[test]
    fn accept_is_held_against_the_text_of_the_key() {
        let with = |key: &str, accept: &str| {
            let request = request(&format!("Sec-WebSocket-Key: {key}\r\n"));
            answer(&response(101, &format!("sec-websocket-accept: {accept}\r\n")), &request).accept
        };
        assert_eq!(with("test", &accept_value("test")), Accept::Valid);
        assert_eq!(with("dGhlIHNhbXBsZSBub25jZQ==", &accept_value("test")), Accept::Wrong);
        let unseen = Answer::read(&response(101, SERVER), None);
        assert_eq!((unseen.accept, unseen.subprotocol), (Accept::Unknown, SubprotocolAnswer::Selected));
        let keyless = answer(&response(101, SERVER), &request("Upgrade: websocket\r\n"));
        assert_eq!(keyless.accept, Accept::Unknown);
    }

    #[test]
    fn subprotocols() {
        let with = |offered: &str, selected: &str| answer(&response(101, selected), &request(offered)).subprotocol;
        let offer = "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n";
        assert_eq!(with("", ""), SubprotocolAnswer::None);
        assert_eq!(with(offer, ""), SubprotocolAnswer::NotSelected);
        assert_eq!(with(offer, "Sec-WebSocket-Protocol: superchat\r\n"), SubprotocolAnswer::Selected);
        assert_eq!(with(offer, "Sec-WebSocket-Protocol: Chat\r\n"), SubprotocolAnswer::NotOffered);
        assert_eq!(with("", "Sec-WebSocket-Protocol: chat\r\n"), SubprotocolAnswer::NotOffered);
        assert_eq!(with(offer, "Sec-WebSocket-Protocol: chat, superchat\r\n"), SubprotocolAnswer::Several);
        assert_eq!(with("", "Sec-WebSocket-Protocol: \r\n"), SubprotocolAnswer::NotOffered);
        assert_eq!(with(offer, "Sec-WebSocket-Protocol: \r\n"), SubprotocolAnswer::NotSelected);
        assert_eq!(with("Sec-WebSocket-Protocol: \r\n", ""), SubprotocolAnswer::None);
    }

    #[test]
    fn a_refusal_agrees_to_nothing() {
        let request = request(CLIENT);
        let refusal = answer(&response(426, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), &request);
        assert_eq!(refusal, Answer::default());
        let extended = answer(&response(101, "Sec-WebSocket-Extensions: permessage-deflate\r\n"), &request);
        assert!(extended.extension_mismatch && extended.deflate.is_some());
    }

    #[test]
    fn offers_as_text() {
        let request = request(
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x\r\n\
             Sec-WebSocket-Protocol: a,b\r\n",
        );
        assert!(Offer::read(&request).deflate);
        let extensions: Vec<_> = request.extensions_offered().collect();
        assert_eq!(extensions, ["permessage-deflate; client_max_window_bits", "x"]);
        assert_eq!(request.subprotocols_offered().collect::<Vec<_>>(), ["a", "b"]);
    }
}
