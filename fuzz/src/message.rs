use gitops_updater::domain::component::UpdateType;
use gitops_updater::domain::edit::LeftAlone;
use gitops_updater::domain::message::neutral::{code, html, notes, prose};
use gitops_updater::domain::message::{
    GateVerdict, MAX_BODY, Marker, Neighbour, Overrides, Proposal, ReleaseNotes, Section, Templates, Trailers,
};
use gitops_updater::domain::plan::{Approval, EditEntry, Revert, RevertSafety, Step};

/// Stands between the texts of an input.
const MARKER: &str = "\n====\n";
/// Title lines are cut here.
const MAX_TITLE: usize = 250;

/// Texts of strangers come out as bounded Markdown that mentions, links, announces and hides nothing; the
/// pull request that is made of them fits, closes what it opens and is found again.
pub fn message(bytes: &[u8]) {
    let input = String::from_utf8_lossy(bytes);
    let texts: Vec<&str> = input.split(MARKER).collect();
    for text in &texts {
        let limit = text.len() % 700;
        let (out, _) = notes(text, limit);
        assert!(out.chars().count() <= 4 * limit + 16, "{out:?}");
        is_neutral(&out);
        let out = prose(text, limit);
        assert!(!out.contains(['\n', '\r']), "{out:?}");
        is_neutral(&out);
        let out = code(text);
        assert!(!out.contains(['\n', '\r']), "{out:?}");
        assert_eq!(outside_code(&format!("a {out} b")).trim(), "a z b", "{text:?}");
        let out = html(text, limit);
        assert!(!out.contains(['<', '>', '"', '`', '\n']), "{out:?}");
        says_nothing(&out);
    }
    body(&texts);
}

/// Every place of a body that can say what strangers wrote, or what came from their files, says one of the texts.
fn body(texts: &[&str]) {
    let mut next = texts.iter().cycle();
    let mut text = || (*next.next().expect("a split text has a part")).to_owned();
    let revert = Revert { safety: RevertSafety::Unsafe, why: text() };
    let step = Step {
        id: "longhorn@1.12.1".to_owned(),
        component: "longhorn".to_owned(),
        from: text(),
        to: "1.12.1".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: text(),
        next: true,
        reasons: vec![text()],
        untested: Vec::new(),
        requires: Vec::new(),
        revert: revert.clone(),
        edits: vec![EditEntry { file: text(), line: 12, route: text(), old: text(), new: text() }],
    };
    let marker = Marker {
        chart: None,
        update_id: "update-20261121-100000".to_owned(),
        campaign: "campaign-20261121-095000".to_owned(),
        component: step.component.clone(),
        // A marker of more than 16 KiB is none; what a version is that long, no upstream publishes.
        from: step.from.chars().take(200).collect(),
        to: step.to.clone(),
        update_type: step.update_type,
        gate: step.gate,
        policy_applied: "policy.semver_gates.minor".to_owned(),
        revert: Revert { why: revert.why.chars().take(200).collect(), ..revert },
        backup_id: None,
        base: None,
    };
    let section = Section { title: text(), urgent: false, items: vec![text(), text()], diff: Some(text()) };
    let neighbour = Neighbour {
        component: text(),
        from: text(),
        to: text(),
        state: text(),
        pull_request: None,
        why: text(),
    };
    let release = ReleaseNotes { version: text(), released_at: None, url: Some(text()), notes: Some(text()) };
    let verdict = GateVerdict { gate: text(), passed: false, reason: text(), policy_applied: text() };
    let (name, why, changelog, last_way) = (text(), text(), text(), text());
    let templates = Templates::new(Overrides::default()).expect("our own templates are right");
    let written = Proposal {
        marker: &marker,
        step: &step,
        name: &name,
        why: &why,
        wave: (2, 5),
        before: std::slice::from_ref(&neighbour),
        after: std::slice::from_ref(&neighbour),
        gates: &[verdict],
        left_alone: &[LeftAlone { file: text(), line: 3, text: text(), reason: text() }],
        advisories: &[text()],
        breaking: &[text()],
        warnings: &[text()],
        changelog_url: Some(&changelog),
        releases: &[release],
        sections: &[section.clone(), Section { urgent: true, ..section }],
        data_backups: &[],
        not_covered: &[],
        last_way: Some(&last_way),
    }
    .write(&templates)
    .expect("our own templates fit");
    assert!(
        written.title.chars().count() <= MAX_TITLE && !written.title.contains('\n'),
        "{:?}",
        written.title
    );
    let trailers = Trailers::parse(&written.commit).expect("a commit has its trailers");
    assert_eq!((trailers.component.as_str(), trailers.to.as_str()), ("longhorn", "1.12.1"));
    assert!(written.body.chars().count() <= MAX_BODY + 2);
    assert_eq!(Marker::parse(&written.body), Some(marker.clone()));
    let shown =
        written.body.trim_end().strip_suffix(&marker.comment()).expect("the marker stands at the end");
    let mut outside = outside_code(shown);
    assert_eq!(outside.matches("<details>").count(), outside.matches("</details>").count());
    // What stands in a tag is no Markdown; names and numbers in it are linked all the same.
    while let Some(start) = outside.find("<summary>") {
        let end = start + outside[start..].find("</summary>").expect("a summary is closed");
        says_nothing(&outside[start + "<summary>".len()..end]);
        outside.replace_range(start..end + "</summary>".len(), "");
    }
    neutral_outside(&without_links(&outside.replace("<details>", "").replace("</details>", "")));
}

/// A forge makes nothing of it but lists, bold lines, code and plain links.
fn is_neutral(text: &str) {
    neutral_outside(&without_links(&outside_code(text)));
}

fn neutral_outside(text: &str) {
    says_nothing(text);
    for bad in ["](", "][", "![", "]:"] {
        assert!(!text.contains(bad), "{bad:?} in {text:?}");
    }
}

/// It has no tag, and no name, number or address that is linked.
fn says_nothing(text: &str) {
    // Signs that we write so where Markdown would take them for something.
    let text = &text.replace("&#96;", "z").replace("&#124;", "z");
    assert!(!text.contains("&#"), "a sign in disguise in {text:?}");
    let letters: Vec<char> = text.chars().collect();
    for pair in letters.windows(2) {
        assert!(!(pair[0] == '@' && pair[1].is_ascii_alphanumeric()), "a mention in {text:?}");
        assert!(!(pair[0] == '#' && pair[1].is_ascii_digit()), "a reference in {text:?}");
        assert!(pair[0] != '<', "a tag in {text:?}");
    }
    let lower = text.to_lowercase();
    for bad in ["://", "www.", "gh-"] {
        assert!(!lower.contains(bad), "{bad:?} in {text:?}");
    }
    let hidden = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}');
    assert!(!text.chars().any(hidden), "{text:?}");
    let commit = |letters: &[char]| letters.iter().all(char::is_ascii_hexdigit);
    assert!(!letters.windows(7).any(commit), "the id of a commit in {text:?}");
}

/// `<https://…>` with signs that end no link, and not of an issue, pull request or commit, is ours.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let address = rest.find('>').map(|end| &rest[1..end]).filter(|address| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/?&=%._~+#-,;".contains(&byte);
            (address.starts_with("http://") || address.starts_with("https://")) && address.bytes().all(plain)
        });
        let Some(address) = address else {
            out.push('<');
            rest = &rest[1..];
            continue;
        };
        let lower = address.to_lowercase();
        let page = lower.split(['#', '?']).next().unwrap_or_default();
        // Without a number or id behind it, it is the address of a list.
        let names = |part: &&str| {
            page.split(*part)
                .skip(1)
                .any(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric()))
        };
        let announces = ["/issues/", "/pull/", "/commit/", "/discussions/"].iter().any(|part| names(&part));
        assert!(!(lower.contains("//github.com/") && announces), "{address} is announced");
        out.push('z');
        rest = &rest[address.len() + 2..];
    }
    out.push_str(rest);
    out.replace("](z)", "]z")
}

/// The text with a `z` for each code span and escaped sign, and without fenced code; all of it is closed.
fn outside_code(text: &str) -> String {
    let mut out = String::new();
    let mut fence = None;
    for line in text.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            Some(open) => {
                if ticks >= open && line.len() == ticks {
                    fence = None;
                }
            }
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            None => {
                spans_left_out(line, &mut out);
                out.push('\n');
            }
        }
    }
    assert!(fence.is_none(), "a fence is open in {text:?}");
    out
}

fn spans_left_out(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let run = rest.bytes().take_while(|byte| *byte == b'`').count();
        if letter == '\\' {
            out.push('z');
            // The sign behind it may have several bytes.
            let mut signs = rest.chars();
            signs.nth(1);
            rest = signs.as_str();
        } else if run > 0 {
            out.push('z');
            rest = &rest[run..];
            loop {
                let at = rest.find('`').unwrap_or_else(|| panic!("a span is open in {line:?}"));
                let closing = rest[at..].bytes().take_while(|byte| *byte == b'`').count();
                rest = &rest[at + closing..];
                if closing == run {
                    break;
                }
            }
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
}
