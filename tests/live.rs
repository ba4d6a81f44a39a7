//! Live capture, end to end: real sockets on loopback, the real program beside them. Needs CAP_NET_RAW; without it the
//! tests say that they were skipped.
#![cfg(all(feature = "live", target_os = "linux"))]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

use tungstenite::Message;

/// Whether this process may capture.
fn may_capture() -> bool {
    let may = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(false);
    if !may {
        eprintln!("SKIPPED: live capture needs CAP_NET_RAW; run the tests as root to have it tested");
    }
    may
}

/// wsflow on loopback, listening already.
fn start(port: u16, options: &[&str]) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wsflow"))
        .args(["-i", "lo", "-o", "json", "port", &port.to_string()])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("wsflow starts");
    let stderr = child.stderr.take().expect("a pipe");
    let mut lines = BufReader::new(stderr).lines();
    let first = lines.next().expect("a line before packets are captured").expect("text");
    assert!(first.starts_with("listening on lo"), "{first}");
    thread::spawn(move || lines.for_each(drop));
    child
}

/// Ends it as Ctrl-C does, and returns what it printed.
fn stop(child: Child) -> String {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    printed(child)
}

/// What it printed, once it has ended.
fn printed(child: Child) -> String {
    let output = child.wait_with_output().expect("wsflow ends");
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

/// A server that sends three messages back and is closed by its client.
fn talk(listener: TcpListener) {
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut socket = tungstenite::accept(stream).expect("a handshake");
        while let Ok(message) = socket.read() {
            if message.is_text() {
                socket.send(message).expect("sent back");
            }
        }
    });
    let (mut socket, _) = tungstenite::connect(format!("ws://127.0.0.1:{port}/live")).expect("connected");
    for text in ["one", "two", "three"] {
        socket.send(Message::text(text)).expect("sent");
        assert_eq!(socket.read().expect("an answer"), Message::text(text));
    }
    socket.close(None).expect("closed");
    while socket.read().is_ok() {}
    server.join().expect("the server ends");
}

#[test]
fn a_session_on_loopback_is_told_when_it_is_over() {
    if !may_capture() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let child = start(port, &[]);
    talk(listener);
    let printed = stop(child);
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let session = lines.iter().find(|line| line["type"] == "session").expect("a session");
    assert_eq!(session["outcome"], "closed");
    assert_eq!(session["cause"], serde_json::Value::Null);
    assert_eq!(session["target"], "/live");
    assert_eq!(session["legs"][0]["frames"]["client"]["text"], 3);
    assert_eq!(session["legs"][0]["frames"]["server"]["text"], 3);
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["loss"]["kernel"]), (&"summary".into(), &0.into()));
}

#[test]
fn a_refused_connection_that_was_asked_for_is_told() {
    if !may_capture() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener); // nobody listens there any more
    let child = start(port, &["-c", "2"]); // the SYN, and the RST that answers it
    assert!(tungstenite::connect(format!("ws://127.0.0.1:{port}/")).is_err());
    let printed = printed(child);
    assert!(printed.contains("\"cause\":\"connect-refused\""), "{printed}");
}
