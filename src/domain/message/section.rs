//! A part of a pull request's body that may be shortened or left out.

use super::neutral::{html, is_hidden, prose};

/// Longest item, in characters.
const MAX_ITEM: usize = 400;

/// A part with a heading: sentences, and a diff that is folded away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// What a reviewer must not miss: it is shown unfolded, and shortened last.
    pub urgent: bool,
    /// One sentence or finding each.
    pub items: Vec<String>,
    /// Unified diff or other plain text, shown as code.
    pub diff: Option<String>,
}

impl Section {
    /// The part as Markdown in about `limit` characters.
    pub(super) fn markdown(&self, limit: usize) -> String {
        let mut text = String::new();
        let folded = !self.urgent;
        if folded {
            text.push_str(&format!("<details><summary>{}</summary>\n\n", html(&self.title, MAX_ITEM)));
        } else {
            text.push_str(&format!("**{}**\n\n", prose(&self.title, MAX_ITEM)));
        }
        let mut used = 0;
        let mut shown = 0;
        for item in &self.items {
            let line = format!("- {}\n", prose(item, MAX_ITEM));
            used += line.chars().count();
            if used > limit {
                break;
            }
            text.push_str(&line);
            shown += 1;
        }
        if shown < self.items.len() {
            text.push_str(&format!("- … and {} more\n", self.items.len() - shown));
        }
        if let Some(diff) = &self.diff {
            let room = limit.saturating_sub(used);
            let (block, cut) = fenced(diff, room, "diff");
            if !self.items.is_empty() {
                text.push('\n');
            }
            text.push_str(&block);
            if cut > 0 {
                text.push_str(&format!("\n… {cut} more lines\n"));
            }
        }
        if folded {
            text.push_str("\n</details>\n");
        }
        text
    }
}

/// Lines of plain text as a block of code in about `limit` characters, and how many lines were cut off.
pub(super) fn fenced(text: &str, limit: usize, language: &str) -> (String, usize) {
    let visible = |line: &str| -> String {
        line.chars().filter(|letter| *letter == '\t' || !is_hidden(*letter)).collect()
    };
    let mut lines = Vec::new();
    let (mut used, mut cut) = (0, 0);
    for line in text.lines() {
        let line = visible(line);
        used += line.chars().count() + 1;
        if used <= limit {
            lines.push(line);
        } else {
            cut += 1;
        }
    }
    if lines.is_empty() {
        return (String::new(), cut);
    }
    let ticks = |line: &String| line.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(lines.iter().map(ticks).max().unwrap_or(0).max(2) + 1);
    (format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n")), cut)
}
