//! Whether the text that an update wrote still stands where it wrote it, whatever else became of the file.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::radius::same_version;

/// Most lines that an update of pins changes; what changes more was made as a whole.
const MOST_LINES: usize = 64;

/// Longest file that is compared, in lines.
const LONGEST: usize = 5_000;

/// What stands where an update put its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// What it put there.
    New,
    /// What was there before.
    Old,
    /// Neither, everywhere.
    Other,
    /// It cannot be told, or not everywhere the same.
    Unclear,
}

impl Stands {
    /// What is so here and there.
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Unclear }
    }
}

/// Compares a file as it was `before` an update, `after` it, and `now`. Only values that were replaced within their line
/// can be told; around them everything may have changed, comments on the same line included.
pub fn stands(before: &str, after: &str, now: &str) -> Stands {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let now: Vec<&str> = now.lines().collect();
    let changed: Vec<usize> = (0..after.len()).filter(|at| before.get(*at) != after.get(*at)).collect();
    if before.len() != after.len()
        || changed.is_empty()
        || changed.len() > MOST_LINES
        || after.len().max(now.len()) > LONGEST
    {
        return Stands::Unclear;
    }
    let ops = capture_diff_slices(Algorithm::Myers, &after, &now);
    changed
        .into_iter()
        .map(|at| {
            // What stands in this line, or in those that stand in its place now.
            let place = ops.iter().find(|op| op.old_range().contains(&at));
            match place {
                Some(DiffOp::Equal { .. }) => Stands::New,
                Some(op) => value(before[at], after[at], &now[op.new_range()]),
                None => Stands::Unclear,
            }
        })
        .reduce(Stands::and)
        .unwrap_or(Stands::Unclear)
}

/// What has the place of a value that a line had replaced.
fn value(before: &str, after: &str, lines: &[&str]) -> Stands {
    let common = before.bytes().zip(after.bytes()).take_while(|(one, other)| one == other).count();
    // Back to where the value begins: it has the same beginning often.
    let head = before.as_bytes()[..common].iter().rposition(|byte| !is_of_version(*byte)).map(|at| at + 1);
    let Some((head, old)) = head.and_then(|at| before.split_at_checked(at)) else { return Stands::Unclear };
    let Some(new) = after.get(head.len()..) else { return Stands::Unclear };
    let (old, new, key) = (token(old), token(new), head.trim_start());
    if key.is_empty() || old.is_empty() || new.is_empty() || old == new {
        return Stands::Unclear;
    }
    let found: Vec<&str> =
        lines.iter().filter_map(|line| line.trim_start().strip_prefix(key)).map(token).collect();
    let is = |one: &&str, wanted: &str| *one == wanted || differs_in_digest(one, wanted, old, new);
    match found.as_slice() {
        [] => Stands::Unclear,
        all if all.iter().all(|one| is(one, old)) => Stands::Old,
        all if all.iter().all(|one| is(one, new)) => Stands::New,
        [one] if is_version(one) && !is(one, old) && !is(one, new) => Stands::Other,
        _ => Stands::Unclear,
    }
}

/// The same version, written with a digest or another or none, or with or without `v`; never where only the digest is what
/// was replaced.
fn differs_in_digest(one: &str, wanted: &str, old: &str, new: &str) -> bool {
    let version = |text: &str| text.split('@').next().unwrap_or_default().to_owned();
    !same_version(&version(old), &version(new)) && same_version(&version(one), &version(wanted))
}

/// What is told to be another version must look like one: an alias, a variable or a tag says nothing of itself.
fn is_version(text: &str) -> bool {
    let version = text.split('@').next().unwrap_or_default();
    version.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
        && version.bytes().all(is_of_version)
}

fn is_of_version(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+')
}

/// A value up to where it ends.
fn token(text: &str) -> &str {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | '}' | ']');
    text.split(ends).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const BEFORE: &str = "kind: Deployment\nspec:\n  containers:\n    - name: top\n      image: ghcr.io/acme/top:1.1.0 # the app\n";

    fn with(version: &str) -> String {
        BEFORE.replace("1.1.0", version)
    }

    #[rstest]
    #[case::as_it_was_put(with("1.2.0"), Stands::New)]
    #[case::something_else_changed(with("1.2.0") + "status: {}\n", Stands::New)]
    #[case::back(with("1.1.0"), Stands::Old)]
    #[case::back_with_another_comment(with("1.1.0").replace("the app", "the top app"), Stands::Old)]
    #[case::back_among_new_lines(with("1.1.0").replace("    - name", "    # a note\n    - name"), Stands::Old)]
    #[case::back_and_further_in(with("1.1.0").replace("      image", "        image"), Stands::Old)]
    #[case::another(with("1.3.0"), Stands::Other)]
    #[case::the_same_with_a_digest(with("1.2.0@sha256:ab"), Stands::New)]
    #[case::the_old_one_with_a_digest(with("1.1.0@sha256:ab"), Stands::Old)]
    #[case::with_a_letter(with("v1.2.0"), Stands::New)]
    #[case::a_variable(with("${VERSION}"), Stands::Unclear)]
    #[case::a_word(with("latest"), Stands::Unclear)]
    #[case::another_comment(with("1.2.0").replace("the app", "the top app"), Stands::New)]
    #[case::another_image(with("1.1.0").replace("acme/top", "acme/bottom"), Stands::Unclear)]
    #[case::twice(with("1.1.0") + "      image: ghcr.io/acme/top:1.1.0\n", Stands::Old)]
    #[case::gone("kind: Deployment\n".to_owned(), Stands::Unclear)]
    #[case::empty(String::new(), Stands::Unclear)]
    fn value_that_was_replaced_is_found_again(#[case] now: String, #[case] expected: Stands) {
        assert_eq!(stands(BEFORE, &with("1.2.0"), &now), expected, "{now}");
    }

    #[rstest]
    #[case::quoted(
        "version: \"1.1.0\"\n",
        "version: \"1.2.0\"\n",
        "version: \"1.1.0\" # back\n",
        Stands::Old
    )]
    #[case::in_braces("a: {tag: v1, b: c}\n", "a: {tag: v2, b: c}\n", "a: {tag: v1, b: d}\n", Stands::Old)]
    #[case::longer("tag: 1.1\n", "tag: 1.10\n", "tag: 1.1 # no\n", Stands::Old)]
    #[case::with_digest(
        "image: a:1@sha256:aa\n",
        "image: a:2@sha256:bb\n",
        "image: a:1@sha256:aa # x\n",
        Stands::Old
    )]
    #[case::anchor("tag: 1.1\n", "tag: 1.2\n", "tag: &tag 1.2\n", Stands::Unclear)]
    #[case::alias("tag: 1.1\n", "tag: 1.2\n", "tag: *tag\n", Stands::Unclear)]
    #[case::only_the_digest(
        "image: a:1@sha256:aa\n",
        "image: a:1@sha256:bb\n",
        "image: a:1@sha256:cc\n",
        Stands::Unclear
    )]
    #[case::in_part("a: 1\nb: 1\n", "a: 2\nb: 2\n", "a: 1\nb: 2\n", Stands::Unclear)]
    #[case::lines_were_added("a: 1\n", "a: 2\nb: 2\n", "a: 1\n", Stands::Unclear)]
    #[case::value_alone("- |\n  1\n", "- |\n  2\n", "- |\n  1 \n", Stands::Unclear)]
    fn lines_of_other_forms(
        #[case] before: &str,
        #[case] after: &str,
        #[case] now: &str,
        #[case] expected: Stands,
    ) {
        assert_eq!(stands(before, after, now), expected);
    }

    proptest::proptest! {
        /// Whatever the files hold, it is told apart without a panic, and what was put there is never told to be gone.
        #[test]
        fn what_stands_is_new(before in "[a-c0-3:. \n]{0,60}", after in "[a-c0-3:. \n]{0,60}", now in "\\PC{0,60}") {
            stands(&before, &after, &now);
            proptest::prop_assert!(!matches!(stands(&before, &after, &after), Stands::Old | Stands::Other));
        }
    }
}
