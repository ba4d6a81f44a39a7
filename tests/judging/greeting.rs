//! Servers that speak before they are asked: what listens there is something else.

use wsflow::script::Script;

use super::{Judged, judge};

const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0";

/// A server that says `greeting` to whoever connects, then is asked for a WebSocket, and hangs up.
fn greeted(greeting: &[u8]) -> Judged {
    judge(&Script::new().server(greeting).after_ms(5).request(Script::REQUEST).server_fin().client_fin())
}

#[test]
fn in_text() {
    let judged = greeted(b"SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!(judged.cause(), Some("wrong-upstream-protocol"));
    assert!(judged.verdicts()[0].contains("SSH-2.0-OpenSSH_9.2"), "{:?}", judged.verdicts());
}

#[test]
fn in_bytes_of_a_protocol_that_is_not_known() {
    assert_eq!(greeted(b"J\0\0\0\x0a8.0.36\0\x1f\0\0\0").cause(), Some("wrong-upstream-protocol"));
}

#[test]
fn in_http2() {
    let judged = greeted(SETTINGS);
    assert_eq!(judged.cause(), Some("wrong-upstream-protocol"));
    assert!(judged.verdicts()[0].contains("HTTP/2 frames"), "{:?}", judged.verdicts());
}

#[test]
fn a_greeting_without_a_request_is_no_session() {
    assert!(judge(&Script::new().server(&b"220 mail ESMTP\r\n"[..]).client_fin().server_fin()).0.is_empty());
}
