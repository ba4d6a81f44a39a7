//! The right side of a comparison, read as the kind of its field.

use std::time::Duration;

use regex_lite::{Regex, RegexBuilder};

use super::fields::{Kind, Value};
use super::token::Operator;
use crate::diagnosis::Severity;

/// An operator with its value, ready to be held against values of a session.
#[derive(Debug)]
pub(super) enum Literal {
    Text(String),
    Pattern(Regex),
    Number(Operator, u64),
    Duration(Operator, Duration),
    Severity(Operator, Severity),
    Flag,
}

/// What is wrong with a comparison.
#[derive(Debug)]
pub(super) enum Mistake {
    Operator(String),
    Value(String),
}

impl Literal {
    /// The literal, and whether it has to match none of the values.
    pub(super) fn new(kind: Kind, operator: Operator, value: &str) -> Result<(Literal, bool), Mistake> {
        let negated = matches!(operator, Operator::NotEqual | Operator::MatchesNot);
        let operator = match operator {
            Operator::NotEqual => Operator::Equal,
            Operator::MatchesNot => Operator::Matches,
            other => other,
        };
        let pattern = operator == Operator::Matches;
        let literal = match kind {
            Kind::Text if pattern => Literal::Pattern(regular_expression(value)?),
            Kind::Text if operator == Operator::Equal => Literal::Text(value.to_owned()),
            Kind::Text => {
                return Err(Mistake::Operator(format!(
                    "{} is for numbers and durations; text has == != ~ !~",
                    operator.name()
                )));
            }
            _ if pattern => return Err(Mistake::Operator("~ is for text; this has == != < <= > >=".to_owned())),
            Kind::Number => {
                let number = value.parse().map_err(|_| Mistake::Value(format!("expected a number, found {value}")))?;
                Literal::Number(operator, number)
            }
            Kind::Duration => Literal::Duration(operator, duration(value)?),
            Kind::Severity => Literal::Severity(operator, severity(value)?),
            Kind::Flag => Literal::Flag,
        };
        Ok((literal, negated))
    }

    /// Whether a value of a session is as this says.
    pub(super) fn matches(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Literal::Text(text), Value::Text(value)) => text == value,
            (Literal::Pattern(pattern), Value::Text(value)) => pattern.is_match(value),
            (Literal::Number(operator, number), Value::Number(value)) => holds(*operator, value, number),
            (Literal::Duration(operator, duration), Value::Duration(value)) => holds(*operator, value, duration),
            (Literal::Severity(operator, severity), Value::Severity(value)) => holds(*operator, value, severity),
            (Literal::Flag, Value::Flag(value)) => *value,
            _ => false,
        }
    }
}

fn holds<T: Ord>(operator: Operator, left: &T, right: &T) -> bool {
    match operator {
        Operator::Less => left < right,
        Operator::LessOrEqual => left <= right,
        Operator::Greater => left > right,
        Operator::GreaterOrEqual => left >= right,
        // The negated ones are asked for as these, and denied as a whole.
        Operator::Equal | Operator::NotEqual | Operator::Matches | Operator::MatchesNot => left == right,
    }
}

fn regular_expression(value: &str) -> Result<Regex, Mistake> {
    let regex = RegexBuilder::new(value).case_insensitive(true).build();
    regex.map_err(|error| Mistake::Value(format!("not a regular expression: {error}")))
}

/// `500ms`, `1.5s`, `5min`, `2h`.
fn duration(value: &str) -> Result<Duration, Mistake> {
    let mistake = || Mistake::Value(format!("expected a duration such as 500ms, 5s, 5min or 2h, found {value}"));
    let unit = value.find(|character: char| !character.is_ascii_digit() && character != '.').ok_or_else(mistake)?;
    let (number, unit) = value.split_at(unit);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(mistake()),
    };
    let number: f64 = number.parse().map_err(|_| mistake())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| mistake())
}

fn severity(value: &str) -> Result<Severity, Mistake> {
    let all = [Severity::Note, Severity::Warning, Severity::Error];
    let found = all.into_iter().find(|severity| severity.name() == value);
    found.ok_or_else(|| Mistake::Value(format!("expected note, warning or error, found {value}")))
}
