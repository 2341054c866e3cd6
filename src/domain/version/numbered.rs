//! Versions outside SemVer: image tags, dates and any dotted numbers.
//!
//! A text is taken apart into prefix, numbers, pre-release and flavour. Two versions compare only when
//! everything but their numbers is the same: `1.2-alpine` and `1.3-alpine`, never `1.3`.

use super::semantic::STAMP_DIGITS;

/// Most dotted numbers in a version.
const MAX_NUMBERS: usize = 8;
/// Most counters after the numbers that are told apart (`1.2-3-r4`).
const MAX_COUNTERS: usize = 3;
/// Fewest characters of a commit id.
const MIN_HASH: usize = 7;

/// Words that count builds of the same version when a number follows (`ls45` of linuxserver.io, `r1` of Bitnami).
const COUNTER_WORDS: [&str; 11] =
    ["ls", "r", "rev", "build", "b", "p", "patch", "post", "k3s", "u", "hotfix"];
/// Words before a number that is a commit or a pull request, not a version.
const REFERENCE_WORDS: [&str; 8] = ["sha", "sha1", "sha256", "git", "commit", "pr", "pull", "mr"];

/// A version of numbers with text around it.
///
/// The order compares form first, so that it is total; only versions of the [same form](Numbered::comparable)
/// can be newer than one another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbered {
    form: Form,
    numbers: [u64; MAX_NUMBERS],
    stage: Stage,
    counters: [u64; MAX_COUNTERS],
}

/// Everything but the numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Form {
    calendar: Calendar,
    /// How many numbers; 0 where that does not matter.
    parts: u8,
    prefix: Box<str>,
    /// Text after the numbers, with `#` for each counter and `*` for commit ids.
    flavour: Box<str>,
}

/// Dates and plain numbers do not compare: `alpine:3` does not move to `alpine:20240923`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Calendar {
    /// `1.2.3`
    No,
    /// `2024.12.1`
    Year,
    /// `2024-12-01`
    Date,
    /// `20241201`, `1716543210`: the number of digits.
    Stamp(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Before { word: StageWord, number: u64 },
    Release,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum StageWord {
    Alpha,
    Beta,
    Preview,
    Candidate,
}

impl Numbered {
    /// Reads an image tag: prefix, flavour and number of parts belong to its form.
    ///
    /// Names that move (`latest`, `main`) and commit ids are not versions.
    pub fn tag(text: &str) -> Option<Self> {
        Self::parse(text, true)
    }

    /// Reads any dotted numbers: a leading `v` and missing parts do not matter.
    pub fn loose(text: &str) -> Option<Self> {
        Self::parse(text, false)
    }

    fn parse(text: &str, is_tag: bool) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        let start = find_numbers(text)?;
        let prefix = &text[..start];
        if is_reference(prefix) || is_hash(segment_around(text, start)) {
            return None;
        }
        let (numbers, count, calendar, end) = scan_numbers(text, start)?;
        let suffix = scan_suffix(&text[end..])?;
        let prefix = if is_tag { prefix } else { strip_v(prefix) };
        let parts = if is_tag { count } else { 0 };
        let form = Form { calendar, parts, prefix: prefix.into(), flavour: suffix.flavour.into() };
        Some(Self { form, numbers, stage: suffix.stage, counters: suffix.counters })
    }

    /// Whether one can be newer than the other at all.
    pub fn comparable(&self, other: &Self) -> bool {
        self.form == other.form
    }

    /// Whether it precedes a release (`-rc1`, `-beta.2`).
    pub fn is_prerelease(&self) -> bool {
        self.stage != Stage::Release
    }

    /// Whether the numbers are a date or a time stamp, of which no part means more than another.
    pub(super) fn is_date(&self) -> bool {
        matches!(self.form.calendar, Calendar::Date | Calendar::Stamp(_))
    }

    pub(super) fn numbers(&self) -> &[u64; MAX_NUMBERS] {
        &self.numbers
    }

    /// The pre-release in SemVer's words.
    pub(super) fn prerelease(&self) -> Option<String> {
        let (word, number) = match self.stage {
            Stage::Release => return None,
            Stage::Before { word, number } => (word, number),
        };
        let word = match word {
            StageWord::Alpha => "alpha",
            StageWord::Beta => "beta",
            StageWord::Preview => "pre",
            StageWord::Candidate => "rc",
        };
        Some(format!("{word}.{number}"))
    }
}

/// Finds where the numbers begin: at a date, else at the first digit after a separator (or a `v` after one), else
/// at the first digit of all (`alpine3.19`). A dot separates only where nothing else does.
fn find_numbers(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let find = |separators: &[u8], wanted: &dyn Fn(usize) -> bool| {
        (0..bytes.len())
            .filter(|at| *at == 0 || separators.contains(&bytes[at - 1]))
            .map(|at| if matches!(bytes[at], b'v' | b'V') { at + 1 } else { at })
            .find(|at| bytes.get(*at).is_some_and(u8::is_ascii_digit) && wanted(*at))
    };
    find(b"-_/.", &|at| scan_date(text, at).is_some())
        .or_else(|| find(b"-_/", &|_| true))
        .or_else(|| find(b".", &|_| true))
        .or_else(|| bytes.iter().position(u8::is_ascii_digit))
}

/// The run of letters and digits around a place.
fn segment_around(text: &str, at: usize) -> &str {
    let is_break = |character: char| !character.is_ascii_alphanumeric();
    let start = text[..at].rfind(is_break).map_or(0, |place| place + 1);
    let end = text[at..].find(is_break).map_or(text.len(), |place| at + place);
    &text[start..end]
}

/// Whether it looks like a commit id: hexadecimal, letters and digits mixed; `g` before it as `git describe` has it.
fn is_hash(segment: &str) -> bool {
    let segment = segment.strip_prefix('g').unwrap_or(segment);
    segment.len() >= MIN_HASH
        && segment.bytes().all(|byte| byte.is_ascii_hexdigit())
        && segment.bytes().any(|byte| byte.is_ascii_digit())
        && segment.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether the text before the number says that a commit or a pull request follows.
fn is_reference(prefix: &str) -> bool {
    prefix
        .trim_end_matches(|character: char| !character.is_ascii_alphanumeric())
        .rsplit(|character: char| !character.is_ascii_alphanumeric())
        .next()
        .is_some_and(|word| REFERENCE_WORDS.iter().any(|reference| word.eq_ignore_ascii_case(reference)))
}

fn strip_v(prefix: &str) -> &str {
    match prefix.strip_suffix(['v', 'V']) {
        Some(rest) if !rest.ends_with(|character: char| character.is_ascii_alphanumeric()) => rest,
        _ => prefix,
    }
}

fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

type Scanned = ([u64; MAX_NUMBERS], u8, Calendar, usize);

fn scan_numbers(text: &str, start: usize) -> Option<Scanned> {
    let first = digits(&text[start..]);
    if let Some(date) = scan_date(text, start) {
        return Some(date);
    }
    let mut numbers = [0; MAX_NUMBERS];
    let mut count = 0;
    let mut at = start;
    loop {
        let part = digits(&text[at..]);
        *numbers.get_mut(count)? = part.parse().ok()?;
        count += 1;
        at += part.len();
        match text[at..].strip_prefix('.') {
            Some(rest) if rest.starts_with(|character: char| character.is_ascii_digit()) => at += 1,
            _ => break,
        }
    }
    let calendar = match first.len() {
        length if length >= STAMP_DIGITS => Calendar::Stamp(u8::try_from(length).ok()?),
        _ if is_year(first) => Calendar::Year,
        _ => Calendar::No,
    };
    Some((numbers, u8::try_from(count).ok()?, calendar, at))
}

fn is_year(digits: &str) -> bool {
    digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
}

/// Reads `2024-01-05`, with a time after it where there is one (`T22-17-24Z`).
fn scan_date(text: &str, start: usize) -> Option<Scanned> {
    let mut numbers = [0; MAX_NUMBERS];
    let year = digits(&text[start..]);
    if !is_year(year) {
        return None;
    }
    numbers[0] = year.parse().ok()?;
    let mut at = start + 4;
    let mut count = 1;
    while count < 6 {
        let rest = &text[at..];
        let joined = match count {
            1 | 2 => rest.strip_prefix('-'),
            3 => rest.strip_prefix('T'),
            _ => rest.strip_prefix(['-', ':']),
        };
        let Some(part) = joined.map(digits).filter(|part| part.len() == 2) else { break };
        numbers[count] = part.parse().ok()?;
        count += 1;
        at += 3;
    }
    let is_date = count >= 3 && (1..=12).contains(&numbers[1]) && (1..=31).contains(&numbers[2]);
    is_date.then_some((numbers, u8::try_from(count).ok()?, Calendar::Date, at))
}

struct Suffix {
    stage: Stage,
    flavour: String,
    counters: [u64; MAX_COUNTERS],
}

/// Takes the text after the numbers apart into pre-release, counters and flavour. `None` when a number is too large.
fn scan_suffix(text: &str) -> Option<Suffix> {
    let mut suffix = Suffix { stage: Stage::Release, flavour: String::new(), counters: [0; MAX_COUNTERS] };
    let mut used = 0;
    let mut rest = text;
    let mut after_number = true;
    while !rest.is_empty() {
        let separator = &rest[..rest.len() - rest.trim_start_matches(is_separator).len()];
        rest = &rest[separator.len()..];
        let segment = &rest[..rest.find(is_separator).unwrap_or(rest.len())];
        rest = &rest[segment.len()..];
        let word = segment.trim_end_matches(|character: char| character.is_ascii_digit());
        let mut number = &segment[word.len()..];
        let stage = stage_word(word, separator.is_empty() && !number.is_empty());
        let is_stage = suffix.stage == Stage::Release && stage.is_some();
        let is_counter = !is_stage && is_counter_word(word);
        if (is_stage || is_counter) && number.is_empty() {
            number = detached_number(rest);
            rest = &rest[if number.is_empty() { 0 } else { number.len() + 1 }..];
        }
        if is_stage && let Some(word) = stage {
            let number = if number.is_empty() { 0 } else { number.parse().ok()? };
            suffix.stage = Stage::Before { word, number };
            after_number = true;
            continue;
        }
        suffix.flavour.push_str(separator);
        let is_number = word.is_empty() && (after_number || number.len() >= STAMP_DIGITS);
        if is_hash(segment) {
            suffix.flavour.push('*');
        } else if !number.is_empty() && (is_counter || is_number) && used < MAX_COUNTERS {
            suffix.counters[used] = number.parse().ok()?;
            used += 1;
            suffix.flavour.push_str(word);
            suffix.flavour.push('#');
        } else {
            suffix.flavour.push_str(segment);
        }
        after_number = false;
    }
    Some(suffix)
}

fn is_separator(character: char) -> bool {
    !character.is_ascii_alphanumeric()
}

fn stage_word(word: &str, glued: bool) -> Option<StageWord> {
    let is = |expected: &str| word.eq_ignore_ascii_case(expected);
    if is("alpha") || glued && is("a") {
        Some(StageWord::Alpha)
    } else if is("beta") || glued && is("b") {
        Some(StageWord::Beta)
    } else if is("pre") || is("preview") || is("prerelease") {
        Some(StageWord::Preview)
    } else if is("rc") || is("cr") {
        Some(StageWord::Candidate)
    } else {
        None
    }
}

fn is_counter_word(word: &str) -> bool {
    COUNTER_WORDS.iter().any(|counter| word.eq_ignore_ascii_case(counter))
}

/// The number after one separator, where nothing else stands in the segment (`.2` of `beta.2`).
fn detached_number(rest: &str) -> &str {
    let Some(rest) = rest.strip_prefix(['.', '-', '_']) else { return "" };
    let number = digits(rest);
    if rest[number.len()..].starts_with(|character: char| character.is_ascii_alphanumeric()) {
        ""
    } else {
        number
    }
}
