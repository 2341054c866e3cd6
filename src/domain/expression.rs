//! Regular expressions of rules, which most texts never reach.
//!
//! Rules come with dozens of expressions, and a run looks at thousands of texts. An expression knows the
//! letters that every match has somewhere: a text without them is refused by a plain search, and the
//! expression is compiled for the first text that has them.

use std::sync::OnceLock;

use memchr::memmem::Finder;
use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// Larger compiled expressions than any rule needs are refused.
const MAX_COMPILED: usize = 1 << 20;

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    names: Vec<String>,
    /// Every match has one of these in it; empty where nothing is known.
    needed: Vec<Finder<'static>>,
    /// `None` where it cannot be compiled.
    compiled: OnceLock<Option<Regex>>,
}

impl Expression {
    /// Reads an expression and compiles it.
    ///
    /// # Errors
    ///
    /// It is none, or larger than any rule needs when compiled.
    pub fn compiled(text: &str) -> Result<Self, regex::Error> {
        let regex = compile(text)?;
        let expression = Self::known_good(text);
        expression.compiled.get_or_init(|| Some(regex));
        Ok(expression)
    }

    /// Reads an expression of which a test says that it can be compiled, as those that come with the program.
    /// One that cannot be matches nothing.
    pub fn known_good(text: &str) -> Self {
        let (mut names, mut needed) = (Vec::new(), Vec::new());
        if let Ok(syntax) = regex_syntax::parse(text) {
            groups(&syntax, &mut names);
            needed = needed_by(&syntax).unwrap_or_default();
        }
        let needed = needed.iter().map(|literal| Finder::new(literal).into_owned()).collect();
        Self { text: text.to_owned(), names, needed, compiled: OnceLock::new() }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Names of its groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether `text` has the letters without which it cannot match: told quickly, and not the whole truth.
    pub fn may_match(&self, text: &str) -> bool {
        self.needed.is_empty() || self.needed.iter().any(|literal| literal.find(text.as_bytes()).is_some())
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex_for(text).is_some_and(|regex| regex.is_match(text))
    }

    /// The groups of its first match in `text`.
    pub fn captures<'text>(&self, text: &'text str) -> Option<Captures<'text>> {
        self.regex_for(text)?.captures(text)
    }

    /// The groups of each of its matches in `text`.
    pub fn captures_iter<'text>(&self, text: &'text str) -> impl Iterator<Item = Captures<'text>> {
        self.regex_for(text).into_iter().flat_map(move |regex| regex.captures_iter(text))
    }

    /// The compiled expression, where it can match in `text` at all.
    fn regex_for(&self, text: &str) -> Option<&Regex> {
        self.may_match(text)
            .then(|| self.compiled.get_or_init(|| compile(&self.text).ok()).as_ref())
            .flatten()
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(MAX_COMPILED).build()
}

/// Names of the groups, in order.
fn groups(syntax: &Hir, names: &mut Vec<String>) {
    match syntax.kind() {
        HirKind::Capture(group) => {
            names.extend(group.name.as_deref().map(str::to_owned));
            groups(&group.sub, names);
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| groups(part, names));
        }
        HirKind::Repetition(repetition) => groups(&repetition.sub, names),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// Literals of which every match has at least one; `None` where there are no such.
fn needed_by(syntax: &Hir) -> Option<Vec<Box<[u8]>>> {
    match syntax.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.clone()]),
        HirKind::Capture(group) => needed_by(&group.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed_by(&repetition.sub),
        // Any of its parts will do; the one whose shortest literal is longest refuses most texts.
        HirKind::Concat(parts) => {
            parts.iter().filter_map(needed_by).max_by_key(|any| any.iter().map(|one| one.len()).min())
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(needed_by).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("abc", &["abc"])]
    #[case("^a+bcd[0-9]", &["bcd"])]
    #[case("(?:abc)?de", &["de"])]
    #[case("(?m)^[ \t]*(?:k3s_version|INSTALL)[ \t]*:", &["k3s_version", "INSTALL"])]
    #[case("(?<version>v?[0-9]+[+]k3s[0-9]+)$", &["+k3s"])]
    #[case("abc|[0-9]", &[])]
    #[case("(abc)*", &[])]
    #[case("(?i)abc", &[])]
    #[case("[0-9]+", &[])]
    fn needed_letters_are_those_that_no_match_is_without(#[case] text: &str, #[case] needed: &[&str]) {
        let expression = Expression::compiled(text).unwrap();
        let found: Vec<_> = expression.needed.iter().map(Finder::needle).collect();
        assert_eq!(found, needed.iter().map(|one| one.as_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_those_of_the_groups() {
        let expression = Expression::compiled("(?<one>a(?<two>b)|(c))+(?<three>d)?").unwrap();
        assert_eq!(expression.names().collect::<Vec<_>>(), ["one", "two", "three"]);
    }

    #[test]
    fn what_is_no_expression_is_refused_or_matches_nothing() {
        assert!(Expression::compiled("(").is_err());
        assert!(Expression::compiled("(?:[a-z]{1000}){1000}").is_err());
        assert!(!Expression::known_good("(").is_match("("));
    }

    proptest! {
        #[test]
        fn looking_for_needed_letters_first_changes_no_match(
            pattern in "(a|b|ab|\\(a\\|bc\\)|\\(ab\\)\\?|\\(bc\\)\\+|\\[ab\\]|c\\*|\\^|\\$){1,5}",
            text in "[abc]{0,8}",
        ) {
            let expression = Expression::compiled(&pattern).unwrap();
            let regex = Regex::new(&pattern).unwrap();
            prop_assert_eq!(expression.is_match(&text), regex.is_match(&text));
            let whole = |captures: Captures<'_>| captures.get(0).map(|found| found.range());
            prop_assert_eq!(
                expression.captures_iter(&text).map(whole).collect::<Vec<_>>(),
                regex.captures_iter(&text).map(whole).collect::<Vec<_>>()
            );
        }
    }
}
