//! Takes JSON apart without making a tree of it: the items of a list while it comes, and single fields of an event.
//!
//! Only strings and brackets are looked at. Whether each part is well-formed is for whoever reads the part.

use memchr::memchr2;

/// Largest single object. etcd takes 1.5 MiB (`--max-request-bytes`), and managed fields are as long again.
pub(super) const MAX_OBJECT: usize = 8 * 1024 * 1024;
/// Most bytes of a list outside of its items.
const MAX_ENVELOPE: usize = 256 * 1024;

/// Why a list could not be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum SplitError {
    #[error("an object of the list has more than {MAX_OBJECT} bytes")]
    TooLarge,
    #[error("the list has more than {MAX_ENVELOPE} bytes beside its items")]
    EnvelopeTooLarge,
    #[error("the list ends in the middle")]
    Unfinished,
}

/// Where in the text we are.
#[derive(Debug, Default)]
struct Place {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Place {
    /// Passes over a string's rest; returns the index behind its end, or the end of the text.
    fn string_end(&mut self, text: &[u8], mut at: usize) -> usize {
        while at < text.len() {
            if std::mem::take(&mut self.escaped) {
                at += 1;
                continue;
            }
            match memchr2(b'"', b'\\', &text[at..]) {
                None => return text.len(),
                Some(found) if text[at + found] == b'\\' => {
                    self.escaped = true;
                    at += found + 1;
                }
                Some(found) => {
                    self.in_string = false;
                    return at + found + 1;
                }
            }
        }
        at
    }
}

/// Takes the items out of a list whose parts come one after the other.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    place: Place,
    /// Everything but the items.
    envelope: Vec<u8>,
    /// Where the last string of the outermost object begins in the envelope.
    last_string: usize,
    /// Depth of the items, once they have begun.
    in_items: bool,
    /// An item whose end has not come yet.
    partial: Vec<u8>,
    item_open: bool,
}

impl Splitter {
    /// Takes the next part, and calls `each` with every item that is complete.
    pub(super) fn feed(&mut self, text: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), SplitError> {
        let mut at = 0;
        // Where the open item, or what goes into the envelope, begins in this part.
        let mut from = 0;
        while at < text.len() {
            if self.place.in_string {
                at = self.place.string_end(text, at);
                continue;
            }
            let byte = text[at];
            at += 1;
            match byte {
                b'"' => {
                    self.place.in_string = true;
                    if self.place.depth == 1 {
                        self.last_string = self.envelope.len() + (at - 1 - from);
                    }
                }
                b'{' | b'[' => {
                    if self.in_items && self.place.depth == 2 {
                        self.item_open = true;
                        from = at - 1;
                    }
                    self.place.depth += 1;
                    if byte == b'[' && self.place.depth == 2 {
                        self.keep(&text[from..at])?;
                        from = at;
                        self.in_items = self.key_is_items();
                    }
                }
                b'}' | b']' => {
                    self.place.depth = self.place.depth.saturating_sub(1);
                    if self.item_open && self.place.depth == 2 {
                        self.item_open = false;
                        if self.partial.is_empty() {
                            each(&text[from..at]);
                        } else {
                            self.grow(&text[from..at])?;
                            each(&self.partial);
                            self.partial.clear();
                        }
                        from = at;
                    } else if self.in_items && self.place.depth == 1 {
                        self.in_items = false;
                        from = at - 1;
                    }
                }
                _ => {}
            }
        }
        let rest = &text[from..];
        if self.item_open {
            self.grow(rest)
        } else if self.in_items {
            // Commas and blanks between items.
            Ok(())
        } else {
            self.keep(rest)
        }
    }

    /// Everything but the items, as a document with an empty list of them.
    pub(super) fn finish(self) -> Result<Vec<u8>, SplitError> {
        let finished = self.place.depth == 0 && !self.place.in_string && !self.envelope.is_empty();
        finished.then_some(self.envelope).ok_or(SplitError::Unfinished)
    }

    fn key_is_items(&self) -> bool {
        let key = self.envelope.get(self.last_string..).unwrap_or_default();
        let colon =
            key.strip_prefix(b"\"items\"").and_then(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()));
        colon == Some(&b':')
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), SplitError> {
        if self.envelope.len() + bytes.len() > MAX_ENVELOPE {
            return Err(SplitError::EnvelopeTooLarge);
        }
        self.envelope.extend_from_slice(bytes);
        Ok(())
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), SplitError> {
        if self.partial.len() + bytes.len() > MAX_OBJECT {
            return Err(SplitError::TooLarge);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

/// The value of a field of the outermost object, as it stands there.
pub(super) fn field<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut place = Place::default();
    let mut at = 0;
    // Where the value of the wanted field begins, and where the last string of the outermost object stands.
    let (mut value, mut string) = (None, 0..0);
    while at < text.len() {
        let byte = text[at];
        at += 1;
        match byte {
            b'"' => {
                place.in_string = true;
                let begin = at;
                at = place.string_end(text, at);
                if place.depth == 1 && !place.in_string {
                    string = begin..at - 1;
                }
            }
            b':' if place.depth == 1 && value.is_none() => {
                value = (text.get(string.clone()) == Some(name.as_bytes())).then_some(at);
            }
            b',' | b'}' if place.depth == 1 && value.is_some() => {
                return value.map(|from| text[from..at - 1].trim_ascii());
            }
            b'{' | b'[' => place.depth += 1,
            b'}' | b']' => place.depth = place.depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn split(parts: &[&[u8]]) -> Result<(Vec<Value>, Value), SplitError> {
        let mut splitter = Splitter::default();
        let mut items = Vec::new();
        for part in parts {
            splitter.feed(part, |item| items.push(serde_json::from_slice(item).unwrap()))?;
        }
        Ok((items, serde_json::from_slice(&splitter.finish()?).unwrap()))
    }

    #[test]
    fn items_are_told_apart_from_what_looks_like_them() {
        let list = json!({
            "kind": "PodList", "metadata": {"items": [{"no": 1}], "continue": "a"},
            "items": [{"name": "}]\"\\", "items": [{"deep": []}]}, {}], "more": {"items": [{"no": 2}]},
        });
        let text = serde_json::to_string_pretty(&list).unwrap();
        let (items, envelope) = split(&[text.as_bytes()]).unwrap();
        assert_eq!(json!(items), list["items"]);
        let mut rest = list;
        rest["items"] = json!([]);
        assert_eq!(envelope, rest);
    }

    #[test]
    fn list_that_is_null_or_missing_has_no_items() {
        for text in [r#"{"items":null,"metadata":{}}"#, r#"{"metadata":{}}"#, r#"{"items":[]}"#] {
            assert_eq!(split(&[text.as_bytes()]).unwrap().0, Vec::<Value>::new(), "{text}");
        }
    }

    #[test]
    fn list_that_was_cut_is_not_taken_for_a_whole_one() {
        let text = br#"{"items":[{"a":"b"},{"c":1}],"metadata":{}}"#;
        for end in 0..text.len() {
            assert_eq!(split(&[&text[..end]]), Err(SplitError::Unfinished), "{end}");
        }
    }

    #[test]
    fn object_that_never_ends_is_refused() {
        let mut splitter = Splitter::default();
        splitter.feed(br#"{"items":[{"a":""#, |_| {}).unwrap();
        let part = vec![b'a'; MAX_OBJECT / 4];
        let end = (0..5).find_map(|_| splitter.feed(&part, |_| {}).err());
        assert_eq!(end, Some(SplitError::TooLarge));
        let mut splitter = Splitter::default();
        let end = (0..5).find_map(|_| splitter.feed(&part, |_| {}).err());
        assert_eq!(end, Some(SplitError::EnvelopeTooLarge));
    }

    #[test]
    fn field_is_that_of_the_outermost_object() {
        let text = br#"{ "type" : "ADDED", "object": {"type": "no", "s": "a,}\"", "l": [1, 2]} }"#;
        assert_eq!(field(text, "type"), Some(&br#""ADDED""#[..]));
        assert_eq!(field(text, "object"), Some(&br#"{"type": "no", "s": "a,}\"", "l": [1, 2]}"#[..]));
        assert_eq!(field(text, "s"), None);
        assert_eq!(
            field(br#"{"a":["type"],"b":{"type":1},"c":"type","type":null}"#, "type"),
            Some(&b"null"[..])
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[\\PC\"\\\\{}\\[\\],:]{0,8}".prop_map(Value::from),
            Just(json!("items")),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map("items|object|[a-z\"]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn parts_may_be_cut_anywhere(
            before in any_json(),
            items in proptest::collection::vec(any_json().prop_map(|value| json!({"of": value})), 0..5),
            after in any_json(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut list = json!({"before": before, "items": items, "after": after});
            let text = list.to_string();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let parts: Vec<&[u8]> = at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let (found, envelope) = split(&parts).unwrap();
            prop_assert_eq!(&found, &items);
            let object = field(text.as_bytes(), "after").map(|slice| serde_json::from_slice::<Value>(slice).unwrap());
            prop_assert_eq!(object, Some(list["after"].clone()));
            list["items"] = json!([]);
            prop_assert_eq!(envelope, list);
        }

        #[test]
        fn nothing_makes_it_panic(parts in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b':'), any::<u8>()], 0..20), 0..5)) {
            let mut splitter = Splitter::default();
            for part in &parts {
                splitter.feed(part, |_| {}).unwrap();
                field(part, "items");
            }
            splitter.finish().ok();
        }
    }
}
