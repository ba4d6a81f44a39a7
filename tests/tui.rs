//! The terminal user interface in a real terminal, which tmux emulates: what is seen, and that the terminal is given back
//! however the program ends.
#![cfg(feature = "tui")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How often the screen is looked at, and how many times: the machine may be busy.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: usize = 1_500;

/// A shell in a terminal of its own.
struct Terminal {
    socket: String,
    folder: tempfile::TempDir,
}

impl Terminal {
    /// `None`, said loudly, where there is no tmux.
    fn open(name: &str) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED: {name} needs tmux, and there is none");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder for a moment");
        let terminal = Terminal { socket: format!("wsflow-{name}-{}", std::process::id()), folder };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "env -u NO_COLOR sh"]);
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command line, noting the terminal's settings before and after it.
    fn run(&self, command: &str) {
        let (before, after) = (self.file("before"), self.file("after"));
        let line =
            format!("stty -a >{}; {command}; s=$?; stty -a >{}; echo status=$s", before.display(), after.display());
        self.tmux(&["send-keys", "-l", &line]);
        self.press("Enter");
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What is seen, once it has these words.
    fn wait_for(&self, words: &str) -> String {
        let mut screen = String::new();
        for _ in 0..LOOKS {
            screen = self.tmux(&["capture-pane", "-p"]);
            if screen.contains(words) {
                return screen;
            }
            std::thread::sleep(LOOK);
        }
        panic!("{words:?} is not on the screen:\n{screen}");
    }

    /// The terminal is as it was, and the program ended with this status.
    fn assert_given_back(&self, status: u8) -> String {
        let screen = self.wait_for(&format!("status={status}"));
        let settings = |name| std::fs::read_to_string(self.file(name)).expect("the settings were noted");
        assert_eq!(settings("before"), settings("after"));
        assert!(!screen.contains("f filter"), "the other screen is left:\n{screen}");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn capture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps").join(name).display().to_string()
}

fn wsflow(arguments: &str) -> String {
    format!("XDG_STATE_HOME=/nonexistent {} {arguments}", env!("CARGO_BIN_EXE_wsflow"))
}

#[test]
fn from_the_list_to_the_fix_and_back() {
    let Some(terminal) = Terminal::open("walk") else { return };
    terminal.run(&wsflow(&format!("-r {}", capture("nginx-upgrade-stripped.pcap"))));
    let screen = terminal.wait_for("rejected");
    assert!(screen.contains("upgrade-h") && screen.contains("q quit"), "{screen}");
    terminal.press("Enter");
    let screen = terminal.wait_for("GET /");
    assert!(screen.contains("client") && screen.contains("backend") && screen.contains("─▶│"), "{screen}");
    terminal.press("Tab");
    terminal.wait_for("not forwarded");
    terminal.press("Enter");
    terminal.wait_for("proxy_set_header Upgrade $http_upgrade;");
    terminal.press("q");
    terminal.press("q");
    terminal.wait_for("f filter");
    terminal.press("q");
    terminal.assert_given_back(0);
}

#[test]
fn a_pipe_leaves_the_keys_to_the_terminal() {
    let Some(terminal) = Terminal::open("pipe") else { return };
    terminal.run(&format!("cat {} | {}", capture("two-sessions.pcap"), wsflow("-r -")));
    terminal.wait_for("2 sessions");
    terminal.press("C-c");
    terminal.assert_given_back(0);
}

#[test]
fn what_came_through_a_pipe_is_saved_from_memory() {
    let Some(terminal) = Terminal::open("piped-save") else { return };
    let capture = capture("nginx-healthy.pcap");
    terminal.run(&format!("cat {capture} | {}", wsflow("-r -")));
    terminal.wait_for("1 session");
    terminal.press("s");
    terminal.wait_for("save to: ");
    terminal.press("C-u");
    let file = terminal.file("piped.pcapng");
    terminal.tmux(&["send-keys", "-l", &file.display().to_string()]);
    terminal.press("Enter");
    let screen = terminal.wait_for("1 session saved");
    assert!(!screen.contains("no longer held"), "{screen}");
    terminal.press("q");
    terminal.assert_given_back(0);
    let sessions = |file: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_wsflow")).args(["-q", "-o", "text", "-r"]).arg(file).output();
        String::from_utf8(output.expect("the program runs").stdout).expect("output is UTF-8")
    };
    assert_eq!(sessions(&file), sessions(Path::new(&capture)), "nothing is missing");
}

#[test]
fn whoever_is_terminated_gives_the_terminal_back() {
    let Some(terminal) = Terminal::open("term") else { return };
    let pid = terminal.file("pid");
    let program = wsflow(&format!("-r {}", capture("nginx-healthy.pcap")));
    terminal.run(&format!("sh -c 'echo $$ >{}; exec env {program}'", pid.display()));
    terminal.wait_for("q quit");
    let pid = std::fs::read_to_string(pid).expect("the shell noted it");
    Command::new("kill").args(["-TERM", pid.trim()]).status().expect("kill runs");
    terminal.assert_given_back(0);
}

#[test]
fn whoever_asks_for_the_counts_gets_them_and_it_goes_on() {
    let Some(terminal) = Terminal::open("counts") else { return };
    let pid = terminal.file("pid");
    let program = wsflow(&format!("-r {}", capture("nginx-healthy.pcap")));
    terminal.run(&format!("sh -c 'echo $$ >{}; exec env {program}'", pid.display()));
    terminal.wait_for("closed");
    let pid = std::fs::read_to_string(pid).expect("the shell noted it");
    for _ in 0..2 {
        Command::new("kill").args(["-USR1", pid.trim()]).status().expect("kill runs");
        terminal.wait_for("packets read, 0 things dropped by wsflow");
        terminal.press("j"); // the next key takes it away
        terminal.wait_for("q quit");
    }
    terminal.press("q");
    terminal.assert_given_back(0);
}

#[test]
fn a_panic_is_read_on_a_terminal_that_is_given_back() {
    if !cfg!(debug_assertions) {
        return; // only builds for development panic when they are asked to
    }
    let Some(terminal) = Terminal::open("panic") else { return };
    let program = wsflow(&format!("-r {}", capture("nginx-healthy.pcap")));
    terminal.run(&format!("WSFLOW_PANIC=1 RUST_BACKTRACE=0 {program}"));
    let screen = terminal.assert_given_back(101);
    assert!(screen.contains("WSFLOW_PANIC is set"), "{screen}");
}

#[test]
fn to_the_shell_and_back() {
    let Some(terminal) = Terminal::open("stop") else { return };
    // A shell that runs a list stops the list: so the settings are not compared here.
    terminal.tmux(&["send-keys", "-l", &wsflow(&format!("-r {}", capture("nginx-healthy.pcap")))]);
    terminal.press("Enter");
    terminal.wait_for("q quit");
    terminal.press("C-z");
    terminal.wait_for("topped");
    terminal.tmux(&["send-keys", "-l", "fg"]);
    terminal.press("Enter");
    terminal.wait_for("q quit");
    terminal.press("q");
    // The screen of the shell is back: it reads what is typed from now on.
    terminal.wait_for("topped");
    terminal.tmux(&["send-keys", "-l", "echo sta''tus=$?"]);
    terminal.press("Enter");
    terminal.wait_for("status=0");
}

#[test]
fn the_packets_of_a_session_are_saved() {
    let Some(terminal) = Terminal::open("save") else { return };
    terminal.run(&wsflow(&format!("-r {}", capture("two-sessions.pcap"))));
    terminal.wait_for("2 sessions");
    terminal.press("s");
    terminal.wait_for("save to: ");
    terminal.press("C-u");
    let file = terminal.file("one.pcapng");
    terminal.tmux(&["send-keys", "-l", &file.display().to_string()]);
    terminal.press("Enter");
    terminal.wait_for("1 session saved");
    let written = std::fs::read(file).expect("it was written");
    assert_eq!(written[..4], [0x0a, 0x0d, 0x0d, 0x0a], "a section header block begins it");
    terminal.press("q");
    terminal.assert_given_back(0);
}

#[test]
fn what_is_wrong_with_a_file_is_told_on_the_screen_and_after_it() {
    let Some(terminal) = Terminal::open("damage") else { return };
    let whole = std::fs::read(capture("nginx-healthy.pcap")).expect("the capture is there");
    let cut = terminal.file("cut.pcap");
    std::fs::write(&cut, &whole[..whole.len() - 7]).expect("there is room");
    terminal.run(&wsflow(&format!("-r {}", cut.display())));
    terminal.wait_for("not to the end");
    terminal.press("q");
    let screen = terminal.assert_given_back(2);
    assert!(screen.contains("wsflow: "), "{screen}");
}

#[test]
fn mistakes_are_told_before_the_terminal_changes() {
    let healthy = capture("nginx-healthy.pcap");
    let lines = [
        ("-r no-such.pcap".to_owned(), "cannot open no-such.pcap"),
        (format!("-r {healthy} -Y 'colour == 1'"), "there is no field colour"),
        (format!("-r {healthy} --keylog no-such.keys"), "no-such.keys"),
        ("-r -".to_owned(), "standard input is a terminal"),
    ];
    for (index, (line, words)) in lines.into_iter().enumerate() {
        let Some(terminal) = Terminal::open(&format!("mistake-{index}")) else { return };
        terminal.run(&wsflow(&line));
        let screen = terminal.assert_given_back(2);
        assert!(screen.contains(words), "{screen}");
    }
}

/// Fifty ends of every kind, most of them in the middle of something.
#[test]
fn the_terminal_is_given_back_fifty_times_of_fifty() {
    let Some(terminal) = Terminal::open("fifty") else { return };
    let script = terminal.file("fifty");
    let program = wsflow(&format!("-r {} {}", capture("two-sessions.pcap"), capture("nginx-idle-timeout.pcap")));
    // Builds that cannot be made to panic are killed instead.
    let panic =
        if cfg!(debug_assertions) { "WSFLOW_PANIC=1 RUST_BACKTRACE=0" } else { "timeout --foreground -s TERM 0.1" };
    let lines = format!(
        "seen() {{ stty -a; tmux -L {socket} display-message -p '#{{alternate_on}} #{{cursor_flag}} #{{mouse_any_flag}}'; }}
         before=$(seen); same=0
         for i in $(seq 50); do
             case $((i % 5)) in
                 0) env {panic} {program} ;;
                 1) timeout --foreground -s TERM 0.0$i env {program} ;;
                 2) timeout --foreground -s HUP 0.$i env {program} ;;
                 3) timeout --foreground -s INT 0.0$i env {program} ;;
                 4) timeout --foreground -s TERM 0.2 env {program} ;;
             esac >/dev/tty 2>/dev/null
             [ \"$(seen)\" = \"$before\" ] && same=$((same + 1))
         done
         echo same=$same",
        socket = terminal.socket,
    );
    std::fs::write(&script, lines).expect("there is room");
    terminal.tmux(&["send-keys", "-l", &format!("sh {}", script.display())]);
    terminal.press("Enter");
    let screen = terminal.wait_for("same=");
    assert!(screen.contains("same=50"), "{screen}");
}

#[test]
fn whoever_hangs_up_gets_the_terminal_back() {
    let Some(terminal) = Terminal::open("hangup") else { return };
    let pid = terminal.file("pid");
    let program = wsflow(&format!("-r {}", capture("nginx-healthy.pcap")));
    terminal.run(&format!("sh -c 'echo $$ >{}; exec env {program}'", pid.display()));
    terminal.wait_for("q quit");
    let pid = std::fs::read_to_string(pid).expect("the shell noted it");
    Command::new("kill").args(["-HUP", pid.trim()]).status().expect("kill runs");
    terminal.assert_given_back(0);
}

/// Live: a session that is open is seen with what TCP knows, through a stop to the shell, and its packets are saved.
#[test]
#[cfg(all(feature = "live", target_os = "linux"))]
fn a_session_is_seen_while_it_is_captured() {
    use tungstenite::Message;
    if !caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(false) {
        eprintln!("SKIPPED: live capture needs CAP_NET_RAW; run the tests as root to have it tested");
        return;
    }
    let Some(terminal) = Terminal::open("live") else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let recorded = terminal.file("all.pcapng");
    let pid = terminal.file("pid");
    let program = wsflow(&format!("-i lo -w {} port {port}", recorded.display()));
    let line = format!("sh -c 'echo $$ >{}; exec env {program}'", pid.display());
    terminal.tmux(&["send-keys", "-l", &line]);
    terminal.press("Enter");
    terminal.wait_for("No WebSocket yet");
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().expect("a client").0).expect("a handshake");
        while socket.read().is_ok() {}
    });
    let (mut socket, _) = tungstenite::connect(format!("ws://127.0.0.1:{port}/seen")).expect("connected");
    socket.send(Message::text("hello")).expect("sent");
    terminal.wait_for("1 open");
    let pid = std::fs::read_to_string(pid).expect("the shell noted it");
    Command::new("kill").args(["-USR1", pid.trim()]).status().expect("kill runs");
    terminal.wait_for("packets captured, 0 dropped by kernel");
    terminal.press("C-z");
    terminal.wait_for("topped");
    socket.send(Message::text("while it is stopped")).expect("sent");
    terminal.tmux(&["send-keys", "-l", "fg"]);
    terminal.press("Enter");
    terminal.wait_for("q quit");
    terminal.press("Enter");
    terminal.wait_for("while it is stopped");
    terminal.press("i");
    let screen = terminal.wait_for("TCP handshake");
    assert!(screen.contains("open for"), "{screen}");
    socket.close(None).expect("closed");
    while socket.read().is_ok() {}
    drop(socket);
    server.join().expect("the server ends");
    terminal.wait_for("closed after");
    terminal.press("s");
    terminal.wait_for("save to: ");
    terminal.press("C-u");
    let one = terminal.file("one.pcapng");
    terminal.tmux(&["send-keys", "-l", &one.display().to_string()]);
    terminal.press("Enter");
    terminal.wait_for("1 session saved");
    terminal.press("Q");
    terminal.wait_for("topped");
    for file in [recorded, one] {
        let output = Command::new(env!("CARGO_BIN_EXE_wsflow")).args(["-q", "-o", "text", "-r"]).arg(file).output();
        let printed = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        assert!(printed.contains("/seen") && printed.contains("  closed  "), "{printed}");
    }
}

/// Live, without `-w`: what is held in memory is saved by whoever called sudo, in all formats, and a folder that is not
/// theirs is told.
#[test]
#[cfg(all(feature = "live", target_os = "linux"))]
fn what_was_not_recorded_is_saved_from_memory_with_the_rights_of_who_called_sudo() {
    use std::os::unix::fs::{MetadataExt, chown};
    use tungstenite::Message;
    const SOMEBODY: u32 = 12_345;
    let root = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETUID).unwrap_or(false);
    if !root || !caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap_or(false) {
        eprintln!("SKIPPED: whoever calls sudo becomes root; run the tests as root to have it tested");
        return;
    }
    let Some(terminal) = Terminal::open("memory") else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let folder = terminal.folder.path();
    chown(folder, Some(SOMEBODY), Some(SOMEBODY)).expect("root may");
    let sudo = format!("SUDO_UID={SOMEBODY} SUDO_GID={SOMEBODY} SUDO_USER=alice");
    let program = wsflow(&format!("-i lo port {port}"));
    terminal.tmux(&["send-keys", "-l", &format!("cd {} && {sudo} {program}", folder.display())]);
    terminal.press("Enter");
    terminal.wait_for("No WebSocket yet");
    let server = std::thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().expect("a client").0).expect("a handshake");
        while socket.read().is_ok() {}
    });
    let (mut socket, _) =
        tungstenite::connect(format!("ws://127.0.0.1:{port}/held?token=s3cr3t-value")).expect("connected");
    socket.send(Message::text("hello")).expect("sent");
    terminal.wait_for("1 open");
    terminal.press("s");
    terminal.wait_for("save to: wsflow-sessions.pcapng");
    terminal.press("Enter");
    let screen = terminal.wait_for("1 session saved to wsflow-sessions.pcapng, ");
    assert!(!screen.contains("no longer held"), "{screen}");
    socket.close(None).expect("closed");
    while socket.read().is_ok() {}
    drop(socket);
    server.join().expect("the server ends");
    terminal.wait_for("closed");
    for (tabs, name) in [(0, "wsflow-sessions-2.pcapng"), (1, "wsflow-sessions-3.json"), (1, "wsflow-sessions-4.md")] {
        terminal.press("s");
        (0..tabs).for_each(|_| terminal.press("Tab"));
        terminal.wait_for(&format!("save to: {name}"));
        terminal.press("Enter");
        terminal.wait_for(&format!("1 session saved to {name}"));
        let written = std::fs::metadata(folder.join(name)).expect("it was written");
        assert_eq!((written.uid(), written.mode() & 0o777), (SOMEBODY, 0o600), "{name}");
    }
    terminal.press("s");
    terminal.press("C-u");
    terminal.tmux(&["send-keys", "-l", "/root/here.pcapng"]);
    terminal.press("Enter");
    terminal.wait_for("alice may not write /root/here.pcapng");
    terminal.press("Escape");
    terminal.wait_for("f filter"); // an Escape with something right behind it is Alt
    terminal.press("3");
    terminal.wait_for("Held to be saved");
    terminal.press("Q");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it was written");
    for text in [read("wsflow-sessions-3.json"), read("wsflow-sessions-4.md")] {
        assert!(text.contains("/held?token=[masked") && !text.contains("s3cr3t-value"), "{text}");
    }
    for (name, outcome) in [("wsflow-sessions.pcapng", "open"), ("wsflow-sessions-2.pcapng", "closed")] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_wsflow")).args(["-q", "-o", "text", "-r"]).arg(folder.join(name)).output();
        let printed = String::from_utf8(output.expect("it runs").stdout).expect("UTF-8");
        assert!(printed.contains("/held") && printed.contains(&format!("  {outcome}  ")), "{printed}");
    }
}
