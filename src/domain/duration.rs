//! Durations in words.

use std::time::Duration;

const UNITS: [(u64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

/// A duration as people say it, in whole seconds: `3 days`, `36 hours`, `1 minute 40 seconds`, `0 seconds`.
pub fn in_words(duration: Duration) -> String {
    let mut left = duration.as_secs();
    let exact = UNITS.iter().find(|(unit, _)| left.is_multiple_of(*unit) && left > 0);
    if let Some((unit, name)) = exact.filter(|(unit, _)| left / unit < 100) {
        return counted(left / unit, name);
    }
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        if left >= unit {
            parts.push(counted(left / unit, name));
            left %= unit;
        }
    }
    if parts.is_empty() { counted(0, "second") } else { parts.join(" ") }
}

fn counted(number: u64, name: &str) -> String {
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 seconds")]
    #[case(1, "1 second")]
    #[case(60, "1 minute")]
    #[case(90, "90 seconds")]
    #[case(100, "1 minute 40 seconds")]
    #[case(3_660, "61 minutes")]
    #[case(36 * 3_600, "36 hours")]
    #[case(259_200, "3 days")]
    #[case(100 * 86_400 + 61, "100 days 1 minute 1 second")]
    #[case(200 * 86_400, "200 days")]
    fn durations_are_said_as_people_say_them(#[case] seconds: u64, #[case] words: &str) {
        assert_eq!(in_words(Duration::from_secs(seconds)), words);
    }
}
