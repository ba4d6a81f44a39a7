//! The WebSocket protocol as an observer reads it (RFC 6455 §5, RFC 7692): frames, messages, control frames, closes.
//!
//! A [`Decoder`] reads one direction: bytes and the moments of their packets go in, a [`FrameListener`] hears of messages,
//! control frames and violations, and [`Decoder::facts`] says the rest. It knows nothing of TCP or HTTP. After a gap it
//! looks for the next credible run of frames; an [`Adoption`] does the same for a connection whose opening
//! handshake the capture does not have.

pub mod adopt;
pub mod decoder;
pub mod facts;
pub mod heartbeat;
pub mod message;

pub use adopt::{Adoption, Judgement};
pub use decoder::{Agreed, Decoder, DeflateDirection, Scratch};
pub use message::{Control, FrameListener, Message};
