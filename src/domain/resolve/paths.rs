//! Paths inside a repository, `/`-separated, without ever leaving it.

/// Joins a relative path to a folder; `None` when it would leave the repository.
pub(super) fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if relative.starts_with('/') {
        parts.clear();
    }
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The folder of a file; empty for files at the top.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether an entry of a Kustomize file names something outside the repository.
pub(super) fn is_remote(entry: &str) -> bool {
    entry.contains("://")
        || entry.starts_with("github.com/")
        || entry.starts_with("git@")
        || entry.contains("?ref=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_never_leave_the_repository() {
        assert_eq!(join("a/b", "../c").as_deref(), Some("a/c"));
        assert_eq!(join("a", "./b//c/").as_deref(), Some("a/b/c"));
        assert_eq!(join("a", "../..").as_deref(), None);
        assert_eq!(join("", "./").as_deref(), Some(""));
        assert_eq!(folder("a/b.yaml"), "a");
        assert_eq!(folder("b.yaml"), "");
    }
}
