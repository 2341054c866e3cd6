//! The order of keys in a printed mapping.

use std::cmp::Ordering;

/// Sorts the pairs of a mapping as yaml.v2 does: numbers within keys count as numbers (`v2` before `v10`), and
/// what is no letter comes before letters.
///
/// Source of the rule: `sorter.go` of that library. It is no proper order for every set of keys, so the keys
/// are put in one by one instead of asking the standard library, which may panic on such.
pub(super) fn sorted<T>(pairs: &[(String, T)]) -> Vec<&(String, T)> {
    let mut sorted: Vec<&(String, T)> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let at = sorted.partition_point(|other| compare(&other.0, &pair.0) != Ordering::Greater);
        sorted.insert(at, pair);
    }
    sorted
}

fn compare(left: &str, right: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let Some(at) = left.iter().zip(&right).position(|(a, b)| a != b) else {
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
    let within = (a == '0' || b == '0')
        && left[..at].iter().rev().take_while(|digit| digit.is_ascii_digit()).any(|digit| *digit != '0');
    let number = |text: &[char]| {
        let mut value = i64::from(within);
        let mut end = at;
        while let Some(digit) = text.get(end).and_then(|digit| digit.to_digit(10)) {
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
            end += 1;
        }
        (value, end)
    };
    number(&left).cmp(&number(&right)).then(a.cmp(&b))
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
        assert_eq!(sorted(&pairs).iter().map(|(key, ())| key.as_str()).collect::<Vec<_>>(), [first, second]);
    }
}
