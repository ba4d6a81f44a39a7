//! How a leg ended: a FIN, an RST, or what stands for them on HTTP/2.

use crate::packet::Moment;
use crate::stream::Role;
use crate::tcp::EndKind;

/// A FIN or RST in terms of a leg's roles, or what stands for them where the leg is a stream of HTTP/2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LegEnd {
    /// Who sent it.
    pub by: Role,
    /// Which of the two.
    pub kind: EndKind,
    /// What was ended.
    pub of: EndOf,
    /// When, and in which packet.
    pub moment: Moment,
}

/// What a [`LegEnd`] ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndOf {
    /// The TCP connection.
    Connection,
    /// A stream of an HTTP/2 connection: END_STREAM is what a FIN is, RST_STREAM what an RST is (RFC 8441 §5).
    Stream,
    /// TLS: close_notify is a FIN that TCP does not see (RFC 8446 §6.1).
    Tls,
    /// All streams of an HTTP/2 connection, or those that were not begun: GOAWAY.
    Streams,
}

impl LegEnd {
    /// Whether this came behind something that `by` sent on the same leg: by its packet, or because nothing comes behind a FIN
    /// of its sender, wherever the capture has it.
    pub fn is_behind(&self, by: Role, moment: Moment) -> bool {
        moment <= self.moment || self.is_last_of(by)
    }

    /// Whether this is the FIN of that side: it sent everything before.
    pub fn is_last_of(&self, by: Role) -> bool {
        by == self.by && self.kind == EndKind::Fin
    }

    /// What was sent.
    pub const fn flag(&self) -> &'static str {
        match (self.of, self.kind) {
            (EndOf::Connection, EndKind::Fin) => "FIN",
            (EndOf::Connection, EndKind::Rst) => "RST",
            (EndOf::Stream, EndKind::Fin) => "END_STREAM",
            (EndOf::Stream, EndKind::Rst) => "RST_STREAM",
            (EndOf::Streams, _) => "GOAWAY",
            (EndOf::Tls, _) => "close_notify",
        }
    }

    /// The same with a verb, for a sentence.
    pub const fn deed(&self) -> &'static str {
        match (self.of, self.kind) {
            (EndOf::Connection, EndKind::Fin) => "closed the connection (FIN)",
            (EndOf::Connection, EndKind::Rst) => "reset the connection (RST)",
            (EndOf::Stream, EndKind::Fin) => "closed the stream (END_STREAM)",
            (EndOf::Stream, EndKind::Rst) => "reset the stream (RST_STREAM)",
            (EndOf::Streams, _) => "ended the stream (GOAWAY)",
            (EndOf::Tls, _) => "ended TLS (close_notify)",
        }
    }
}
