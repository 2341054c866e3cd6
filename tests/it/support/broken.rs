//! Broken, hostile and merely odd files, made when a test needs them: none is kept in the repository.

use std::fs::File;
use std::path::Path;

/// A file to give to a reader of YAML.
pub(crate) struct Broken {
    /// File name, telling what is wrong.
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether a reader can make sense of it all the same (odd, not wrong).
    pub(crate) readable: bool,
}

const RELEASE: &str = "\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: podinfo
  namespace: apps
spec:
  chart:
    spec:
      chart: podinfo
      version: 6.5.1
      sourceRef: {kind: HelmRepository, name: podinfo}
";

/// All of them.
pub(crate) fn all() -> Vec<Broken> {
    let wrong = |name, bytes: Vec<u8>| Broken { name, bytes, readable: false };
    let odd = |name, bytes: Vec<u8>| Broken { name, bytes, readable: true };
    vec![
        wrong("truncated-in-a-string.yaml", b"kind: HelmRelease\nspec:\n  chart: \"pod".to_vec()),
        wrong("truncated-in-a-flow.yaml", b"kind: HelmRelease\nspec: {chart: {spec: [1, 2".to_vec()),
        wrong("truncated.json", b"{\"apiVersion\": \"v2\", \"kind\": \"HelmRelease\", \"spec\": {\"chart\"".to_vec()),
        wrong("tab-indented.yaml", b"kind: HelmRelease\nspec:\n\tchart: podinfo\n".to_vec()),
        wrong("template-braces.yaml", b"kind: HelmRelease\nmetadata:\n  name: {{ .Values.name }}-x\n{{- if .x }}\nspec: {}\n{{- end }}\n".to_vec()),
        wrong("jinja.yaml.j2", b"{% for node in nodes %}\n- {{ node }}\n{% endfor %}\n".to_vec()),
        wrong("html.yaml", b"<!DOCTYPE html>\n<html><head><title>404: Not Found</title></head>\n<body>\n<h1>It's: gone</h1>\n</body></html>\n".to_vec()),
        wrong("conflict-markers.yaml", b"spec:\n<<<<<<< HEAD\n  version: 6.5.1\n=======\n  version: 6.5.2\n>>>>>>> other\n".to_vec()),
        wrong("nul-bytes.yaml", b"kind: Helm\0Release\nversion: \0\0\0\n".to_vec()),
        wrong("only-nul.yaml", vec![0; 4096]),
        wrong("invalid-utf8.yaml", b"kind: HelmRelease\nname: \xff\xfe\xc0\xaf\n".to_vec()),
        wrong("invalid-utf8-at-the-end.yaml", b"kind: HelmRelease\nname: caf\xc3".to_vec()),
        wrong("utf16-le.yaml", utf16(RELEASE, u16::to_le_bytes)),
        wrong("utf16-be.yaml", utf16(RELEASE, u16::to_be_bytes)),
        wrong("undefined-alias.yaml", b"a: *nowhere\n".to_vec()),
        wrong("alias-of-itself.yaml", b"a: &a\n  b: *a\n".to_vec()),
        wrong("alias-bomb.yaml", alias_bomb(12)),
        wrong("merge-bomb.yaml", merge_bomb(12)),
        wrong("deep-flow.yaml", [vec![b'['; 100_000], vec![b']'; 100_000]].concat()),
        wrong("deep-flow-open.yaml", vec![b'{'; 100_000]),
        wrong("deep-block.yaml", deep_block(1_500)),
        wrong("deep-dashes.yaml", [b"- ".repeat(100_000), b"x\n".to_vec()].concat()),
        wrong("deep.json", [b"{\"apiVersion\":\"v1\",\"kind\":".to_vec(), b"{\"a\":".repeat(100_000), b"1".to_vec(), vec![b'}'; 100_001]].concat()),
        wrong("binary.yaml", (0..=255_u8).cycle().take(64 * 1024).collect()),
        wrong("escape-codes.yaml", b"kind: \"\x1b]0;owned\x07HelmRelease\n".to_vec()),
        odd("empty.yaml", Vec::new()),
        odd("only-comments.yaml", b"# kind: HelmRelease\n# version: 6.5.1\n".to_vec()),
        odd("only-separators.yaml", b"---\n---\n...\n---\n".to_vec()),
        odd("scalar.yaml", b"just text\n".to_vec()),
        odd("crlf.yaml", RELEASE.replace('\n', "\r\n").into_bytes()),
        odd("bom.yaml", [b"\xef\xbb\xbf", RELEASE.as_bytes()].concat()),
        odd("crlf-and-bom.yaml", [b"\xef\xbb\xbf", RELEASE.replace('\n', "\r\n").as_bytes()].concat()),
        odd("no-last-line-end.yaml", RELEASE.trim_end().as_bytes().to_vec()),
        odd("huge-line.yaml", huge_line(4 * 1024 * 1024)),
        odd("many-documents.yaml", b"---\na: 1\n".repeat(20_000)),
        odd("many-keys.yaml", (0..50_000).map(|key| format!("key-{key}: {key}\n")).collect::<String>().into_bytes()),
        // An implicit key may have 1,024 characters (YAML 1.2.2, section 7.4.2).
        wrong("long-key.yaml", [b"\"".to_vec(), vec![b'k'; 2_000], b"\": 1\n".to_vec()].concat()),
        odd("unknown-tag.yaml", b"a: !env_var [HOME, x]\nb: !Find {k: v}\n".to_vec()),
        odd("wrong-types.yaml", b"kind: [HelmRelease]\nmetadata: 7\nspec: {chart: {spec: {version: {a: 1}}}}\n".to_vec()),
    ]
}

/// Writes all of them into `folder`, and a file of 100 MB that takes no room on the disk.
pub(crate) fn write_all(folder: &Path) {
    for broken in all() {
        std::fs::write(folder.join(broken.name), broken.bytes).unwrap();
    }
    sparse(&folder.join("hundred-megabytes.yaml"), 100 * 1024 * 1024);
}

/// Makes a file of `size` bytes, all zero, without writing them.
pub(crate) fn sparse(path: &Path, size: u64) {
    File::create(path).unwrap().set_len(size).unwrap();
}

/// Nine references to each level: 9 to the power of `levels` values from a few hundred bytes.
fn alias_bomb(levels: usize) -> Vec<u8> {
    let mut text = String::from("l0: &l0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..levels {
        let below = vec![format!("*l{}", level - 1); 9].join(", ");
        text.push_str(&format!("l{level}: &l{level} [{below}]\n"));
    }
    text.into_bytes()
}

/// The same by merge keys.
fn merge_bomb(levels: usize) -> Vec<u8> {
    let mut text = String::from("l0: &l0 {a: 1}\n");
    for level in 1..levels {
        let below = vec![format!("*l{}", level - 1); 9].join(", ");
        text.push_str(&format!("l{level}: &l{level}\n  <<: [{below}]\n  k{level}: {{<<: [{below}]}}\n"));
    }
    text.into_bytes()
}

fn deep_block(levels: usize) -> Vec<u8> {
    (0..levels).flat_map(|level| format!("{}a:\n", " ".repeat(level)).into_bytes()).collect()
}

fn huge_line(size: usize) -> Vec<u8> {
    let mut bytes = b"data: \"".to_vec();
    bytes.resize(size, b'x');
    bytes.extend_from_slice(b"\"\nkind: ConfigMap\n");
    bytes
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
}

#[test]
fn names_are_unique_and_nothing_is_larger_than_a_reader_accepts() {
    let all = all();
    let names: std::collections::BTreeSet<_> = all.iter().map(|broken| broken.name).collect();
    assert_eq!(names.len(), all.len());
    for broken in &all {
        assert!(broken.bytes.len() < 8 * 1024 * 1024, "{}: {}", broken.name, broken.bytes.len());
    }
    let bomb = &all.iter().find(|broken| broken.name == "alias-bomb.yaml").unwrap().bytes;
    assert!(bomb.len() < 1024, "a bomb is small: {}", bomb.len());
}
