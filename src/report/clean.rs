//! Untrusted text made fit for one line of a terminal, and measured in its columns.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::domain::notes::is_unprintable;

/// Most characters of one untrusted string that reach a person.
const MAX_TEXT: usize = 2000;
/// Bytes of one untrusted string that are looked at.
const MAX_INPUT: usize = 16 * MAX_TEXT;
/// Most characters of one escape sequence; keeps the search for its end linear.
const MAX_ESCAPE: usize = 256;

/// `text` on one line: escape sequences, control and direction characters are gone, white space is
/// collapsed, and what is too long ends in `…`.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    let plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    if text.len() <= MAX_TEXT && text.chars().all(plain) && !text.contains("  ") && text.trim() == text {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(MAX_TEXT));
    let input = &text[..text.floor_char_boundary(MAX_INPUT)];
    let mut letters = input.chars();
    let mut count = 0;
    let mut gap = false;
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' || letter == '\u{9b}' {
            skip_escape(letter, &mut letters);
        } else if letter.is_whitespace() || letter.is_control() {
            gap = true;
        } else if !is_unprintable(letter) {
            if count >= MAX_TEXT {
                break;
            }
            if gap && !out.is_empty() {
                out.push(' ');
                count += 1;
            }
            gap = false;
            out.push(letter);
            count += 1;
        }
    }
    if count >= MAX_TEXT || input.len() < text.len() {
        out.truncate(out.trim_end().len());
        out.push('…');
    }
    Cow::Owned(out)
}

/// A line of Markdown as it is meant: without the backslashes and entities that keep letters from being marks, but for
/// what stands in backticks. Made fit for a terminal by [`line()`] afterwards.
pub(crate) fn unmarked(text: &str) -> String {
    const ENTITIES: [(&str, char); 4] = [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&amp;", '&')];
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut is_code) = (text, false);
    while let Some(letter) = rest.chars().next() {
        let known = ENTITIES.iter().find(|(entity, _)| !is_code && rest.starts_with(entity));
        let next = rest[letter.len_utf8()..].chars().next();
        let (meant, taken) = match (letter, known) {
            (_, Some((entity, meant))) => (*meant, entity.len()),
            ('\\', None) if !is_code && next.is_some_and(|next| next.is_ascii_punctuation()) => {
                (next.unwrap_or(letter), 2)
            }
            _ => {
                is_code ^= letter == '`';
                (letter, letter.len_utf8())
            }
        };
        out.push(meant);
        rest = &rest[taken..];
    }
    out
}

/// Consumes one escape sequence (ECMA-48: CSI, or a string ended by BEL or ST) after its introducer.
fn skip_escape(introducer: char, letters: &mut std::str::Chars<'_>) {
    let kind = if introducer == '\u{9b}' { Some('[') } else { letters.clone().next() };
    match kind {
        Some('[') => {
            if introducer == '\u{1b}' {
                letters.next();
            }
            // Parameters and intermediates, then one final byte.
            let mut ahead = letters.clone();
            while let Some(letter) = ahead.next() {
                match letter {
                    ' '..='?' => *letters = ahead.clone(),
                    '@'..='~' => {
                        *letters = ahead;
                        return;
                    }
                    _ => return,
                }
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let mut ahead = letters.clone();
            for _ in 0..MAX_ESCAPE {
                let Some(letter) = ahead.next() else { break };
                if letter == '\u{7}' || letter == '\u{9c}' {
                    *letters = ahead;
                    return;
                }
                if letter == '\u{1b}' && ahead.clone().next() == Some('\\') {
                    ahead.next();
                    *letters = ahead;
                    return;
                }
            }
            // Not ended: a terminal would swallow all that follows, so only the introducer goes.
            letters.next();
        }
        Some(' '..='~') => {
            letters.next();
        }
        _ => {}
    }
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` in at most `columns`, ending in `…` where it was cut.
pub(crate) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = split(text, columns.saturating_sub(1)).0.trim_end().to_owned();
    if columns > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

/// The longest head of `text` in `columns`, and the rest.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let mut taken = 0;
    for (at, letter) in text.char_indices() {
        taken += letter.width().unwrap_or(0);
        if taken > columns {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// `text` filled up with blanks on the right.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `text` filled up with blanks on the left.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Programs whose commands are told to people.
const PROGRAMS: [&str; 6] = ["gitops-updater ", "git ", "kubectl ", "flux ", "helm ", "k3s "];

/// `text` (one clean line) broken between words into lines of at most `columns`. What is meant to be copied stays in
/// one piece: code in backticks where a line has room for it; commands and addresses even where they have a line of
/// their own that is longer. Any other word that is too long is cut.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    wrap_within(text, columns, columns)
}

/// `text` (one clean line) as [`wrap`] has it, in lines of at most `columns` with their indentation: `indent` for the
/// first, two more for the others.
pub(crate) fn hanging(text: &str, indent: usize, columns: usize) -> Vec<String> {
    let wrapped = wrap_within(text, columns.saturating_sub(indent), columns.saturating_sub(indent + 2));
    let indented = |(at, line): (usize, String)| {
        let indent = if at == 0 { indent } else { indent + 2 };
        format!("{}{line}", " ".repeat(indent))
    };
    wrapped.into_iter().enumerate().map(indented).collect()
}

fn wrap_within(text: &str, first: usize, others: usize) -> Vec<String> {
    // The widest character takes two columns; with less room nothing would ever fit.
    let (first, others) = (first.max(2), others.max(2));
    let mut lines = Vec::new();
    let mut current = String::new();
    for piece in pieces(text, others) {
        let columns = if lines.is_empty() { first } else { others };
        if !current.is_empty() && width(&current) + 1 + width(piece) > columns {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(piece);
        while !is_copied(piece) {
            let columns = if lines.is_empty() { first } else { others };
            if width(&current) <= columns {
                break;
            }
            let (head, tail) = split(&current, columns);
            let (head, tail) = (head.to_owned(), tail.to_owned());
            lines.push(head);
            current = tail;
        }
    }
    if !current.is_empty() {
        lines.push(current);
    }
    lines
}

/// Words, and in one piece what stands in backticks and fits on a line, or is to be copied.
fn pieces(text: &str, columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = |from: usize| rest[from..].find(' ').map_or(rest.len(), |at| from + at);
        let word = end(0);
        let is_open = |piece: &str| piece.matches('`').count() % 2 == 1;
        let mut code = word;
        while code < rest.len() && is_open(&rest[..code]) {
            code = end(code + 1);
        }
        let whole = &rest[..code];
        let is_whole = !is_open(whole) && (width(whole) <= columns || is_command(whole));
        let taken = if is_whole { code } else { word };
        pieces.push(&rest[..taken]);
        rest = rest.get(taken + 1..).unwrap_or_default();
    }
    pieces
}

/// Whether a piece of text is of no use when it is broken: an address, a path, a branch, or a command in backticks.
fn is_copied(piece: &str) -> bool {
    piece.contains('/') || is_command(piece)
}

fn is_command(piece: &str) -> bool {
    let code = piece.split_once('`').map(|(_, code)| code);
    code.is_some_and(|code| PROGRAMS.iter().any(|program| code.starts_with(program)))
}

/// `text` if it is an `http` or `https` address without credentials, in the spelling of the URL
/// standard, in which quotes, blanks and angle brackets are encoded.
pub(super) fn link(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let safe = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    let shown = url.to_string();
    let harmless = shown.len() <= MAX_TEXT
        && shown.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'`|\\".contains(&byte));
    (safe && harmless).then_some(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::escaped(r"in\_flight \(default\)", "in_flight (default)")]
    #[case::entities("40 -&gt; 41 &amp;gt;", "40 -> 41 &gt;")]
    #[case::code(r"`a\_b &lt;` \`c\`", r"`a\_b &lt;` `c`")]
    #[case::at_the_end("a\\", "a\\")]
    fn markdown_is_shown_as_it_is_meant(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(unmarked(text), shown);
    }

    #[rstest]
    #[case::plain("helm/a/b", "helm/a/b")]
    #[case::colour("\u{1b}[31;1mred\u{1b}[0m", "red")]
    #[case::title("\u{1b}]0;owned\u{7}name", "name")]
    #[case::title_with_terminator("\u{1b}]8;;https://x\u{1b}\\name", "name")]
    #[case::unfinished_string("\u{1b}]0;owned", "0;owned")]
    #[case::c1("\u{9b}31mred", "red")]
    #[case::lines("a\r\n\tb", "a b")]
    #[case::direction("a\u{202e}b\u{200b}c", "abc")]
    #[case::lone_escape("a\u{1b}", "a")]
    fn terminal_controls_are_removed(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(line(text), expected);
    }

    #[rstest]
    #[case::short("abc", 3, "abc")]
    #[case::cut("abcd", 3, "ab…")]
    #[case::wide("漢字漢字", 5, "漢字…")]
    #[case::wide_at_the_edge("漢字漢字", 4, "漢…")]
    #[case::no_room("abc", 0, "")]
    fn text_is_cut_to_columns(#[case] text: &str, #[case] columns: usize, #[case] expected: &str) {
        assert_eq!(fit(text, columns), expected);
    }

    #[rstest]
    #[case::words("aa bb cc", &["aa bb", "cc"])]
    #[case::cut("abcdefgh ij", &["abcdef", "gh ij"])]
    #[case::code_is_not_broken("a `b c` d", &["a", "`b c`", "d"])]
    #[case::code_with_what_follows("a (`b c`; d", &["a (`b", "c`; d"])]
    #[case::code_that_fits_nowhere("`a b c d e`", &["`a b c", "d e`"])]
    #[case::command("so: `git a b` c", &["so:", "`git a b`", "c"])]
    #[case::command_and_stop("`git a b`, c d", &["`git a b`,", "c d"])]
    #[case::address("at https://a.example/b now", &["at", "https://a.example/b", "now"])]
    #[case::path("in apps/base/a.yaml now", &["in", "apps/base/a.yaml", "now"])]
    #[case::never_closed("a `git b c", &["a `git", "b c"])]
    #[case::blanks("a  b", &["a  b"])]
    fn what_is_copied_stays_in_one_piece(#[case] text: &str, #[case] lines: &[&str]) {
        assert_eq!(wrap(text, 6), lines);
    }

    #[rstest]
    #[case::https("https://example.com/a?b=c", Some("https://example.com/a?b=c"))]
    #[case::encoded("https://example.com/a\"><b", Some("https://example.com/a%22%3E%3Cb"))]
    #[case::script("javascript:alert(1)", None)]
    #[case::data("data:text/html,x", None)]
    #[case::credentials("https://user:secret@example.com/", None)]
    #[case::relative("/etc/passwd", None)]
    fn only_web_addresses_are_links(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(link(text).as_deref(), expected);
    }

    #[test]
    fn long_and_hostile_text_is_cut_in_linear_time() {
        let started = std::time::Instant::now();
        for unit in ["\u{1b}]", "\u{1b}[", "a ", "\u{1b}]x\u{1b}", "漢"] {
            let cleaned = line(&unit.repeat(1 << 21)).into_owned();
            assert!(cleaned.chars().count() <= MAX_TEXT + 2 && cleaned.ends_with('…'), "{unit:?}");
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn what_follows_the_first_line_stands_further_in() {
        assert_eq!(hanging("aa bb cc dd ee", 2, 8), ["  aa bb", "    cc", "    dd", "    ee"]);
    }

    proptest! {
        #[test]
        fn cleaned_text_is_one_printable_line(text in "(\u{1b}|\\[|\\]|[0-9;]|\u{9b}|\n|\u{202e}|漢|\\PC){0,40}") {
            let cleaned = line(&text);
            prop_assert!(!cleaned.chars().any(|letter| letter.is_control() || is_unprintable(letter)));
            prop_assert_eq!(cleaned.trim(), cleaned.as_ref());
        }

        #[test]
        fn wrapping_loses_nothing(text in "(`|git |[a-z:/]{1,9}| |漢){0,30}", columns in 2_usize..40) {
            let whole = |text: &str| text.replace(' ', "");
            prop_assert_eq!(whole(&wrap(&line(&text), columns).concat()), whole(&line(&text)));
        }

        #[test]
        fn wrapped_lines_fit(text in "([a-z]{1,30}|漢{1,9}| ){0,20}", columns in 2_usize..40) {
            for part in wrap(&line(&text), columns) {
                prop_assert!(width(&part) <= columns, "{part}");
            }
            prop_assert!(width(&fit(&text, columns)) <= columns);
        }
    }
}
