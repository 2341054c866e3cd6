//! Markdown and HTML of strangers as one bounded line of plain text.

/// `text` as at most `limit` characters of plain text: no tags, link targets, addresses, mentions,
/// issue numbers, control or direction characters; white space is collapsed.
pub(super) fn plain(text: &str, limit: usize) -> String {
    let stripped = words(&without_links(&without_tags(text)));
    let mut out = String::with_capacity(stripped.len());
    let mut rest = stripped.chars().filter(|letter| !matches!(letter, '`' | '*')).peekable();
    let mut previous = ' ';
    while let Some(letter) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        // Judged by what is kept before it, so that no dropped character can make one later.
        let emphasis = letter == '_' && !(previous.is_alphanumeric() && next.is_alphanumeric());
        let mention = letter == '@' && !previous.is_alphanumeric();
        if !(emphasis || mention) {
            out.push(letter);
            previous = letter;
        }
    }
    let out = without_tag_openings(&out);
    // Only what is left of a cut or nested link can still hold these.
    let out = out.replace("](", "] (").replace("://", ":");
    shorten(tidy(out.trim()), limit)
}

/// Drops each `<` that would open a tag, judged by what is kept after it.
fn without_tag_openings(text: &str) -> String {
    let mut next = ' ';
    let kept: Vec<char> = text
        .chars()
        .rev()
        .filter(|letter| {
            let opens = *letter == '<' && (next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?'));
            if !opens {
                next = *letter;
            }
            !opens
        })
        .collect();
    kept.into_iter().rev().collect()
}

fn tidy(text: &str) -> &str {
    text.trim_end_matches([':', ',', '-', ' ']).trim_start_matches([':', '-', ' '])
}

fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit.saturating_sub(1)) {
        Some((cut, _)) if text[cut..].chars().nth(1).is_some() => {
            format!("{}…", text[..cut].trim_end())
        }
        _ => text.to_owned(),
    }
}

/// Drops `<tag …>`; an unclosed one loses only its bracket, later.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut last_close = text.rfind('>').map_or(0, |at| at + 1);
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let tag = &rest[open..];
        last_close = last_close.saturating_sub(open);
        let is_tag = tag[1..].starts_with(|next: char| next.is_ascii_alphabetic() || "/!?".contains(next));
        // Without a later `>` nothing closes, and looking for it again and again would be quadratic.
        match (is_tag && last_close > 0).then(|| tag.find('>')).flatten() {
            Some(close) => {
                rest = &tag[close + 1..];
                last_close = last_close.saturating_sub(close + 1);
                out.push(' ');
            }
            None => {
                out.push('<');
                rest = &tag[1..];
                last_close = last_close.saturating_sub(1);
            }
        }
    }
    out.push_str(rest);
    out
}

/// `[text](target)` and `[text][reference]` become `text`, images vanish.
fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Where the text of each open bracket starts in `out`, and whether it is an image's.
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '!' if rest.peek() == Some(&'[') => {
                rest.next();
                open.push((out.len(), true));
            }
            '[' => {
                open.push((out.len(), false));
                out.push('[');
            }
            ']' if !open.is_empty() => {
                let (start, image) = open.pop().expect("invariant: checked not to be empty");
                let closing = match rest.peek() {
                    Some('(') => Some(('(', ')')),
                    Some('[') => Some(('[', ']')),
                    _ => None,
                };
                if let Some((opens, closes)) = closing {
                    let mut depth = 0_usize;
                    for inner in rest.by_ref() {
                        if inner == opens {
                            depth += 1;
                        } else if inner == closes {
                            depth -= 1;
                        }
                        if depth == 0 {
                            break;
                        }
                    }
                    if !image && out[start..].starts_with('[') {
                        out.remove(start);
                    }
                }
                if image {
                    out.truncate(start);
                } else if closing.is_none() {
                    out.push(']');
                }
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Collapses white space and drops the words that only mean something where the text came from.
fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let cleaned: String =
        text.chars().map(|letter| if is_unprintable(letter) { ' ' } else { letter }).collect();
    let mut previous_by = false;
    for word in cleaned.split_whitespace() {
        let bare = word.trim_matches(['(', ')', '[', ']', ',', '.', ';', '<', '>', '*', '_', '`', '"', '\'']);
        let address = bare.contains("://") || bare.starts_with("www.") || bare.starts_with("mailto:");
        let issue = bare
            .strip_prefix('#')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        let author = bare.starts_with('@') && previous_by;
        if address || issue || author || word == "()" {
            // "… by @someone in https://…": drop the words that led to what is dropped.
            for lead in [" by", " in"] {
                if out.ends_with(lead) {
                    out.truncate(out.len() - lead.len());
                }
            }
        } else {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
        previous_by = word == "by";
    }
    out.replace("&amp;", "&").replace("&quot;", "\"").replace("&#39;", "'").replace("&nbsp;", " ")
}

/// Control, direction and invisible characters.
pub(crate) fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}
