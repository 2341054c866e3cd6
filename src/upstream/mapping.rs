//! Base URLs that are answered from elsewhere: mirrors, and folders of air-gapped sites.

use std::path::{Path, PathBuf};

use url::Url;

/// Where a base URL is answered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Another server.
    Url(Url),
    /// A folder that has the server's layout, or one file that answers for exactly the base URL.
    Path(PathBuf),
}

/// Where to get a URL's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// From this URL, which is the asked one where nothing is mapped.
    Url(Url),
    /// From this file; it need not exist.
    File(PathBuf),
}

/// Longest-prefix map from base URLs to where they are answered.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Longest base first.
    entries: Vec<(Url, Target)>,
}

/// Names that a folder may hold instead of the asked one, beside the exact one.
const ENDINGS: [&str; 5] = ["", ".gz", ".json", ".yaml", ".json.gz"];

impl Mapping {
    /// Maps each base URL to its target; of equal bases the first counts.
    ///
    /// A base matches whole path elements: `https://a/x` maps `https://a/x/y` but not `https://a/xy`.
    /// Scheme, host and port must be equal; user, query and fragment of a base do not matter.
    pub fn new(entries: Vec<(Url, Target)>) -> Self {
        let mut entries = entries;
        entries.sort_by_key(|(base, _)| std::cmp::Reverse(base.path().trim_end_matches('/').len()));
        Self { entries }
    }

    /// Where to get the content of `url`.
    ///
    /// A path that would leave the mapped folder (`..`, an encoded slash, a link) resolves to a file
    /// that cannot exist: the folder itself.
    pub fn resolve(&self, url: &Url) -> Resolved {
        for (base, target) in &self.entries {
            if base.origin() != url.origin() || !base.origin().is_tuple() {
                continue;
            }
            let prefix = base.path().trim_end_matches('/');
            let Some(rest) = url.path().strip_prefix(prefix) else { continue };
            if !(rest.is_empty() || rest.starts_with('/')) {
                continue;
            }
            let rest = rest.trim_start_matches('/');
            return match target {
                Target::Url(other) => Resolved::Url(moved(other, rest, url.query())),
                Target::Path(path) => Resolved::File(local(path, rest)),
            };
        }
        Resolved::Url(url.clone())
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn moved(other: &Url, rest: &str, query: Option<&str>) -> Url {
    let mut url = other.clone();
    let base = other.path().trim_end_matches('/');
    let path = if rest.is_empty() && base.is_empty() {
        "/".to_owned()
    } else if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}/{rest}")
    };
    url.set_path(&path);
    url.set_query(query.or(other.query()));
    url.set_fragment(None);
    url
}

/// The file below `root` that answers for `rest`, or `root` itself if none may.
fn local(root: &Path, rest: &str) -> PathBuf {
    if rest.is_empty() || root.is_file() {
        // A mapped file answers for exactly its prefix; anything below it does not exist.
        return if rest.is_empty() { root.to_owned() } else { root.join(rest.replace('/', "_")) };
    }
    let Some(relative) = relative(rest) else { return root.to_owned() };
    let wanted = root.join(&relative);
    let Ok(real_root) = root.canonicalize() else { return wanted };
    for ending in ENDINGS {
        let mut name = wanted.clone().into_os_string();
        name.push(ending);
        let candidate = PathBuf::from(name);
        // Links inside the folder are fine as long as they stay inside.
        match candidate.canonicalize() {
            Ok(real) if real.is_file() && real.starts_with(&real_root) => return candidate,
            Ok(real) if !real.starts_with(&real_root) => return root.to_owned(),
            _ => {}
        }
    }
    wanted
}

/// The path elements of `rest`, decoded, if every one of them is an ordinary file name.
fn relative(rest: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for element in rest.split('/').filter(|element| !element.is_empty()) {
        let name = decoded(element)?;
        if name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
            return None;
        }
        path.push(name);
    }
    Some(path)
}

/// Percent-decodes one part of a URL; `None` if it is not UTF-8 or not well-formed.
pub(crate) fn decoded(element: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(element.len());
    let mut rest = element.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn longest_base_wins_and_only_whole_path_elements_match() {
        let mapping = Mapping::new(vec![
            (url("https://ghcr.io"), Target::Url(url("http://mirror.lan:5000/ghcr"))),
            (url("https://ghcr.io/v2/team/"), Target::Url(url("https://team.lan"))),
        ]);
        for (asked, expected) in [
            ("https://ghcr.io/v2/x/tags/list?n=100", "http://mirror.lan:5000/ghcr/v2/x/tags/list?n=100"),
            ("https://ghcr.io/v2/team/app", "https://team.lan/app"),
            ("https://ghcr.io/v2/teams/app", "http://mirror.lan:5000/ghcr/v2/teams/app"),
            ("https://ghcr.io/v2/team", "https://team.lan/"),
            ("http://ghcr.io/v2/x", "http://ghcr.io/v2/x"),
            ("https://ghcr.io:8443/v2/x", "https://ghcr.io:8443/v2/x"),
        ] {
            assert_eq!(mapping.resolve(&url(asked)), Resolved::Url(url(expected)), "{asked}");
        }
    }

    #[test]
    fn folder_answers_with_the_exact_name_or_a_known_ending() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("repos/o/n")).unwrap();
        std::fs::write(root.join("index.yaml.gz"), "x").unwrap();
        std::fs::write(root.join("repos/o/n/releases.json"), "[]").unwrap();
        std::fs::write(root.join("plain"), "x").unwrap();
        std::fs::write(root.join("plain.json"), "x").unwrap();
        let mapping = Mapping::new(vec![(url("https://a.example/x"), Target::Path(root.to_owned()))]);
        for (asked, expected) in [
            ("https://a.example/x/index.yaml", "index.yaml.gz"),
            ("https://a.example/x/repos/o/n/releases?page=1", "repos/o/n/releases.json"),
            ("https://a.example/x/plain", "plain"),
            ("https://a.example/x/none.yaml", "none.yaml"),
            ("https://a.example/x/%70lain", "plain"),
        ] {
            assert_eq!(mapping.resolve(&url(asked)), Resolved::File(root.join(expected)), "{asked}");
        }
    }

    #[test]
    fn mapped_file_answers_for_exactly_its_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("releases.json");
        std::fs::write(&file, "[]").unwrap();
        let mapping = Mapping::new(vec![(url("https://a.example/releases"), Target::Path(file.clone()))]);
        assert_eq!(mapping.resolve(&url("https://a.example/releases?per_page=100")), Resolved::File(file));
        let Resolved::File(other) = mapping.resolve(&url("https://a.example/releases/latest")) else {
            panic!("mapped to a file")
        };
        assert!(!other.exists());
    }

    #[test]
    fn nothing_outside_the_folder_is_ever_named() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let root = outside.path().join("mirror");
        std::fs::create_dir(&root).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("secret"), root.join("link")).unwrap();
        let mapping = Mapping::new(vec![(url("https://a.example"), Target::Path(root.clone()))]);
        for asked in [
            "https://a.example/..%2fsecret",
            "https://a.example/x/..%2f..%2fsecret",
            "https://a.example/%2e%2e/secret",
            "https://a.example/..%5csecret",
            "https://a.example/link",
            "https://a.example/a%00b",
            "https://a.example/%zz",
        ] {
            let Resolved::File(path) = mapping.resolve(&url(asked)) else { panic!("{asked} is mapped") };
            assert!(!path.is_file(), "{asked} gave {path:?}");
            assert!(path.starts_with(&root), "{asked} gave {path:?}");
        }
    }
}
