//! TCP as a third party sees it: packet traces and what is made of them.
#![expect(clippy::unwrap_used, reason = "a trace that cannot be read fails its test")]

mod connections;
mod facts;
mod properties;
mod streams;
mod trace;
