//! Semantic versions, read with tolerance and ordered exactly as SemVer 2.0.0, section 11, says.
//!
//! That includes its treatment of pre-releases such as `rc10` and `rc2`, which it compares as text. Build
//! metadata does not take part in the order.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use semver::{BuildMetadata, Prerelease, Version};

/// From this many digits on, a lone number is a date or a time stamp and not a major version.
pub(super) const STAMP_DIGITS: usize = 8;

/// A semantic version. Equal means equal precedence.
#[derive(Debug, Clone)]
pub struct SemanticVersion(pub(super) Version);

impl SemanticVersion {
    /// Reads SemVer after an optional `v`; missing minor and patch count as zero.
    ///
    /// Four parts, leading zeros, dates (`2024-01-05`) and time stamps are not SemVer.
    pub fn parse(text: &str) -> Option<Self> {
        Self::read_plain(text).or_else(|| Self::read(text, number))
    }

    /// Three short numbers, as nearly every version is: lists of thousands are read in every run.
    fn read_plain(text: &str) -> Option<Self> {
        let mut numbers = [0_u64; 3];
        let mut bytes = text.strip_prefix('v').unwrap_or(text).as_bytes();
        for (at, number) in numbers.iter_mut().enumerate() {
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (part, rest) = bytes.split_at(digits);
            // Up to nine digits never overflow.
            if !(1..=9).contains(&digits) || (digits > 1 && part[0] == b'0') {
                return None;
            }
            *number = part.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            bytes = if at == 2 { rest } else { rest.strip_prefix(b".")? };
        }
        let [major, minor, patch] = numbers;
        bytes.is_empty().then(|| Self(Version::new(major, minor, patch)))
    }

    /// Like [`SemanticVersion::parse`], but drops leading zeros (`2024.01.05`), as Masterminds' `NewVersion` does.
    pub fn coerced(text: &str) -> Option<Self> {
        Self::read(text, |part| {
            let plain = part.trim_start_matches('0');
            number(if plain.is_empty() && !part.is_empty() { "0" } else { plain })
        })
    }

    fn read(text: &str, number: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let core_end = text.find(['-', '+']).unwrap_or(text.len());
        let (core, rest) = text.split_at(core_end);
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in core.split('.') {
            *numbers.get_mut(count)? = number(part)?;
            count += 1;
        }
        let is_date =
            rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        if count == 1 && (is_date || core.len() >= STAMP_DIGITS) {
            return None;
        }
        let (before, build) = match rest.split_once('+') {
            None => (rest, BuildMetadata::EMPTY),
            Some((_, "")) => return None,
            Some((before, build)) => (before, BuildMetadata::new(build).ok()?),
        };
        let pre = match before.strip_prefix('-') {
            None => Prerelease::EMPTY,
            Some("") => return None,
            Some(text) => Prerelease::new(text).ok()?,
        };
        let [major, minor, patch] = numbers;
        Some(Self(Version { major, minor, patch, pre, build }))
    }

    /// Whether it precedes a release.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

/// A number as SemVer writes it: digits without leading zeros.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl Ord for SemanticVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_precedence(&other.0)
    }
}

impl PartialOrd for SemanticVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for SemanticVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for SemanticVersion {}

impl Hash for SemanticVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.major, self.0.minor, self.0.patch, &self.0.pre).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tolerated_forms_compare_as_the_full_version() {
        for (text, full) in [
            ("v1.2.3", "1.2.3"),
            ("V1.2.3", "1.2.3"),
            ("1.2", "1.2.0"),
            ("v1", "1.0.0"),
            ("1.2-rc.1", "1.2.0-rc.1"),
            ("1.2.3+build.7", "1.2.3"),
        ] {
            assert_eq!(SemanticVersion::parse(text), SemanticVersion::parse(full), "{text}");
            assert!(SemanticVersion::parse(full).is_some());
        }
    }

    proptest! {
        #[test]
        fn plain_versions_are_read_as_any_other(text in "v?[0-9]{1,11}(\\.[0-9]{0,3}){0,4}[-+v]?") {
            if let Some(plain) = SemanticVersion::read_plain(&text) {
                let read = SemanticVersion::read(&text, number).unwrap();
                prop_assert_eq!(&plain.0, &read.0);
            }
        }
    }

    #[test]
    fn what_is_not_semver_is_not_guessed() {
        for text in [
            "",
            "v",
            "vv1",
            "1.2.3.4",
            "01.2.3",
            "2024.01.05",
            "20240105",
            "2024-01-05",
            "1..2",
            ".1",
            "1.",
            "1.2.3-",
            "1.2.3+",
            "1.2.3-01",
            "1.2.3-a..b",
            "latest",
            "1.2.x",
            "+1",
            "1.-2",
            "99999999999999999999",
            "1.2.3 ",
        ] {
            assert_eq!(SemanticVersion::parse(text), None, "{text}");
        }
    }

    #[test]
    fn coercion_drops_leading_zeros_and_nothing_else() {
        for (text, plain) in
            [("2024.01.05", "2024.1.5"), ("1.0.000", "1.0.0"), ("01.2.3-rc1", "1.2.3-rc1"), ("v1.2", "1.2.0")]
        {
            let plain = SemanticVersion::parse(plain);
            assert!(plain.is_some());
            assert_eq!(SemanticVersion::coerced(text), plain, "{text}");
        }
        for text in ["1.2.3.4", "1..2", "", "20240105", "2024-01-05", "1.2.3-01", "latest"] {
            assert_eq!(SemanticVersion::coerced(text), None, "{text}");
        }
    }

    fn part() -> impl Strategy<Value = String> {
        prop_oneof!["0|[1-9][0-9]{0,2}", "[a-z-][a-z0-9-]{0,3}"]
    }

    fn text() -> impl Strategy<Value = String> {
        let numbers = (0u64..4, 0u64..4, 0u64..4);
        (numbers, prop::collection::vec(part(), 0..4), prop::option::of("[0-9a-z]{1,4}")).prop_map(
            |((major, minor, patch), pre, build)| {
                let pre = if pre.is_empty() { String::new() } else { format!("-{}", pre.join(".")) };
                let build = build.map(|build| format!("+{build}")).unwrap_or_default();
                format!("{major}.{minor}.{patch}{pre}{build}")
            },
        )
    }

    proptest! {
        #[test]
        fn order_agrees_with_semver_precedence(left in text(), right in text()) {
            let expected = Version::parse(&left).unwrap().cmp_precedence(&Version::parse(&right).unwrap());
            let order = SemanticVersion::parse(&left).unwrap().cmp(&SemanticVersion::parse(&right).unwrap());
            prop_assert_eq!(order, expected);
        }
    }
}
