//! Holds the order of imports: each module imports only what stands before it in ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The layers, lowest first. Modules of one layer may import each other's vocabulary.
const LAYERS: &[&[&str]] = &[
    &["time", "limits", "decimal"],
    &["packet", "stream"],
    &["wire", "tcp"],
    &["tls"],
    &["ws", "http", "h2"],
    &["session"],
    &["diagnosis"],
    &["engine"],
    &["script"],
    &["source", "output"],
    &["tui"],
    &["cli", "config"],
    &["app"],
];

/// The modules that may block, read clocks and fail: everything else is a pure function of its input.
const EDGES: &[&str] = &["source", "output", "tui", "cli", "config", "app", "main", "lib"];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// A source text without its tests and comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The module names behind `crate::`.
fn imports(code: &str) -> impl Iterator<Item = String> + '_ {
    code.match_indices("crate::")
        .map(|(at, path)| code[at + path.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// Every source file: its module, its path in `src`, its code.
fn sources() -> Vec<(String, String, String)> {
    fn visit(folder: &Path, found: &mut Vec<(String, String, String)>) {
        for entry in fs::read_dir(folder).expect("src can be read") {
            let path = entry.expect("an entry of src").path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix("src").expect("a path in src").display().to_string();
                let module = inside.split(['/', '.']).next().unwrap_or_default().to_owned();
                found.push((module, inside, code(&fs::read_to_string(&path).expect("a source file"))));
            }
        }
    }
    let mut found = Vec::new();
    visit(Path::new("src"), &mut found);
    assert!(found.len() > 30, "the sources were found");
    found
}

#[test]
fn each_module_imports_only_what_stands_before_it() {
    let mut wrong = BTreeMap::new();
    for (module, file, code) in sources() {
        if module == "lib" || module == "main" {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{file}: the module {module} has no place in LAYERS"));
        for import in imports(&code).filter(|import| layer(import).is_some_and(|other| other > own)) {
            wrong.insert(file.clone(), import);
        }
    }
    assert!(wrong.is_empty(), "imports against the order: {wrong:?}");
}

#[test]
fn the_core_neither_prints_nor_reaches_outside() {
    for (module, file, code) in sources() {
        if EDGES.contains(&module.as_str()) {
            continue;
        }
        for forbidden in ["println!", "eprintln!", "std::fs", "std::net::Tcp", "std::thread", "std::env", "::now()"] {
            assert!(!code.contains(forbidden), "{file} uses {forbidden}");
        }
    }
}
