//! Errors of commands: what happened, why, what to do, and the exit code.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::form::WIDTH;
use super::github_actions::harmless;
use super::stop::Signal;
use crate::config;
use crate::repo::printable;
use crate::report::clean;
use crate::strict;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// Updates are available, and `--exit-code` asked to tell.
    UpdatesAvailable,
    /// There are updates, all of them held, and `--exit-code` asked to tell.
    AllHeld,
    /// Some of it failed, and was told; the rest was done.
    Incomplete,
    /// Something is wrong in the cluster, and `--exit-code` asked to tell.
    Unhealthy,
    /// Not everything could be looked at, and `--exit-code` asked to tell.
    NotAllObserved,
    /// Another pass is at work, and nothing was done.
    NotItsTurn,
    /// It was asked to stop, and did so between two effects.
    Stopped(Signal),
    /// An update regressed and is held: not reverted, because a revert would do harm or was not wanted.
    Regressed,
    /// An update regressed and was reverted.
    Reverted,
    /// An update regressed and could not be reverted.
    RevertFailed,
    /// Nobody can say yet whether an update is good.
    Undecided,
}

/// Who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// File, Git, network; running again may help.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The configuration or a rule file is invalid.
    Configuration,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done | Outcome::NotItsTurn => 0,
            Outcome::UpdatesAvailable => 10,
            Outcome::AllHeld => 11,
            Outcome::Incomplete => 1,
            Outcome::Unhealthy => 12,
            Outcome::NotAllObserved => 13,
            Outcome::Stopped(signal) => signal.exit_code(),
            Outcome::Regressed => 20,
            Outcome::Reverted => 21,
            Outcome::RevertFailed => 22,
            Outcome::Undecided => 23,
        })
    }
}

impl From<ErrorKind> for ExitCode {
    fn from(kind: ErrorKind) -> Self {
        Self::from(match kind {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Configuration => 3,
        })
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct CommandError {
    /// Decides the exit code.
    pub kind: ErrorKind,
    /// What happened, with its causes.
    pub source: Box<dyn Error + Send + Sync>,
    /// Lines that belong to the error, such as the places in a configuration.
    pub details: Vec<String>,
    /// Paragraphs for people that belong to the error, such as what to do instead; those that begin with blanks stand
    /// further in.
    pub advice: Vec<String>,
    /// What to do: each names a flag, file or permission.
    pub hints: Vec<String>,
}

impl CommandError {
    fn new(kind: ErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into(), details: vec![], advice: vec![], hints: vec![] }
    }

    /// An operation failed.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Failed, source)
    }

    /// The command line makes no sense.
    pub fn usage(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Usage, source)
    }

    /// The configuration or a rule file is invalid.
    pub fn configuration(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Configuration, source)
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error with a line that belongs to it.
    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// The same error with a paragraph for people.
    #[must_use]
    pub(super) fn advice(mut self, paragraph: impl Into<String>) -> Self {
        self.advice.push(paragraph.into());
        self
    }

    /// The same error with another one after it, which was found beside it.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.details.push(other.source.to_string());
        self.details.extend(other.details);
        self.advice.extend(other.advice);
        self.hints.extend(other.hints);
        self
    }

    /// Error, details, causes and hints as people read them, with or without colours.
    pub fn render(&self, color: bool) -> String {
        let paint = |style: Style, word: &str| {
            if color { format!("{style}{word}{style:#}") } else { word.to_owned() }
        };
        let red = AnsiColor::Red.on_default().bold();
        let cyan = AnsiColor::Cyan.on_default().bold();
        let mut text = format!("{} {}\n", paint(red, "error:"), printable(&self.source.to_string()));
        for detail in &self.details {
            text.push_str(&format!("  {}\n", printable(detail)));
        }
        for paragraph in &self.advice {
            let inner = paragraph.len() - paragraph.trim_start().len();
            for line in clean::hanging(&clean::line(&printable(paragraph)), 2 + inner, WIDTH) {
                text.push_str(&format!("{line}\n"));
            }
        }
        for cause in self.causes() {
            text.push_str(&format!("  {} {}\n", paint(Style::new().bold(), "caused by:"), printable(&cause)));
        }
        for hint in &self.hints {
            text.push_str(&format!("{} {}\n", paint(cyan, "hint:"), printable(hint)));
        }
        text
    }

    /// What caused it, nearest first; errors of libraries that say their own causes say them once.
    fn causes(&self) -> Vec<String> {
        let mut said = self.source.to_string();
        let mut causes = Vec::new();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let text = strict::in_words(&error.to_string());
            if !said.contains(&text) {
                said.push_str(&text);
                causes.push(text);
            }
            cause = error.source();
        }
        causes
    }

    /// Tells the error on stderr: as an event of the log where that is read by programs, else as people read it.
    pub(super) fn tell(&self, as_event: bool) {
        // Where the log could not be started, nobody would get the event.
        if as_event && tracing::enabled!(tracing::Level::ERROR) {
            self.log();
        } else {
            self.print();
        }
    }

    /// Logs the error with its details, causes and hints.
    pub(super) fn log(&self) {
        let causes = self.causes();
        tracing::error!(
            error = %self.source,
            causes = causes.join("; "),
            details = self.details.iter().chain(&self.advice).map(|line| line.trim()).collect::<Vec<_>>().join("; "),
            hint = self.hints.join("; "),
            "failed"
        );
    }

    /// Writes the error to stderr.
    fn print(&self) {
        let stderr = std::io::stderr();
        let color = anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never;
        // Where stderr is gone there is nobody to tell.
        let _nobody_reads = stderr.lock().write_all(harmless(&self.render(color)).as_bytes()).is_err();
    }
}

impl From<config::Error> for CommandError {
    fn from(error: config::Error) -> Self {
        let details = match &error {
            config::Error::Invalid { findings, .. } => findings.iter().map(ToString::to_string).collect(),
            _ => vec![],
        };
        Self { details, ..Self::configuration(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of a library: it says its cause itself.
    #[derive(Debug, thiserror::Error)]
    #[error("no kubeconfig: {0}")]
    struct Library(#[source] std::io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot find a cluster")]
    struct Around(#[source] Library);

    #[test]
    fn advice_fits_a_terminal_and_its_commands_stay_whole() {
        let error = CommandError::failed("it would do harm").advice("what to do instead:").advice(format!(
            "  1. {}where nothing runs: `kubectl apply --server-side -f older-{}.yaml`",
            "look at it first, ".repeat(4),
            "manifest".repeat(8)
        ));
        insta::assert_snapshot!(error.render(false), @r"
        error: it would do harm
          what to do instead:
            1. look at it first, look at it first, look at it first, look at it first,
              where nothing runs:
              `kubectl apply --server-side -f older-manifestmanifestmanifestmanifestmanifestmanifestmanifestmanifest.yaml`
        ");
    }

    #[test]
    fn cause_that_was_said_is_not_said_again() {
        let error = CommandError::failed(Around(Library(std::io::Error::other("no such file"))));
        assert_eq!(
            error.render(false),
            "error: cannot find a cluster\n  caused by: no kubeconfig: no such file\n"
        );
    }

    #[test]
    fn cause_names_no_type_of_rust() {
        let source =
            serde_json::from_str::<std::collections::BTreeMap<String, u32>>("{\"a\": \"x\"}").unwrap_err();
        let error = CommandError::failed(Unread(source)).render(false);
        assert!(error.contains("expected a whole number at line 1") && !error.contains("u32"), "{error}");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it")]
    struct Unread(#[source] serde_json::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the pull request")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn error_causes_and_hints_stand_one_below_the_other() {
        let error = CommandError::failed(Outer(std::io::Error::other(
            "the forge answered \u{1b}[31m403\n::error::x",
        )))
        .hint("the token needs `pull-requests: write`");
        assert_eq!(
            error.render(false),
            "error: cannot open the pull request\n  caused by: the forge answered \\u{1b}[31m403\\n::error::x\nhint: the token needs `pull-requests: write`\n"
        );
        assert!(error.render(true).contains("\u{1b}["));
    }
}
