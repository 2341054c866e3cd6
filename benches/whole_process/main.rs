//! Runs the built program on a large generated repository, and on a large cluster, and says what a run costs as a whole:
//! CPU time, peak memory, requests. `benches/README.md` tells how to read the figures and holds the
//! measured ones.
//!
//! ```text
//! cargo bench --bench whole_process -- [--runs N] [--program FILE] [--repository FOLDER] [--keep]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![allow(clippy::print_stdout, reason = "the figures are the output")]

mod cluster;
#[path = "../data/mod.rs"]
mod data;
mod generated;
mod measure;
mod server;

use std::path::{Path, PathBuf};

use cluster::ApiServer;
use measure::{Cost, Program, git, median};
use server::Server;

/// The size that the product promises figures for.
const RELEASES: usize = 1_000;
const INDEXES: usize = 200;
const IMAGES: usize = 1_000;

struct Arguments {
    runs: usize,
    /// What is measured; the program of this build where it is not given.
    program: PathBuf,
    /// A real repository that is compared with reading its blobs by Git.
    repository: Option<PathBuf>,
    /// Leave the generated files behind.
    keep: bool,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self {
            runs: 5,
            program: env!("CARGO_BIN_EXE_gitops-updater").into(),
            repository: None,
            keep: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // What cargo itself adds.
                "--bench" => {}
                "--runs" => read.runs = words.next().unwrap().parse().unwrap(),
                "--program" => read.program = std::path::absolute(words.next().unwrap()).unwrap(),
                "--repository" => read.repository = words.next().map(PathBuf::from),
                "--keep" => read.keep = true,
                other => panic!(
                    "unknown argument `{other}`; known: --runs N, --program FILE, --repository FOLDER, --keep"
                ),
            }
        }
        read
    }
}

fn main() {
    let arguments = Arguments::read();
    let mut folder = tempfile::tempdir().unwrap();
    folder.disable_cleanup(arguments.keep);
    if arguments.keep {
        println!("files are kept in {}", folder.path().display());
    }
    println!(
        "{:<44} {:>9} {:>9} {:>9} {:>9}",
        "median of the runs", "CPU s", "wall s", "peak MiB", "requests"
    );
    of_cluster(folder.path(), &arguments);
    if let Some(repository) = &arguments.repository {
        against_git(repository, folder.path(), &arguments);
    }
    let server = Server::start(INDEXES, RELEASES.div_ceil(INDEXES));
    let releases = folder.path().join("releases");
    generated::repository(&releases, &server.authority(), RELEASES, INDEXES, 0);
    generated(&format!("{RELEASES} releases"), &releases, &server, &arguments, folder.path());
    let images = folder.path().join("images");
    generated::repository(&images, &server.authority(), RELEASES, INDEXES, IMAGES);
    generated(&format!("{RELEASES} releases, {IMAGES} images"), &images, &server, &arguments, folder.path());
}

/// The first sample of a whole cluster: every kind is listed, read and judged.
fn of_cluster(folder: &Path, arguments: &Arguments) {
    let server = ApiServer::start();
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    for command in ["health", "facts"] {
        let costs = (0..arguments.runs)
            .map(|_| {
                let before = server.requests();
                let mut cost = Program::new(&arguments.program).with(&[
                    command,
                    "--kubeconfig",
                    kubeconfig.to_str().unwrap(),
                    "--format",
                    "json",
                ]);
                cost.requests = server.requests() - before;
                cost
            })
            .collect();
        let megabytes = server.bytes() as f64 / 1e6;
        print(&format!("{command}, {} pods, {megabytes:.0} MB", cluster::PODS), costs);
    }
}

/// Cold: empty cache. Warm: the run after it, with answers that are still fresh. Checked: answers are
/// in the cache and every upstream is asked whether they still hold.
///
/// Caches stay until the end: for some seconds after files were removed, ext4 looks for inodes that were not
/// just given free, and a run that makes thousands of files pays for what the harness removed before it.
fn generated(name: &str, repository: &Path, server: &Server, arguments: &Arguments, folder: &Path) {
    let fresh = folder.join("fresh.yaml");
    std::fs::write(&fresh, generated::configuration(&server.authority(), "6h")).unwrap();
    let checking = folder.join("checking.yaml");
    std::fs::write(&checking, generated::configuration(&server.authority(), "0s")).unwrap();
    let (mut cold, mut warm, mut checked, mut offline, mut plan) = (vec![], vec![], vec![], vec![], vec![]);
    for run in 0..arguments.runs {
        let cache = repository.with_extension(format!("cache-{run}"));
        let ask = |configuration: &Path, extra: &[&str]| {
            let before = server.requests();
            let mut cost = Program::new(&arguments.program).detect(repository, configuration, &cache, extra);
            cost.requests = server.requests() - before;
            cost
        };
        cold.push(ask(&fresh, &[]));
        warm.push(ask(&fresh, &[]));
        checked.push(ask(&checking, &[]));
        offline.push(ask(&fresh, &["--offline"]));
        let program = Program::new(&arguments.program);
        plan.push(program.look("plan", repository, &fresh, &cache, &["--offline"]));
    }
    print(&format!("{name}, cold"), cold);
    print(&format!("{name}, warm"), warm);
    print(&format!("{name}, warm and checked"), checked);
    print(&format!("{name}, warm and offline"), offline);
    print(&format!("{name}, planned offline"), plan);
}

/// A real repository, read and pinned without any answer, beside Git reading the same blobs.
fn against_git(source: &Path, folder: &Path, arguments: &Arguments) {
    let copy = folder.join("real");
    measure::copy(source, &copy);
    git(&copy, &["init", "-q", "-b", "main"]);
    git(&copy, &["add", "-A", "-f"]);
    git(&copy, &["commit", "-q", "-m", "as found"]);
    let wanted: Vec<String> = git(&copy, &["ls-tree", "-r", "HEAD"])
        .lines()
        .filter_map(|line| {
            let (about, path) = line.split_once('\t')?;
            let path = path.trim_end_matches(".j2").trim_end_matches(".tpl").trim_end_matches(".tmpl");
            let read =
                [".yaml", ".yml", ".json"].iter().any(|ending| path.trim_matches('"').ends_with(ending));
            read.then(|| about.split(' ').nth(2).unwrap().to_owned())
        })
        .collect();
    let list = folder.join("blobs");
    std::fs::write(&list, wanted.join("\n") + "\n").unwrap();
    let empty = folder.join("no-cache");
    let configuration = folder.join("none.yaml");
    std::fs::write(&configuration, "{}\n").unwrap();
    for packed in [false, true] {
        if packed {
            git(&copy, &["gc", "-q"]);
        }
        let how = if packed { "packed" } else { "loose" };
        let (mut tree, mut revision, mut blobs) = (vec![], vec![], vec![]);
        for _ in 0..arguments.runs.max(20) {
            tree.push(Program::new(&arguments.program).detect(&copy, &configuration, &empty, &["--offline"]));
            revision.push(Program::new(&arguments.program).detect(
                &copy,
                &configuration,
                &empty,
                &["--offline", "--rev", "HEAD"],
            ));
            blobs.push(Program::cat_file(&copy, &list).run());
        }
        print(&format!("real repository ({how}): work tree"), tree);
        print(&format!("real repository ({how}): --rev HEAD"), revision);
        print(&format!("real repository ({how}): {} blobs by git", wanted.len()), blobs);
    }
}

fn print(name: &str, costs: Vec<Cost>) {
    println!(
        "{name:<44} {:>9.3} {:>9.3} {:>9.1} {:>9}",
        median(costs.iter().map(|cost| cost.cpu)),
        median(costs.iter().map(|cost| cost.wall)),
        median(costs.iter().map(|cost| cost.peak_mib)),
        median(costs.iter().map(|cost| cost.requests as f64)),
    );
}
