//! A real nginx in front of a real WebSocket backend, real clients, and wsflow that captures beside them: all in a network
//! namespace of their own. Needs root, nginx and Python with its websockets (Debian: `nginx python3-websockets iproute2`);
//! without them the test says that it was skipped, or fails where `WSFLOW_LIVE=required` says that it must run.
#![cfg(all(feature = "live", target_os = "linux"))]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tungstenite::Message;

/// A backend that sends every message back.
const BACKEND: &str = "
import asyncio, websockets
async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)
async def main():
    async with websockets.serve(echo, '127.0.0.1', 9001, ping_interval=None):
        print('ready', flush=True)
        await asyncio.Future()
asyncio.run(main())
";

/// The proxy, right and wrong in four ways.
const PROXY: &str = "
user root;
worker_processes 1;
pid FOLDER/nginx.pid;
error_log FOLDER/error.log;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    proxy_http_version 1.1;
    server { # as it should be
        listen 127.0.0.1:8081;
        location / {
            proxy_pass http://127.0.0.1:9001;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
    server { # without the two lines that matter
        listen 127.0.0.1:8082;
        location / { proxy_pass http://127.0.0.1:9001; }
    }
    server { # nobody listens behind it
        listen 127.0.0.1:8083;
        location / {
            proxy_pass http://127.0.0.1:9002;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
    server { # nobody is there at all
        listen 127.0.0.1:8085;
        location / {
            proxy_pass http://10.9.0.2:9001;
            proxy_connect_timeout 2s;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
    server { # with little patience
        listen 127.0.0.1:8084;
        location / {
            proxy_pass http://127.0.0.1:9001;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 2s;
        }
    }
}
";

/// Why this cannot run here.
fn missing() -> Option<&'static str> {
    let works = |program: &str, arguments: &[&str]| {
        let run = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    let needs: [(&str, &[&str], &str); 4] = [
        ("unshare", &["--net", "true"], "a network namespace of its own needs root"),
        ("ip", &["-V"], "there is no ip (iproute2)"),
        ("nginx", &["-v"], "there is no nginx"),
        ("/usr/bin/python3", &["-c", "import websockets"], "there is no websockets for Python"),
    ];
    needs.into_iter().find(|(program, arguments, _)| !works(program, arguments)).map(|(.., why)| why)
}

/// This test binary once more, in a namespace of its own: what it starts stays there.
#[test]
fn behind_a_real_proxy() {
    if let Some(why) = missing() {
        assert_ne!(std::env::var("WSFLOW_LIVE").as_deref(), Ok("required"), "{why}");
        eprintln!("SKIPPED: a capture beside nginx: {why}");
        return;
    }
    let own = std::env::current_exe().expect("a test has a name");
    let inner = ["--exact", "in_a_namespace_of_its_own", "--ignored", "--nocapture"];
    let output = Command::new("unshare").arg("--net").arg(own).args(inner).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What is started, and ended again.
struct Processes {
    folder: tempfile::TempDir,
    backend: Child,
}

impl Processes {
    fn start() -> Processes {
        // Loopback, and a wire to an address where nobody answers.
        for words in [
            "link set lo up",
            "link add wire type veth peer name nowhere",
            "address add 10.9.0.1/24 dev wire",
            "link set wire up",
            "link set nowhere up",
            "neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev wire",
        ] {
            let set = Command::new("ip").args(words.split(' ')).status().expect("ip runs");
            assert!(set.success(), "{words}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut backend = Command::new("/usr/bin/python3")
            .args(["-c", BACKEND])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let mut ready = String::new();
        let mut stdout = BufReader::new(backend.stdout.take().expect("a pipe"));
        stdout.read_line(&mut ready).expect("the backend speaks");
        assert_eq!(ready.trim(), "ready");
        let processes = Processes { folder, backend };
        let config = processes.file("nginx.conf");
        std::fs::write(&config, PROXY.replace("FOLDER", &processes.folder.path().display().to_string())).expect("room");
        // It listens when it has gone to the background.
        let started = Command::new("nginx").arg("-p").arg(processes.folder.path()).arg("-c").arg(config).status();
        assert!(started.expect("nginx starts").success());
        processes
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        let _ = self.backend.kill();
        let _ = self.backend.wait();
        if let Ok(pid) = std::fs::read_to_string(self.file("nginx.pid")) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

fn wsflow(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsflow"));
    command.args(["-o", "json"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The sessions in what was printed, by their number.
fn sessions(printed: &[u8]) -> Vec<Value> {
    let printed = std::str::from_utf8(printed).expect("UTF-8");
    let lines = printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let mut sessions: Vec<Value> = lines.filter(|line: &Value| line["type"] == "session").collect();
    sessions.sort_by_key(|session| session["id"].as_u64());
    sessions
}

/// Five clients, each at a proxy of its own.
fn clients() {
    let url = |port: u16| format!("ws://127.0.0.1:{port}/ws");
    assert!(tungstenite::connect(url(8085)).is_err());
    let (mut socket, _) = tungstenite::connect(url(8081)).expect("this one works");
    socket.send(Message::text("hello")).expect("sent");
    assert_eq!(socket.read().expect("sent back"), Message::text("hello"));
    socket.close(None).expect("closed");
    while socket.read().is_ok() {}
    drop(socket);
    assert!(tungstenite::connect(url(8082)).is_err());
    assert!(tungstenite::connect(url(8083)).is_err());
    let (mut socket, _) = tungstenite::connect(url(8084)).expect("this one opens");
    socket.send(Message::text("hello")).expect("sent");
    assert_eq!(socket.read().expect("sent back"), Message::text("hello"));
    assert!(socket.read().is_err(), "the proxy has no more patience");
}

#[test]
#[ignore = "runs in a namespace, which the other test makes"]
fn in_a_namespace_of_its_own() {
    let processes = Processes::start();
    let recorded = processes.file("recorded.pcapng");
    let mut capture = wsflow(&["-i", "lo", "-i", "wire", "-w", &recorded.display().to_string(), "tcp"])
        .spawn()
        .expect("wsflow starts");
    let mut stderr = BufReader::new(capture.stderr.take().expect("a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("it speaks");
    assert!(said.starts_with("listening on lo"), "{said}");
    stderr.read_line(&mut said).expect("it speaks");
    assert!(said.contains("listening on wire"), "{said}");
    clients();
    let id = capture.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    let output = capture.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let live = sessions(&output.stdout);
    assert_named(&live);
    assert_eq!(live, read(&recorded), "what was recorded says the same");
}

/// Each cause by its name, and both legs of each.
fn assert_named(live: &[Value]) {
    let expected = [
        (8085, "rejected", Some("upstream-connect-timeout")),
        (8081, "closed", None),
        (8082, "rejected", Some("upgrade-headers-stripped")),
        (8083, "rejected", Some("upstream-refused")),
        (8084, "aborted", Some("idle-timeout")),
    ];
    let found: Vec<_> = live
        .iter()
        .map(|session| {
            let port = session["legs"][0]["server"]["port"].as_u64().expect("a port");
            (port, session["outcome"].as_str().expect("an outcome"), session["cause"].as_str())
        })
        .collect();
    assert_eq!(found, expected);
    for session in live {
        assert_eq!(session["legs"].as_array().map(Vec::len), Some(2), "{session}");
    }
}

fn read(file: &Path) -> Vec<Value> {
    let output = wsflow(&["-r", &file.display().to_string()]).output().expect("wsflow runs");
    assert!(output.status.success(), "{output:?}");
    sessions(&output.stdout)
}
