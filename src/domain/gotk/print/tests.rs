//! Expected texts are what sigs.k8s.io/yaml 1.6.0 printed for the same values.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::domain::gotk::tree;

/// Reads JSON, which is YAML too, and prints it.
fn printed(json: &str) -> Result<String, Unprintable> {
    print(&tree::objects(json).unwrap()[0])
}

#[rstest]
#[case::keys_are_sorted(r#"{"b":1,"a":"x"}"#, "a: x\nb: 1\n")]
#[case::lists_stand_below_their_key(
    r#"{"list":["a",["b",["c","d"]],{"k":"v","l":[]},{},{"m":{"n":null}}]}"#,
    "list:\n- a\n- - b\n  - - c\n    - d\n- k: v\n  l: []\n- {}\n- m:\n    \"n\": null\n"
)]
#[case::other_types_are_quoted(
    r#"{"t":"true","e":"","o":"0o7","d":"2020-01-02","b":"1:20","u":"null","z":"1000"}"#,
    "b: \"1:20\"\nd: \"2020-01-02\"\ne: \"\"\no: \"0o7\"\nt: \"true\"\nu: \"null\"\nz: \"1000\"\n"
)]
#[case::keys_are_quoted_alike(r#"{"8080":1,"y":1,"n":1}"#, "\"8080\": 1\n\"n\": 1\n\"y\": 1\n")]
#[case::indicators_are_quoted_singly(
    r##"{"a":"*","b":"# no","c":"a: b","d":"a:","e":"- a","f":"!x","g":"@x","h":"? x","i":"*it's","j":" x","k":"x "}"##,
    "a: '*'\nb: '# no'\nc: 'a: b'\nd: 'a:'\ne: '- a'\nf: '!x'\ng: '@x'\nh: '? x'\ni: '*it''s'\nj: ' x'\nk: 'x '\n"
)]
#[case::what_only_looks_special_is_plain(
    r#"{"a":"it's","b":"http://x.svc./","c":"--log-level=info","d":"?x","e":"~x","f":"C:\\x","g":"say \"x\""}"#,
    "a: it's\nb: http://x.svc./\nc: --log-level=info\nd: ?x\ne: ~x\nf: C:\\x\ng: say \"x\"\n"
)]
#[case::what_cannot_be_shown_is_escaped(
    r#"{"a":"a\tb","b":"é","c":"\ud83d\ude00","d":"\u0007","e":"a \nb"}"#,
    "a: \"a\\tb\"\nb: é\nc: \"\\U0001F600\"\nd: \"\\a\"\ne: \"a \\nb\"\n"
)]
#[case::lines_are_a_literal_block(
    r#"{"a":"one\ntwo\n","b":"one\ntwo","c":"one\n\n","d":"  one\ntwo","e":"\n","f":"a\n\n  b\nc"}"#,
    "a: |\n  one\n  two\nb: |-\n  one\n  two\nc: |+\n  one\n\nd: |2-\n    one\n  two\ne: |2+\n\nf: |-\n  a\n\n    b\n  c\n"
)]
#[case::plain_text_is_folded(
    r#"{"s":{"d":"A plain text that is long enough to be folded at the first blank behind the eightieth column of the line, and once more."}}"#,
    "s:\n  d: A plain text that is long enough to be folded at the first blank behind the eightieth\n    column of the line, and once more.\n"
)]
#[case::quoted_text_is_folded(
    r#"{"s":{"q":"A text with a colon: it is quoted by single quotes, and isn't folded otherwise than the plain text before it is."}}"#,
    "s:\n  q: 'A text with a colon: it is quoted by single quotes, and isn''t folded otherwise\n    than the plain text before it is.'\n"
)]
#[case::escaped_text_is_folded(
    r#"{"s":{"double":"true\tA text with a tab is quoted by double quotes, and folded at the first blank behind the eightieth column of the line."}}"#,
    "s:\n  double: \"true\\tA text with a tab is quoted by double quotes, and folded at the first\n    blank behind the eightieth column of the line.\"\n"
)]
#[case::a_long_word_is_not_broken(
    r#"{"word":"averylongwordwithoutanyblankthatgoesonandonandonandonandonandonandonandonandonandonandon more"}"#,
    "word: averylongwordwithoutanyblankthatgoesonandonandonandonandonandonandonandonandonandonandon\n  more\n"
)]
#[case::numbers_stay(
    r#"{"a":123456789012,"b":0.5,"c":-3,"d":true}"#,
    "a: 123456789012\nb: 0.5\nc: -3\nd: true\n"
)]
fn values_are_printed_as_the_go_library_prints_them(#[case] json: &str, #[case] expected: &str) {
    let found = printed(json).unwrap();
    assert_eq!(found, expected);
    assert_eq!(printed(&found).unwrap(), expected, "what was printed reads back as the same");
}

#[rstest]
#[case::line_separator(r#"{"a":"x\u2028y"}"#)]
#[case::next_line(r#"{"a":"x\u0085y"}"#)]
#[case::byte_order_mark(r#"{"a":"\ufeff"}"#)]
#[case::number_of_unsure_print(r#"{"a":1e3}"#)]
#[case::date_without_quotes("a: 2020-01-02")]
#[case::key_beyond_ascii(r#"{"ä":1}"#)]
#[case::key_of_several_lines(r#"{"a\nb":1}"#)]
fn what_is_not_sure_is_not_printed(#[case] json: &str) {
    assert!(printed(json).is_err());
}

#[test]
fn a_long_key_is_not_printed() {
    let of = |length: usize| Node::Map(vec![("k".repeat(length), Node::Null)]);
    assert!(print(&of(MAX_KEY)).is_ok());
    assert!(print(&of(MAX_KEY + 1)).is_err());
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        any::<i32>().prop_map(|number| Node::Number(number.to_string())),
        "[ a-zA-Z0-9:#'\"\\\\,?!*&|>%@{}\\[\\]~_.+/\n\t-]{0,60}".prop_map(Node::Text),
        "([a-z]{1,9} ){10,30}".prop_map(Node::Text),
    ];
    leaf.prop_recursive(4, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Node::List),
            prop::collection::btree_map("[a-z.:/ -]{0,12}", inner, 0..5)
                .prop_map(|pairs| Node::Map(pairs.into_iter().collect())),
        ]
    })
}

fn sorted(node: &Node) -> Node {
    match node {
        Node::List(items) => Node::List(items.iter().map(sorted).collect()),
        Node::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            pairs.sort_by(|left, right| left.0.cmp(&right.0));
            Node::Map(pairs)
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_value(value in node()) {
        let object = Node::map([("value", value)]);
        let text = print(&object).unwrap();
        let back = tree::objects(&text).unwrap();
        prop_assert_eq!(sorted(&back[0]), sorted(&object), "{}", text);
        prop_assert_eq!(print(&back[0]).unwrap(), text);
    }
}
