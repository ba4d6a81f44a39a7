//! HTTP where a frame should begin: a proxy's error page in the tunnel, a request on a connection that was upgraded.

/// Whether bytes at a frame boundary are HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Http {
    /// They are not.
    No,
    /// So far they may be.
    Undecided,
    /// They are.
    Certain,
}

/// How HTTP/1 messages begin. Each first letter has a reserved bit, so that none begins a proper frame.
const BEGINNINGS: [&[u8]; 10] = [
    b"HTTP/1.",
    b"GET /",
    b"POST /",
    b"HEAD /",
    b"PUT /",
    b"DELETE /",
    b"OPTIONS ",
    b"CONNECT ",
    b"PATCH /",
    b"TRACE ",
];

/// Looks at the beginning of what should be a frame. Eight bytes always decide.
pub(super) fn http(bytes: &[u8]) -> Http {
    if BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        Http::Certain
    } else if BEGINNINGS.iter().any(|beginning| beginning.starts_with(bytes)) {
        Http::Undecided
    } else {
        Http::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Role;
    use crate::ws::header::{FrameHeader, RSV1};

    #[test]
    fn a_beginning_decides_itself() {
        assert_eq!(http(b"H"), Http::Undecided);
        assert_eq!(http(b"HTTP/1"), Http::Undecided);
        assert_eq!(http(b"HTTP/1.1 502"), Http::Certain);
        assert_eq!(http(b"HTTP!"), Http::No);
        assert_eq!(http(b"\x81\x05Hello"), Http::No);
    }

    #[test]
    fn no_beginning_is_a_proper_frame() {
        for beginning in BEGINNINGS {
            let header = FrameHeader::read(beginning).unwrap();
            let compressed = header.reserved() == RSV1 && header.is_proper(Role::Server);
            assert!(header.reserved() != 0 && !compressed, "{header:?}");
        }
    }
}
