//! Live capture, end to end: real sockets on loopback, the real program beside them. Needs CAP_NET_RAW; without it the
//! tests say that they were skipped.
#![cfg(all(feature = "live", target_os = "linux"))]

use std::io::{BufRead, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use serde_json::Value;
use tungstenite::Message;

/// Whether this process may capture.
fn may_capture() -> bool {
    let may = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(false);
    if !may {
        eprintln!("SKIPPED: live capture needs CAP_NET_RAW; run the tests as root to have it tested");
    }
    may
}

/// wsflow at work.
struct Capture {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Capture {
    /// On loopback, listening already.
    fn start(port: u16, options: &[&str]) -> Capture {
        Capture::run(Command::new(env!("CARGO_BIN_EXE_wsflow")), port, options)
    }

    fn run(mut command: Command, port: u16, options: &[&str]) -> Capture {
        let mut child = command
            .args(["-i", "lo", "-o", "json", "port", &port.to_string()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("wsflow starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut capture = Capture { child, stderr };
        let first = capture.said();
        assert!(first.starts_with("listening on "), "{first}");
        capture
    }

    /// The next line on standard error.
    fn said(&mut self) -> String {
        self.stderr.next().expect("one more line").expect("text")
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
    }

    /// Ends it as Ctrl-C does, and returns what it printed.
    fn stop(self) -> Vec<Value> {
        self.signal("-INT");
        self.printed(0).0
    }

    /// What it printed once it has ended with this status, and what it said last.
    fn printed(mut self, status: i32) -> (Vec<Value>, String) {
        let stdout = self.child.stdout.take().expect("a pipe");
        let printed = BufReader::new(stdout).lines();
        let printed =
            printed.map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("a line of JSON")).collect();
        let said: Vec<String> = self.stderr.map(|line| line.expect("text")).collect();
        let said = said.join("\n");
        assert_eq!(self.child.wait().expect("wsflow ends").code(), Some(status), "{said}");
        (printed, said)
    }
}

/// A port nobody else has.
fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    (listener, port)
}

/// A server that sends three messages back and is closed by its client; for each of these targets.
fn talk(listener: TcpListener, targets: &[&str]) {
    let port = listener.local_addr().expect("bound").port();
    let count = targets.len();
    let server = thread::spawn(move || {
        for _ in 0..count {
            let (stream, _) = listener.accept().expect("a client");
            let mut socket = tungstenite::accept(stream).expect("a handshake");
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    socket.send(message).expect("sent back");
                }
            }
        }
    });
    for target in targets {
        let (mut socket, _) = tungstenite::connect(format!("ws://127.0.0.1:{port}{target}")).expect("connected");
        for text in ["one", "two", "three"] {
            socket.send(Message::text(text)).expect("sent");
            assert_eq!(socket.read().expect("an answer"), Message::text(text));
        }
        socket.close(None).expect("closed");
        while socket.read().is_ok() {}
    }
    server.join().expect("the server ends");
}

fn sessions(printed: &[Value]) -> Vec<&Value> {
    printed.iter().filter(|line| line["type"] == "session").collect()
}

/// What wsflow says of a file.
fn read(file: &Path) -> Vec<Value> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_wsflow")).args(["-o", "json", "-r"]).arg(file).output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    printed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// A file that others read as well: tshark, where there is one.
fn assert_whole(file: &Path) {
    match Command::new("tshark").args(["-n", "-r"]).arg(file).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => eprintln!("SKIPPED: no tshark to open {} with", file.display()),
    }
}

#[test]
fn a_session_on_loopback_is_told_when_it_is_over() {
    if !may_capture() {
        return;
    }
    let (listener, port) = listen();
    let capture = Capture::start(port, &[]);
    talk(listener, &["/live"]);
    let printed = capture.stop();
    let session = sessions(&printed)[0];
    assert_eq!(session["outcome"], "closed");
    assert_eq!(session["cause"], Value::Null);
    assert_eq!(session["target"], "/live");
    assert_eq!(session["legs"][0]["frames"]["client"]["text"], 3);
    assert_eq!(session["legs"][0]["frames"]["server"]["text"], 3);
    let summary = printed.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["loss"]["kernel"]), (&"summary".into(), &0.into()));
}

#[test]
fn a_refused_connection_that_was_asked_for_is_told() {
    if !may_capture() {
        return;
    }
    let (listener, port) = listen();
    drop(listener); // nobody listens there any more
    let capture = Capture::start(port, &["-c", "2"]); // the SYN, and the RST that answers it
    assert!(tungstenite::connect(format!("ws://127.0.0.1:{port}/")).is_err());
    let (printed, _) = capture.printed(0);
    assert_eq!(sessions(&printed)[0]["cause"], "connect-refused");
}

#[test]
fn what_is_recorded_says_the_same_whichever_signal_ended_it() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for signal in ["-INT", "-TERM", "-HUP"] {
        let file = folder.path().join(signal);
        let (listener, port) = listen();
        let mut capture = Capture::start(port, &["-w", &file.display().to_string()]);
        talk(listener, &["/one", "/two"]);
        capture.signal("-USR1");
        let counts = capture.said();
        assert!(counts.contains("packets captured, ") && counts.contains("0 packets dropped by kernel"), "{counts}");
        capture.signal(signal);
        let (printed, said) = capture.printed(0);
        assert!(said.contains("packets captured"), "{said}");
        let again = read(&file);
        assert_eq!(sessions(&printed), sessions(&again), "{signal}");
        assert_eq!(printed.last(), again.last(), "the summary");
        assert_whole(&file);
    }
}

#[test]
fn chosen_sessions_are_recorded_whole_and_no_others() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chosen.pcapng");
    let (listener, port) = listen();
    let capture = Capture::start(port, &["-Y", "target ~ \"/wanted\"", "-w", &file.display().to_string()]);
    talk(listener, &["/other", "/wanted", "/another"]);
    let printed = capture.stop();
    assert_eq!(sessions(&printed).len(), 1);
    let again = read(&file);
    let [session] = sessions(&again)[..] else { panic!("{again:?}") };
    assert_eq!((&session["target"], &session["outcome"]), (&"/wanted".into(), &"closed".into()));
    assert!(session["legs"][0]["tcp"]["handshake_rtt_ms"].is_number(), "the SYN is there");
    assert_eq!(session["legs"][0]["tcp"]["ends"].as_array().map(Vec::len), Some(2), "so are both FINs");
    assert_eq!(again.last().expect("a summary")["connections"], 1);
    assert_whole(&file);
}

/// When the packets of a pcapng file in this machine's byte order were captured, in the order of the file.
fn times(file: &Path) -> Vec<u64> {
    let bytes = std::fs::read(file).expect("it is there");
    let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut times) = (0, Vec::new());
    while at < bytes.len() {
        if number(at) == 6 {
            times.push(u64::from(number(at + 12)) << 32 | u64::from(number(at + 16)));
        }
        at += number(at + 4) as usize;
    }
    times
}

#[test]
fn packets_of_several_interfaces_come_in_order_of_time() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("both.pcapng");
    let (listener, port) = listen();
    // What goes over loopback is seen on both.
    let capture = Capture::start(port, &["-i", "any", "-w", &file.display().to_string()]);
    talk(listener, &["/one", "/two"]);
    let printed = capture.stop();
    assert_eq!(sessions(&printed).len(), 2);
    let times = times(&file);
    assert!(times.len() > 40 && times.is_sorted(), "{times:?}");
}

#[test]
fn a_full_disk_ends_the_writing_and_not_the_analysis() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // A disk of its own with two pages, which only the program and its children see.
    let disk = format!("mount -t tmpfs -o size=8k none {} && exec \"$0\" \"$@\"", folder.path().display());
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &disk, env!("CARGO_BIN_EXE_wsflow")]);
    if !Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: a small disk needs a mount namespace of its own");
        return;
    }
    let (listener, port) = listen();
    let file = folder.path().join("full.pcapng");
    let capture = Capture::run(command, port, &["-U", "-w", &file.display().to_string()]);
    talk(listener, &["/1", "/2", "/3", "/4", "/5", "/6"]);
    // What was written can be read where the disk is.
    let copy = folder.path().join("copy.pcapng");
    let inside = format!("/proc/{}/root{}", capture.child.id(), file.display());
    std::fs::copy(inside, &copy).expect("the file is there");
    capture.signal("-INT");
    let (printed, said) = capture.printed(2);
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(sessions(&printed).len(), 6, "all were told");
    assert!(sessions(&read(&copy)).len() < 6);
    assert_whole(&copy);
}

#[test]
fn after_so_many_files_by_time_it_is_over() {
    if !may_capture() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().join("%Y.pcapng").display().to_string();
    let (_listener, port) = listen();
    let capture = Capture::start(port, &["-G", "1", "-W", "1", "-w", &name]);
    capture.printed(0);
    let written: Vec<_> = std::fs::read_dir(&folder).expect("a folder").collect();
    assert_eq!(written.len(), 1);
    assert_whole(&written[0].as_ref().expect("an entry").path());
}

/// In a network of its own, so that an interface can be made and taken away.
#[test]
fn an_interface_that_goes_and_comes_back_is_told_and_captured_on_again() {
    if !may_capture() {
        return;
    }
    if !Command::new("unshare")
        .args(["-n", "-m", "mount", "-t", "sysfs", "none", "/sys"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("SKIPPED: taking an interface away needs a network of its own");
        return;
    }
    let network = "mount -t sysfs none /sys; ip link set lo up; ip link add here type veth peer name there; \
                   ip link set here up; exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-n", "-m", "sh", "-c", network, env!("CARGO_BIN_EXE_wsflow"), "-i", "here"]);
    let mut capture = Capture::run(command, 9, &[]); // on lo as well
    let inside = capture.child.id().to_string();
    let ip = |arguments: &[&str]| {
        let status = Command::new("nsenter").args(["-n", "-t", &inside, "ip", "link"]).args(arguments).status();
        assert!(status.expect("nsenter runs").success());
    };
    let says = |capture: &mut Capture, words: &str| {
        let line = std::iter::from_fn(|| Some(capture.said())).find(|line| line.contains(words));
        line.expect("it is said in the end")
    };
    ip(&["del", "here"]);
    let gone = says(&mut capture, "the interface here is gone");
    assert!(gone.contains("nothing is captured on it until it is back"), "{gone}");
    ip(&["add", "here", "type", "veth", "peer", "name", "there"]);
    ip(&["set", "there", "up"]);
    ip(&["set", "here", "up"]);
    says(&mut capture, "the interface here is back, and captured on again");
    // The discard port is what is captured.
    let send = "ip addr add 192.0.2.1/24 dev here; ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev here; \
                echo > /dev/udp/192.0.2.2/9";
    let sent = Command::new("nsenter").args(["-n", "-t", &inside, "bash", "-c", send]).status();
    assert!(sent.expect("nsenter runs").success());
    ip(&["set", "lo", "down"]);
    says(&mut capture, "the interface lo is down");
    ip(&["set", "lo", "up"]);
    says(&mut capture, "the interface lo is up again");
    capture.signal("-INT");
    let (printed, _) = capture.printed(2);
    let summary = printed.last().expect("a summary");
    assert_eq!((&summary["type"], &summary["packets"]), (&"summary".into(), &1.into()), "it came when here was back");
}

#[test]
fn rights_are_gone_before_packets_are_read() {
    if !may_capture() {
        return;
    }
    let (_listener, port) = listen();
    let capture = Capture::start(port, &["-Z", "nobody"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", capture.child.id())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), ["1"]);
    assert_eq!(field("Groups:"), Vec::<String>::new());
    assert!(field("Uid:").iter().all(|uid| uid != "0"), "{status}");
    capture.stop();
}
