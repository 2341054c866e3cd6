use std::collections::BTreeSet;

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use rstest::rstest;

use super::neutral::{code, notes, prose};
use super::*;
use crate::domain::component::UpdateType;
use crate::domain::edit::LeftAlone;
use crate::domain::plan::{Approval, EditEntry, Held, Revert, RevertSafety, Step, Wave};
use crate::domain::state::{Quarantined, Stage, Update, UpdateStatus};

fn step() -> Step {
    Step {
        id: "longhorn@1.12.1".to_owned(),
        component: "longhorn".to_owned(),
        from: "1.11.2".to_owned(),
        to: "1.12.1".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "policy.semver_gates.minor".to_owned(),
        next: true,
        reasons: vec!["k3s `v1.34.1+k3s1` must be there first, and is".to_owned()],
        requires: Vec::new(),
        revert: Revert {
            safety: RevertSafety::Unsafe,
            why: "Longhorn cannot go back to 1.11 once its managers have started".to_owned(),
        },
        edits: vec![EditEntry {
            file: "infrastructure/longhorn/release.yaml".to_owned(),
            line: 12,
            route: "/spec/chart/spec/version".to_owned(),
            old: "1.11.2".to_owned(),
            new: "1.12.1".to_owned(),
        }],
    }
}

fn marker(step: &Step) -> Marker {
    Marker {
        update_id: "update-20261121-100000".to_owned(),
        campaign: "campaign-20261121-095000".to_owned(),
        component: step.component.clone(),
        from: step.from.clone(),
        to: step.to.clone(),
        update_type: step.update_type,
        gate: step.gate,
        policy_applied: step.policy_applied.clone(),
        revert: step.revert.clone(),
        backup_id: Some("backup-20261121-095500".to_owned()),
        base: Some("0f0e0d0c".to_owned()),
    }
}

fn neighbour(component: &str, state: &str, pull_request: Option<u64>) -> Neighbour {
    Neighbour {
        component: component.to_owned(),
        from: "v1.33.4+k3s1".to_owned(),
        to: "v1.34.1+k3s1".to_owned(),
        state: state.to_owned(),
        pull_request,
    }
}

fn written(notes: &str, sections: &[Section], templates: &Templates) -> Written {
    let step = step();
    let marker = marker(&step);
    let proposal = Proposal {
        marker: &marker,
        step: &step,
        name: "Longhorn",
        why: "fixes CVE-2026-12345",
        wave: (2, 5),
        before: &[neighbour("k3s", "verified", Some(7))],
        after: &[neighbour("k3s", "not yet proposed", None)],
        gates: &[GateVerdict {
            gate: "release_age".to_owned(),
            passed: true,
            reason: "released 12 days ago, 3 are asked for".to_owned(),
            policy_applied: "policy.minimum_release_age".to_owned(),
        }],
        left_alone: &[LeftAlone {
            file: "old/values.yaml".to_owned(),
            line: 3,
            text: "1.9.0".to_owned(),
            reason: "it is a copy that says `1.9.0`, not `1.11.2`".to_owned(),
        }],
        advisories: &["CVE-2026-12345".to_owned()],
        breaking: &["The setting `x` of @someone was removed, see #12".to_owned()],
        warnings: &[],
        changelog_url: Some("https://github.com/longhorn/longhorn/releases"),
        releases: &[
            ReleaseNotes {
                version: "1.12.0".to_owned(),
                released_at: Some("2026-09-01T00:00:00Z".parse().unwrap()),
                url: Some("https://github.com/longhorn/longhorn/releases/tag/v1.12.0".to_owned()),
                notes: None,
            },
            ReleaseNotes {
                version: "1.12.1".to_owned(),
                released_at: Some("2026-11-01T00:00:00Z".parse().unwrap()),
                url: Some("https://github.com/longhorn/longhorn/issues/1".to_owned()),
                notes: Some(notes.to_owned()),
            },
        ],
        sections,
        data_backups: &[],
        not_covered: &[],
    };
    proposal.write(templates).unwrap()
}

fn ours() -> Templates {
    Templates::new(Overrides::default()).unwrap()
}

fn seen(text: &str) -> String {
    text.replace(neutral::BREAK, "·")
}

#[test]
fn a_pull_request_tells_a_reviewer_what_is_needed_to_decide() {
    let section = Section {
        title: "Default values of the chart".to_owned(),
        urgent: false,
        items: vec!["`persistence.size` was `10Gi` and is `20Gi`".to_owned()],
        diff: Some("-size: 10Gi\n+size: 20Gi\n".to_owned()),
    };
    let written =
        written("## Fixes\n\n* a bug by @dev in https://github.com/o/r/pull/5\n", &[section], &ours());
    insta::assert_snapshot!(written.title, @"longhorn: 1.11.2 -> 1.12.1");
    insta::assert_snapshot!(written.commit, @r#"
    longhorn: 1.11.2 -> 1.12.1

    Longhorn: minor update, fixes CVE-2026-12345.

    infrastructure/longhorn/release.yaml:12: 1.11.2 -> 1.12.1

    A revert is unsafe: Longhorn cannot go back to 1.11 once its managers have started

    Gitops-Updater-Update: update-20261121-100000
    Gitops-Updater-Component: longhorn
    Gitops-Updater-From: 1.11.2
    Gitops-Updater-To: 1.12.1
    Gitops-Updater-Backup: backup-20261121-095500
    "#);
    insta::assert_snapshot!(seen(&written.body), @r#"
    Moves Longhorn from `1.11.2` to `1.12.1` (minor): fixes CVE-2026-12345.

    **Fixes known vulnerabilities:** `CVE-2026-12345`

    **May break:**

    - The setting `x` of @·someone was removed, see #·12

    ### Changes

    | place | from | to |
    |---|---|---|
    | `infrastructure/longhorn/release.yaml:12` | `1.11.2` | `1.12.1` |

    Not changed:

    - `old/values.yaml:3` (`1.9.0`): it is a copy that says `1.9.0`, not `1.11.2`

    ### Place in the sequence

    Wave 2 of 5.

    - k3s `v1.34.1+k3s1` must be there first, and is

    Had to come first:

    - `k3s` `v1.33.4+k3s1` → `v1.34.1+k3s1`: verified (#7)

    Comes after it:

    - `k3s` `v1.33.4+k3s1` → `v1.34.1+k3s1`: not yet proposed

    ### Gates

    Approved by: `review` (`policy.semver_gates.minor`).

    | gate | verdict | | decided by |
    |---|---|---|---|
    | `release_age` | passed | released 12 days ago, 3 are asked for | `policy.minimum_release_age` |

    ### If it goes wrong

    Revert: **unsafe**. Longhorn cannot go back to 1.11 once its managers have started

    Do not revert the merged commit: that does harm. Keep what can be seen and repair forwards.

    Backup point: `backup-20261121-095500`

    <details><summary>Default values of the chart</summary>

    - `persistence.size` was `10Gi` and is `20Gi`

    ```diff
    -size: 10Gi
    +size: 20Gi
    ```

    </details>

    ### Release notes

    <https://github.com/longhorn/longhorn/releases>

    <details><summary>1.12.1, 2026-11-01</summary>

    `#1`

    **Fixes**

    - a bug by @·dev in `#5`

    </details>

    <details><summary>1.12.0, 2026-09-01</summary>

    <https://github.com/longhorn/longhorn/releases/tag/v1.12.0>

    No notes were found.

    </details>

    ---
    Update `update-20261121-100000` of `campaign-20261121-095000`.

    <!-- gitops-updater/pull-request/v1 {"update_id":"update-20261121-100000","campaign":"campaign-20261121-095000","component":"longhorn","from":"1.11.2","to":"1.12.1","update_type":"minor","gate":"review","policy_applied":"policy.semver_gates.minor","revert":{"safety":"unsafe","why":"Longhorn cannot go back to 1.11 once its managers have started"},"backup_id":"backup-20261121-095500","base":"0f0e0d0c"} -->
    "#);
    assert_eq!(Marker::parse(&written.body), Some(marker(&step())));
    assert_eq!(Trailers::parse(&written.commit).unwrap().to, "1.12.1");
}

#[rstest]
#[case::mention("thanks @octo-cat", "thanks @·octo-cat")]
#[case::number("fixes #12, GH-34 and o/r#5", "fixes #·12, GH·-34 and o/r#·5")]
#[case::commit("see 0123abcdef", "see 0123ab·cdef")]
#[case::issue_address("in https://github.com/o/r/issues/12.", "in `#12`.")]
#[case::commit_address("<https://github.com/o/r/commit/0123456789abcdef>", "`0123456789ab`")]
#[case::page("see https://longhorn.io/docs/x_y", "see <https://longhorn.io/docs/x_y>")]
#[case::link("[the guide](https://longhorn.io/a \"t\")", "[the guide](<https://longhorn.io/a>)")]
#[case::link_to_an_issue("see [#5](https://github.com/o/r/pull/5)", "see #·5")]
#[case::script("[x](javascript:alert(1))", "x\\)")]
#[case::image("![pixel](https://evil.example/x.png) after", "after")]
#[case::reference("[text][1] and [1]", "text and \\[1\\]")]
#[case::tag("<b>bold</b> <img src=x onerror=y> a < b", "bold a &lt; b")]
#[case::comment_left_open("a <!-- b", "a &lt;\\!-- b")]
#[case::emphasis("**bold** _it_ snake_case 2 * 3", "bold it snake\\_case 2 \\* 3")]
#[case::code("`@a #1 <b>` and `` a`b ``", "`@a #1 <b>` and ``a`b``")]
#[case::open_code("a ` b", "a \\` b")]
#[case::entity("&#64;user &amp; &lt;b&gt;", "&amp;#·64;user &amp; &lt;b&gt;")]
#[case::math("$\\color{red}{x}$", "\\$\\\\color{red}{x}\\$")]
#[case::hidden("a\u{202e}b\u{200b}c\u{e0041}d", "abcd")]
#[case::address_without_scheme("www.example.org", "www·.example.org")]
#[case::mail("mailto:a@b.c", "mailto:·a@·b.c")]
#[case::heading_sign("# no heading", "·#· no heading")]
#[case::words_beside_a_link("gh[-1](javascript:) abc[def](x)0123", "gh·-1 abc·def012·3")]
#[case::time("at 10:00: no", "at 10:00: no")]
#[case::list_sign("1. no list", "·1. no list")]
fn text_of_strangers_says_what_it_said_and_does_nothing(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(seen(&prose(text, 200)), expected);
}

#[test]
fn release_notes_keep_their_lists_and_code_and_nothing_else() {
    let text = "# Release 1.2\n\nHello <!-- hidden\nstill hidden --> world\n- [ ] task\n  * nested `x`\n\n    more\n1) first\n\n> [!WARNING]\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nTitle\n=====\n\n[ref]: https://x.example\n\n~~~yaml\na: `@b`\n```\n<details>\n~~~\n<details><summary>More</summary>\n- last @x\n```\nopen";
    let (out, cut) = notes(text, 5_000);
    assert!(!cut);
    insta::assert_snapshot!(seen(&out), @r#"
    **Release 1.2**

    Hello
    world
    - task
      - nested `x`

        more
    - first

    quoted

    a · b

    1 · 2

    Title

    ````
    a: `@b`
    ```
    <details>
    ````

    More
    - last @·x

    ```
    open
    ```
    "#);
}

/// What is left of a body when code is gone; fences and spans must be closed.
fn outside_code(text: &str) -> String {
    let mut out = String::new();
    let mut fence: Option<usize> = None;
    for line in text.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            Some(open) => {
                if ticks >= open && line.len() == ticks {
                    fence = None;
                }
                continue;
            }
            None if ticks >= 3 && !line[ticks..].contains('`') => {
                fence = Some(ticks);
                continue;
            }
            None => {}
        }
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            let run = rest.bytes().take_while(|byte| *byte == b'`').count();
            if letter == '\\' {
                rest = rest.get(2..).unwrap_or_default();
                out.push('z');
            } else if run > 0 {
                let mut inner = &rest[run..];
                loop {
                    let at = inner.find('`').unwrap_or_else(|| panic!("open span: {line}"));
                    let closing = inner[at..].bytes().take_while(|byte| *byte == b'`').count();
                    inner = &inner[at + closing..];
                    if closing == run {
                        break;
                    }
                }
                rest = inner;
                out.push('z');
            } else {
                out.push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
        out.push('\n');
    }
    assert!(fence.is_none(), "open fence: {text}");
    out
}

/// Whether a forge would make nothing of a text but lists, bold lines, code and plain links.
fn is_neutral(text: &str) -> Result<(), String> {
    let mut text = outside_code(text).replace("&#124;", "z");
    // Links of our own: `<https://…>`, perhaps behind a text in brackets.
    static ADDRESS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<https?://[A-Za-z0-9:/?&=%._~+#,;-]+>").unwrap());
    static HEXADECIMAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[0-9a-fA-F]{7}").unwrap());
    for found in ADDRESS.find_iter(&text) {
        let lower = found.as_str().to_lowercase();
        if lower.contains("github.com/")
            && ["/issues/", "/pull/", "/commit/"].iter().any(|part| lower.contains(part))
        {
            return Err(format!("announced {lower}"));
        }
    }
    text = ADDRESS.replace_all(&text, "z").replace("](z)", "]z");
    let letters: Vec<char> = text.chars().collect();
    for pair in letters.windows(2) {
        if matches!(pair[0], '@' | '<' | '!')
            && (pair[1].is_ascii_alphanumeric() || matches!(pair[1], '/' | '!' | '[' | '?'))
            || (pair[0] == '#' && pair[1].is_ascii_digit())
        {
            return Err(format!("{pair:?} in {text}"));
        }
    }
    let lower = text.to_lowercase();
    for bad in ["://", "](", "][", "![", "www.", "<", "gh-", "]:", "$", "&#6"] {
        if lower.contains(bad) {
            return Err(format!("{bad} in {text}"));
        }
    }
    if let Some(found) = HEXADECIMAL.find(&text) {
        return Err(format!("{} in {text}", found.as_str()));
    }
    for line in text.lines() {
        let body = line.trim_start();
        let marked = body.strip_prefix("- ").unwrap_or(body);
        if marked.starts_with(['#', '>', '=', '+', '|'])
            || marked.starts_with("- ")
            || marked.starts_with("--")
            || marked.starts_with("[ ]")
        {
            return Err(format!("{line:?}"));
        }
    }
    Ok(())
}

fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "\\PC{0,6}",
        "[a-z ]{1,8}",
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("@user".to_owned()),
        Just("#12".to_owned()),
        Just("GH-1".to_owned()),
        Just("o/r#3".to_owned()),
        Just("0123456789abcdef0123".to_owned()),
        Just("https://github.com/o/r/pull/1".to_owned()),
        Just("https://www.example.org/a_(b)#c".to_owned()),
        Just("HTTP://GitHub.com/o/r/issues/9?x".to_owned()),
        Just("<details>".to_owned()),
        Just("</summary>".to_owned()),
        Just("<img src='x' onerror=a>".to_owned()),
        Just("<!--".to_owned()),
        Just("-->".to_owned()),
        Just("```".to_owned()),
        Just("~~~".to_owned()),
        Just("`".to_owned()),
        Just("``".to_owned()),
        Just("[a](".to_owned()),
        Just("![".to_owned()),
        Just("[x]: y".to_owned()),
        Just("](https://x.example)".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("- [ ] ".to_owned()),
        Just("| a | b |\n|---|---|\n".to_owned()),
        Just("\\".to_owned()),
        Just("&#64;".to_owned()),
        Just("**".to_owned()),
        Just("$".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("    ".to_owned()),
        Just("> ".to_owned()),
        Just("1. ".to_owned()),
        Just("---".to_owned()),
        Just(":".to_owned()),
        Just("www.".to_owned()),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_notes_link_notify_or_escape(text in hostile(), limit in 0..600_usize) {
        let (out, _) = notes(&text, limit);
        prop_assert!(out.chars().count() <= 4 * limit + 16, "{}", out.chars().count());
        is_neutral(&out).map_err(TestCaseError::fail)?;
        let turned = out.contains('\u{202e}');
        prop_assert!(!turned);
    }

    #[test]
    fn no_line_of_prose_links_or_notifies(text in hostile()) {
        let out = prose(&text, 300);
        prop_assert!(!out.contains('\n'));
        is_neutral(&out).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn code_spans_are_closed_and_on_one_line(text in hostile()) {
        let out = code(&text);
        prop_assert!(!out.contains('\n'));
        let left = outside_code(&format!("a {out} b"));
        prop_assert_eq!(left.trim(), "a z b");
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_body_fits_and_is_found_again(text in hostile(), repeat in 1..1_000_usize) {
        let notes = format!("{text}\n").repeat(repeat);
        let section = Section { title: text.clone(), urgent: repeat % 2 == 0, items: vec![text.clone(); 50], diff: Some(notes.clone()) };
        let written = written(&notes, &[section.clone(), section], &ours());
        prop_assert!(written.body.chars().count() <= MAX_BODY + 2);
        let text = outside_code(&written.body);
        prop_assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        prop_assert_eq!(Marker::parse(&written.body), Some(marker(&step())));
    }
}

#[test]
fn reading_notes_takes_linear_time() {
    let started = std::time::Instant::now();
    for text in ["[", "`", "<", "<!--", "![", "](", "*", "- ", "`` ", "\\", "[a][", "https://", "&"] {
        let (_, _) = notes(&text.repeat((256 << 10) / text.len()), 60_000);
        let lines = format!("{}\n", text.repeat(2_000 / text.len())).repeat(120);
        let (_, _) = notes(&lines, 60_000);
    }
    // Quadratic, this took minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn templates_of_the_user_take_the_place_of_ours() {
    let overrides = Overrides {
        title: Some("chore(deps): {{ component }} {{ to }}\n".to_owned()),
        commit: Some(String::new()),
        pull_request: Some("{{ why }} {{ warnings|length }} {{ edits[0].file }}".to_owned()),
        dashboard: None,
    };
    let written = written("x", &[], &Templates::new(overrides).unwrap());
    assert_eq!(written.title, "chore(deps): longhorn 1.12.1");
    assert!(written.commit.starts_with("chore(deps): longhorn 1.12.1\n\nGitops-Updater-Update: "));
    assert!(written.body.starts_with("fixes CVE-2026-12345 0 infrastructure/longhorn/release.yaml\n\n<!-- "));
}

#[rstest]
#[case::no_template("{% if %}", "cannot use the template `pull_request` (line 1): syntax error")]
#[case::unknown_name("a\n{{ nothing }}", "cannot use the template `pull_request` (line 2): undefined value")]
#[case::endless(
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "it takes too many steps"
)]
#[case::too_long("{% for a in range(70000) %}x{% endfor %}", "characters, more than")]
fn a_wrong_template_is_named(#[case] template: &str, #[case] expected: &str) {
    let overrides = Overrides { pull_request: Some(template.to_owned()), ..Overrides::default() };
    let step = step();
    let marker = marker(&step);
    let error = match Templates::new(overrides) {
        Ok(templates) => Proposal {
            marker: &marker,
            step: &step,
            name: "",
            why: "",
            wave: (1, 1),
            before: &[],
            after: &[],
            gates: &[],
            left_alone: &[],
            advisories: &[],
            breaking: &[],
            warnings: &[],
            changelog_url: None,
            releases: &[],
            sections: &[],
            data_backups: &[],
            not_covered: &[],
        }
        .write(&templates)
        .unwrap_err(),
        Err(error) => error,
    };
    assert!(error.to_string().contains(expected), "{error}");
}

fn update(id: &str, stage: Stage) -> Update {
    let step = step();
    Update {
        update_id: id.to_owned(),
        status: UpdateStatus::InProgress,
        stage,
        started_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        changed_at: "2026-11-21T10:00:00Z".parse().unwrap(),
        campaign: "campaign-1".to_owned(),
        component: format!("helm/apps/{id}"),
        from: "1.0.0".to_owned(),
        to: "1.1.0".to_owned(),
        update_type: UpdateType::Minor,
        gate: Approval::Review,
        policy_applied: "x".to_owned(),
        revert: step.revert,
        backup_id: None,
        branch: "b".to_owned(),
        base: None,
        head: None,
        pull_request: Some(12),
        merge_commit: None,
        merged_at: None,
        current_phase: None,
        completed_phases: Vec::new(),
        failure_stage: None,
        reason: Some("waits for a person".to_owned()),
        verified_by: None,
        settling: Default::default(),
    }
}

fn dashboard(count: usize) -> String {
    let steps: Vec<Step> = (0..count)
        .flat_map(|number| {
            let next = Step { component: format!("helm/apps/a{number}"), ..step() };
            let manual = Step {
                component: format!("image/x#{number}"),
                gate: Approval::Manual,
                next: false,
                ..step()
            };
            let later = Step {
                component: format!("git/y{number}"),
                requires: vec!["k3s@1".to_owned()],
                next: false,
                ..step()
            };
            [next, manual, later]
        })
        .collect();
    let held = Held {
        component: "k3s".to_owned(),
        from: Some("v1.33.4+k3s1".to_owned()),
        to: Some("v1.35.0+k3s1".to_owned()),
        gate: "compatibility".to_owned(),
        reason: "longhorn 1.11 is not tested with it, says @someone in #12".to_owned(),
        constraint: None,
        policy_applied: None,
    };
    let quarantined = Quarantined {
        component: "helm/apps/bad".to_owned(),
        version: "2.0.0".to_owned(),
        reason: "reverted".to_owned(),
        since: "2026-11-01T00:00:00Z".parse().unwrap(),
        update_id: None,
    };
    let updates: Vec<Update> = (0..count)
        .flat_map(|number| {
            [Stage::Proposed, Stage::Merged, Stage::Held]
                .map(|stage| update(&format!("u{number}{stage:?}"), stage))
        })
        .collect();
    Dashboard {
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        notices: &["Maintenance since yesterday by jane: nothing is proposed".to_owned()],
        updates: &updates,
        waves: &[Wave { number: 1, steps }],
        held: &vec![held; count],
        ignored: &[Ignored { component: "image/z".to_owned(), reason: "ignored by `detection`".to_owned() }],
        quarantine: &vec![quarantined; count],
        breaker: None,
        asked: &BTreeSet::new(),
        problems: 2,
    }
    .write(&ours())
    .unwrap()
}

#[test]
fn the_dashboard_shows_everything_with_boxes_that_work() {
    let body = dashboard(1);
    insta::assert_snapshot!(seen(&body), @r#"
    What gitops-updater knows about this repository. Tick a box, and the next run does what it says.

    > Maintenance since yesterday by jane: nothing is proposed
    >

    ### Open pull requests

    - `helm/apps/u0Proposed` `1.0.0` → `1.1.0` (#12), approval: review
      - [ ] <!-- gitops-updater:rebuild u0Proposed --> Write the branch anew

    ### Merged, not yet verified

    - `helm/apps/u0Merged` `1.0.0` → `1.1.0` (#12): waits for a person
      - [ ] <!-- gitops-updater:accept u0Merged --> I have looked: this update is good

    ### Stopped

    - `helm/apps/u0Held` `1.0.0` → `1.1.0` (#12): waits for a person
      - [ ] <!-- gitops-updater:retry u0Held --> Take it up again
      - [ ] <!-- gitops-updater:accept u0Held --> I have looked: this update is good

    ### Waiting to be asked for

    - [ ] <!-- gitops-updater:open image/x%230 1.12.1 --> Open the pull request: `image/x#0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Next

    - `helm/apps/a0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Later

    - wave 1: `git/y0` `1.11.2` → `1.12.1` (minor): k3s `v1.34.1+k3s1` must be there first, and is

    ### Held

    - `k3s` at `v1.35.0+k3s1` (compatibility): longhorn 1.11 is not tested with it, says @·someone in #·12

    ### Quarantined

    - [ ] <!-- gitops-updater:unquarantine helm/apps/bad 2.0.0 --> Let it be proposed again: `helm/apps/bad` `2.0.0` (reverted)

    <details><summary>Left out</summary>

    - `image/z`: ignored by `detection`

    </details>

    2 things could not be read or asked; `gitops-updater detect` lists them.

    Written at 2026-11-21 10:00 UTC.
    "#);
    assert!(Action::ticked(&body).is_empty());
    let ticked = Action::ticked(&body.replace("[ ]", "[x]"));
    let id = |stage: &str| format!("u0{stage}");
    let expected = [
        Action::Open { component: "image/x#0".to_owned(), version: "1.12.1".to_owned() },
        Action::Rebuild { update_id: id("Proposed") },
        Action::Retry { update_id: id("Held") },
        Action::Accept { update_id: id("Held") },
        Action::Accept { update_id: id("Merged") },
        Action::Unquarantine { component: "helm/apps/bad".to_owned(), version: "2.0.0".to_owned() },
    ];
    assert_eq!(ticked, expected.into());
}

#[test]
fn a_dashboard_of_any_length_fits() {
    let body = dashboard(1_000);
    assert!(body.chars().count() <= MAX_BODY);
    assert!(body.contains("more; `gitops-updater plan`"));
}

#[rstest]
#[case::another_sign("* [X] <!-- gitops-updater:accept u1 --> x", true)]
#[case::indented("  - [x] <!-- gitops-updater:accept u1 -->", true)]
#[case::not_ticked("- [ ] <!-- gitops-updater:accept u1 -->", false)]
#[case::not_ours("- [x] accept u1", false)]
#[case::too_many("- [x] <!-- gitops-updater:accept u1 u2 -->", false)]
#[case::unknown("- [x] <!-- gitops-updater:destroy u1 -->", false)]
#[case::left_open("- [x] <!-- gitops-updater:accept u1", false)]
#[case::in_a_sentence("see [x] <!-- gitops-updater:accept u1 -->", false)]
fn only_boxes_of_ours_count(#[case] line: &str, #[case] counts: bool) {
    assert_eq!(Action::ticked(line).len(), usize::from(counts));
}
