//! The WebSocket protocol as an observer reads it (RFC 6455 §5, RFC 7692): frames, messages, control frames, closes.

pub mod facts;
