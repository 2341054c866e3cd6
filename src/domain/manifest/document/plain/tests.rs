//! Holds the reader of plain documents against the parser: what it reads, the parser reads the same.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use rstest::rstest;

use super::super::super::split;
use super::*;

/// Whether the document is read; fails where the parser reads it in another way, or refuses it.
fn is_read(text: &str, chunk: Range<usize>) -> Result<bool, String> {
    let Some(plain) = read(text, chunk.clone()) else { return Ok(false) };
    let parsed = Document::read_parsed(text, chunk).map_err(|error| format!("{text:?}: {error:?}"))?;
    let differs = plain.nodes.iter().zip(&parsed.nodes).find(|(plain, parsed)| plain != parsed);
    match differs {
        Some((plain, parsed)) => Err(format!("{text:?}: read {plain:?}, parsed {parsed:?}")),
        None if plain != parsed => Err(format!("{text:?}: read {plain:?}, parsed {parsed:?}")),
        None => Ok(true),
    }
}

#[rstest]
#[case::mapping("a: 1\nb:\n  c: 2\n  d:\n    e: x y\nf: 3\n")]
#[case::sequences("a:\n  - 1\n  - 2\nb:\n- 3\n- 4\nc: 5\n")]
#[case::sequence_of_mappings("- a: 1\n  b: 2\n-   c: 3\n    d:\n    - e\n")]
#[case::sequence_of_sequences("- - a\n  - b\n- - - c\n")]
#[case::values_that_are_missing("a:\nb: # nothing\nc:\n  d:\ne:\n")]
#[case::quotes("'a': 'b # c'\n\"d\": \"\"\n'': ' e '\n")]
#[case::empty_collections("a: {}\nb: [] # none\nc:\n  - {}\n")]
#[case::comments_anywhere("# a\na: # b\n      # c\n  b: 1 # d\n# e\n  c: 2\n    # f\n")]
#[case::signs_inside("a: x:y#z\nb: -1\nc: a,b]{}&*!\nd#e: --f=g\n")]
#[case::literals(
    "a: |\n  x\n\n    y # z\n   \n\nb: |-\n    x\n    ---\nc:\n  - |\n    x\n  - d: |\n      y\n"
)]
#[case::no_end_of_line("a: |\n  x")]
#[case::indentation_without_a_line("a: |-\n  x\n  ")]
#[case::everything_indented("  a: 1\n  b:\n  - c\n")]
#[case::flow("a: [b, 'c', \"d\" ] # e\nf: {g: h, 'i': j k,  l : [m, {n: o}]}\np:\n- [ q ]\n- {r: []}\n")]
#[case::anchors("a: &b c\nd: &e\n  f: &g-1\n  - &h 'i'\n  - &j [*b, &k {l: &m n}]\n  o: &p |\n    q\n")]
#[case::aliases("a: &b c\nd: *b\ne: &b\n  f: *b # g\n  h: [*b, *b ]\ni: *b\n<<: [*b]\nj:\n- *b\n")]
#[case::alias_of_what_holds_it("a: &b\n  c: *b\n  d: &e [*e]\n")]
#[case::escapes("a: \"b\\n\\\\\\\"c\\t\"\nd: 'it''s'''\n'''': \"\\\"\"\n")]
#[case::folded("a: >\n  b\n  c \n\n\n  d\n\ne: >-\n    f\ng:\n- >\n  h")]
#[case::spaces_before_colons("a : b\n'c'  : d\ne:\n- f :\n")]
#[case::colons_in_front("a: :b\n:c:d: ::1\ne:\n- ::1\n")]
#[case::other_letters("\u{fc}: \u{1f600} # \u{2014}\nb: |\n  \u{e9}\n")]
fn plain_documents_are_read(#[case] text: &str) {
    assert_eq!(is_read(text, 0..text.len()), Ok(true));
}

#[rstest]
#[case::nothing("# only a comment\n\n")]
#[case::scalar("a\n")]
#[case::anchor_of_a_key("&a b: c\n")]
#[case::anchor_of_nothing("a: &b\nc: d\n")]
#[case::anchor_of_a_key_in_an_entry("- &a b: c\n")]
#[case::anchor_of_an_alias("a: &b c\nd: &e *b\n")]
#[case::anchor_before_an_entry("- &a\n  b: c\n")]
#[case::anchor_with_other_letters("a: &\u{fc} b\n")]
#[case::alias_of_nothing("a: *b\n")]
#[case::alias_as_key("a: &b c\n*b : d\n")]
#[case::tag("a: !!str b\n")]
#[case::flow_on_two_lines("a: [b,\n  c]\n")]
#[case::flow_with_a_comment("a: [b, # c\n  d]\n")]
#[case::flow_that_ends_in_a_comma("a: [b,]\n")]
#[case::flow_with_nothing_in_it("a: {b: , c}\n")]
#[case::flow_with_a_pair("a: [b: c]\n")]
#[case::flow_right_behind_a_key("a: {b:c, 'd':e}\n")]
#[case::flow_that_is_a_key("a: 1\n[b]: c\n")]
#[case::flow_that_never_ends("a: {b: [c}\n")]
#[case::flow_of_braces("a: {{ b }}\n")]
#[case::brackets_in_flow("a: [b[c]]\n")]
#[case::dash_in_flow("a: [-]\n")]
#[case::colon_in_flow("a: [:]\n")]
#[case::flow_as_root("{}\n")]
#[case::complex_key("? a\n: b\n")]
#[case::key_that_is_missing(": a\n")]
#[case::second_key("a: b: c\n")]
#[case::second_key_at_the_end("a: b:\n")]
#[case::plain_lines("a: b\n  c\n")]
#[case::plain_on_the_next_line("a:\n  b\n")]
#[case::quoted_lines("a: 'b\n  c'\n")]
#[case::quoted_on_the_next_line("a:\n  'b'\n")]
#[case::escape("a: \"\\x41\"\n")]
#[case::behind_quotes("a: 'b'c\n")]
#[case::comment_right_behind_quotes("a: 'b'#c\n")]
#[case::value_right_behind_quoted_key("'a':b\n")]
#[case::folded_that_goes_deeper("a: >\n  b\n    c\n")]
#[case::folded_and_kept("a: >+\n  b\n\n")]
#[case::kept("a: |+\n  b\n\n")]
#[case::indentation_is_told("a: |2\n  b\n")]
#[case::literal_without_text("a: |\nb: c\n")]
#[case::literal_that_starts_blank("a: |\n\n  b\n")]
#[case::literal_that_starts_deeper("a: |\n   \n  b\n")]
#[case::literal_that_is_followed_deeper("a:\n  b: |\n      c\n    d\n")]
#[case::entry_on_the_next_line("-\n  a: b\n")]
#[case::entry_that_is_missing("- # a\n- b\n")]
#[case::sequence_right_behind_a_key("a: - b\n")]
#[case::sequence_behind_a_value("a: b\n- c\n")]
#[case::key_behind_a_sequence("- a\nb: c\n")]
#[case::deeper_than_its_siblings("a: b\n  c: d\n")]
#[case::between_two_levels("a:\n    b: c\n  d: e\n")]
#[case::outside_of_the_root("  a: b\nc: d\n")]
#[case::tab("a:\tb\n")]
#[case::carriage_return("a: b\r\nc: d\r\n")]
#[case::carriage_return_alone("a: b # c\rd: e\n")]
#[case::byte_order_mark("\u{feff}a: b\n")]
#[case::control_character("a: b # \u{7}\n")]
#[case::control_character_beyond_ascii("a: b # \u{80}\n")]
#[case::not_a_character("a: \u{ffff}\n")]
#[case::document_end("a: b\n...\n")]
#[case::document_start("---\na: b\n")]
#[case::directive("%YAML 1.2\na: b\n")]
#[case::reserved("a: @b\n")]
fn anything_else_is_left_to_the_parser(#[case] text: &str) {
    assert_eq!(is_read(text, 0..text.len()), Ok(false));
}

#[test]
fn long_keys_and_deep_documents_are_left_to_the_parser() {
    let keyed = |length| format!("{}: 1\n", "k".repeat(length));
    assert_eq!(is_read(&keyed(MAX_KEY), 0..MAX_KEY + 4), Ok(true));
    assert_eq!(is_read(&keyed(MAX_KEY + 1), 0..MAX_KEY + 5), Ok(false));
    let nested = |depth| format!("{}a\n", "- ".repeat(depth));
    assert_eq!(is_read(&nested(MAX_DEPTH), 0..2 * MAX_DEPTH + 2), Ok(true));
    assert_eq!(is_read(&nested(MAX_DEPTH + 1), 0..2 * MAX_DEPTH + 4), Ok(false));
    let flow = |depth| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(is_read(&flow(MAX_DEPTH - 1), 0..2 * MAX_DEPTH + 2), Ok(true));
    assert_eq!(is_read(&flow(MAX_DEPTH), 0..2 * MAX_DEPTH + 4), Ok(false));
}

#[test]
fn many_anchors_and_aliases_that_unfold_are_left_to_the_parser() {
    let named = |count| (0..count).map(|number| format!("k{number}: &a{number} x\n")).collect::<String>();
    let (few, many) = (named(MAX_ANCHORS), named(MAX_ANCHORS + 1));
    assert_eq!(is_read(&few, 0..few.len()), Ok(true));
    assert_eq!(is_read(&many, 0..many.len()), Ok(false));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let again = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{again}]\n"));
    }
    assert_eq!(read(&bomb, 0..bomb.len()), None);
    assert!(Document::read_parsed(&bomb, 0..bomb.len()).is_err());
}

#[test]
fn spans_are_places_of_the_file() {
    let text = "---\na: 1\n--- # second\nb: |\n  x\n";
    let second = split::documents(text).remove(1).range;
    assert_eq!(is_read(text, second), Ok(true));
}

/// Documents that are read, and all, of the YAML files in a folder.
fn compare_folder(folder: &Path, compare: &impl Fn(&str) -> Result<(), String>) -> (usize, usize) {
    let Ok(entries) = std::fs::read_dir(folder) else { return (0, 0) };
    let mut total = (0, 0);
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (read, all) = match entry.file_type() {
            Ok(kind) if kind.is_dir() => compare_folder(&path, compare),
            Ok(kind) if kind.is_file() && [".yaml", ".yml"].iter().any(|end| name.ends_with(end)) => {
                compare_file(&path, compare)
            }
            _ => continue,
        };
        total = (total.0 + read, total.1 + all);
    }
    total
}

fn compare_file(path: &Path, compare: &impl Fn(&str) -> Result<(), String>) -> (usize, usize) {
    let Ok(text) = std::fs::read_to_string(path) else { return (0, 0) };
    let chunks = split::documents(&text);
    let read = chunks.iter().map(|chunk| is_read(&text, chunk.range.clone()));
    let read = compare(&text).and_then(|()| read.collect::<Result<Vec<_>, _>>());
    let read = read.unwrap_or_else(|message| panic!("{}: {message}", path.display()));
    (read.iter().filter(|read| **read).count(), chunks.len())
}

#[test]
fn most_of_our_own_yaml_is_read_cut_off_anywhere_too() {
    let every_start = |text: &str| {
        let cuts = 0..text.len().min(1_500);
        cuts.filter(|cut| text.is_char_boundary(*cut)).try_for_each(|cut| is_read(text, 0..cut).map(|_| ()))
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["testdata", "rules"].map(|folder| compare_folder(&root.join(folder), &every_start));
    let (read, all) = folders.iter().fold((0, 0), |sum, folder| (sum.0 + folder.0, sum.1 + folder.1));
    println!("{read} of {all} documents");
    assert!(read * 2 > all, "only {read} of {all} documents");
}

/// The corpus is no part of the project; where it is missing, there is nothing to compare.
#[test]
fn three_of_four_documents_of_the_corpus_are_read() {
    let Some(corpus) = std::env::var_os("GITOPS_UPDATER_CORPUS").map(PathBuf::from) else {
        println!("skipped: no corpus; set GITOPS_UPDATER_CORPUS");
        return;
    };
    let (read, all) = compare_folder(&corpus, &|_| Ok(()));
    println!("`{}`: {read} of {all} documents", corpus.display());
    assert!(read * 4 >= all * 3, "only {read} of {all} documents");
}

/// Letters, indicators and line ends in any order: hardly ever YAML, and then mostly what must be left.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "a",
        "b",
        "key",
        "- ",
        "- ",
        "-",
        ": ",
        ": ",
        ": ",
        ":",
        "\n",
        "\n",
        "\n",
        "\n  ",
        "\n  ",
        "\n    ",
        "\n ",
        " ",
        "  ",
        "#",
        " # c",
        "'",
        "''",
        "'x'",
        "\"",
        "\"x\"",
        "\"\"",
        "\\",
        "|",
        "|-",
        "|\n  ",
        ": |\n    ",
        ": |-\n  ",
        ">",
        ">-",
        "|+",
        "|2",
        "{}",
        "[]",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "&x ",
        "&x ",
        ": &x\n  ",
        "*x",
        "*x",
        ": *x",
        ": [",
        ": {",
        ", ",
        "]\n",
        "}\n",
        ": >-\n  ",
        "\\n",
        "\\\"",
        "!",
        "!!str ",
        "? ",
        "?",
        "%",
        "@",
        "`",
        "---",
        "...",
        "--- ",
        "\t",
        "\r",
        "\u{e9}",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "\u{7f}",
        "\u{0}",
        "~",
        "null",
        "1.2.3",
        "v1",
        "=",
        "<<",
        "--x",
        "x:y",
        "\n\n",
        "\n- ",
        "\n  - ",
        "\n# c\n",
        "\nb: ",
        "\n  b: ",
        "\n    b: ",
    ];
    vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// Lines as they stand in manifests, at any indentation: most are out of place.
fn lines() -> impl Strategy<Value = String> {
    const STARTS: &[&str] = &["", "", "", "- ", "- ", "- - ", "-  ", "# ", "-"];
    const KEYS: &[&str] =
        &["a: ", "b: ", "c:", "'d': ", "\"e\": ", "k :", "", "", "-x: ", "<<: ", "f:g: ", "h:  "];
    const VALUES: &[&str] = &[
        "",
        "",
        "",
        "",
        "x",
        "x y",
        "1.2.3",
        "'q'",
        "'it''s'",
        "\"q\"",
        "\"\\n\"",
        "|",
        "|",
        "|-",
        "|-",
        "|+",
        ">",
        ">-",
        "{}",
        "[]",
        "x # c",
        "# c",
        "'q' # c",
        "{} # c",
        "x: y",
        "x:",
        "&a x",
        "*a",
        "- x",
        "-x",
        "---",
        "...",
        "x#y",
        "'a",
        "b'",
        "\"a",
        "[x]",
        "{a: b}",
        "\u{e9}",
        "| # c",
        "|2",
        "|1",
        "'q' x",
        "{}x",
        "a,b",
        "[x, y]",
        "[ 'q', \"q\" ] # c",
        "{a: b, 'c': d}",
        "[[x], {}]",
        "{a: [b]}",
        "[a: b]",
        "[*a]",
        "[&a x, *a]",
        "{a: *a}",
        "{a : b }",
        "[x#y, -z]",
        "[x #y]",
        "[a:b]",
        "{a: }",
        "{a:}",
        "[,]",
        "[x,]",
        "[-]",
        "[- a]",
        "[?a]",
        "[x]y",
        "[x] y",
        "{a: b}}",
        "[\"a\": b]",
        "{\"a\":b}",
        "&a",
        "&a",
        "&a [x]",
        "&a {a: *a}",
        "&a |",
        "&a >-",
        "&a # c",
        "&a 'q'",
        "&a &b x",
        "*a # c",
        "*a",
        "*a#",
        "*a x",
        "*a:",
        "*a :",
        "&b x",
        "*b",
        "&a- x",
        "&a: x",
        ":x",
        "::",
        "?x",
        "x :",
        "x : y",
        "\"\\\"\"",
        "\"\\\\\"",
        "\"\\\\",
        "\"\\t\\/\"",
        "'''",
        "''''",
        "> # c",
        ">2",
        "%x",
        ": x",
        "''",
        "\"\"",
        "' '",
        "\" x \"",
        "' # '",
        "x  ",
        "x: # y",
    ];
    const ENDS: &[&str] = &["\n", "\n", "\n", " \n", "\n\n", "\n  \n", "\n     \n", ""];
    let line = (0..7_usize, select(STARTS), select(KEYS), select(VALUES), select(ENDS)).prop_map(
        |(indent, start, key, value, end)| format!("{}{start}{key}{value}{end}", " ".repeat(indent)),
    );
    vec(line, 0..9).prop_map(|lines| lines.concat())
}

/// What a manifest is made of.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(&'static str),
    /// Header, lines with their further indentation, and how much deeper than its key all of it stands.
    Literal(&'static str, Vec<(usize, &'static str)>, usize),
    /// How much deeper than its key it stands.
    Mapping(usize, Vec<(&'static str, Self)>),
    Sequence(usize, Vec<Self>),
}

impl Tree {
    /// Writes what stands behind a colon or a dash at `indent`.
    fn write(&self, indent: usize, behind_dash: bool, out: &mut String) {
        match self {
            Self::Scalar("") if behind_dash => out.push_str(" x\n"),
            Self::Scalar(value) => out.push_str(&format!(" {value}\n")),
            Self::Literal(header, lines, deeper) => {
                out.push_str(&format!(" {header}\n"));
                for (more, line) in lines {
                    // A blank line may have any indentation.
                    let indent = if line.is_empty() { more * 3 } else { indent + deeper + more };
                    out.push_str(&format!("{}{line}\n", " ".repeat(indent)));
                }
            }
            Self::Mapping(..) | Self::Sequence(..) if behind_dash => {
                out.push(' ');
                self.write_entries(indent + 2, out);
            }
            Self::Mapping(deeper, _) => {
                out.push_str(&format!(" # c\n{}", " ".repeat(indent + deeper)));
                self.write_entries(indent + deeper, out);
            }
            Self::Sequence(deeper, _) => {
                // In the column of its key too.
                let indent = indent + deeper - 1;
                out.push_str(&format!("\n{}", " ".repeat(indent)));
                self.write_entries(indent, out);
            }
        }
    }

    fn write_entries(&self, indent: usize, out: &mut String) {
        let between = |position| if position > 0 { " ".repeat(indent) } else { String::new() };
        match self {
            Self::Mapping(_, pairs) => {
                for (position, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(&format!("{}{key}:", between(position)));
                    value.write(indent, false, out);
                }
            }
            Self::Sequence(_, entries) => {
                for (position, entry) in entries.iter().enumerate() {
                    out.push_str(&format!("{}-", between(position)));
                    entry.write(indent, true, out);
                }
            }
            Self::Scalar(_) | Self::Literal(..) => self.write(indent, true, out),
        }
    }
}

/// A manifest as it should be.
fn tidy() -> impl Strategy<Value = String> {
    const KEYS: &[&str] = &["a", "b", "'c'", "\"d\"", "e.f/g", "h-i", "<<", "j#k"];
    const VALUES: &[&str] = &[
        "x",
        "x y # c",
        "'q'",
        "\"q\"",
        "''",
        "{}",
        "[]",
        "1",
        "",
        "http://x:1/#y",
        "-x",
        "' # '",
        "\u{e9}",
        "[x, 'q' , {a: b}]",
        "{a: [], 'b': \"q\"} # c",
        "[ x y, -x, x:y, http://x:1/#y ]",
        "&a x",
        "&a [x, &b y]",
        ":x",
        "'it''s'",
        "\"\\\"\\n\\\\\"",
    ];
    const LINES: &[&str] = &["x", "y: z", "", "# n", "- q", "  ", "w  "];
    let literal = (select(&["|", "|-", "&a |"][..]), vec((0..3_usize, select(LINES)), 0..6), 1..4_usize)
        .prop_map(|(header, mut lines, deeper)| {
            lines.insert(0, (0, "first"));
            Tree::Literal(header, lines, deeper)
        });
    let leaf = prop_oneof![4 => select(VALUES).prop_map(Tree::Scalar), 1 => literal];
    let tree = leaf.prop_recursive(5, 40, 5, |inner| {
        let pairs = vec((select(KEYS), inner.clone()), 1..5);
        prop_oneof![
            (1..4_usize, pairs).prop_map(|(deeper, pairs)| Tree::Mapping(deeper, pairs)),
            (1..4_usize, vec(inner, 1..5)).prop_map(|(deeper, entries)| Tree::Sequence(deeper, entries)),
        ]
    });
    tree.prop_map(|tree| {
        let mut text = String::new();
        Tree::Mapping(0, vec![("spec", tree)]).write_entries(0, &mut text);
        text
    })
}

proptest! {
    #[test]
    fn pieces_of_yaml_are_read_as_the_parser_reads_them(text in pieces()) {
        is_read(&text, 0..text.len()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn lines_of_yaml_are_read_as_the_parser_reads_them(text in lines()) {
        is_read(&text, 0..text.len()).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn tidy_yaml_is_read_as_the_parser_reads_it_cut_anywhere_too(text in tidy(), cut in 0..400_usize) {
        prop_assert!(is_read(&text, 0..text.len()).map_err(TestCaseError::fail)?, "left: {text}");
        let cut = text.floor_char_boundary(cut);
        is_read(&text, cut..text.len()).map_err(TestCaseError::fail)?;
        is_read(&text, 0..cut).map_err(TestCaseError::fail)?;
    }
}
