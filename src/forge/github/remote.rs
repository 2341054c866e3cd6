//! Which repository of which GitHub a Git remote is.

use url::Url;

/// A repository of a GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `github.com`, or the Enterprise host (with its port, where that is not the usual one of `https`).
    pub host: String,
    /// User or organization.
    pub owner: String,
    /// Name, without `.git`.
    pub name: String,
}

impl Place {
    /// Reads `owner/name`, of the GitHub `host`.
    ///
    /// `None` where a part is missing or cannot be a name there.
    pub fn named(host: &str, repository: &str) -> Option<Self> {
        let (owner, name) = repository.split_once('/')?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        (is_name(owner) && is_name(name)).then(|| Self {
            host: host.to_ascii_lowercase(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Reads the URL of a remote: `https://HOST/OWNER/NAME.git`, `ssh://git@HOST/OWNER/NAME`, or
    /// `git@HOST:OWNER/NAME.git`. A user and a password in it are not looked at.
    ///
    /// `None` where it is another kind of URL. Whether a GitHub answers at the host is for the caller to know.
    pub fn of_remote(remote: &str) -> Option<Self> {
        let remote = remote.trim();
        let (host, path) = if remote.contains("://") {
            let url = Url::parse(remote).ok()?;
            let host = url.host_str()?.to_owned();
            let host = match (url.scheme(), url.port()) {
                // The port of Git over SSH says nothing about the port of the API.
                ("ssh" | "git+ssh", _) | ("https" | "http", None) => host,
                ("https" | "http", Some(port)) => format!("{host}:{port}"),
                _ => return None,
            };
            (host, url.path().to_owned())
        } else {
            let (user_and_host, path) = remote.split_once(':')?;
            let host = user_and_host.rsplit_once('@').map_or(user_and_host, |(_, host)| host);
            if host.is_empty() || host.contains('/') {
                return None;
            }
            (host.to_owned(), path.to_owned())
        };
        let host = match host.to_ascii_lowercase().as_str() {
            // SSH over the port of HTTPS has a host of its own (GitHub docs, "Using SSH over the HTTPS port").
            "www.github.com" | "ssh.github.com" => "github.com".to_owned(),
            other => other.to_owned(),
        };
        Self::named(&host, path.trim_matches('/'))
    }

    /// `owner/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

/// Names of owners and repositories have only these characters, and dots alone are paths.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && !text.bytes().all(|byte| byte == b'.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://github.com/acme/home-ops", "github.com acme/home-ops")]
    #[case("https://github.com/acme/home-ops.git", "github.com acme/home-ops")]
    #[case("https://GitHub.com/acme/home-ops/", "github.com acme/home-ops")]
    #[case("https://me:secret@github.com/acme/home-ops.git\n", "github.com acme/home-ops")]
    #[case("git@github.com:acme/home-ops.git", "github.com acme/home-ops")]
    #[case("github.com:acme/home-ops", "github.com acme/home-ops")]
    #[case("ssh://git@github.com/acme/home-ops.git", "github.com acme/home-ops")]
    #[case("ssh://git@ssh.github.com:443/acme/home-ops.git", "github.com acme/home-ops")]
    #[case("https://ghe.example.com:8443/team/x.y", "ghe.example.com:8443 team/x.y")]
    #[case("ssh://git@ghe.example.com:2222/team/x_y", "ghe.example.com team/x_y")]
    fn remote_names_its_repository(#[case] remote: &str, #[case] expected: &str) {
        let place = Place::of_remote(remote).unwrap();
        assert_eq!(format!("{} {}", place.host, place.full_name()), expected);
    }

    #[rstest]
    #[case("/srv/git/home-ops.git")]
    #[case("file:///srv/git/home-ops.git")]
    #[case("../home-ops")]
    #[case("https://github.com/acme")]
    #[case("https://github.com/acme/home-ops/tree/main")]
    #[case("https://github.com/../home-ops")]
    #[case("git@github.com:acme/home%20ops")]
    #[case("git://github.com/acme/home-ops")]
    #[case("")]
    fn other_remotes_name_none(#[case] remote: &str) {
        assert_eq!(Place::of_remote(remote), None);
    }
}
