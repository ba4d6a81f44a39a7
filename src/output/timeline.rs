//! What happened on all legs of a session, in order of time.

use crate::output::comparison;
use crate::output::phrase;
use crate::packet::Moment;
use crate::session::leg::{TlsFacts, Tunnel};
use crate::session::{Leg, Session};
use crate::stream::{Role, Side};
use crate::tls::alert;
use crate::wire::IcmpKind;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When, and in which packet.
    pub moment: Moment,
    /// The index of its leg.
    pub leg: usize,
    /// Who did it; `None` when it was neither end of the leg.
    pub by: Option<Role>,
    /// What it was. May quote the wire.
    pub what: String,
}

/// Everything that is known of a session, in order of packets. Frames are there as the first and the last of each side:
/// a session may have millions.
pub fn of(session: &Session) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, leg) in session.legs.iter().enumerate() {
        let mut leg_entries = Entries { leg: index, entries: &mut entries };
        leg_entries.connect(leg);
        if let Some(tls) = &leg.tls {
            leg_entries.tls(tls);
        }
        leg_entries.exchange(leg);
        if let Some(tunnel) = &leg.tunnel {
            leg_entries.tunnel(tunnel);
        }
        for end in leg.ends() {
            leg_entries.add(end.moment, Some(end.by), end.flag());
        }
    }
    entries.sort_by_key(|entry| (entry.moment.at, entry.moment.packet, entry.leg));
    entries
}

/// The entries of one leg in the making.
struct Entries<'a> {
    leg: usize,
    entries: &'a mut Vec<Entry>,
}

impl Entries<'_> {
    fn add(&mut self, moment: Moment, by: Option<Role>, what: impl Into<String>) {
        self.entries.push(Entry { moment, leg: self.leg, by, what: what.into() });
    }

    fn add_if(&mut self, moment: Option<Moment>, by: Role, what: &str) {
        if let Some(moment) = moment {
            self.add(moment, Some(by), what);
        }
    }

    fn connect(&mut self, leg: &Leg) {
        // Whoever sent the SYN is the originator; on all but the oddest connections that is the client.
        let originator = leg.role_of(Side::Originator);
        if let Some(syn) = leg.tcp.syn {
            let what = match leg.tcp.syn_retransmissions {
                0 => "SYN".to_owned(),
                again => format!("SYN, sent again {}", phrase::count(again.into(), "time")),
            };
            self.add(syn, Some(originator), what);
        }
        self.add_if(leg.tcp.syn_ack, originator.peer(), "SYN-ACK");
        self.add_if(leg.tcp.refused, originator.peer(), "RST: refused");
        for error in &leg.tcp.icmp {
            let what = match error.kind {
                IcmpKind::Unreachable(code) => format!("destination unreachable, code {code}"),
                IcmpKind::PacketTooBig(0) => "packet too big".to_owned(),
                IcmpKind::PacketTooBig(mtu) => format!("packet too big, the MTU is {mtu}"),
                IcmpKind::TimeExceeded => "time exceeded".to_owned(),
                IcmpKind::Other(kind, code) => format!("type {kind}, code {code}"),
            };
            self.add(error.moment, None, format!("ICMP from {}: {what}", error.from));
        }
        if let Some(header) = leg.proxy_header {
            let named = header.source.map(|source| format!(" for {source}")).unwrap_or_default();
            self.add(header.moment, Some(Role::Client), format!("PROXY header, version {}{named}", header.version));
        }
    }

    fn tls(&mut self, tls: &TlsFacts) {
        if let Some(hello) = tls.client_hello {
            let name = tls.sni.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
            self.add(hello, Some(Role::Client), format!("TLS ClientHello{name}"));
        }
        if let Some(hello) = tls.server_hello {
            let version = tls.version.map(|version| format!(", {version}")).unwrap_or_default();
            self.add(hello, Some(Role::Server), format!("TLS ServerHello{version}"));
        }
        self.add_if(tls.handshake_done, Role::Client, "TLS handshake complete");
        for tls_alert in &tls.alerts {
            let what = match tls_alert.description {
                Some(code) => alert::name(code).map_or_else(|| format!("alert {code}"), |name| format!("alert {name}")),
                None => "encrypted alert".to_owned(),
            };
            self.add(tls_alert.moment, Some(tls_alert.by), format!("TLS {what}"));
        }
    }

    fn exchange(&mut self, leg: &Leg) {
        if let Some(request) = &leg.request {
            let stream = leg.h2.as_ref().map(|h2| format!(" on stream {}", h2.stream_id)).unwrap_or_default();
            let what = format!("{}{stream} ({})", comparison::request_line(request), phrase::request(request));
            self.add(request.moment, Some(Role::Client), what);
        }
        if let Some(response) = &leg.response {
            let what = format!("{} {}", response.head.status, response.head.reason());
            self.add(response.moment, Some(Role::Server), what.trim_end());
        }
    }

    fn tunnel(&mut self, tunnel: &Tunnel) {
        for role in Role::BOTH {
            let side = &tunnel.sides[role];
            let close = side.close.as_ref().map(|close| close.moment);
            self.add_if(side.first_frame, role, "first frame");
            if side.last_frame != side.first_frame && side.last_frame != close {
                self.add_if(side.last_frame, role, "last frame");
            }
            if let Some((size, moment)) = side.largest_message.filter(|&(size, _)| size >= 1 << 16) {
                self.add(moment, Some(role), format!("largest message, {}", phrase::bytes(size)));
            }
            if let Some(close) = &side.close {
                self.add(close.moment, Some(role), close_words(close.code, &close.reason));
            }
        }
    }
}

fn close_words(code: Option<u16>, reason: &str) -> String {
    match (code, reason) {
        (None, _) => "Close".to_owned(),
        (Some(code), "") => format!("Close {code}"),
        (Some(code), reason) => format!("Close {code} \"{reason}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    fn words(session: &Session) -> Vec<String> {
        let by = |entry: &Entry| entry.by.map_or("-", Role::name);
        of(session).iter().map(|entry| format!("{} {} {}", entry.leg, by(entry), entry.what)).collect()
    }

    #[test]
    fn both_legs_in_one_order() {
        let (session, _) = samples::stripped();
        assert_eq!(
            words(&session),
            [
                "0 client SYN",
                "1 client SYN",
                "0 server SYN-ACK",
                "1 server SYN-ACK",
                "0 client GET /ws HTTP/1.1 (asks for websocket)",
                "1 client GET /ws HTTP/1.0 (HTTP/1.0, Connection: close, no Upgrade)",
                "1 server 426 Upgrade Required",
                "0 server 426 Upgrade Required",
                "0 server FIN",
            ]
        );
    }

    #[test]
    fn a_whole_life() {
        let (session, _) = samples::closed();
        let words = words(&session);
        for what in ["0 server 101 Switching Protocols", "0 client first frame", "0 client Close 1000 \"bye\""] {
            assert!(words.iter().any(|word| word == what), "{what} is missing: {words:?}");
        }
        assert_eq!(words.last().map(String::as_str), Some("0 server FIN"));
        let (session, _) = samples::encrypted();
        assert!(words_of_tls(&session).contains(&"0 client TLS alert unknown_ca".to_owned()));
    }

    fn words_of_tls(session: &Session) -> Vec<String> {
        words(session).into_iter().filter(|word| word.contains("TLS")).collect()
    }
}
