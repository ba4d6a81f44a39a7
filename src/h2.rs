//! HTTP/2 as two people speak it (RFC 9113), and WebSockets in it (RFC 8441).
//!
//! A [`Connection`] takes the two byte streams of one connection and tells what is said on its streams: heads, as HTTP/1
//! would have them, and for a WebSocket the bytes of its tunnel. Frames may be cut anywhere, and missed.
//!
//! ```text
//!   bytes -> reader -> frames -> HEADERS, CONTINUATION -> hpack -> head -> Request, Response
//!                          |  -> DATA ---------------------------------> Body, TunnelStream
//!                          |  -> SETTINGS, WINDOW_UPDATE -> windows ----> Stalled
//!                          +---> END_STREAM, RST_STREAM, GOAWAY --------> End
//! ```

pub mod connection;
pub mod event;
pub mod frame;
mod head;
pub mod hpack;
mod reader;
mod streams;
mod windows;

pub use connection::Connection;
pub use event::{Event, Stall, StreamEnd};
pub use frame::{ErrorCode, StreamId};
pub use reader::begins_with_frames;
