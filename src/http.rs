//! HTTP/1.x as two people speak it (RFC 9110, RFC 9112), and the opening handshake in it (RFC 6455 §4).
//!
//! A [`Dialogue`] takes the two byte streams of one connection and tells what is said: heads, bodies, and the place
//! where HTTP ends and a tunnel begins. What all dialogues share is in the [`HeadStore`].

#![allow(dead_code, reason = "the API stands, the reading follows")]

pub mod dialogue;
pub mod extension;
pub mod fields;
pub mod first_bytes;
pub mod handshake;
pub mod head;
pub mod head_store;
pub mod proxy_header;
pub mod start_line;
pub mod text;

pub use dialogue::{Dialogue, Event};
pub use first_bytes::FirstBytes;
pub use head_store::HeadStore;
pub use proxy_header::ProxyHeader;
