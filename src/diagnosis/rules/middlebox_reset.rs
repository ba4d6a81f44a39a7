//! An RST was not sent by the host whose address it bears.

use crate::diagnosis::ending::named;
use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};
use crate::session::Confidence;
use crate::tcp::EndKind;

/// `middlebox-reset`.
pub const RULE: Rule = Rule {
    id: "middlebox-reset",
    severity: Severity::Error,
    stage: Stage::Closing,
    title: "Something on the way reset the connection",
    explanation: "The RST bears the address of one end, but its time to live differs from that of the end's other \
        packets: it was made by something closer or farther on the way. Firewalls, inspection and \
        censors do this.",
    signature: "an RST whose TTL does not fit the other packets of its sender",
    fix: "Look for a firewall or an inspecting proxy between the two; wss on port 443 passes most of them.",
    look_alikes: "Packets of one host that take two ways differ by a hop or so all the time.",
    reference: "RFC 9293 §3.5.2",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let end = facts.ending_without_close().filter(|end| end.end.kind == EndKind::Rst)?;
    let leg = end.on();
    let rst = leg.tcp.ends.iter().find(|rst| rst.moment == end.end.moment && rst.kind == EndKind::Rst)?;
    let usual = leg.half(end.end.by).ttl?;
    if rst.ttl.abs_diff(usual) < 2 {
        return None;
    }
    let who = named(facts.session, end.leg, end.end.by);
    Some(
        Evidence::on(end.leg, format!("the RST has TTL {}, other packets of {who} have {usual}", rst.ttl))
            .packet(end.end.moment, "the RST")
            .confidence(Confidence::Medium)
            .verdict(format!(
                "something on the way reset the connection in the name of {who}: the RST has TTL {}, its other packets {usual}",
                rst.ttl
            )),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    use crate::session::Outcome;
    use crate::stream::Role;

    fn reset(usual: u8) -> TestSession {
        session()
            .client_leg(|leg| {
                let leg = leg.request(ASKED).response(SWITCHED).open().messages(Role::Server, 3).rst(Role::Server);
                leg.with(|leg| {
                    let side = leg.side(Role::Server);
                    leg.tcp.halves[side].ttl = Some(usual);
                })
            })
            .outcome(Outcome::Aborted)
    }

    pub(crate) fn example() -> TestSession {
        reset(52)
    }

    #[test]
    fn is_the_cause() {
        assert_eq!(example().cause(), Some(RULE.id));
    }

    #[test]
    fn is_silent_when_the_ttl_fits() {
        assert!(reset(64).check(&RULE).is_none());
        assert!(reset(65).check(&RULE).is_none());
    }
}
