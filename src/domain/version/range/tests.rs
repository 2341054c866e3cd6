use proptest::prelude::*;

use super::*;

const GOLDEN: &str = include_str!("../../../../testdata/versions/masterminds.tsv");

fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n").replace("\\\\", "\\")
}

#[test]
fn ranges_answer_as_the_library_of_helm_and_flux_does() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in GOLDEN.lines().filter(|row| !row.starts_with('#')) {
        let [range, version, expected] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {row}")
        };
        let answer = match (Range::parse(&unescape(range)), strict_version(version)) {
            (Err(_), _) => "error",
            (Ok(_), None) => "skipped",
            (Ok(range), Some(version)) if range.matches(&version) => "yes",
            (Ok(_), Some(_)) => "no",
        };
        rows += 1;
        if answer != expected {
            wrong.push(format!("{row} <> {answer}"));
        }
    }
    assert!(rows > 7000, "the table has only {rows} rows");
    assert!(wrong.is_empty(), "{} of {rows} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn only_one_full_version_is_exact() {
    for (text, exact) in [
        ("1.2.3", true),
        ("v1.2.3", true),
        ("=1.2.3", true),
        ("1.2.3-rc.1", true),
        ("1.2", false),
        ("1.2.x", false),
        ("~1.2.3", false),
        ("1.2.3 || 1.2.4", false),
        (">=1.2.3 <=1.2.3", false),
        ("*", false),
    ] {
        assert_eq!(Range::parse(text).unwrap().is_exact(), exact, "{text}");
    }
}

#[test]
fn range_is_displayed_as_written() {
    for text in [" >=1.2 ,<2", "1.2 - 1.4", "1.x||3.x"] {
        assert_eq!(Range::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn errors_say_what_could_not_be_read() {
    let message = |text: &str| Range::parse(text).unwrap_err().to_string();
    insta::assert_snapshot!(message("1.x || latest"), @"cannot read `latest` as a version range");
    insta::assert_snapshot!(message(&"1".repeat(513)), @"cannot read a version range of 513 bytes, more than 512");
    insta::assert_snapshot!(message(&"1||".repeat(40)), @"cannot read a version range of 41 alternatives, more than 32");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,60}", range in "[0-9xv.*|<>=!~^ ,+a-c-]{0,40}") {
        let _: (bool, bool) = (Range::parse(&text).is_ok(), Range::parse(&range).is_ok());
    }

    #[test]
    fn bounds_agree_with_the_order(major in 0u64..3, minor in 0u64..4, patch in 0u64..4, other in 0u64..4) {
        let version = Version::new(major, minor, patch);
        let bound = Version::new(1, other, other);
        prop_assert_eq!(Range::parse(&format!(">={bound}")).unwrap().matches(&version), version >= bound);
        prop_assert_eq!(Range::parse(&format!("<{bound}")).unwrap().matches(&version), version < bound);
        prop_assert_eq!(Range::parse(&format!("!={bound}")).unwrap().matches(&version), version != bound);
    }
}
