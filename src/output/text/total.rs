//! The last line: `2 sessions: 1 closed, 1 rejected.  1 error.  21 packets, none lost.`

use crate::engine::event::Summary;
use crate::output::line::Line;
use crate::output::phrase;
use crate::output::text::Tally;

/// Writes it, and below it what a reader must know to trust the rest.
pub(super) fn write(line: &mut Line, summary: &Summary, findings: &Tally) {
    sessions(line, summary);
    judgements(line, findings);
    packets(line, summary);
    remarks(line, summary);
}

fn sessions(line: &mut Line, summary: &Summary) {
    let total: u64 = summary.sessions.iter().map(|(_, count)| count).sum();
    if total == 0 {
        line.put("No websocket was seen.");
        return;
    }
    line.count(total, "session");
    list(line, ": ", summary.sessions.iter().filter(|(_, count)| *count > 0), |line, (outcome, count)| {
        line.number(*count);
        line.put(" ");
        line.put(outcome);
    });
    line.put(".");
}

fn judgements(line: &mut Line, findings: &Tally) {
    let counts = [(findings.errors, "error"), (findings.warnings, "warning"), (findings.notes, "note")];
    let some = counts.iter().filter(|(count, _)| *count > 0);
    if some.clone().next().is_some() {
        list(line, "  ", some, |line, (count, noun)| line.count(*count, noun));
        line.put(".");
    }
}

fn packets(line: &mut Line, summary: &Summary) {
    line.put("  ");
    line.count(summary.packets, "packet");
    let loss = &summary.loss;
    let lost = [(loss.kernel, "by the kernel"), (loss.interface, "by the interface")];
    let some = lost.iter().filter(|(count, _)| *count > 0);
    if some.clone().next().is_none() {
        line.put(", none lost.");
        return;
    }
    list(line, ", lost: ", some, |line, (count, by)| {
        line.number(*count);
        line.put(" ");
        line.put(by);
    });
    line.put(".");
}

/// One line for each thing that the capture lacks, or that was left aside although it may matter.
fn remarks(line: &mut Line, summary: &Summary) {
    let remark = |line: &mut Line, count: u64, noun: &'static str, what: &str| {
        if count > 0 {
            line.next(0);
            line.count(count, noun);
            line.put(what);
        }
    };
    if summary.loss.gap_bytes > 0 {
        line.next(0);
        line.put(&phrase::bytes(summary.loss.gap_bytes));
        line.put(" of TCP streams are missing from the capture.");
    }
    let ignored = &summary.ignored;
    remark(line, ignored.cut, "packet", " cut so short by the snap length that the headers are incomplete.");
    remark(line, ignored.malformed, "packet", " with headers that contradict themselves.");
    remark(line, ignored.unknown_link, "packet", " of a link type that is not known here.");
    remark(line, ignored.fragments, "packet", " of IP datagrams that never became whole.");
    for (limit, count) in &summary.limits {
        line.next(0);
        line.put("A bound was reached: ");
        line.put(limit);
        line.put(", ");
        line.count(*count, "time");
        line.put(".");
    }
    for (what, count) in &summary.forgotten {
        line.next(0);
        line.put("Forgotten to make room for newer ones: ");
        line.number(*count);
        line.put(" ");
        line.put(what);
        line.put(".");
    }
    if summary.sessions.iter().all(|(_, count)| *count == 0) {
        remark(line, ignored.not_websocket, "connection", " without a websocket.");
        if ignored.cut_bytes > 0 {
            line.next(0);
            line.put("The snap length cut off ");
            line.put(&phrase::bytes(ignored.cut_bytes));
            line.put(" of what they said, which may be one: capture whole packets, -s 0.");
        }
        remark(line, ignored.not_tcp, "packet", " of something other than TCP.");
        remark(line, ignored.not_ip, "packet", " of something other than IP.");
        remark(line, ignored.filtered, "packet", " left out by the filter.");
    }
}

/// Items with commas between them, behind `lead`.
fn list<'a, T: 'a>(
    line: &mut Line,
    lead: &str,
    items: impl Iterator<Item = &'a T>,
    mut write: impl FnMut(&mut Line, &'a T),
) {
    for (index, item) in items.enumerate() {
        line.put(if index > 0 { ", " } else { lead });
        write(line, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::{IgnoredCounts, Loss};
    use crate::output::mask::Mask;

    fn written(summary: &Summary, findings: Tally) -> String {
        let mut line = Line::new(false, Mask::Secrets);
        write(&mut line, summary, &findings);
        line.as_str().to_owned()
    }

    #[test]
    fn one_of_each() {
        let summary = Summary { packets: 21, sessions: vec![("open", 0), ("rejected", 1)], ..Summary::default() };
        let findings = Tally { errors: 1, ..Tally::default() };
        assert_eq!(written(&summary, findings), "1 session: 1 rejected.  1 error.  21 packets, none lost.");
    }

    #[test]
    fn several() {
        let summary = Summary {
            packets: 1,
            sessions: vec![("closed", 9), ("rejected", 3)],
            loss: Loss { kernel: 2, interface: 1, gap_bytes: 1460, ..Loss::default() },
            ..Summary::default()
        };
        let findings = Tally { errors: 4, warnings: 1, notes: 2 };
        assert_eq!(
            written(&summary, findings),
            "12 sessions: 9 closed, 3 rejected.  4 errors, 1 warning, 2 notes.  \
             1 packet, lost: 2 by the kernel, 1 by the interface.\n\
             1460 B of TCP streams are missing from the capture."
        );
    }

    #[test]
    fn what_a_long_run_forgets_is_no_loss() {
        let summary = Summary {
            packets: 7,
            sessions: vec![("closed", 2)],
            limits: vec![("sessions kept", 3)],
            forgotten: vec![("attempts", 5)],
            ..Summary::default()
        };
        assert_eq!(
            written(&summary, Tally::default()),
            "2 sessions: 2 closed.  7 packets, none lost.\nA bound was reached: sessions kept, 3 times.\n\
             Forgotten to make room for newer ones: 5 attempts."
        );
    }

    #[test]
    fn what_was_cut_off_may_have_been_one() {
        let ignored = IgnoredCounts { not_websocket: 2, cut_bytes: 900, ..IgnoredCounts::default() };
        let summary = Summary { packets: 40, ignored, ..Summary::default() };
        let text = written(&summary, Tally::default());
        assert!(text.contains("\nThe snap length cut off 900 B of what they said"), "{text}");
        let sessions = vec![("closed", 1)];
        assert!(!written(&Summary { sessions, ..summary }, Tally::default()).contains("snap length"));
    }

    #[test]
    fn nothing_to_see() {
        let ignored = IgnoredCounts { not_websocket: 2, not_tcp: 1, ..IgnoredCounts::default() };
        let summary = Summary { packets: 40, ignored, ..Summary::default() };
        assert_eq!(
            written(&summary, Tally::default()),
            "No websocket was seen.  40 packets, none lost.\n2 connections without a websocket.\n\
             1 packet of something other than TCP."
        );
    }
}
