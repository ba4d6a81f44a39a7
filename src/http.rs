//! HTTP/1.x as two people speak it (RFC 9110, RFC 9112), and the opening handshake in it (RFC 6455 §4).
//!
//! A [`Dialogue`] takes the two byte streams of one connection and tells what is said: heads, bodies, and the place
//! where HTTP ends and a tunnel begins. What all dialogues share is in the [`HeadStore`].

pub mod dialogue;
pub(crate) mod early;
pub mod event;
pub mod extension;
mod field_lines;
pub mod fields;
pub mod first_bytes;
mod framing;
pub mod handshake;
pub mod head;
pub mod head_store;
mod open_head;
pub mod proxy_header;
pub mod start_line;
pub mod text;
mod waiting;

pub use dialogue::Dialogue;
pub use event::{Event, Request, Response};
pub use first_bytes::FirstBytes;
pub use head_store::HeadStore;
pub use proxy_header::ProxyHeader;
