//! What the ends of a leg are called in a sentence.

use std::fmt;

use crate::session::leg::LegRole;
use crate::session::{Leg, Session};
use crate::wire::Endpoint;

/// An end of a leg: `the proxy 10.0.0.1:8080`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name {
    /// `client`, `proxy`, `backend` or `server`.
    pub word: &'static str,
    /// Where it is reached; for a client, where it came from.
    pub endpoint: Endpoint,
}

impl Name {
    /// As a sentence has it.
    pub fn in_words(self) -> String {
        let mut words = String::with_capacity("the backend 255.255.255.255:65535".len());
        self.write(&mut words).expect("writing to a string cannot fail");
        words
    }

    fn write(self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str("the ")?;
        out.write_str(self.word)?;
        out.write_char(' ')?;
        self.endpoint.write(out)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// Who sends the requests on a leg. A proxy is called by the address where it is reached from the front.
pub fn client_of(session: &Session, leg: usize) -> Option<Name> {
    let this = session.legs.get(leg)?;
    Some(match this.behind.and_then(|front| session.legs.get(front)) {
        Some(front) => Name { word: "proxy", endpoint: front.server },
        None if matches!(this.role, LegRole::ProxyBackend | LegRole::ProxyProxy) => {
            Name { word: "proxy", endpoint: this.client }
        }
        None => Name { word: "client", endpoint: this.client },
    })
}

/// Who answers the requests on a leg.
pub fn server_of(session: &Session, leg: usize) -> Option<Name> {
    let this = session.legs.get(leg)?;
    Some(Name { word: server_word(session, leg, this), endpoint: this.server })
}

fn server_word(session: &Session, index: usize, leg: &Leg) -> &'static str {
    if behind(session, index).is_some() {
        return "proxy";
    }
    match leg.role {
        LegRole::ClientProxy | LegRole::ProxyProxy => "proxy",
        LegRole::ProxyBackend => "backend",
        LegRole::Direct if leg.behind.is_some() => "backend",
        LegRole::Direct => "server",
    }
}

/// The leg behind the server of this one: the last attempt, when its proxy made several. Where it asked for leave is none.
pub fn behind(session: &Session, leg: usize) -> Option<usize> {
    session.legs.iter().rposition(|other| other.behind == Some(leg) && !other.is_aside)
}

/// The legs from the client on; behind them those of attempts that their proxy followed by another.
pub fn decisive_first(session: &Session) -> impl Iterator<Item = (usize, &Leg)> {
    let legs = move |followed| {
        let legs = session.legs.iter().enumerate();
        legs.filter(move |(index, _)| was_followed(session, *index) == followed)
    };
    legs(false).chain(legs(true))
}

/// Whether the proxy in front of this leg made another attempt behind it: what came of this one decided nothing.
pub fn was_followed(session: &Session, leg: usize) -> bool {
    let front = session.legs.get(leg).and_then(|leg| leg.behind);
    front.is_some_and(|front| behind(session, front) != Some(leg))
}

/// Whether this leg is the last attempt of the proxy in front of it, which then answered by what came of it.
pub fn is_last_attempt(session: &Session, leg: usize) -> bool {
    let front = session.legs.get(leg).and_then(|leg| leg.behind);
    front.is_some_and(|front| behind(session, front) == Some(leg))
}
