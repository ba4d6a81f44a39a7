//! Markdown that no text from the wire can break out of (CommonMark, and tables as GitHub has them).

use crate::output::escape;

/// Appends text as prose: every character that means something to Markdown or HTML is escaped.
pub(super) fn push_prose(out: &mut String, text: &str) {
    for character in escape::escaped(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '@' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
}

/// `text` as prose.
pub(super) fn prose(text: &str) -> String {
    let mut out = String::new();
    push_prose(&mut out, text);
    out
}

/// Text as it is, in a code span in a table: vertical bars are escaped, which a table undoes before anything else.
pub(super) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text as it is, in a code span; `-` when there is none.
pub(super) fn code(text: &str) -> String {
    let text = escape::escaped(text);
    if text.trim().is_empty() {
        return "-".to_owned();
    }
    let fence = "`".repeat(longest_run(&text, '`') + 1);
    // A space on both sides is taken away again by the reader.
    let space = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Lines in a fenced block.
pub(super) fn push_block<'a>(out: &mut String, language: &str, lines: impl Iterator<Item = &'a str> + Clone) {
    let longest = lines.clone().map(|line| longest_run(line, '`')).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.push_str(&fence);
    out.push_str(language);
    out.push('\n');
    for line in lines {
        escape::escape(out, line);
        out.push('\n');
    }
    out.push_str(&fence);
    out.push('\n');
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|character| character != of).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_only_prose() {
        assert_eq!(prose("<img src=x onerror=y> a|b"), "&lt;img src=x onerror=y&gt; a\\|b");
        assert_eq!(prose("![x](http://evil)\n# head"), "\\!\\[x\\]\\(http://evil\\)\\\\n\\# head");
        assert_eq!(prose("*a* _b_ `c` &amp; @you"), "\\*a\\* \\_b\\_ \\`c\\` &amp;amp; \\@you");
    }

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("/ws"), "`/ws`");
        assert_eq!(code(""), "-");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("``"), "``` `` ```");
        assert_eq!((code("a|b"), cell("a|b")), ("`a|b`".to_owned(), "`a\\|b`".to_owned()));
        assert_eq!(code("<script>\u{202e}"), "`<script>\\u{202e}`");
    }

    #[test]
    fn a_block_cannot_be_left() {
        let mut out = String::new();
        push_block(&mut out, "nginx", ["a;", "```", "b"].into_iter());
        assert_eq!(out, "````nginx\na;\n```\nb\n````\n");
    }
}
