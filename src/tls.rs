//! TLS as a passive observer sees it (RFC 8446, RFC 5246): what it leaves visible, and its plaintext where there are
//! secrets.
//!
//! [`Observer`] takes the bytes of one connection and gives application data in the order of the stream.
//! [`SecretStore`] is the one place for secrets; they may come after the data.

pub mod alert;
pub mod facts;
pub mod record;
pub mod secrets;

use crate::limits::Limits;
use crate::packet::Moment;
use crate::stream::Role;

pub use facts::TlsFacts;
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

/// One TLS connection.
pub struct Observer {
    facts: TlsFacts,
}

impl Observer {
    /// A connection that is seen from its first byte.
    pub fn new(_limits: &Limits) -> Observer {
        Observer { facts: TlsFacts::default() }
    }

    /// A connection that was open before the capture began: the first bytes may lie in the middle of a record.
    pub fn joined(limits: &Limits) -> Observer {
        Observer::new(limits)
    }

    /// Takes the next bytes that `role` sent.
    pub fn handle(
        &mut self,
        _role: Role,
        _bytes: &[u8],
        _moment: Moment,
        _secrets: &SecretStore,
        _out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
    }

    /// `bytes` of what `role` sent are missing here.
    pub fn gap(
        &mut self,
        _role: Role,
        _bytes: u64,
        _moment: Moment,
        _secrets: &SecretStore,
        _out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
    }

    /// `role` sends nothing more (FIN or RST), or the capture is over.
    pub fn finish(
        &mut self,
        _role: Role,
        _moment: Moment,
        _secrets: &SecretStore,
        _out: &mut impl FnMut(Role, Moment, TlsOutput<'_>),
    ) {
    }

    /// Looks for secrets again: for a connection that is silent while [`SecretStore::generation`] changed. `handle`
    /// does so by itself. Records that waited come out with the moments at which they were captured.
    pub fn retry(&mut self, _secrets: &SecretStore, _out: &mut impl FnMut(Role, Moment, TlsOutput<'_>)) {}

    /// Whether plaintext came out, or will as soon as application data is sent.
    pub fn is_decrypting(&self) -> bool {
        self.facts.decrypted_by.is_some()
    }

    /// All that is known now.
    pub fn facts(&self) -> TlsFacts {
        self.facts.clone()
    }
}
