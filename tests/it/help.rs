//! Help of every command: a snapshot of each, within 80 columns; the table of environment variables.

use super::exit_codes::{folder, run};

fn every_command(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    for subcommand in command.get_subcommands() {
        let mut path = path.to_vec();
        path.push(subcommand.get_name().to_owned());
        every_command(subcommand, &path, found);
    }
}

fn snapshot(name: &str, text: &str) {
    // Beside the tests, not among their modules.
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn help_of_every_command_fits_80_columns() {
    let folder = folder();
    let mut commands = vec![];
    every_command(&gitops_updater::cli::command(), &[], &mut commands);
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        for flag in ["--help", "-h"] {
            let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
            arguments.push(flag);
            let text = run(&folder, &arguments);
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{command:?}: {line}");
            }
        }
    }
}

#[test]
fn help_sentences_end_without_full_stop() {
    fn visit(command: &clap::Command) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty() && !about.ends_with('.'), "{}: {about:?}", command.get_name());
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty() && !help.ends_with('.'),
                "{} {}: {help:?}",
                command.get_name(),
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(visit);
    }
    visit(&gitops_updater::cli::command());
}

/// The formats that a help lists.
fn formats(help: &str) -> Vec<String> {
    let option = help.split_once("--format <FORMAT>").map_or("", |(_, option)| option);
    let Some((_, values)) = option.split_once("[possible") else { return Vec::new() };
    let values = values.split(']').next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    values.trim_start_matches("values: ").split(", ").map(str::to_owned).collect()
}

/// Every help listed the seven formats of `detect`, and the command then refused some of them.
#[test]
fn each_command_lists_the_formats_that_it_takes() {
    let folder = folder();
    let all = formats(&run(&folder, &["detect", "--help"]));
    assert_eq!(all, ["text", "json", "yaml", "csv", "html", "xml", "markdown"]);
    for command in [
        &["plan"][..],
        &["run"],
        &["verify"],
        &["status"],
        &["report"],
        &["facts"],
        &["health"],
        &["pr", "list"],
        &["dashboard", "show"],
        &["backup", "list"],
        &["maintenance", "status"],
        &["notify", "test"],
        &["rules", "list"],
    ] {
        let listed = formats(&run(&folder, &[command, &["--help"]].concat()));
        assert!(listed.len() >= 3, "{command:?}: {listed:?}");
        for format in &all {
            for arguments in
                [[command, &["--format", format]].concat(), [&["--format", format], command].concat()]
            {
                let is_refused = run(&folder, &arguments).starts_with("exit_code: 2\n");
                assert_eq!(is_refused, !listed.contains(format), "{arguments:?}, listed: {listed:?}");
            }
        }
    }
}

#[test]
fn help_says_what_it_said() {
    let folder = folder();
    let mut commands = vec![];
    every_command(&gitops_updater::cli::command(), &[], &mut commands);
    let mut all = String::new();
    for command in commands {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let text = run(&folder, &arguments);
        let text = text.strip_prefix("exit_code: 0\n--- stdout\n").expect("help is no error");
        let text = text.strip_suffix("--- stderr\n").expect("help goes to stdout");
        // The global options are the same everywhere and shown once.
        let text = match text.split_once("Global options:\n") {
            Some((own, global)) if !command.is_empty() => {
                let (options, after) = global.split_once("\n\n").unwrap_or((global, ""));
                let formats = match formats(options).join(", ") {
                    none if none.is_empty() => "no --format".to_owned(),
                    formats => format!("--format is one of {formats}"),
                };
                format!("{own}Global options: as above; {formats}\n{after}")
            }
            _ => text.to_owned(),
        };
        all.push_str(&format!("$ gitops-updater {}\n{text}\n", arguments.join(" ")));
    }
    snapshot("help", &all);
}

#[test]
fn environment_variables_are_listed_for_the_readme() {
    snapshot("environment", &gitops_updater::cli::environment_table());
}

#[test]
fn completions_know_every_command_in_every_shell() {
    let folder = folder();
    let commands: Vec<String> = gitops_updater::cli::command()
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = run(&folder, &["completions", shell]);
        assert!(text.starts_with("exit_code: 0\n") && text.ends_with("--- stderr\n"), "{shell}: {text}");
        for command in &commands {
            assert!(text.contains(command.as_str()), "{shell} does not know `{command}`");
        }
    }
    assert!(run(&folder, &["completions", "tcsh"]).starts_with("exit_code: 2\n"));
}
