use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::tree;
use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Top {
    version: Option<u32>,
    text: Option<String>,
    items: Vec<Item>,
    by_name: BTreeMap<String, bool>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Item {
    from: String,
    to: String,
}

fn errors(text: &str) -> Vec<String> {
    let root = tree::read(text).unwrap().root.unwrap();
    read::<Top>(&root)
        .errors
        .iter()
        .map(|error| {
            let (path, place) = error.at.clone().unwrap();
            format!("{}:{}: {}: {error}", place.line, place.column, tree::path_text(&path))
        })
        .collect()
}

#[test]
fn every_error_is_collected_with_place_and_path() {
    let found = errors(
        "version: one\ntexd: x\nitems:\n- {from: a, to: b}\n- {from: [], to: b}\n- {from: a}\n- 7\nby_name: {a: maybe, b: true}\n",
    );
    assert_eq!(
        found,
        [
            "1:10: version: expected a whole number, found `one`",
            "2:1: texd: unknown field; did you mean `text`?",
            "5:10: items[1].from: expected text, found a list",
            "6:3: items[2]: `to` is missing",
            "7:3: items[3]: expected a mapping, found the number 7",
            "8:14: by_name.a: expected `true` or `false`, found `maybe`",
        ]
    );
}

#[test]
fn what_is_right_survives_what_is_wrong() {
    let root = tree::read("version: one\ntext: 1.30\nby_name: {a: maybe, b: true}\n").unwrap().root.unwrap();
    let Read { value, errors, .. } = read::<Top>(&root);
    let top = value.unwrap();
    assert_eq!(errors.len(), 2);
    assert_eq!(top.text.as_deref(), Some("1.30"));
    assert_eq!(top.by_name, BTreeMap::from([("b".to_owned(), true)]));
}

#[test]
fn list_at_the_top_is_one_error() {
    assert_eq!(errors("- a\n"), ["1:1: : expected a mapping, found a list"]);
}

/// Of several missing fields one was told, and what stood beside it was not looked at.
#[test]
fn every_missing_field_is_told_with_what_is_wrong_beside_it() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct All {
        one: String,
        two: Vec<u8>,
        inner: Inner,
        last: bool,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        number: u8,
    }
    let told = |text: &str| -> Vec<String> {
        let root = tree::read(text).unwrap().root.unwrap();
        let read = read::<All>(&root);
        if let Some(All { one, two, inner: Inner { number }, last }) = read.value {
            assert_eq!((one.as_str(), two.as_slice()), ("", &[][..]), "{text}: {number} {last}");
        }
        let path = |error: &ReadError| tree::path_text(&error.at.as_ref().unwrap().0);
        read.errors.iter().map(|error| format!("{}: {error}", path(error))).collect()
    };
    assert_eq!(told("inner: {number: 1}\nlast: true\n"), [": `one` is missing", ": `two` is missing"]);
    assert_eq!(
        told("one: [a]\ninner: {number: 1}\nlast: true\n"),
        ["one: expected text, found a list", ": `two` is missing"]
    );
    // A slip of a name is told once.
    assert_eq!(
        told("one: a\ntwo: [x]\niner: {}\nlast: 1\n"),
        [
            "two[0]: expected a whole number, found `x`",
            "iner: unknown field; did you mean `inner`?",
            "last: expected `true` or `false`, found the number 1",
        ]
    );
}

/// Messages said `expected u32` and `expected struct Item`.
#[test]
fn what_is_expected_is_said_in_words_of_people() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        OneWord,
        Another,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct All {
        small: Option<u8>,
        large: Option<usize>,
        signed: Option<i32>,
        share: Option<f64>,
        flag: Option<bool>,
        text: Option<String>,
        list: Option<Vec<u8>>,
        map: Option<BTreeMap<String, u8>>,
        item: Option<Item>,
        word: Option<Word>,
    }
    for (text, said) in [
        ("small: x", "expected a whole number, found `x`"),
        ("small: 256", "expected a whole number from 0 to 255, found the number 256"),
        ("large: -1", "expected a whole number of 0 or more, found the number -1"),
        ("large: [1]", "expected a whole number, found a list"),
        ("signed: {a: b}", "expected a whole number, found a mapping"),
        ("share: x", "expected a number, found `x`"),
        ("flag: 1", "expected `true` or `false`, found the number 1"),
        ("text: [a]", "expected text, found a list"),
        ("list: 1", "expected a list, found the number 1"),
        ("map: [1]", "expected a mapping, found a list"),
        ("item: 1", "expected a mapping, found the number 1"),
        ("word: onr_word", "unknown word `onr_word`; did you mean `one_word`?"),
        ("word: x", "unknown word `x`; known are `one_word`, `another`"),
        ("word: [x]", "expected a word, found a list"),
    ] {
        let root = tree::read(text).unwrap().root.unwrap();
        let found: Vec<String> = read::<All>(&root).errors.iter().map(ToString::to_string).collect();
        assert_eq!(found, [said], "{text}");
    }
}

#[test]
fn errors_are_bounded() {
    let text: String = (0..500).map(|n| format!("unknown{n}: x\n")).collect();
    assert_eq!(errors(&text).len(), MAX_ERRORS);
}
