//! Whatever is published.

use proptest::prelude::*;

use super::*;
use crate::domain::version::semantic::SemanticVersion;

fn tag() -> impl Strategy<Value = String> {
    "v?[0-3]\\.(0|[1-9][0-9]?)(\\.(0|[1-9][0-9]?)){0,2}(-(rc|beta)\\.[0-9]|-alpine|\\+k3s[0-9])?"
}

proptest! {
    #[test]
    fn target_is_published_higher_and_the_same_in_any_order(
        current in tag(),
        versions in prop::collection::vec(tag(), 1..12),
        scheme in prop::sample::select(vec![Scheme::Semver, Scheme::K3s, Scheme::ImageTag, Scheme::Loose]),
        prereleases: bool,
    ) {
        let wish = Wish { prereleases, ..Wish::default() };
        let texts: Vec<_> = versions.iter().map(String::as_str).collect();
        let answer = published(&texts);
        let given = exact(&current);
        let selection = choose_from(&given, scheme, &wish, &answer);
        if let Some(target) = selection.target {
            // What is SemVer but for leading zeros is read without regard to them.
            let reading = match (scheme, scheme.parse(&current)) {
                (Scheme::Semver, Some(Version::Loose(_))) if SemanticVersion::coerced(&current).is_some() => {
                    Reading::Coerced
                }
                (_, Some(Version::Loose(_))) => Reading::Plain(Scheme::Loose),
                _ => Reading::Plain(scheme),
            };
            let target = reading.read(&target.version).unwrap();
            prop_assert!(target > reading.read(&current).unwrap());
            prop_assert_eq!(selection.between.last().copied(), selection.target);
            let text = selection.target_text.clone().unwrap();
            prop_assert_eq!(reading.read(&text), Some(target));
        }
        let mut reversed = answer.clone();
        reversed.candidates.reverse();
        let again = choose_from(&given, scheme, &wish, &reversed);
        prop_assert_eq!(selection.outcome, again.outcome);
        prop_assert_eq!(selection.target_text, again.target_text);
    }

    #[test]
    fn texts_of_strangers_are_chosen_from_without_panic(
        current in "\\PC{0,12}|v?[0-9.]{0,6}[-+]?[a-z0-9é]{0,5}",
        published_texts in prop::collection::vec("\\PC{0,12}|v?[0-9.]{0,6}[-+]?[a-z0-9é]{0,5}", 0..6),
        prefix in prop::option::of("[a-zé-]{0,3}"),
        scheme in prop::sample::select(vec![Scheme::Semver, Scheme::K3s, Scheme::ImageTag, Scheme::Loose]),
    ) {
        let wish = Wish { tag_prefix: prefix, ..Wish::default() };
        let texts: Vec<_> = published_texts.iter().map(String::as_str).collect();
        let answer = published(&texts);
        for given in [exact(&current), Given::Range(current.clone()), Given::Channel(current.clone())] {
            let selection = choose_from(&given, scheme, &wish, &answer);
            prop_assert_eq!(selection.target.is_some(), selection.target_text.is_some());
        }
    }
}
