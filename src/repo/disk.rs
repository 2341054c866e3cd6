//! Lists the files on disk, by the rules of a repository or of a plain folder.

mod index;

use std::collections::HashSet;
use std::rc::Rc;

use rustix::fs::FileType;

use self::index::Tracked;
use super::beneath::Root;
use super::dirty::{self, Sameness};
use super::git::{Git, has_below};
use super::ignores::Ignores;
use super::links::{self, Look, Target, Tree};
use super::listing::{FileEntry, Listing, MAX_DEPTH, MAX_SEEN, ReadOptions};
use super::objects::note_link;
use super::text::{self, over_total, too_large};

/// A directory on disk, and the repository that it is the work tree of.
pub(super) struct Disk {
    pub(super) root: Root,
    pub(super) git: Option<Git>,
}

impl Disk {
    pub(super) fn list(&self, prefix: &str, options: &ReadOptions) -> Listing {
        let index = self.git.as_ref().and_then(Git::index);
        let mut walk = Walk {
            disk: self,
            options,
            prefix,
            index,
            met: vec![false; index.map_or(0, |index| index.entries().len())],
            listing: Listing::new(options),
            pending: Vec::new(),
            unlisted: Vec::new(),
            links: Vec::new(),
            seen: 0,
            total: 0,
        };
        if let Some(Git { index: Err(reason), .. }) = &self.git {
            walk.listing.problem(
                ".git/index",
                format!("cannot read the index: {reason}; every file is taken for untracked, ignored ones are left out"),
            );
        }
        walk.start();
        while let Some(place) = walk.pending.pop() {
            walk.directory(place);
        }
        walk.follow_links();
        walk.account_for_index();
        walk.listing.finish()
    }

    /// The file that `path` leads to within the tree.
    pub(super) fn find(&self, path: &str) -> Result<String, Target> {
        match links::resolve(self, path) {
            Target::File(path) => Ok(path),
            other => Err(other),
        }
    }
}

impl Tree for Disk {
    fn look(&self, path: &str) -> Look {
        let Ok(stat) = self.root.stat(path.as_bytes()) else { return Look::Missing };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Look::File,
            FileType::Symlink => self.root.link(path.as_bytes()).map_or(Look::Missing, Look::Link),
            FileType::Directory if self.root.stat(format!("{path}/.git").as_bytes()).is_ok() => Look::Other,
            FileType::Directory => Look::Directory,
            _ => Look::Other,
        }
    }
}

/// A directory to list.
struct Place {
    path: Vec<u8>,
    /// Patterns of the directories above; `None` where nothing is ignored.
    ignores: Option<Rc<Ignores>>,
    /// The directory itself is ignored: only what is tracked is read.
    ignored: bool,
    depth: usize,
}

struct Walk<'a> {
    disk: &'a Disk,
    options: &'a ReadOptions,
    prefix: &'a str,
    index: Option<&'a gix::index::State>,
    /// Entries of the index that were met on disk (wanted files and links only).
    met: Vec<bool>,
    listing: Listing,
    pending: Vec<Place>,
    /// Directories that are there and were not listed: what is missing below them is not deleted.
    unlisted: Vec<Vec<u8>>,
    links: Vec<String>,
    seen: u64,
    total: u64,
}

impl Walk<'_> {
    fn start(&mut self) {
        let place = self.descend(self.prefix.as_bytes());
        if self.prefix.is_empty() {
            self.pending.push(place);
            return;
        }
        match self.disk.root.stat(self.prefix.as_bytes()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                self.pending.push(place)
            }
            Ok(stat) => {
                let (folder, name) = self.prefix.rsplit_once('/').unwrap_or(("", self.prefix));
                let mut above = self.descend(folder.as_bytes());
                above.ignores = self.own_ignores(&above);
                self.entry(&above, name.as_bytes(), FileType::from_raw_mode(stat.st_mode));
            }
            // Deleted while it is tracked; the index knows.
            Err(_) => {}
        }
    }

    /// The place of `path`, with the patterns of all directories above it.
    fn descend(&mut self, path: &[u8]) -> Place {
        let ignoring = self.disk.git.as_ref().filter(|_| !self.options.includes_ignored());
        let mut place =
            Place { path: Vec::new(), ignores: ignoring.map(Git::ignores), ignored: false, depth: 0 };
        for part in path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            place.ignores = self.own_ignores(&place);
            if !place.path.is_empty() {
                place.path.push(b'/');
            }
            place.path.extend_from_slice(part);
            place.ignored |=
                place.ignores.as_ref().is_some_and(|ignores| ignores.is_ignored(&place.path, true));
        }
        place
    }

    /// The patterns of `place` and those above it.
    fn own_ignores(&mut self, place: &Place) -> Option<Rc<Ignores>> {
        let above = place.ignores.as_ref()?;
        match above.below(&self.disk.root, &place.path) {
            Ok(own) => Some(own),
            Err(reason) => {
                let file = join(&text::lossy(&place.path), ".gitignore");
                self.listing.problem(file, reason);
                Some(Rc::clone(above))
            }
        }
    }

    fn directory(&mut self, mut place: Place) {
        let mut names = Vec::new();
        let mut has_ignore_file = false;
        let mut is_repository = false;
        let listed = self.disk.root.directory(&place.path).and_then(|directory| {
            for entry in directory {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                match name {
                    b"." | b".." => continue,
                    b".gitignore" => has_ignore_file = true,
                    _ if name.eq_ignore_ascii_case(b".git") => is_repository |= name == b".git",
                    _ => {}
                }
                names.push((name.to_vec(), entry.file_type()));
                self.seen += 1;
                if self.seen > MAX_SEEN {
                    break;
                }
            }
            Ok(())
        });
        let shown = text::lossy(&place.path).into_owned();
        if let Err(error) = listed {
            self.listing.problem(shown, format!("cannot list the directory: {error}"));
            self.unlisted.push(place.path);
            return;
        }
        if is_repository && !place.path.is_empty() {
            self.listing.skipped.repositories += 1;
            self.listing.problem(
                shown,
                "not entered: another repository; what it holds is read by running on that repository",
            );
            self.unlisted.push(place.path);
            return;
        }
        if self.seen > MAX_SEEN {
            self.listing.problem(shown, format!("stopped here: more than {MAX_SEEN} files and directories"));
            self.pending.clear();
            self.unlisted.push(Vec::new());
            return;
        }
        if has_ignore_file {
            place.ignores = self.own_ignores(&place);
        }
        for (name, file_type) in names {
            self.entry(&place, &name, file_type);
        }
    }

    fn entry(&mut self, place: &Place, name: &[u8], file_type: FileType) {
        if name.eq_ignore_ascii_case(b".git") {
            return;
        }
        let mut path = place.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let file_type = match file_type {
            // Some file systems do not say in the listing.
            FileType::Unknown => match self.disk.root.stat(&path) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(error) => {
                    return self.listing.problem(text::lossy(&path), format!("cannot read: {error}"));
                }
            },
            known => known,
        };
        let shown = text::lossy(&path);
        let wanted = match file_type {
            FileType::Directory | FileType::Symlink => true,
            _ => self.options.is_wanted(&shown),
        };
        if !wanted {
            self.listing.skipped.unwanted += 1;
            return;
        }
        if self.options.is_excluded(&shown) {
            self.listing.skipped.excluded += 1;
            return;
        }
        match file_type {
            FileType::Directory => self.enter(place, path),
            FileType::RegularFile => self.admit(place, &path),
            FileType::Symlink => self.link(place, path),
            _ => {
                self.listing.skipped.special += 1;
                self.listing.problem(shown, "not read: a pipe, a socket or a device, not a file");
            }
        }
    }

    fn enter(&mut self, place: &Place, path: Vec<u8>) {
        let tracked_below = self.index.is_some_and(|index| has_below(index, &path));
        let ignored =
            place.ignored || place.ignores.as_ref().is_some_and(|ignores| ignores.is_ignored(&path, true));
        if ignored && !tracked_below {
            self.listing.skipped.ignored += 1;
            return;
        }
        if let Tracked::At(entry) = self.tracked(&path)
            && self.index.is_some_and(|index| index.entry(entry).mode.is_submodule())
        {
            return;
        }
        if place.depth >= MAX_DEPTH {
            self.listing.problem(
                text::lossy(&path),
                format!("not entered: nested more than {MAX_DEPTH} directories deep"),
            );
            self.unlisted.push(path);
            return;
        }
        self.pending.push(Place { path, ignores: place.ignores.clone(), ignored, depth: place.depth + 1 });
    }

    fn is_left_out(&mut self, place: &Place, path: &[u8], tracked: Tracked) -> bool {
        let ignored = matches!(tracked, Tracked::No)
            && (place.ignored
                || place.ignores.as_ref().is_some_and(|ignores| ignores.is_ignored(path, false)));
        if ignored {
            self.listing.skipped.ignored += 1;
        }
        ignored
    }

    /// Lists a regular file, unless it is ignored or too large.
    fn admit(&mut self, place: &Place, path: &[u8]) {
        let tracked = self.tracked(path);
        if self.is_left_out(place, path, tracked) {
            return;
        }
        let Ok(name) = std::str::from_utf8(path) else {
            self.listing.problem(text::lossy(path), "not read: the name is not UTF-8; rename it");
            return;
        };
        let stat = match self.disk.root.stat(path) {
            Ok(stat) => stat,
            Err(error) => return self.listing.problem(name, format!("cannot read: {error}")),
        };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        let limit = self.options.largest();
        if size > limit {
            return self.listing.problem(name, too_large(Some(size), limit));
        }
        self.total = self.total.saturating_add(size);
        if self.total > self.options.total() {
            return self.listing.problem(name, over_total(self.options.total()));
        }
        match (tracked, self.index) {
            (Tracked::At(position), Some(index)) => {
                let entry = index.entry(position);
                match dirty::compare(index, entry, &stat) {
                    Sameness::Same => {}
                    Sameness::Different => self.listing.differs = true,
                    Sameness::Unsure => self.listing.unsure.push((name.to_owned(), entry.id)),
                }
            }
            _ => self.listing.differs = true,
        }
        self.listing.entries.push(FileEntry { path: name.to_owned(), object: None });
    }

    fn link(&mut self, place: &Place, path: Vec<u8>) {
        let tracked = self.tracked(&path);
        if self.is_left_out(place, &path, tracked) {
            return;
        }
        if let (Tracked::At(position), Some(index)) = (tracked, self.index) {
            let same =
                self.disk.root.link(&path).is_ok_and(|text| dirty::is_blob(&text, index.entry(position).id));
            self.listing.differs |= !same;
        }
        match String::from_utf8(path) {
            Ok(path) => self.links.push(path),
            Err(error) => {
                let shown = text::lossy(error.as_bytes()).into_owned();
                if self.options.is_wanted(&shown) {
                    self.listing.problem(shown, "not read: the name is not UTF-8; rename it");
                }
            }
        }
    }

    fn follow_links(&mut self) {
        if self.links.is_empty() {
            return;
        }
        let mut listed: HashSet<String> =
            self.listing.entries.iter().map(|entry| entry.path.clone()).collect();
        for link in std::mem::take(&mut self.links) {
            self.listing.skipped.links += 1;
            let wanted = self.options.is_wanted(&link);
            let target = links::resolve(self.disk, &link);
            if let Target::File(path) = &target
                && wanted
                && listed.insert(path.clone())
            {
                if self.options.is_excluded_anywhere(path) {
                    self.listing.skipped.excluded += 1;
                } else {
                    let mut place =
                        self.descend(path.rsplit_once('/').map_or("", |(folder, _)| folder).as_bytes());
                    place.ignores = self.own_ignores(&place);
                    self.admit(&place, path.as_bytes());
                }
            }
            note_link(&mut self.listing, &link, target, wanted);
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
