//! Unified diffs, as people know them from Git.

use std::fmt;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

use crate::domain::notes::is_unprintable;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Header,
    Hunk,
    Added,
    Removed,
    Context,
    /// `\ No newline at end of file`
    Note,
}

/// A unified diff of one file. What a terminal would act upon is replaced by `\u{fffd}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    lines: Vec<(Mark, String)>,
}

impl Diff {
    /// Compares two texts of the file at `path`; empty where they are the same.
    pub fn of(path: &str, before: &str, after: &str) -> Self {
        let mut diff = Self::default();
        if before == after {
            return diff;
        }
        diff.push(Mark::Header, &format!("diff --git a/{path} b/{path}"));
        diff.push(Mark::Header, &format!("--- a/{path}"));
        diff.push(Mark::Header, &format!("+++ b/{path}"));
        let lines = TextDiff::from_lines(before, after);
        for hunk in lines.unified_diff().context_radius(CONTEXT).iter_hunks() {
            diff.push(Mark::Hunk, hunk.header().to_string().trim_end());
            for change in hunk.iter_changes() {
                let (mark, sign) = match change.tag() {
                    ChangeTag::Delete => (Mark::Removed, '-'),
                    ChangeTag::Insert => (Mark::Added, '+'),
                    ChangeTag::Equal => (Mark::Context, ' '),
                };
                let text = change.value();
                diff.push(mark, &format!("{sign}{}", text.strip_suffix('\n').unwrap_or(text)));
                if change.missing_newline() {
                    diff.push(Mark::Note, "\\ No newline at end of file");
                }
            }
        }
        diff
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Lines added and lines removed.
    pub fn counts(&self) -> (usize, usize) {
        let count = |wanted| self.lines.iter().filter(|(mark, _)| *mark == wanted).count();
        (count(Mark::Added), count(Mark::Removed))
    }

    /// The diff with ANSI colours, for terminals.
    pub fn coloured(&self) -> String {
        let mut text = String::new();
        for (mark, line) in &self.lines {
            let style = match mark {
                Mark::Header => Style::new().bold(),
                Mark::Hunk => AnsiColor::Cyan.on_default(),
                Mark::Added => AnsiColor::Green.on_default(),
                Mark::Removed => AnsiColor::Red.on_default(),
                Mark::Context | Mark::Note => Style::new(),
            };
            text.push_str(&format!("{style}{line}{style:#}\n"));
        }
        text
    }

    fn push(&mut self, mark: Mark, line: &str) {
        // The end of a line in a file from Windows is no danger.
        let (body, end) = line.strip_suffix('\r').map_or((line, ""), |body| (body, "\r"));
        let harmless =
            |letter: char| if letter != '\t' && is_unprintable(letter) { '\u{fffd}' } else { letter };
        let text = body.chars().map(harmless).collect::<String>() + end;
        self.lines.push((mark, text));
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(_, line)| writeln!(formatter, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_reads_like_one_of_git() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6";
        let diff = Diff::of("apps/x.yaml", before, &before.replace("e: 5", "e: 7"));
        insta::assert_snapshot!(diff.to_string(), @r"
        diff --git a/apps/x.yaml b/apps/x.yaml
        --- a/apps/x.yaml
        +++ b/apps/x.yaml
        @@ -2,5 +2,5 @@
         b: 2
         c: 3
         d: 4
        -e: 5
        +e: 7
         f: 6
        \ No newline at end of file
        ");
        assert_eq!(diff.counts(), (1, 1));
        let coloured = diff.coloured();
        assert!(coloured.contains("\u{1b}[31m-e: 5\u{1b}[0m\n") && coloured.contains("\u{1b}[32m+e: 7"));
    }

    #[test]
    fn texts_that_are_the_same_have_no_diff() {
        assert!(Diff::of("x", "a\n", "a\n").is_empty());
    }

    #[test]
    fn nothing_in_a_file_reaches_the_terminal_as_a_command() {
        let diff = Diff::of("x\u{1b}]0;y", "a\r\n", "\u{1b}[2Ja\u{202e}\tb\r\n").to_string();
        assert!(!diff.contains('\u{1b}') && !diff.contains('\u{202e}') && diff.contains("a\u{fffd}\tb\r\n"));
    }
}
