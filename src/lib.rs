//! wsflow says why a WebSocket fails.
//!
//! Packets go in, facts come out: [`engine::Engine`] takes what a [`source`] yields, follows TCP connections, finds
//! opening handshakes, decodes frames, joins the legs on both sides of a proxy into sessions, and judges them with the
//! rules of [`diagnosis`]. An [`output`] listens.
//!
//! Everything from [`packet`] to [`engine`] is a pure function of its input: no clock, no file, no thread, no panic.
//! `ARCHITECTURE.md` has the picture.

pub mod decimal;
pub mod limits;
pub mod packet;
pub mod stream;
pub mod time;

pub mod tcp;
pub mod tls;
pub mod wire;

pub mod h2;
pub mod http;
pub mod ws;

pub mod session;

pub mod diagnosis;

pub mod engine;

pub mod script;

pub mod source;

pub mod output;

#[cfg(feature = "tui")]
pub mod tui;

pub mod cli;

pub mod config;

pub mod app;
