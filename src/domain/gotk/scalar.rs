//! What a plain YAML scalar means to the program that prints Flux's manifests.
//!
//! `flux` prints through the Go library yaml.v2, which reads YAML 1.1: a text that would read as a number, a
//! truth value, nothing, or a time is quoted. Source of the rules: `resolve.go` and `encode.go` of that library.

use jiff::civil::Date;

/// How a plain scalar reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A text that needs no quotes.
    Text,
    /// `null` in any spelling.
    Null,
    /// A truth value in any spelling of YAML 1.1.
    Bool,
    /// An integer or a float in any spelling.
    Number,
    /// A date, or a date with a time.
    Time,
}

/// How a plain scalar reads.
pub(super) fn meaning(text: &str) -> Meaning {
    let Some(first) = text.bytes().next() else { return Meaning::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" => Meaning::Number,
            // Go takes underscores between digits here.
            _ if is_float(&without_separators(text)) => Meaning::Number,
            _ => Meaning::Text,
        },
        b'+' | b'-' | b'0'..=b'9' => digits(text),
        _ => Meaning::Text,
    }
}

fn word(text: &str) -> Meaning {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "n" | "N"
        | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Meaning::Bool,
        "~" | "null" | "Null" | "NULL" => Meaning::Null,
        _ => Meaning::Text,
    }
}

/// Without the underscores that stand between two digits.
fn without_separators(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let separates = |at: usize| digit(at.checked_sub(1)) && digit(Some(at + 1));
    text.char_indices()
        .filter(|(at, character)| *character != '_' || !separates(*at))
        .map(|(_, kept)| kept)
        .collect()
}

fn digits(text: &str) -> Meaning {
    if matches!(text, "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF") {
        return Meaning::Number;
    }
    if is_time(text) {
        return Meaning::Time;
    }
    let plain = text.replace('_', "");
    if is_integer(&plain) || is_float(&plain) { Meaning::Number } else { Meaning::Text }
}

/// Whether Go's `ParseInt` or `ParseUint` reads it with base 0. An overflowing decimal is a float instead,
/// which is a number too.
fn is_integer(text: &str) -> bool {
    let (signed, body) = match text.strip_prefix(['+', '-']) {
        Some(body) => (true, body),
        None => (false, text),
    };
    let radix = |prefix: [&str; 2], radix: u32| {
        let digits = prefix.iter().find_map(|prefix| body.strip_prefix(prefix))?;
        // `from_str_radix` takes a sign of its own.
        let starts = digits.starts_with(|character: char| character.is_digit(radix));
        let value = starts.then(|| u64::from_str_radix(digits, radix).ok())??;
        Some(!signed || value <= i64::MAX as u64 + u64::from(text.starts_with('-')))
    };
    radix(["0x", "0X"], 16)
        .or_else(|| radix(["0o", "0O"], 8))
        .or_else(|| radix(["0b", "0B"], 2))
        .unwrap_or_else(|| !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and within the range of a float.
fn is_float(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = body.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = &body[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if whole == 0 && length == 0 {
            return false;
        }
        rest = &fraction[length..];
    } else if whole == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
    } else if !rest.is_empty() {
        return false;
    }
    text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// A date `2006-1-2`, alone or with a time of day: `2006-1-2T15:4:5.9Z` or `2006-1-2 15:4:5.9`. A few more are
/// taken for times than the library takes, such as those with an hour above 23.
fn is_time(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let is_time_of_day = |time: &str| {
        time.contains(':')
            && time.starts_with(|first: char| first.is_ascii_digit())
            && time
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'Z' | b'+' | b'-'))
    };
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let part = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        (lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<i16>().ok())
            .flatten()
    };
    let (Some(year), Some(month), Some(day)) = (part(year, 4..=4), part(month, 1..=2), part(day, 1..=2))
    else {
        return false;
    };
    let is_date = i8::try_from(month)
        .ok()
        .zip(i8::try_from(day).ok())
        .is_some_and(|(month, day)| Date::new(year, month, day).is_ok());
    is_date && time.is_none_or(is_time_of_day)
}

/// Whether the text is a float of base 60 in YAML 1.1 (`1:20`), which is quoted for other readers' sake:
/// `^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$`.
pub(super) fn is_sexagesimal(text: &str) -> bool {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let body = match body.rsplit_once('.') {
        Some((body, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') => body,
        Some(_) => return false,
        None => body,
    };
    let mut parts = body.split(':');
    let first = parts.next().unwrap_or_default();
    let mut more = false;
    let rest = parts.all(|part| {
        more = true;
        match part.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        }
    });
    first.starts_with(|first: char| first.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && rest
        && more
}

/// The text of a number as it is printed after it was read, where both are the same for sure: integers of 64
/// bits without sign `+` or leading zeros, and short decimal fractions. `None` for every other spelling.
pub(super) fn printed_number(text: &str) -> Option<&str> {
    let body = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match body.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (body, None),
    };
    let is_whole = !whole.is_empty()
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        && (whole == "0" || !whole.starts_with('0'));
    let fits = match fraction {
        None => text != "-0" && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()),
        // From 1e-4 up to six digits the shortest form has no exponent, and 15 digits survive a double.
        Some(fraction) => {
            whole.len() <= 6
                && (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
                && !fraction.ends_with('0')
                && (whole != "0" || !fraction.starts_with("0000"))
        }
    };
    (is_whole && fits).then_some(text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty("", Meaning::Null)]
    #[case::tilde("~", Meaning::Null)]
    #[case::null("null", Meaning::Null)]
    #[case::nullable("nullable", Meaning::Text)]
    #[case::yes("yes", Meaning::Bool)]
    #[case::y("y", Meaning::Bool)]
    #[case::off("OFF", Meaning::Bool)]
    #[case::mixed_case("yEs", Meaning::Text)]
    #[case::integer("1000", Meaning::Number)]
    #[case::underscores("1_000", Meaning::Number)]
    #[case::signed("-12", Meaning::Number)]
    #[case::leading_zero("010", Meaning::Number)]
    #[case::octal_that_is_none("08", Meaning::Number)]
    #[case::hex("0x1F", Meaning::Number)]
    #[case::hex_that_is_none("0xZZ", Meaning::Text)]
    #[case::hex_too_large("0x10000000000000000", Meaning::Text)]
    #[case::hex_below_the_least_integer("-0x8000000000000001", Meaning::Text)]
    #[case::least_integer("-0x8000000000000000", Meaning::Number)]
    #[case::hex_with_two_signs("0x-1", Meaning::Text)]
    #[case::binary("-0b101", Meaning::Number)]
    #[case::float("1.5e3", Meaning::Number)]
    #[case::float_without_whole(".5", Meaning::Number)]
    #[case::float_with_underscore(".6_9", Meaning::Number)]
    #[case::float_with_underscore_at_its_end(".69_", Meaning::Text)]
    #[case::float_without_fraction("1.", Meaning::Number)]
    #[case::exponent("1e3", Meaning::Number)]
    #[case::exponent_without_digits("1e", Meaning::Text)]
    #[case::infinite("-.inf", Meaning::Number)]
    #[case::overflow("1e999", Meaning::Text)]
    #[case::version("1.2.3", Meaning::Text)]
    #[case::dots("...", Meaning::Text)]
    #[case::flag("--log-level=info", Meaning::Text)]
    #[case::quantity("64Mi", Meaning::Text)]
    #[case::date("2020-1-02", Meaning::Time)]
    #[case::no_date("2020-13-02", Meaning::Text)]
    #[case::time("2020-01-02T03:04:05Z", Meaning::Time)]
    #[case::two_dates("2020-01-02 2020-01-02", Meaning::Text)]
    #[case::words_after_a_date("2020-01-02 or later", Meaning::Text)]
    fn plain_scalars_read_as_yaml_1_1(#[case] text: &str, #[case] expected: Meaning) {
        assert_eq!(meaning(text), expected);
    }

    #[rstest]
    #[case("1:20", true)]
    #[case("190:20:30.15", true)]
    #[case("-1:05", true)]
    #[case("1:60", false)]
    #[case("8080", false)]
    #[case("a:10", false)]
    #[case("1:20.x", false)]
    #[case("1:", false)]
    fn base_60_is_known(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_sexagesimal(text), expected);
    }

    #[rstest]
    #[case("0", true)]
    #[case("-1", true)]
    #[case("18446744073709551615", true)]
    #[case("18446744073709551616", false)]
    #[case("-0", false)]
    #[case("007", false)]
    #[case("+1", false)]
    #[case("0.1", true)]
    #[case("0.00001", false)]
    #[case("1.0", false)]
    #[case("1.5", true)]
    #[case("1234567.5", false)]
    #[case("1e3", false)]
    #[case("0x1f", false)]
    fn numbers_whose_print_is_sure_are_taken_as_they_are(#[case] text: &str, #[case] sure: bool) {
        assert_eq!(printed_number(text).is_some(), sure);
    }
}
