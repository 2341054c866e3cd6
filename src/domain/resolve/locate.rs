//! Reads URLs of chart repositories, registries and Git hosts into [`UpstreamRef`]s.

use crate::domain::upstream::UpstreamRef;

/// A chart of a repository given by its URL, `https://` or `oci://`.
///
/// # Errors
///
/// The reason for people, where the URL names no list of versions.
pub(super) fn chart(repository: &str, chart: &str) -> Result<UpstreamRef, String> {
    if let Some(reference) = chart.strip_prefix("oci://") {
        return oci(reference, true);
    }
    if chart.starts_with("http://") || chart.starts_with("https://") {
        return Err("the chart is given as an archive, which lists no other versions".to_owned());
    }
    let repository = repository.trim_end_matches('/').trim_end_matches("/index.yaml");
    if let Some(path) = repository.strip_prefix("oci://") {
        return oci(&format!("{}/{chart}", path.trim_end_matches('/')), true);
    }
    if !(repository.starts_with("http://") || repository.starts_with("https://")) {
        return Err(format!(
            "the repository of the chart `{chart}` is `{repository}`, neither https:// nor oci://"
        ));
    }
    if repository.contains("${") {
        return Err(format!(
            "the repository URL `{repository}` has a variable without a value in the repository"
        ));
    }
    Ok(UpstreamRef::HelmChart { repository: repository.to_owned(), chart: chart.to_owned() })
}

/// An OCI repository as `host/path`, with or without `oci://`.
///
/// # Errors
///
/// The reason for people, where it is no OCI repository.
pub(super) fn oci(reference: &str, chart: bool) -> Result<UpstreamRef, String> {
    let reference = reference.strip_prefix("oci://").unwrap_or(reference).trim_end_matches('/');
    let wrong = || format!("`{reference}` names no OCI repository (host/path)");
    if reference.contains("${") {
        return Err(format!("the OCI URL `{reference}` has a variable without a value in the repository"));
    }
    let (host, path) = reference.split_once('/').ok_or_else(wrong)?;
    if host.is_empty() || path.is_empty() || path.contains("..") || path.contains([' ', '?', '#', '@']) {
        return Err(wrong());
    }
    let registry = match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    };
    Ok(UpstreamRef::Oci { registry: registry.to_owned(), repository: path.to_owned(), chart })
}

/// Tags of a Git repository by any URL that Flux or Kustomize accept.
///
/// # Errors
///
/// The reason for people, where the URL names no repository on a host.
pub(super) fn git(url: &str) -> Result<UpstreamRef, String> {
    let (host, path) = git_place(url).ok_or_else(|| format!("`{url}` names no Git repository on a host"))?;
    if host == "github.com"
        && let Some((owner, name)) = path.split_once('/')
        && !name.contains('/')
    {
        return Ok(UpstreamRef::GithubTags { host, owner: owner.to_owned(), name: name.to_owned() });
    }
    let scheme = if url.starts_with("http://") { "http" } else { "https" };
    Ok(UpstreamRef::GitTags { url: format!("{scheme}://{host}/{path}") })
}

/// Host and path of a Git URL: `https://`, `ssh://`, `git@host:path`.
pub(in crate::domain) fn git_place(url: &str) -> Option<(String, String)> {
    let body = ["https://", "http://", "ssh://", "git://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let (host, path) = match body {
        Some(body) => {
            let body =
                body.rsplit_once('@').filter(|(user, _)| !user.contains('/')).map_or(body, |(_, rest)| rest);
            body.split_once('/')?
        }
        None => url.strip_prefix("git@")?.split_once(':')?,
    };
    let host = if url.starts_with("ssh://") { host.split(':').next()? } else { host };
    let path = path.trim_matches('/').trim_end_matches(".git");
    let fine = |text: &str| !text.is_empty() && !text.contains(['$', ' ', '?', '#']) && !text.contains("..");
    (fine(host) && fine(path)).then(|| (host.to_owned(), path.to_owned()))
}

/// A GitHub repository given as `owner/name`.
///
/// # Errors
///
/// The reason for people, where it is none.
pub(super) fn github(repository: &str) -> Result<(String, String), String> {
    let fine = |part: &str| {
        !part.is_empty()
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    match repository.split_once('/') {
        Some((owner, name)) if fine(owner) && fine(name) => {
            Ok((owner.to_owned(), name.trim_end_matches(".git").to_owned()))
        }
        _ => Err(format!("`{repository}` is no GitHub repository (owner/name)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_repositories_are_read() {
        assert_eq!(chart("https://charts.example.com/", "a").unwrap().url(), "https://charts.example.com");
        assert_eq!(chart("oci://ghcr.io/org/charts/", "a").unwrap().url(), "oci://ghcr.io/org/charts/a");
        assert_eq!(chart("", "oci://ghcr.io/org/a").unwrap().url(), "oci://ghcr.io/org/a");
        for (repository, name) in
            [("", "https://x/y.tgz"), ("${X}", "a"), ("https://${X}/", "a"), ("file://x", "a")]
        {
            assert!(chart(repository, name).is_err(), "{repository} {name}");
        }
    }

    #[test]
    fn git_urls_of_every_form_name_one_place() {
        for url in [
            "https://github.com/a/b",
            "https://github.com/a/b.git",
            "https://user@github.com/a/b",
            "ssh://git@github.com/a/b",
            "ssh://git@github.com:22/a/b.git",
            "git@github.com:a/b.git",
        ] {
            assert_eq!(git(url).unwrap().url(), "https://github.com/a/b", "{url}");
        }
        assert_eq!(git("https://git.example.com/g/s/p").unwrap().url(), "https://git.example.com/g/s/p");
        assert!(git("https://${HOST}/a").is_err());
        assert!(git("../x").is_err());
    }
}
