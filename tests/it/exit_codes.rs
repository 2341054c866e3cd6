//! The exit codes that scripts rely on, and what stands on stderr beside them.

use assert_cmd::Command;
use tempfile::TempDir;

/// The built program in an empty folder, with nothing of the caller's environment.
pub(crate) fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitops-updater"));
    command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
    command
}

/// Exit code, stdout and stderr as one text.
pub(crate) fn run(folder: &TempDir, arguments: &[&str]) -> String {
    seen(program(folder).args(arguments))
}

/// Runs a command and shows what a caller sees of it.
pub(crate) fn seen(command: &mut Command) -> String {
    let output = command.output().unwrap();
    format!(
        "exit_code: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().map_or("none".to_owned(), |code| code.to_string()),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    )
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn wrong_use_is_2() {
    let folder = folder();
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["detect", "--no-such-option"],
        &["detect", "--format", "pdf"],
        &["detect", "--component", ""],
        &["detect", "--now", "yesterday"],
        &["detect", "--no-cache", "--offline"],
        &["config", "check", "-q", "-v"],
        &["config", "schema", "--log-filter", "a=b=c"],
    ] {
        let text = run(&folder, arguments);
        assert!(text.starts_with("exit_code: 2\n--- stdout\n--- stderr\n"), "{arguments:?}: {text}");
    }
}

#[test]
fn help_and_version_are_0_and_on_stdout() {
    let folder = folder();
    for arguments in [&["--help"][..], &["--version"], &["help", "detect"], &["config", "init", "--help"]] {
        let text = run(&folder, arguments);
        assert!(
            text.starts_with("exit_code: 0\n") && text.ends_with("--- stderr\n"),
            "{arguments:?}: {text}"
        );
    }
}

/// To clap nothing was a value: an input that a workflow left out ended the program.
#[test]
fn variable_that_is_set_to_nothing_counts_as_not_set() {
    let folder = folder();
    for name in
        ["CONFIG", "COMPONENT", "FORMAT", "OUTPUT", "COLOR", "LOG_FORMAT", "CACHE_DIR", "NOW", "OFFLINE"]
    {
        let text = seen(program(&folder).arg("detect").env(format!("GITOPS_UPDATER_{name}"), ""));
        assert!(text.starts_with("exit_code: 0\n"), "{name}: {text}");
    }
}

#[test]
fn invalid_configuration_is_3() {
    let folder = folder();
    std::fs::write(folder.path().join(".gitops-updater.yaml"), "detection:\n  k3s: {chanel: stable}\n")
        .unwrap();
    insta::assert_snapshot!(run(&folder, &["detect"]), @r"
    exit_code: 3
    --- stdout
    --- stderr
    error: configuration `./.gitops-updater.yaml` has 1 error
      ./.gitops-updater.yaml:2:9: detection.k3s.chanel: unknown field; did you mean `channel`?
    ");
    assert!(run(&folder, &["config", "check"]).starts_with("exit_code: 3\n"));
}

#[test]
fn configuration_that_is_named_and_missing_is_3() {
    insta::assert_snapshot!(run(&folder(), &["detect", "--config", "none.yaml"]), @r"
    exit_code: 3
    --- stdout
    --- stderr
    error: cannot read configuration `none.yaml`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn missing_path_is_1() {
    insta::assert_snapshot!(run(&folder(), &["detect", "none"]), @r"
    exit_code: 1
    --- stdout
    --- stderr
    error: cannot open `none`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn output_that_cannot_be_written_is_1() {
    insta::assert_snapshot!(run(&folder(), &["config", "schema", "--output", "none/schema.json"]), @r"
    exit_code: 1
    --- stdout
    --- stderr
    error: cannot write `none/schema.json`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn reader_who_leaves_is_no_error() {
    let folder = folder();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_gitops-updater"))
        .args(["completions", "bash"])
        .env_clear()
        .current_dir(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn errors_are_coloured_only_on_request() {
    let folder = folder();
    assert!(!run(&folder, &["detect", "none"]).contains('\u{1b}'));
    assert!(run(&folder, &["detect", "none", "--color", "always"]).contains("\u{1b}[1m\u{1b}[31merror:"));
    let text = seen(
        program(&folder).args(["detect", "none"]).env("GITOPS_UPDATER_COLOR", "always").env("NO_COLOR", "1"),
    );
    assert!(text.contains('\u{1b}'), "what is asked for outright wins over NO_COLOR");
}
