use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Document<'_> {
    Document::parse(text, 0..text.len()).unwrap()
}

fn spans<'a>(text: &'a str, pattern: &str) -> Vec<(String, Option<&'a str>)> {
    let document = parse(text);
    document
        .select(document.root().unwrap(), &Pattern::parse(pattern).unwrap())
        .into_iter()
        .map(|id| (document.pointer(id), document.value_span(id).map(|span| &text[span])))
        .collect()
}

#[test]
fn scalars_are_found_with_their_bytes_in_every_style() {
    let text = "a: 1.10\nb: '1.20' # x\nc: \"v1\"\nd: !t 1.30 \ne: [1, {f: 2.0}]\n";
    let all = spans(text, "/*");
    assert_eq!(
        all,
        [
            ("/a".into(), Some("1.10")),
            ("/b".into(), Some("1.20")),
            ("/c".into(), Some("v1")),
            ("/d".into(), Some("1.30")),
            ("/e".into(), None)
        ]
    );
    assert_eq!(spans(text, "/e/1/f"), [("/e/1/f".into(), Some("2.0"))]);
}

#[test]
fn values_that_are_not_written_as_they_read_have_no_bytes() {
    let text = "a: \"1\\u002e2\"\nb: |\n  x\nc: one\n  two\nd: 'it''s'\n";
    assert!(spans(text, "/*").iter().all(|(_, bytes)| bytes.is_none()));
}

#[test]
fn aliases_lead_to_the_bytes_of_their_anchor() {
    let text = "a: &v 1.2.3\nb: *v\n";
    let document = parse(text);
    let b = document.get(0, "b").unwrap();
    assert_eq!(document.scalar(b), Some("1.2.3"));
    assert_eq!(&text[document.value_span(b).unwrap()], "1.2.3");
}

#[test]
fn a_redefined_anchor_means_the_last_one_before_the_alias() {
    let document_text = "a: &v 1\nb: *v\nc: &v 2\nd: *v\n";
    let document = parse(document_text);
    assert_eq!(document.scalar_at(0, &["b"]), Some("1"));
    assert_eq!(document.scalar_at(0, &["d"]), Some("2"));
}

#[test]
fn merge_keys_are_looked_into_and_own_keys_win() {
    let document = parse("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  x: 3\nc:\n  <<: [*b, {z: 9}]\n");
    assert_eq!(document.scalar_at(0, &["a", "x"]), Some("3"));
    assert_eq!(document.scalar_at(0, &["a", "y"]), Some("2"));
    assert_eq!(document.scalar_at(0, &["c", "z"]), Some("9"));
}

#[test]
fn merge_cycles_and_unknown_aliases_end() {
    let document = parse("a: &a\n  <<: *a\n  x: 1\nb: *nothing\n");
    assert_eq!(document.scalar_at(0, &["a", "missing"]), None);
    assert_eq!(document.scalar_at(0, &["b"]), None);
}

/// A mapping that merges itself many times once took a look-up through every way of sixteen hops.
#[test]
fn merges_of_an_enclosing_mapping_are_not_followed() {
    let document = parse("a: &a\n  <<: [*a, *a, *a, *a, *a, *a, *a, *a]\n  x: *a\n  y: 1\n");
    assert_eq!(document.scalar_at(0, &["a", "missing"]), None);
    assert_eq!(document.at(0, &["a", "x", "y"]), None);
    assert_eq!(document.scalar_at(0, &["a", "y"]), Some("1"));
}

/// Each line repeats the one before ten times; patterns and look-ups once visited every copy.
#[test]
fn aliases_that_unfold_without_bound_are_refused() {
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for line in 1..12 {
        let before = format!("*a{},", line - 1).repeat(10);
        text.push_str(&format!("a{line}: &a{line} [{before}]\n"));
    }
    let error = Document::parse(&text, 0..text.len()).unwrap_err();
    assert!(error.message.contains("aliases repeat"), "{error:?}");
    assert!(text[error.offset..].starts_with("*a"), "{error:?}");
    let few: String = text.lines().take(4).map(|line| format!("{line}\n")).collect();
    assert_eq!(spans(&few, "/a3/0/*/*/1").len(), 100);
}

#[test]
fn deep_patterns_do_not_enter_aliases() {
    let text = "a: &x\n  image: b:1\nc: *x\n";
    assert_eq!(spans(text, "/**/image"), [("/a/image".into(), Some("b:1"))]);
}

#[test]
fn keys_that_are_collections_do_not_shift_values() {
    let document = parse("? [a, b]\n: 1\nc: 2\n");
    assert_eq!(document.scalar_at(0, &["c"]), Some("2"));
}

#[test]
fn broken_text_names_its_place() {
    let error = Document::parse("a: 1\nb: [1, 2\n", 0..13).unwrap_err();
    assert!(error.offset >= 5, "{error:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "[ -~\\n\\t\u{fc}]{0,200}") {
        if let Ok(document) = Document::parse(&text, 0..text.len())
            && let Some(root) = document.root()
        {
            for id in document.select(root, &Pattern::parse("/**").unwrap()) {
                let pointer = document.pointer(id);
                prop_assert!(pointer.is_empty() || pointer.starts_with('/'));
                if let Some(span) = document.value_span(id) {
                    prop_assert_eq!(&text[span], document.scalar(id).unwrap());
                }
            }
        }
    }
}
