//! Times: how long things took, who was silent for how long, and which timers are that long.

use std::time::Duration;

use ratatui::text::Line;

use super::page::Page;
use crate::diagnosis::wording::{Count, Span as Words};
use crate::output::phrase;
use crate::session::leg::{Pings, Tunnel};
use crate::session::{Leg, Session};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::tui::state::State;
use crate::tui::store::Row;

/// Where what is said of a thing begins.
const INDENT: usize = 28;

/// Timers that close silent WebSockets by default, in seconds: nginx, ngx_http_proxy_module; HAProxy, timeout tunnel
/// examples; the manuals of the others.
const TIMERS: [(u64, &str); 8] = [
    (30, "GCP load balancer (a lifetime)"),
    (50, "HAProxy with the timeouts of its examples"),
    (60, "nginx proxy_read_timeout, ingress-nginx, AWS ALB, Apache"),
    (100, "Cloudflare"),
    (240, "Azure load balancer"),
    (300, "Envoy stream idle timeout, Apache on Debian"),
    (350, "AWS NLB"),
    (3_600, "a proxy_read_timeout of one hour"),
];

/// ```text
/// client-proxy  10.0.0.31:41400 > 10.0.0.2:443
///   TCP handshake           0.3 ms
///   opening handshake       2.3 ms
///   pings from the server   12, answered 12: 0.3 to 14 ms, 2.1 ms on average
///   longest silence         60 s: nginx proxy_read_timeout, ingress-nginx, AWS ALB, Apache
///   sent again              client 0, server 2 segments
/// ```
pub(super) fn lines(session: &Session, row: &Row, now: Timestamp, state: &State, width: u16) -> Vec<Line<'static>> {
    let mut page = Page::new(state.theme, width);
    for leg in &session.legs {
        page.heading(&format!("{}  {} > {}", leg.role.name(), leg.client, leg.server));
        connection(&mut page, leg);
        if let Some(tunnel) = &leg.tunnel {
            websocket(&mut page, leg, tunnel);
        }
        transport(&mut page, leg);
    }
    page.heading("the session");
    page.pair("  lasted", INDENT, &Words(row.age(now)).to_string());
    if let Some(idle) = row.idle(now) {
        let until = if row.is_open() { "silent now for" } else { "silent at the end for" };
        page.pair(&format!("  {until}"), INDENT, &with_timer(idle));
    }
    page.lines
}

fn connection(page: &mut Page, leg: &Leg) {
    if let Some(rtt) = leg.tcp.handshake_rtt() {
        page.pair("  TCP handshake", INDENT, &Words(rtt).to_string());
    }
    if leg.tcp.syn_retransmissions > 0 {
        let again = Count(leg.tcp.syn_retransmissions.into(), "time");
        page.pair("  SYN", INDENT, &format!("sent again {again}"));
    }
    if let Some(tls) = &leg.tls
        && let (Some(hello), Some(done)) = (tls.client_hello, tls.handshake_done)
    {
        page.pair("  TLS handshake", INDENT, &Words(done.at.since(hello.at)).to_string());
    }
    if let (Some(request), Some(response)) = (&leg.request, &leg.response) {
        let took = response.begun.at.since(request.moment.at);
        page.pair("  request to answer", INDENT, &Words(took).to_string());
    }
}

fn websocket(page: &mut Page, leg: &Leg, tunnel: &Tunnel) {
    for role in Role::BOTH {
        let side = &tunnel.sides[role];
        let name = role.name();
        let messages = side.messages.text + side.messages.binary;
        let sent = format!("{}, {}", Count(messages, "message"), phrase::bytes(side.messages.bytes));
        page.pair(&format!("  sent by the {name}"), INDENT, &sent);
        if side.pings.sent > 0 {
            page.pair(&format!("  pings from the {name}"), INDENT, &pings(&side.pings));
        }
        if side.heartbeats.count > 0 {
            let beats = Count(side.heartbeats.count.into(), "heartbeat");
            let every = period(side.heartbeats.count, side.heartbeats.first, side.heartbeats.last);
            page.pair("  as messages from it", INDENT, &format!("{beats}{every}"));
        }
    }
    if tunnel.longest_idle > Duration::ZERO {
        page.pair("  longest silence survived", INDENT, &Words(tunnel.longest_idle).to_string());
    }
    if let (Some(last), Some(end)) = (tunnel.last_byte, leg.first_end())
        && end.moment.at > last.at
    {
        page.pair("  last byte to the end", INDENT, &with_timer(end.moment.at.since(last.at)));
    }
}

fn pings(pings: &Pings) -> String {
    let mut text = format!("{}, answered {}", pings.sent, pings.answered);
    if let (Some(min), Some(max)) = (pings.min, pings.max) {
        let average = pings.total.checked_div(pings.timed).unwrap_or_default();
        text.push_str(&format!(": {} to {}, {} on average", Words(min), Words(max), Words(average)));
    }
    text + &period(pings.sent, pings.first, pings.last)
}

/// `, one in 25 s`.
fn period(count: u32, first: Option<crate::packet::Moment>, last: Option<crate::packet::Moment>) -> String {
    match (first, last) {
        (Some(first), Some(last)) if count > 1 && last.at > first.at => {
            format!(", one in {}", Words(last.at.since(first.at) / (count - 1)))
        }
        _ => String::new(),
    }
}

fn transport(page: &mut Page, leg: &Leg) {
    let (client, server) = (leg.half(Role::Client), leg.half(Role::Server));
    let both = |of: fn(&crate::tcp::HalfFacts) -> u64| (of(client), of(server));
    let counts: [(&str, (u64, u64), &str); 5] = [
        ("  sent again", both(|half| half.retransmissions.into()), "segments"),
        ("  out of order", both(|half| half.out_of_order.into()), "segments"),
        ("  keep-alive probes", both(|half| half.keep_alives.into()), "segments"),
        ("  missing here", both(|half| half.gap_bytes), "bytes"),
        ("  cut by the snap length", both(|half| half.cut_bytes), "bytes"),
    ];
    for (name, (client, server), unit) in counts {
        if client + server > 0 {
            page.pair(name, INDENT, &format!("client {client}, server {server} {unit}"));
        }
    }
    for role in Role::BOTH {
        let zero = leg.zero_window(role);
        if zero.count > 0 {
            let name = format!("  {} took no more", role.name());
            let still = if zero.open { ", until the end" } else { "" };
            let longest = Words(zero.longest);
            page.pair(
                &name,
                INDENT,
                &format!("{} (window 0), at most {longest}{still}", Count(zero.count.into(), "time")),
            );
        }
    }
}

/// A silence, and the timers that are that long: within a second, as proxies keep time.
fn with_timer(silence: Duration) -> String {
    let near = |seconds: u64| {
        let timer = Duration::from_secs(seconds);
        silence + Duration::from_millis(400) >= timer && silence <= timer + Duration::from_millis(1_200)
    };
    match TIMERS.iter().find(|(seconds, _)| near(*seconds)) {
        Some((seconds, owners)) => format!("{}; timers of {seconds} s: {owners}", Words(silence)),
        None => Words(silence).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_compared_with_known_timers() {
        assert!(with_timer(Duration::from_millis(60_010)).contains("nginx"));
        assert!(with_timer(Duration::from_millis(59_800)).contains("nginx"), "nginx may fire 0.3 s early");
        assert_eq!(with_timer(Duration::from_secs(45)), "45 s");
    }
}
