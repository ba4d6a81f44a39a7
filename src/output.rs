//! What the engine tells, made readable: for a person, for a program, for a colleague.
//!
//! Each output is a [`Sink`](crate::engine::Sink). Text from the wire is hostile: it is masked by [`mask`] and made safe by
//! [`escape`] before it is shown.

pub mod chosen;
pub mod clock;
pub mod comparison;
pub mod escape;
pub mod explain;
pub mod fix;
pub mod json;
pub mod line;
pub mod mask;
pub mod pcapng;
pub mod phrase;
pub mod query;
pub mod report;
pub mod text;
pub mod timeline;

#[cfg(test)]
pub(crate) mod samples;
