//! What can be asked of a session.

use std::borrow::Cow;
use std::time::Duration;

use crate::diagnosis::{Diagnosis, Severity};
use crate::session::leg::Direction;
use crate::session::{Leg, Session};
use crate::stream::Role;

/// A field of sessions.
pub struct Field {
    /// Its name in an expression.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it is, in a few words.
    pub help: &'static str,
    /// Hands over its values: none when it is not known, several when there are.
    pub(super) read: Read,
}

/// Hands over the values of a field.
type Read = fn(&Session, &Diagnosis, &mut dyn FnMut(Value<'_>));

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What the values of a field are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text, compared as a whole or with a regular expression.
    Text,
    /// A number.
    Number,
    /// A duration: `500ms`, `45s`.
    Duration,
    /// `note` < `warning` < `error`
    Severity,
    /// Yes or no: stands alone.
    Flag,
}

impl Kind {
    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "number",
            Kind::Duration => "duration",
            Kind::Severity => "severity",
            Kind::Flag => "yes or no",
        }
    }
}

/// A value of a field.
#[derive(Debug)]
pub enum Value<'a> {
    /// Of [`Kind::Text`].
    Text(Cow<'a, str>),
    /// Of [`Kind::Number`].
    Number(u64),
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Severity`].
    Severity(Severity),
    /// Of [`Kind::Flag`].
    Flag(bool),
}

fn word(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

/// All fields.
pub static FIELDS: &[Field] = &[
    Field {
        name: "id",
        kind: Kind::Number,
        help: "the session's number",
        read: |s, _, tell| tell(Value::Number(s.id.0)),
    },
    Field {
        name: "outcome",
        kind: Kind::Text,
        help: "open, closed, aborted, rejected, unanswered, unreachable, encrypted",
        read: |s, _, tell| tell(word(s.outcome.name())),
    },
    Field {
        name: "cause",
        kind: Kind::Text,
        help: "the finding that explains the failure",
        read: |_, d, tell| d.cause().into_iter().for_each(|finding| tell(word(finding.id))),
    },
    Field {
        name: "finding",
        kind: Kind::Text,
        help: "each finding",
        read: |_, d, tell| d.findings.iter().for_each(|finding| tell(word(finding.id))),
    },
    Field {
        name: "severity",
        kind: Kind::Severity,
        help: "of the worst finding: note, warning, error",
        read: |_, d, tell| d.severity().into_iter().for_each(|severity| tell(Value::Severity(severity))),
    },
    Field { name: "verdict", kind: Kind::Text, help: "the sentence", read: |s, d, tell| tell(word(&d.verdict(s))) },
    Field {
        name: "target",
        kind: Kind::Text,
        help: "the request's target on each leg",
        read: |s, _, tell| each(s, |leg| leg.request.as_deref().map(|request| word(request.head.target())), tell),
    },
    Field {
        name: "host",
        kind: Kind::Text,
        help: "the request's Host on each leg, or the name in the ClientHello",
        read: |s, _, tell| {
            each(s, |leg| leg.request.as_deref()?.head.host().map(word), tell);
            each(s, |leg| leg.tls.as_ref()?.sni.as_deref().map(word), tell);
        },
    },
    Field {
        name: "origin",
        kind: Kind::Text,
        help: "the request's Origin on each leg",
        read: |s, _, tell| each(s, |leg| leg.request.as_deref()?.head.fields.first("Origin").map(word), tell),
    },
    Field {
        name: "subprotocol",
        kind: Kind::Text,
        help: "the one that was agreed to",
        read: |s, _, tell| {
            each(s, |leg| leg.response.as_deref()?.head.fields.first("Sec-WebSocket-Protocol").map(word), tell);
        },
    },
    Field {
        name: "status",
        kind: Kind::Number,
        help: "of the answer on each leg",
        read: |s, _, tell| each(s, |leg| leg.status().map(|status| Value::Number(status.into())), tell),
    },
    Field {
        name: "client",
        kind: Kind::Text,
        help: "address and port of each leg's client",
        read: |s, _, tell| each(s, |leg| Some(Value::Text(leg.client.to_string().into())), tell),
    },
    Field {
        name: "server",
        kind: Kind::Text,
        help: "address and port of each leg's server",
        read: |s, _, tell| each(s, |leg| Some(Value::Text(leg.server.to_string().into())), tell),
    },
    Field {
        name: "ip",
        kind: Kind::Text,
        help: "each address",
        read: |s, _, tell| {
            each(s, |leg| Some(Value::Text(leg.client.ip.to_string().into())), tell);
            each(s, |leg| Some(Value::Text(leg.server.ip.to_string().into())), tell);
        },
    },
    Field {
        name: "port",
        kind: Kind::Number,
        help: "each port",
        read: |s, _, tell| {
            each(s, |leg| Some(Value::Number(leg.client.port.into())), tell);
            each(s, |leg| Some(Value::Number(leg.server.port.into())), tell);
        },
    },
    Field {
        name: "legs",
        kind: Kind::Number,
        help: "how many legs",
        read: |s, _, tell| tell(Value::Number(s.legs.len() as u64)),
    },
    Field {
        name: "proxied",
        kind: Kind::Flag,
        help: "a proxy was seen",
        read: |s, _, tell| tell(Value::Flag(s.legs.len() > 1)),
    },
    Field {
        name: "tls",
        kind: Kind::Flag,
        help: "some leg is TLS",
        read: |s, _, tell| tell(Value::Flag(s.legs.iter().any(|leg| leg.tls.is_some()))),
    },
    Field {
        name: "duration",
        kind: Kind::Duration,
        help: "from the first packet to the last",
        read: |s, _, tell| tell(Value::Duration(s.end.since(s.start))),
    },
    Field {
        name: "messages",
        kind: Kind::Number,
        help: "whole messages on the client's leg, both ways",
        read: |s, _, tell| sum(s, |side| side.messages.text + side.messages.binary, tell),
    },
    Field {
        name: "bytes",
        kind: Kind::Number,
        help: "their bytes",
        read: |s, _, tell| sum(s, |side| side.messages.bytes, tell),
    },
    Field {
        name: "ping",
        kind: Kind::Duration,
        help: "the longest time from a ping to its pong on each leg",
        read: |s, _, tell| {
            let longest = |leg: &Leg| {
                let tunnel = leg.tunnel.as_ref()?;
                Role::BOTH.into_iter().filter_map(|role| tunnel.sides[role].pings.max).max()
            };
            s.legs.iter().filter_map(longest).for_each(|duration| tell(Value::Duration(duration)));
        },
    },
    Field {
        name: "close",
        kind: Kind::Number,
        help: "each close code",
        read: |s, _, tell| {
            let tunnels = s.legs.iter().filter_map(|leg| leg.tunnel.as_deref());
            let closes = tunnels.flat_map(|tunnel| Role::BOTH.map(|role| tunnel.sides[role].close.as_ref()?.code));
            closes.flatten().for_each(|code| tell(Value::Number(code.into())));
        },
    },
    Field {
        name: "by",
        kind: Kind::Text,
        help: "who ended it: client, proxy, server, network, unknown",
        read: |s, _, tell| s.ended_by.into_iter().for_each(|ended| tell(word(ended.who.name()))),
    },
    Field {
        name: "via",
        kind: Kind::Text,
        help: "close-frame, fin, rst, tls-alert, http-status, h2-reset, timeout, none",
        read: |s, _, tell| s.ended_by.into_iter().for_each(|ended| tell(word(ended.via.name()))),
    },
    Field {
        name: "phase",
        kind: Kind::Text,
        help: "in which it ended: connect, tls, opening, open, closing",
        read: |s, _, tell| s.ended_by.into_iter().for_each(|ended| tell(word(ended.phase.name()))),
    },
];

/// One value a leg, where there is one.
fn each<'a>(session: &'a Session, of: impl Fn(&'a Leg) -> Option<Value<'a>>, tell: &mut dyn FnMut(Value<'_>)) {
    session.legs.iter().filter_map(of).for_each(tell);
}

/// A number of both sides of the client's leg together, if it became a WebSocket.
fn sum(session: &Session, of: impl Fn(&Direction) -> u64, tell: &mut dyn FnMut(Value<'_>)) {
    if let Some(tunnel) = &session.first_leg().tunnel {
        tell(Value::Number(of(&tunnel.sides.client) + of(&tunnel.sides.server)));
    }
}
