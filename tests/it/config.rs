//! `config init`, `check` and `schema`, as a user runs them.

use std::fs;

use super::exit_codes::{folder, program, run, seen};

#[test]
fn init_writes_a_file_that_check_accepts_and_never_overwrites_it() {
    let folder = folder();
    insta::assert_snapshot!(run(&folder, &["config", "init"]), @r"
    exit_code: 0
    --- stdout
    wrote `.gitops-updater.yaml`
    --- stderr
    ");
    insta::assert_snapshot!(run(&folder, &["config", "check"]), @r"
    exit_code: 0
    --- stdout
    ./.gitops-updater.yaml: ok
      detection: asked in every run, without pre-releases, announced
      policy: patch review, minor review, major manual, prerelease skip, digest
        review, of any age, ranges kept, verified in the cluster
    --- stderr
    ");
    fs::write(folder.path().join(".gitops-updater.yaml"), "# mine\n").unwrap();
    insta::assert_snapshot!(run(&folder, &["config", "init"]), @r"
    exit_code: 1
    --- stdout
    --- stderr
    error: `.gitops-updater.yaml` exists already
    hint: print the example with `--output -`
    ");
    assert_eq!(fs::read_to_string(folder.path().join(".gitops-updater.yaml")).unwrap(), "# mine\n");
}

#[test]
fn init_prints_the_example_on_request() {
    let folder = folder();
    let text = run(&folder, &["config", "init", "--output", "-"]);
    assert!(text.contains("\ndetection:\n"), "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A mistake of one file hid those of the other, and types were named as Rust does.
#[test]
fn check_tells_all_that_is_wrong_with_the_configuration_and_the_rules_beside_it() {
    let folder = folder();
    fs::create_dir_all(folder.path().join(".gitops-updater/rules")).unwrap();
    let text =
        "windows: [{cron: 99 2 * * 6, duration: 4h, time_zone: Europe/Berln}]\nlimits: {per_hour: many}\n";
    fs::write(folder.path().join(".gitops-updater.yaml"), text).unwrap();
    let rule = "id: mine\nscheme: semvre\npins: 1\n";
    fs::write(folder.path().join(".gitops-updater/rules/mine.yaml"), rule).unwrap();
    insta::assert_snapshot!(run(&folder, &["config", "check"]), @r"
    exit_code: 3
    --- stdout
    --- stderr
    error: configuration `./.gitops-updater.yaml` has 3 errors
      ./.gitops-updater.yaml:1:18: windows[0].cron: `99 2 * * 6` is not a cron expression of five fields: minute, hour, day of month, month, day of week (such as `0 2 * * 6`)
      ./.gitops-updater.yaml:1:55: windows[0].time_zone: unknown time zone `Europe/Berln`; zones are named as in `Europe/Berlin`
      ./.gitops-updater.yaml:2:20: limits.per_hour: expected a whole number, found `many`
      1 rule file of the repository has mistakes
      .gitops-updater/rules/mine.yaml:1: `title` is missing
      .gitops-updater/rules/mine.yaml:1: `why` is missing
      .gitops-updater/rules/mine.yaml:2: `scheme`: unknown word `semvre`; did you mean `semver`?
      .gitops-updater/rules/mine.yaml:3: `pins`: expected a list, found the number 1
    hint: rules/README.md of the program explains every field
    ");
}

#[test]
fn check_tells_what_was_understood() {
    let folder = folder();
    fs::create_dir(folder.path().join("repo")).unwrap();
    fs::write(
        folder.path().join("mirror.yaml"),
        "detection: {helm/a/*: {ignore: true}, flux: {enabled: false}}
files: {exclude: [docs], include_ignored: true}
clusters: [{name: lab, path: ./clusters/lab/}]
architectures: [arm64, amd64]
upstreams:
  map: [{from: 'https://charts.example.com', to: ../charts}]
  hosts: {ghcr.io: {token_env: MY_TOKEN}}
",
    )
    .unwrap();
    insta::assert_snapshot!(run(&folder, &["config", "check", "repo", "--config", "mirror.yaml"]), @r#"
    exit_code: 0
    --- stdout
    mirror.yaml: ok
      detection.flux: left out of the report
      detection["helm/a/*"]: ignored (the configuration says so)
      files: 1 pattern excluded
      files: those that Git ignores are read
      cluster lab: clusters/lab
      architectures: amd64, arm64
      https://charts.example.com/ is read from ./../charts
      host ghcr.io: token from $MY_TOKEN
    --- stderr
    "#);
}

#[test]
fn file_judged_as_part_of_a_repository_may_do_less() {
    let folder = folder();
    fs::write(
        folder.path().join("c.yaml"),
        "upstreams: {hosts: {evil.example: {token_env: GITHUB_TOKEN}}}\n",
    )
    .unwrap();
    insta::assert_snapshot!(run(&folder, &["config", "check", "c.yaml"]), @r#"
    exit_code: 3
    --- stdout
    --- stderr
    error: configuration `c.yaml` has 1 error
      c.yaml:1:47: upstreams.hosts["evil.example"].token_env: a configuration in the repository may only name `GITOPS_UPDATER_HOST_EVIL_EXAMPLE_TOKEN`, `GITOPS_UPDATER_HOST_EVIL_EXAMPLE_USERNAME` and `GITOPS_UPDATER_HOST_EVIL_EXAMPLE_PASSWORD` here; only a configuration outside the repository, named with `--config`, may do this
    "#);
}

#[test]
fn naming_a_file_of_the_repository_does_not_make_it_the_users_own() {
    let folder = folder();
    fs::create_dir(folder.path().join("repo")).unwrap();
    let text = "upstreams: {credential_helpers: true}\n";
    fs::write(folder.path().join("own.yaml"), text).unwrap();
    fs::write(folder.path().join("repo/theirs.yaml"), text).unwrap();
    for (file, code) in [("own.yaml", 0), ("repo/theirs.yaml", 3)] {
        let text = run(&folder, &["config", "check", "repo", "--config", file]);
        assert!(text.starts_with(&format!("exit_code: {code}\n")), "{text}");
    }
    let text = run(&folder, &["detect", "repo", "--config", "repo/theirs.yaml"]);
    assert!(text.starts_with("exit_code: 3\n"), "{text}");
}

#[test]
fn check_without_a_file_says_how_to_get_one() {
    insta::assert_snapshot!(run(&folder(), &["config", "check"]), @r"
    exit_code: 3
    --- stdout
    --- stderr
    error: there is no configuration `./.gitops-updater.yaml`
    hint: `gitops-updater config init` writes a commented example
    ");
}

#[test]
fn configuration_of_the_folder_comes_before_that_of_the_repository() {
    let folder = folder();
    let root = folder.path();
    fs::create_dir_all(root.join("repo/.git")).unwrap();
    fs::create_dir_all(root.join("repo/sub/deep")).unwrap();
    fs::write(root.join("repo/.gitops-updater.yaml"), "of_root: 1\n").unwrap();
    fs::write(root.join("repo/sub/.gitops-updater.yaml"), "of_sub: 1\n").unwrap();
    for (path, named) in [("repo", "of_root"), ("repo/sub", "of_sub"), ("repo/sub/deep", "of_root")] {
        let text = run(&folder, &["detect", path]);
        assert!(text.starts_with("exit_code: 3\n") && text.contains(named), "{path}: {text}");
    }
    fs::write(root.join(".gitops-updater.yaml"), "of_nobody: 1\n").unwrap();
    assert!(!run(&folder, &["detect", "repo/sub/deep"]).contains("of_nobody"));
}

#[test]
fn configuration_that_is_a_link_is_not_followed() {
    let folder = folder();
    fs::write(folder.path().join("secret"), "password: hunter2\n").unwrap();
    std::os::unix::fs::symlink("secret", folder.path().join(".gitops-updater.yaml")).unwrap();
    let text = run(&folder, &["config", "check"]);
    assert!(text.contains("is not a regular file") && !text.contains("hunter2"), "{text}");
}

#[test]
fn files_that_are_no_text_or_too_large_are_refused() {
    let folder = folder();
    fs::write(folder.path().join("binary.yaml"), b"a: \xff\xfe").unwrap();
    fs::write(folder.path().join("large.yaml"), "#".repeat((1 << 20) + 1)).unwrap();
    assert!(run(&folder, &["config", "check", "binary.yaml"]).contains("is not UTF-8 text"));
    assert!(run(&folder, &["config", "check", "large.yaml"]).contains("is larger than 1 MiB"));
}

#[test]
fn schema_is_written_whole_to_a_file() {
    let folder = folder();
    run(&folder, &["config", "schema", "--output", "schema.json"]);
    let written = fs::read_to_string(folder.path().join("schema.json")).unwrap();
    assert_eq!(written, include_str!("../../schema/config.v1.json"));
}

#[test]
fn flags_of_the_environment_may_say_no() {
    let folder = folder();
    for value in ["", "0", "no", "off", "false"] {
        let text = seen(
            program(&folder).args(["detect", "none", "--no-cache"]).env("GITOPS_UPDATER_OFFLINE", value),
        );
        assert!(text.contains("cannot open `none`"), "{value:?}: {text}");
    }
}
