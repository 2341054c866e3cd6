//! Options of all commands: each of them does something, is refused, or is not offered.

use std::collections::BTreeSet;

use crate::exit_codes::{folder, run};
use crate::support::sandbox::Sandbox;

/// What takes `--component`.
const COMPONENTS: [&str; 9] =
    ["detect", "plan", "run", "propose", "verify", "status", "report", "backup create", "backup restore"];
/// What asks upstreams.
const OFFLINE: [&str; 4] = ["detect", "plan", "run", "propose"];
/// What says things in one form.
const ONE_FORM: [&str; 4] = ["config init", "config check", "config schema", "completions"];

/// Every command that can be run, by its names, and what it needs beside options.
fn commands() -> Vec<(String, Vec<&'static str>)> {
    fn visit(command: &clap::Command, above: &str, found: &mut Vec<(String, Vec<&'static str>)>) {
        for command in command.get_subcommands() {
            let name = format!("{above} {}", command.get_name()).trim().to_owned();
            if command.has_subcommands() {
                visit(command, &name, found);
                continue;
            }
            let needed = match name.as_str() {
                "pr show" | "pr merge" | "pr close" => vec!["1"],
                "dashboard tick" => vec!["open", "k3s@v1.34.1+k3s1"],
                "backup show" | "backup restore" | "acknowledge" | "rules show" => vec!["it"],
                "rollback" => vec!["k3s"],
                "completions" => vec!["bash"],
                _ => vec![],
            };
            found.push((name, needed));
        }
    }
    let mut found = Vec::new();
    visit(&gitops_updater::cli::command(), "", &mut found);
    found
}

/// `maintenance enable --component longhorn` stopped all updates, and `backup list --component k3s` listed everything.
#[test]
fn option_that_would_do_nothing_is_refused_and_not_in_the_help() {
    let folder = folder();
    let names: BTreeSet<String> = commands().into_iter().map(|(name, _)| name).collect();
    for named in COMPONENTS.iter().chain(&OFFLINE).chain(&ONE_FORM) {
        assert!(names.contains(*named), "there is no command `{named}`");
    }
    let mut refused = 0;
    for (command, needed) in commands() {
        let words: Vec<&str> = command.split(' ').collect();
        let help = run(&folder, &[&words[..], &["--help"]].concat());
        for (option, value, is_taken) in [
            ("--component", Some("k3s"), COMPONENTS.contains(&command.as_str())),
            ("--offline", None, OFFLINE.contains(&command.as_str())),
            ("--format", Some("json"), !ONE_FORM.contains(&command.as_str())),
            ("--output", Some("-"), true),
        ] {
            let is_offered = help.lines().any(|line| line.trim_start().starts_with(option));
            assert_eq!(is_offered, is_taken, "{command} {option}: {help}");
            if is_taken {
                continue;
            }
            refused += 1;
            let written: Vec<&str> = [option].into_iter().chain(value).collect();
            // Before and after the command.
            for arguments in
                [[&words[..], &needed, &written].concat(), [&written[..], &words, &needed].concat()]
            {
                let told = run(&folder, &arguments);
                assert!(
                    told.starts_with("exit_code: 2\n--- stdout\n--- stderr\n")
                        && told.contains(&format!("`{command}` takes no `{option}`")),
                    "{arguments:?}: {told}"
                );
            }
        }
    }
    assert!(refused > 30, "{refused} refused");
}

/// In the environment an option is a default for all commands.
#[test]
fn option_of_the_environment_is_refused_by_no_command() {
    let sandbox = Sandbox::with_empty_repo()
        .variable("GITOPS_UPDATER_COMPONENT", "k3s")
        .variable("GITOPS_UPDATER_OFFLINE", "1")
        .variable("GITOPS_UPDATER_FORMAT", "json");
    sandbox.write("a.yaml", "a: 1\n");
    sandbox.git().commit_all("Start");
    for arguments in
        [&["maintenance", "status"][..], &["backup", "list"], &["rules", "list"], &["config", "schema"]]
    {
        drop(sandbox.run(arguments).exited(0));
    }
    // A default names nobody whose data is meant, and nothing that goes back.
    drop(sandbox.run(["backup", "create"]).exited(0));
    let nothing = sandbox.run(["rollback", "--emergency"]).exited(1);
    assert!(!nothing.stderr.contains("--component"), "{nothing}");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let folder = folder();
    for (arguments, said) in [
        (&["verify", "--accept", "x", "--component", "k3s"][..], "`verify --accept` takes no `--component`"),
        (&["verify", "--replay", "x", "--component", "k3s"], "`verify --replay` takes no `--component`"),
        (&["backup", "restore", "x", "--etcd", "--component", "k3s"], "`backup restore --etcd` takes no"),
        (&["plan", "--graph", "dot", "--format", "json"], "`plan --graph` takes no `--format`"),
        (&["rollback", "k3s", "--component", "k3s"], "name the component itself"),
        (&["maintenance", "enable", "--component", "k3s"], "`policy.components` of the configuration"),
    ] {
        let told = run(&folder, arguments);
        assert!(told.starts_with("exit_code: 2\n") && told.contains(said), "{arguments:?}: {told}");
    }
}

/// What goes to a file is not on stdout as well, whatever says it.
#[test]
fn output_goes_to_the_file_that_is_named() {
    let sandbox = Sandbox::with_empty_repo();
    sandbox.write("a.yaml", "a: 1\n").write(".gitops-updater.yaml", "forge: {kind: local}\n");
    sandbox.git().commit_all("Start");
    drop(sandbox.run(["run", "--no-cache"]).exited(0));
    for arguments in [
        &["detect", "--no-cache"][..],
        &["plan", "--no-cache"],
        &["run", "--no-cache"],
        &["status"],
        &["report"],
        &["verify"],
        &["pr", "list"],
        &["backup", "create", "--backup-id", "mine"],
        &["backup", "list"],
        &["backup", "show", "mine"],
        &["maintenance", "enable"],
        &["maintenance", "status"],
        &["maintenance", "disable"],
        &["rules", "list"],
        &["rules", "show", "k3s"],
        &["config", "check"],
        &["config", "schema"],
        &["completions", "bash"],
    ] {
        let written = sandbox.work().with_file_name("written");
        let arguments = [arguments, &["--output", "../written"]].concat();
        let told = sandbox.run(&arguments).exited(0);
        assert_eq!(told.stdout, "", "{arguments:?}");
        assert!(!std::fs::read(&written).unwrap().is_empty(), "{arguments:?}");
        std::fs::remove_file(written).unwrap();
    }
}
