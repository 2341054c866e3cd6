//! YAML that reads the same under YAML 1.1 and 1.2: a string is bare only where no reader could take
//! it for something else, and double-quoted as in JSON otherwise.

use serde_json::Value;

use super::data::printable_yaml;

pub(super) fn render(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// A value on lines of its own, each indented by `depth` levels.
fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, inner) in fields {
                indent(depth, out);
                out.push_str(&scalar_text(key));
                out.push(':');
                after_key(inner, depth, out);
            }
        }
        other => {
            indent(depth, out);
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

/// What stands after `key:`.
fn after_key(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            block(value, depth + 1, out);
        }
        Value::Array(items) if items.iter().any(|item| item.is_object()) => {
            out.push('\n');
            for item in items {
                let start = out.len();
                block(item, depth + 1, out);
                // The first key of the item stands on the dash's line.
                let dash = start + depth * 2;
                out.replace_range(dash..dash + 2, "- ");
            }
        }
        Value::Array(items) if !items.is_empty() && !items.iter().all(Value::is_number) => {
            out.push('\n');
            for item in items {
                indent(depth, out);
                out.push_str("- ");
                out.push_str(&flow(item));
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&flow(other));
            out.push('\n');
        }
    }
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        // JSON is YAML: numbers, booleans, null, and whatever else.
        other => printable_yaml(&other.to_string()),
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn scalar_text(text: &str) -> String {
    if is_safe_bare(text) { text.to_owned() } else { printable_yaml(&Value::from(text).to_string()) }
}

/// Whether every YAML reader takes the bare text for this string.
fn is_safe_bare(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+@ ()~,=<>'".contains(&byte) || byte == b':';
    let Some(first) = bytes.first() else { return false };
    // What starts with a letter or a slash can be no number, date, merge key or indicator.
    (first.is_ascii_alphabetic() || *first == b'/')
        && bytes.iter().all(|byte| inner(*byte))
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && !is_word_of_yaml(text)
}

/// Words that some YAML reader takes for a boolean, null or number.
fn is_word_of_yaml(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf"
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::version("v1.28.5+k3s1", "v1.28.5+k3s1")]
    #[case::path("/spec/chart", "/spec/chart")]
    #[case::sentence("cannot ask it", "cannot ask it")]
    #[case::float("1.10", "\"1.10\"")]
    #[case::hex("0x1f", "\"0x1f\"")]
    #[case::date("2025-02-08", "\"2025-02-08\"")]
    #[case::sexagesimal("1:30", "\"1:30\"")]
    #[case::norway("no", "\"no\"")]
    #[case::upper("ON", "\"ON\"")]
    #[case::letter("y", "\"y\"")]
    #[case::null("null", "\"null\"")]
    #[case::empty("", "\"\"")]
    #[case::mapping("a: b", "\"a: b\"")]
    #[case::comment("a #b", "\"a #b\"")]
    #[case::lines("a\nb", "\"a\\nb\"")]
    #[case::beyond_two_bytes("a\u{e0100}", "\"a\\U000e0100\"")]
    #[case::escape("a\u{1b}[31m\u{9b}", "\"a\\u001b[31m\\u009b\"")]
    #[case::range(">=1.2", "\">=1.2\"")]
    fn strings_that_yaml_would_read_otherwise_are_quoted(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(scalar_text(text), expected);
    }

    fn value() -> impl Strategy<Value = Value> {
        let text =
            "(yes|NO|~|null|1e3|0o7|[-+.:#a-z0-9 '\"{}\\[\\],&*!|>%@`]{0,8}|\\PC{0,6}|\u{85}|\u{2028}|\n)";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(text.prop_map(Value::from), 0..4).prop_map(Value::from),
                // Lists of the report hold either scalars or maps that are not empty.
                prop::collection::vec(prop::collection::btree_map(text, inner.clone(), 1..4), 0..3)
                    .prop_map(|maps| Value::from(maps.into_iter().map(|map| json!(map)).collect::<Vec<_>>())),
                prop::collection::btree_map(text, inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(inner in value()) {
            let value = json!({ "a": inner });
            let text = render(&value);
            let one: Value = serde_yaml::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(&one, &value, "{}", text);
            let other: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(&other, &value, "{}", text);
        }
    }
}
