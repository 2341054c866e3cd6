//! Lists the files of a commit.

use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};

use super::links::{self, Look, Target, Tree};
use super::listing::{FileEntry, Listing, MAX_DEPTH, MAX_SEEN, ReadOptions};
use super::{printable, text};

/// Bytes of a link's text beyond which it is not followed; the system's own bound on paths.
const MAX_LINK_SIZE: u64 = 4096;

/// A commit of a repository.
pub(super) struct Objects {
    pub(super) repository: gix::ThreadSafeRepository,
    pub(super) commit: ObjectId,
    pub(super) tree: ObjectId,
}

impl Objects {
    /// Whether there is anything at `path` in the commit.
    pub(super) fn contains(&self, path: &str) -> bool {
        entry_at(&self.repository.to_thread_local(), self.tree, path).is_some()
    }

    pub(super) fn list(&self, prefix: &str, options: &ReadOptions) -> Listing {
        let repository = self.repository.to_thread_local();
        let mut listing = Listing::new(options);
        let mut linked = Vec::new();
        let mut files = Vec::new();
        walk(&repository, self.tree, prefix, options, &mut listing, |path, kind, object| match kind {
            EntryKind::Link => linked.push(path),
            _ => files.push(FileEntry { path, object: Some(object) }),
        });
        listing.entries = files;
        if !linked.is_empty() {
            self.follow(&repository, linked, options, &mut listing);
        }
        listing.finish()
    }

    fn follow(
        &self,
        repository: &Repository,
        linked: Vec<String>,
        options: &ReadOptions,
        listing: &mut Listing,
    ) {
        let tree = CommitTree { repository, tree: self.tree };
        let listed: std::collections::HashSet<String> =
            listing.entries.iter().map(|entry| entry.path.clone()).collect();
        for link in linked {
            listing.skipped.links += 1;
            let target = links::resolve(&tree, &link);
            if let Target::File(path) = &target
                && options.is_wanted(&link)
                && !listed.contains(path)
            {
                if options.is_excluded_anywhere(path) {
                    listing.skipped.excluded += 1;
                } else if let Some((_, object)) = entry_at(repository, self.tree, path) {
                    listing.entries.push(FileEntry { path: path.clone(), object: Some(object) });
                }
            }
            note_link(listing, &link, target, options.is_wanted(&link));
        }
    }

    /// The object of the file that `path` leads to.
    pub(super) fn find(&self, path: &str) -> Result<(String, ObjectId), Target> {
        let repository = self.repository.to_thread_local();
        match links::resolve(&CommitTree { repository: &repository, tree: self.tree }, path) {
            Target::File(path) => match entry_at(&repository, self.tree, &path) {
                Some((_, object)) => Ok((path, object)),
                None => Err(Target::Missing),
            },
            other => Err(other),
        }
    }
}

/// Records where a link leads, or why it is not followed.
pub(super) fn note_link(listing: &mut Listing, link: &str, target: Target, wanted: bool) {
    let message = match target {
        Target::File(path) => {
            listing.links.insert(link.to_owned(), path);
            return;
        }
        Target::Directory(path) => {
            let shown = if path.is_empty() {
                "the repository's root".to_owned()
            } else {
                printable(&path).into_owned()
            };
            listing.links.insert(link.to_owned(), path);
            listing.notice(
                link,
                format!("not followed: a link to a directory; its files are read as `{shown}`"),
            );
            return;
        }
        Target::Outside => "not followed: a link out of the repository",
        Target::Cycle => "not followed: a link that leads back to itself",
        Target::Missing => "not followed: a link to a file that does not exist",
        Target::Special => "not followed: a link to something that is not a file of this repository",
    };
    if wanted {
        listing.problem(link, message);
    } else {
        listing.notice(link, message);
    }
}

/// Calls `found` with every wanted file, and every link, below `prefix`.
pub(super) fn walk(
    repository: &Repository,
    tree: ObjectId,
    prefix: &str,
    options: &ReadOptions,
    listing: &mut Listing,
    mut found: impl FnMut(String, EntryKind, ObjectId),
) {
    let mut pending = Vec::new();
    if prefix.is_empty() {
        pending.push((String::new(), tree, 0));
    } else if let Some((kind, object)) = entry_at(repository, tree, prefix) {
        visit(prefix.to_owned(), kind, object, 0, options, listing, &mut pending, &mut found);
    }
    let mut seen: u64 = 0;
    while let Some((folder, object, depth)) = pending.pop() {
        let tree = match repository.find_tree(object) {
            Ok(tree) => tree,
            Err(error) => {
                listing.problem(folder, format!("cannot read the directory: {}", causes(&error)));
                continue;
            }
        };
        let decoded = match tree.decode() {
            Ok(decoded) => decoded,
            Err(error) => {
                listing.problem(folder, format!("cannot read the directory: {}", causes(&error)));
                continue;
            }
        };
        seen += decoded.entries.len() as u64;
        if seen > MAX_SEEN {
            listing.problem(folder, format!("stopped here: more than {MAX_SEEN} files and directories"));
            return;
        }
        for entry in &decoded.entries {
            let name = entry.filename;
            if is_hostile(name) {
                let shown = printable(&text::lossy(name)).into_owned();
                listing
                    .problem(&*folder, format!("not read: an entry of the directory has the name `{shown}`"));
                continue;
            }
            let kind = entry.mode.kind();
            let mut path = folder.clone();
            if !path.is_empty() {
                path.push('/');
            }
            let Ok(name) = std::str::from_utf8(name) else {
                path.push_str(&text::lossy(name));
                if kind == EntryKind::Tree || options.is_wanted(&path) {
                    listing.problem(path, "not read: the name is not UTF-8; rename it");
                } else {
                    listing.skipped.unwanted += 1;
                }
                continue;
            };
            path.push_str(name);
            visit(path, kind, entry.oid.to_owned(), depth + 1, options, listing, &mut pending, &mut found);
        }
    }
}

type Pending = Vec<(String, ObjectId, usize)>;

#[expect(clippy::too_many_arguments, reason = "the state of the walk above, which borrows the tree it is in")]
fn visit(
    path: String,
    kind: EntryKind,
    object: ObjectId,
    depth: usize,
    options: &ReadOptions,
    listing: &mut Listing,
    pending: &mut Pending,
    found: &mut impl FnMut(String, EntryKind, ObjectId),
) {
    if kind != EntryKind::Tree
        && kind != EntryKind::Link
        && kind != EntryKind::Commit
        && !options.is_wanted(&path)
    {
        listing.skipped.unwanted += 1;
        return;
    }
    if options.is_excluded(&path) {
        listing.skipped.excluded += 1;
        return;
    }
    match kind {
        EntryKind::Tree if depth > MAX_DEPTH => {
            listing.problem(path, format!("not entered: nested more than {MAX_DEPTH} directories deep"));
        }
        EntryKind::Tree => pending.push((path, object, depth)),
        EntryKind::Commit => note_submodule(listing, &path),
        EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link => found(path, kind, object),
    }
}

pub(super) fn note_submodule(listing: &mut Listing, path: &str) {
    listing.skipped.repositories += 1;
    listing.problem(path, "not entered: a submodule; what it holds is read by running on that repository");
}

/// Names that no checkout can have, made to write or point elsewhere.
fn is_hostile(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..")
        || name.eq_ignore_ascii_case(b".git")
        || name.contains(&b'/')
        || name.contains(&0)
}

fn entry_at(repository: &Repository, tree: ObjectId, path: &str) -> Option<(EntryKind, ObjectId)> {
    let entry = repository.find_tree(tree).ok()?.lookup_entry_by_path(path).ok()??;
    Some((entry.mode().kind(), entry.object_id()))
}

struct CommitTree<'a> {
    repository: &'a Repository,
    tree: ObjectId,
}

impl Tree for CommitTree<'_> {
    fn look(&self, path: &str) -> Look {
        match entry_at(self.repository, self.tree, path) {
            None => Look::Missing,
            Some((EntryKind::Tree, _)) => Look::Directory,
            Some((EntryKind::Commit, _)) => Look::Other,
            Some((EntryKind::Blob | EntryKind::BlobExecutable, _)) => Look::File,
            Some((EntryKind::Link, object)) => {
                let short =
                    self.repository.find_header(object).is_ok_and(|header| header.size() <= MAX_LINK_SIZE);
                match self.repository.find_blob(object) {
                    Ok(mut blob) if short => Look::Link(blob.take_data()),
                    _ => Look::Missing,
                }
            }
        }
    }
}

/// An error and what it came from, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut shown = printable(&error.to_string()).into_owned();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !text.is_empty() && !shown.ends_with(&text) {
            shown.push_str(": ");
            shown.push_str(&printable(&text));
        }
        source = error.source();
    }
    shown
}
