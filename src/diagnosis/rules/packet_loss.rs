//! Packets are lost on the way and sent again.

use std::time::Duration;

use crate::diagnosis::ending::named;
use crate::diagnosis::wording::{Count, Span};
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::stream::Role;

/// `packet-loss`.
pub const RULE: Rule = Rule {
    id: "packet-loss",
    severity: Severity::Note,
    stage: Stage::Network,
    title: "Packets were lost on the way and sent again",
    explanation: "Bytes had to be sent again before they got through. That is what TCP is for; it becomes a \
        trouble where messages wait for it.",
    signature: "retransmissions; a warning when one of them came a second or more after the bytes were first \
        sent",
    fix: "Look at the network of this leg: wireless, an overloaded link, a duplex mismatch.",
    look_alikes: "Segments that the capture holds twice, or that only came out of order.",
    reference: "RFC 6298",
    check,
};

/// Messages that wait this long are noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// One or two retransmissions are not worth a word.
const LEAST: u32 = 3;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let legs = session.legs.iter().enumerate().filter(|(_, leg)| leg.tunnel.is_some());
    let lossy = legs.filter_map(|(index, leg)| {
        let [client, server] = Role::BOTH.map(|by| leg.half(by));
        let again = client.retransmissions.saturating_add(server.retransmissions);
        let longest = client.longest_recovery.max(server.longest_recovery);
        (again >= LEAST || longest >= NOTICED).then_some((longest, again, index))
    });
    let (_, _, leg) = lossy.max()?;
    let rank = |by: &Role| (session.legs[leg].half(*by).longest_recovery, session.legs[leg].half(*by).retransmissions);
    let by = Role::BOTH.into_iter().max_by_key(rank)?;
    let half = session.legs[leg].half(by);
    let who = named(session, leg, by);
    let delayed = half.longest_recovery >= NOTICED;
    let slow = match half.longest_recovery {
        Duration::ZERO => String::new(),
        longest => format!("; the slowest got through after {}", Span(longest)),
    };
    let said =
        format!("{who} sent {} again of {} packets{slow}", Count(half.retransmissions.into(), "segment"), half.packets);
    let evidence = Evidence::on(leg, said).packet_if(half.first_data, "the first data of this side").not_cause();
    Some(if delayed { evidence.severity(Severity::Warning) } else { evidence })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    fn lossy(retransmissions: u32, longest: Duration) -> TestSession {
        healthy().client_leg(|leg| {
            leg.with(|leg| {
                let side = leg.side(Role::Server);
                let half = &mut leg.tcp.halves[side];
                (half.retransmissions, half.longest_recovery) = (retransmissions, longest);
            })
        })
    }

    pub(crate) fn example() -> TestSession {
        lossy(12, Duration::from_millis(210))
    }

    #[test]
    fn is_a_note_until_it_delays_messages() {
        assert_eq!(example().finding(RULE.id).map(|finding| finding.severity), Some(Severity::Note));
        let slow = lossy(1, Duration::from_secs(2));
        assert_eq!(slow.finding(RULE.id).map(|finding| finding.severity), Some(Severity::Warning));
        assert_eq!(slow.cause(), None);
    }

    #[test]
    fn is_silent_on_a_retransmission_or_two() {
        assert!(lossy(2, Duration::from_millis(210)).check(&RULE).is_none());
    }
}
