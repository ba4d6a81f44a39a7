//! A session as a ladder: what happened on all its legs, from the client to the backend, in order of time.

use std::time::Duration;

use crate::diagnosis::parties;
use crate::engine::event::MessageKind;
use crate::output::timeline;
use crate::packet::Moment;
use crate::session::{Leg, Session};
use crate::stream::Role;
use crate::time::Timestamp;
use crate::tui::store::Messages;

/// Silence that is worth a line of its own.
const SILENCE: Duration = Duration::from_secs(1);
/// Two legs do the same thing at once when no more time is between them.
const AT_ONCE: Duration = Duration::from_millis(250);

/// A ladder.
#[derive(Debug)]
pub(super) struct Ladder {
    /// The client, the proxies, the backend.
    pub stations: Vec<Station>,
    pub steps: Vec<Step>,
}

/// Where arrows begin and end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Station {
    /// `client`, `proxy`, `backend` or `server`.
    pub word: &'static str,
    /// Its address, as those before it see it.
    pub address: String,
}

/// One line of the ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub at: Timestamp,
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// One thing, on one leg or passed on over several.
    Arrows(Vec<Arrow>),
    /// Something that neither end did: an ICMP error.
    Remark(Arrow),
    /// Nothing, for so long.
    Silence(Duration),
    /// Messages that are no longer kept.
    Forgotten(u64),
}

/// One thing that one end of a leg did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arrow {
    /// Between which stations: this one and the next.
    pub gap: usize,
    pub leg: usize,
    pub by: Role,
    pub moment: Moment,
    /// Quotes the wire: to be masked and escaped.
    pub label: Vec<u8>,
    /// Where the leg leads, when the last station is not where it leads.
    pub elsewhere: Option<String>,
}

impl Arrow {
    /// What it is, less what it carries: the first word.
    fn verb(&self) -> &[u8] {
        self.label.split(|&byte| byte == b' ' || byte == b',').next().unwrap_or_default()
    }
}

/// Makes the ladder of a session, of which these messages are kept.
pub(super) fn of(session: &Session, messages: &Messages) -> Ladder {
    let depths: Vec<usize> = (0..session.legs.len()).map(|leg| depth(session, leg)).collect();
    let stations = stations(session, &depths);
    let mut arrows = arrows(session, messages, &depths);
    for arrow in &mut arrows {
        let leg = &session.legs[arrow.leg];
        let last_of_its_depth = depths.iter().rposition(|depth| *depth == arrow.gap);
        if last_of_its_depth != Some(arrow.leg) {
            arrow.elsewhere = Some(leg.server.to_string());
        }
    }
    let mut steps: Vec<Step> = Vec::new();
    if messages.dropped() > 0 {
        steps.push(Step { at: session.start, what: What::Forgotten(messages.dropped()) });
    }
    let mut last = None;
    for arrow in arrows {
        let at = arrow.moment.at;
        let silence = last.map_or(Duration::ZERO, |last| at.since(last));
        last = last.max(Some(at));
        if silence >= SILENCE {
            steps.push(Step { at, what: What::Silence(silence) });
        }
        match steps.last_mut() {
            Some(step) if goes_on(step, &arrow) => {
                if let What::Arrows(arrows) = &mut step.what {
                    arrows.push(arrow);
                }
            }
            _ if arrow.label.starts_with(b"ICMP") => steps.push(Step { at, what: What::Remark(arrow) }),
            _ => steps.push(Step { at, what: What::Arrows(vec![arrow]) }),
        }
    }
    Ladder { stations, steps }
}

/// Whether a proxy passes on what the step before it was: the same thing, on the next leg, in the same direction.
fn goes_on(step: &Step, arrow: &Arrow) -> bool {
    let What::Arrows(arrows) = &step.what else { return false };
    let Some(before) = arrows.last() else { return false };
    let next = match arrow.by {
        Role::Client => before.gap + 1 == arrow.gap,
        Role::Server => before.gap == arrow.gap + 1,
    };
    next && before.by == arrow.by
        && before.verb() == arrow.verb()
        && arrow.moment.at.since(before.moment.at) <= AT_ONCE
        && arrows.iter().all(|other| other.gap != arrow.gap)
}

fn arrows(session: &Session, messages: &Messages, depths: &[usize]) -> Vec<Arrow> {
    let tells_closes = |leg: &Leg| {
        leg.tunnel.as_ref().is_some_and(|tunnel| Role::BOTH.iter().any(|role| tunnel.sides[*role].close.is_some()))
    };
    let mut arrows = Vec::new();
    for entry in timeline::of(session) {
        // The frames in between are there themselves.
        if messages.len() > 0 && matches!(&*entry.what, "first frame" | "last frame") {
            continue;
        }
        arrows.push(Arrow {
            gap: depths[entry.leg],
            leg: entry.leg,
            by: entry.by.unwrap_or(Role::Server),
            moment: entry.moment,
            label: short(&entry.what).into_bytes(),
            elsewhere: None,
        });
    }
    for entry in messages.iter() {
        let Some(leg) = session.legs.iter().position(|leg| entry.is_on(leg)) else { continue };
        if entry.heard.kind == MessageKind::Close && tells_closes(&session.legs[leg]) {
            continue;
        }
        let mut label = format!("{} {}", entry.heard.kind.name(), entry.heard.bytes).into_bytes();
        if !entry.heard.preview.is_empty() && entry.heard.kind == MessageKind::Text {
            label.push(b' ');
            label.extend_from_slice(&entry.heard.preview);
        }
        arrows.push(Arrow { gap: depths[leg], leg, by: entry.by, moment: entry.heard.moment, label, elsewhere: None });
    }
    // What came in one packet stays in the order in which it came.
    arrows.sort_by_key(|arrow| (arrow.moment.at, arrow.moment.packet));
    arrows
}

/// Requests without what follows in brackets: the headers have their own page.
fn short(what: &str) -> String {
    let line = what.split_once(" (").map_or(what, |(line, _)| line);
    line.strip_suffix(" HTTP/1.1").unwrap_or(line).to_owned()
}

fn stations(session: &Session, depths: &[usize]) -> Vec<Station> {
    let deepest = depths.iter().copied().max().unwrap_or(0);
    let first = session.first_leg();
    let mut stations = vec![Station {
        word: parties::client_of(session, 0).map_or("client", |name| name.word),
        address: first.client.to_string(),
    }];
    for depth in 0..=deepest {
        let Some(index) = depths.iter().rposition(|other| *other == depth) else { continue };
        let leg = &session.legs[index];
        let word = parties::server_of(session, index).map_or("server", |name| name.word);
        let mut address = leg.server.to_string();
        if let Some(back) = session.legs.iter().rev().find(|back| back.behind == Some(index)) {
            address.push_str(&format!("|:{}", back.client.port));
        }
        stations.push(Station { word, address });
    }
    stations
}

/// How many proxies are in front of a leg.
fn depth(session: &Session, leg: usize) -> usize {
    let (mut at, mut depth) = (leg, 0);
    while let Some(front) = session.legs.get(at).and_then(|leg| leg.behind)
        && depth < session.legs.len()
    {
        (at, depth) = (front, depth + 1);
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples;

    fn labels(ladder: &Ladder) -> Vec<String> {
        let word = |arrow: &Arrow| format!("{}{}", arrow.gap, String::from_utf8_lossy(&arrow.label));
        ladder
            .steps
            .iter()
            .map(|step| match &step.what {
                What::Arrows(arrows) => arrows.iter().map(word).collect::<Vec<_>>().join(" | "),
                What::Remark(arrow) => format!("remark {}", word(arrow)),
                What::Silence(duration) => format!("silent {} s", duration.as_secs()),
                What::Forgotten(count) => format!("{count} forgotten"),
            })
            .collect()
    }

    #[test]
    fn what_a_proxy_passes_on_is_one_step() {
        let store = samples::proxied_failure();
        let row = store.rows().values().next().expect("there is one session");
        let ladder = of(row.session().expect("it is whole"), &row.messages);
        let words: Vec<_> = ladder.stations.iter().map(|station| station.word).collect();
        assert_eq!(words, ["client", "proxy", "backend"]);
        let labels = labels(&ladder);
        assert!(labels.iter().any(|label| label.starts_with("0GET")), "{labels:?}");
        assert!(labels.iter().any(|label| label == "1GET /ws/chat HTTP/1.0"), "{labels:?}");
        assert!(labels.iter().any(|label| label == "1426 Upgrade Required | 0426 Upgrade Required"), "{labels:?}");
    }

    #[test]
    fn silence_is_told() {
        let store = samples::idle_timeout();
        let row = store.rows().values().next().expect("there is one session");
        let labels = labels(&of(row.session().expect("it is whole"), &row.messages));
        assert!(labels.iter().any(|label| label.starts_with("silent 60 s")), "{labels:?}");
    }
}
