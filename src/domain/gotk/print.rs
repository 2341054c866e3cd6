//! Prints objects byte for byte as kustomize does.
//!
//! kustomize turns each object into JSON and that into YAML with the Go library yaml.v2, a port of libyaml: keys
//! sorted, indented by 2, sequences not indented below their key, lines folded at the first blank behind column
//! 80, several lines of text as a literal block. Sources of the rules: `emitterc.go` and `encode.go` there.

use std::fmt::Write;

use super::order;
use super::scalar::{self, Meaning};
use super::tree::Node;

/// Column (0-based) behind which a blank becomes a line break.
const WIDTH: usize = 80;
const INDENT: usize = 2;
/// A longer key is printed in a form that no manifest has (`? key`).
const MAX_KEY: usize = 128;

/// What cannot be printed for sure as kustomize prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unprintable(pub(super) String);

/// Prints one object, its last line ended.
pub(super) fn print(object: &Node) -> Result<String, Unprintable> {
    let mut printer =
        Printer { out: String::new(), indent: None, column: 0, whitespace: true, indention: true };
    printer.node(object, false)?;
    printer.write_indent();
    Ok(printer.out)
}

/// The state of libyaml's emitter, as far as these documents need it.
struct Printer {
    out: String,
    /// `None` before the root.
    indent: Option<usize>,
    /// In characters.
    column: usize,
    /// Whether the last character was a blank, so that none is needed.
    whitespace: bool,
    /// Whether nothing but indentation and `-` stands on the line.
    indention: bool,
}

impl Printer {
    fn node(&mut self, node: &Node, in_mapping: bool) -> Result<(), Unprintable> {
        match node {
            Node::Null => self.simple("null"),
            Node::Bool(true) => self.simple("true"),
            Node::Bool(false) => self.simple("false"),
            Node::Number(number) => match scalar::printed_number(number) {
                Some(number) => self.simple(number),
                None => return Err(Unprintable(format!("the number `{number}`"))),
            },
            Node::Text(text) => self.text(text, false)?,
            Node::List(items) if items.is_empty() => {
                self.indicator("[", true, true, false);
                self.indicator("]", false, false, false);
            }
            Node::Map(pairs) if pairs.is_empty() => {
                self.indicator("{", true, true, false);
                self.indicator("}", false, false, false);
            }
            Node::List(items) => {
                let outer = self.indent;
                let indentless = in_mapping && !self.indention;
                self.indent =
                    Some(outer.map_or(0, |indent| if indentless { indent } else { indent + INDENT }));
                for item in items {
                    self.write_indent();
                    self.indicator("-", true, false, true);
                    self.node(item, false)?;
                }
                self.indent = outer;
            }
            Node::Map(pairs) => {
                let outer = self.indent;
                self.indent = Some(outer.map_or(0, |indent| indent + INDENT));
                let sorted = order::sorted(pairs).ok_or_else(|| {
                    Unprintable(format!("a mapping of {} keys without an order", pairs.len()))
                })?;
                for (key, value) in sorted {
                    if key.len() > MAX_KEY || key.contains('\n') {
                        return Err(Unprintable(format!("the key `{key}`")));
                    }
                    self.write_indent();
                    self.text(key, true)?;
                    self.indicator(":", false, false, false);
                    self.node(value, true)?;
                }
                self.indent = outer;
            }
        }
        Ok(())
    }

    /// A scalar that is never quoted or folded.
    fn simple(&mut self, text: &str) {
        self.plain(text, false);
    }

    fn text(&mut self, text: &str, is_key: bool) -> Result<(), Unprintable> {
        // YAML 1.1 breaks lines at these, on the way through JSON too, and a byte-order mark confuses libyaml.
        if text.contains(['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}']) {
            return Err(Unprintable(format!("the character in {text:?}")));
        }
        let seen = Analysis::of(text);
        let can_be_plain = scalar::meaning(text) == Meaning::Text && !scalar::is_sexagesimal(text);
        let outer = self.indent;
        self.indent = Some(outer.map_or(INDENT, |indent| indent + INDENT));
        if text.contains('\n') {
            if seen.literal {
                self.literal(text);
            } else {
                self.double_quoted(text, !is_key);
            }
        } else if !can_be_plain {
            self.double_quoted(text, !is_key);
        } else if seen.plain {
            self.plain(text, !is_key);
        } else if seen.single_quoted {
            self.single_quoted(text, !is_key);
        } else {
            self.double_quoted(text, !is_key);
        }
        self.indent = outer;
        Ok(())
    }

    fn put(&mut self, character: char) {
        self.out.push(character);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or_default();
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, mark: &str, needs_blank: bool, is_blank: bool, is_indention: bool) {
        if needs_blank && !self.whitespace {
            self.put(' ');
        }
        mark.chars().for_each(|character| self.put(character));
        self.whitespace = is_blank;
        self.indention = self.indention && is_indention;
    }

    fn plain(&mut self, text: &str, may_fold: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.folded(text, may_fold, |_, _| true, Self::put);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, may_fold: bool) {
        self.indicator("'", true, false, false);
        let last = text.len().saturating_sub(1);
        self.folded(
            text,
            may_fold,
            |at, _| at > 0 && at < last,
            |printer, character| {
                if character == '\'' {
                    printer.put('\'');
                }
                printer.put(character);
            },
        );
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// Characters of one line, a lone blank behind the width made a line break where that is allowed.
    fn folded(
        &mut self,
        text: &str,
        may_fold: bool,
        allowed: impl Fn(usize, char) -> bool,
        write: impl Fn(&mut Self, char),
    ) {
        let mut after_blank = false;
        for (at, character) in text.char_indices() {
            if character == ' ' {
                let folds = may_fold
                    && !after_blank
                    && self.column > WIDTH
                    && allowed(at, character)
                    && !text[at + 1..].starts_with(' ');
                if folds {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                after_blank = true;
            } else {
                write(self, character);
                self.indention = false;
                after_blank = false;
            }
        }
    }

    fn double_quoted(&mut self, text: &str, may_fold: bool) {
        self.indicator("\"", true, false, false);
        let last = text.len().saturating_sub(1);
        let mut after_blank = false;
        for (at, character) in text.char_indices() {
            if !is_printable(character) || matches!(character, '\n' | '"' | '\\') {
                self.escaped(character);
                after_blank = false;
            } else if character == ' ' {
                if may_fold && !after_blank && self.column > WIDTH && at > 0 && at < last {
                    self.write_indent();
                    if text[at + 1..].starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                after_blank = true;
            } else {
                self.put(character);
                after_blank = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escaped(&mut self, character: char) {
        let mut escape = String::from("\\");
        let short = match character {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            _ => '\0',
        };
        // Writing to a String cannot fail.
        let _infallible = match u32::from(character) {
            _ if short != '\0' || character == '\0' => write!(escape, "{short}"),
            code @ ..=0xFF => write!(escape, "x{code:02X}"),
            code @ ..=0xFFFF => write!(escape, "u{code:04X}"),
            code => write!(escape, "U{code:08X}"),
        };
        escape.chars().for_each(|character| self.put(character));
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with([' ', '\n']) {
            self.indicator("2", false, false, false);
        }
        let chomp = match text.strip_suffix('\n') {
            None => "-",
            Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
            Some(_) => "",
        };
        self.indicator(chomp, false, false, false);
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut at_start = true;
        for character in text.chars() {
            if character == '\n' {
                self.line_break();
                self.indention = true;
                at_start = true;
            } else {
                if at_start {
                    self.write_indent();
                }
                self.put(character);
                self.indention = false;
                at_start = false;
            }
        }
    }
}

/// Which styles a text can be printed in.
struct Analysis {
    plain: bool,
    single_quoted: bool,
    literal: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        let Some(first) = text.chars().next() else {
            return Self { plain: true, single_quoted: true, literal: false };
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special, mut break_blank, mut blank_break) = (false, false, false, false);
        let mut previous = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let before_blank = characters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match character {
                '#' if previous.is_none_or(|previous| matches!(previous, ' ' | '\t' | '\n' | '\r')) => true,
                ':' => before_blank,
                '?' | '-' if previous.is_none() => before_blank,
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    previous.is_none()
                }
                _ => false,
            };
            special |= !is_printable(character);
            let is_break = matches!(character, '\n' | '\r');
            breaks |= is_break;
            let was_break = matches!(previous, Some('\n' | '\r'));
            break_blank |= character == ' ' && was_break;
            blank_break |= is_break && previous == Some(' ');
            previous = Some(character);
        }
        let edge = |character: char| matches!(character, ' ' | '\n' | '\r');
        let at_edge = edge(first) || previous.is_some_and(edge);
        let never = special || blank_break;
        Self {
            plain: !(at_edge || break_blank || never || breaks || indicators),
            single_quoted: !(break_blank || never),
            literal: !(never || previous == Some(' ')),
        }
    }
}

/// What libyaml prints without an escape. It takes nothing beyond the first 65,536 characters.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && character != '\u{feff}'
}

#[cfg(test)]
mod tests;
