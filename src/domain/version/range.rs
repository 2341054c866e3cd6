//! Version ranges as Helm and Flux read them: the constraints of Masterminds/semver v3.
//!
//! The rules are those of the library that Helm and source-controller link (`testdata/versions/masterminds.tsv`
//! holds its answers); they differ from Cargo's in many ways, among them that a bare `1.2.3` is exactly that
//! version and that one pre-release in an AND group admits the pre-releases of the whole group. One known
//! difference is left: numeric pre-release identifiers above `u64::MAX`, which the library compares as text, are
//! compared as numbers here.

use std::cmp::Ordering;
use std::fmt;

use semver::{BuildMetadata, Prerelease, Version};

/// Longest constraint that the library reads, in bytes (`MaxConstraintLen`).
const MAX_RANGE_BYTES: usize = 512;
/// Most alternatives that the library reads (`MaxConstraintGroups`).
const MAX_ALTERNATIVES: usize = 32;
/// Longest version that the library reads, in bytes (`MaxVersionLen`).
const MAX_VERSION_BYTES: usize = 256;

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Longer than the library reads.
    #[error("cannot read a version range of {bytes} bytes, more than {MAX_RANGE_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More alternatives than the library reads.
    #[error("cannot read a version range of {count} alternatives, more than {MAX_ALTERNATIVES}")]
    TooManyAlternatives {
        /// Number of parts between `||`.
        count: usize,
    },
    /// Not of the grammar.
    #[error("cannot read `{part}` as a version range")]
    Malformed {
        /// The alternative that could not be read.
        part: String,
    },
}

/// A Masterminds constraint: alternatives of comparisons that must all hold.
#[derive(Debug, Clone)]
pub struct Range {
    text: String,
    alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
struct Alternative {
    comparisons: Vec<Comparison>,
    names_prerelease: bool,
}

#[derive(Debug, Clone)]
struct Comparison {
    operator: Operator,
    precision: Precision,
    /// The version named, missing and wildcard parts as zero.
    bound: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How many parts of the bound are given as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Nothing,
    Major,
    Minor,
    Full,
}

impl Range {
    /// Reads a constraint. Empty text is refused, as the library does (Helm and Flux read a missing version as `*`).
    ///
    /// # Errors
    ///
    /// When the text is too long or not of the grammar.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.len() > MAX_RANGE_BYTES {
            return Err(RangeError::TooLong { bytes: text.len() });
        }
        let rewritten = rewrite_hyphens(text);
        let count = rewritten.split("||").count();
        if count > MAX_ALTERNATIVES {
            return Err(RangeError::TooManyAlternatives { count });
        }
        let alternatives = rewritten
            .split("||")
            .map(|part| {
                parse_alternative(part).ok_or_else(|| RangeError::Malformed { part: part.trim().to_owned() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), alternatives })
    }

    /// Whether the version satisfies the range; pre-releases only where the range names one.
    pub fn matches(&self, version: &Version) -> bool {
        self.any(version, false)
    }

    /// Like [`Range::matches`], but pre-releases are judged by their place in the order alone.
    pub fn matches_with_prereleases(&self, version: &Version) -> bool {
        self.any(version, true)
    }

    fn any(&self, version: &Version, prereleases: bool) -> bool {
        self.alternatives.iter().any(|alternative| {
            (prereleases || alternative.names_prerelease || version.pre.is_empty())
                && alternative.comparisons.iter().all(|comparison| comparison.holds(version))
        })
    }

    /// Whether the range can only ever give one version: `1.2.3`, `v1.2.3` or `=1.2.3`.
    pub fn is_exact(&self) -> bool {
        match self.alternatives.as_slice() {
            [Alternative { comparisons, .. }] => matches!(
                comparisons.as_slice(),
                [Comparison { operator: Operator::Equal, precision: Precision::Full, .. }]
            ),
            _ => false,
        }
    }

    /// Whether pre-releases can satisfy the range.
    pub fn names_prerelease(&self) -> bool {
        self.alternatives.iter().any(|alternative| alternative.names_prerelease)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for Range {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Range {}

/// Reads a version as Flux does before it compares: SemVer of three parts, after at most one leading `v`.
pub fn strict_version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    if text.len() > MAX_VERSION_BYTES { None } else { Version::parse(text).ok() }
}

impl Comparison {
    fn holds(&self, version: &Version) -> bool {
        let bound = &self.bound;
        let order = version.cmp_precedence(bound);
        let minor_order = (version.major, version.minor).cmp(&(bound.major, bound.minor));
        match (self.operator, self.precision) {
            (Operator::Equal, Precision::Full) => order.is_eq(),
            (Operator::Equal | Operator::Tilde, _) => self.tilde(version, order),
            (Operator::NotEqual, Precision::Nothing | Precision::Full) => order.is_ne(),
            (Operator::NotEqual, Precision::Major) => version.major != bound.major,
            (Operator::NotEqual, Precision::Minor) => minor_order.is_ne() || version.pre != bound.pre,
            (Operator::Greater, Precision::Nothing | Precision::Full) => order.is_gt(),
            (Operator::Greater, Precision::Major) => version.major > bound.major,
            (Operator::Greater, Precision::Minor) => minor_order.is_gt(),
            (Operator::Less, _) => order.is_lt(),
            (Operator::GreaterOrEqual, _) => order.is_ge(),
            (Operator::LessOrEqual, Precision::Full) => order.is_le(),
            (Operator::LessOrEqual, Precision::Major) => version.major <= bound.major,
            (Operator::LessOrEqual, Precision::Nothing | Precision::Minor) => minor_order.is_le(),
            (Operator::Caret, _) => self.caret(version, order),
        }
    }

    /// Same minor, or same major where no minor is given; `~0.0.0` and `*` are any version.
    fn tilde(&self, version: &Version, order: Ordering) -> bool {
        let bound = &self.bound;
        let unbounded = matches!(self.precision, Precision::Nothing | Precision::Full)
            && (bound.major, bound.minor, bound.patch) == (0, 0, 0);
        order.is_ge()
            && (unbounded
                || version.major == bound.major
                    && (version.minor == bound.minor || self.precision == Precision::Major))
    }

    /// Same left-most part that is not zero.
    fn caret(&self, version: &Version, order: Ordering) -> bool {
        let bound = &self.bound;
        if order.is_lt() || version.major != bound.major {
            return false;
        }
        if bound.major > 0 || self.precision == Precision::Major {
            return true;
        }
        version.minor == bound.minor
            && (bound.minor > 0 || self.precision == Precision::Minor || version.patch == bound.patch)
    }
}

/// One version of a constraint as written, and where it ends.
struct Partial<'a> {
    major: &'a str,
    minor: Option<&'a str>,
    patch: Option<&'a str>,
    prerelease: &'a str,
    end: usize,
}

/// The white space of the library's patterns: ASCII only.
fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn skip_while(text: &str, from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    from + text.as_bytes()[from..].iter().take_while(|byte| wanted(**byte)).count()
}

/// Scans the longest version at `from`. All delimiters are ASCII, so every offset is a character boundary.
fn scan_partial(text: &str, from: usize) -> Option<Partial<'_>> {
    // The library's character class holds `|` by accident; such a part never parses, but it decides how far a
    // hyphen range reaches (`1||2 - 3`).
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'x' | b'X' | b'*' | b'|');
    let bytes = text.as_bytes();
    let start = if bytes.get(from) == Some(&b'v') { from + 1 } else { from };
    let mut end = skip_while(text, start, is_part);
    if end == start {
        return None;
    }
    let major = &text[start..end];
    let mut rest = [None, None];
    for part in &mut rest {
        if bytes.get(end) != Some(&b'.') {
            break;
        }
        let next = skip_while(text, end + 1, is_part);
        if next == end + 1 {
            break;
        }
        *part = Some(&text[end + 1..next]);
        end = next;
    }
    let [minor, patch] = rest;
    let mut prerelease = "";
    if let Some(next) = scan_identifiers(text, end, b'-') {
        prerelease = &text[end + 1..next];
        end = next;
    }
    if let Some(next) = scan_identifiers(text, end, b'+') {
        end = next;
    }
    Some(Partial { major, minor, patch, prerelease, end })
}

/// Scans `mark` and dot-separated identifiers after it; gives where they end.
fn scan_identifiers(text: &str, from: usize, mark: u8) -> Option<usize> {
    let is_identifier = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let bytes = text.as_bytes();
    if bytes.get(from) != Some(&mark) {
        return None;
    }
    let mut end = skip_while(text, from + 1, is_identifier);
    if end == from + 1 {
        return None;
    }
    while bytes.get(end) == Some(&b'.') {
        let next = skip_while(text, end + 1, is_identifier);
        if next == end + 1 {
            break;
        }
        end = next;
    }
    Some(end)
}

/// Rewrites `1.2 - 1.4` as `>= 1.2, <= 1.4`, in the text as the library does, which swallows the white space
/// before the range: `>1.0.0 1.2 - 2` does not parse.
fn rewrite_hyphens(text: &str) -> String {
    let mut rewritten = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        match scan_hyphen(text, at) {
            Some((end, replacement)) => {
                rewritten = rewritten.replacen(&text[at..end], &replacement, 1);
                at = end;
            }
            None => at += 1,
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    rewritten
}

fn scan_hyphen(text: &str, at: usize) -> Option<(usize, String)> {
    let from = skip_while(text, at, is_space);
    let low = scan_partial(text, from)?;
    let dash = skip_while(text, low.end, is_space);
    let after = skip_while(text, (dash + 1).min(text.len()), is_space);
    if dash == low.end || text.as_bytes().get(dash) != Some(&b'-') || after == dash + 1 {
        return None;
    }
    let high = scan_partial(text, after)?;
    let replacement = format!(">= {}, <= {} ", &text[from..low.end], &text[after..high.end]);
    Some((skip_while(text, high.end, is_space), replacement))
}

fn parse_alternative(text: &str) -> Option<Alternative> {
    let mut comparisons = Vec::new();
    let mut at = skip_while(text, 0, is_space);
    loop {
        let (operator, after) = scan_operator(text, at);
        let partial = scan_partial(text, skip_while(text, after, is_space))?;
        let end = partial.end;
        comparisons.push(comparison(operator, &partial)?);
        at = skip_while(text, end, is_space);
        if at == text.len() {
            break;
        }
        if text.as_bytes()[at] == b',' {
            at = skip_while(text, at + 1, is_space);
        } else if at == end {
            return None;
        }
    }
    let names_prerelease = comparisons.iter().any(|comparison| !comparison.bound.pre.is_empty());
    Some(Alternative { comparisons, names_prerelease })
}

fn scan_operator(text: &str, at: usize) -> (Operator, usize) {
    const OPERATORS: [(&str, Operator); 11] = [
        ("!=", Operator::NotEqual),
        (">=", Operator::GreaterOrEqual),
        ("=>", Operator::GreaterOrEqual),
        ("<=", Operator::LessOrEqual),
        ("=<", Operator::LessOrEqual),
        ("~>", Operator::Tilde),
        (">", Operator::Greater),
        ("<", Operator::Less),
        ("~", Operator::Tilde),
        ("^", Operator::Caret),
        ("=", Operator::Equal),
    ];
    OPERATORS
        .iter()
        .find(|(sign, _)| text[at..].starts_with(sign))
        .map_or((Operator::Equal, at), |(sign, operator)| (*operator, at + sign.len()))
}

fn comparison(operator: Operator, partial: &Partial<'_>) -> Option<Comparison> {
    let is_wild = |part: &str| matches!(part, "x" | "X" | "*");
    let number = |part: &str| part.parse::<u64>().ok();
    let minor = partial.minor.filter(|part| !is_wild(part));
    let patch = partial.patch.filter(|part| !is_wild(part));
    let (precision, [major, minor, patch]) = match (is_wild(partial.major), minor, patch) {
        (true, _, _) => (Precision::Nothing, [0, 0, 0]),
        (false, None, _) => (Precision::Major, [number(partial.major)?, 0, 0]),
        (false, Some(minor), None) => (Precision::Minor, [number(partial.major)?, number(minor)?, 0]),
        (false, Some(minor), Some(patch)) => {
            (Precision::Full, [number(partial.major)?, number(minor)?, number(patch)?])
        }
    };
    if partial.prerelease.len() > MAX_VERSION_BYTES - "0.0.0-".len() {
        return None;
    }
    let pre = Prerelease::new(partial.prerelease).ok()?;
    Some(Comparison {
        operator,
        precision,
        bound: Version { major, minor, patch, pre, build: BuildMetadata::EMPTY },
    })
}

#[cfg(test)]
mod tests;
