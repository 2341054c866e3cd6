//! Selectors of labels and annotations, as Kubernetes writes them.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

/// Longest selector that is read, in bytes.
const MAX_TEXT: usize = 4_096;

/// What labels or annotations must be: all of its requirements hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    wish: Wish,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wish {
    Present,
    Missing,
    /// Present, and one of these.
    OneOf(Vec<String>),
    /// Missing, or another than these.
    NoneOf(Vec<String>),
}

impl Selector {
    /// Reads `a=b,c!=d,e,!f,g in (h, i),j notin (k)`; `None` for what is no selector.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let requirements = parts(text)?.into_iter().map(Requirement::parse).collect::<Option<_>>()?;
        Some(Self { requirements })
    }

    /// Whether `value_of` gives for every key what is asked for.
    pub fn matches<'a>(&self, value_of: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.matches_but_for(value_of, |_| false)
    }

    /// As [`Selector::matches`]; what is asked of keys that `is_open` names holds, as something that is not seen
    /// here may give them any value.
    pub fn matches_but_for<'a>(
        &self,
        value_of: impl Fn(&str) -> Option<&'a str>,
        is_open: impl Fn(&str) -> bool,
    ) -> bool {
        self.requirements.iter().all(|Requirement { key, wish }| {
            let value = value_of(key);
            let is = |values: &[String]| value.is_some_and(|value| values.iter().any(|one| one == value));
            let holds = match wish {
                Wish::Present => value.is_some(),
                Wish::Missing => value.is_none(),
                Wish::OneOf(values) => is(values),
                Wish::NoneOf(values) => !is(values),
            };
            holds || is_open(key)
        })
    }
}

/// The requirements of a selector: between commas that stand in no parentheses.
fn parts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return None,
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!inside).then_some(parts)
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        let one = |value: &str| vec![value.trim().to_owned()];
        let (key, wish) = if let Some((key, values)) = text.split_once('(') {
            let values = values.trim_end().strip_suffix(')')?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            let (key, word) = key.trim().rsplit_once(' ')?;
            match word {
                "in" => (key, Wish::OneOf(values)),
                "notin" => (key, Wish::NoneOf(values)),
                _ => return None,
            }
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, Wish::NoneOf(one(value)))
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, Wish::OneOf(one(value)))
        } else if let Some(key) = text.trim_start().strip_prefix('!') {
            (key, Wish::Missing)
        } else {
            (text, Wish::Present)
        };
        let key = key.trim();
        let is_key = !key.is_empty() && !key.contains([' ', '!', '=', '(', ')']);
        is_key.then(|| Self { key: key.to_owned(), wish })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("app=web", true)]
    #[case("app==web", true)]
    #[case("app=db", false)]
    #[case("app", true)]
    #[case("!app", false)]
    #[case("missing", false)]
    #[case("!missing", true)]
    #[case("app!=db", true)]
    #[case("missing!=db", true)]
    #[case("app!=web", false)]
    #[case("app in (db, web)", true)]
    #[case("app in (db)", false)]
    #[case("missing in (db)", false)]
    #[case("app notin (db)", true)]
    #[case("app notin (web,db)", false)]
    #[case("missing notin (web)", true)]
    #[case(" app = web , tier in (front) , !missing ", true)]
    #[case("app=web,tier=back", false)]
    fn labels_are_selected_as_kubernetes_selects_them(#[case] selector: &str, #[case] expected: bool) {
        let selector = Selector::parse(selector).unwrap();
        let value_of = |key: &str| match key {
            "app" => Some("web"),
            "tier" => Some("front"),
            _ => None,
        };
        assert_eq!(selector.matches(value_of), expected);
    }

    #[test]
    fn keys_that_something_else_may_set_say_nothing() {
        let selector = Selector::parse("app=web,tier=back").unwrap();
        let value_of = |key: &str| (key == "app").then_some("web");
        assert!(selector.matches_but_for(value_of, |key| key == "tier"));
        assert!(!selector.matches_but_for(value_of, |key| key == "app"));
    }

    #[rstest]
    #[case("")]
    #[case("a,,b")]
    #[case("a in (b")]
    #[case("a in b)")]
    #[case("a within (b)")]
    #[case("a b")]
    #[case("=b")]
    fn what_is_no_selector_is_not_guessed(#[case] text: &str) {
        assert_eq!(Selector::parse(text), None);
    }
}
