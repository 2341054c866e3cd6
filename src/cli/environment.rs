//! The environment, apart from what stands for an option (which clap reads).

/// Variables that are read here, for the documentation.
pub(super) const OTHERS: &[(&str, &str)] = &[
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
