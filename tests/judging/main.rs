//! From packets to judgements: scripts of whole captures, and what is said of their sessions.

#![allow(missing_docs)]

mod across_the_end;
mod article;
mod greeting;
mod healthy;
mod http2;
mod joining;
mod mid_stream;
mod no_answer;
mod one_side;
mod remade;

use std::io;

use wsflow::diagnosis::{Diagnosis, Severity};
use wsflow::engine::{Engine, EngineOptions, Event, Sink, Wants};
use wsflow::limits::Limits;
use wsflow::packet::{Packet, PacketNumber};
use wsflow::script::{OwnedPacket, Script};
use wsflow::session::leg::JoinReason;
use wsflow::session::{LegRole, Session};

/// What a capture's sessions are, and what is said of them, in order of their start.
#[derive(Default)]
struct Judged(Vec<(Session, Diagnosis)>);

impl Sink for Judged {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Session(session, diagnosis) = event {
            self.0.push(((*session).clone(), (*diagnosis).clone()));
        }
        Ok(())
    }
}

/// Judges the packets of a script.
fn judge(script: &Script) -> Judged {
    judge_packets(&script.packets())
}

fn judge_packets(packets: &[OwnedPacket]) -> Judged {
    judge_with(EngineOptions::default(), packets)
}

fn judge_with(options: EngineOptions, packets: &[OwnedPacket]) -> Judged {
    let mut judged = Judged::default();
    let mut engine = Engine::new(&Limits::default(), options, judged.wants());
    for (number, packet) in packets.iter().enumerate() {
        // Those of several scripts have numbers of their own.
        let packet = Packet { number: PacketNumber(number as u64 + 1), ..packet.packet() };
        engine.packet(&packet, &mut judged).expect("the sink takes everything");
    }
    engine.finish(&mut judged).expect("the sink takes everything");
    judged
}

impl Judged {
    /// The only session.
    fn only(&self) -> &(Session, Diagnosis) {
        assert_eq!(self.0.len(), 1, "{:?}", self.verdicts());
        &self.0[0]
    }

    fn verdicts(&self) -> Vec<String> {
        self.0.iter().map(|(session, diagnosis)| diagnosis.verdict(session).into_owned()).collect()
    }

    /// The id of the only session's cause.
    fn cause(&self) -> Option<&'static str> {
        self.only().1.cause().map(|finding| finding.id)
    }

    /// The ids of the only session's findings.
    fn ids(&self) -> Vec<&'static str> {
        self.only().1.findings.iter().map(|finding| finding.id).collect()
    }

    /// The roles of the only session's legs, and what ties them to the one in front.
    fn legs(&self) -> Vec<(LegRole, Option<JoinReason>)> {
        self.only().0.legs.iter().map(|leg| (leg.role, leg.joined_by)).collect()
    }

    /// Everything that is worse than a note, in words.
    fn alarms(&self) -> Vec<String> {
        let findings = self.0.iter().flat_map(|(_, diagnosis)| &diagnosis.findings);
        let bad = findings.filter(|finding| finding.severity > Severity::Note);
        bad.map(|finding| format!("{}: {}", finding.id, finding.evidence.detail)).collect()
    }
}
