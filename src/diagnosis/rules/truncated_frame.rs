//! The connection ended inside a frame.

use crate::diagnosis::ending::{ending, named};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Session;
use crate::stream::Role;
use crate::ws::facts::OpenFrame;

/// `truncated-frame`.
pub const RULE: Rule = Rule {
    id: "truncated-frame",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "The connection ended inside a frame",
    explanation: "A frame header announced more bytes than came before the connection ended. Its sender died or was killed \
        while it wrote, or gave the connection up. Buffers of a proxy have no part in this.",
    signature: "a frame whose length is not reached when its sender's FIN or RST comes",
    fix: "Look for a crash, a kill or a restart of the sender at this time.",
    look_alikes: "A capture that stops or lost packets inside a frame; a receiver that closed first because the message was \
        too big for it.",
    reference: "RFC 6455 §5.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let end = ending(session)?;
    // Whoever got a Close first need not finish what it was writing.
    let close_before = |frame: &OpenFrame| end.close.is_some_and(|(_, _, close)| close.moment >= frame.moment);
    let (leg, by, frame) = Role::BOTH.into_iter().find_map(|by| born(session, by))?;
    let leg_end = session.legs[leg].ends().find(|end| end.by == by)?;
    let first = session.legs[leg].first_end()?;
    if close_before(&frame) || session.legs[leg].half(by).has_holes() {
        return None;
    }
    if !session.legs[leg].both_directions_seen() {
        return None; // the receiver may have left first
    }
    if first.by != by && first.moment < leg_end.moment {
        return None; // the receiver left first
    }
    let sender = named(session, leg, by);
    let said = format!("{sender} ended the connection after {} of the {} bytes of a frame", frame.seen, frame.length);
    Some(
        Evidence::on(leg, said.clone())
            .packet(frame.moment, "the header of the frame")
            .packet(leg_end.moment, "the end")
            .verdict(said),
    )
}

/// The unfinished frame of a side on the leg nearest to its sender.
fn born(session: &Session, by: Role) -> Option<(usize, Role, OpenFrame)> {
    let open = |index: usize| Some((index, by, session.legs[index].tunnel.as_ref()?.sides[by].open_frame?));
    match by {
        Role::Client => (0..session.legs.len()).find_map(open),
        Role::Server => (0..session.legs.len()).rev().find_map(open),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::ws::facts::Opcode;

    fn cut_off(end: impl Fn(TestLeg) -> TestLeg) -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 1);
            let moment = leg.now();
            let frame = OpenFrame { opcode: Opcode::BINARY, length: 5000, seen: 1000, moment };
            end(leg.with(|leg| {
                if let Some(tunnel) = &mut leg.tunnel {
                    tunnel.sides.server.open_frame = Some(frame);
                }
            }))
        })
    }

    pub(crate) fn example() -> TestSession {
        cut_off(|leg| leg.fin(Role::Server).fin(Role::Client))
    }

    #[test]
    fn says_how_far_it_came() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("1000 of the 5000"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_when_the_receiver_left_or_closed_first_or_bytes_are_missing() {
        assert!(cut_off(|leg| leg.fin(Role::Client).fin(Role::Server)).check(&RULE).is_none());
        assert!(cut_off(|leg| leg.close(Role::Client, 1009, "").fin(Role::Server)).check(&RULE).is_none());
        assert!(cut_off(|leg| leg.hole(Role::Server, 10).fin(Role::Server)).check(&RULE).is_none());
        assert!(cut_off(|leg| leg).check(&RULE).is_none());
    }
}
