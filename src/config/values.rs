//! Texts of the configuration that mean durations, sizes, versions and ranges.

use crate::domain::version::range::Range;
use std::time::Duration;

/// A humane duration: `90s`, `6h`, `1h30m`, `2d`; units are `s`, `m`, `h`, `d` and `w`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{}` is not a duration such as `30s`, `6h` or `1h30m`", super::tree::shorten(text));
    let mut seconds: u64 = 0;
    let mut digits = String::new();
    let mut smaller_than = u64::MAX;
    if text.is_empty() || text.len() > 40 {
        return Err(wrong());
    }
    for character in text.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit: u64 = match character {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        // Each unit at most once and largest first, so that a slip of the finger is not read as something else.
        if unit >= smaller_than {
            return Err(wrong());
        }
        smaller_than = unit;
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        digits.clear();
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
    }
    if !digits.is_empty() {
        return Err(if seconds == 0 && digits.len() == text.len() {
            format!("`{}` has no unit; write `{text}s`, `{text}m` or `{text}h`", super::tree::shorten(text))
        } else {
            wrong()
        });
    }
    Ok(Duration::from_secs(seconds))
}

/// A duration as [`duration`] reads it: `6h`, `1h30m`.
pub(super) fn humane(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let mut text = String::new();
    for (unit, sign) in [(604_800, 'w'), (86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
        if left >= unit || (unit == 1 && text.is_empty()) {
            text.push_str(&format!("{}{sign}", left / unit));
            left %= unit;
        }
    }
    text
}

/// A size in bytes: `1048576`, `512KiB`, `10MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a size such as `512KiB` or `10MiB`", super::tree::shorten(text));
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Whether text looks like one version: `v1.28.0`, `1.33.4+k3s1`, `6.5`, `2024.1.0-rc.1`.
pub(super) fn version(text: &str) -> Result<(), String> {
    let bare = text.strip_prefix('v').unwrap_or(text);
    let end = bare.find(['-', '+']).unwrap_or(bare.len());
    let (numbers, rest) = bare.split_at(end);
    let numeric = numbers
        .split('.')
        .all(|part| !part.is_empty() && part.len() <= 18 && part.bytes().all(|b| b.is_ascii_digit()));
    if numeric && is_tail(rest) && text.len() <= 128 {
        Ok(())
    } else {
        Err(format!("`{}` is not a version such as `v1.28.0`", super::tree::shorten(text)))
    }
}

/// Whether text is what may follow the numbers of a version: `-rc.1`, `+k3s1`, both or nothing (SemVer 9, 10).
fn is_tail(text: &str) -> bool {
    let identifiers = |text: &str| {
        text.split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    let counted = |text: &str| {
        text.split('.').all(|part| {
            part.len() == 1 || !part.starts_with('0') || part.bytes().any(|b| !b.is_ascii_digit())
        })
    };
    let (before, build) = text.split_once('+').map_or((text, None), |(before, build)| (before, Some(build)));
    let prerelease = before.strip_prefix('-').map(|text| identifiers(text) && counted(text));
    prerelease.unwrap_or(before.is_empty()) && build.is_none_or(identifiers)
}

/// Whether text is a range as Helm and Flux read it.
pub(super) fn range(text: &str) -> Result<(), String> {
    Range::parse(text).map(drop).map_err(|_| {
        format!("`{}` is not a range such as `>=1.6 <2`, `~1.9` or `1.x`", super::tree::shorten(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_as_they_are_read() {
        for text in ["0s", "90s", "6h", "1h30m", "2d", "1w1d1h1m1s"] {
            let read = duration(text).unwrap();
            assert_eq!(duration(&humane(read)).unwrap(), read, "{text}");
        }
        assert_eq!(humane(Duration::from_secs(21_600)), "6h");
        assert_eq!(humane(Duration::from_secs(5_400)), "1h30m");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("6h", 21_600), ("1h30m", 5_400), ("2d", 172_800), ("1w", 604_800)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "h",
            "6",
            "6 h",
            "-6h",
            "6hours",
            "30m1h",
            "1h1h",
            "1h5",
            "99999999999999999999h",
            "9999999999999999999w",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(duration("30").unwrap_err().contains("no unit"));
    }

    #[test]
    fn sizes_are_binary_and_bounded() {
        for (text, bytes) in
            [("0", 0), ("1048576", 1 << 20), ("512KiB", 512 << 10), ("10MiB", 10 << 20), ("1 GiB", 1 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "10MB", "10mib", "-1", "1.5MiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn versions_of_every_scheme_are_accepted() {
        for text in ["v1.28.0", "1.33.4+k3s1", "v1.33.4-k3s1", "6.5", "16", "2024.1.0-rc.1", "1.2.3.4"] {
            assert_eq!(version(text), Ok(()), "{text}");
        }
        for text in ["", "v", "latest", "1.x", ">=1.2", "1..2", "1.2 ", "1.2-", "1.2+ü", "1.-2"] {
            assert!(version(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_of_helm_and_flux_are_accepted() {
        for text in [
            "1.2.3",
            "v1.2",
            "1.x",
            "*",
            "~1.9",
            "^0.3",
            ">=1.6 <2",
            ">= 1.6, < 2.0.0-0",
            "1.2 - 1.4.5",
            "=1.0 || >=2.0 <3",
            "!=1.5.2",
            "v1.28.5+k3s1",
            "1.2.3-rc.1",
            "~>2.1",
        ] {
            assert_eq!(range(text), Ok(()), "{text}");
        }
        for text in ["", " ", "latest", ">=", "1.2 ||", "one", "1.2.3.4", ">>1", "1.2;1.3", "v1.28.x.y"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_follows_the_numbers_has_no_empty_part() {
        for text in ["0-+v", "0++v", "1.2.3-", "1.2.3+", "1.2.3-rc..1", "1.2.3-01", "1.2.3-a+b+c"] {
            assert!(version(text).is_err(), "{text}");
        }
        for text in ["1.2.3-0", "1.2.3-rc.1+k3s-2", "v1.2+01", "1.2.3--a"] {
            assert_eq!(version(text), Ok(()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn readers_agree_on_any_text(text in "(\\PC{0,6}|[0-9v.+ -]{0,8}|[0-9]{1,3}[smhdKMiB]{0,3})") {
            proptest::prop_assert!(duration(&text).is_err() || version(&text).is_err());
            proptest::prop_assert!(size(&text).is_err() || text.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
