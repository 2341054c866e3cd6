use super::*;

const GOOD: &str = "\
id: app
title: App
why: because
component: {id: 'app/{name}', kind: release, name: '{name}'}
scheme: semver
pins:
  - id: app-version
    in: {kind: App}
    version: /spec/version
    upstream: {type: github_releases, repository: example/app}
";

/// One mistake was told, and the next one only when that was mended.
#[test]
fn every_mistake_of_a_file_is_told_at_once_in_words_of_people() {
    let told = |text: &str| -> Vec<String> {
        let found = mistakes(text).into_iter();
        found.map(|error| format!("{}: {error}", error.line.unwrap_or_default())).collect()
    };
    assert_eq!(told(GOOD), [""; 0]);
    let text = GOOD
        .replace("title: App\n", "title: [a]\n")
        .replace("why: because\n", "")
        .replace("scheme: semver", "scheme: semvre")
        .replace("{kind: App}", "{knid: App, within: x, values: 1}");
    assert_eq!(
        told(&text),
        [
            "1: `why` is missing",
            "2: `title`: expected text, found a list",
            "4: `scheme`: unknown word `semvre`; did you mean `semver`?",
            "7: `pins[0].in.knid`: unknown field; did you mean `kind`?",
            "7: `pins[0].in.within`: expected a whole number, found `x`",
            "7: `pins[0].in.values`: expected `true` or `false`, found the number 1",
        ]
    );
    let text = GOOD.replace("id: app\n", "id: An App\n").replace("/spec/version", "/spec//version");
    assert_eq!(
        told(&text),
        [
            "1: `id`: use lower-case letters, digits and `-`",
            "9: `pins[0].version`: route `/spec//version` has an empty part",
        ]
    );
}

/// Holds that a good rule is wrong in one place after each change, which is told with its line in these words.
#[track_caller]
pub(in crate::rules) fn assert_told(good: &str, changes: &[(&str, &str, usize, &str)]) {
    assert!(parse(good).is_ok());
    let mut wrong = vec![];
    for (from, to, line, expected) in changes {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let error = parse(&text).expect_err(&text);
        let told = (error.line, error.to_string());
        if told.0 != Some(*line) || !told.1.starts_with(expected) || told.1.contains(" at line ") {
            wrong.push(format!("{to}: {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_error_names_its_line_and_field() {
    let changes = [
        ("title: App\n", "", 1, "`title` is missing"),
        ("why:", "wyh:", 1, "`why` is missing"),
        ("id: app\n", "id: An App\n", 1, "`id`: use lower-case letters, digits and `-`"),
        ("scheme: semver", "scheme: calver", 5, "`scheme`: unknown word `calver`"),
        ("kind: App}", "knid: App}", 8, "`pins[0].in.knid`: unknown field; did you mean `kind`?"),
        ("in: {kind: App}", "in: {}", 8, "`pins[0].in`: say exactly one of objects"),
        ("/spec/version", "/spec//version", 9, "`pins[0].version`: route `/spec//version` has an empty part"),
        (
            "    version: /spec",
            "    pattern: '('\n    version: /spec",
            9,
            "`pins[0].pattern`: is no valid pattern",
        ),
        (
            "    version: /spec",
            "    pattern: 'x'\n    version: /spec",
            9,
            "`pins[0].pattern`: needs a group named `version`",
        ),
        (
            "    version: /spec",
            "    format: tag\n    version: /spec",
            9,
            "`pins[0].format`: `tag` needs `repository`",
        ),
        (
            "    version: /spec",
            "    absent: {}\n    version: /spec",
            9,
            "`pins[0].absent`: name exactly one of",
        ),
        (
            "app/{name}",
            "app/{nmae}",
            4,
            "`component.id`: `{nmae}` is filled in by nothing; there are `{kind}`, `{name}`, `{namespace}`",
        ),
        (
            "    version: /spec",
            "    pulls: 'quay.io/{image}'\n    version: /spec",
            9,
            "`pins[0].pulls`: `{image}` is filled in by nothing",
        ),
        ("app/{name}", "app/{name", 4, "`component.id`: `app/{name` has a `{` without `}`"),
        (
            "{type: github_releases, repository: example/app}",
            "{type: image}",
            10,
            "`pins[0].upstream.type`: `{registry}` is filled in by nothing",
        ),
        ("github_releases", "github", 10, "`pins[0].upstream"),
        ("pins:", "claims: [{chart: a, oci: b}]\npins:", 6, "`claims[0]`: name exactly one of `chart`"),
        ("pins:", "pins: [", 7, ""),
    ];
    assert_told(GOOD, &changes);
}

#[test]
fn what_is_written_again_reads_as_the_same_rule() {
    let raw = read_any(GOOD).unwrap();
    let json = serde_json::to_string(&raw).unwrap();
    // Only what the file says: no default is spelled out.
    assert_eq!(json.matches(':').count(), GOOD.matches(':').count(), "{json}");
    assert!(parse(&json).is_ok(), "{json}");
}

#[test]
fn strict_pin_leaves_what_is_no_version_and_keeps_variables() {
    let loose = GOOD.replace("version: /spec/version", "version: /spec/version\n    strict: true");
    for (version, found) in [("1.2.3", true), ("${APP_VERSION}", true), ("newest", false)] {
        let text = format!(
            "apiVersion: a/v1\nkind: App\nmetadata: {name}\nspec: {{version: '{version}'}}\n",
            name = "{name: a}"
        );
        for (rule, wanted) in [(&*loose, found), (GOOD, true)] {
            let rules = [parse(rule).unwrap()];
            let scan = crate::domain::scan::scan_file("a.yaml", text.as_bytes(), &rules);
            assert_eq!(!scan.found.is_empty(), wanted, "{version}");
        }
    }
}

#[test]
fn classes_of_patterns_are_ascii_and_everything_else_stays() {
    for (pattern, plain) in [
        (r"v?\d+\.\d", r"v?[0-9]+\.[0-9]"),
        (r"[\w.+-]", r"[[0-9A-Za-z_].+-]"),
        (r"\\d\?", r"\\d\?"),
        (r"[^&#\s]", r"[^&#[ \t\n\r\x0b\x0c]]"),
    ] {
        assert_eq!(super::ascii_classes(pattern), plain, "{pattern}");
        assert!(regex::Regex::new(plain).is_ok(), "{pattern}");
    }
}
