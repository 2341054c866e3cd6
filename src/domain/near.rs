//! Names that somebody may have meant.

/// How many names are offered.
const MOST: usize = 3;
/// Longer names are not compared: distance costs the product of both lengths.
const LONGEST: usize = 64;

/// The names most like `wanted`, the most like first; none where nothing is like it.
pub fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = names
        .filter(|name| name.len() <= LONGEST)
        .filter_map(|name| {
            let distance = distance(wanted, name);
            let contained =
                wanted.len() > 2 && (name.contains(wanted) || name.len() > 2 && wanted.contains(name));
            (contained || distance <= wanted.len() / 3).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// Edits (Levenshtein) between two names, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "", 3),
            ("loki", "tempo", 5),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn typing_errors_and_longer_names_are_offered_and_strangers_are_not() {
        let names = ["longhorn", "grafana", "kube-prometheus-stack", "prometheus"];
        assert_eq!(near("longhron", names.into_iter()), ["longhorn"]);
        assert_eq!(near("kube-prometheus", names.into_iter()), ["prometheus", "kube-prometheus-stack"]);
        assert!(near("redis", names.into_iter()).is_empty());
    }
}
