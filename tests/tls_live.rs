//! TLS live, end to end: curl, Python, Node and Chromium talk through nginx to a WebSocket, in a network of their own,
//! while wsflow captures and follows their key log. Needs root; what is not installed is said to be skipped.
#![cfg(all(feature = "live", target_os = "linux"))]
#![expect(clippy::disallowed_methods, reason = "what takes time is measured with a clock")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::handshake::server::{Request, Response};

/// Ports of nginx: TLS 1.2 alone, TLS 1.3 alone.
const VERSIONS: [(&str, u16); 2] = [("TLS 1.2", 8442), ("TLS 1.3", 8443)];
const BACKEND: u16 = 9000;
/// A page and its browser need some seconds on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

const NGINX: &str = r#"
user root; daemon off; worker_processes 1; pid FOLDER/nginx.pid; error_log FOLDER/error.log;
events {}
http {
    access_log off; client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f;
    uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
    ssl_certificate FOLDER/cert.pem; ssl_certificate_key FOLDER/key.pem;
    server { listen 8442 ssl; ssl_protocols TLSv1.2; include FOLDER/locations; }
    server { listen 8443 ssl; ssl_protocols TLSv1.3; include FOLDER/locations; }
}
"#;

const LOCATIONS: &str = r#"
location /ws {
    proxy_pass http://127.0.0.1:9000;
    proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
}
location /bare { proxy_pass http://127.0.0.1:9000; }
"#;

const PYTHON: &str = r#"
import asyncio, ssl, sys, websockets
async def main():
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    async with websockets.connect(sys.argv[1], ssl=tls, compression=None) as socket:
        for text in ("one", "two"):
            await socket.send(text)
            assert await socket.recv() == text
asyncio.run(main())
"#;

/// Node before version 22 has no WebSocket: a small one on its TLS.
const NODE: &str = r#"
const tls = require('tls'), url = new URL(process.argv[2]);
const frame = (opcode, payload) => Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
const said = ['one', 'two'];
const socket = tls.connect({ host: url.hostname, port: url.port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }, () =>
  socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    'Sec-WebSocket-Key: bm9kZSBub2RlIG5vZGUgIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'));
socket.on('data', () => {
  if (said.length) return socket.write(frame(1, Buffer.from(said.shift())));
  if (!socket.leaving) { socket.leaving = true; socket.write(frame(8, Buffer.from([3, 232]))); }
});
socket.on('end', () => process.exit(0));
setTimeout(() => process.exit(1), 20000);
"#;

const PAGE: &str = r#"<!doctype html><script>
const said = ['one', 'two'], socket = new WebSocket('URL');
const next = () => said.length ? socket.send(said.shift()) : socket.close(1000);
socket.onopen = socket.onmessage = next;
</script>"#;

#[test]
fn clients_that_write_key_logs_are_read_through_nginx() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    // Processes of its own, too: when it ends, all that it has started ends.
    const OWN: [&str; 4] = ["-n", "-p", "-f", "--mount-proc"];
    let network = root && Command::new("unshare").args(OWN).arg("true").status().is_ok_and(|status| status.success());
    if !network || !is_installed("nginx") || !is_installed("openssl") {
        let required = std::env::var_os("WSFLOW_LIVE").is_some_and(|value| value == "required");
        assert!(!(required && network), "TLS live needs root, a network namespace, nginx and openssl");
        eprintln!("SKIPPED: TLS live needs root, a network namespace, nginx and openssl");
        return;
    }
    let this = std::env::current_exe().expect("this test");
    let status = Command::new("unshare")
        .args(OWN)
        .args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(this)
        .args(["--exact", "in_a_network_of_its_own", "--ignored", "--nocapture"])
        .env_remove("SSLKEYLOGFILE")
        .status();
    assert!(status.expect("unshare runs").success());
}

#[test]
#[ignore = "the test above runs it, in a network of its own"]
fn in_a_network_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    // The program reads the key log without root's rights.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let keys = folder.path().join("keys");
    let finished = backend();
    let _nginx = nginx(folder.path());
    let mut wsflow = Command::new(env!("CARGO_BIN_EXE_wsflow"))
        .args(["-i", "lo", "-o", "json", "--keylog"])
        .arg(&keys)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .expect("wsflow starts");
    let mut said = BufReader::new(wsflow.0.stderr.take().expect("a pipe"));
    let mut first = String::new();
    said.read_line(&mut first).expect("text");
    assert!(first.starts_with("listening on lo"), "{first}");

    let mut expected = Vec::new();
    for (version, port) in VERSIONS {
        for client in ["curl", "python", "node", "chromium"] {
            let target = format!("/ws?{client}={port}");
            let url = format!("wss://127.0.0.1:{port}{target}");
            let Some(running) = talk(client, &url, folder.path(), &keys) else {
                eprintln!("SKIPPED: {client} is not installed");
                continue;
            };
            let over = finished.recv_timeout(PATIENCE);
            assert_eq!(over.as_deref(), Ok(&*target), "{client} with {version} has talked");
            drop(running);
            expected.push((client, version, target));
        }
        let target = format!("/bare?curl={port}");
        if talk("curl", &format!("wss://127.0.0.1:{port}{target}"), folder.path(), &keys).is_some() {
            expected.push(("stripped", version, target));
        }
    }
    assert!(expected.len() >= 2, "at least one client of each version");

    let printed = stop(wsflow);
    for (client, version, target) in expected {
        let mut sessions = printed.iter().filter(|line| line["type"] == "session" && line["target"] == *target);
        let session = sessions.next().unwrap_or_else(|| panic!("{client} with {version}: {target}"));
        assert!(sessions.next().is_none(), "once: {target}");
        check(client, version, session);
    }
    let summary = printed.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["loss"]["kernel"]), (&"summary".into(), &0.into()));
}

/// What must be known of a session of this client.
fn check(client: &str, version: &str, session: &Value) {
    let front = &session["legs"][0];
    assert_eq!(front["tls"]["version"], version, "{session}");
    assert_eq!(front["tls"]["decrypted_by"], "keylog", "{session}");
    assert_eq!(session["legs"].as_array().map(Vec::len), Some(2), "{session}");
    assert_eq!(session["legs"][1]["joined_by"], "key", "{session}");
    match client {
        "stripped" => assert_eq!(session["cause"], "upgrade-headers-stripped", "{session}"),
        "curl" => assert_eq!(front["response"]["status"], 101, "{session}"),
        _ => {
            assert_eq!((&session["outcome"], &session["cause"]), (&"closed".into(), &Value::Null), "{session}");
            for leg in [front, &session["legs"][1]] {
                for side in ["client", "server"] {
                    assert_eq!(leg["frames"][side]["text"], 2, "{side}: {session}");
                    assert_eq!(leg["frames"][side]["close"], 1, "{side}: {session}");
                }
            }
        }
    }
}

/// Lets a client open a WebSocket, say two messages, and close; `None` when there is no such client. A browser stays.
fn talk(client: &str, url: &str, folder: &Path, keys: &Path) -> Option<Running> {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("room");
        path
    };
    let mut command = match client {
        // It has no frames to say, and takes a 101 for an answer that goes on: longer than a busy machine needs for one.
        "curl" => {
            let mut curl = Command::new("curl");
            let headers = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
            curl.args(["-s", "-k", "-N", "--http1.1", "-m", "5"]).args(headers.iter().flat_map(|line| ["-H", line]));
            curl.args(["-H", "Sec-WebSocket-Key: Y3VybCBjdXJsIGN1cmwgIQ=="]).arg(url.replace("wss:", "https:"));
            curl
        }
        "python" => {
            if !Command::new("/usr/bin/python3")
                .args(["-c", "import websockets"])
                .output()
                .is_ok_and(|output| output.status.success())
            {
                return None;
            }
            let mut python = Command::new("/usr/bin/python3");
            python.arg(file("client.py", PYTHON)).arg(url);
            python
        }
        "node" => {
            let mut node = Command::new("node");
            node.arg(format!("--tls-keylog={}", keys.display())).arg(file("client.js", NODE)).arg(url);
            node
        }
        _ => {
            let page = file("page.html", &PAGE.replace("URL", url));
            let profile = tempfile::tempdir_in(folder).expect("a folder");
            let mut chromium = Command::new("chromium");
            chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
            chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
            chromium.args(["--disable-dev-shm-usage", "--no-proxy-server", "--ignore-certificate-errors"]);
            chromium.arg(format!("--user-data-dir={}", profile.keep().display()));
            chromium.arg(format!("file://{}", page.display()));
            chromium
        }
    };
    if !is_installed(&command.get_program().to_string_lossy()) {
        return None;
    }
    command.env("SSLKEYLOGFILE", keys).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("it starts"));
    if client != "chromium" {
        let status = running.0.wait().expect("it ends");
        assert!(client == "curl" || status.success(), "{client}: {status}");
    }
    Some(running)
}

/// A WebSocket server that sends text back, and tells the target of each session that is over.
fn backend() -> Receiver<String> {
    let (over, finished) = channel();
    let listener = TcpListener::bind(("127.0.0.1", BACKEND)).expect("a port of this network");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let over = over.clone();
            thread::spawn(move || {
                let mut target = String::new();
                #[expect(clippy::result_large_err, reason = "the callback is not ours")]
                let note = |request: &Request, response: Response| {
                    target = request.uri().to_string();
                    Ok(response)
                };
                let Ok(mut socket) = tungstenite::accept_hdr(stream, note) else { return };
                while let Ok(message) = socket.read() {
                    if message.is_text() && socket.send(message).is_err() {
                        break;
                    }
                }
                let _ = over.send(target);
            });
        }
    });
    finished
}

fn nginx(folder: &Path) -> Running {
    let path = |text: &str| text.replace("FOLDER", &folder.display().to_string());
    fs::write(folder.join("locations"), LOCATIONS).expect("room");
    fs::write(folder.join("nginx.conf"), path(NGINX)).expect("room");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=127.0.0.1", "-keyout", &path("FOLDER/key.pem"), "-out", &path("FOLDER/cert.pem")])
        .output()
        .expect("openssl runs");
    assert!(made.status.success());
    let nginx = Command::new("nginx").args(["-p", &path("FOLDER"), "-c", &path("FOLDER/nginx.conf")]).spawn();
    let nginx = Running(nginx.expect("nginx starts"));
    let begun = Instant::now();
    while VERSIONS.iter().any(|(_, port)| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
        assert!(begun.elapsed() < PATIENCE, "nginx listens");
        thread::sleep(Duration::from_millis(20));
    }
    nginx
}

/// Ends the capture as Ctrl-C does.
fn stop(mut wsflow: Running) -> Vec<Value> {
    let killed = Command::new("kill").args(["-INT", &wsflow.0.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let mut printed = String::new();
    wsflow.0.stdout.take().expect("a pipe").read_to_string(&mut printed).expect("UTF-8");
    assert!(wsflow.0.wait().expect("it ends").success());
    printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn is_installed(program: &str) -> bool {
    program.starts_with('/')
        || Command::new("sh")
            .args(["-c", "command -v \"$0\"", program])
            .output()
            .is_ok_and(|output| output.status.success())
}

/// A program that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
