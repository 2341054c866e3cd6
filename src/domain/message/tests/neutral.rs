//! Texts of strangers.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use rstest::rstest;

use super::super::neutral::{code, html, notes, prose};
use super::seen;

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

/// Summaries had references by another name, and ids of commits, which a forge links after it has drawn the page.
#[rstest]
#[case::mention("thanks @octo-cat", "thanks @·octo-cat")]
#[case::number("fixes #12, GH-34 and o/r#5", "fixes #·12, GH·-34 and o/r#·5")]
#[case::commit("see 0123abcdef01234", "see 0123ab·cdef01·234")]
#[case::address("www.example.org http://x", "www·.example.org http:·//x")]
#[case::tag("<b>`x`</b> & \"y\"", "&lt;b&gt;&#96;x&#96;&lt;/b&gt; &amp; &quot;y&quot;")]
#[case::hidden("g\u{202e}h-1 a\tb", "gh·-1 a b")]
fn text_inside_of_a_tag_says_what_it_said_and_does_nothing(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(seen(&html(text, 200)), expected);
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
pub(super) fn outside_code(text: &str) -> String {
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

pub(super) fn hostile() -> impl Strategy<Value = String> {
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
