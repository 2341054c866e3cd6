//! The archive of a release, as servers and mirrors give it.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use gitops_updater::domain::gotk::{Manifests, steps};
use gitops_updater::domain::upstream::{FailureClass, UpstreamFailure};
use gitops_updater::upstream::flux_manifests::{self, ArchiveError};
use gitops_updater::upstream::http::{Http, HttpOptions};
use gitops_updater::upstream::mapping::{Mapping, Target};
use gitops_updater::upstream::retry::Policy;
use rstest::rstest;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use url::Url;

use crate::support::fake_upstream::{FakeUpstream, Fault};

const ARCHIVE: &str = "/fluxcd/flux2/releases/download/v2.9.4/manifests.tar.gz";
const SUMS: &str = "/fluxcd/flux2/releases/download/v2.9.4/flux_2.9.4_checksums.txt";

/// An archive of these entries; a name is written as it is.
fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn archive() -> Vec<u8> {
    packed(&tar(&[
        ("./", EntryType::Directory, b""),
        ("./rbac.yaml", EntryType::Regular, b"kind: ClusterRole\n"),
        ("policies.yaml", EntryType::Regular, b""),
    ]))
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn options(target: Target) -> HttpOptions {
    let base = Url::parse("https://github.com/").unwrap();
    HttpOptions {
        mapping: Mapping::new(vec![(base, target)]),
        retry: Policy::times(0),
        ..HttpOptions::default()
    }
}

async fn fetch(server: &FakeUpstream) -> Result<Manifests, UpstreamFailure> {
    let http = Http::new(options(Target::Url(server.url("/")))).unwrap();
    flux_manifests::manifests(&http, "v2.9.4").await
}

#[tokio::test]
async fn an_archive_with_the_stated_sum_is_unpacked() {
    let server = FakeUpstream::start().await;
    server.serve(ARCHIVE, archive());
    let sums =
        format!("{}  flux_2.9.4_linux_amd64.tar.gz\n{}  manifests.tar.gz\n", sum(b"x"), sum(&archive()));
    server.serve(SUMS, sums);
    let manifests = fetch(&server).await.unwrap();
    assert_eq!(manifests.version, "v2.9.4");
    let files: Vec<_> = manifests.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(files, [("policies.yaml", ""), ("rbac.yaml", "kind: ClusterRole\n")]);
}

#[tokio::test]
async fn an_archive_with_another_sum_is_refused() {
    let server = FakeUpstream::start().await;
    server.serve(ARCHIVE, archive());
    server.serve(SUMS, format!("{} *manifests.tar.gz\n", sum(b"another")));
    let failure = fetch(&server).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(
        failure.message.contains(&sum(&archive())) && failure.message.contains(&sum(b"another")),
        "{failure}"
    );
}

#[tokio::test]
async fn a_release_that_states_no_sum_is_taken_as_it_is() {
    let server = FakeUpstream::start().await;
    server.serve(ARCHIVE, archive());
    assert!(fetch(&server).await.is_ok(), "without a list");
    server.serve(SUMS, format!("{}  install.yaml\n", sum(b"x")));
    assert!(fetch(&server).await.is_ok(), "with a list that lacks the archive");
}

/// Whoever can keep the list back must not get a changed archive accepted for that.
#[tokio::test]
async fn an_archive_whose_sums_cannot_be_asked_is_not_used() {
    let server = FakeUpstream::start().await;
    server.serve(ARCHIVE, archive());
    server.serve(SUMS, "");
    server.fail(SUMS, Fault::Status(503, Vec::new()));
    assert_eq!(fetch(&server).await.unwrap_err().class, FailureClass::Transient);
}

#[tokio::test]
async fn a_release_that_is_not_there_is_not_found() {
    let server = FakeUpstream::start().await;
    assert_eq!(fetch(&server).await.unwrap_err().class, FailureClass::NotFound);
}

#[tokio::test]
async fn an_archive_in_a_mapped_folder_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(ARCHIVE.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, archive()).unwrap();
    let http = Http::new(options(Target::Path(folder.path().to_path_buf()))).unwrap();
    let manifests = flux_manifests::manifests(&http, "v2.9.4").await.unwrap();
    assert_eq!(manifests.files.len(), 2);
}

/// Sources of the steps are asked for where nobody has compared the release; a mirror need not have them.
#[tokio::test]
async fn sources_of_the_steps_are_asked_of_newer_releases_only() {
    let server = FakeUpstream::start().await;
    let raw = Url::parse("https://raw.githubusercontent.com/").unwrap();
    let github = Url::parse("https://github.com/").unwrap();
    let mapping =
        Mapping::new(vec![(github, Target::Url(server.url("/"))), (raw, Target::Url(server.url("/raw/")))]);
    let http = Http::new(HttpOptions { mapping, retry: Policy::times(0), ..HttpOptions::default() }).unwrap();
    server.serve(ARCHIVE, archive());
    assert!(flux_manifests::manifests(&http, "v2.9.4").await.unwrap().sources.is_empty());
    server.serve(&ARCHIVE.replace("2.9.4", "2.9.5"), archive());
    assert!(flux_manifests::manifests(&http, "v2.9.5").await.unwrap().sources.is_empty(), "it has none");
    for (path, _) in steps::SOURCES {
        server.serve(&format!("/raw/fluxcd/flux2/v2.9.5/{path}"), path);
    }
    let sources = flux_manifests::manifests(&http, "v2.9.5").await.unwrap().sources;
    let expected = steps::SOURCES.map(|(path, _)| (path.to_owned(), sum(path.as_bytes())));
    assert_eq!(sources.into_iter().collect::<Vec<_>>(), expected);
}

#[rstest]
#[case("../v2.9.4")]
#[case("v2.9.4/../../x")]
#[case("2.9.4")]
#[case("latest")]
#[tokio::test]
async fn what_is_no_release_is_not_asked_for(#[case] release: &str) {
    let server = FakeUpstream::start().await;
    let http = Http::new(options(Target::Url(server.url("/")))).unwrap();
    let failure = flux_manifests::manifests(&http, release).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert_eq!(server.statuses(), [0_u16; 0]);
}

#[rstest]
#[case::link("a.yaml", EntryType::Symlink)]
#[case::hard_link("a.yaml", EntryType::Link)]
#[case::device("a.yaml", EntryType::Block)]
#[case::parent("../a.yaml", EntryType::Regular)]
#[case::absolute("/a.yaml", EntryType::Regular)]
#[case::folder("a/b.yaml", EntryType::Regular)]
#[case::own_folder("a.yaml", EntryType::Directory)]
#[case::backslash("a\\b.yaml", EntryType::Regular)]
#[case::hidden(".a.yaml", EntryType::Regular)]
#[case::other_file("a.sh", EntryType::Regular)]
fn entries_that_no_release_has_are_refused(#[case] name: &str, #[case] kind: EntryType) {
    let error = flux_manifests::unpack("v2.9.4", &tar(&[(name, kind, b"")])).unwrap_err();
    assert!(matches!(error, ArchiveError::Entry { .. }), "{error:?}");
}

#[test]
fn archives_that_no_release_has_are_refused() {
    let file = |name, content| (name, EntryType::Regular, content);
    let twice = tar(&[file("a.yaml", b"1".as_slice()), file("./a.yaml", b"2")]);
    assert!(matches!(flux_manifests::unpack("v1", &twice), Err(ArchiveError::Twice { .. })));
    let binary = tar(&[file("a.yaml", b"\xff".as_slice())]);
    assert!(matches!(flux_manifests::unpack("v1", &binary), Err(ArchiveError::NoText { .. })));
    let names: Vec<String> = (0..65).map(|number| format!("{number}.yaml")).collect();
    let many: Vec<_> = names.iter().map(|name| file(name, b"".as_slice())).collect();
    assert!(matches!(flux_manifests::unpack("v1", &tar(&many)), Err(ArchiveError::TooManyEntries)));
    assert!(flux_manifests::unpack("v1", &tar(&many[..64])).is_ok());
    let broken = &archive()[..40];
    assert!(matches!(flux_manifests::unpack("v1", broken), Err(ArchiveError::Unreadable(_))));
}

/// 17 kB that unpack to 17 MB.
#[test]
fn an_archive_that_unpacks_without_bound_is_refused() {
    let large = vec![b' '; 17 << 20];
    let bomb = packed(&tar(&[("a.yaml", EntryType::Regular, &large)]));
    assert!(bomb.len() < 100_000);
    let Err(ArchiveError::Unreadable(cause)) = flux_manifests::unpack("v1", &bomb) else {
        panic!("it was taken")
    };
    assert_eq!(cause.kind(), std::io::ErrorKind::FileTooLarge);
}
