//! Routes: JSON Pointers (RFC 6901), and patterns of routes with `*` and `**`.

use std::fmt::Write;

/// Appends one reference token to a JSON Pointer, escaped.
pub fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    if !token.contains(['~', '/']) {
        pointer.push_str(token);
        return;
    }
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// Appends an index to a JSON Pointer.
pub fn push_index(pointer: &mut String, index: usize) {
    // Writing to a String cannot fail.
    let _infallible = write!(pointer, "/{index}");
}

/// One part of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this key or index.
    Key(String),
    /// Any one key or index.
    Any,
    /// Any number of keys and indexes, none too.
    Deep,
}

/// Names places of a document: `/spec/containers/*/image`, `/spec/values/**/image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Whether it starts at the root of the object (`/a`) or at the place of the pin (`a`).
    pub absolute: bool,
    /// Its parts, in order.
    pub segments: Vec<Segment>,
}

/// Why a text is no [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Something like `a//b`.
    #[error("route `{0}` has an empty part")]
    EmptyPart(String),
    /// `**` twice makes matching slow and means nothing more.
    #[error("route `{0}` has more than one `**`")]
    DeepTwice(String),
}

impl Pattern {
    /// Reads a pattern; the empty text is the place itself.
    ///
    /// # Errors
    ///
    /// Empty parts and a second `**` are refused.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let absolute = text.starts_with('/');
        let body = text.strip_prefix('/').unwrap_or(text);
        if body.is_empty() {
            return Ok(Self { absolute, segments: Vec::new() });
        }
        let mut segments = Vec::new();
        for part in body.split('/') {
            segments.push(match part {
                "" => return Err(PatternError::EmptyPart(text.to_owned())),
                "*" => Segment::Any,
                "**" => Segment::Deep,
                key => Segment::Key(key.replace("~1", "/").replace("~0", "~")),
            });
        }
        if segments.iter().filter(|segment| **segment == Segment::Deep).count() > 1 {
            return Err(PatternError::DeepTwice(text.to_owned()));
        }
        Ok(Self { absolute, segments })
    }

    /// The place that `inner` names, seen from this one.
    pub fn then(&self, inner: &Self) -> Self {
        if inner.absolute {
            return inner.clone();
        }
        Self { absolute: self.absolute, segments: [&self.segments[..], &inner.segments].concat() }
    }

    /// Whether a JSON Pointer is a place that the pattern names, seen from the same node.
    pub fn matches(&self, pointer: &str) -> bool {
        let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
        let one = |segment: &Segment, token: &str| match segment {
            Segment::Key(key) => *key == token.replace("~1", "/").replace("~0", "~"),
            Segment::Any | Segment::Deep => true,
        };
        let all = |segments: &[Segment], tokens: &[&str]| {
            segments.len() == tokens.len()
                && segments.iter().zip(tokens).all(|(segment, token)| one(segment, token))
        };
        let Some(deep) = self.segments.iter().position(|segment| *segment == Segment::Deep) else {
            return all(&self.segments, &tokens);
        };
        let (head, tail) = (&self.segments[..deep], &self.segments[deep + 1..]);
        tokens.len() >= head.len() + tail.len()
            && all(head, &tokens[..head.len()])
            && all(tail, &tokens[tokens.len() - tail.len()..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_escaped() {
        let mut pointer = String::new();
        push(&mut pointer, "a/b~c");
        push_index(&mut pointer, 3);
        assert_eq!(pointer, "/a~1b~0c/3");
    }

    #[test]
    fn pointers_are_held_against_patterns() {
        for (pattern, pointer, expected) in [
            ("/spec/version", "/spec/version", true),
            ("/spec/version", "/spec/version/x", false),
            ("/spec/*/image", "/spec/upgrade/image", true),
            ("/**/containers/*/image", "/spec/containers/0/image", true),
            ("/**/containers/*/image", "/containers/-/image", true),
            ("/**/containers/*/image", "/spec/containers/image", false),
            ("/spec/values/**/image", "/spec/values/image", true),
            ("/spec/values/**/image", "/spec/other/image", false),
            ("/a~1b", "/a~1b", true),
            ("", "", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(pointer), expected, "{pattern} {pointer}");
        }
        let then = |at: &str, inner: &str| Pattern::parse(at).unwrap().then(&Pattern::parse(inner).unwrap());
        assert!(then("/spec", "ref/tag").matches("/spec/ref/tag"));
        assert!(then("/spec", "/kind").matches("/kind"));
    }

    #[test]
    fn patterns_are_read() {
        let pattern = Pattern::parse("/spec/**/image~1name/*").unwrap();
        assert!(pattern.absolute);
        assert_eq!(
            pattern.segments,
            [Segment::Key("spec".into()), Segment::Deep, Segment::Key("image/name".into()), Segment::Any]
        );
        assert!(Pattern::parse("").unwrap().segments.is_empty());
        assert!(Pattern::parse("a//b").is_err());
        assert!(Pattern::parse("/**/a/**").is_err());
    }
}
