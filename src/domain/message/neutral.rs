//! Text of strangers made fit for a pull request: it says what it said, and does nothing.
//!
//! GitHub turns mentions, issue numbers, commit ids and addresses into links and notifications after Markdown is
//! rendered, so a backslash does not stop them: names stand in code, and in prose a zero-width space breaks what
//! would be taken for one. Everything else that means something to Markdown or HTML is escaped or left out, and the
//! few marks that are kept (lists, code, links, bold headings) are written anew.

use crate::domain::notes::is_unprintable;

use super::inline::{MIN_COMMIT, inline};

/// Stops GitHub from taking what stands around it for a name, number or address.
pub(super) const BREAK: char = '\u{200b}';
/// Bytes of one text that are looked at.
const MAX_INPUT: usize = 256 << 10;
/// Bytes of one line that are looked at.
const MAX_LINE: usize = 2048;
/// How deep lists are nested.
const MAX_LEVEL: usize = 4;

/// Control, direction and other characters that nobody sees.
pub(super) fn is_hidden(letter: char) -> bool {
    is_unprintable(letter)
        || matches!(letter, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{ffa0}')
}

/// At most `limit` bytes of `text`, cut at a character.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// `text` as a code span on one line; a space where there is none.
pub fn code(text: &str) -> String {
    let visible = |letter: &char| !is_hidden(*letter) || letter.is_whitespace();
    let plain: String = head(text, MAX_LINE).chars().filter(visible).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let longest = plain.split(|letter| letter != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // A cell of a table ends at a bar, even in code.
    let plain = plain.replace('|', "\\|");
    match (plain.is_empty(), plain.starts_with('`') || plain.ends_with('`')) {
        (true, _) => "` `".to_owned(),
        (false, true) => format!("{fence} {plain} {fence}"),
        (false, false) => format!("{fence}{plain}{fence}"),
    }
}

/// `text` as at most `limit` characters for the inside of an HTML tag, where Markdown means nothing.
pub fn html(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut hexadecimal = 0;
    for letter in text.chars().take(limit).filter(|letter| letter.is_whitespace() || !is_hidden(*letter)) {
        hexadecimal = if letter.is_ascii_hexdigit() { hexadecimal + 1 } else { 0 };
        if hexadecimal == MIN_COMMIT {
            out.push(BREAK);
            hexadecimal = 1;
        }
        let follows = |word: &str| {
            let start = out.len().checked_sub(word.len());
            start.and_then(|start| out.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
        };
        match letter {
            _ if letter.is_whitespace() => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '`' => out.push_str("&#96;"),
            '@' | '#' | ':' => out.extend([letter, BREAK]),
            // Other names of issues, and addresses without a scheme.
            '-' if follows("gh") => out.extend([BREAK, letter]),
            '.' if follows("www") => out.extend([BREAK, letter]),
            _ => out.push(letter),
        }
    }
    out.trim().to_owned()
}

/// `text` as one line of Markdown of at most `limit` characters before escapes; code spans and links are kept.
pub fn prose(text: &str, limit: usize) -> String {
    let spaced: String = head(text, MAX_INPUT)
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| !is_hidden(*letter))
        .take(limit.saturating_mul(2).max(limit))
        .collect();
    let mut line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(limit) {
        line.truncate(cut);
        line = format!("{}…", line.trim_end());
    }
    guarded(&inline(head(&line, MAX_INPUT)))
}

/// A line that starts no list, heading, quotation or rule.
fn guarded(line: &str) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = digits > 0 && line[digits..].starts_with(['.', ')', '\\']);
    if numbered || line.starts_with(['-', '+', '=', '#', ':']) {
        return format!("{BREAK}{line}");
    }
    line.to_owned()
}

/// Release notes as Markdown of at most `limit` characters, and whether something was cut off.
///
/// Whatever is in `text`, the result ends every list, fence and span that it begins, and holds no HTML, heading,
/// image, table, task, mention or reference.
pub fn notes(text: &str, limit: usize) -> (String, bool) {
    let mut page = Page { out: String::new(), used: 0, limit, full: false };
    let mut reader = Reader::default();
    for line in head(text, MAX_INPUT).split(['\n', '\r']) {
        if page.full {
            break;
        }
        let line: String = head(line, MAX_LINE)
            .chars()
            .map(|letter| if letter == '\t' { ' ' } else { letter })
            .filter(|letter| !is_hidden(*letter))
            .collect();
        reader.line(&line, &mut page);
    }
    reader.close_fence(&mut page);
    let cut = page.full || text.len() > MAX_INPUT;
    (page.out.trim_end().to_owned(), cut)
}

/// A text that stops growing at its limit.
struct Page {
    out: String,
    used: usize,
    limit: usize,
    full: bool,
}

impl Page {
    fn push(&mut self, lines: &str) -> bool {
        let count = lines.chars().count() + 1;
        if self.full || self.used + count > self.limit {
            self.full = true;
            return false;
        }
        self.used += count;
        self.out.push_str(lines);
        self.out.push('\n');
        true
    }

    fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.push("");
        }
    }
}

#[derive(Default)]
struct Reader {
    /// Sign and length of the open fence, and what stands in it.
    fence: Option<(char, usize, Vec<String>)>,
    in_comment: bool,
    /// Indentation of each open list.
    lists: Vec<usize>,
    after_blank: bool,
}

impl Reader {
    fn line(&mut self, line: &str, page: &mut Page) {
        if let Some((sign, length, content)) = &mut self.fence {
            let mark = line.trim();
            if mark.len() >= *length && mark.chars().all(|letter| letter == *sign) {
                self.close_fence(page);
            } else {
                content.push(line.trim_end().to_owned());
            }
            return;
        }
        let line = self.without_comments(line);
        let body = line.trim();
        let body = body.trim_start_matches(['>', ' ']);
        if body.is_empty() {
            page.blank();
            self.after_blank = true;
            return;
        }
        let after_blank = std::mem::take(&mut self.after_blank);
        let indent = line.len() - line.trim_start().len();
        if let Some(sign @ ('`' | '~')) = body.chars().next() {
            let length = body.chars().take_while(|letter| *letter == sign).count();
            // An information string of backticks has none itself (CommonMark 4.5).
            if length >= 3 && !(sign == '`' && body[length..].contains('`')) {
                self.fence = Some((sign, length, Vec::new()));
                return;
            }
        }
        if is_rule(body) || is_definition(body) || is_alert(body) {
            page.blank();
            self.after_blank = true;
            return;
        }
        if let Some(title) = heading(body) {
            self.lists.clear();
            page.blank();
            let title = inline(title);
            if !title.trim().is_empty() {
                page.push(&format!("**{}**", title.trim()));
            }
            page.blank();
        } else if let Some(item) = item(body) {
            self.item(indent, item, page);
        } else {
            if after_blank && indent == 0 {
                self.lists.clear();
            }
            let text = inline(&cells(body));
            if !text.trim().is_empty() {
                page.push(&format!("{}{}", "  ".repeat(self.lists.len()), guarded(text.trim())));
            }
        }
    }

    fn item(&mut self, indent: usize, item: &str, page: &mut Page) {
        while self.lists.last().is_some_and(|open| *open >= indent) {
            self.lists.pop();
        }
        let task = ["[ ] ", "[x] ", "[X] "].iter().find_map(|sign| item.strip_prefix(sign));
        let text = inline(task.unwrap_or(item));
        if text.trim().is_empty() {
            return;
        }
        let level = self.lists.len().min(MAX_LEVEL);
        if page.push(&format!("{}- {}", "  ".repeat(level), guarded(text.trim()))) {
            self.lists.truncate(MAX_LEVEL - 1);
            self.lists.push(indent);
        }
    }

    fn close_fence(&mut self, page: &mut Page) {
        let Some((_, _, content)) = self.fence.take() else { return };
        self.lists.clear();
        let ticks = |line: &String| line.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(content.iter().map(ticks).max().unwrap_or(0).max(2) + 1);
        let room = page.limit.saturating_sub(page.used + 2 * fence.len() + 8);
        let mut block = String::new();
        let mut used = 0;
        for line in &content {
            used += line.chars().count() + 1;
            if used > room {
                break;
            }
            block.push_str(line);
            block.push('\n');
        }
        page.blank();
        if !block.is_empty() {
            page.push(&format!("{fence}\n{block}{fence}"));
            page.blank();
        }
        page.full |= used > room;
    }

    /// The line without HTML comments, which may span lines.
    fn without_comments(&mut self, line: &str) -> String {
        let mut kept = String::new();
        let mut rest = line;
        loop {
            if self.in_comment {
                let Some(end) = rest.find("-->") else { return kept };
                self.in_comment = false;
                rest = &rest[end + 3..];
            }
            let Some(start) = rest.find("<!--") else { break };
            kept.push_str(&rest[..start]);
            self.in_comment = true;
            rest = &rest[start + 4..];
        }
        kept + rest
    }
}

/// A thematic break, the line below a heading, or the second line of a table.
fn is_rule(body: &str) -> bool {
    body.len() >= 2 && body.chars().all(|letter| matches!(letter, '-' | '=' | '_' | '*' | ' ' | '|' | ':'))
}

/// `[name]: https://…`
fn is_definition(body: &str) -> bool {
    body.starts_with('[') && body.find("]:").is_some_and(|at| !body[1..at].contains(['[', ']']))
}

/// `[!NOTE]`
fn is_alert(body: &str) -> bool {
    body.strip_prefix("[!")
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()))
}

fn heading(body: &str) -> Option<&str> {
    let title = body.trim_start_matches('#');
    let level = body.len() - title.len();
    let is_heading = (1..=6).contains(&level) && (title.is_empty() || title.starts_with(' '));
    is_heading.then(|| title.trim().trim_end_matches('#').trim_end())
}

fn item(body: &str) -> Option<&str> {
    if let Some(rest) = body.strip_prefix(['-', '*', '+']) {
        return rest.strip_prefix(' ').map(str::trim_start);
    }
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    body[digits..].strip_prefix(['.', ')'])?.strip_prefix(' ').map(str::trim_start)
}

/// The row of a table as a line of text.
fn cells(body: &str) -> String {
    match body.strip_prefix('|') {
        Some(row) => {
            let row = row.strip_suffix('|').unwrap_or(row);
            row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" · ")
        }
        None => body.to_owned(),
    }
}
