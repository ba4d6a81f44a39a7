//! An expression, cut into words.

use std::fmt;

use super::QueryError;

/// A piece of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token<'a> {
    /// A field, a keyword, a value without quotes.
    Word(&'a str),
    /// What stood in quotes.
    Text(String),
    Operator(Operator),
    Open,
    Close,
    /// The expression is over.
    End,
}

/// How a field and a value are held against each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Longer ones first, so that `<=` is not read as `<`.
    const SPELLED: [(&'static str, Operator); 8] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("!~", Operator::MatchesNot),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("~", Operator::Matches),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];

    pub(super) fn name(self) -> &'static str {
        Operator::SPELLED.iter().find(|(_, operator)| *operator == self).map_or("?", |(name, _)| name)
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => f.write_str(word),
            Token::Text(text) => write!(f, "\"{text}\""),
            Token::Operator(operator) => f.write_str(operator.name()),
            Token::Open => f.write_str("("),
            Token::Close => f.write_str(")"),
            Token::End => f.write_str("the end"),
        }
    }
}

/// The pieces of an expression, one after another, each with its offset.
pub(super) struct Tokens<'a> {
    expression: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(expression: &'a str) -> Tokens<'a> {
        Tokens { expression, at: 0 }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), QueryError> {
        let rest = self.expression[self.at..].trim_start();
        let start = self.expression.len() - rest.len();
        let (length, token) = match rest.chars().next() {
            None => (0, Token::End),
            Some('(') => (1, Token::Open),
            Some(')') => (1, Token::Close),
            Some('"') => self.quoted(start)?,
            Some(_) => match Operator::SPELLED.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, operator)) => (name.len(), Token::Operator(*operator)),
                None => word(rest),
            },
        };
        self.at = start + length;
        Ok((start, token))
    }

    /// Takes the next one if it is that word.
    pub(super) fn take_word(&mut self, word: &str) -> Result<bool, QueryError> {
        let before = self.at;
        let is_word = matches!(self.next()?, (_, Token::Word(found)) if found == word);
        if !is_word {
            self.at = before;
        }
        Ok(is_word)
    }

    /// Text in quotes; a backslash takes away the meaning of a quote behind it.
    fn quoted(&self, start: usize) -> Result<(usize, Token<'a>), QueryError> {
        let mut text = String::new();
        let mut characters = self.expression[start + 1..].char_indices().peekable();
        while let Some((offset, character)) = characters.next() {
            match character {
                '"' => return Ok((offset + 2, Token::Text(text))),
                '\\' if characters.peek().is_some_and(|&(_, next)| next == '"') => {
                    text.push('"');
                    characters.next();
                }
                _ => text.push(character),
            }
        }
        let reason = "there is no \" at the end".to_owned();
        Err(QueryError { expression: self.expression.to_owned(), at: start, reason })
    }
}

/// Up to white space, a parenthesis, a quote or an operator. A single `=` is a word, to be pointed at.
fn word(rest: &str) -> (usize, Token<'_>) {
    let end = rest
        .char_indices()
        .skip(1)
        .find(|&(at, character)| {
            character.is_whitespace()
                || matches!(character, '(' | ')' | '"')
                || Operator::SPELLED.iter().any(|(name, _)| rest[at..].starts_with(name))
        })
        .map_or(rest.len(), |(at, _)| at);
    (end, Token::Word(&rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_into_words() {
        let mut tokens = Tokens::new("a>=5s and(host ~ \"x \\\" y\")!=");
        let mut shown = Vec::new();
        loop {
            match tokens.next().expect("it is well formed") {
                (_, Token::End) => break,
                (at, token) => shown.push((at, token.to_string())),
            }
        }
        let shown: Vec<_> = shown.iter().map(|(at, token)| (*at, token.as_str())).collect();
        assert_eq!(
            shown,
            [
                (0, "a"),
                (1, ">="),
                (3, "5s"),
                (6, "and"),
                (9, "("),
                (10, "host"),
                (15, "~"),
                (17, "\"x \" y\""),
                (25, ")"),
                (26, "!=")
            ]
        );
    }
}
