//! HTTP/1.x as two people speak it (RFC 9110, RFC 9112), and the opening handshake in it (RFC 6455 §4).

pub mod handshake;
pub mod head;
