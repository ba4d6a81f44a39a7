//! What a finding means, from the data of its rule; and the list of all.

use crate::diagnosis::Rule;
use crate::output::fix;
use crate::output::line::{BOLD, Line, severity_style};
use crate::output::query::fields::FIELDS;

/// All rules: id, severity, title.
pub fn write_list(line: &mut Line, rules: &[&Rule]) {
    let widest = rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    for rule in rules {
        line.styled(BOLD, rule.id);
        line.pad(widest + 2, 2);
        line.styled(severity_style(rule.severity), rule.severity.name());
        line.pad(widest + 11, 2);
        line.put(rule.title);
        line.next(0);
    }
}

/// The fields of `-Y`: name, kind, what it is.
pub fn write_fields(line: &mut Line) {
    let widest = FIELDS.iter().map(|field| field.name.len()).max().unwrap_or(0);
    for field in FIELDS {
        line.styled(BOLD, field.name);
        line.pad(widest + 2, 2);
        line.put(field.kind.name());
        line.pad(widest + 13, 2);
        line.put(field.help);
        line.next(0);
    }
}

/// Everything about one rule, in lines of at most `columns`.
pub fn write_page(line: &mut Line, rule: &Rule, columns: usize) {
    line.styled(BOLD, rule.id);
    line.put("  ");
    line.styled(severity_style(rule.severity), rule.severity.name());
    line.next(0);
    line.put(rule.title);
    line.next(0);
    let sections = [
        ("What it means", rule.explanation),
        ("On the wire", rule.signature),
        ("Fix", rule.fix),
        ("What looks like it and is not", rule.look_alikes),
        ("Reference", rule.reference),
    ];
    for (title, text) in sections.iter().filter(|(_, text)| !text.is_empty()) {
        line.next(0);
        line.styled(BOLD, title);
        if *title == "Fix" {
            write_fix(line, text, columns);
        } else {
            for paragraph in text.lines() {
                line.next(2);
                line.wire_wrapped(paragraph, 2, columns);
            }
        }
        line.next(0);
    }
}

fn write_fix(line: &mut Line, text: &str, columns: usize) {
    for step in fix::steps(text) {
        line.next(2);
        line.wire_wrapped(step.words, 2, columns);
        if !step.code.is_empty() && !step.words.is_empty() {
            line.put(":");
        }
        for code in step.code {
            line.next(4);
            line.put(code);
        }
    }
}

/// The ids that resemble `id`, the nearest first; at most three.
pub fn nearest<'a>(id: &str, rules: &[&'a Rule]) -> Vec<&'a str> {
    let id = id.to_ascii_lowercase();
    let mut candidates: Vec<(usize, &str)> = rules
        .iter()
        .map(|rule| (distance(&id, rule.id), rule.id))
        .filter(|&(distance, candidate)| distance <= candidate.len() / 3 || candidate.contains(&id))
        .collect();
    candidates.sort_unstable();
    candidates.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// How many characters must be put in, taken out or changed to make one of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, byte) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in to.bytes().enumerate() {
            let change = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Severity, Stage};
    use crate::output::mask::Mask;

    const fn rule(id: &'static str, severity: Severity) -> Rule {
        Rule {
            id,
            severity,
            stage: Stage::Timers,
            title: "Nobody spoke for too long",
            explanation: "A proxy closes a connection on which nothing was said for some time.",
            signature: "Both legs end together.",
            fix: "Send pings.\nnginx: in the location: proxy_read_timeout 1h; proxy_send_timeout 1h;",
            look_alikes: "A reload closes connections at any age.",
            reference: "nginx, proxy_read_timeout",
            check: |_| None,
        }
    }

    static IDLE: Rule = rule("idle-timeout", Severity::Error);
    static KEEPALIVE: Rule = rule("no-keepalive", Severity::Note);

    #[test]
    fn a_list_is_aligned() {
        let mut line = Line::new(false, Mask::Secrets);
        write_list(&mut line, &[&IDLE, &KEEPALIVE]);
        assert_eq!(
            line.as_str(),
            "idle-timeout  error    Nobody spoke for too long\nno-keepalive  note     Nobody spoke for too long\n"
        );
    }

    #[test]
    fn a_page_has_everything() {
        let mut line = Line::new(false, Mask::Secrets);
        write_page(&mut line, &IDLE, 60);
        insta::assert_snapshot!(line.as_str());
    }

    #[test]
    fn a_slip_of_the_pen_is_understood() {
        let rules = [&IDLE, &KEEPALIVE];
        assert_eq!(nearest("idle-timout", &rules), ["idle-timeout"]);
        assert_eq!(nearest("IDLE_TIMEOUT", &rules), ["idle-timeout"]);
        assert_eq!(nearest("keepalive", &rules), ["no-keepalive"]);
        assert!(nearest("zzz", &rules).is_empty());
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
