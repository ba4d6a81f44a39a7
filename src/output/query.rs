//! Which sessions to show: `cause == "idle-timeout" and host ~ "chat"`.
//!
//! ```text
//! either     = both *("or" both)
//! both       = one *("and" one)
//! one        = "not" one / "(" either ")" / field [operator value]
//! operator   = "==" / "!=" / "~" / "!~" / "<" / "<=" / ">" / ">="
//! value      = word / "text" / number / duration such as 500ms, 45s, 5min, 2h
//! ```
//!
//! `~` looks for a regular expression, whatever the case. A field that has several values, as one a leg, matches when one
//! of them does. A field that is yes or no stands alone. What is not known matches nothing.

pub mod fields;
mod literal;
mod token;

use std::fmt;

use crate::diagnosis::Diagnosis;
use crate::output::query::fields::{FIELDS, Field, Value};
use crate::output::query::literal::Literal;
use crate::output::query::token::{Token, Tokens};
use crate::session::Session;

/// Parentheses and negations may be nested this deep: an expression comes from a person, or from a script gone wrong.
const DEPTH: usize = 64;

/// A question that every session answers with yes or no.
#[derive(Debug)]
pub struct Query {
    root: Node,
}

impl Query {
    /// Reads an expression.
    pub fn parse(expression: &str) -> Result<Query, QueryError> {
        let mut parser = Parser { expression, tokens: Tokens::new(expression), depth: 0 };
        let root = parser.either()?;
        match parser.tokens.next()? {
            (_, Token::End) => Ok(Query { root }),
            (at, token) => Err(parser.error(at, format!("expected and, or, or the end, found {token}"))),
        }
    }

    /// Whether a session matches.
    pub fn matches(&self, session: &Session, diagnosis: &Diagnosis) -> bool {
        self.ask(&Judged { session, diagnosis }) == Some(true)
    }

    /// Whether a session matches of which a witness knows something; `None` where that is not enough to tell.
    pub fn ask(&self, witness: &impl Witness) -> Option<bool> {
        self.root.ask(witness)
    }
}

/// Who can be asked about a session.
pub trait Witness {
    /// Hands over the values of a field that it knows. Whether there are no others.
    fn tell(&self, field: &Field, tell: &mut dyn FnMut(Value<'_>)) -> bool;
}

/// A session as it was judged: everything is known of it.
struct Judged<'a> {
    session: &'a Session,
    diagnosis: &'a Diagnosis,
}

impl Witness for Judged<'_> {
    fn tell(&self, field: &Field, tell: &mut dyn FnMut(Value<'_>)) -> bool {
        (field.read)(self.session, self.diagnosis, tell);
        true
    }
}

/// A mistake in an expression, and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryError {
    /// The expression.
    pub expression: String,
    /// The offset of the mistake, in bytes.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.expression.split_at(self.at.min(self.expression.len()));
        write!(f, "-Y {before}>>>{after}: {}", self.reason)
    }
}

impl std::error::Error for QueryError {}

#[derive(Debug)]
enum Node {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Test(&'static Field, Literal),
}

impl Node {
    /// Kleene's logic: what is not known does not matter where the rest decides.
    fn ask(&self, witness: &impl Witness) -> Option<bool> {
        match self {
            Node::Or(left, right) => match left.ask(witness) {
                Some(true) => Some(true),
                left => either(left, right.ask(witness), true),
            },
            Node::And(left, right) => match left.ask(witness) {
                Some(false) => Some(false),
                left => either(left, right.ask(witness), false),
            },
            Node::Not(node) => node.ask(witness).map(|matches| !matches),
            Node::Test(field, literal) => {
                let mut matches = false;
                let all = witness.tell(field, &mut |value| matches |= literal.matches(&value));
                (matches || all).then_some(matches)
            }
        }
    }
}

/// Two answers of which one decides where it is `decides`.
fn either(left: Option<bool>, right: Option<bool>, decides: bool) -> Option<bool> {
    match (left, right) {
        (_, Some(right)) if right == decides => Some(decides),
        (Some(_), Some(right)) => Some(right),
        _ => None,
    }
}

struct Parser<'a> {
    expression: &'a str,
    tokens: Tokens<'a>,
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Node, QueryError> {
        let mut node = self.both()?;
        while self.tokens.take_word("or")? {
            node = Node::Or(Box::new(node), Box::new(self.both()?));
        }
        Ok(node)
    }

    fn both(&mut self) -> Result<Node, QueryError> {
        let mut node = self.one()?;
        while self.tokens.take_word("and")? {
            node = Node::And(Box::new(node), Box::new(self.one()?));
        }
        Ok(node)
    }

    fn one(&mut self) -> Result<Node, QueryError> {
        let (at, token) = self.tokens.next()?;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(at, format!("more than {DEPTH} levels of parentheses and negations")));
        }
        let node = match token {
            Token::Word("not") => Node::Not(Box::new(self.one()?)),
            Token::Open => {
                let node = self.either()?;
                match self.tokens.next()? {
                    (_, Token::Close) => node,
                    (at, token) => return Err(self.error(at, format!("expected ), found {token}"))),
                }
            }
            Token::Word(name) => self.test(at, name)?,
            token => return Err(self.error(at, format!("expected a field, found {token}; fields: {}", names()))),
        };
        self.depth -= 1;
        Ok(node)
    }

    /// A field, an operator and a value; a field that is yes or no stands alone.
    fn test(&mut self, at: usize, name: &str) -> Result<Node, QueryError> {
        let Some(field) = FIELDS.iter().find(|field| field.name == name) else {
            return Err(self.error(at, format!("there is no field {name}; fields: {}", names())));
        };
        if field.kind == fields::Kind::Flag {
            return Ok(Node::Test(field, Literal::Flag));
        }
        let (at, operator) = match self.tokens.next()? {
            (at, Token::Operator(operator)) => (at, operator),
            (at, token) => {
                return Err(
                    self.error(at, format!("expected ==, !=, ~, !~, <, <=, > or >= behind {name}, found {token}"))
                );
            }
        };
        let (value_at, value) = match self.tokens.next()? {
            (at, Token::Word(value)) => (at, value.to_owned()),
            (at, Token::Text(value)) => (at, value),
            (at, token) => return Err(self.error(at, format!("expected a value, found {token}"))),
        };
        match Literal::new(field.kind, operator, &value) {
            // Not one of several values is equal: the negation of the whole.
            Ok((literal, false)) => Ok(Node::Test(field, literal)),
            Ok((literal, true)) => Ok(Node::Not(Box::new(Node::Test(field, literal)))),
            Err(literal::Mistake::Operator(reason)) => Err(self.error(at, reason)),
            Err(literal::Mistake::Value(reason)) => Err(self.error(value_at, reason)),
        }
    }

    fn error(&self, at: usize, reason: String) -> QueryError {
        QueryError { expression: self.expression.to_owned(), at, reason }
    }
}

fn names() -> String {
    FIELDS.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::samples;

    fn matching(expression: &str) -> Vec<u64> {
        let query = Query::parse(expression).unwrap_or_else(|error| panic!("{error}"));
        let samples = [samples::stripped(), samples::closed(), samples::encrypted()];
        let matching = samples.iter().filter(|(session, diagnosis)| query.matches(session, diagnosis));
        matching.map(|(session, _)| session.id.0).collect()
    }

    #[test]
    fn fields_of_every_kind() {
        let cases: [(&str, &[u64]); 24] = [
            ("outcome == rejected", &[1]),
            ("outcome != rejected", &[2, 3]),
            ("cause == \"upgrade-headers-stripped\"", &[1]),
            ("finding == encrypted-no-keys", &[3]),
            ("host ~ \"CHAT\"", &[3]),
            ("target ~ ^/ws$", &[1]),
            ("target !~ ^/ws$", &[2, 3]),
            ("status == 426", &[1]),
            ("status >= 100 and status < 200", &[2]),
            ("duration > 500ms", &[2]),
            ("duration <= 0.2s", &[1, 3]),
            ("port == 9000", &[1]),
            ("ip == 2001:db8::1", &[2]),
            ("client ~ 50122", &[2]),
            ("proxied", &[1]),
            ("tls", &[3]),
            ("not tls and not proxied", &[2]),
            ("severity >= note", &[1, 3]),
            ("severity == error", &[1]),
            ("messages >= 4", &[2]),
            ("close == 1000", &[2]),
            ("by == proxy or via == close-frame", &[1, 2]),
            ("(outcome == closed or tls) and not (port == 443 and tls)", &[2]),
            ("ping < 1ms", &[2]),
        ];
        for (expression, sessions) in cases {
            assert_eq!(matching(expression), sessions, "{expression}");
        }
    }

    #[test]
    fn what_is_not_known_matches_nothing() {
        assert_eq!(matching("target ~ ."), [1, 2]);
        assert_eq!(matching("status > 0"), [1, 2]);
        assert_eq!(matching("cause ~ ."), [1]);
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let mistake = |expression| Query::parse(expression).expect_err(expression).to_string();
        let unknown = mistake("outcome == open and hots ~ x");
        assert!(
            unknown.starts_with("-Y outcome == open and >>>hots ~ x: there is no field hots; fields: id, "),
            "{unknown}"
        );
        assert!(unknown.contains("host"));
        assert!(mistake("cause = idle").contains("cause >>>= idle: expected =="));
        assert!(mistake("cause").contains("found the end"));
        assert!(mistake("status == many").contains("status == >>>many: "), "{}", mistake("status == many"));
        assert!(mistake("duration > 5").contains("5s"));
        assert!(mistake("outcome < closed").contains(">>>< closed"));
        assert!(mistake("target ~ \"[\"").contains("regular expression"));
        assert!(mistake("target ~ \"abc").contains("\" at the end"));
        assert!(mistake("(tls").contains("expected )"));
        assert!(mistake("tls tls").contains("expected and, or"));
        assert!(mistake("").contains("expected a field"));
        assert!(mistake(&"(".repeat(100)).contains("64 levels"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(expression in "\\PC*", words in "(cause|tls|not|and|or|==|~|\\(|\\)|\"|5s| ){0,20}") {
            for expression in [expression, words] {
                if let Err(error) = Query::parse(&expression) {
                    prop_assert!(error.at <= expression.len() && expression.is_char_boundary(error.at));
                }
            }
        }
    }
}
