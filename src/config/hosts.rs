//! Hosts, and which environment variables a repository's own configuration may bind to them.

use std::fmt;

/// A host name or address with an optional port, lower case; exact, never a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Reads `host` or `host:port` (`[::1]:5000` for IPv6 addresses).
    ///
    /// # Errors
    ///
    /// Says what a host looks like.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{}` is not a host such as `ghcr.io` or `registry.example.com:5000`",
                super::tree::shorten(text)
            )
        };
        let lower = text.to_ascii_lowercase();
        let (name, port) = match lower.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
                address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                let port =
                    if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) =
                    lower.split_once(':').map_or((lower.as_str(), None), |(name, port)| (name, Some(port)));
                if name.len() > 253 || !name.split('.').all(is_label) {
                    return Err(wrong());
                }
                (name.to_owned(), port)
            }
        };
        let port = match port {
            None => None,
            Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong)?),
        };
        Ok(Self { name, port })
    }

    /// The host and port of a URL; the scheme's own port counts as none.
    pub fn of(url: &url::Url) -> Option<Self> {
        Some(Self { name: url.host_str()?.to_ascii_lowercase(), port: url.port() })
    }

    /// Name or address, without port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Port, where one is given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What the name of an environment variable must begin with to be bound to this host by a configuration that
    /// lies in the repository: `GITOPS_UPDATER_HOST_` and the host in upper case, in which `_` stands for `.`, `__`
    /// for `-` and `___` for `:`, then `_`.
    ///
    /// Whoever may open a pull request may change the repository's configuration; bound by its name, a secret goes
    /// to the host that the operator named when setting the variable, whatever the repository says. Two hosts
    /// never share a prefix, because dots, hyphens and colons cannot stand beside each other in a host.
    pub fn variable_prefix(&self) -> Option<String> {
        let labels_are_plain = self
            .name
            .split('.')
            .all(|label| is_label(label) && !label.contains('_') && !label.contains("--"));
        if !labels_are_plain {
            return None;
        }
        let host = self.name.replace('-', "__").replace('.', "_");
        let port = self.port.map(|port| format!("___{port}")).unwrap_or_default();
        Some(format!("GITOPS_UPDATER_HOST_{}{port}_", host.to_ascii_uppercase()))
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact() {
        for (text, shown) in [
            ("ghcr.io", "ghcr.io"),
            ("Registry.Example.com:5000", "registry.example.com:5000"),
            ("localhost:80", "localhost:80"),
            ("[::1]:5000", "[::1]:5000"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(Host::read(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "*.example.com",
            "https://ghcr.io",
            "ghcr.io/x",
            "a..b",
            "-a.b",
            "a:b",
            "a:0",
            "a:70000",
            "user@host",
            "[::1",
            "a b",
        ] {
            assert!(Host::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn variable_prefix_names_the_host_and_no_other() {
        for (host, prefix) in [
            ("ghcr.io", "GITOPS_UPDATER_HOST_GHCR_IO_"),
            ("my-registry.example.com:5000", "GITOPS_UPDATER_HOST_MY__REGISTRY_EXAMPLE_COM___5000_"),
            ("localhost", "GITOPS_UPDATER_HOST_LOCALHOST_"),
        ] {
            assert_eq!(Host::read(host).unwrap().variable_prefix().as_deref(), Some(prefix));
        }
        assert_eq!(Host::read("a_b.example.com").unwrap().variable_prefix(), None);
        assert_eq!(Host::read("[::1]").unwrap().variable_prefix(), None);
    }

    proptest::proptest! {
        #[test]
        fn two_hosts_never_have_the_same_prefix(
            a in "[ab]{1,2}([.-][ab5]{1,2}){0,3}(:5[05]?)?",
            b in "[ab]{1,2}([.-][ab5]{1,2}){0,3}(:5[05]?)?",
        ) {
            let (a, b) = (Host::read(&a).unwrap(), Host::read(&b).unwrap());
            if a != b {
                proptest::prop_assert_ne!(a.variable_prefix(), b.variable_prefix());
            }
        }
    }
}
