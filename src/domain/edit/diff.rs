//! Unified diffs, as people know them from Git.

use std::fmt;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use similar::{ChangeTag, TextDiff};

use crate::domain::notes::is_unprintable;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Time for comparing two texts; what takes longer is compared more coarsely, and never wrongly. The manifests of Flux
/// take a twentieth of it.
const TIME: Duration = Duration::from_secs(1);

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
        let lines = TextDiff::configure().timeout(TIME).diff_lines(before, after);
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

    /// Its first hunks, at most so many bytes of them, and a last line that says how much is left out.
    pub fn within(&self, bytes: usize) -> String {
        let text = self.to_string();
        let (mut end, mut whole) = (0, 0);
        let mut is_hunk = false;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let begins = is_border(line);
            if begins && is_hunk {
                whole = number;
            }
            is_hunk |= line.starts_with("@@");
            end += line.len();
            if end > bytes {
                // What is left is one large hunk: a part of it is more than nothing.
                let most = if whole > 0 { whole } else { number };
                let (first, left) = first_lines(&text, most);
                return left.map_or_else(|| first.to_owned(), |left| format!("{first}{left}\n"));
            }
        }
        text
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

/// What a diff leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    lines: usize,
    hunks: usize,
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let Self { lines, hunks } = *self;
        write!(formatter, "… and {lines} more line{} in {hunks} hunk{}", plural(lines), plural(hunks))
    }
}

impl Left {
    /// Reads what [`Diff::within`] wrote: no other line of a diff begins so.
    fn read(line: &str) -> Option<Self> {
        let (lines, rest) = line.strip_prefix("… and ")?.split_once(" more line")?;
        let hunks = rest.split(' ').rev().nth(1)?;
        Some(Self { lines: lines.parse().ok()?, hunks: hunks.parse().ok()? })
    }
}

/// The first lines of the text of a diff, and what is left out, with what [`Diff::within`] had left out of it.
pub fn first_lines(diff: &str, most: usize) -> (&str, Option<Left>) {
    let last = diff.lines().next_back().unwrap_or_default();
    let before = Left::read(last);
    let end = diff.len() - before.map_or(0, |_| last.len() + usize::from(diff.ends_with('\n')));
    let (body, mut left) = (&diff[..end], before.unwrap_or(Left { lines: 0, hunks: 0 }));
    let mut shown = 0;
    let mut is_hunk = false;
    for (number, line) in body.split_inclusive('\n').enumerate() {
        if number < most {
            shown += line.len();
            is_hunk = if is_border(line) { line.starts_with("@@") } else { is_hunk };
            continue;
        }
        // The rest of one that was begun counts, too.
        left.hunks += usize::from(line.starts_with("@@") || number == most && is_hunk && !is_border(line));
        left.lines += 1;
    }
    (&body[..shown], (left.lines > 0).then_some(left))
}

/// Whether a line begins a hunk or a file: lines of files have a sign before them.
fn is_border(line: &str) -> bool {
    line.starts_with("@@") || line.starts_with("diff --git ")
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

    /// A diff of five hunks of eight lines each.
    fn long() -> Diff {
        let before: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let after: String = (0..100)
            .map(|line| if line % 20 == 10 { format!("new {line}\n") } else { format!("line {line}\n") })
            .collect();
        Diff::of("x.yaml", &before, &after)
    }

    #[test]
    fn long_diff_is_cut_between_hunks_and_says_what_is_left_out() {
        let diff = long();
        let whole = diff.to_string();
        assert_eq!(whole.lines().count(), 3 + 5 * 9, "{whole}");
        assert_eq!(diff.within(whole.len()), whole);
        let cut = diff.within(whole.len() - 1);
        assert!(whole.starts_with(cut.strip_suffix("… and 9 more lines in 1 hunk\n").unwrap()), "{cut}");
        for bytes in 0..whole.len() {
            let cut = diff.within(bytes);
            let (first, left) = first_lines(&cut, usize::MAX);
            let left = left.unwrap();
            assert!(first.len() <= bytes && whole.starts_with(first), "{cut}");
            assert_eq!(first.lines().count() + left.lines, 48, "{cut}");
            let hunks = first.matches("@@ -").count();
            // Of one large hunk a part is shown.
            assert!(left.hunks == 5 - hunks || hunks == 1 && left.hunks == 5, "{cut}");
        }
    }

    #[test]
    fn first_lines_of_a_diff_count_what_was_left_out_before() {
        let diff = long();
        let whole = diff.to_string();
        let cut = diff.within(whole.len() / 2);
        for text in [&whole, &cut] {
            let (first, left) = first_lines(text, 12);
            assert_eq!(first.lines().count(), 12);
            assert_eq!(left.unwrap().to_string(), "… and 36 more lines in 4 hunks");
            let (_, left) = first_lines(text, 14);
            assert_eq!(left.unwrap().to_string(), "… and 34 more lines in 4 hunks");
        }
        assert_eq!(first_lines(&whole, 48), (whole.as_str(), None));
    }
}
