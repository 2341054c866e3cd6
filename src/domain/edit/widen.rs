//! Moves a version range so that it holds a version outside of it, in the form in which it is written.
//!
//! `~1.9` becomes `~1.10`, `1.9.x` becomes `1.10.x`, and of `>=1.9 <2` only the upper end moves. Operators, spaces,
//! commas and the number of parts stay. What says more than a lower and an upper end is refused.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::version::range::{Range, strict_version};
use crate::domain::version::semantic::SemanticVersion;
use crate::domain::version::{Scheme, Version};

// A constant; that it compiles is tested below.
static COMPARISON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?P<op>!=|>=|=>|<=|=<|~>|[<>~^=])?[ \t]*(?P<version>v?(?P<major>[0-9]+|[xX*])(?:\.(?P<minor>[0-9]+|[xX*]))?(?:\.(?P<patch>[0-9]+|[xX*]))?(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?)",
    )
    .ok()
});

/// One comparison of a range, by places in its text.
struct Comparison<'a> {
    operator: &'a str,
    version: std::ops::Range<usize>,
    parts: Vec<&'a str>,
    prerelease: Option<&'a str>,
    /// It follows ` - `.
    ends_hyphen: bool,
    starts_hyphen: bool,
}

/// `range`, moved so that it holds `target`.
pub(super) fn widen(range: &str, target: &str) -> Result<String, &'static str> {
    let read = Range::parse(range).map_err(|_| "it cannot be read")?;
    let version = strict_version(target).ok_or("the version is not SemVer")?;
    if read.matches(&version) {
        return Err("it holds that version already");
    }
    if range.contains("||") {
        return Err("it has alternatives, and which of them should move is not known");
    }
    let comparisons = comparisons(range);
    let upper = |comparison: &&Comparison<'_>| {
        comparison.ends_hyphen || matches!(comparison.operator, "<" | "<=" | "=<")
    };
    let window = |comparison: &&Comparison<'_>| {
        !comparison.ends_hyphen
            && !comparison.starts_hyphen
            && matches!(comparison.operator, "" | "=" | "~" | "~>" | "^")
    };
    let moving = match comparisons.iter().filter(upper).collect::<Vec<_>>().as_slice() {
        [one] if !comparisons.iter().any(|comparison| window(&comparison)) => *one,
        [] => match comparisons.as_slice() {
            [one] if window(&one) => one,
            _ => return Err("it has no upper end that could move"),
        },
        _ => return Err("it says more than a lower and an upper end"),
    };
    let numbers = [version.major, version.minor, version.patch];
    let new = if matches!(moving.operator, "<") && !moving.ends_hyphen {
        beyond(moving, numbers)?
    } else {
        at(moving, numbers, target)?
    };
    let moved = format!("{}{new}{}", &range[..moving.version.start], &range[moving.version.end..]);
    let holds = Range::parse(&moved).is_ok_and(|range| range.matches(&version) && !range.is_exact());
    if holds { Ok(moved) } else { Err("no range of its form holds that version") }
}

/// The end that is meant to be outside: one more at the part that the old end counts by (`<2.0.0` by majors).
fn beyond(end: &Comparison<'_>, numbers: [u64; 3]) -> Result<String, &'static str> {
    if end.prerelease.is_some_and(|prerelease| prerelease != "0") {
        return Err("its upper end is a pre-release");
    }
    let counted = end.parts.iter().rposition(|part| !matches!(*part, "0" | "x" | "X" | "*")).unwrap_or(0);
    let parts = end.parts.iter().enumerate().map(|(place, part)| match place.cmp(&counted) {
        std::cmp::Ordering::Less => numbers[place].to_string(),
        std::cmp::Ordering::Equal => numbers[place].saturating_add(1).to_string(),
        std::cmp::Ordering::Greater => (*part).to_owned(),
    });
    let parts: Vec<String> = parts.collect();
    Ok(format!("{}{}", parts.join("."), end.prerelease.map(|_| "-0").unwrap_or_default()))
}

/// The version itself, with as many parts as are written and wild cards where they stand.
fn at(comparison: &Comparison<'_>, numbers: [u64; 3], target: &str) -> Result<String, &'static str> {
    if comparison.parts.first().is_some_and(|major| matches!(*major, "x" | "X" | "*")) {
        return Err("it holds every release, and this is a pre-release");
    }
    let wild = |part: &str| matches!(part, "x" | "X" | "*");
    let full = comparison.parts.len() == 3 && !comparison.parts.iter().any(|part| wild(part));
    let parts: Vec<String> = comparison
        .parts
        .iter()
        .zip(numbers)
        .map(|(part, number)| if wild(part) { (*part).to_owned() } else { number.to_string() })
        .collect();
    let prerelease = match (comparison.prerelease, SemanticVersion::parse(target)) {
        (_, Some(version)) if version.is_prerelease() && full => {
            prerelease_of(target).map(|text| format!("-{text}")).unwrap_or_default()
        }
        (Some("0"), _) => "-0".to_owned(),
        (Some(_), _) if !full => return Err("it names a pre-release"),
        _ => String::new(),
    };
    Ok(format!("{}{prerelease}", parts.join(".")))
}

fn prerelease_of(target: &str) -> Option<String> {
    match Scheme::Semver.parse(target)? {
        version @ Version::Semantic(_) => Some(version.for_range().pre.to_string()),
        _ => None,
    }
}

fn comparisons(range: &str) -> Vec<Comparison<'_>> {
    let Some(pattern) = COMPARISON.as_ref() else { return Vec::new() };
    let mut found: Vec<Comparison<'_>> = Vec::new();
    let mut end = 0;
    for captures in pattern.captures_iter(range) {
        let (Some(whole), Some(version)) = (captures.get(0), captures.name("version")) else { continue };
        let ends_hyphen = !found.is_empty() && range[end..whole.start()].trim() == "-";
        if let Some(last) = found.last_mut() {
            last.starts_hyphen = ends_hyphen;
        }
        let sign = usize::from(version.as_str().starts_with('v'));
        found.push(Comparison {
            operator: captures.name("op").map_or("", |operator| operator.as_str()),
            version: version.start() + sign..version.end(),
            parts: ["major", "minor", "patch"]
                .iter()
                .filter_map(|name| captures.name(name))
                .map(|part| part.as_str())
                .collect(),
            prerelease: captures.name("pre").map(|pre| pre.as_str()),
            ends_hyphen,
            starts_hyphen: false,
        });
        end = whole.end();
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_move_in_their_form() {
        for (range, target, expected) in [
            ("~1.9", "1.10.2", Ok("~1.10")),
            ("~1.9.3", "1.10.2", Ok("~1.10.2")),
            ("~> 1.9", "1.10.2", Ok("~> 1.10")),
            ("1.9.x", "1.10.2", Ok("1.10.x")),
            ("v1.9.*", "v1.10.2", Ok("v1.10.*")),
            ("1.9", "1.10.2", Ok("1.10")),
            ("1.x", "2.3.4", Ok("2.x")),
            ("1", "2.3.4", Ok("2")),
            ("^1.2.3", "2.3.4", Ok("^2.3.4")),
            ("^0.5", "0.6.1", Ok("^0.6")),
            (">=1.9 <2", "2.3.4", Ok(">=1.9 <3")),
            (">=1.9, <2.0.0", "2.3.4", Ok(">=1.9, <3.0.0")),
            (">=1.9.0-0 <2.0.0-0", "2.3.4", Ok(">=1.9.0-0 <3.0.0-0")),
            ("<1.10", "1.10.4", Ok("<1.11")),
            (">=1.2 <1.10.5", "1.10.7", Ok(">=1.2 <1.10.8")),
            (">=1 <=1.10", "1.12.7", Ok(">=1 <=1.12")),
            ("<=1.10.5", "1.12.7", Ok("<=1.12.7")),
            ("1.2 - 1.4", "1.5.0", Ok("1.2 - 1.5")),
            ("1.2.0 - 1.4.9", "2.0.0", Ok("1.2.0 - 2.0.0")),
            (">=1 <2 !=1.5.0", "2.1.0", Ok(">=1 <3 !=1.5.0")),
            ("~1.9", "1.9.4", Err("it holds that version already")),
            ("^1 || ^2", "3.0.0", Err("it has alternatives, and which of them should move is not known")),
            ("*", "2.0.0-rc.1", Err("it holds every release, and this is a pre-release")),
            (">=1.9", "1.8.0", Err("it has no upper end that could move")),
            (">=1 <2 <3", "4.0.0", Err("it says more than a lower and an upper end")),
            ("~1.2 <1.2.5", "1.3.0", Err("it says more than a lower and an upper end")),
            (">=1 <2 !=2.1.0", "2.1.0", Err("no range of its form holds that version")),
            ("~1.9", "1.10", Err("the version is not SemVer")),
            ("nonsense", "1.0.0", Err("it cannot be read")),
        ] {
            assert_eq!(widen(range, target).as_deref(), expected.as_deref(), "{range} to {target}");
        }
    }

    /// The text of a range with every number blanked out.
    fn form(range: &str) -> String {
        let mut form = String::new();
        for letter in range.chars() {
            if !letter.is_ascii_digit() {
                form.push(letter);
            } else if !form.ends_with('#') {
                form.push('#');
            }
        }
        form
    }

    proptest! {
        #[test]
        fn a_widened_range_holds_the_target_and_keeps_its_form(
            operator in prop_oneof![Just(""), Just("~"), Just("^"), Just(">=1.0 <"), Just(">= 0.1, <="), Just("0.1 - ")],
            bound in prop_oneof!["[0-9]{1,2}", "[0-9]\\.[0-9]{1,2}", "[0-9]\\.[0-9]\\.[0-9]{1,2}", "[0-9]\\.x", "[0-9]\\.[0-9]\\.x"],
            target in "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}",
        ) {
            let range = format!("{operator}{bound}");
            if let Ok(moved) = widen(&range, &target) {
                let version = strict_version(&target).unwrap();
                prop_assert!(Range::parse(&moved).unwrap().matches(&version), "{range} {target} {moved}");
                prop_assert!(!Range::parse(&range).unwrap().matches(&version));
                prop_assert_eq!(form(&moved), form(&range));
            }
        }
    }
}
