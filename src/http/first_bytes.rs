//! What a stream begins with, told from its bytes alone: ports say nothing.

/// What the first bytes of one direction are, where they are not the HTTP that a leg should carry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FirstBytes {
    /// An HTTP/1 message.
    Http,
    /// A TLS record: handshake.
    TlsHandshake,
    /// A TLS record: alert, with level and description.
    TlsAlert(u8, u8),
    /// A TLS record of another kind: application data, change cipher spec. The handshake was before the capture.
    TlsRecord,
    /// The HTTP/2 connection preface or a SETTINGS frame.
    Http2,
    /// A PROXY header and nothing else yet.
    Proxy,
    /// Frames of a WebSocket that was open before the capture began.
    WebSocket,
    /// Text that is not HTTP.
    Text,
    /// Anything else.
    Other,
}
