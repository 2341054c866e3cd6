//! Census, found, listed with a reason, difference: for each repository, column by column.

use std::collections::{BTreeMap, BTreeSet};

use super::census::{self, numbers};
use super::explained::EXPLAINED;
use super::reading::{Item, Reading};
use super::{Repository, corpus};

/// Cells of the census and the columns that stand in each, in order.
const COLUMNS: &[(&str, &[&str])] = &[
    ("HR https", &["HR https"]),
    ("HR oci", &["HR oci"]),
    ("HR ?", &["HR ?"]),
    ("HR git", &["HR git"]),
    ("HR chartRef", &["HR chartRef"]),
    ("HR patch", &["HR patch"]),
    ("ranges", &["ranges"]),
    ("HelmRepo http/oci", &["HelmRepo http", "HelmRepo oci"]),
    ("OCIRepo tag/semver/digest", &["OCIRepo tag", "OCIRepo semver", "OCIRepo digest"]),
    (
        "GitRepo tag/semver/commit/branch",
        &["GitRepo tag", "GitRepo semver", "GitRepo commit", "GitRepo branch"],
    ),
    ("image repo+tag (sha256)", &["image repo+tag", "image repo+tag sha256"]),
    ("container image (sha256)", &["container image", "container image sha256"]),
    ("kustomize images", &["kustomize images"]),
    ("non-string tags", &["non-string tags"]),
    ("imagepolicy", &["imagepolicy"]),
    ("renovate", &["renovate"]),
    ("Flux Ks", &["Flux Ks"]),
];

/// What became of the places of a column.
#[derive(Default)]
struct Outcome {
    found: usize,
    listed: usize,
    lost: Vec<String>,
}

#[test]
fn everything_that_the_census_counts_is_found_or_listed_with_a_reason() {
    let Some(corpus) = corpus() else { return };
    let census = census::read(&corpus);
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for repository in Repository::all(&corpus) {
        let row = &census[&repository.name];
        let reading = Reading::of(&repository.folder);
        println!(
            "\n{}\n{:<24} {:>6} {:>6} {:>6} {:>10}",
            repository.name, "", "census", "found", "listed", "difference"
        );
        for (cell, columns) in COLUMNS {
            let counted = numbers(&row[*cell]);
            assert_eq!(counted.len(), columns.len(), "{cell}: {}", row[*cell]);
            for (column, counted) in columns.iter().zip(counted) {
                let outcome = outcome(repository, &reading, column);
                let difference = counted as isize - (outcome.found + outcome.listed) as isize;
                println!(
                    "{column:<24} {counted:>6} {:>6} {:>6} {difference:>10}",
                    outcome.found, outcome.listed
                );
                wrong.extend(
                    outcome.lost.iter().map(|place| format!("{}: {column}: lost {place}", repository.name)),
                );
                let explained: isize = EXPLAINED
                    .iter()
                    .enumerate()
                    .filter(|(_, (name, of, ..))| *name == repository.name && of == column)
                    .map(|(at, (.., count, _))| {
                        used.insert(at);
                        *count
                    })
                    .sum();
                if difference != explained {
                    wrong.push(format!(
                        "{}: {column}: census {counted}, found {}, listed {}: difference {difference}, explained {explained}",
                        repository.name, outcome.found, outcome.listed
                    ));
                }
            }
        }
    }
    wrong.extend(
        (0..EXPLAINED.len())
            .filter(|at| !used.contains(at))
            .map(|at| format!("nothing to explain: {:?}", EXPLAINED[at])),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn outcome(repository: &Repository, reading: &Reading, column: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let (column, digests) = match column.strip_suffix(" sha256") {
        Some(column) => (column, true),
        None => (column, false),
    };
    let lookup = Found::of(repository);
    // A Kustomize image without a tag changes the name alone: no version is written.
    let written = |item: &&Item| item.column != "kustomize images" || !item.route.is_empty();
    for item in reading.column(column).filter(written).filter(|item| !digests || item.digest) {
        match lookup.verdict(repository, reading, item) {
            Verdict::Found => outcome.found += 1,
            Verdict::Listed => outcome.listed += 1,
            Verdict::Lost => {
                outcome.lost.push(format!("{}#{}{} `{}`", item.file, item.document, item.route, item.name))
            }
        }
    }
    outcome
}

enum Verdict {
    Found,
    Listed,
    Lost,
}

/// The report, by place.
struct Found<'a> {
    places: BTreeSet<(&'a str, usize, &'a str)>,
    lines: BTreeSet<(&'a str, usize)>,
    texts: BTreeMap<&'a str, Vec<&'a str>>,
    problems: Vec<&'a str>,
}

impl<'a> Found<'a> {
    fn of(repository: &'a Repository) -> Self {
        let mut found = Self {
            places: BTreeSet::new(),
            lines: BTreeSet::new(),
            texts: BTreeMap::new(),
            problems: repository.problems(),
        };
        for pin in repository.pins() {
            let file = pin.value["file"].as_str().unwrap();
            found.places.insert((file, pin.number("document"), pin.value["route"].as_str().unwrap()));
            found.lines.insert((file, pin.number("line")));
            found.texts.entry(file).or_default().push(pin.value["text"].as_str().unwrap());
        }
        found
    }

    fn verdict(&self, repository: &Repository, reading: &Reading, item: &Item) -> Verdict {
        let counted = match item.column {
            "HelmRepo http" | "HelmRepo oci" => Some("HelmRepository"),
            "GitRepo branch" => Some("GitRepository"),
            "Flux Ks" => Some("Kustomization"),
            "HR patch" => Some("HelmRelease"),
            _ => None,
        };
        if let Some(kind) = counted {
            // Without a version they are counted, and that count must hold all of them.
            let all = reading.items.iter().filter(|other| kind_of(other.column) == Some(kind)).count();
            return if repository.inventory(kind) >= all { Verdict::Found } else { Verdict::Lost };
        }
        match item.column {
            "renovate" => self.annotation(repository, item),
            "imagepolicy" if self.lines.contains(&(&item.file, item.document)) => Verdict::Found,
            // Name and digest of an image whose tag is marked, too.
            "imagepolicy"
                if (item.document.saturating_sub(2)..=item.document + 2)
                    .any(|line| self.lines.contains(&(item.file.as_str(), line))) =>
            {
                Verdict::Listed
            }
            "HR chartRef" => self.release(repository, item, true),
            column if column.starts_with("HR ") && item.route.is_empty() => {
                self.release(repository, item, false)
            }
            _ if self.pinned(item) => Verdict::Found,
            _ => self.without_pin(repository, item),
        }
    }

    fn pinned(&self, item: &Item) -> bool {
        if self.places.contains(&(&item.file, item.document, &item.route)) {
            return true;
        }
        // An alias is pinned where its anchor is.
        let Some(text) = &item.text else { return false };
        let texts = self.texts.get(item.file.as_str()).map(Vec::as_slice).unwrap_or_default();
        let tag = text.split('@').next().unwrap_or_default();
        let tag = tag.rsplit(':').next().unwrap_or_default();
        !tag.is_empty() && texts.contains(&tag)
    }

    /// A release whose version stands elsewhere: it, or the object that it names, is a component.
    fn release(&self, repository: &Repository, item: &Item, reference: bool) -> Verdict {
        let ending = format!("/{}", item.name);
        let own = repository.components().find(|(id, _)| {
            let id = id.split('#').next().unwrap_or_default();
            id.ends_with(&ending) || id.rsplit([':', '/']).next() == Some(item.name.as_str())
        });
        match own {
            Some((_, entry)) if !entry["pins"].as_array().unwrap().is_empty() => Verdict::Found,
            Some((_, entry)) if entry["reason"].is_string() => Verdict::Listed,
            // Several releases share one chart object: then that is the component.
            _ if reference && self.texts.get(item.file.as_str()).is_some_and(|texts| !texts.is_empty()) => {
                Verdict::Found
            }
            _ if reference && repository.components().any(|(id, _)| id.contains("oci/")) => Verdict::Listed,
            _ => Verdict::Lost,
        }
    }

    fn without_pin(&self, repository: &Repository, item: &Item) -> Verdict {
        let image = item.name.split('@').next().unwrap_or_default();
        let image = image.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
        let named = repository.components().any(|(id, entry)| {
            let id = id.split('#').next().unwrap_or_default();
            !image.is_empty()
                && id.ends_with(&format!("/{image}"))
                && (entry["reason"].is_string()
                    || entry["pins"].as_array().is_some_and(|pins| !pins.is_empty()))
        });
        let generated = self.problems.contains(&item.file.as_str());
        if named || generated { Verdict::Listed } else { Verdict::Lost }
    }

    /// The value below is a variable: what it stands for is pinned where it is set.
    fn speaks_of_a_variable(&self, repository: &Repository, item: &Item) -> bool {
        let text = std::fs::read_to_string(repository.folder.join(&item.file)).unwrap();
        let Some(name) = text.lines().nth(item.document).and_then(variable) else { return false };
        repository.pins().any(|pin| {
            let home = std::fs::read_to_string(repository.folder.join(pin.text("file"))).unwrap();
            pin.applied() && home.lines().nth(pin.number("line") - 1).is_some_and(|line| line.contains(name))
        })
    }

    fn annotation(&self, repository: &Repository, item: &Item) -> Verdict {
        let line = item.document;
        if (line..=line + 5).any(|line| self.lines.contains(&(item.file.as_str(), line))) {
            return Verdict::Found;
        }
        if self.speaks_of_a_variable(repository, item) {
            return Verdict::Found;
        }
        // What has no pin is a component whose reason or name says which annotation it is.
        let text = item.text.as_deref().unwrap_or_default();
        let slug = |text: &str| {
            let words = text.to_lowercase();
            words
                .split(|letter: char| !letter.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join("-")
        };
        let quoted = text.split('"').nth(1).map(slug);
        let here = slug(&format!("{}-{line}", item.file));
        let registry = text.split("registryUrl=").nth(1).and_then(|rest| rest.split(' ').next());
        let listed = repository.components().any(|(id, entry)| {
            // A release without a version, whose chart repository the annotation names.
            if registry.is_some()
                && entry["upstream"]["url"].as_str() == registry
                && entry["pins"].as_array().unwrap().is_empty()
            {
                return true;
            }
            let id = slug(id.split('#').next().unwrap_or_default());
            let id = id.strip_prefix("annotation-").unwrap_or_default();
            entry["reason"].is_string() && (Some(id) == quoted.as_deref() || id == here)
        });
        if listed { Verdict::Listed } else { Verdict::Lost }
    }
}

/// The name in `key: "${NAME}"`.
fn variable(line: &str) -> Option<&str> {
    line.split("${").nth(1)?.split('}').next()
}

fn kind_of(column: &str) -> Option<&'static str> {
    match column {
        "HelmRepo http" | "HelmRepo oci" => Some("HelmRepository"),
        "GitRepo branch" => Some("GitRepository"),
        "Flux Ks" => Some("Kustomization"),
        column if column.starts_with("HR ") => Some("HelmRelease"),
        _ => None,
    }
}
