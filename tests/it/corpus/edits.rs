//! Every version of real repositories is moved and moved back.

use std::collections::BTreeMap;
use std::path::Path;

use gitops_updater::app::detect::{self, DetectRequest};
use gitops_updater::config::Config;
use gitops_updater::domain::component::{Component, Given};
use gitops_updater::domain::edit::{
    Changes, Draft, EditError, Generated, Options, Ranges, Replacement, replacements,
};
use gitops_updater::domain::upstream::Candidate;

use super::super::support::sandbox::Sandbox;
use super::corpus;
use super::reading::{at, parts, untagged};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn moving_any_version_of_the_corpus_changes_its_bytes_alone_and_moving_it_back_changes_nothing() {
    let Some(corpus) = corpus() else { return };
    let mut count = Count::default();
    for entry in std::fs::read_dir(corpus.join("repos")).unwrap() {
        move_everything(&entry.unwrap().path(), &mut count);
    }
    println!("{count:?}");
    assert!(count.components > 350 && count.replacements > 450, "{count:?}");
}

#[test]
fn moving_any_version_of_the_test_repositories_changes_its_bytes_alone() {
    let mut count = Count::default();
    for scenario in ["../example/repo", "home", "fleet", "odd"] {
        // A repository of its own: what stands in the project's is named from that one's root.
        move_everything(Sandbox::with_repo(scenario).work(), &mut count);
    }
    assert!(count.components > 15 && count.replacements > 15, "{count:?}");
}

#[derive(Debug, Default)]
struct Count {
    components: usize,
    replacements: usize,
    widened: usize,
    refused: BTreeMap<String, usize>,
}

fn move_everything(folder: &Path, count: &mut Count) {
    let request = DetectRequest {
        path: folder.to_owned(),
        rev: None,
        config: Config::default(),
        offline: true,
        components: Vec::new(),
        deep: false,
        now: "2026-11-21T00:00:00Z".parse().unwrap(),
    };
    let repository = gitops_updater::repo::open(folder, None).unwrap();
    let found = detect::read(&repository, &request, 1).unwrap();
    for component in &found.components {
        let (Given::Exact(text) | Given::Range(text)) = &component.given else { continue };
        let Some(to) = newer(text, component) else { continue };
        let options = Options { ranges: Ranges::Widen, generated: Generated::Elsewhere };
        match replacements(component, None, &to, options) {
            Ok(changes) => {
                if matches!(component.given, Given::Range(_)) {
                    count.widened += 1;
                }
                count.components += 1;
                count.replacements += changes.replacements.len();
                check(folder, component, text, &to, &changes, count);
            }
            Err(error) => *count.refused.entry(kind(&error).to_owned()).or_default() += 1,
        }
    }
}

fn kind(error: &EditError) -> &'static str {
    match error {
        EditError::ManagedElsewhere { .. } => "managed elsewhere",
        EditError::Digest { .. } => "digest",
        EditError::Range { .. } => "range",
        EditError::ReadsBack { .. } => "reads back",
        EditError::Encrypted { .. } => "encrypted",
        EditError::Form { .. } => "form",
        other => panic!("{other}"),
    }
}

/// The same text with a higher first number.
fn newer(text: &str, component: &Component) -> Option<Candidate> {
    let start = text.find(|letter: char| letter.is_ascii_digit())?;
    let length = text[start..].find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len() - start);
    let number: u64 = text[start..start + length].parse().ok()?;
    let version = if matches!(component.given, Given::Range(_)) {
        format!("{}.7.11", number + 1)
    } else {
        format!("{}{}{}", &text[..start], number + 1, &text[start + length..])
    };
    component.scheme.parse(&version)?;
    Some(Candidate { version, digest: Some(DIGEST.to_owned()), ..Candidate::default() })
}

fn check(
    folder: &Path,
    component: &Component,
    text: &str,
    to: &Candidate,
    changes: &Changes,
    count: &mut Count,
) {
    let mut drafts: BTreeMap<&str, (String, Draft)> = BTreeMap::new();
    for file in changes.replacements.iter().map(|one| one.file.as_str()) {
        if drafts.contains_key(file) {
            continue;
        }
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let own = of_file(changes, file);
        let mut draft = Draft::new(file, &bytes).unwrap();
        if let Err(error) = draft.apply(&own) {
            *count.refused.entry(kind(&error).to_owned()).or_default() += 1;
            return;
        }
        let before = String::from_utf8(bytes).unwrap();
        let after = draft.text();
        // Everything between the spans is there, in order, and nothing else is.
        let (mut rest, mut end) = (after.as_str(), 0);
        for one in &own {
            rest = rest.strip_prefix(&before[end..one.span.0]).unwrap();
            assert_eq!(&before[one.span.0..one.span.1], one.old);
            rest = rest.strip_prefix(one.new.as_str()).unwrap();
            end = one.span.1;
        }
        assert_eq!(rest, &before[end..], "{file}");
        for one in &own {
            reads(folder, one, &after);
        }
        drafts.insert(file, (before, draft));
    }
    // Back again: only where all that moved said the same before.
    let mut same = component.clone();
    same.pins
        .retain(|pin| changes.replacements.iter().any(|one| one.span == pin.span && one.file == pin.file));
    let forms = |text: &str| text.trim_start_matches('v').replace("+k3s", "-k3s");
    if matches!(component.given, Given::Range(_))
        || same.pins.iter().any(|pin| forms(&pin.text) != forms(text))
    {
        return;
    }
    let digests: Vec<_> = same.pins.iter().filter_map(|pin| pin.digest.as_ref()).collect();
    if digests.iter().any(|digest| digest.text != digests[0].text) {
        return;
    }
    let back = Candidate {
        version: text.to_owned(),
        digest: digests.first().map(|digest| digest.text.clone()),
        ..Candidate::default()
    };
    let advanced = changes.advance(component, to);
    let options = Options { ranges: Ranges::Leave, generated: Generated::Elsewhere };
    let undone = replacements(&advanced, Some(to), &back, options).unwrap();
    for (file, (before, mut draft)) in drafts {
        draft.apply(&of_file(&undone, file)).unwrap();
        assert_eq!(draft.text(), before, "{file}");
    }
}

fn of_file(changes: &Changes, file: &str) -> Vec<Replacement> {
    changes.replacements.iter().filter(|one| one.file == file).cloned().collect()
}

/// Whether a general YAML reader finds the new text at the place.
fn reads(folder: &Path, one: &Replacement, after: &str) {
    if one.route.is_empty() {
        return;
    }
    let place = format!("{}/{}:{} {}", folder.display(), one.file, one.line, one.route);
    let (_, part) = parts(after).into_iter().find(|(index, _)| *index == one.document).unwrap();
    let Ok(value) = serde_yaml::from_str::<serde_yaml::Value>(part) else { return };
    match at(&untagged(value), &one.route) {
        Some(node) if node.is_string() => assert!(node.as_str().unwrap().contains(&one.new), "{place}"),
        Some(node) if node.is_number() => {
            assert_eq!(serde_yaml::to_string(&node).unwrap().trim(), one.new, "{place}");
        }
        other => panic!("{place}: {other:?}"),
    }
}
