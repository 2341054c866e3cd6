//! The environment, apart from what stands for an option (which clap reads).

use std::collections::BTreeMap;

/// Variables that are read here, for the documentation.
const OTHERS: &[(&str, &str)] = &[
    ("GITOPS_UPDATER_GITHUB_TOKEN", "Token for the GitHub API; before `GITHUB_TOKEN` and `GH_TOKEN`"),
    ("GITHUB_TOKEN", "Token for the GitHub API"),
    ("GH_TOKEN", "Token for the GitHub API"),
    (
        "GITOPS_UPDATER_HOST_<HOST>_TOKEN",
        "Bearer token for a host, where the configuration names it; likewise `_USERNAME` and `_PASSWORD`",
    ),
    (
        "GITOPS_UPDATER_NOTIFY_<NAME>_URL",
        "Address of a notification channel, where the configuration names it; likewise `_SECRET`, the key for signing",
    ),
    ("GITOPS_UPDATER_DISABLE", "`1` stops every effect but recording (the kill switch)"),
    ("GITOPS_UPDATER_GITHUB_PRIVATE_KEY", "Private key of the GitHub App, PEM"),
    ("KUBECONFIG", "Kubeconfig for `facts`, `health` and `--cluster`"),
    ("XDG_CACHE_HOME", "Where the cache folder lies, unless `--cache-dir` says; else `~/.cache`"),
    ("DOCKER_CONFIG", "Folder of Docker's `config.json`; else `~/.docker`"),
    ("NO_COLOR", "No colours; `CLICOLOR` and `CLICOLOR_FORCE` are honoured, too"),
    ("CI", "No progress bar"),
    ("GITHUB_ACTIONS", "`true`: annotations, step summary and outputs are written"),
    ("GITHUB_WORKSPACE", "In GitHub Actions: what the places of annotations are relative to"),
];

/// The value of a variable; `None` where it is not set, empty or not text.
#[expect(clippy::disallowed_methods, reason = "the one place that reads what clap does not")]
pub(super) fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Takes variables that are set to nothing from the options that they stand for: to clap nothing is a value, and in a
/// workflow it is how a variable is left out.
pub(super) fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |argument: &clap::Arg| {
        let variable = argument.get_env();
        variable.is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()))
    };
    command
        .mut_args(|argument| if is_empty(&argument) { argument.env(None::<&'static str>) } else { argument })
        .mut_subcommands(without_empty)
}

/// Whether a variable is set to something other than `false` and `0`.
pub(super) fn is_set(name: &str) -> bool {
    read(name).is_some_and(|value| value != "false" && value != "0")
}

/// Markdown table of the environment variables that stand for options, for the README.
pub fn environment_table() -> String {
    /// By variable: the option, and what it means by command, where commands differ.
    type Meanings = BTreeMap<String, (String, Vec<(String, String)>)>;
    fn visit(command: &clap::Command, meanings: &mut Meanings) {
        for argument in command.get_arguments() {
            if let (Some(variable), Some(long)) = (argument.get_env(), argument.get_long()) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let variable = variable.to_string_lossy().into_owned();
                let (_, known) = meanings.entry(variable).or_insert_with(|| (long.to_owned(), Vec::new()));
                if !known.iter().any(|(_, known)| *known == help) {
                    known.push((command.get_name().to_owned(), help));
                }
            }
        }
        for subcommand in command.get_subcommands() {
            visit(subcommand, meanings);
        }
    }
    let mut meanings = Meanings::new();
    visit(&super::command(), &mut meanings);
    let row = |(variable, (long, known)): (String, (String, Vec<(String, String)>))| {
        let meaning = match known.as_slice() {
            [(_, help)] => help.clone(),
            several => {
                let each = several.iter().map(|(command, help)| format!("`{command}`: {help}"));
                each.collect::<Vec<_>>().join("; ")
            }
        };
        (variable, format!("`--{long}` | {meaning}"))
    };
    let mut rows: BTreeMap<String, String> = meanings.into_iter().map(row).collect();
    for (variable, meaning) in OTHERS {
        rows.insert((*variable).to_owned(), format!("| {meaning}"));
    }
    let mut table = "| variable | option | meaning |\n|---|---|---|\n".to_owned();
    for (variable, row) in rows {
        table.push_str(&format!("| `{variable}` | {row} |\n"));
    }
    table
}
