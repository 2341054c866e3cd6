//! Markdown on a terminal: prose is wrapped, code stays as it is, tables have columns, and what folds is open.

use super::form::WIDTH;
use crate::report::clean;

/// Columns between those of a table.
const GAP: usize = 2;
/// Deepest indentation that is kept, in columns.
const MOST_INDENT: usize = 8;

/// The lines of a text in at most `columns`, but for code; without hidden comments and control characters.
pub(super) fn lines(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut source = text.lines().peekable();
    while let Some(line) = source.next() {
        let trimmed = line.trim();
        if trimmed.starts_with("<!--") {
            let mut ends = trimmed.contains("-->");
            while !ends {
                ends = source.next().is_none_or(|line| line.contains("-->"));
            }
        } else if let Some(fence) = fence(trimmed) {
            lines.push(clean::line(trimmed).into_owned());
            for inner in source.by_ref() {
                let is_end = inner.trim().starts_with(fence) && inner.trim().trim_matches('`').is_empty();
                lines.push(code(inner));
                if is_end {
                    break;
                }
            }
        } else if trimmed.starts_with('|') {
            let mut rows = vec![cells(trimmed)];
            while let Some(row) = source.next_if(|line| line.trim().starts_with('|')) {
                rows.push(cells(row.trim()));
            }
            lines.extend(table(&rows, columns));
        } else if trimmed.is_empty() || trimmed == "</details>" {
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
        } else {
            let folded = trimmed
                .strip_prefix("<details><summary>")
                .and_then(|rest| rest.strip_suffix("</summary>"))
                .map(|title| format!("{title}:"));
            let shown = clean::unmarked(folded.as_deref().unwrap_or(line));
            lines.extend(prose(&shown, columns));
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The marks that begin a block of code.
fn fence(line: &str) -> Option<&str> {
    let marks = line.len() - line.trim_start_matches('`').len();
    (marks >= 3).then(|| &line[..marks])
}

/// A line of code with its blanks.
fn code(line: &str) -> String {
    let line = line.replace('\t', "    ");
    let words: Vec<_> = line.split(' ').map(clean::line).collect();
    words.join(" ").trim_end().to_owned()
}

/// A line of prose where it stands; what follows an item of a list stands below its text.
fn prose(line: &str, columns: usize) -> Vec<String> {
    let clean = clean::line(line);
    let outer = (line.len() - line.trim_start().len()).min(MOST_INDENT);
    let inner = if clean.starts_with("- ") { 2 } else { 0 };
    let wrapped = clean::wrap(&clean, columns.saturating_sub(outer + inner));
    let below = |(at, line): (usize, String)| {
        let indent = if at == 0 { outer } else { outer + inner };
        format!("{}{line}", " ".repeat(indent))
    };
    wrapped.into_iter().enumerate().map(below).collect()
}

/// The cells of a row. `\|` is no border.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\u{0}");
    let row = row.strip_prefix('|').unwrap_or(&row);
    let row = row.strip_suffix('|').unwrap_or(row);
    let cell = |cell: &str| clean::line(&clean::unmarked(&cell.replace('\u{0}', "|"))).into_owned();
    row.split('|').map(cell).collect()
}

/// Columns as wide as what they hold. Where there is no room for all of them, the last ones become prose.
fn table(rows: &[Vec<String>], columns: usize) -> Vec<String> {
    let is_border =
        |row: &&Vec<String>| row.iter().all(|cell| cell.bytes().all(|byte| b"-: ".contains(&byte)));
    let rows: Vec<&Vec<String>> = rows.iter().filter(|row| !is_border(row)).collect();
    let count = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let cell = |row: &Vec<String>, at: usize| row.get(at).cloned().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|at| rows.iter().map(|row| clean::width(&cell(row, at))).max().unwrap_or_default())
        .collect();
    let order: Vec<usize> = (0..count).filter(|at| widths[*at] > 0).collect();
    let room = |taken: usize| order[..taken].iter().map(|at| widths[*at] + GAP).sum::<usize>();
    let fits = room(order.len()) <= columns + GAP;
    let fixed = match fits {
        true => order.len().saturating_sub(1),
        false => (0..order.len()).rev().find(|taken| room(*taken) <= columns / 2).unwrap_or_default(),
    };
    let mut lines = Vec::new();
    for row in rows {
        let head = order[..fixed].iter().map(|at| clean::left(&cell(row, *at), widths[*at] + GAP));
        let head: String = head.collect();
        let rest: Vec<String> = order[fixed..].iter().map(|at| cell(row, *at)).collect();
        let rest: Vec<String> = rest.into_iter().filter(|cell| !cell.is_empty()).collect();
        let mut wrapped = clean::wrap(&rest.join(" · "), columns - room(fixed)).into_iter();
        lines.push(format!("{head}{}", wrapped.next().unwrap_or_default()).trim_end().to_owned());
        lines.extend(wrapped.map(|line| format!("{}{line}", " ".repeat(room(fixed)))));
    }
    lines
}

/// A line for people that names what they may copy: broken between words only, what follows below and indented.
pub(super) fn folded(text: &str, indent: usize) -> String {
    clean::hanging(&clean::line(text), indent, WIDTH).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a difference lost their indentation, and rows of a table were broken in the middle.
    #[test]
    fn code_keeps_its_blanks_and_tables_their_columns() {
        let text = "\
<!-- gitops-updater
update: u1
-->
### Gates

| gate | verdict | | decided by |
|---|---|---|---|
| `semver` | passed | minor updates are under `review` | `default` |
| `open_pull_requests` | passed | at most 5 may be open at once, a\\|b | `limits` |

- `git/github.com/kubernetes-sigs/gateway-api` goes from `v1.4.0` to `v1.5.1`

<details><summary>Default values</summary>

```diff
 grafana:
-  a: 1
+  a:\u{1b}[31m 2
\ttab: this line of code is long, and is as it is because somebody may want to copy it
```

</details>
";
        insta::assert_snapshot!(lines(text, 60).join("\n"), @r"
        ### Gates

        gate                  verdict · decided by
        `semver`              passed · minor updates are under
                              `review` · `default`
        `open_pull_requests`  passed · at most 5 may be open at
                              once, a|b · `limits`

        - `git/github.com/kubernetes-sigs/gateway-api` goes from
          `v1.4.0` to `v1.5.1`

        Default values:

        ```diff
         grafana:
        -  a: 1
        +  a: 2
            tab: this line of code is long, and is as it is because somebody may want to copy it
        ```
        ");
    }

    #[test]
    fn table_without_room_is_wrapped_as_prose() {
        let text = format!("| a | b |\n|---|---|\n| {} | {} |\n", "x".repeat(30), "word ".repeat(10));
        for line in lines(&text, 40) {
            assert!(line.len() <= 40, "{line}");
        }
    }

    #[test]
    fn comment_or_code_that_does_not_end_is_no_trap() {
        assert_eq!(lines("a\n<!-- b\nc\n", 40), ["a"]);
        assert_eq!(lines("```\n a\n", 40), ["```", " a"]);
    }

    #[test]
    fn what_is_folded_breaks_between_words_only() {
        let path = format!("/{}", "very-long/".repeat(9));
        let text = folded(&format!("https://charts.example.com/ is read from {path} and no other"), 2);
        assert_eq!(text, format!("  https://charts.example.com/ is read from\n    {path}\n    and no other"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_shown(text in r"(\||a|`|```|\n|<!--|-->| |-|<details><summary>|\\|é){0,60}") {
            for line in lines(&text, 30) {
                proptest::prop_assert!(!line.contains('\n'));
            }
        }
    }
}
