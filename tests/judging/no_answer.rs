//! Answers that never came, where the server had spoken before, or said something else.

use wsflow::script::{Script, switching_protocols};
use wsflow::stream::Role;

use super::judge;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
const SERVER: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);

/// A connection that carried a page, and is asked for a WebSocket now.
fn asked_behind_a_page() -> Script {
    let page = Script::new().leg(CLIENT, SERVER).request("GET / HTTP/1.1\r\nHost: app.example\r\n\r\n");
    page.response("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").request(Script::REQUEST)
}

#[test]
fn the_answers_of_earlier_requests_are_none_to_this_one() {
    assert_eq!(judge(&asked_behind_a_page().after_ms(100).server_fin()).cause(), Some("no-answer"));
    assert_eq!(judge(&asked_behind_a_page().after_ms(100).server_rst()).cause(), Some("no-answer"));
    assert_eq!(judge(&asked_behind_a_page().after_ms(1500).client_fin()).cause(), Some("client-gave-up"));
}

#[test]
fn a_head_that_breaks_off_is_no_answer() {
    let half = &switching_protocols("dGhlIHNhbXBsZSBub25jZQ==")[..40];
    let direct = Script::new().leg(CLIENT, SERVER).request(Script::REQUEST).response(half).server_fin();
    assert_eq!(judge(&direct).cause(), Some("no-answer"));
    let behind = Script::new().leg(CLIENT, SERVER).request(Script::REQUEST).leg(DIAL, BACKEND).request(Script::REQUEST);
    let behind = behind.response(half).server_fin().client_fin().leg(CLIENT, SERVER);
    let judged =
        judge(&behind.response("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").client_fin().server_fin());
    assert_eq!(judged.cause(), Some("upstream-premature-close"));
    assert!(judged.verdicts()[0].contains("before its answer was complete"), "{:?}", judged.verdicts());
}

#[test]
fn an_interim_answer_is_no_answer() {
    let script = Script::new().leg(CLIENT, SERVER).request(Script::REQUEST);
    let judged = judge(&script.response("HTTP/1.1 100 Continue\r\n\r\n").after_ms(50).server_fin());
    assert_eq!(judged.cause(), Some("no-answer"));
    assert_eq!(judged.only().1.findings[0].evidence.leg, Some(0));
    assert!(judged.only().0.legs[0].half(Role::Server).bytes > 0);
}

/// nginx: `error_page 502 =200 @maintenance`.
#[test]
fn a_page_does_not_hide_that_the_backend_refused() {
    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\nback soon";
    let refused = Script::new().leg(CLIENT, SERVER).request(Script::REQUEST).leg(DIAL, BACKEND).refused();
    let judged = judge(&refused.leg(CLIENT, SERVER).response(PAGE).client_fin().server_fin());
    assert_eq!(judged.cause(), Some("upstream-refused"));
    assert_eq!(judged.legs().len(), 2);
    // What was refused long before, or after the answer, is another's.
    let early = Script::new().leg(DIAL, BACKEND).refused().after_ms(50).leg(CLIENT, SERVER).request(Script::REQUEST);
    let late = early.response(PAGE).after_ms(5).leg(([10, 0, 0, 1], 50_002), BACKEND).refused();
    assert_eq!(
        judge(&late.leg(CLIENT, SERVER).client_fin().server_fin()).0[0].1.cause().map(|cause| cause.id),
        Some("upgrade-ignored")
    );
}

#[test]
fn a_page_does_not_hide_that_the_backend_was_silent() {
    const PAGE: &str = "HTTP/1.1 302 Found\r\nLocation: https://status.example/\r\nContent-Length: 0\r\n\r\n";
    let asked = || Script::new().leg(CLIENT, SERVER).request(Script::REQUEST).leg(DIAL, BACKEND);
    let told = |script: Script| judge(&script.leg(CLIENT, SERVER).response(PAGE).client_fin().server_fin()).cause();
    assert_eq!(told(asked().request(Script::REQUEST).after_ms(2000).client_fin()), Some("upstream-response-timeout"));
    assert_eq!(told(asked().client_syn().retransmitted().after_ms(1800)), Some("upstream-connect-timeout"));
}

/// Somebody looks for open ports, and the capture has nothing else.
#[test]
fn ports_that_were_scanned_are_no_sessions() {
    let knock = |ports: std::ops::Range<u16>| {
        let knocks = ports.fold(Script::new(), |script, port| {
            script.leg(([10, 0, 0, 7], 50_000 + port), ([10, 0, 0, 9], port)).refused()
        });
        judge(&knocks).0.len()
    };
    assert_eq!((knock(8000..8003), knock(8000..8020)), (3, 0));
}

/// auth_request and its like: a proxy asks another service for leave, and goes on when it has it. The capture ends between.
#[test]
fn leave_that_was_given_is_no_answer_to_the_client() {
    let asks_for_leave = "GET /auth HTTP/1.0\r\nHost: app.example\r\nConnection: close\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let asked = Script::new().leg(CLIENT, SERVER).request(Script::REQUEST).leg(DIAL, BACKEND).request(asks_for_leave);
    let given = asked.response("HTTP/1.1 204 No Content\r\n\r\n").server_fin().client_fin();
    let judged = judge(&given);
    assert_eq!(judged.only().0.legs.len(), 2);
    assert_eq!(judged.alarms(), [""; 0]);
    let passed_on = given.leg(CLIENT, SERVER).response("HTTP/1.1 204 No Content\r\n\r\n").client_fin().server_fin();
    assert_eq!(judge(&passed_on).cause(), Some("upgrade-headers-stripped"));
}
