//! Large segments vanish, small ones pass.

use crate::diagnosis::ending::named;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Leg;
use crate::stream::Role;
use crate::wire::IcmpKind;

/// `mtu-black-hole`.
pub const RULE: Rule = Rule {
    id: "mtu-black-hole",
    severity: Severity::Error,
    stage: Stage::Network,
    title: "Large packets vanish on the way",
    explanation: "Segments of full size are sent again and again and never acknowledged, while smaller ones get \
        through: a link on the way takes smaller packets only, and the ICMP message that should say so \
        is dropped. It shows at the first large frame; VPNs and tunnels are the usual place.",
    signature: "the same full-sized segments retransmitted and never acknowledged; smaller segments acknowledged \
        before, or selectively (SACK)",
    fix: "Let ICMP type 3 code 4 (IPv6: type 2) through; or clamp the MSS: `iptables -t mangle -A FORWARD \
        -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu`; or lower the MTU of the \
        interface.",
    look_alikes: "A peer that is gone acknowledges nothing at all: peer-vanished.",
    reference: "RFC 2923 §2.1",
    check,
};

/// Every path carries segments of this size (RFC 9293 §3.7.1).
const SMALL: u32 = 536;

/// The payload of a packet that a usual link just carries: 1280 bytes, the least MTU of IPv6, without headers.
const LARGE: u32 = 1200;

/// The most that options take of a segment.
const OPTIONS: u32 = 40;

/// Sent again this often, a segment would have got through if the path took it, whatever else the peer has sent since.
const OFTEN: u32 = 4;

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let session = facts.session;
    let found = session.legs.iter().enumerate().find_map(|(index, leg)| Some((index, leg, black_hole(leg)?)));
    let (index, leg, by) = found?;
    let half = leg.half(by);
    let (who, peer) = (named(session, index, by), named(session, index, by.peer()));
    let icmp = leg.tcp.icmp.iter().find(|error| matches!(error.kind, IcmpKind::PacketTooBig(_)));
    let told = match icmp.map(|error| error.kind) {
        Some(IcmpKind::PacketTooBig(mtu)) if mtu > 0 => format!("; a router asks for at most {mtu} bytes"),
        _ => String::new(),
    };
    let said = format!(
        "segments of {} bytes from {who} never reached {peer}, segments of up to {} bytes did{told}",
        half.largest_lost, half.largest_acknowledged
    );
    Some(
        Evidence::on(index, said.clone())
            .packet_if(half.unacknowledged_since, "the first segment that was never acknowledged")
            .packet_if(icmp.map(|error| error.moment), "the router's message")
            .verdict(said),
    )
}

fn black_hole(leg: &Leg) -> Option<Role> {
    if !leg.both_directions_seen() {
        return None;
    }
    Role::BOTH.into_iter().find(|&by| {
        let half = leg.half(by);
        let in_vain = half.unanswered_retransmissions >= 2 || half.largest_lost_times >= OFTEN;
        half.unacknowledged_since.is_some() && in_vain && only_large_vanish(leg, by)
    })
}

/// Whether it is its size for which a segment of this side got lost: smaller ones arrived, and it is as large as segments
/// are, or the peer spoke meanwhile. A peer that is gone acknowledges no message, also when that is the longest so far.
pub(super) fn only_large_vanish(leg: &Leg, by: Role) -> bool {
    let (half, peer) = (leg.half(by), leg.half(by.peer()));
    let (lost, arrived) = (half.largest_lost, half.largest_acknowledged);
    let segment = [half.mss, peer.mss].into_iter().flatten().min();
    let is_full = lost >= LARGE || segment.is_some_and(|segment| lost + OPTIONS >= u32::from(segment));
    let spoke = half.unacknowledged_since.is_some_and(|since| peer.last_data.is_some_and(|last| last.at > since.at));
    lost > SMALL && arrived > 0 && lost > arrived && (is_full || spoke)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        session().client_leg(|leg| {
            let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Client, 2);
            let now = leg.now();
            leg.after_ms(3000).with(|leg| {
                let side = leg.side(Role::Client);
                let half = &mut leg.tcp.halves[side];
                (half.unacknowledged_since, half.unanswered_retransmissions) = (Some(now), 5);
                (half.largest_acknowledged, half.largest_lost) = (540, 1448);
            })
        })
    }

    #[test]
    fn tells_both_sizes() {
        let diagnosis = example().diagnose();
        assert_eq!(diagnosis.cause().map(|finding| finding.id), Some(RULE.id));
        assert!(diagnosis.verdict.contains("1448 bytes") && diagnosis.verdict.contains("540"), "{}", diagnosis.verdict);
    }

    fn lost(bytes: u32, segment: u16) -> TestSession {
        example().client_leg(|leg| {
            leg.with(|leg| {
                let side = leg.side(Role::Client);
                let half = &mut leg.tcp.halves[side];
                (half.largest_lost, half.mss) = (bytes, Some(segment));
            })
        })
    }

    #[test]
    fn a_message_that_is_longer_than_those_before_is_not_large_for_that() {
        assert_eq!(lost(704, 1460).cause(), Some("peer-vanished"));
        assert_eq!(lost(704, 724).cause(), Some(RULE.id), "a full segment of this connection");
        assert_eq!(lost(1304, 65_495).cause(), Some(RULE.id), "what few links carry");
    }

    #[test]
    fn a_peer_that_leaves_without_them_changes_nothing() {
        let with = |times: u32| {
            let mut session = example();
            let half = &mut session.session.legs[0].tcp.halves[crate::stream::Side::Originator];
            (half.unanswered_retransmissions, half.largest_lost_times) = (0, times);
            session.check(&RULE).is_some()
        };
        assert_eq!((with(3), with(4)), (false, true));
    }

    #[test]
    fn is_silent_when_small_ones_vanish_as_well() {
        assert!(crate::diagnosis::rules::peer_vanished::tests::vanished(5).check(&RULE).is_none());
        assert!(healthy().check(&RULE).is_none());
    }
}
