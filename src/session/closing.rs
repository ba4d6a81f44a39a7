//! How legs and sessions ended, and who ended them: from the first Close, FIN or RST on any leg.

use std::time::Duration;

use crate::http::handshake::{Accept, Upgrade};
use crate::session::leg::{EndOf, Leg, LegEnd, Outcome};
use crate::session::neighbours::ending::Ended;
use crate::session::{Confidence, EndedBy, Party, Phase, Via, Who};
use crate::stream::{Role, Side};
use crate::tcp::EndKind;
use crate::ws::facts::Close;

/// What became of a leg.
pub fn outcome_of(leg: &Leg) -> Outcome {
    if leg.tunnel.is_some() && !is_refused_101(leg) {
        return outcome_of_tunnel(leg);
    }
    if leg.response.is_some() || (leg.odd_answer.is_some() && !leg.answer_broke_off()) {
        return Outcome::Rejected;
    }
    if leg.request.is_some() || leg.incomplete_request.is_some() {
        return Outcome::Unanswered;
    }
    match &leg.tls {
        Some(tls) if tls.handshake_done.is_some() => Outcome::Encrypted,
        // The handshake was over before the capture began: records of data, and no hello.
        Some(tls) if tls.client_hello.is_none() && tls.bytes.client + tls.bytes.server > 0 => Outcome::Encrypted,
        // What the capture lacks may be the handshake.
        Some(_) if leg.tcp.came_up() && leg.has_holes() => Outcome::Encrypted,
        Some(_) => Outcome::Unreachable,
        None if leg.tcp.came_up() => Outcome::Unanswered,
        None => Outcome::Unreachable,
    }
}

/// Whether the 101 breaks RFC 6455 §4.1 and the client went away without a frame.
fn is_refused_101(leg: &Leg) -> bool {
    let (Some(response), Some(tunnel)) = (&leg.response, &leg.tunnel) else { return false };
    let answer = &response.answer;
    // Over HTTP/2 nothing but the status is needed (RFC 8441 §5); of a head that was cut nothing but the status is known.
    if leg.h2.is_some() || response.cut {
        return false;
    }
    let broken = answer.upgrade != Upgrade::WebSocket
        || !answer.connection_upgrade
        || matches!(answer.accept, Accept::Wrong | Accept::Absent);
    broken && tunnel.sides.client.frames.total() == 0
}

fn outcome_of_tunnel(leg: &Leg) -> Outcome {
    let Some(tunnel) = &leg.tunnel else { return Outcome::Unanswered };
    let closes = Role::BOTH.into_iter().filter(|&role| tunnel.sides[role].close.is_some()).count();
    match (closes, leg.first_end()) {
        (2, _) => Outcome::Closed,
        // The other side's Close cannot be seen where its packets were not captured.
        (1, Some(_)) if leg.tcp.unseen_side().is_some() => Outcome::Closed,
        (_, None) => Outcome::Open,
        (_, Some(_)) => Outcome::Aborted,
    }
}

/// Who ended a session; `None` while it is open.
pub fn ended_by(legs: &[Leg], outcome: Outcome) -> Option<EndedBy> {
    match outcome {
        Outcome::Closed | Outcome::Aborted => Some(end_of_tunnel(legs)),
        Outcome::Open => None,
        Outcome::Rejected => Some(refusal(legs)),
        Outcome::Unanswered => Some(first_end(legs, Phase::Opening).unwrap_or(silence(legs, Phase::Opening))),
        Outcome::Unreachable => Some(failed_connection(legs)),
        Outcome::Encrypted => first_end(legs, Phase::Open),
    }
}

/// Who an end of a leg belongs to: the outer ends are client and backend, everything between is a proxy.
fn who(legs: &[Leg], party: Party) -> Who {
    let has_back = legs.iter().any(|leg| leg.behind == Some(party.leg));
    match party.role {
        Role::Client if legs[party.leg].behind.is_none() => Who::Client,
        Role::Server if !has_back => Who::Server,
        _ => Who::Proxy,
    }
}

/// The first FIN or RST on any leg, in the order of capture, or the close_notify that it answers: where a WebSocket was open, on
/// those that had it or may have.
fn first_tcp_end(legs: &[Leg]) -> Option<(usize, LegEnd)> {
    let was_open = legs.iter().any(|leg| leg.tunnel.is_some());
    let may_have_been_open = |leg: &Leg| leg.tunnel.is_some() || leg.outcome == Outcome::Encrypted;
    first_end_of(legs, |leg, _| !leg.is_aside && (!was_open || may_have_been_open(leg)))
}

/// The first end of those that count, in the order of capture, with the index of its leg.
pub fn first_end_of(legs: &[Leg], counts: impl Fn(&Leg, &LegEnd) -> bool) -> Option<(usize, LegEnd)> {
    let of_each = legs.iter().enumerate().filter_map(|(index, leg)| Some((index, leg, leg.first_end()?)));
    let counted = of_each.filter(|(_, leg, end)| counts(leg, end)).map(|(index, _, end)| (index, end));
    counted.min_by_key(|(_, end)| end.moment)
}

/// Packets of two legs may stand in a capture in another order than they were sent, by this much.
const OUT_OF_ORDER: Duration = Duration::from_millis(10);

/// The first Close frame of a session: who sent it, on the leg where it was born. It appears there first, but for the order
/// of packets in the capture: what the leg on the sender's side carries in the same direction at that time was passed on.
pub fn first_close(legs: &[Leg]) -> Option<(Party, &Close)> {
    let mut earliest: Option<(Party, &Close)> = None;
    for (leg, this) in legs.iter().enumerate() {
        for role in Role::BOTH {
            if let Some(close) = this.close(role)
                && earliest.is_none_or(|(_, earliest)| close.moment < earliest.moment)
            {
                earliest = Some((Party { leg, role }, close));
            }
        }
    }
    let (mut party, mut first) = earliest?;
    while let Some((leg, close)) = passed_on_from(legs, party, first) {
        (party.leg, first) = (leg, close);
    }
    Some((party, first))
}

/// The leg that a Close frame came from, and the frame there; `None` where it was born.
fn passed_on_from<'a>(legs: &'a [Leg], party: Party, close: &Close) -> Option<(usize, &'a Close)> {
    let leg = match party.role {
        Role::Client => legs[party.leg].behind?,
        Role::Server => {
            legs.iter().position(|leg| leg.behind == Some(party.leg) && leg.close(Role::Server).is_some())?
        }
    };
    let before = legs[leg].close(party.role).filter(|before| before.code == close.code)?;
    let is_answer = legs[leg].close(party.role.peer()).is_some_and(|other| other.moment < before.moment);
    let apart = before.moment.at.since(close.moment.at).max(close.moment.at.since(before.moment.at));
    (!is_answer && apart <= OUT_OF_ORDER).then_some((leg, before))
}

fn end_of_tunnel(legs: &[Leg]) -> EndedBy {
    let close = first_close(legs);
    let end = first_tcp_end(legs);
    if let Some((party, close)) = close
        && end.is_none_or(|(leg, end)| {
            close.moment <= end.moment || (leg == party.leg && end.is_behind(party.role, close.moment))
        })
    {
        let confidence = confidence(legs);
        return EndedBy { who: who(legs, party), via: Via::CloseFrame, phase: Phase::Closing, confidence };
    }
    let phase = if close.is_some() { Phase::Closing } else { Phase::Open };
    first_end(legs, phase).unwrap_or(silence(legs, phase))
}

fn first_end(legs: &[Leg], phase: Phase) -> Option<EndedBy> {
    let (leg, end) = first_tcp_end(legs)?;
    let stream_reset = legs[leg].h2.as_ref().and_then(|h2| h2.reset);
    let party = Party { leg, role: end.by };
    let via = match end.kind {
        EndKind::Fin if end.of == EndOf::Tls => Via::TlsAlert,
        EndKind::Fin => Via::Fin,
        EndKind::Rst if stream_reset.is_some_and(|(_, _, at)| at == end.moment) => Via::H2Reset,
        EndKind::Rst => Via::Rst,
    };
    Some(EndedBy { who: who(legs, party), via, phase, confidence: confidence(legs) })
}

fn silence(legs: &[Leg], phase: Phase) -> EndedBy {
    let lost =
        legs.iter().any(|leg| Side::BOTH.into_iter().any(|side| leg.tcp.halves[side].unanswered_retransmissions > 0));
    let who = if lost { Who::Network } else { Who::Unknown };
    EndedBy { who, via: Via::Timeout, phase, confidence: Confidence::Low }
}

/// An answer was made by the last leg that has it with that status: a proxy passes it on.
fn refusal(legs: &[Leg]) -> EndedBy {
    let status = legs[0].status();
    if status == Some(101) {
        return first_end(legs, Phase::Opening).unwrap_or(silence(legs, Phase::Opening));
    }
    let maker =
        legs.iter().rposition(|leg| leg.response.is_some() && leg.status() == status && !leg.is_aside).unwrap_or(0);
    let who = who(legs, Party { leg: maker, role: Role::Server });
    EndedBy { who, via: Via::HttpStatus, phase: Phase::Opening, confidence: confidence(legs) }
}

fn failed_connection(legs: &[Leg]) -> EndedBy {
    let leg = &legs[0];
    let alert = leg.tls.as_ref().and_then(|tls| tls.alerts.iter().find(|alert| alert.description != Some(0)));
    if let Some(alert) = alert {
        let who = who(legs, Party { leg: 0, role: alert.by });
        return EndedBy { who, via: Via::TlsAlert, phase: Phase::Tls, confidence: Confidence::High };
    }
    if leg.tls.is_some() {
        return first_end(legs, Phase::Tls).unwrap_or(silence(legs, Phase::Tls));
    }
    if leg.tcp.refused.is_some() {
        return EndedBy { who: Who::Server, via: Via::Rst, phase: Phase::Connect, confidence: Confidence::High };
    }
    EndedBy { who: Who::Network, via: Via::Timeout, phase: Phase::Connect, confidence: Confidence::Medium }
}

/// With one leg of a proxied session, or with holes, another leg may know better.
fn confidence(legs: &[Leg]) -> Confidence {
    let doubtful = legs.iter().any(|leg| leg.has_holes() || !leg.both_directions_seen());
    if doubtful { Confidence::Medium } else { Confidence::High }
}
