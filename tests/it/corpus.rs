//! Detection on real repositories, held against what an independent program counted in them.
//!
//! The corpus is not part of the project: it is looked for at `GITOPS_UPDATER_CORPUS`. Where it is not, these tests say
//! so and pass.

mod campaign;
mod census;
mod checker;
mod edits;
mod explained;
mod order;
mod pins;
mod reading;
mod special;
mod table;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::support::sandbox::Sandbox;

/// The corpus, where there is one.
fn corpus() -> Option<PathBuf> {
    super::support::corpus::corpus(".")
}

/// One repository of the corpus with the program's report of it.
struct Repository {
    name: String,
    folder: PathBuf,
    report: Value,
}

/// A pin of the report, with the component that has it.
struct Pin<'a> {
    component: &'a str,
    value: &'a Value,
}

impl Pin<'_> {
    fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap()
    }

    fn number(&self, field: &str) -> usize {
        usize::try_from(self.value[field].as_u64().unwrap()).unwrap()
    }

    fn applied(&self) -> bool {
        self.value["applied"].as_bool().unwrap()
    }
}

impl Repository {
    /// Every repository, looked at once without network.
    fn all(corpus: &Path) -> &'static [Self] {
        static ALL: OnceLock<Vec<Repository>> = OnceLock::new();
        ALL.get_or_init(|| Self::read_all(corpus))
    }

    fn read_all(corpus: &Path) -> Vec<Self> {
        let mut names: Vec<String> = std::fs::read_dir(corpus.join("repos"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        assert!(!names.is_empty(), "the corpus has no repositories");
        names.into_iter().map(|name| Self::read(corpus, &name, None)).collect()
    }

    /// One repository; with a configuration, upstreams are asked as it says.
    fn read(corpus: &Path, name: &str, config: Option<&str>) -> Self {
        let folder = corpus.join("repos").join(name);
        let sandbox = Sandbox::empty();
        let path = folder.to_str().unwrap();
        let mut arguments = vec!["detect", path, "--offline", "--format", "json"];
        if let Some(config) = config {
            sandbox.write("mirror.yaml", config);
            arguments.extend(["--config", "mirror.yaml"]);
        }
        let report = sandbox.run(arguments).exited(0).json()["update_report"].clone();
        Self { name: name.to_owned(), folder, report }
    }

    fn components(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.report["components"].as_object().unwrap().iter().map(|(id, entry)| (id.as_str(), entry))
    }

    fn component(&self, id: &str) -> &Value {
        let found = &self.report["components"][id];
        assert!(found.is_object(), "{}: no component `{id}`", self.name);
        found
    }

    fn pins(&self) -> impl Iterator<Item = Pin<'_>> {
        self.components().flat_map(|(component, entry)| {
            entry["pins"].as_array().unwrap().iter().map(move |value| Pin { component, value })
        })
    }

    /// Objects of a kind that the report counted.
    fn inventory(&self, kind: &str) -> usize {
        let count = self.report["summary"]["inventory"][kind].as_u64().unwrap_or_default();
        usize::try_from(count).unwrap()
    }

    /// Problems in files, by path.
    fn problems(&self) -> Vec<&str> {
        let problems = self.report["problems"].as_array().unwrap();
        problems.iter().filter_map(|problem| problem["file"].as_str()).collect()
    }
}
