//! A message was larger than the receiver takes.

use crate::diagnosis::ending::named;
use crate::diagnosis::wording::quote;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `message-too-big`.
pub const RULE: Rule = Rule {
    id: "message-too-big",
    severity: Severity::Error,
    stage: Stage::Frames,
    title: "A message was larger than the receiver takes",
    explanation: "The receiver has a limit for one message and closed with 1009. Python's websockets take 1 MiB, socket.io \
        1 MB, uvicorn 16 MiB, tornado 10 MiB, aiohttp 4 MiB, ws 100 MiB by default. Proxies have no part in this: nginx's \
        buffers and client_max_body_size do not touch frames.",
    signature: "a Close frame with 1009, after a large frame from the other side",
    fix: "Send smaller messages, or raise the limit where it is: max_size in websockets, maxPayload in ws, \
        maxHttpBufferSize in socket.io, --ws-max-size in uvicorn, SetReadLimit in gorilla.",
    look_alikes: "A frame that is cut off by the end of the connection is truncated-frame.",
    reference: "RFC 6455 §7.4.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let (leg, receiver, close) = facts.first_close().filter(|(_, _, close)| close.code == Some(1009))?;
    let tunnel = session.legs[leg].tunnel.as_deref()?;
    let sender = &tunnel.sides[receiver.peer()];
    let open = sender.open_frame.map(|frame| (frame.length, frame.moment));
    let largest =
        [open, sender.largest_frame, sender.largest_message].into_iter().flatten().max_by_key(|(length, _)| *length);
    let (who, whose) = (named(session, leg, receiver), named(session, leg, receiver.peer()));
    let reason = match quote(&close.reason) {
        reason if reason.is_empty() => String::new(),
        reason => format!(" \"{reason}\""),
    };
    let size = largest.map_or("a message".to_owned(), |(length, _)| format!("a message of {length} bytes"));
    let said = format!("{who} closed with 1009{reason}: {size} from {whose} was more than it takes");
    Some(
        Evidence::on(leg, said.clone())
            .packet_if(largest.map(|(_, moment)| moment), "the largest frame")
            .packet(close.moment, "the Close frame")
            .verdict(said),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;
    use crate::stream::Role;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 1);
            let leg = leg.close(Role::Server, 1009, "frame exceeds limit of 5 bytes");
            leg.fin(Role::Server)
        })
    }

    #[test]
    fn names_the_size_and_the_reason() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("10 bytes"), "{}", diagnosis.verdict);
        assert!(diagnosis.verdict.contains("limit of 5"), "{}", diagnosis.verdict);
    }

    #[test]
    fn is_silent_on_a_normal_close() {
        assert!(healthy().check(&RULE).is_none());
    }
}
