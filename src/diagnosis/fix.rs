//! What to do, for the proxy that stands there.
//!
//! A rule's fix is one line for each case. A line whose words in front of the first colon name a proxy is for that proxy:
//!
//! ```text
//! in the nginx location: proxy_http_version 1.1; ...
//! Apache: ProxyPass "/ws" "http://BACKEND/ws" upgrade=websocket
//! ```
//!
//! Lines without a name are for everybody.

use std::borrow::Cow;

use crate::diagnosis::proxies::{self, Software};
use crate::session::Session;

/// The lines of a rule's fix for the proxy that deals with the leg of the evidence, if its software is recognised; else
/// all of them.
pub fn for_session(fix: &'static str, session: &Session, leg: Option<usize>) -> Cow<'static, str> {
    if !fix.contains('\n') {
        return fix.into(); // there is nothing to choose from
    }
    for_software(fix, leg.and_then(|leg| proxy_at(session, leg)))
}

/// The lines for everybody and for this software; all lines when there is none for it.
pub fn for_software(fix: &'static str, software: Option<Software>) -> Cow<'static, str> {
    let Some(software) = software else { return fix.into() };
    let mut chosen = String::new();
    let mut has_its_own = false;
    for line in fix.lines() {
        let theirs = line_for(line);
        if theirs.is_some_and(|other| other != software) {
            continue;
        }
        has_its_own |= theirs.is_some();
        if !chosen.is_empty() {
            chosen.push('\n');
        }
        chosen.push_str(line);
    }
    match software {
        _ if has_its_own => chosen.into(),
        Software::IngressNginx => for_software(fix, Some(Software::Nginx)), // it is nginx: a snippet takes the same lines
        _ => fix.into(),
    }
}

/// The proxy that a line of a fix is for.
fn line_for(line: &str) -> Option<Software> {
    let (words, _) = line.split_once(": ")?;
    words.split(' ').find_map(|word| Software::ALL.into_iter().find(|software| software.name() == word))
}

/// The software of the proxy in front of a leg, or of the leg's server.
fn proxy_at(session: &Session, index: usize) -> Option<Software> {
    let leg = session.legs.get(index)?;
    let in_front = leg.behind.and_then(|front| session.legs.get(front)).and_then(|front| proxies::between(front, leg));
    in_front.or_else(|| proxies::answering(leg)).map(|fingerprint| fingerprint.software)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIX: &str = "Look at it.\nin the nginx location: a;\nApache: ProxyPass b";

    #[test]
    fn a_recognised_proxy_gets_its_own_line() {
        assert_eq!(for_software(FIX, Some(Software::Nginx)), "Look at it.\nin the nginx location: a;");
        assert_eq!(for_software(FIX, Some(Software::Apache)), "Look at it.\nApache: ProxyPass b");
        assert_eq!(for_software(FIX, Some(Software::IngressNginx)), "Look at it.\nin the nginx location: a;");
    }

    #[test]
    fn without_a_line_of_its_own_it_gets_all() {
        assert_eq!(for_software(FIX, Some(Software::Varnish)), FIX);
        assert_eq!(for_software(FIX, None), FIX);
    }
}
