//! No false pin: the bytes at every pin are the version.

use super::reading::{at, parts, untagged};
use super::{Repository, corpus};

/// Words that stand for a version without being one.
const WORDS: &[&str] = &["latest", "stable", "edge", "nightly", "test", "main", "master"];

#[test]
fn the_bytes_of_every_pin_are_the_version_that_it_names() {
    let Some(corpus) = corpus() else { return };
    let mut wrong = Vec::new();
    let (mut all, mut routed, mut digests) = (0, 0, 0);
    for repository in Repository::all(&corpus) {
        for pin in repository.pins() {
            all += 1;
            let file = pin.text("file");
            let bytes = std::fs::read(repository.folder.join(file)).unwrap();
            let span = pin.value["span"].as_array().unwrap();
            let [start, end] = [0, 1].map(|at| usize::try_from(span[at].as_u64().unwrap()).unwrap());
            let text = pin.text("text");
            let place =
                format!("{}: {} at {file}:{} `{text}`", repository.name, pin.component, pin.number("line"));
            if bytes.get(start..end) != Some(text.as_bytes()) {
                wrong.push(format!(
                    "{place}: the bytes are {:?}",
                    bytes.get(start..end).map(String::from_utf8_lossy)
                ));
                continue;
            }
            let before = std::str::from_utf8(&bytes[..start]).unwrap();
            let line = before.matches('\n').count() + 1;
            let column =
                before.rsplit('\n').next().unwrap().trim_start_matches('\u{feff}').chars().count() + 1;
            if (line, column) != (pin.number("line"), pin.number("column")) {
                wrong
                    .push(format!("{place}: stands at {line}:{column}, not column {}", pin.number("column")));
            }
            if let Some(digest) = pin.value["digest"].as_object() {
                digests += 1;
                let [start, end] =
                    [0, 1].map(|at| usize::try_from(digest["span"][at].as_u64().unwrap()).unwrap());
                let text = digest["text"].as_str().unwrap();
                if bytes.get(start..end) != Some(text.as_bytes()) || !text.starts_with("sha256:") {
                    wrong.push(format!("{place}: its digest is not `{text}`"));
                }
            }
            // A variable without a value keeps its place, and nobody calls it a version.
            let entry = &repository.report["components"][pin.component];
            let unset = text.contains("${") && entry["current_version"].is_null();
            if !is_version(text) && !unset {
                wrong.push(format!("{place}: is no version"));
            }
            let route = pin.text("route");
            if route.is_empty() {
                continue;
            }
            let whole = String::from_utf8(bytes.clone()).unwrap();
            let Some((_, part)) =
                parts(&whole).into_iter().find(|(index, _)| *index == pin.number("document"))
            else {
                wrong.push(format!("{place}: there is no document {}", pin.number("document")));
                continue;
            };
            // What the general reader refuses, it cannot be asked about.
            let Ok(value) = serde_yaml::from_str::<serde_yaml::Value>(part) else { continue };
            routed += 1;
            match at(&untagged(value), route) {
                Some(node) if node.as_str().is_some_and(|node| !node.contains(text)) => {
                    wrong.push(format!("{place}: `{route}` is {node:?}"));
                }
                Some(node) if node.is_string() || node.is_number() => {}
                other => wrong.push(format!("{place}: `{route}` is {other:?}")),
            }
        }
    }
    println!("{all} pins, {routed} looked up by their route, {digests} with a digest");
    assert!(all > 700 && routed > 600 && digests > 50, "{all} pins, {routed} looked up, {digests} digests");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A number with at least one digit and only what versions, ranges and digests are written with.
fn is_version(text: &str) -> bool {
    let charset =
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-+_:*<>=~^|, /@".contains(letter));
    let numbered = text.contains(|letter: char| letter.is_ascii_digit());
    charset
        && !text.contains("${")
        && !text.contains("ENC[")
        && (numbered || text == "*" || WORDS.contains(&text))
}

#[test]
fn ids_are_unique_and_clean() {
    let Some(corpus) = corpus() else { return };
    for repository in Repository::all(&corpus) {
        let ids: Vec<_> = repository.components().map(|(id, _)| id).collect();
        for id in &ids {
            let clean = !id.contains("//")
                && !id.contains("-/-")
                && !id.ends_with(['/', '#', '-'])
                && !id.contains(['$', '{', '"', ' ']);
            assert!(clean, "{}: `{id}`", repository.name);
        }
        // Found again, every component has the same id.
        let again = Repository::read(&corpus, &repository.name, None);
        assert!(again.components().map(|(id, _)| id).eq(ids), "{}", repository.name);
    }
}
