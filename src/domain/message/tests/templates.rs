//! The user's own templates.

use rstest::rstest;

use super::*;

#[test]
fn templates_of_the_user_take_the_place_of_ours() {
    let overrides = Overrides {
        title: Some("chore(deps): {{ component }} {{ to }}\n".to_owned()),
        commit: Some(String::new()),
        pull_request: Some("{{ why }} {{ warnings|length }} {{ edits[0].file }}".to_owned()),
        dashboard: None,
    };
    let written = written("x", &[], &Templates::new(overrides).unwrap());
    assert_eq!(written.title, "chore(deps): longhorn 1.12.1");
    assert!(written.commit.starts_with("chore(deps): longhorn 1.12.1\n\nGitops-Updater-Update: "));
    assert!(written.body.starts_with("fixes CVE-2026-12345 0 infrastructure/longhorn/release.yaml\n\n<!-- "));
}

#[rstest]
#[case::no_template("{% if %}", "cannot use the template `pull_request` (line 1): syntax error")]
#[case::unknown_name("a\n{{ nothing }}", "cannot use the template `pull_request` (line 2): undefined value")]
#[case::endless(
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "it takes too many steps"
)]
#[case::too_long("{% for a in range(70000) %}x{% endfor %}", "characters, more than")]
fn a_wrong_template_is_named(#[case] template: &str, #[case] expected: &str) {
    let overrides = Overrides { pull_request: Some(template.to_owned()), ..Overrides::default() };
    let step = step();
    let marker = marker(&step);
    let error = match Templates::new(overrides) {
        Ok(templates) => Proposal {
            marker: &marker,
            step: &step,
            name: "",
            why: "",
            wave: (1, 1),
            before: &[],
            after: &[],
            gates: &[],
            left_alone: &[],
            advisories: &[],
            breaking: &[],
            warnings: &[],
            changelog_url: None,
            releases: &[],
            sections: &[],
            data_backups: &[],
            not_covered: &[],
            last_way: None,
        }
        .write(&templates)
        .unwrap_err(),
        Err(error) => error,
    };
    assert!(error.to_string().contains(expected), "{error}");
}
