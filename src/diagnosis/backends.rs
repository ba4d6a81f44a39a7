//! Backends by the exact words with which they refuse a handshake, and what these words mean.
//!
//! Most of them say plainly what they miss; some say it in the reason phrase, some in words that mean several things.

use crate::session::leg::Response;

/// What a backend complains about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Meaning {
    /// The request that reached it did not ask for an upgrade: no Upgrade, or not the right Connection.
    NotAnUpgrade,
    /// The HTTP version.
    HttpVersion,
    /// The method.
    Method,
    /// Sec-WebSocket-Key.
    Key,
    /// Sec-WebSocket-Version.
    WebSocketVersion,
    /// Sec-WebSocket-Protocol.
    Subprotocol,
    /// Sec-WebSocket-Extensions.
    Extensions,
    /// Where the page came from.
    Origin,
    /// Nothing listens under this path.
    Path,
    /// Who the client is.
    Authentication,
    /// The session that the request goes on with is not known here.
    UnknownSession,
    /// Another complaint of engine.io, by its code.
    EngineIo(u8),
    /// Too many connections.
    Busy,
    /// It is about to stop, and takes nobody any more.
    Stopping,
    /// It speaks TLS and got plaintext.
    WantsTls,
    /// It speaks plaintext and got TLS.
    GotTls,
    /// What came was no HTTP at all.
    NotHttp,
    /// It wants a client certificate.
    ClientCertificate,
    /// The request's head is too large.
    HeadTooLarge,
}

/// What an answer says about its maker and its reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The software, when the words are its own.
    pub software: Option<&'static str>,
    /// What they mean.
    pub meaning: Meaning,
}

/// Where the words stand.
#[derive(Clone, Copy)]
enum Words {
    /// The body is this and nothing else.
    Body(&'static str),
    /// The body has this somewhere.
    InBody(&'static str),
    /// The reason phrase begins with this.
    Reason(&'static str),
    /// The body is this, and there is a Sec-WebSocket-Version field.
    BodyWithVersion(&'static str),
    /// The body is this, of type text/html with the connection closed: the way of the ws library.
    BodyOfWs(&'static str),
}

use Meaning::*;
use Words::*;

/// Status (0 for any), words, software, meaning. The first row that fits counts.
const TEXTS: &[(u16, Words, Option<&str>, Meaning)] = &[
    // Whatever stands behind, these pages are about the listener.
    (400, InBody("The plain HTTP request was sent to HTTPS port"), Some("nginx"), WantsTls),
    (400, InBody("Client sent an HTTP request to an HTTPS server"), Some("Go"), WantsTls),
    (400, InBody("speaking plain HTTP to an SSL-enabled server port"), Some("Apache"), WantsTls),
    (400, InBody("Received HTTPS traffic on an HTTP port"), Some("aiohttp"), GotTls),
    (400, InBody("No required SSL certificate was sent"), Some("nginx"), ClientCertificate),
    (400, InBody("The SSL certificate error"), Some("nginx"), ClientCertificate),
    (400, InBody("Request Header Or Cookie Too Large"), Some("nginx"), HeadTooLarge),
    (400, InBody("Size of a request header field exceeds server limit"), Some("Apache"), HeadTooLarge),
    (400, InBody("bytes when reading:"), Some("aiohttp"), HeadTooLarge),
    (400, Body("Invalid HTTP request received."), Some("uvicorn"), NotHttp),
    (400, InBody("Invalid method encountered"), Some("aiohttp"), NotHttp),
    // ws, npm.
    (426, Body("Upgrade Required"), Some("ws"), NotAnUpgrade),
    (405, Body("Invalid HTTP method"), Some("ws"), Method),
    (400, Body("Invalid Upgrade header"), Some("ws"), NotAnUpgrade),
    (400, Body("Missing or invalid Sec-WebSocket-Key header"), Some("ws"), Key),
    (400, Body("Missing or invalid Sec-WebSocket-Version header"), Some("ws"), WebSocketVersion),
    (400, Body("Invalid Sec-WebSocket-Protocol header"), Some("ws"), Subprotocol),
    (400, Body("Invalid or unacceptable Sec-WebSocket-Extensions header"), Some("ws"), Extensions),
    // websocket, npm, which speaks in a field.
    (400, Body("Client must provide a value for Sec-WebSocket-Key."), Some("websocket-node"), Key),
    (400, Body("Client must provide a value for Sec-WebSocket-Version."), Some("websocket-node"), WebSocketVersion),
    (426, InBody("Unsupported websocket client version:"), Some("websocket-node"), WebSocketVersion),
    // engine.io: bare words to an upgrade request, JSON to a plain one.
    (400, Body("Session ID unknown"), Some("engine.io"), UnknownSession),
    (400, InBody("\"message\":\"Session ID unknown\""), Some("engine.io"), UnknownSession),
    (400, Body("Transport unknown"), Some("engine.io"), EngineIo(0)),
    (400, InBody("{\"code\":0,\"message\":\"Transport unknown\""), Some("engine.io"), EngineIo(0)),
    (400, Body("Bad handshake method"), Some("engine.io"), Method),
    (400, InBody("{\"code\":2,"), Some("engine.io"), Method),
    // To a request with transport=websocket this means that it came without the upgrade.
    (400, InBody("{\"code\":3,\"message\":\"Bad request\""), Some("engine.io"), NotAnUpgrade),
    (400, Body("Bad request"), Some("engine.io"), EngineIo(3)),
    (403, InBody("{\"code\":4,"), Some("engine.io"), EngineIo(4)),
    (400, Body("Unsupported protocol version"), Some("engine.io"), EngineIo(5)),
    (400, InBody("{\"code\":5,\"message\":\"Unsupported protocol version\""), Some("engine.io"), EngineIo(5)),
    // python-engineio, of python-socketio and Flask-SocketIO: JSON strings.
    (400, InBody("\"Invalid session"), Some("python-engineio"), UnknownSession),
    (400, InBody("\"Invalid transport\""), Some("python-engineio"), EngineIo(0)),
    (400, InBody("\"Invalid websocket upgrade\""), Some("python-engineio"), NotAnUpgrade),
    (400, InBody("unsupported version of the Socket.IO or Engine.IO"), Some("python-engineio"), EngineIo(5)),
    (400, InBody("an accepted origin."), Some("python-engineio"), Origin),
    // ws again: a path that it does not serve is 400 with the status as the body, not 404.
    (400, BodyOfWs("Bad Request"), Some("ws"), Path),
    // Its only 503: close() was called on the server.
    (503, BodyOfWs("Service Unavailable"), Some("ws"), Stopping),
    // gorilla: the status is all it says, but no one else sends its version field with a 403.
    (403, BodyWithVersion("Forbidden"), Some("gorilla/websocket"), Origin),
    // Go's x/net/websocket.
    (400, Body("not websocket protocol"), Some("x/net/websocket"), NotAnUpgrade),
    (400, Body("mismatch challenge/response"), Some("x/net/websocket"), Key),
    (400, Body("missing or bad WebSocket Version"), Some("x/net/websocket"), WebSocketVersion),
    (405, Body("bad method"), Some("x/net/websocket"), Method),
    (404, Body("404 page not found"), Some("Go"), Path),
    // coder/websocket.
    (426, InBody("handshake request must be at least HTTP/1.1"), Some("coder/websocket"), HttpVersion),
    (426, InBody("WebSocket protocol violation: Connection header"), Some("coder/websocket"), NotAnUpgrade),
    (426, InBody("WebSocket protocol violation: Upgrade header"), Some("coder/websocket"), NotAnUpgrade),
    (403, InBody("is not authorized for Host"), Some("coder/websocket"), Origin),
    // gobwas/ws.
    (400, InBody("handshake error: bad \"Upgrade\" header"), Some("gobwas/ws"), NotAnUpgrade),
    (400, InBody("handshake error: bad \"Connection\" header"), Some("gobwas/ws"), NotAnUpgrade),
    (400, InBody("handshake error: bad \"Sec-WebSocket-Key\" header"), Some("gobwas/ws"), Key),
    (0, InBody("handshake error: bad \"Sec-WebSocket-Version\" header"), Some("gobwas/ws"), WebSocketVersion),
    (505, InBody("handshake error: bad HTTP protocol version"), Some("gobwas/ws"), HttpVersion),
    (405, InBody("handshake error: bad HTTP request method"), Some("gobwas/ws"), Method),
    // Rust: axum, which took its first words from warp, and actix in the reason phrase.
    (400, InBody("Connection header did not include 'upgrade'"), None, NotAnUpgrade),
    (400, InBody("`Upgrade` header did not include 'websocket'"), Some("axum"), NotAnUpgrade),
    (400, InBody("`Sec-WebSocket-Version` header did not include '13'"), Some("axum"), WebSocketVersion),
    (400, InBody("`Sec-WebSocket-Key` header missing"), Some("axum"), Key),
    (400, InBody("request header \"upgrade\""), Some("warp"), NotAnUpgrade),
    (400, Reason("No WebSocket U"), Some("actix"), NotAnUpgrade),
    (400, Reason("No Connection upgrade"), Some("actix"), NotAnUpgrade),
    (400, Reason("No CONNECTION upgrade"), Some("actix"), NotAnUpgrade),
    (400, Reason("WebSocket version header is required"), Some("actix"), WebSocketVersion),
    // Netty, Boost.Beast, Mongoose, Ratchet, Workerman.
    (400, InBody("not a WebSocket handshake request: missing upgrade"), Some("Netty"), NotAnUpgrade),
    (400, InBody("not a WebSocket request: missing key"), Some("Netty"), Key),
    (0, InBody("The WebSocket handshake Connection field is missing"), Some("Boost.Beast"), NotAnUpgrade),
    (0, InBody("The WebSocket handshake Upgrade field is missing"), Some("Boost.Beast"), NotAnUpgrade),
    (0, InBody("The WebSocket handshake Sec-WebSocket-Key field is"), Some("Boost.Beast"), Key),
    (0, InBody("The WebSocket handshake Sec-WebSocket-Version field is"), Some("Boost.Beast"), WebSocketVersion),
    (426, Body("WS upgrade expected"), Some("Mongoose"), NotAnUpgrade),
    (426, Reason("Upgrade header MUST be provided"), Some("Ratchet"), NotAnUpgrade),
    (400, Reason("Connection Upgrade MUST be requested"), Some("Ratchet"), NotAnUpgrade),
    (400, InBody("Sec-WebSocket-Key not found.<br>This is a WebSocket service"), Some("Workerman"), Key),
    // Python's websockets.
    (0, InBody("missing Connection header"), Some("websockets"), NotAnUpgrade),
    (0, InBody("invalid Connection header"), Some("websockets"), NotAnUpgrade),
    (0, InBody("missing Upgrade header"), Some("websockets"), NotAnUpgrade),
    (0, InBody("invalid Upgrade header"), Some("websockets"), NotAnUpgrade),
    (400, InBody("missing Sec-WebSocket-Key header"), Some("websockets"), Key),
    (400, InBody("invalid Sec-WebSocket-Key header"), Some("websockets"), Key),
    (0, InBody("missing Sec-WebSocket-Version header"), Some("websockets"), WebSocketVersion),
    (0, InBody("invalid Sec-WebSocket-Version header"), Some("websockets"), WebSocketVersion),
    (403, InBody("missing Origin header"), Some("websockets"), Origin),
    (403, InBody("invalid Origin header"), Some("websockets"), Origin),
    (405, InBody("unsupported HTTP method"), Some("websockets"), Method),
    (505, InBody("unsupported HTTP version"), Some("websockets"), HttpVersion),
    (400, InBody("missing subprotocol"), Some("websockets"), Subprotocol),
    (400, InBody("invalid subprotocol"), Some("websockets"), Subprotocol),
    // daphne says it in the reason phrase.
    (400, Reason("HTTP Connection header missing"), Some("daphne"), NotAnUpgrade),
    (400, Reason("HTTP Connection headers do not include"), Some("daphne"), NotAnUpgrade),
    (400, Reason("HTTP Upgrade header"), Some("daphne"), NotAnUpgrade),
    (400, Reason("bad Sec-WebSocket-Key"), Some("daphne"), Key),
    (400, Reason("WebSocket connection denied - Hixie76"), Some("daphne"), WebSocketVersion),
    (400, Reason("WebSocket version"), Some("daphne"), WebSocketVersion),
    (405, Reason("HTTP method"), Some("daphne"), Method),
    (503, Reason("maximum number of connections reached"), Some("daphne"), Busy),
    // aiohttp.
    (400, InBody("No WebSocket UPGRADE hdr"), Some("aiohttp"), NotAnUpgrade),
    (400, InBody("No CONNECTION upgrade hdr"), Some("aiohttp"), NotAnUpgrade),
    (400, InBody("Handshake error:"), Some("aiohttp"), Key),
    (400, InBody("Unsupported version:"), Some("aiohttp"), WebSocketVersion),
    (404, Body("404: Not Found"), Some("aiohttp"), Path),
    // tornado, and Spring, which writes the second one with a small u.
    (400, InBody("Can \"Upgrade\" only to \"WebSocket\""), None, NotAnUpgrade),
    (400, InBody("\"Connection\" must be \"Upgrade\""), Some("tornado"), NotAnUpgrade),
    (400, InBody("\"Connection\" must be \"upgrade\""), Some("Spring"), NotAnUpgrade),
    (403, Body("Cross origin websockets not allowed"), Some("tornado"), Origin),
    (403, Body("Invalid CORS request"), Some("Spring"), Origin),
    // SignalR.
    (404, Body("No Connection with that ID"), Some("SignalR"), UnknownSession),
    // express and its like, Django.
    (404, InBody("Cannot GET /"), Some("express"), Path),
    (404, InBody("Not Found: /"), Some("Django"), Path),
    // A version that one side does not speak comes back with the list of those it does.
    (426, BodyWithVersion(""), None, WebSocketVersion),
];

/// What the words of a refusal mean; `None` when they say nothing more than the status.
pub fn read(response: &Response) -> Option<Reading> {
    let status = response.head.status;
    let body = words(response);
    TEXTS
        .iter()
        .find(|(wanted, words, ..)| (*wanted == 0 || *wanted == status) && fits(*words, body, response))
        .map(|&(_, _, software, meaning)| Reading { software, meaning })
}

/// The field of the websocket library of npm with the words of a refusal.
const REJECT_REASON: &str = "X-WebSocket-Reject-Reason";

/// What an answer says beside its status: its body, or the field that one library uses instead.
pub fn words(response: &Response) -> &str {
    match response.body.trim() {
        "" => response.head.fields.first(REJECT_REASON).unwrap_or_default(),
        body => body,
    }
}

fn fits(words: Words, body: &str, response: &Response) -> bool {
    match words {
        Body(text) => body == text,
        InBody(text) => body.contains(text),
        Reason(text) => response.head.reason().starts_with(text),
        BodyWithVersion(text) => body == text && response.head.fields.has("Sec-WebSocket-Version"),
        BodyOfWs(text) => body == text && is_ws(response),
    }
}

/// Whether the answer has the shape of the ws library's refusals: three fields, and the status as the body.
pub fn is_ws(response: &Response) -> bool {
    let fields = &response.head.fields;
    fields.has_token("Connection", "close")
        && fields.first("Content-Type") == Some("text/html")
        && fields.has("Content-Length")
        && fields.iter().all(|field| {
            ["Connection", "Content-Type", "Content-Length", "Sec-WebSocket-Version"].contains(&field.name)
        })
}

/// The backend's name, by the words of its refusal or by its Server field.
pub fn name(response: &Response) -> Option<&str> {
    if let Some(software) = read(response).and_then(|reading| reading.software) {
        return Some(software);
    }
    if is_ws(response) {
        return Some("ws");
    }
    if response.head.fields.has(REJECT_REASON) {
        return Some("websocket-node");
    }
    let server = response.head.fields.first("Server")?;
    let known = ["uvicorn", "daphne", "hypercorn", "aiohttp", "websockets", "TornadoServer", "Cowboy", "Kestrel"];
    known.into_iter().find(|known| server.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::test_session::{TestSession, answered};

    fn response(session: &TestSession) -> &Response {
        session.session.legs[0].response.as_deref().unwrap()
    }

    fn meaning(answer: &str) -> Option<Meaning> {
        read(response(&answered(answer))).map(|reading| reading.meaning)
    }

    /// The words as the backends sent them, behind nginx 1.22 and alone.
    #[test]
    fn backends_are_taken_at_their_word() {
        let cases = [
            ("HTTP/1.1 400 HTTP Connection headers do not include \"upgrade\" value\n\n", Some(NotAnUpgrade)),
            ("HTTP/1.1 400 bad Sec-WebSocket-Key (length must be 24 ASCII chars) \"test\"\n\n", Some(Key)),
            (
                "HTTP/1.1 426 x\n\nFailed to open a WebSocket connection: invalid Connection header: close.",
                Some(NotAnUpgrade),
            ),
            (
                "HTTP/1.1 400 x\n\nNo WebSocket UPGRADE hdr: None\n Can \"Upgrade\" only to \"WebSocket\".",
                Some(NotAnUpgrade),
            ),
            (
                "HTTP/1.1 426 x\n\nWebSocket protocol violation: handshake request must be at least HTTP/1.1: \"HTTP/1.0\"",
                Some(HttpVersion),
            ),
            ("HTTP/1.1 403 x\nSec-Websocket-Version: 13\n\nForbidden\n", Some(Origin)),
            ("HTTP/1.1 400 x\nSec-Websocket-Version: 13\n\nBad Request\n", None),
            ("HTTP/1.1 426 x\nSec-WebSocket-Version: 13\n\n", Some(WebSocketVersion)),
            ("HTTP/1.1 400 x\n\nBad Request", None),
            ("HTTP/1.1 404 x\n\nNo Connection with that ID", Some(UnknownSession)),
            ("HTTP/1.1 400 x\n\nConnection ID required", None),
            ("HTTP/1.1 500 x\n\nInternal Server Error", None),
        ];
        for (answer, expected) in cases {
            assert_eq!(meaning(answer), expected, "{answer:?}");
        }
    }

    /// A row that an earlier one hides would never be read.
    #[test]
    fn no_row_is_hidden_by_another() {
        for (status, words, _, expected) in TEXTS {
            let status = if *status == 0 { 426 } else { *status };
            let answer = match words {
                Body(text) | InBody(text) => format!("HTTP/1.1 {status} x\n\n{text}"),
                Reason(text) => format!("HTTP/1.1 {status} {text}\n\n"),
                BodyWithVersion(text) => format!("HTTP/1.1 {status} x\nSec-WebSocket-Version: 13\n\n{text}"),
                BodyOfWs(text) => format!(
                    "HTTP/1.1 {status} x\nConnection: close\nContent-Type: text/html\nContent-Length: 9\n\n{text}"
                ),
            };
            assert_eq!(meaning(&answer), Some(*expected), "{answer:?}");
        }
    }

    #[test]
    fn the_ws_library_is_known_by_its_three_fields() {
        let shape = "HTTP/1.1 401 Unauthorized\nConnection: close\nContent-Type: text/html\nContent-Length: 12\n";
        assert!(is_ws(response(&answered(&format!("{shape}\nUnauthorized")))));
        assert!(!is_ws(response(&answered(&format!("{shape}Server: x\n\nUnauthorized")))));
        assert_eq!(name(response(&answered("HTTP/1.1 500 x\nServer: uvicorn\n\n"))), Some("uvicorn"));
    }
}
