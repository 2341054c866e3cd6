//! The order of keys in a printed mapping.

use std::cmp::Ordering;

/// No mapping of a manifest has more keys.
const MAX_KEYS: usize = 1024;

/// Sorts the pairs of a mapping as yaml.v2 does: numbers within keys count as numbers (`v2` before `v10`), and
/// what is no letter comes before letters. `None` where that is no order: `2c` comes before `5b`, `5b` before `26c`
/// and `26c` before `2c`, and of such keys the library prints now one first and now another.
///
/// Source of the rule: `sorter.go` of that library.
pub(super) fn sorted<T>(pairs: &[(String, T)]) -> Option<Vec<&(String, T)>> {
    // What counts as a letter beyond ASCII would be another question.
    if pairs.len() > MAX_KEYS || !pairs.iter().all(|(key, _)| key.is_ascii()) {
        return None;
    }
    let mut sorted: Vec<&(String, T)> = Vec::with_capacity(pairs.len());
    // The standard library may panic on what is no order.
    for pair in pairs {
        let at = sorted.partition_point(|other| compare(&other.0, &pair.0) != Ordering::Greater);
        sorted.insert(at, pair);
    }
    // Without digits it is the order of characters.
    let has_digits = pairs.iter().any(|(key, _)| key.bytes().any(|byte| byte.is_ascii_digit()));
    let is_order = || {
        sorted.iter().enumerate().all(|(number, (key, _))| {
            sorted[number + 1..].iter().all(|(other, _)| compare(key, other) == Ordering::Less)
        })
    };
    (!has_digits || is_order()).then_some(sorted)
}

fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let Some(at) = left.iter().zip(right).position(|(a, b)| a != b) else {
        return left.len().cmp(&right.len());
    };
    let (a, b) = (left[at], right[at]);
    match (a.is_ascii_alphabetic(), b.is_ascii_alphabetic()) {
        (true, true) => return a.cmp(&b),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero that differs behind a digit other than zero belongs to a number that goes on.
    let within = (a == b'0' || b == b'0')
        && left[..at].iter().rev().take_while(|digit| digit.is_ascii_digit()).any(|digit| *digit != b'0');
    let number = |text: &[u8]| {
        let digits = text[at..].iter().take_while(|digit| digit.is_ascii_digit());
        digits.fold((i64::from(within), at), |(value, end), digit| {
            (value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), end + 1)
        })
    };
    number(left).cmp(&number(right)).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::letters("apiVersion", "kind")]
    #[case::capitals_first("Zebra", "apple")]
    #[case::shorter_first("app", "apps")]
    #[case::numbers_by_value("v2", "v10")]
    #[case::digit_before_letter("a1", "ab")]
    #[case::sign_before_letter("a-b", "ab")]
    #[case::sign_before_digit("a-1", "a1")]
    #[case::slash_and_dot("a.b", "a/b")]
    #[case::zeros_within_a_number("v10", "v19")]
    #[case::leading_zeros("v1", "v01")]
    fn keys_are_in_the_printers_order(#[case] first: &str, #[case] second: &str) {
        assert_eq!(compare(first, second), Ordering::Less);
        assert_eq!(compare(second, first), Ordering::Greater);
        let pairs = [(second.to_owned(), ()), (first.to_owned(), ())];
        let sorted = sorted(&pairs).unwrap();
        assert_eq!(sorted.iter().map(|(key, ())| key.as_str()).collect::<Vec<_>>(), [first, second]);
    }

    #[test]
    fn keys_without_an_order_are_not_sorted() {
        let pairs = ["2c", "5b", "26c"].map(|key| (key.to_owned(), ()));
        assert!(sorted(&pairs).is_none());
        assert!(sorted(&pairs[..2]).is_some());
    }
}
