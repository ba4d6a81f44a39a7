//! What guides on the internet say when a WebSocket fails behind nginx: the messages that people paste, the causes and the
//! steps they are sent through. Each with a capture in which it is so, and what is said of it. Some of the advice is wrong;
//! what it does on the wire is recognised too.

use wsflow::script::{Script, binary, close, ping, pong, switching_protocols, text};
use wsflow::session::Outcome;

use super::judge;

const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 7], 40_001);
const NGINX: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
const DIAL: ([u8; 4], u16) = ([10, 0, 0, 1], 50_001);
const BACKEND: ([u8; 4], u16) = ([10, 0, 0, 9], 9000);

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A request line and fields, and the rest of an opening handshake.
fn request(line: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{line}\r\nHost: app.example\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n")
}

const UPGRADE: &[&str] = &["Upgrade: websocket", "Connection: Upgrade"];

fn asked() -> String {
    request("GET /ws/chat?token=1 HTTP/1.1", UPGRADE)
}

/// nginx's page for this status.
fn page(status: &str) -> String {
    let body = format!("<html><center><h1>{status}</h1></center>\r\n<hr><center>nginx/1.22.1</center></html>\r\n");
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nServer: nginx/1.22.1\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The client asks nginx.
fn client_asks(asked: &str) -> Script {
    Script::new().leg(CLIENT, NGINX).request(asked)
}

/// nginx passes it on as this.
fn passed_on(asked: &str, forwarded: &str) -> Script {
    client_asks(asked).leg(DIAL, BACKEND).request(forwarded)
}

/// The backend refuses what nginx made of the request, and nginx passes that on.
fn refused(asked: &str, forwarded: &str, said: &str) -> Script {
    let script = passed_on(asked, forwarded).response(said).client_fin().server_fin();
    script.leg(CLIENT, NGINX).response(said).client_fin().server_fin()
}

/// A WebSocket through nginx, open on both legs.
fn opened(asked: &str) -> Script {
    let script = passed_on(asked, asked).response(switching_protocols(KEY));
    script.leg(CLIENT, NGINX).response(switching_protocols(KEY))
}

/// The client says this on its leg, nginx on the other.
fn both(script: Script, say: impl Fn(Script) -> Script) -> Script {
    say(say(script.leg(CLIENT, NGINX)).leg(DIAL, BACKEND))
}

fn closed(script: Script) -> Script {
    let script = both(script, |leg| leg.client(close(1000)));
    let script = script.leg(DIAL, BACKEND).server(close(1000)).server_fin().client_fin();
    script.leg(CLIENT, NGINX).server(close(1000)).server_fin().client_fin()
}

fn stripped(status: &str) -> Script {
    let forwarded = request("GET /ws/chat?token=1 HTTP/1.0", &["Connection: close"]);
    refused(&asked(), &forwarded, &answer(status, "no"))
}

fn idle(seconds: u64) -> Script {
    let script = both(opened(&asked()), |leg| leg.client(text("hello"))).after_ms(seconds * 1000);
    let script = script.leg(DIAL, BACKEND).client_fin().leg(CLIENT, NGINX).server_fin();
    script.client_fin().leg(DIAL, BACKEND).server_fin()
}

fn premature_close() -> Script {
    let script = passed_on(&asked(), &asked()).after_ms(5).server_fin().client_fin();
    script.leg(CLIENT, NGINX).response(page("502 Bad Gateway")).client_fin().server_fin()
}

fn http10() -> Script {
    let forwarded = request("GET /ws/chat?token=1 HTTP/1.0", UPGRADE);
    refused(&asked(), &forwarded, &answer("505 HTTP Version Not Supported", "unsupported HTTP version: HTTP/1.0."))
}

fn too_big() -> Script {
    let script = both(opened(&asked()), |leg| leg.client(binary(vec![1; 300_000])));
    let script = script.leg(DIAL, BACKEND).server(close(1009)).leg(CLIENT, NGINX).server(close(1009));
    let script = both(script, |leg| leg.client(close(1009)));
    script.leg(DIAL, BACKEND).server_fin().client_fin().leg(CLIENT, NGINX).server_fin().client_fin()
}

fn large_frames_pass() -> Script {
    closed(both(opened(&asked()), |leg| leg.client(binary(vec![1; 300_000])).server(text("got it"))))
}

fn redirected() -> Script {
    let to_https = "HTTP/1.1 301 Moved Permanently\r\nServer: nginx/1.22.1\r\nLocation: https://app.example/ws/chat\r\n\
        Content-Length: 0\r\n\r\n";
    client_asks(&asked()).response(to_https).client_fin().server_fin()
}

fn refused_connection() -> Script {
    let script = client_asks(&asked()).leg(DIAL, BACKEND).refused();
    script.leg(CLIENT, NGINX).response(page("502 Bad Gateway")).client_fin().server_fin()
}

fn page_instead() -> Script {
    refused(&asked(), &asked(), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
}

fn connection_close() -> Script {
    let forwarded = request("GET /ws/chat?token=1 HTTP/1.1", &["Upgrade: websocket", "Connection: close"]);
    refused(&asked(), &forwarded, &answer("426 Upgrade Required", "Upgrade Required"))
}

/// `proxy_read_timeout 0`.
fn timeout_of_zero() -> Script {
    let script = passed_on(&asked(), &asked()).client_fin();
    script.leg(CLIENT, NGINX).response(page("504 Gateway Time-out")).client_fin().server_fin()
}

/// `curl` with the key `test`.
fn key_test() -> Script {
    let asked = asked().replace(KEY, "test").replace("\r\n\r\n", "\r\nUser-Agent: curl/8.5.0\r\n\r\n");
    refused(&asked, &asked, &answer("400 Bad Request", "invalid Sec-WebSocket-Key header: test."))
}

/// `curl -I`.
fn head_request() -> Script {
    let asked = request(
        "HEAD /ws/chat?token=1 HTTP/1.1",
        &["Upgrade: websocket", "Connection: Upgrade", "User-Agent: curl/8.5.0"],
    );
    refused(&asked, &asked, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
}

fn other_case() -> Script {
    closed(both(
        opened(&request("GET /ws/chat?token=1 HTTP/1.1", &["UPGRADE: WebSocket", "connection: upgrade"])),
        |leg| leg.client(text("hello")).server(text("hello")),
    ))
}

/// `location /ws/` with `proxy_pass http://backend/`.
fn trailing_slash() -> Script {
    refused(&asked(), &asked().replace("/ws/chat", "/chat"), &answer("404 Not Found", "Cannot GET /chat"))
}

/// A regular expression as location, and `proxy_pass http://backend/$1`.
fn regex_location() -> Script {
    refused(&asked(), &asked().replace("?token=1", ""), &answer("401 Unauthorized", "token missing"))
}

/// A name in a `proxy_pass` with variables, and no resolver.
fn no_resolver() -> Script {
    client_asks(&asked()).response(page("502 Bad Gateway")).client_fin().server_fin()
}

fn wrong_accept() -> Script {
    let answer = switching_protocols("AAAAAAAAAAAAAAAAAAAAAA==");
    let script = passed_on(&asked(), &asked()).response(&answer).leg(CLIENT, NGINX).response(&answer);
    script.client_fin().server_fin().leg(DIAL, BACKEND).client_fin().server_fin()
}

fn still_open() -> Script {
    both(opened(&asked()), |leg| leg.client(text("hello")).server(text("hello")))
}

fn an_hour_with_pings() -> Script {
    (0..120).fold(opened(&asked()), |script, n| {
        both(script.after_ms(30_000), |leg| leg.server(ping(format!("{n}"))).client(pong(format!("{n}"))))
    })
}

/// Where it stands, the capture, the cause that is named, and what the verdict must say.
type Row = (&'static str, fn() -> Script, Option<&'static str>, &'static str);

const ROWS: &[Row] = &[
    // The messages.
    ("message: Unexpected response code: 400", || stripped("400 Bad Request"), Some("upgrade-headers-stripped"), "400"),
    ("message: upstream prematurely closed connection", premature_close, Some("upstream-premature-close"), "FIN"),
    // nginx has no such message: it never looks. The request behind it tells.
    (
        "message: no \"Upgrade\" header",
        || stripped("426 Upgrade Required"),
        Some("upgrade-headers-stripped"),
        "10.0.0.1:80",
    ),
    // In a tunnel nginx says this at level info only.
    ("message: upstream timed out (110)", || idle(60), Some("idle-timeout"), "60 s"),
    // The causes.
    ("cause: missing upgrade headers", || stripped("404 Not Found"), Some("upgrade-headers-stripped"), "404"),
    ("cause: HTTP version", http10, Some("upstream-http10"), "HTTP/1.0"),
    ("cause: timeout too short", || idle(5), Some("idle-timeout"), "an idle timer of 5 s"),
    // A large frame that fails does so for the backend's limit, never for nginx's buffers.
    ("cause: buffers", too_big, Some("message-too-big"), "300000 bytes"),
    ("cause: SSL termination", redirected, Some("redirected"), "https"),
    ("cause: the backend is down", refused_connection, Some("upstream-refused"), "10.0.0.9:9000"),
    ("cause: the backend has no WebSocket", page_instead, Some("upgrade-ignored"), "200"),
    // The steps.
    ("step 1: what nginx really sends", connection_close, Some("connection-header-replaced"), "close"),
    ("step 2: both headers set", || closed(still_open()), None, "closed normally by the client"),
    ("step 3: proxy_read_timeout 0", timeout_of_zero, Some("upstream-response-timeout"), "not to never"),
    ("step 4: buffers do not touch frames", large_frames_pass, None, "closed normally"),
    ("step 5: return 301", redirected, Some("redirected"), "301"),
    ("step 6: curl with the key test", key_test, Some("invalid-websocket-key"), "curl"),
    ("step 7: a handshake that is right", still_open, None, "still open"),
    ("step 8: upper and lower case do not matter", other_case, None, "closed normally"),
    ("step 9: trailing slash", trailing_slash, Some("path-rewritten"), "/chat"),
    ("step 9: regex location", regex_location, Some("query-lost"), "query"),
    ("step 9: a name without a resolver", no_resolver, Some("upstream-not-dialled"), "502"),
    ("step 10: curl -I", head_request, Some("wrong-method"), "HEAD"),
    // The checklist, and how to verify.
    ("check: HTTP version", http10, Some("upstream-http10"), "505"),
    ("check: Upgrade set", || stripped("400 Bad Request"), Some("upgrade-headers-stripped"), "Upgrade"),
    ("check: Connection set", connection_close, Some("connection-header-replaced"), "Connection"),
    ("check: timeouts suffice", an_hour_with_pings, None, "still open after 60 min"),
    ("check: the backend works", refused_connection, Some("upstream-refused"), "refused"),
    ("check: the handshake gives 101", wrong_accept, Some("accept-mismatch"), "Sec-WebSocket-Accept"),
    ("verify: connected", still_open, None, "1 message each way"),
];

#[test]
fn every_row_has_its_answer() {
    for (row, script, cause, says) in ROWS {
        let judged = judge(&script());
        let (session, diagnosis) = judged.only();
        let ids: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), *cause, "{row}: {ids:?}");
        let verdict = diagnosis.verdict(session);
        assert!(verdict.contains(says), "{row}: {verdict:?}");
        if cause.is_none() {
            assert_eq!(judged.alarms(), [""; 0], "{row}");
        }
    }
}

#[test]
fn a_timer_of_zero_is_mended_by_a_time() {
    let judged = judge(&timeout_of_zero());
    let fix = &judged.only().1.findings[0].fix;
    assert!(fix.contains("proxy_read_timeout"), "{fix}");
}

#[test]
fn live_tunnels_are_listed_as_open() {
    assert_eq!(judge(&still_open()).only().0.outcome, Outcome::Open);
}
