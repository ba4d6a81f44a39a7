//! TLS as a passive observer sees it (RFC 8446, RFC 5246): what it leaves visible, and its plaintext where there are
//! secrets.
//!
//! [`Observer`] takes the bytes of one connection and gives application data in the order of the stream.
//! [`SecretStore`] is the one place for secrets; they may come after the data.

pub mod alert;
mod cbc;
pub mod certificate;
pub mod decryptor;
mod early;
mod exchange;
pub mod facts;
mod half;
pub mod handshake;
pub mod hello;
pub mod key_schedule;
mod keylog;
mod keys;
mod negotiation;
mod observer;
mod prospect;
pub mod record;
pub mod secrets;
mod shape;
pub mod suite;
mod visible;
mod waiting;

pub use facts::{Sizes, TlsFacts};
pub use observer::Observer;
pub use record::begins_record;
pub use secrets::{Origin, SecretStore};

/// What comes out of one direction of a TLS connection, in the order of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsOutput<'a> {
    /// The next bytes of application data. Never empty.
    Plain(&'a [u8]),
    /// So many bytes of application data are missing here.
    Gap {
        /// How many; an upper bound when it is not exact.
        bytes: u64,
        /// Whether the number follows from record sizes and sequence numbers, or is an estimate.
        exact: bool,
    },
    /// close_notify: the sender sends nothing more.
    End,
}
