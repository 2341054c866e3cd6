use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn ids(text: &str) -> Vec<String> {
    advisories(text).into_iter().collect()
}

#[rstest]
#[case::plain("fixes CVE-2024-12345.", &["CVE-2024-12345"])]
#[case::in_a_link("[cve-2024-1234](https://nvd.nist.gov/vuln/detail/cve-2024-1234)", &["CVE-2024-1234"])]
#[case::two_kinds("(CVE-2023-0001, ghsa-23CF-ghjm-pqrv)", &["CVE-2023-0001", "GHSA-23cf-ghjm-pqrv"])]
#[case::slug("fix-CVE-2025-55555-backport", &["CVE-2025-55555"])]
#[case::too_few_digits("CVE-2024-123", &[])]
#[case::inside_a_word("XCVE-2024-12345", &[])]
#[case::goes_on("CVE-2024-12345a", &[])]
#[case::placeholder("CVE-YYYY-NNNN", &[])]
#[case::impossible_year("CVE-3024-12345", &[])]
#[case::ghsa_of_other_letters("GHSA-aaaa-bbbb-cccc", &[])]
#[case::cut_off("GHSA-23cf-ghjm", &[])]
#[case::end_of_text("CVE-2024-", &[])]
fn advisory_identifiers_are_found_as_words(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(ids(text), expected);
}

#[test]
fn number_of_advisories_is_bounded() {
    let text: String = (0..5000).map(|number| format!("CVE-2024-{number:05} ")).collect();
    assert_eq!(ids(&text).len(), MAX_ADVISORIES);
}

#[rstest]
#[case::canonical("CVE-2024-12345", true)]
#[case::lower("cve-2024-12345", false)]
#[case::with_more("CVE-2024-12345 onclick=x", false)]
#[case::ghsa("GHSA-23cf-ghjm-pqrv", true)]
fn only_a_canonical_identifier_is_one(#[case] id: &str, #[case] expected: bool) {
    assert_eq!(is_advisory(id), expected);
}

#[rstest]
#[case::list_below_a_heading("## Breaking changes\n\n- Drops `v1beta1`.\n- Renames **ports**\n\n## Fixes\n- a fix", &["Drops v1beta1.", "Renames ports"])]
#[case::warning_sign("### ⚠ BREAKING CHANGES\r\n\r\n* **api:** remove old routes ([#12](https://github.com/a/b/issues/12))\r\n", &["api: remove old routes"])]
#[case::bold_heading("**Breaking changes:**\n- one thing\n\n**Other**\n- another", &["one thing"])]
#[case::sign_without_heading("⚠️ Breaking\n- gone", &["gone"])]
#[case::footer("fix things\n\nBREAKING CHANGE: the flag is gone", &["the flag is gone"])]
#[case::conventional_bang("- feat(chart)!: require Kubernetes 1.33 by @someone in https://github.com/a/b/pull/3", &["require Kubernetes 1.33"])]
#[case::marked_item("- [BREAKING] rename values\n- **Breaking**: other values", &["rename values", "other values"])]
#[case::kubernetes("# Urgent Upgrade Notes\n\n### (No, really, you MUST read this before you upgrade)\n\n- Stop it. More.\n", &["(No, really, you MUST read this before you upgrade): Stop it."])]
#[case::paragraph_of_a_breaking_heading("## Breaking changes\n\nThe store is new. Migrate it.\n", &["The store is new."])]
#[case::subheadings("## Removal\n\n### `longhorn.io/v1beta1` API\n\nThe `v1beta1` version is gone. See more.\n\n- step\n", &["longhorn.io/v1beta1 API: The v1beta1 version is gone."])]
#[case::subheading_names_it("### Breaking Change in V2 Images\n\nDelete them first. Then go.\n\n- step one\n", &["Breaking Change in V2 Images: Delete them first."])]
#[case::nested_items_are_detail("## Breaking\n- one\n    - detail\n", &["one"])]
#[case::same_item_once("## Breaking\n- one thing\n- One thing\n", &["one thing"])]
#[case::none("## Breaking changes\n\nNone.\n", &[])]
#[case::not_applicable("## Deprecation & Incompatibilities\n\nN/A\n", &[])]
#[case::says_no("## No breaking changes\n- fix", &[])]
#[case::says_no_in_text("## Breaking changes\n\n- There are no breaking changes.\n", &[])]
#[case::non_breaking("## Non-breaking changes\n- fix", &[])]
#[case::reference_only("## Deprecation & Incompatibilities\n\nFor information see the notes.\n", &[])]
#[case::deprecation_is_not_a_break("## Incompatibilities\n- Deprecated: the old flag\n- The new flag is needed\n", &["The new flag is needed"])]
#[case::important_fixes("## Important Fixes\n- a fix", &[])]
#[case::in_code("```\n## Breaking\n- no\n```\n", &[])]
#[case::in_a_comment("<!--\n## Breaking\n- no\n-->\n", &[])]
#[case::comment_mark_in_code("## Breaking\n- `<!--` marks are gone\n- another", &["!-- marks are gone", "another"])]
#[case::word_in_a_sentence("This is not a breaking change: fine\n- a fix that avoids breaking", &[])]
#[case::not_a_heading("#breaking\n- no", &[])]
fn breaking_changes_come_from_headings_and_markers(#[case] notes: &str, #[case] expected: &[&str]) {
    assert_eq!(breaking(notes), expected);
}

#[rstest]
#[case::html("## Breaking\n- <script>alert(1)</script> gone <img src=x onerror=y>", "alert(1) gone")]
#[case::recombined("## Breaking\n- <<b>script>x</script> gone", "< script>x gone")]
#[case::link("## Breaking\n- see [the guide](javascript:alert(1)) now", "see the guide now")]
#[case::image("## Breaking\n- ![x](https://evil.example/a.png) gone now", "gone now")]
#[case::mention("## Breaking\n- ask @acme/owners about #12", "ask acme/owners about")]
#[case::escape("## Breaking\n- a \u{1b}[31mred\u{202e} one", "a [31mred one")]
#[case::comparison_stays(
    "## Breaking\n- needs Kubernetes >= 1.33 and < 1.36",
    "needs Kubernetes >= 1.33 and < 1.36"
)]
fn items_are_plain_text(#[case] notes: &str, #[case] expected: &str) {
    assert_eq!(breaking(notes), [expected]);
}

#[test]
fn items_are_bounded_in_number_and_length() {
    let notes = format!(
        "## Breaking\n{}",
        (0..500).map(|n| format!("- {n} {}\n", "é".repeat(900))).collect::<String>()
    );
    let items = breaking(&notes);
    assert_eq!(items.len(), MAX_BREAKING);
    assert!(items.iter().all(|item| item.chars().count() <= MAX_ITEM && item.ends_with('…')));
}

#[rstest]
#[case::open_tags("<a")]
#[case::open_brackets("[")]
#[case::images("![")]
#[case::bullets("- ")]
#[case::hashes("#")]
#[case::comments("<!--")]
#[case::advisories("CVE-2024-")]
#[case::lines("## Breaking\n- x\n<!--")]
fn hostile_notes_take_linear_time(#[case] unit: &str) {
    let notes = format!("## Breaking\n- {}", unit.repeat(4 << 20 >> unit.len().ilog2()));
    let started = std::time::Instant::now();
    let items = breaking(&notes);
    assert!(items.len() <= MAX_BREAKING);
    assert!(advisories(&notes).len() <= MAX_ADVISORIES);
    // Quadratic, these would take hours.
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_gives_plain_items(body in "(## Breaking|[-*] |@a|@|<|`|_|#1|<b|\\[|\\]\\(|://|!\\[|\u{1b}|\n|\\PC){0,60}") {
        for item in breaking(&format!("## Breaking\n- {body}")) {
            prop_assert!(!item.contains("](") && !item.contains("://"), "{item}");
            prop_assert!(!item.chars().any(char::is_control), "{item}");
            let letters: Vec<char> = item.chars().collect();
            for pair in letters.windows(2) {
                prop_assert!(!(pair[0] == '<' && pair[1].is_ascii_alphabetic()), "{item}");
                prop_assert!(pair[0].is_alphanumeric() || pair[1] != '@', "{item}");
            }
            prop_assert!(!item.starts_with('@'), "{item}");
        }
    }

    #[test]
    fn any_text_gives_canonical_identifiers(body in "(CVE-|GHSA-|cve|2024-|[0-9a-z-]{0,5}|\\PC){0,20}") {
        for id in advisories(&body) {
            prop_assert!(is_advisory(&id), "{id}");
        }
    }
}
