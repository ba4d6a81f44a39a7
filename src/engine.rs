//! The whole of it: packets in, events out.

pub mod event;

pub use event::{Event, Sink, Wants};
