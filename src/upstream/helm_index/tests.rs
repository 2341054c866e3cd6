//! The fast reader against the parser, and both against the layouts that exist.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn of(text: &[u8], wanted: &[&str]) -> Result<Index, Error> {
    read(|| Ok(Box::new(text)), &wanted.iter().copied().collect())
}

fn versions(text: &str, chart: &str) -> Vec<String> {
    let index = of(text.as_bytes(), &[chart]).unwrap();
    index.charts[chart].entries.iter().filter_map(|entry| entry.version.clone()).collect()
}

const CANONICAL: &str = "\
apiVersion: v1
entries:
  demo:
  - apiVersion: v2
    appVersion: \"1.10\"
    created: \"2026-08-14T01:14:28.123456789Z\"
    description: |
      version: 9.9.9
      - version: 8.8.8
    digest: aa
    home: https://example.com/demo
    kubeVersion: '>=1.25.0-0'
    maintainers:
    - name: me
      version: 7.7.7
    name: demo
    sources:
    - https://gitlab.com/demo/demo
    - https://github.com/demo/demo
    urls:
    - https://example.com/demo-1.10.tgz
    version: 1.10
  - created: \"2025-01-01T00:00:00Z\"
    deprecated: true
    urls: []
    version: 1.9.0
  other:
  - version: 3.0.0
generated: \"2026-08-14T01:14:28Z\"
";

#[test]
fn canonical_index_is_read_without_a_parser() {
    let wanted = BTreeSet::from(["demo"]);
    let index = read_fast(CANONICAL.as_bytes(), &wanted).unwrap().expect("vouched for");
    assert_eq!(index.names, BTreeSet::from(["demo".to_owned(), "other".to_owned()]));
    assert_eq!(index.clone().comparable(), read_parsed(CANONICAL.as_bytes(), &wanted).unwrap().comparable());
    let answer = index.charts["demo"].clone().into_answer();
    assert_eq!(answer.changelog_url.as_deref(), Some("https://github.com/demo/demo"));
    let [newest, older] = answer.candidates.as_slice() else { panic!("two versions") };
    assert_eq!(newest.version, "1.10", "a version is text, not a number");
    assert_eq!(newest.app_version.as_deref(), Some("1.10"));
    assert_eq!(newest.kube_version.as_deref(), Some(">=1.25.0-0"));
    assert_eq!(newest.released_at, Some("2026-08-14T01:14:28.123456789Z".parse().unwrap()));
    assert_eq!((newest.unusable.as_deref(), newest.deprecated), (None, false));
    assert!(older.deprecated && older.unusable.is_some());
}

/// Layouts that Helm accepts, each with whether the fast reader vouches for it.
#[test]
fn every_layout_gives_the_same_versions() {
    let crlf = CANONICAL.replace('\n', "\r\n");
    let bom = format!("\u{feff}{CANONICAL}");
    let four = "entries:\n    demo:\n        - version: 1.10\n          urls:\n            - a\n        - version: 1.9.0\n";
    let layouts: [(&str, &str, bool); 18] = [
        ("canonical", CANONICAL, true),
        ("carriage returns", &crlf, true),
        ("byte order mark", &bom, true),
        ("indented by four", four, true),
        ("document start", "---\nentries:\n  demo:\n  - version: 1.10\n  - version: 1.9.0\n", true),
        (
            "comments",
            "# c\nentries: # c\n# c\n  # c\n  demo: # c\n# c\n  # c\n    # c\n  - version: 1.10 # c\n    # c\n  - version: 1.9.0\n",
            true,
        ),
        ("dash alone", "entries:\n  demo:\n  -\n    version: 1.10\n  -\n    version: 1.9.0\n", true),
        ("quoted names", "entries:\n  \"demo\":\n  - version: \"1.10\"\n  - version: '1.9.0'\n", true),
        (
            "wide dash",
            "entries:\n  demo:\n  -   version: 1.10\n      urls:\n      - a\n  -   version: 1.9.0\n",
            true,
        ),
        ("quoted key", "entries:\n  demo:\n  - \"version\": \"1.10\"\n  - version: 1.9.0\n", true),
        ("escapes", "entries:\n  demo:\n  - version: \"1\\x2e10\"\n  - version: 1.9.0\n", true),
        ("folded value", "entries:\n  demo:\n  - version:\n      1.10\n  - version: >-\n      1.9.0\n", true),
        ("flow entry", "entries:\n  demo:\n  - {version: '1.10', urls: [a]}\n  - version: 1.9.0\n", true),
        ("flow chart", "entries:\n  demo: [{version: '1.10'}, {version: 1.9.0}]\n", false),
        ("flow", "{entries: {demo: [{version: '1.10'}, {version: 1.9.0}]}}", false),
        (
            "json",
            "{\"apiVersion\":\"v1\",\"entries\":{\"x\":[],\"demo\":[{\"version\":\"1.10\",\"urls\":[\"a\"]},{\"version\":\"1.9.0\"}]}}",
            false,
        ),
        ("anchors", "entries:\n  base: &base\n  - version: 1.10\n  - version: 1.9.0\n  demo: *base\n", false),
        ("no last line end", "entries:\n  demo:\n  - version: 1.10\n  - version: 1.9.0", false),
    ];
    for (name, text, vouched) in layouts {
        assert_eq!(versions(text, "demo"), ["1.10", "1.9.0"], "{name}");
        let wanted = BTreeSet::from(["demo"]);
        assert_eq!(read_fast(text.as_bytes(), &wanted).unwrap().is_some(), vouched, "{name}");
    }
}

/// The fast reader once took everything up to the line feed for one line, here for one comment, and so missed
/// a key.
#[test]
fn index_with_lone_carriage_returns_is_left_to_the_parser() {
    let text = b"entries:\n  demo:\n  - version: 1.0.0\n#c\r    urls:\n    - x\n";
    let wanted = BTreeSet::from(["demo"]);
    assert_eq!(read_fast(text.as_slice(), &wanted).unwrap(), None);
    assert!(of(text, &["demo"]).unwrap().charts["demo"].entries[0].has_archive());
    let other = b"entries:\n  other:\n  - name: a\r  demo:\n  - version: 1.0.0\n";
    assert_eq!(read_fast(other.as_slice(), &wanted).unwrap(), None);
}

#[test]
fn gzipped_content_is_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(CANONICAL.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(of(&packed, &["demo"]).unwrap(), of(CANONICAL.as_bytes(), &["demo"]).unwrap());
    let cut = of(&packed[..packed.len() / 2], &["demo"]);
    assert!(matches!(cut, Err(Error::Read(_))), "{cut:?}");
}

#[test]
fn gzip_bomb_stops_at_the_limit() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let line = vec![b' '; 1024 * 1024];
    packed.write_all(b"entries:\n").unwrap();
    for _ in 0..(LARGEST_INDEX / 1024 / 1024 + 1) {
        packed.write_all(&line[1..]).unwrap();
        packed.write_all(b"\n").unwrap();
    }
    let packed = packed.finish().unwrap();
    let read = of(&packed, &["demo"]);
    assert!(
        matches!(&read, Err(Error::Read(cause)) if cause.kind() == io::ErrorKind::FileTooLarge),
        "{read:?}"
    );
}

#[test]
fn what_is_no_index_is_an_error_that_says_so() {
    for text in [
        "",
        "a: 1\n",
        "- a\n",
        "entries: 5\n",
        "entries:\n\tdemo: x\n",
        "{\"entries\": ",
        "\u{0}\u{1}",
        "entries:\n  demo: 5\n",
    ] {
        let read = of(text.as_bytes(), &["demo"]);
        assert!(matches!(read, Err(Error::Syntax { .. })), "{text:?} gave {read:?}");
    }
}

#[test]
fn empty_entries_are_an_index_without_charts() {
    for text in [
        "entries: {}\n",
        "entries:\n",
        "entries: null\n",
        "apiVersion: v1\nentries: {}\ngenerated: x\n",
        "{\"entries\":{}}",
    ] {
        assert_eq!(of(text.as_bytes(), &["demo"]).unwrap(), Index::default(), "{text:?}");
    }
    for text in ["entries:\n  demo: []\n", "entries:\n  demo:\n  other:\n", "{\"entries\":{\"demo\":null}}"] {
        assert!(of(text.as_bytes(), &["demo"]).unwrap().charts["demo"].entries.is_empty(), "{text:?}");
    }
}

#[test]
fn alias_bomb_ends_within_the_budget() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let list = vec![format!("*a{before}"); 8].join(", ");
        writeln!(text, "a{level}: &a{level} [{list}]").unwrap();
    }
    text.push_str("entries:\n  demo: *a11\n");
    assert!(of(text.as_bytes(), &["demo"]).is_err());
}

#[test]
fn extract_gives_back_what_was_read_and_nothing_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("k-1.body");
    let mut index = of(CANONICAL.as_bytes(), &["demo"]).unwrap();
    extract::save(&stored, &mut index).unwrap();
    let loaded = extract::load(&stored).unwrap();
    assert_eq!(loaded.clone().comparable(), index.comparable());
    assert_eq!(
        extract::missing(&loaded, &BTreeSet::from(["demo", "other", "none"])),
        BTreeSet::from(["other"])
    );
    let path = extract::path(&stored);
    let bytes = std::fs::read(&path).unwrap();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x40;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(extract::load(&stored), None, "byte {place}");
        std::fs::write(&path, &bytes[..place]).unwrap();
        assert_eq!(extract::load(&stored), None, "cut at {place}");
    }
}

/// Text for values: whatever has a meaning somewhere in YAML.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,2}\\.[0-9]{1,2}(\\.[0-9]{1,2})?(-rc[0-9])?(\\+up1)?",
        Just("1.10".to_owned()),
        Just("null".to_owned()),
        Just("~".to_owned()),
        Just("\"\"".to_owned()),
        Just("''".to_owned()),
        Just("'it''s'".to_owned()),
        Just("\"a\\tb\"".to_owned()),
        Just("\"é – ü\"".to_owned()),
        Just("\">=1.20.0-0 # not a comment\"".to_owned()),
        Just("1.0 # a comment".to_owned()),
        Just("a#b".to_owned()),
        Just("\"2026-01-01T00:00:00Z\"".to_owned()),
        Just("2026-01-01T00:00:00Z".to_owned()),
        Just("0x1F".to_owned()),
        Just("1e3".to_owned()),
        Just("010".to_owned()),
        Just("!!str 1.5".to_owned()),
        Just("&anchor 2.0".to_owned()),
        Just("|\n      1.2.3".to_owned()),
        Just(">-\n      1.2.3\n      4".to_owned()),
        Just("\n      5.0.0".to_owned()),
        Just("\"6.0\n      .0\"".to_owned()),
        Just("1.0\n      2.0".to_owned()),
        Just("<1.30".to_owned()),
        Just("^1.2 || ~3".to_owned()),
        Just("-1".to_owned()),
        Just("=1.2".to_owned()),
        Just("yes".to_owned()),
        Just(String::new()),
        "[a-z]{1,8}",
    ]
}

fn line() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => prop::sample::select(vec!["version", "appVersion", "kubeVersion", "digest", "created"]),
        1 => prop::sample::select(vec!["name", "icon", "home", "'version'", "type", "version "]),
    ];
    prop_oneof![
        6 => (key, value()).prop_map(|(key, value)| format!("{key}: {value}")),
        1 => prop::sample::select(vec!["deprecated: true", "deprecated: false", "deprecated: null"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["urls: []", "urls:", "urls:\n    - a", "urls:\n      - a\n      - b", "urls: [a]", "urls:\n    - \"\"", "urls:\n    - >-\n      long"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "annotations:\n      version: 9\n      urls:\n      - x",
            "description: |\n      version: 9\n\n      - version: 8",
            "description: 'version: 9\n      # not a comment\n\n      more'",
            "dependencies:\n    - name: a\n      version: 9\n    - name: b",
            "# version: 9",
            "sources:\n    - https://gitlab.com/a\n    - https://github.com/a/b",
            "sources: [https://github.com/a/b]",
            "keywords: [a,\n      b]",
            "\n",
        ]).prop_map(str::to_owned),
    ]
}

fn generated_index() -> impl Strategy<Value = String> {
    let item = prop::collection::vec(line(), 1..8).prop_map(|lines| {
        let mut text = String::new();
        for (position, line) in lines.iter().enumerate() {
            let lead = if position == 0 && !line.starts_with(['#', '\n']) { "  - " } else { "    " };
            let lead = if position == 0 && lead == "    " { "  - name: x\n    " } else { lead };
            writeln!(text, "{lead}{line}").unwrap();
        }
        text
    });
    let chart = (
        prop::sample::select(vec!["demo", "other", "\"demo\"", "a.b-c_d"]),
        prop::collection::vec(item, 0..4),
    )
        .prop_map(|(name, items)| format!("  {name}:\n{}", items.concat()));
    (prop::collection::vec(chart, 1..3), any::<bool>()).prop_map(|(charts, crlf)| {
        let text = format!("apiVersion: v1\nentries:\n{}generated: \"x\"\n", charts.concat());
        if crlf { text.replace('\n', "\r\n") } else { text }
    })
}

#[derive(Debug, Clone)]
enum Damage {
    Remove,
    Repeat,
    Indent(usize),
    Outdent(usize),
    Insert(&'static str),
}

impl Damage {
    fn apply(&self, lines: &mut Vec<String>, place: prop::sample::Index) {
        if lines.is_empty() {
            return;
        }
        let place = place.index(lines.len());
        match self {
            Self::Remove => drop(lines.remove(place)),
            Self::Repeat => lines.insert(place, lines[place].clone()),
            Self::Indent(by) => lines[place].insert_str(0, &" ".repeat(*by)),
            Self::Outdent(by) => {
                let spaces = lines[place].len() - lines[place].trim_start_matches(' ').len();
                lines[place].drain(..spaces.min(*by));
            }
            Self::Insert(line) => lines.insert(place, (*line).to_owned()),
        }
    }
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let line = prop::sample::select(vec![
        "",
        "---",
        "...",
        "# c",
        "      # c",
        "\t",
        "    \t",
        "  -",
        "  - version: 5.0.0",
        "    version: 6.0.0",
        "  demo:",
        "  \"demo\":",
        "entries:",
        "  <<: *a",
        "    <<: {version: 7.0.0}",
        "    version: |",
        "    - x",
        "    urls:",
        "  ? complex",
        "    'version': 8.0.0",
        "        - version: 9.0.0",
        "%YAML 1.2",
        "    &a b: c",
        "    \"",
    ]);
    let damage = prop_oneof![
        Just(Damage::Remove),
        Just(Damage::Repeat),
        (1..5_usize).prop_map(Damage::Indent),
        (1..5_usize).prop_map(Damage::Outdent),
        line.prop_map(Damage::Insert),
    ];
    (any::<prop::sample::Index>(), damage)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Where the parser reads an index, the fast reader reads the same or leaves it to the parser.
    #[test]
    fn fast_reader_agrees_with_the_parser(text in generated_index()) {
        let wanted = BTreeSet::from(["demo", "a.b-c_d"]);
        if let Some(fast) = read_fast(text.as_bytes(), &wanted).unwrap()
            && let Ok(parsed) = read_parsed(text.as_bytes(), &wanted)
        {
            prop_assert_eq!(fast.comparable(), parsed.comparable(), "{}", text);
        }
    }

    /// The same for indexes that were damaged line by line, as hands and bad merges do it.
    #[test]
    fn fast_reader_agrees_with_the_parser_on_damaged_indexes(damages in prop::collection::vec(damage(), 1..4)) {
        let mut lines: Vec<String> = CANONICAL.lines().map(str::to_owned).collect();
        for (place, damage) in damages {
            damage.apply(&mut lines, place);
        }
        let text = lines.join("\n") + "\n";
        let wanted = BTreeSet::from(["demo", "other"]);
        if let Some(fast) = read_fast(text.as_bytes(), &wanted).unwrap()
            && let Ok(parsed) = read_parsed(text.as_bytes(), &wanted)
        {
            prop_assert_eq!(fast.comparable(), parsed.comparable(), "{}", text);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = b"entries:\n  demo:\n  - version: 1\n".to_vec();
        text.extend_from_slice(&bytes);
        for text in [&bytes, &text] {
            // Any answer is right, as long as there is one.
            prop_assert!(of(text, &["demo"]).map_or(true, |index| index.charts.len() <= 1));
        }
    }
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("GITOPS_UPDATER_CORPUS").map(PathBuf::from);
    let indexes = folder.map(|folder| folder.join("helm-indexes")).filter(|indexes| indexes.is_dir());
    if indexes.is_none() {
        println!("skipped: no published indexes; set GITOPS_UPDATER_CORPUS");
    }
    indexes
}

#[test]
fn fast_reader_agrees_with_the_parser_on_every_published_index() {
    let Some(folder) = corpus() else { return };
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let (plain, packed) = (folder.join("index.yaml"), folder.join("index.yaml.gz"));
        let path = if plain.exists() { plain } else { packed };
        let Ok(file) = std::fs::File::open(&path) else { continue };
        let mut text = Vec::new();
        unpacked(Box::new(file)).unwrap().read_to_end(&mut text).unwrap();
        let fast = |wanted: &BTreeSet<&str>| {
            read_fast(text.as_slice(), wanted)
                .unwrap()
                .unwrap_or_else(|| panic!("{path:?} is not vouched for"))
        };
        let names = fast(&BTreeSet::new()).names;
        let wanted: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(
            fast(&wanted).comparable(),
            read_parsed(text.as_slice(), &wanted).unwrap().comparable(),
            "{path:?}"
        );
        read += 1;
    }
    assert!(read >= 30, "only {read} indexes were compared");
}
