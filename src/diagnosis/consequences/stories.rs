//! Stories in which a finding is made beside the cause of another.

use std::time::Duration;

use crate::diagnosis::test_session::*;
use crate::session::leg::Certificate;
use crate::session::neighbours::{Ending, ServerUse};
use crate::session::{Leg, Outcome, SessionId};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::ws::facts::ViolationKind;

/// A proxy's request without Upgrade.
pub const STRIPPED: &str = "GET /ws HTTP/1.0\nHost: app.example\nConnection: close\nSec-WebSocket-Version: 13\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";

/// What nginx answers to plain HTTP where it expects TLS.
pub const HTTPS_PORT: &str = "HTTP/1.1 400 Bad Request\nServer: nginx/1.22.1\n\n\
    <html><body>The plain HTTP request was sent to HTTPS port</body></html>";

/// The offer of compression, or the answer to it.
pub const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";

/// A proxy's request with Upgrade and the wrong Connection.
pub fn closed() -> String {
    replaced(FORWARDED, "Connection", "Connection: close")
}

/// The same request, with HEAD: `curl -I`.
pub fn head_of(request: &str) -> String {
    request.replace("GET ", "HEAD ")
}

/// A 101 that somebody copied from a book: its proof is for another key.
pub fn copied_101() -> String {
    replaced(SWITCHED, "Sec-WebSocket-Accept", "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=")
}

/// A page with a cookie that no proxy's buffer holds.
pub fn large_page() -> String {
    format!("HTTP/1.1 200 OK\nContent-Type: text/html\nSet-Cookie: {}\n\n<html>", "c".repeat(9000))
}

/// The proxy made this of the request, and sent it in clear to a port that speaks TLS.
pub fn to_tls_port(forwarded: &str) -> TestSession {
    refused_with(HTTPS_PORT).backend_leg(|leg| leg.request(forwarded))
}

/// The proxy made this of the request, and the backend refused it without a word.
pub fn refused_as(forwarded: &str) -> TestSession {
    refused_with("HTTP/1.1 400 Bad Request\n\n").backend_leg(|leg| leg.request(forwarded))
}

/// The proxy did not pass Upgrade on; this is what became of its request. Its client got 502.
pub fn stripped(then: fn(TestLeg) -> TestLeg) -> TestSession {
    let session = session().backend_leg(|leg| then(leg.request(STRIPPED)));
    session.client_leg(|leg| leg.request(ASKED).after_ms(60_001).response(NGINX_502).fin(Role::Client))
}

/// The connection carried three requests before, and their answers.
pub fn used(leg: TestLeg) -> TestLeg {
    leg.with(|leg| leg.earlier_requests = 3)
}

/// A first backend became this to the proxy, a second one is not there.
pub fn then_refused(first: fn(TestLeg) -> TestLeg) -> TestSession {
    let asked = session().client_leg(|leg| leg.request(ASKED).after_ms(100).response(NGINX_502).fin(Role::Client));
    elsewhere(asked.attempt(first).attempt(TestLeg::refused))
}

/// A first backend became this to the proxy, a second one has nothing under the path.
pub fn then_not_found(first: fn(TestLeg) -> TestLeg) -> TestSession {
    let answer = "HTTP/1.1 404 Not Found\n\nCannot GET /ws";
    let asked = session().client_leg(|leg| leg.request(ASKED).after_ms(100).response(answer).fin(Role::Client));
    elsewhere(asked.attempt(first).attempt(|leg| leg.request(FORWARDED).response(answer)))
}

/// The second attempt went to another machine.
fn elsewhere(mut session: TestSession) -> TestSession {
    session.session.legs[2].server.ip = [10, 0, 0, 3].into();
    session
}

/// The server took the first bytes and closed.
pub fn hung_up(leg: TestLeg) -> TestLeg {
    leg.request(FORWARDED).fin(Role::Server)
}

/// The server answered the ClientHello with this alert.
pub fn sent_away(leg: TestLeg, alert: u8) -> TestLeg {
    leg.tls(|tls| tls.sni = Some("app.internal".into())).alert(Role::Server, alert).fin(Role::Server)
}

/// The client refused the certificate with this alert. It is for another name.
pub fn certificate(leg: TestLeg, alert: u8) -> TestLeg {
    let leg = leg.tls(|tls| tls.sni = Some("app.internal".into())).server_hello("TLS 1.2");
    let leg = leg.tls(|tls| {
        let names = vec!["old.internal".into()];
        let not_after = Some(Timestamp::from_nanos(START.as_nanos() + Duration::from_secs(86_400).as_nanos() as u64));
        tls.certificate = Some(Certificate { names, not_after, ..Certificate::default() });
    });
    leg.alert(Role::Client, alert).fin(Role::Client)
}

/// Other connections to the server of this leg begin with a PROXY header, and one of them carries plain HTTP.
pub fn others_send_a_proxy_header(session: TestSession, leg: usize) -> TestSession {
    let used = ServerUse { connections: 9, http: true, proxy_header: true, ..ServerUse::default() };
    uses(session, leg, used)
}

fn uses(session: TestSession, leg: usize, used: ServerUse) -> TestSession {
    let server = session.session.legs[leg].server;
    session.neighbours(|neighbours| _ = neighbours.servers.insert(server, used))
}

/// The rest of the head was on its way when the server hung up.
pub fn cut_off_by_a_server_that_wants_a_proxy_header() -> TestSession {
    let half = "GET /ws HTTP/1.1\r\nHost: app.example\r\n";
    others_send_a_proxy_header(session().client_leg(|leg| leg.incomplete_request(half).fin(Role::Server)), 0)
}

/// It resets everybody who comes without one.
pub fn reset_by_a_server_that_wants_a_proxy_header() -> TestSession {
    let session = session().client_leg(|leg| leg.request(ASKED).rst(Role::Server));
    let other = Ending { session: SessionId(2), ended_by: Some(Role::Server), ..ending(&session.session) };
    let session = session.neighbours(|neighbours| _ = neighbours.endings.add(&other));
    others_send_a_proxy_header(session, 0)
}

/// A health check that goes past the load balancer, in clear.
pub fn plain_where_others_send_a_proxy_header_and_tls() -> TestSession {
    let session = session().client_leg(|leg| leg.request(ASKED).fin(Role::Server));
    uses(session, 0, ServerUse { connections: 9, tls: true, proxy_header: true, ..ServerUse::default() })
}

/// The server takes the PROXY header for a bad request, and never comes to the ClientHello.
pub fn tls_behind_a_proxy_header() -> TestSession {
    let page = "HTTP/1.1 400 Bad Request\nServer: nginx/1.22.1\n\n";
    session()
        .client_leg(|leg| leg.request(ASKED).response(NGINX_502).fin(Role::Client))
        .backend_leg(|leg| leg.proxy_header(1).tls(|_| {}).response(page).fin(Role::Server))
}

/// The client's patience is shorter than that of the proxy.
pub fn left_while_the_proxy_was_connecting() -> TestSession {
    session()
        .client_leg(|leg| leg.request(ASKED).after_ms(5000).fin(Role::Client))
        .backend_leg(|leg| leg.unanswered_syn(2))
}

/// `curl -I` through a proxy whose location is not for WebSockets.
pub fn a_proxy_that_passes_no_upgrade_of_a_head() -> TestSession {
    refused_with("HTTP/1.1 405 Method Not Allowed\n\n")
        .client_leg(|leg| leg.request(&head_of(ASKED)))
        .backend_leg(|leg| leg.request(&head_of(STRIPPED)))
}

/// A test by hand: the key is no key, and the version is one that the server does not speak.
pub fn two_mistakes_by_hand() -> TestSession {
    let request = replaced(ASKED, "Sec-WebSocket-Key", "Sec-WebSocket-Key: test");
    let request = replaced(&request, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8");
    answered("HTTP/1.1 400 Bad Request\nSec-WebSocket-Version: 13\n\n").client_leg(|leg| leg.request(&request))
}

/// The key is no key, but the backend looks at Upgrade first.
pub fn a_key_that_nobody_looked_at() -> TestSession {
    let by_hand = |request: &str| replaced(request, "Sec-WebSocket-Key", "Sec-WebSocket-Key: test");
    refused_with("HTTP/1.1 400 Bad Request\n\n")
        .client_leg(|leg| leg.request(&by_hand(ASKED)))
        .backend_leg(|leg| leg.request(&by_hand(STRIPPED)))
}

/// The edge passes the request on in full, the proxy behind it does not, and has a page in place of the backend's error.
pub fn a_page_in_place_of_an_error() -> TestSession {
    let page = "HTTP/1.1 200 OK\nContent-Type: text/html\n\n<html>";
    refused_with(page).leg(2, |leg| leg.request(STRIPPED).response("HTTP/1.1 426 Upgrade Required\n\n"))
}

/// This 101 came when the client had left.
pub fn too_late(answer: &str) -> TestSession {
    let late = |leg: TestLeg| leg.request(ASKED).after_ms(1200).fin(Role::Client).response(answer);
    session().client_leg(late).outcome(Outcome::Unanswered)
}

/// A proxy that knows the answer fields of ordinary pages only.
pub fn an_answer_without_upgrade_and_extension() -> TestSession {
    let (asked, forwarded) = (with_field(ASKED, DEFLATE), with_field(FORWARDED, DEFLATE));
    session()
        .client_leg(|leg| leg.request(&asked).response(&replaced(SWITCHED, "Upgrade", "")).fin(Role::Client))
        .backend_leg(|leg| leg.request(&forwarded).response(&with_field(SWITCHED, DEFLATE)).open().fin(Role::Client))
        .outcome(Outcome::Rejected)
}

/// A server that answers everybody with this 101.
pub fn copied(answer: &str) -> TestSession {
    session().client_leg(|leg| leg.request(ASKED).response(answer).fin(Role::Client)).outcome(Outcome::Rejected)
}

/// The client leaves when it learns that nothing will be compressed.
pub fn a_client_that_insists_on_compression() -> TestSession {
    uncompressed_in_front(|leg| leg.fin(Role::Client))
}

/// The backend compresses, and the client takes that for reserved bits.
pub fn compressed_frames_that_the_client_did_not_agree_to() -> TestSession {
    uncompressed_in_front(|leg| {
        leg.violation(Role::Server, ViolationKind::ReservedBits(4)).close(Role::Client, 1002, "").fin(Role::Client)
    })
}

fn uncompressed_in_front(then: fn(TestLeg) -> TestLeg) -> TestSession {
    let (asked, forwarded) = (with_field(ASKED, DEFLATE), with_field(FORWARDED, DEFLATE));
    session()
        .client_leg(|leg| then(leg.request(&asked).response(SWITCHED).open()))
        .backend_leg(|leg| leg.request(&forwarded).response(&with_field(SWITCHED, DEFLATE)).open().fin(Role::Client))
}

/// A client that forgets its masks: four bytes too few are left out, and what follows is read askew.
pub fn frames_that_are_read_askew() -> TestSession {
    session().client_leg(|leg| {
        let leg = leg.request(ASKED).response(SWITCHED).open();
        let leg = leg.violation(Role::Client, ViolationKind::Unmasked);
        leg.violation(Role::Client, ViolationKind::ReservedOpcode(5)).close(Role::Server, 1002, "").fin(Role::Server)
    })
}

/// The client reads nothing for two seconds, and the proxy gives up.
pub fn a_proxy_that_waited_for_a_slow_reader() -> TestSession {
    let longest = Duration::from_secs(2);
    let shut = move |leg: &mut Leg| {
        let (side, now) = (leg.side(Role::Client), leg.tcp.last);
        let window = &mut leg.tcp.halves[side].zero_window;
        (window.count, window.longest, window.first, window.open) = (1, longest, Some(now), true);
    };
    let open = |leg: TestLeg| leg.response(SWITCHED).open().messages(Role::Server, 3);
    session()
        .client_leg(|leg| open(leg.request(ASKED)).with(shut))
        .backend_leg(|leg| open(leg.request(FORWARDED)).after_ms(2000).rst(Role::Client))
        .outcome(Outcome::Aborted)
}
