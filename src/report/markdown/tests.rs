use proptest::prelude::*;
use rstest::rstest;

use super::super::{STEP_SUMMARY_LIMIT, samples};
use super::*;
use crate::domain::component::UpdateType;

fn markdown(report: &Report, limit: usize) -> String {
    render(report, &RenderOptions { verbose: true, ..samples::options() }, limit)
}

/// What is left when code spans are gone, line by line as our spans never cross one.
fn outside_code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut letters = line.chars();
        let mut in_code = false;
        while let Some(letter) = letters.next() {
            match letter {
                '`' => in_code = !in_code,
                _ if in_code => {}
                '\\' => {
                    letters.next();
                    out.push(' ');
                }
                _ => out.push(letter),
            }
        }
        assert!(!in_code, "{line}");
        out.push('\n');
    }
    out
}

fn is_neutral(text: &str) -> Result<(), String> {
    let text = outside_code(text);
    let mut rest = text;
    let own = [
        "<details><summary>",
        "</summary>",
        "</details>",
        "](https://osv.dev/vulnerability/",
        "<https://",
        "&#124;",
    ];
    for own in own {
        rest = rest.replace(own, " ");
    }
    let letters: Vec<char> = rest.chars().collect();
    for pair in letters.windows(2) {
        let starts_name = pair[1].is_ascii_alphanumeric();
        if (matches!(pair[0], '@' | '<') && starts_name) || (pair[0] == '#' && pair[1].is_ascii_digit()) {
            return Err(format!("{pair:?} in {rest}"));
        }
    }
    for bad in ["://", "](", "![", "www."] {
        if rest.contains(bad) {
            return Err(format!("{bad} in {rest}"));
        }
    }
    Ok(())
}

#[test]
fn text_of_strangers_links_and_notifies_nobody() {
    for (name, report) in samples::all() {
        is_neutral(&markdown(&report, usize::MAX)).unwrap_or_else(|found| panic!("{name}: {found}"));
    }
}

#[test]
fn tables_have_as_many_cells_as_columns() {
    for (name, report) in samples::all() {
        let mut columns = 0;
        for line in markdown(&report, usize::MAX).lines().filter(|line| line.starts_with('|')) {
            let cells = line.replace("\\|", "").matches('|').count();
            if line.contains("| component |") {
                columns = cells;
            }
            assert_eq!(cells, columns, "{name}: {line}");
        }
    }
}

#[rstest]
#[case::mention("ask @acme/team", "ask @\u{200b}acme/team")]
#[case::issue("see #12 and GH-12", "see #\u{200b}12 and GH\u{200b}-12")]
#[case::html("<b>x</b> & y", "&lt;b&gt;x&lt;/b&gt; &amp; y")]
#[case::code("log in with `docker login @x`", "log in with `docker login @x`")]
#[case::odd_tick("a ` b", "a \\` b")]
#[case::address("see https://x.example/a", "see https:\u{200b}//x.example/a")]
#[case::commit("since 0123456789", "since 012345\u{200b}6789")]
#[case::list("1. item", "\u{200b}1. item")]
#[case::number("12 updates", "12 updates")]
#[case::emphasis("**a** _b_ ~c~", "\\*\\*a\\*\\* \\_b\\_ \\~c\\~")]
fn prose_is_neutralised(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(prose(text), expected);
}

#[rstest]
#[case::release("https://github.com/a/b/releases/tag/v1", "<https://github.com/a/b/releases/tag/v1>")]
#[case::issue("https://github.com/a/b/issues/1", "`https://github.com/a/b/issues/1`")]
#[case::pull("https://www.github.com/a/b/Pull/1", "`https://www.github.com/a/b/Pull/1`")]
#[case::script("javascript:alert(1)", "`javascript:alert(1)`")]
fn only_harmless_addresses_are_links(#[case] url: &str, #[case] expected: &str) {
    assert_eq!(address(url), expected);
}

#[test]
fn step_summary_is_shortened_within_its_limit() {
    let components = (0..20_000)
        .map(|number| {
            let id = format!("helm/team/service-{number:05}");
            let mut update =
                samples::update(&id, "1.0.0", "2.0.0", UpdateType::Major, "2026-11-01T00:00:00Z");
            update.breaking_changes = vec!["values are renamed".repeat(8)];
            (id, update)
        })
        .collect();
    let report = samples::report(components, Vec::new(), 20_000);
    let text = markdown(&report, STEP_SUMMARY_LIMIT);
    assert!(text.len() <= STEP_SUMMARY_LIMIT, "{}", text.len());
    assert!(text.len() > STEP_SUMMARY_LIMIT / 2, "{}", text.len());
    assert!(text.contains("\n*Shortened: "), "{}", &text[text.len() - 200..]);
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    assert!(text.lines().all(|line| !line.starts_with('|') || line.ends_with('|')));
}

#[test]
fn whole_report_is_not_shortened() {
    assert!(!markdown(&samples::large(), STEP_SUMMARY_LIMIT).contains("Shortened"));
}

#[test]
fn page_opens_with_what_matters() {
    let text = render(&samples::twelve(), &samples::options(), usize::MAX);
    let head: String = text.lines().take(9).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(head, @r"
    ## 1 security update: flux v2.6.0 → v2.7.1

    **Update now: 6 updates \(1 security, 2 breaking\), 1 unresolved, 2 problems.**

    `home-ops` at `3f2c1ab09d4e`: 12 components in 212 files, 1.2s

    ### Security (1)

    | component | current | available | step | age | |
    ");
}

proptest! {
    #[test]
    fn no_prose_or_code_escapes(text in "(@a|#1|`|<b|\\[x\\]\\(|!\\[|https://|www\\.|\\\\|\\||\n|\u{1b}\\[1m|[a-z ]{1,3}|\\PC){0,24}") {
        is_neutral(&format!("x {}", prose(&text))).map_err(TestCaseError::fail)?;
        is_neutral(&format!("x {}", code(&text))).map_err(TestCaseError::fail)?;
        prop_assert_eq!(code(&text).matches('`').count(), 2);
        let row = table_row(&[code(&text), prose(&text)]);
        prop_assert_eq!(row.replace("\\|", "").matches('|').count(), 3);
    }
}
