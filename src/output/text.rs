//! Lines for a person: one an event, or one a session.
//!
//! ```text
//! 23:58:09.027  s1  127.0.0.1:39050 > :8080    GET /ws  asks for websocket                      #4
//! 23:58:09.027  s1    127.0.0.1:41480 > :9000  GET /ws  HTTP/1.0, Connection: close, no Upgrade #9
//! 23:58:09.050  s1    127.0.0.1:41480 < :9000  426 Upgrade Required, 23.1 ms                    #12
//! 23:58:09.051  s1  127.0.0.1:39050 < :8080    426 Upgrade Required, 23.6 ms                    #14
//! 23:58:09.206  s1  rejected after 186 ms
//!
//! s1 error  upgrade-headers-stripped: the proxy 127.0.0.1:8080 did not forward Upgrade
//!           client sent    GET /ws HTTP/1.1  Upgrade: websocket  Connection: Upgrade     #4
//!           backend got    GET /ws HTTP/1.0  -                   Connection: close       #9
//!           fix, in the nginx location:
//!             proxy_http_version 1.1;
//!
//! 1 session: 1 rejected.  1 error.  21 packets, none lost.
//! ```

mod brief;
mod events;
mod finding;
mod total;

use std::io::{self, Write};

use crate::diagnosis::{Diagnosis, Severity};
use crate::engine::event::{Event, Sink, Summary, Wants};
use crate::output::clock::Clock;
use crate::output::line::Line;
use crate::output::mask::Mask;
use crate::output::text::brief::Columns;
use crate::output::text::events::Layout;
use crate::output::text::finding::ToldFixes;
use crate::session::Session;

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// One line a session, and nothing else.
    pub brief: bool,
    /// Also every message and control frame.
    pub messages: bool,
    /// Notes in full.
    pub verbose: bool,
    /// With colour.
    pub color: bool,
    /// Whether secrets are masked.
    pub mask: Mask,
    /// How wide the terminal is; `None` when there is none, so that lines may be as long as they are.
    pub columns: Option<usize>,
}

/// Prints lines.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    options: Options,
    clock: Clock,
    line: Line,
    layout: Layout,
    columns: Columns,
    /// How many findings of each severity were printed.
    findings: Tally,
    told_fixes: ToldFixes,
    /// Whether the last line was empty.
    after_blank: bool,
    /// The day of the last line.
    day: Option<i64>,
}

impl<W: Write> Text<W> {
    /// Prints to `out`, with times as `clock` tells them.
    pub fn new(out: W, options: Options, clock: Clock) -> Text<W> {
        Text {
            out,
            options,
            clock,
            line: Line::new(options.color, options.mask),
            layout: Layout::new(options.columns),
            columns: Columns::default(),
            findings: Tally::default(),
            told_fixes: ToldFixes::default(),
            after_blank: true,
            day: None,
        }
    }

    fn session(&mut self, session: &Session, diagnosis: &Diagnosis) -> io::Result<()> {
        for finding in &diagnosis.findings {
            self.findings.add(finding.severity, 1);
        }
        if self.options.brief {
            brief::write(&mut self.line, &mut self.clock, &mut self.columns, session, diagnosis);
            return self.print();
        }
        self.day_of(session.end)?;
        self.layout.session_end(&mut self.line, &mut self.clock, session);
        self.print()?;
        if diagnosis.findings.is_empty() {
            return Ok(());
        }
        self.blank()?;
        for (index, finding) in diagnosis.findings.iter().enumerate() {
            let verdict = (diagnosis.cause == Some(index)).then(|| diagnosis.verdict(session));
            finding::write(&mut self.line, &self.options, &mut self.told_fixes, session, finding, verdict.as_deref());
            self.print()?;
        }
        self.blank()
    }

    fn summary(&mut self, summary: &Summary) -> io::Result<()> {
        if !self.options.brief {
            self.blank()?;
            total::write(&mut self.line, summary, &self.findings);
            self.print()?;
        }
        self.out.flush()
    }

    /// Says that a new day has begun.
    fn day_of(&mut self, at: crate::time::Timestamp) -> io::Result<()> {
        let day = self.clock.day(at);
        if self.day.replace(day).is_some_and(|before| before < day) {
            let clock = &mut self.clock;
            self.line.ascii(|out| clock.push_date(out, at));
            self.print()?;
        }
        Ok(())
    }

    /// An empty line, unless there is one.
    fn blank(&mut self) -> io::Result<()> {
        if self.after_blank {
            return Ok(());
        }
        self.print()?;
        self.after_blank = true;
        Ok(())
    }

    fn print(&mut self) -> io::Result<()> {
        self.line.next(0);
        self.out.write_all(self.line.as_str().as_bytes())?;
        self.line.clear();
        self.after_blank = false;
        Ok(())
    }
}

impl<W: Write> Sink for Text<W> {
    fn wants(&self) -> Wants {
        Wants { messages: self.options.messages, progress: !self.options.brief }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Session(session, diagnosis) => self.session(session, diagnosis),
            Event::Summary(summary) => self.summary(summary),
            Event::Finding(group) => {
                // Each session has counted its own.
                if self.options.brief {
                    brief::write_group(&mut self.line, group);
                } else {
                    self.blank()?;
                    finding::write_group(&mut self.line, &self.options, group);
                }
                self.print()
            }
            Event::Close(..) if self.options.messages => Ok(()), // it comes as a message too
            _ if self.options.brief && !matches!(event, Event::Message(..)) => Ok(()),
            event => {
                if let Some(at) = events::time_of(event) {
                    self.day_of(at)?;
                }
                self.layout.event(&mut self.line, &mut self.clock, event);
                self.print()
            }
        }
    }
}

/// How many findings of each severity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    errors: u64,
    warnings: u64,
    notes: u64,
}

impl Tally {
    fn add(&mut self, severity: Severity, count: u64) {
        match severity {
            Severity::Error => self.errors += count,
            Severity::Warning => self.warnings += count,
            Severity::Note => self.notes += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Evidence, Finding, GroupFinding};
    use crate::engine::event::{Message, MessageKind, Place};
    use crate::output::samples;
    use crate::session::leg::{EndOf, LegEnd};
    use crate::session::{JoinReason, SessionId};
    use crate::stream::Role;
    use crate::tcp::EndKind;

    const PLAIN: Options =
        Options { brief: false, messages: true, verbose: false, color: false, mask: Mask::Secrets, columns: None };

    fn printed(options: Options, events: &[Event<'_>]) -> String {
        let mut out = Vec::new();
        let mut text = Text::new(&mut out, options, Clock::utc());
        for event in events {
            text.event(event).expect("a vector takes everything");
        }
        String::from_utf8(out).expect("text is UTF-8")
    }

    fn place(session: &Session, leg: usize) -> Place {
        Place { session: session.id, client: session.legs[leg].client, server: session.legs[leg].server, leg }
    }

    /// Everything that an engine tells of these sessions while it works.
    fn told<'a>(session: &'a Session, diagnosis: &'a Diagnosis) -> Vec<Event<'a>> {
        let mut events = Vec::new();
        for (index, leg) in session.legs.iter().enumerate() {
            let place = place(session, index);
            let Some(request) = &leg.request else { continue };
            events.push((request.moment, Event::Request(place, request)));
            let Some(response) = &leg.response else { continue };
            events.push((response.moment, Event::Response(place, Some(request), response)));
            for end in leg.ends() {
                events.push((end.moment, Event::End(place, end)));
            }
        }
        events.sort_by_key(|(moment, _)| *moment);
        let mut events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
        events.push(Event::Session(session, diagnosis));
        events
    }

    #[test]
    fn a_rejected_session() {
        let (session, diagnosis) = samples::stripped();
        let summary = samples::summary();
        let mut events = told(&session, &diagnosis);
        events.push(Event::Summary(&summary));
        insta::assert_snapshot!(printed(PLAIN, &events));
    }

    #[test]
    fn a_healthy_session_with_its_messages() {
        let (session, diagnosis) = samples::closed();
        let place = place(&session, 0);
        let message = |kind, preview, packet| Message {
            kind,
            moment: samples::moment(packet, 2_000 * packet),
            bytes: 27,
            compressed: true,
            fragments: 1,
            preview,
            truncated: false,
            holes: false,
        };
        let mut events = told(&session, &diagnosis);
        let last = events.len() - 1;
        let moment = samples::moment(29, 0);
        let rst = LegEnd { by: Role::Server, kind: EndKind::Rst, of: EndOf::Connection, moment };
        events.splice(
            last..last,
            [
                Event::Message(place, Role::Client, message(MessageKind::Text, b"{\"join\":\"\x1b[31m\"}", 26)),
                Event::Message(place, Role::Server, message(MessageKind::Binary, &[0, 1, 254], 27)),
                Event::Message(place, Role::Server, message(MessageKind::Close, b"\x03\xe8bye", 28)),
                Event::Close(place, Role::Server, samples::moment(28, 0), Some(1000), "bye"),
                Event::End(place, rst),
            ],
        );
        insta::assert_snapshot!(printed(PLAIN, &events));
    }

    #[test]
    fn other_events() {
        let (mut session, _) = samples::encrypted();
        let reasons = ["only http/1.1 is offered", "small records in both directions"].map(str::to_owned).to_vec();
        session.legs[0].tls.as_mut().expect("it is encrypted").likely_websocket = reasons;
        let place = place(&session, 0);
        let events = [
            Event::Adopted(place, samples::moment(1, 0)),
            Event::Unreachable(place, samples::moment(2, 0)),
            Event::Joined { into: SessionId(3), from: SessionId(4), reason: JoinReason::Key },
            Event::Encrypted(&session),
            Event::Limit("sessions", samples::moment(3, 86_400_000_000).at),
        ];
        insta::assert_snapshot!(printed(PLAIN, &events));
    }

    #[test]
    fn one_line_a_session() {
        let options = Options { brief: true, messages: false, ..PLAIN };
        let samples = [samples::stripped(), samples::closed(), samples::encrypted()];
        let summary = samples::summary();
        let mut events: Vec<_> =
            samples.iter().map(|(session, diagnosis)| Event::Session(session, diagnosis)).collect();
        events.push(Event::Summary(&summary));
        let lines = printed(options, &events);
        assert_eq!(lines.lines().count(), 3);
        assert!(!lines.contains(|character| character != '\n' && crate::output::escape::is_unsafe(character)));
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn a_finding_of_several_sessions() {
        let finding = Finding {
            id: "mass-close",
            severity: Severity::Error,
            title: "Many sessions ended together",
            evidence: Evidence { leg: None, ..Evidence::on(0, "2 sessions of 10.0.0.2:80 within 0.1 s") },
            fix: "look for a reload".into(),
            reference: "RFC 6455 §7.4.1",
        };
        let group = GroupFinding { finding, sessions: vec![SessionId(1), SessionId(2)] };
        insta::assert_snapshot!(printed(PLAIN, &[Event::Finding(&group)]));
    }

    #[test]
    fn a_fix_is_told_once() {
        let (first, diagnosis) = samples::stripped();
        let second = Session { id: SessionId(7), ..first.clone() };
        let lines = printed(PLAIN, &[Event::Session(&first, &diagnosis), Event::Session(&second, &diagnosis)]);
        assert_eq!(lines.matches("proxy_http_version").count(), 1, "{lines}");
        assert!(lines.contains("\n          fix: as for s1\n"), "{lines}");
    }

    #[test]
    fn colour_adds_and_never_carries() {
        let (session, diagnosis) = samples::stripped();
        let events = told(&session, &diagnosis);
        let colored = printed(Options { color: true, ..PLAIN }, &events);
        assert!(colored.contains("\x1b[1m\x1b[31merror\x1b[0m"), "{colored}");
        let mut plain = String::new();
        let mut rest = colored.as_str();
        while let Some((before, code)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = code.split_once('m').map_or("", |(_, after)| after);
        }
        plain.push_str(rest);
        assert_eq!(plain, printed(PLAIN, &events));
    }

    #[test]
    fn a_terminal_gets_lines_that_fit() {
        let (session, diagnosis) = samples::stripped();
        let lines = printed(Options { columns: Some(80), ..PLAIN }, &told(&session, &diagnosis));
        let (_, block) = lines.split_once("s1 error").expect("there is a finding");
        let (verdict, _) = block.split_once("client sent").expect("and what shows it");
        assert!(verdict.lines().all(|line| line.chars().count() <= 80), "{verdict}");
        assert!(verdict.contains("\n          "), "it goes on below");
        assert!(verdict.ends_with("answered 426\n          "), "nothing of it is lost");
    }
}
