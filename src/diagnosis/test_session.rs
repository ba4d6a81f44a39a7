//! Sessions for the tests of rules, told as a story: who asked what, who answered what, who left.
//!
//! ```ignore
//! session()
//!     .client_leg(|leg| leg.request(ASKED).response("HTTP/1.1 426 Upgrade Required\n\n"))
//!     .backend_leg(|leg| leg.request("GET /ws HTTP/1.0\nConnection: close\n\n").response("HTTP/1.1 426 ...\n\n"))
//!     .cause();
//! ```
//!
//! Each leg has its own clock, which begins with its SYN and moves on with each thing that is told.

mod leg;

use std::ops::Deref;

pub use leg::TestLeg;

use crate::diagnosis::{Diagnosis, Evidence, Facts, Finding, Rule, diagnose};
use crate::session::aside;
use crate::session::closing;
use crate::session::leg::LegRole;
use crate::session::neighbours::Ending;
use crate::session::{Confidence, EndedBy, Neighbours, Outcome, Phase, Session, SessionId, Via, Who};
use crate::stream::Role;
use crate::tcp::EndKind;
use crate::time::Timestamp;
use crate::ws::facts::ViolationKind;

/// A browser's opening handshake for `/ws` on `app.example`.
pub const ASKED: &str = "GET /ws HTTP/1.1\nHost: app.example\nOrigin: http://app.example\nUpgrade: websocket\n\
     Connection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";

/// The same request as a well configured nginx passes it on.
pub const FORWARDED: &str = "GET /ws HTTP/1.1\nUpgrade: websocket\nConnection: upgrade\nHost: app.example\n\
     Origin: http://app.example\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n";

/// The right answer to [`ASKED`].
pub const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n\
     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n";

/// nginx's page for 502.
pub const NGINX_502: &str = "HTTP/1.1 502 Bad Gateway\nServer: nginx/1.22.1\nContent-Type: text/html\n\n\
     <html>\n<head><title>502 Bad Gateway</title></head>\n<body>\n<center><h1>502 Bad Gateway</h1></center>\n\
     <hr><center>nginx/1.22.1</center>\n</body>\n</html>";

/// When all sessions of tests begin.
pub const START: Timestamp = Timestamp::from_parts(1_790_000_000, 0);

/// A session and its neighbours, while it is told and after.
#[derive(Clone, Debug)]
pub struct TestSession {
    /// The session.
    pub session: Session,
    /// The rest of the capture.
    pub neighbours: Neighbours,
    outcome: Option<Outcome>,
}

/// A session with nothing in it yet.
pub fn session() -> TestSession {
    let session = Session {
        id: SessionId(1),
        legs: vec![leg::new(0, None)],
        start: START,
        end: START,
        outcome: Outcome::Open,
        ended_by: None,
    };
    TestSession { session, neighbours: Neighbours::default(), outcome: None }
}

/// A session through nginx that works: both legs have a complete handshake, some messages, and a close with 1000.
pub fn healthy() -> TestSession {
    let talk = |leg: TestLeg| {
        let leg = leg.open().messages(Role::Client, 12).messages(Role::Server, 12).after_ms(3000);
        leg.close(Role::Client, 1000, "").close(Role::Server, 1000, "").fin(Role::Server).fin(Role::Client)
    };
    session()
        .client_leg(|leg| talk(leg.request(ASKED).response(SWITCHED)))
        .backend_leg(|leg| talk(leg.request(FORWARDED).response(SWITCHED)))
}

/// A session through nginx whose request went through unchanged and was refused with this answer.
pub fn refused_with(answer: &str) -> TestSession {
    session()
        .client_leg(|leg| leg.request(ASKED).response(answer).fin(Role::Client))
        .backend_leg(|leg| leg.request(FORWARDED).response(answer).fin(Role::Server))
}

/// A direct session whose complete request got this answer.
pub fn answered(answer: &str) -> TestSession {
    session().client_leg(|leg| leg.request(ASKED).response(answer).fin(Role::Client))
}

/// A direct session of which the server closes after two messages, and the client repeats the code.
pub fn closed_with(code: u16, reason: &str) -> TestSession {
    session().client_leg(|leg| {
        let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 2);
        leg.close(Role::Server, code, reason).close(Role::Client, code, "").fin(Role::Server)
    })
}

/// A session through nginx that works, until the backend leaves in this way; nginx passes it on as a FIN.
pub fn backend_left(kind: EndKind) -> TestSession {
    let open = |leg: TestLeg| leg.open().messages(Role::Server, 3);
    session()
        .client_leg(|leg| open(leg.request(ASKED).response(SWITCHED)).after_ms(500).fin(Role::Server))
        .backend_leg(|leg| {
            let leg = open(leg.request(FORWARDED).response(SWITCHED));
            if kind == EndKind::Rst { leg.rst(Role::Server) } else { leg.fin(Role::Server) }
        })
        .outcome(Outcome::Aborted)
}

/// A direct session in which this side does that, and the other one closes with 1002.
pub fn violated(by: Role, kind: ViolationKind) -> TestSession {
    session().client_leg(|leg| {
        let leg = leg.request(ASKED).response(SWITCHED).open().violation(by, kind);
        leg.close(by.peer(), 1002, "").fin(by.peer())
    })
}

/// `text` with its line that begins with `field` replaced; with an empty `line`, taken out.
pub fn replaced(text: &str, field: &str, line: &str) -> String {
    assert!(text.contains(&format!("\n{field}")), "{field} is not in {text:?}");
    let keep = |old: &str| if old.starts_with(field) { line.to_owned() } else { old.to_owned() };
    let (head, body) = text.split_once("\n\n").expect("a test head ends with an empty line");
    let lines: Vec<String> = head.lines().map(keep).filter(|line| !line.is_empty()).collect();
    format!("{}\n\n{body}", lines.join("\n"))
}

/// `text` with this line behind its start line.
pub fn with_field(text: &str, line: &str) -> String {
    let (start, rest) = text.split_once('\n').expect("a test head has lines");
    format!("{start}\n{line}\n{rest}")
}

/// What is said of a session, and the sentence.
pub struct Judged {
    /// All of it.
    pub diagnosis: Diagnosis,
    /// The sentence.
    pub verdict: String,
}

impl Deref for Judged {
    type Target = Diagnosis;

    fn deref(&self) -> &Diagnosis {
        &self.diagnosis
    }
}

/// How a session looks to its neighbours.
pub fn ending(session: &Session) -> Ending {
    Ending::of(session)
}

impl TestSession {
    /// Tells more of the leg nearest to the client.
    pub fn client_leg(self, tell: impl FnOnce(TestLeg) -> TestLeg) -> TestSession {
        self.leg(0, tell)
    }

    /// Tells more of the leg behind the first proxy.
    pub fn backend_leg(self, tell: impl FnOnce(TestLeg) -> TestLeg) -> TestSession {
        self.leg(1, tell)
    }

    /// Tells more of a leg; legs up to it are made, each behind the one before.
    pub fn leg(mut self, index: usize, tell: impl FnOnce(TestLeg) -> TestLeg) -> TestSession {
        while self.session.legs.len() <= index {
            let next = self.session.legs.len();
            self.session.legs.push(leg::new(next, Some(next - 1)));
        }
        self.told(index, tell)
    }

    /// Another leg behind the client's leg: the proxy tries again.
    pub fn attempt(mut self, tell: impl FnOnce(TestLeg) -> TestLeg) -> TestSession {
        let (index, last) = (self.session.legs.len(), self.session.last_leg().tcp.last);
        self.session.legs.push(leg::new(index, Some(0)));
        self.session.legs[index].tcp.syn = Some(last);
        self.told(index, tell)
    }

    /// With this outcome, whatever the legs say.
    pub fn outcome(mut self, outcome: Outcome) -> TestSession {
        self.outcome = Some(outcome);
        self.settle();
        self
    }

    /// With this end.
    pub fn ended_by(mut self, who: Who, via: Via) -> TestSession {
        self.session.ended_by = Some(EndedBy { who, via, phase: Phase::Open, confidence: Confidence::High });
        self
    }

    /// With other neighbours.
    pub fn neighbours(mut self, change: impl FnOnce(&mut Neighbours)) -> TestSession {
        change(&mut self.neighbours);
        self
    }

    /// With nothing else in the capture.
    pub fn alone(mut self) -> TestSession {
        self.neighbours = Neighbours { span: self.neighbours.span, ..Neighbours::default() };
        self
    }

    /// Everything that the rules say.
    pub fn diagnose(&self) -> Judged {
        let diagnosis = diagnose(&Facts::new(&self.session, &self.all()));
        Judged { verdict: diagnosis.verdict(&self.session).into_owned(), diagnosis }
    }

    /// The id of the cause.
    pub fn cause(&self) -> Option<&'static str> {
        self.diagnose().cause().map(|finding| finding.id)
    }

    /// What one rule says.
    pub fn check(&self, rule: &Rule) -> Option<Evidence> {
        (rule.check)(&Facts::new(&self.session, &self.all()))
    }

    /// The neighbours, and this session among them, as the engine counts it.
    fn all(&self) -> Neighbours {
        let mut all = self.neighbours.clone();
        all.endings.add(&ending(&self.session));
        all
    }

    /// The finding of that id, if there is one.
    pub fn finding(&self, id: &str) -> Option<Finding> {
        self.diagnose().diagnosis.findings.into_iter().find(|finding| finding.id == id)
    }

    /// All ids, the cause first.
    pub fn ids(&self) -> Vec<&'static str> {
        self.diagnose().findings.iter().map(|finding| finding.id).collect()
    }

    fn told(mut self, index: usize, tell: impl FnOnce(TestLeg) -> TestLeg) -> TestSession {
        let leg = self.session.legs[index].clone();
        self.session.legs[index] = tell(TestLeg::going_on(leg, index)).into_leg();
        self.settle();
        self
    }

    fn settle(&mut self) {
        let count = self.session.legs.len();
        for index in 0..count {
            let has_back = self.session.legs.iter().any(|leg| leg.behind == Some(index));
            let leg = &mut self.session.legs[index];
            leg.role = match (leg.behind.is_some(), has_back) {
                (false, false) => LegRole::Direct,
                (false, true) => LegRole::ClientProxy,
                (true, true) => LegRole::ProxyProxy,
                (true, false) => LegRole::ProxyBackend,
            };
            leg.outcome = closing::outcome_of(leg);
            let is_aside = aside::is_aside(&self.session.legs, index);
            self.session.legs[index].is_aside = is_aside;
        }
        self.session.outcome = self.outcome.unwrap_or(self.session.legs[0].outcome);
        self.session.end = self.session.legs.iter().map(|leg| leg.tcp.last.at).max().unwrap_or(START);
        self.neighbours.span = (START, self.session.end);
    }
}
