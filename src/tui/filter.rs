//! Which rows to show, by an expression that is typed.

use std::fmt;

use crate::diagnosis::Diagnosis;
use crate::output::query::{Query, QueryError};
use crate::tui::store::Row;

/// Decides which rows are shown.
pub(super) trait RowFilter: fmt::Debug {
    /// Whether this one is.
    fn matches(&self, row: &Row) -> bool;

    /// Whether a row of which only the line is kept cannot be asked.
    fn asks_for_details(&self) -> bool {
        false
    }
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
    fn matches(&self, row: &Row) -> bool {
        let Some(session) = row.session() else { return false };
        match row.diagnosis() {
            Some(diagnosis) => Query::matches(self, session, diagnosis),
            None => Query::matches(self, session, &Diagnosis::default()),
        }
    }

    fn asks_for_details(&self) -> bool {
        true
    }
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
    fn matches(&self, row: &Row) -> bool {
        words(row).contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::samples;

    #[test]
    fn words_and_fields() {
        let store = samples::proxied_failure();
        let row = store.rows().values().next().expect("there is one session");
        let matches = |expression: &str| parse(expression).expect("it can be read").matches(row);
        assert!(
            matches("rejected") && matches("REJECTED") && matches("outcome == rejected") && matches("cause ~ strip")
        );
        assert!(!matches("outcome == open") && !matches("no such thing"));
        let error = parse("outcom == open").expect_err("there is no such field");
        assert!(error.contains(">>>outcom"), "{error}");
    }
}
