//! The parts of a run that compute: reading manifests, reading indexes, ordering and choosing versions.
//!
//! ```text
//! cargo bench --bench parts [-- FILTER]
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

#[path = "../data/mod.rs"]
mod data;

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gitops_updater::domain::component::Given;
use gitops_updater::domain::manifest::document::Document;
use gitops_updater::domain::resolve::{Options, resolve};
use gitops_updater::domain::scan::{FileScan, scan_file};
use gitops_updater::domain::select::{Request, Wish, select};
use gitops_updater::domain::upstream::{Answer, Candidate};
use gitops_updater::domain::version::{Scheme, Version};
use gitops_updater::rules::Registry;
use gitops_updater::upstream::helm_index;
use gitops_updater::upstream::http::{Http, HttpOptions};
use gitops_updater::upstream::mapping::{Mapping, Target};
use url::Url;

fn manifests(criterion: &mut Criterion) {
    let (registry, problems) = Registry::load(std::iter::empty());
    assert!(problems.is_empty(), "{problems:?}");
    let files = data::files("127.0.0.1:5000", 1_000, 200, 1_000);
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let scan = || -> Vec<FileScan> {
        files.iter().map(|(path, text)| scan_file(path, text.as_bytes(), registry.rules())).collect()
    };
    let mut group = criterion.benchmark_group("repository of 1,000 releases and 1,000 images");
    group.sample_size(20).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            for (_, text) in &files {
                black_box(Document::parse(text, 0..text.len()).unwrap());
            }
        });
    });
    group.bench_function("scan", |bencher| bencher.iter(|| black_box(scan())));
    let mut scans = scan();
    scans.sort_by(|one, other| one.path.cmp(&other.path));
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| black_box(resolve(&scans, registry.rules(), &Options::default())));
    });
    group.finish();
}

fn indexes(criterion: &mut Criterion) {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // 50 versions of each chart make 26 MB, of which one or a hundred charts are wanted.
    let text: String = data::helm_index("large", 1_000);
    std::fs::write(folder.path().join("index.yaml"), &text).unwrap();
    let from = Url::parse("https://charts.example.org").unwrap();
    let http = Http::new(HttpOptions {
        mapping: Mapping::new(vec![(from, Target::Path(folder.path().to_owned()))]),
        ..HttpOptions::default()
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = criterion.benchmark_group("index of 1,000 charts");
    group.sample_size(20).throughput(Throughput::Bytes(text.len() as u64));
    for wanted in [1, 100] {
        let charts: BTreeSet<String> = (0..wanted).map(data::chart).collect();
        group.bench_function(format!("read {wanted}"), |bencher| {
            bencher.iter(|| {
                let asked = helm_index::charts(&http, "https://charts.example.org", charts.clone());
                let answers = runtime.block_on(asked);
                assert!(answers.iter().all(|(_, answer)| answer.is_ok()));
                black_box(answers)
            });
        });
    }
    group.finish();
}

/// 4,000 texts in no order: every seventh is a pre-release.
fn texts(scheme: Scheme) -> Vec<String> {
    (0..4_000_usize)
        .map(|number| number * 2_741 % 4_000)
        .map(|number| {
            let (minor, patch) = (number / 40, number % 40);
            let ending = if number % 7 == 0 { "-rc.1" } else { "" };
            match scheme {
                Scheme::K3s => {
                    format!("v1.{minor}.{patch}{}+k3s{}", ending.replace("rc.", "rc"), number % 3 + 1)
                }
                Scheme::ImageTag => format!("1.{minor}.{patch}{}", ["", "-alpine", "-slim"][number % 3]),
                Scheme::Semver | Scheme::Loose => format!("1.{minor}.{patch}{ending}"),
            }
        })
        .collect()
}

fn versions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("4,000 versions");
    group.throughput(Throughput::Elements(4_000));
    for (name, scheme, installed) in [
        ("k3s", Scheme::K3s, "v1.50.1+k3s2"),
        ("semver", Scheme::Semver, "1.50.2"),
        ("image tags", Scheme::ImageTag, "1.50.2-alpine"),
    ] {
        let texts = texts(scheme);
        group.bench_function(format!("parse and sort: {name}"), |bencher| {
            bencher.iter(|| {
                let mut versions: Vec<Version> = texts.iter().filter_map(|text| scheme.parse(text)).collect();
                versions.sort();
                black_box(versions)
            });
        });
        let candidates =
            texts.iter().map(|text| Candidate { version: text.clone(), ..Candidate::default() }).collect();
        let answer = Answer { candidates, ..Answer::default() };
        let (given, wish) = (Given::Exact(installed.to_owned()), Wish::default());
        let request = Request { given: &given, scheme, digest: None, wish: &wish };
        assert!(select(&request, &answer).target.is_some());
        group.bench_function(format!("select: {name}"), |bencher| {
            bencher.iter(|| black_box(select(&request, &answer)));
        });
    }
    group.finish();
}

criterion_group!(benches, manifests, indexes, versions);
criterion_main!(benches);
