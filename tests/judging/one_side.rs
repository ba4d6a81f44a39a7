//! Captures that have one side of a proxy only.

use wsflow::script::{Script, switching_protocols, text};

use super::{Judged, judge};

const PROXY: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// On the backend's host: who dialled it leaves after a silence, without a Close frame.
fn left_after(millis: u64, forwarded: &str) -> Judged {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{forwarded}\r\n"
    );
    let open = Script::new().leg(PROXY, BACKEND).request(request).response(switching_protocols(KEY));
    judge(&open.client(text("hello")).server(text("world")).after_ms(millis).client_fin().server_fin())
}

#[test]
fn a_proxy_that_says_so_has_an_idle_timer() {
    const FORWARDED: &str = "X-Forwarded-For: 192.0.2.7\r\n";
    let judged = left_after(60_000, FORWARDED);
    assert_eq!(judged.cause(), Some("idle-timeout"));
    assert!(judged.verdicts()[0].starts_with("the proxy 10.0.0.1:50001 closed"), "{:?}", judged.verdicts());
    assert_eq!(left_after(17_000, FORWARDED).cause(), Some("fin-without-close"), "that is nobody's timer");
    assert_eq!(left_after(60_000, "").cause(), Some("fin-without-close"), "it may be the client itself");
}
