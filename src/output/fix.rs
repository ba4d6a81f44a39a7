//! A fix, laid out: what to do in words, and lines to paste.

/// One step of a fix.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Step<'a> {
    /// What to do, or where the lines go, without a colon at its end.
    pub words: &'a str,
    /// Lines to paste.
    pub code: Vec<&'a str>,
}

/// The steps of a fix: one for each of its lines. A line that ends like a configuration does, in a semicolon or a brace, is
/// code; what stands before its last colon tells where it goes: `in the location: proxy_http_version 1.1; ...`. A second
/// place is named behind an `and`: `in vcl_recv: return (pipe); and in vcl_pipe: set ...;`.
pub fn steps(fix: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in fix.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !is_code(line) {
            steps.push(Step { words: line.trim_end_matches(':'), code: Vec::new() });
            continue;
        }
        let (words, code) = split_words(line);
        if !words.is_empty() || steps.is_empty() {
            steps.push(Step { words, code: Vec::new() });
        }
        for directive in directives(code) {
            match directive.strip_prefix("and ").map(split_words) {
                Some((words, code)) if !words.is_empty() => steps.push(Step { words, code: vec![code] }),
                // Code without words goes on with the step before it.
                _ => steps.last_mut().expect("there is a step").code.push(directive),
            }
        }
    }
    steps
}

fn is_code(line: &str) -> bool {
    line.ends_with(';') || line.ends_with('}')
}

/// What stands before the last colon in front of the first directive, and the directives.
fn split_words(line: &str) -> (&str, &str) {
    let first = line.find([';', '{']).unwrap_or(line.len());
    match line[..first].rfind(": ") {
        Some(colon) => (&line[..colon], line[colon + 2..].trim_start()),
        None => ("", line),
    }
}

/// Cuts behind each semicolon and closing brace that is not inside braces or quotes.
fn directives(code: &str) -> Vec<&str> {
    let (mut lines, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (at, character) in code.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && quote.is_none() && matches!(character, ';' | '}') {
            lines.push(code[start..=at].trim());
            start = at + 1;
        }
    }
    let rest = code[start..].trim();
    lines.extend((!rest.is_empty()).then_some(rest));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_become_lines() {
        let fix = "nginx: in the location: proxy_http_version 1.1; proxy_set_header Connection \"a; b\";";
        let step = Step {
            words: "nginx: in the location",
            code: vec!["proxy_http_version 1.1;", "proxy_set_header Connection \"a; b\";"],
        };
        assert_eq!(steps(fix), [step]);
    }

    #[test]
    fn blocks_stay_whole() {
        let fix = "at http level: map $http_upgrade $connection_upgrade { default upgrade; '' close; }";
        assert_eq!(steps(fix)[0].code, ["map $http_upgrade $connection_upgrade { default upgrade; '' close; }"]);
    }

    #[test]
    fn a_second_place() {
        let steps = steps("Varnish: in vcl_recv: if (a ~ \"b\") { return (pipe); } and in vcl_pipe: set c = d;");
        let places: Vec<_> = steps.iter().map(|step| (step.words, step.code.len())).collect();
        assert_eq!(places, [("Varnish: in vcl_recv", 1), ("in vcl_pipe", 1)]);
    }

    #[test]
    fn words_stay_words() {
        let fix =
            "Restart the backend; then look at its log.\nApache: ProxyPass \"/ws\" \"http://b/ws\" upgrade=websocket";
        let steps = steps(fix);
        assert_eq!(steps.len(), 2);
        assert!(steps.iter().all(|step| step.code.is_empty()));
    }

    #[test]
    fn lines_below_their_words() {
        let steps = steps("in the nginx location:\na;\nb;\n");
        assert_eq!(steps, [Step { words: "in the nginx location", code: vec!["a;", "b;"] }]);
    }
}
