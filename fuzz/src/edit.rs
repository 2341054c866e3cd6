use gitops_updater::domain::component::{Component, Given};
use gitops_updater::domain::edit::{self, Options, Replacement};
use gitops_updater::domain::manifest::document::Document;
use gitops_updater::domain::manifest::split;
use gitops_updater::domain::resolve;
use gitops_updater::domain::scan;
use gitops_updater::domain::upstream::Candidate;

use crate::EMBEDDED;
use crate::scan_file::NAMES;

/// More edits of one input only make it slower.
const EDITS: usize = 8;

/// Whatever a version is replaced by: the edit is refused, or only the bytes of the version differ and
/// everything else is read as before.
///
/// The first byte of the input chooses the file's name, the rest of its first line is the new version.
pub fn edit(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else { return };
    let Some((line, text)) = input.split_once('\n') else { return };
    let Some(selector) = line.chars().next() else { return };
    let new = &line[selector.len_utf8()..];
    let name = NAMES[selector as usize % NAMES.len()];
    let scan = scan::scan_file(name, text.as_bytes(), EMBEDDED.rules());
    let sites = scan.found.iter().flat_map(|found| found.site.iter().chain(&found.digest)).take(EDITS);
    for site in sites {
        let replacement = Replacement {
            file: name.to_owned(),
            document: site.document,
            line: site.line,
            column: site.column,
            route: site.route.clone(),
            span: (site.span.start, site.span.end),
            old: site.text.clone(),
            new: new.to_owned(),
        };
        applied(name, text, &[replacement]);
    }
    let resolved =
        resolve::resolve(std::slice::from_ref(&scan), EMBEDDED.rules(), &resolve::Options::default());
    for component in resolved.components.iter().take(EDITS) {
        moved(name, text, component, new);
    }
}

/// A whole component goes to a version as a stranger publishes it.
fn moved(name: &str, text: &str, component: &Component, new: &str) {
    if !matches!(component.given, Given::Exact(_)) {
        return;
    }
    let digest = component.digest.is_some().then(|| format!("sha256:{}", "0a".repeat(32)));
    let to = Candidate { version: new.to_owned(), digest, ..Candidate::default() };
    let Ok(changes) = edit::replacements(component, None, &to, Options::default()) else { return };
    for replacement in &changes.replacements {
        let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        assert!(replacement.new.bytes().all(plain), "{replacement:?}");
        assert_ne!(replacement.old, replacement.new);
    }
    applied(name, text, &changes.replacements);
}

fn applied(name: &str, text: &str, replacements: &[Replacement]) {
    let Ok(edited) = edit::apply(name, text.as_bytes(), replacements) else { return };
    let edited = String::from_utf8(edited).expect("text stays text");
    let mut sorted: Vec<&Replacement> = replacements.iter().collect();
    sorted.sort_by_key(|replacement| replacement.span);
    let mut expected = String::new();
    let mut at = 0;
    for replacement in &sorted {
        expected.push_str(&text[at..replacement.span.0]);
        expected.push_str(&replacement.new);
        at = replacement.span.1;
    }
    expected.push_str(&text[at..]);
    assert_eq!(edited, expected, "bytes outside of the versions differ");
    let (before, after) = (split::documents(text), split::documents(&edited));
    assert_eq!(before.len(), after.len(), "{edited:?}");
    for (old, new) in before.iter().zip(&after) {
        let within = |replacement: &&&Replacement| {
            old.range.start <= replacement.span.0 && replacement.span.1 <= old.range.end
        };
        let within: Vec<&Replacement> = sorted.iter().filter(within).copied().collect();
        if within.is_empty() {
            assert_eq!(text[old.range.clone()], edited[new.range.clone()]);
            continue;
        }
        // The parser alone says what is read, not the quick reader that the program asks first.
        let read = (
            Document::read_parsed(text, old.range.clone()),
            Document::read_parsed(&edited, new.range.clone()),
        );
        match read {
            (Ok(one), Ok(other)) => same_but_for((&one, &other), &within),
            (Err(_), _) => assert!(within.iter().all(|replacement| replacement.route.is_empty())),
            (Ok(_), Err(error)) => panic!("no YAML any more: {error}: {edited:?}"),
        }
    }
}

/// Only scalars that hold a version, or what stands beside it in a comment, may be read otherwise.
fn same_but_for((one, other): (&Document<'_>, &Document<'_>), replacements: &[&Replacement]) {
    assert_eq!(one.nodes(), other.nodes());
    for id in one.nodes() {
        assert!(one.is_alike(id, other, id), "{}", one.pointer(id));
        let (Some((old, _)), Some((new, _))) = (one.literal(id), other.literal(id)) else { continue };
        let span = one.span(id);
        let holds =
            |replacement: &&&Replacement| span.start <= replacement.span.0 && replacement.span.1 <= span.end;
        match replacements.iter().find(holds) {
            None => assert_eq!(old, new, "{}", one.pointer(id)),
            Some(replacement) => assert!(new.contains(&replacement.new), "{new:?} {replacement:?}"),
        }
    }
}
