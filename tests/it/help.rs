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
                let after = global.split_once("\n\n").map_or("", |(_, after)| after);
                format!("{own}Global options: as above\n{after}")
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
