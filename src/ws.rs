//! The WebSocket protocol as an observer reads it (RFC 6455 §5, RFC 7692): frames, messages, control frames, closes.
//!
//! A [`Decoder`] reads one direction: bytes and the moments of their packets go in, a [`FrameListener`] hears of messages,
//! control frames and violations, and [`Decoder::facts`] says the rest. It knows nothing of TCP or HTTP. After a gap it
//! looks for the next credible run of frames ([`resync`]); an [`Adoption`] does the same for a connection whose opening
//! handshake the capture does not have.

pub mod adopt;
mod assembly;
pub mod close;
pub mod decoder;
pub mod deflate;
pub mod facts;
pub mod header;
pub mod heartbeat;
pub mod mask;
pub mod masks;
pub mod message;
mod misfit;
pub mod resync;
mod scratch;
mod tally;
pub mod utf8;

pub use adopt::{Adoption, Judgement};
pub use decoder::{Agreed, Decoder, DeflateDirection};
pub use message::{Control, FrameListener, Message};
pub use resync::Held;
pub use scratch::Scratch;
