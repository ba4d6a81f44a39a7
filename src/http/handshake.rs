//! The opening handshake: what a request offers and what an answer agrees to (RFC 6455 §4, RFC 7692 §7).

use crate::http::head::{RequestHead, ResponseHead};

/// The Sec-WebSocket-Key of a request (RFC 6455 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Key {
    /// There is none.
    #[default]
    Absent,
    /// 16 bytes in base64, as it must be.
    Valid([u8; 16]),
    /// There is one, but it is not 16 bytes in base64.
    Malformed,
    /// There are several fields.
    Repeated,
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

/// What a request asks for, read once when it comes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
}

impl Offer {
    /// Reads the fields of a request.
    pub fn read(head: &RequestHead) -> Offer {
        let _ = head;
        Offer::default()
    }

    /// Whether somebody wants a WebSocket here, however broken the request is.
    pub fn is_attempt(&self) -> bool {
        self.websocket_fields || matches!(self.upgrade, Upgrade::WebSocket | Upgrade::Duplicate)
    }

    /// Whether a server must take it for an opening handshake (RFC 6455 §4.2.1), method and version aside.
    pub fn is_complete(&self) -> bool {
        self.upgrade == Upgrade::WebSocket
            && self.connection_upgrade
            && matches!(self.key, Key::Valid(_))
            && self.version_13
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
    /// Reads the fields of a response to a request, if that was seen.
    pub fn read(head: &ResponseHead, request: Option<(&RequestHead, &Offer)>) -> Answer {
        let _ = (head, request);
        Answer::default()
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
    /// One that was not offered.
    NotOffered,
    /// More than one.
    Several,
}
