//! Which rows to show, by an expression that is typed.

use std::fmt;

use crate::diagnosis::Diagnosis;
use crate::output::query::fields::{Field, Value};
use crate::output::query::{Query, QueryError, Witness};
use crate::tui::store::{Condition, Row};

/// Decides which rows are shown.
pub(super) trait RowFilter: fmt::Debug {
    /// Whether this one is; `None` where only its line is kept, and that does not tell.
    fn matches(&self, row: &Row) -> Option<bool>;
}

/// Reads an expression: a query as `-Y` takes it, or words that a row must contain. What is wrong with it is one line.
pub(super) fn parse(expression: &str) -> Result<Box<dyn RowFilter>, String> {
    match Query::parse(expression) {
        Ok(query) => Ok(Box::new(query)),
        Err(_) if !expression.contains(['=', '~', '<', '>', '(']) => {
            Ok(Box::new(Substring(expression.trim().to_lowercase())))
        }
        Err(QueryError { expression, at, reason }) => {
            let (before, after) = expression.split_at(at.min(expression.len()));
            Err(format!("{before}>>>{after}: {reason}"))
        }
    }
}

impl RowFilter for Query {
    fn matches(&self, row: &Row) -> Option<bool> {
        let Some(session) = row.session() else { return self.ask(&Line(row)) };
        Some(match row.diagnosis() {
            Some(diagnosis) => Query::matches(self, session, diagnosis),
            None => Query::matches(self, session, &Diagnosis::default()),
        })
    }
}

/// A row of which only the line is kept.
struct Line<'a>(&'a Row);

impl Witness for Line<'_> {
    fn tell(&self, field: &Field, tell: &mut dyn FnMut(Value<'_>)) -> bool {
        let Line(row) = self;
        let ends = [row.client, row.front, row.backend];
        let alone = row.legs == 1;
        match field.name {
            "id" => tell(Value::Number(row.id.0)),
            "outcome" => match row.condition {
                Condition::Open | Condition::Encrypted | Condition::Over(_) => text(row.condition.word(), tell),
                Condition::Opening | Condition::Answered | Condition::Ending => return false,
            },
            "cause" => row.cause.into_iter().for_each(|cause| text(cause, tell)),
            "finding" => {
                row.cause.into_iter().for_each(|cause| text(cause, tell));
                return row.severity.is_none();
            }
            "severity" => row.severity.into_iter().for_each(|severity| tell(Value::Severity(severity))),
            "host" | "target" => {
                // The line has the one behind the other, of one leg; a target in absolute form stands alone.
                if let Some((host, path)) = row.target.find('/').map(|at| row.target.split_at(at))
                    && !path.starts_with("//")
                {
                    text(if field.name == "host" { host } else { path }, tell);
                }
                return false;
            }
            "client" => {
                text(&row.client.to_string(), tell);
                return alone;
            }
            "server" => {
                [row.front, row.backend].iter().for_each(|server| text(&server.to_string(), tell));
                return alone;
            }
            "ip" => {
                ends.iter().for_each(|end| text(&end.ip.to_string(), tell));
                return alone;
            }
            "port" => {
                ends.iter().for_each(|end| tell(Value::Number(end.port.into())));
                return alone;
            }
            "legs" => tell(Value::Number(row.legs as u64)),
            "proxied" => tell(Value::Flag(row.legs > 1)),
            "duration" => match row.end {
                Some(end) => tell(Value::Duration(end.since(row.start))),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

fn text(text: &str, tell: &mut dyn FnMut(Value<'_>)) {
    tell(Value::Text(text.into()));
}

/// Everything that a row says in words.
pub(super) fn words(row: &Row) -> String {
    let proxy = row.proxy.unwrap_or_default();
    let words = [row.condition.word(), &row.target, &row.why, proxy].join(" ");
    format!("s{} {} {} {} {words}", row.id.0, row.client, row.front, row.backend).to_lowercase()
}

#[derive(Debug)]
struct Substring(String);

impl RowFilter for Substring {
    fn matches(&self, row: &Row) -> Option<bool> {
        Some(words(row).contains(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::samples as output;
    use crate::tui::samples;

    #[test]
    fn words_and_fields() {
        let store = samples::proxied_failure();
        let row = store.rows().values().next().expect("there is one session");
        let matches = |expression: &str| parse(expression).expect("it can be read").matches(row) == Some(true);
        assert!(
            matches("rejected") && matches("REJECTED") && matches("outcome == rejected") && matches("cause ~ strip")
        );
        assert!(!matches("outcome == open") && !matches("no such thing"));
        let error = parse("outcom == open").expect_err("there is no such field");
        assert!(error.contains(">>>outcom"), "{error}");
    }

    #[test]
    fn a_line_tells_what_it_knows_and_nothing_else() {
        let told = [
            "outcome == rejected",
            "cause ~ strip or not proxied",
            "severity == error and legs > 1",
            "duration > 0s",
            "id == 1",
            "port == 9000 and outcome != open",
            "finding == upgrade-headers-stripped or severity <= note or outcome == closed",
            "target == /ws or outcome == closed or outcome == encrypted",
        ];
        let more = [
            "host ~ .",
            "not target ~ ws",
            "status == 426",
            "tls",
            "client ~ 5",
            "server ~ 9000",
            "ip ~ 1",
            "not proxied",
        ];
        let sessions = [output::stripped(), output::closed(), output::encrypted()];
        for (session, diagnosis) in sessions {
            let mut row = Row::complete(None, Arc::new(session), Arc::new(diagnosis));
            let filters = told.iter().chain(&more).map(|expression| (expression, parse(expression).unwrap()));
            let filters: Vec<_> =
                filters.map(|(expression, filter)| (expression, filter.matches(&row), filter)).collect();
            row.forget_details();
            for (expression, known, filter) in filters {
                let by_line = filter.matches(&row);
                assert!(by_line.is_none() || by_line == known, "{expression} {:?}", row.id);
                assert!(by_line.is_some() || !told.contains(expression), "{expression} {:?}", row.id);
            }
        }
    }
}
