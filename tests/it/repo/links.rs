//! Links.

use super::*;

/// The same links in a work tree and in a commit.
#[test]
fn links_are_read_once_by_their_target_and_never_out_of_the_tree() {
    let fixture = Fixture::new();
    let git = &fixture.git;
    std::fs::write(fixture.beside("secret.yaml"), "secret: outside\n").unwrap();
    std::fs::create_dir(fixture.beside("folder")).unwrap();
    std::fs::write(fixture.beside("folder/secret.yaml"), "secret: outside\n").unwrap();
    git.write("base/release.yaml", "r: 1\n").write("base/text.txt", "t: 1\n");
    git.link("apps/same.yaml", "../base/release.yaml").link("apps/again.yaml", "same.yaml");
    git.link("apps/as-yaml.yaml", "../base/text.txt").link("apps/folder", "../base");
    git.link("apps/out.yaml", "../../secret.yaml").link("apps/absolute.yaml", fixture.beside("secret.yaml"));
    git.link("apps/out-folder", "../../folder").link("apps/through.yaml", "out-folder/secret.yaml");
    git.link("apps/one.yaml", "two.yaml").link("apps/two.yaml", "one.yaml").link("apps/here", ".");
    git.link("apps/gone.yaml", "nowhere.yaml").link("apps/config.yaml", "../.git/config");
    git.link("README", "/usr/share/doc");
    git.commit_all("Start");

    for outcome in [read(git.dir()), read_at(git.dir(), "HEAD")] {
        assert_eq!(outcome.paths(), ["base/release.yaml", "base/text.txt"]);
        assert!(outcome.files.iter().all(|(_, text)| !text.contains("secret")));
        let expected: BTreeMap<_, _> = [
            ("apps/again.yaml", "base/release.yaml"),
            ("apps/as-yaml.yaml", "base/text.txt"),
            ("apps/folder", "base"),
            ("apps/here", "apps"),
            ("apps/same.yaml", "base/release.yaml"),
        ]
        .map(|(link, target)| (link.to_owned(), target.to_owned()))
        .into();
        assert_eq!(outcome.listing.links, expected);
        insta::allow_duplicates! {
            insta::assert_snapshot!(outcome.complaints().join("\n"), @r"
            apps/absolute.yaml: not followed: a link out of the repository
            apps/config.yaml: not followed: a link out of the repository
            apps/gone.yaml: not followed: a link to a file that does not exist
            apps/one.yaml: not followed: a link that leads back to itself
            apps/out.yaml: not followed: a link out of the repository
            apps/through.yaml: not followed: a link out of the repository
            apps/two.yaml: not followed: a link that leads back to itself
            ");
            insta::assert_snapshot!(outcome.notices().join("\n"), @r"
            README: not followed: a link out of the repository
            apps/folder: not followed: a link to a directory; its files are read as `base`
            apps/here: not followed: a link to a directory; its files are read as `apps`
            apps/out-folder: not followed: a link out of the repository
            ");
        }
    }
}

#[test]
fn link_to_an_ignored_file_does_not_read_it() {
    let fixture = Fixture::new();
    fixture.git.write(".gitignore", "secret/\n").link("a.yaml", "secret/key.yaml");
    fixture.git.commit_all("Start");
    fixture.git.write("secret/key.yaml", "key: 1\n");
    assert_eq!(read(fixture.git.dir()).paths(), [""; 0]);
}

#[test]
fn single_file_is_read_through_links_within_the_tree_only() {
    let fixture = Fixture::new();
    std::fs::write(fixture.beside("secret.yaml"), "secret").unwrap();
    fixture.git.write("base/a.yaml", "a: 1\n").link("link.yaml", "base/a.yaml").link("folder", "base");
    fixture.git.link("out.yaml", "../secret.yaml").write("big.yaml", vec![b'#'; 11 * 1024 * 1024]);
    fixture.git.commit_all("Start");
    for rev in [None, Some("HEAD")] {
        let repo = open(fixture.git.dir(), rev).unwrap();
        for path in ["base/a.yaml", "link.yaml", "folder/a.yaml", "./base/../link.yaml"] {
            assert_eq!(repo.read(path).unwrap(), b"a: 1\n", "{path}");
        }
        for (path, message) in [
            ("out.yaml", "cannot read `out.yaml`: it is not a path within the repository"),
            ("../secret.yaml", "cannot read `../secret.yaml`: it is not a path within the repository"),
            ("/etc/passwd", "cannot read `/etc/passwd`: it is not a path within the repository"),
            (".git/config", "cannot read `.git/config`: it is not a path within the repository"),
            (".GIT/config", "cannot read `.GIT/config`: it is not a path within the repository"),
            ("base", "cannot read `base`: it is not a file"),
            ("base/none.yaml", "cannot find `base/none.yaml`"),
            ("base/a.yaml/b", "cannot find `base/a.yaml/b`"),
            ("big.yaml", "cannot read `big.yaml`: it has more than 10485760 bytes"),
        ] {
            assert_eq!(repo.read(path).unwrap_err().to_string(), message);
        }
    }
}
