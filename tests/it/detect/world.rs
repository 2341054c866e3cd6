//! A repository, a configuration that leads every upstream to this machine, and the upstreams themselves.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::fake_git::FakeGit;
use crate::support::fake_github::{FakeGithub, release};
use crate::support::fake_registry::FakeRegistry;
use crate::support::fake_upstream::FakeUpstream;
use crate::support::sandbox::{CommandOutput, Sandbox};

/// What the charts of `charts.example.com` are.
pub(crate) const INDEX: &str = "\
apiVersion: v1
entries:
  podinfo:
    - {name: podinfo, version: 6.6.0, created: '2026-08-01T10:00:00Z', urls: [podinfo-6.6.0.tgz]}
    - {name: podinfo, version: 6.5.1, created: '2026-07-01T10:00:00Z', urls: [podinfo-6.5.1.tgz]}
    - {name: podinfo, version: 6.5.0, created: '2026-06-01T10:00:00Z', urls: [podinfo-6.5.0.tgz]}
";

/// All of it. Servers run on threads of their own, because a test waits for the program.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// Answers for `charts.example.com`, `update.k3s.io` and `api.osv.dev`, below a folder for each.
    pub(crate) web: FakeUpstream,
    pub(crate) github: FakeGithub,
    /// Answers for `ghcr.io` and Docker Hub.
    pub(crate) registry: FakeRegistry,
    /// Answers for `git.example.com`.
    pub(crate) git: FakeGit,
    /// Where the servers run; they end with it.
    pub(crate) _runtime: Runtime,
}

impl World {
    /// The scenario `home`, in which every component has something newer.
    pub(crate) fn home() -> Self {
        Self::with(Sandbox::with_repo("home"))
    }

    /// The upstreams of `home` around any sandbox.
    pub(crate) fn with(sandbox: Sandbox) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (web, github, registry, git) = runtime.block_on(async {
            (
                FakeUpstream::start().await,
                FakeGithub::start().await,
                FakeRegistry::start().await,
                FakeGit::start().await,
            )
        });
        let world = Self { sandbox, web, github, registry, git, _runtime: runtime };
        world.web.serve("/charts/index.yaml", INDEX);
        world.web.serve("/osv/v1/query", "{}");
        let releases = ["v1.34.1+k3s1", "v1.33.5+k3s1", "v1.33.4+k3s1"];
        world.github.release_list("k3s-io/k3s", releases.map(release).to_vec());
        world.github.release_list("fluxcd/flux2", ["v2.8.6", "v2.8.5"].map(release).to_vec());
        world.registry.tags("example/web", ["1.2.0-alpine", "1.3.0-alpine", "1.4.0"]);
        world.registry.tags("example/charts/blog", ["0.4.0", "0.4.1"]);
        world.git.repository("site.git", &["v1.0.0", "v1.1.0"]);
        world.configure("");
        world
    }

    /// The file that `--config` names in [`World::detect`].
    pub(crate) fn config_path(&self) -> PathBuf {
        self.beside("mirror.yaml")
    }

    /// A place outside the repository.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.sandbox.work().with_file_name(name)
    }

    /// Writes the configuration: the mirrors, and `more` after them.
    pub(crate) fn configure(&self, more: &str) {
        std::fs::write(self.config_path(), format!("{}{more}", self.mirrors())).unwrap();
    }

    /// The block `upstreams`, to which keys may be added by lines that are indented by two.
    pub(crate) fn mirrors(&self) -> String {
        let github = &self.github.served.url;
        let registry = &self.registry.served.url;
        let (charts, k3s, osv) = (self.web.url("/charts"), self.web.url("/k3s"), self.web.url("/osv"));
        let git = &self.git.served.url;
        format!(
            "upstreams:
  map:
    - {{from: https://api.github.com, to: '{github}'}}
    - {{from: https://ghcr.io, to: '{registry}'}}
    - {{from: https://registry-1.docker.io, to: '{registry}'}}
    - {{from: https://charts.example.com, to: '{charts}'}}
    - {{from: https://update.k3s.io, to: '{k3s}'}}
    - {{from: https://api.osv.dev, to: '{osv}'}}
    - {{from: https://git.example.com, to: '{git}'}}
"
        )
    }

    /// Runs `detect --config …` with these arguments.
    pub(crate) fn detect(&self, arguments: &[&str]) -> CommandOutput {
        let config = self.config_path();
        let mut all = vec!["detect", "--config", config.to_str().unwrap()];
        all.extend(arguments);
        self.run(&all)
    }

    /// Runs the program; addresses of the upstreams are replaced by names.
    pub(crate) fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.named(self.sandbox.run(arguments))
    }

    /// The report as JSON of a run that ended with 0.
    pub(crate) fn report(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        self.detect(&all).exited(0).json()["update_report"].clone()
    }

    fn named(&self, output: CommandOutput) -> CommandOutput {
        let names = [
            (self.web.authority(), "web.test"),
            (self.github.served.authority(), "github.test"),
            (self.registry.served.authority(), "registry.test"),
            (self.git.served.authority(), "git.test"),
        ];
        let replace = |text: String| {
            names.iter().fold(text, |text, (address, name)| text.replace(address.as_str(), name))
        };
        CommandOutput { stdout: replace(output.stdout), stderr: replace(output.stderr), ..output }
    }

    /// How many requests all upstreams together have had since they were asked last.
    pub(crate) fn requests(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.web.take_log().iter().map(|asked| format!("{} {}", asked.status, asked.path)).collect();
        let seen = [self.github.seen(), self.registry.seen(), self.git.seen()];
        all.extend(seen.into_iter().flatten().map(|seen| format!("{} {}", seen.method, seen.target)));
        all.sort();
        all
    }
}

/// A report in a few words: each component with status and versions, its reason and its pins, then the problems.
pub(crate) fn reduced(report: &Value) -> String {
    let mut text = String::new();
    for (id, entry) in report["components"].as_object().unwrap() {
        text.push_str(&format!(
            "{id}: {} {} -> {}",
            word(&entry["status"]),
            word(&entry["current_version"]),
            word(&entry["available_version"])
        ));
        for name in ["resolves_to", "reason"] {
            if !entry[name].is_null() {
                text.push_str(&format!("; {name} {}", word(&entry[name])));
            }
        }
        text.push('\n');
        for pin in entry["pins"].as_array().unwrap() {
            let copy = if pin["applied"] == false { " (copy)" } else { "" };
            text.push_str(&format!(
                "  {}:{} {}{copy}\n",
                word(&pin["file"]),
                pin["line"],
                word(&pin["text"])
            ));
        }
    }
    text.push_str(&problems(report));
    text
}

/// The problems of a report, a line each.
pub(crate) fn problems(report: &Value) -> String {
    let mut text = String::new();
    for problem in report["problems"].as_array().unwrap() {
        let place = match (&problem["file"], &problem["line"]) {
            (Value::String(file), Value::Number(line)) => format!("{file}:{line}"),
            (Value::String(file), _) => file.clone(),
            _ => word(&problem["upstream"]).to_owned(),
        };
        text.push_str(&format!(
            "problem ({}) {place}: {}\n",
            word(&problem["category"]),
            word(&problem["message"])
        ));
    }
    text
}

/// The text of a JSON string; `-` for null.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// One component's status, current and available version.
pub(crate) fn versions<'a>(report: &'a Value, id: &str) -> (&'a str, &'a str, &'a str) {
    let entry = &report["components"][id];
    assert!(entry.is_object(), "`{id}` is not in {}", reduced(report));
    (word(&entry["status"]), word(&entry["current_version"]), word(&entry["available_version"]))
}

/// Writes a file with the folders above it.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
