//! Every request asks for an upgrade, and most of them do not say to what.

use crate::diagnosis::{Evidence, Facts, Rule, Severity, Stage};

/// `static-connection-upgrade`.
pub const RULE: Rule = Rule {
    id: "static-connection-upgrade",
    severity: Severity::Note,
    stage: Stage::RequestDiff,
    title: "The proxy sends Connection: upgrade with ordinary requests",
    explanation: "The proxy writes Connection: upgrade into every request of this location, also into those that ask for \
        a page. Most backends do not mind. Strict ones refuse, and connections to the backend are not used again.",
    signature: "requests without Upgrade, to the same backend, have Connection: upgrade",
    fix: "in the nginx http block: map $http_upgrade $connection_upgrade { default upgrade; '' close; }\n\
        in the nginx location: proxy_set_header Connection $connection_upgrade;\n\
        HAProxy: set the header only if { req.hdr(upgrade) -i websocket }\n\
        Apache: use ProxyPass ... upgrade=websocket instead of RequestHeader set Connection upgrade",
    look_alikes: "A WebSocket request that lost its Upgrade has a Sec-WebSocket-Key: that is upgrade-headers-stripped.",
    reference: "RFC 9110 §7.6.1",
    check,
};

fn check(facts: &Facts<'_>) -> Option<Evidence> {
    let known = &facts.neighbours.static_upgrades;
    if known.is_empty() {
        return None;
    }
    let behind_a_proxy = facts.session.legs.iter().enumerate().filter(|(_, leg)| leg.behind.is_some());
    let (index, server, moment) =
        behind_a_proxy.filter_map(|(index, leg)| Some((index, leg.server, *known.get(&leg.server)?))).next()?;
    let detail = format!("ordinary requests to {server} carry Connection: upgrade without Upgrade");
    Some(Evidence::on(index, detail).packet(moment, "an ordinary request with Connection: upgrade").not_cause())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::diagnosis::test_session::*;

    pub(crate) fn example() -> TestSession {
        let session = healthy();
        let (server, moment) = (session.session.legs[1].server, session.session.legs[1].tcp.first);
        session.neighbours(|neighbours| _ = neighbours.static_upgrades.insert(server, moment))
    }

    #[test]
    fn is_a_note_on_a_session_that_works() {
        assert_eq!((example().cause(), example().ids()), (None, vec![RULE.id]));
    }

    #[test]
    fn is_no_cause_of_a_refusal() {
        let session = refused_with("HTTP/1.1 400 Bad Request\n\n");
        let (server, moment) = (session.session.legs[1].server, session.session.legs[1].tcp.first);
        let session = session.neighbours(|neighbours| _ = neighbours.static_upgrades.insert(server, moment));
        assert!(session.ids().contains(&RULE.id) && session.cause() != Some(RULE.id));
    }

    #[test]
    fn is_silent_about_other_servers() {
        let session = healthy();
        let (other, moment) = (session.session.legs[0].client, session.session.legs[0].tcp.first);
        assert!(
            session
                .neighbours(|neighbours| _ = neighbours.static_upgrades.insert(other, moment))
                .check(&RULE)
                .is_none()
        );
        assert!(healthy().check(&RULE).is_none());
    }
}
