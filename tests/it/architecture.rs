//! The direction of dependencies, as the sources have it.

use std::path::{Path, PathBuf};

/// What the pure code must not name.
const EFFECTS: &[&str] = &[
    "tokio",
    "reqwest",
    "kube",
    "octocrab",
    "oci_client",
    "gix",
    "git2",
    "rustix",
    "backon",
    "clap",
    "tracing_subscriber",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
];

/// Modules that the pure code must not name.
const OUTER: &[&str] = &[
    "app",
    "cli",
    "cluster",
    "config",
    "forge",
    "metrics",
    "notify",
    "repo",
    "report",
    "rules",
    "telemetry",
    "upstream",
];

/// What the use cases must not name: they know the outside by their ports alone.
const CLIENTS: &[&str] = &["reqwest", "kube", "octocrab", "oci_client", "gix", "git2", "rustix", "clap"];

#[test]
fn domain_is_pure() {
    let mut forbidden: Vec<String> = EFFECTS.iter().map(|&name| name.to_owned()).collect();
    forbidden.extend(OUTER.iter().map(|module| format!("crate::{module}")));
    assert_free_of("src/domain", &forbidden);
}

#[test]
fn use_cases_know_no_client_library() {
    let forbidden: Vec<String> = CLIENTS.iter().map(|&name| name.to_owned()).collect();
    assert_free_of("src/app", &forbidden);
}

#[test]
fn adapters_do_not_know_the_command_line() {
    for folder in [
        "src/repo",
        "src/upstream",
        "src/forge",
        "src/state",
        "src/backup",
        "src/report",
        "src/notify",
        "src/metrics",
        "src/config",
        "src/rules",
        "src/domain",
        "src/app",
    ] {
        if Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).is_dir() {
            assert_free_of(folder, &["crate::cli".to_owned()]);
        }
    }
}

#[track_caller]
fn assert_free_of(folder: &str, forbidden: &[String]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = sources(&root);
    assert!(!files.is_empty(), "no sources in `{folder}`");
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, name) in offences(&text, forbidden) {
            found.push(format!("{}:{number} names {name}", file.strip_prefix(&root).unwrap().display()));
        }
    }
    assert!(found.is_empty(), "in {folder}:\n{}", found.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_tests(&path) {
            found.push(path);
        }
    }
    found
}

/// Modules of tests alone (`mod tests;` under `#[cfg(test)]`); they may look at the clock.
fn is_tests(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().any(|part| part == "tests")
}

/// Lines of `text` that name something of `forbidden`. Comments do not count, and what comes after
/// `#[cfg(test)]` does not either: tests may read files.
fn offences(text: &str, forbidden: &[String]) -> Vec<(usize, String)> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let mut found = Vec::new();
    let mut group: Option<(String, usize)> = None;
    for (number, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default().trim();
        // A `use` with braces over several lines is looked at as one.
        let (statement, number) = match group.take() {
            Some((start, first)) => (format!("{start} {line}"), first),
            None => (line.to_owned(), number + 1),
        };
        let is_use = statement.starts_with("use ") || statement.contains(" use ");
        if is_use && !statement.contains(';') {
            group = Some((statement, number));
            continue;
        }
        for name in forbidden {
            if names(&statement, name) || (is_use && imports(&statement, name)) {
                found.push((number, name.clone()));
            }
        }
    }
    found
}

/// Whether `code` has the path `name` as a path (`gix::x`, `use gix;`), not as a part of a word or a string.
fn names(code: &str, name: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = &code[start + name.len()..];
        let is_path = after.starts_with("::")
            || name.contains("::")
            || after.starts_with([';', ' ', ',']) && code.starts_with("use ");
        let opened = code[..start].matches('"').count() % 2 == 1;
        !opened
            && is_path
            && !before.is_some_and(|character| is_word(character) || character == ':')
            && !after.starts_with(is_word)
    })
}

/// Whether a `use` with braces brings in `name`: `use std::{fs, io}` for `std::fs`.
fn imports(statement: &str, name: &str) -> bool {
    let Some((first, last)) = name.rsplit_once("::") else { return false };
    let Some((before, braces)) = statement.split_once(&format!("{first}::{{")) else { return false };
    let depth_one = braces.split(['{', '}', ',', ';']).any(|part| {
        let part = part.trim();
        part == last || part.starts_with(&format!("{last}::")) || part.starts_with(&format!("{last} as "))
    });
    (before.starts_with("use") || before.starts_with("pub")) && depth_one
}

/// The checker itself must be able to fail.
#[test]
fn forbidden_names_are_found_in_every_way_of_writing_them() {
    let forbidden: Vec<String> = ["gix", "std::fs", "crate::cli", "std::time::SystemTime"]
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    for (code, expected) in [
        ("use gix::ObjectId;", 1),
        ("use gix;", 1),
        ("let id = gix::ObjectId::null();", 1),
        ("use std::fs;", 1),
        ("use std::{fs, io};", 1),
        ("use std::{\n    io,\n    fs::File,\n};", 1),
        ("let text = std::fs::read(path);", 1),
        ("use crate::cli::App;", 1),
        ("use crate::{cli, domain};", 1),
        ("use std::time::{Duration, SystemTime};", 1),
        ("// use gix::x", 0),
        ("/// As `gix::x` does.", 0),
        ("let kind = \"gix::x\";", 0),
        ("use crate::domain::climate;", 0),
        ("use std::fmt;", 0),
        ("let big_gix = other::gix_like();", 0),
        ("use std::time::Duration;", 0),
        ("#[cfg(test)]\nmod tests {\n    use std::fs;\n}", 0),
    ] {
        assert_eq!(offences(code, &forbidden).len(), expected, "{code}");
    }
}
