//! Where in the API something is.

use super::ask::Failure;

/// A path with its query; nothing that comes from outside can leave its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    uri: String,
    asks: bool,
}

impl Path {
    /// A path that needs no care.
    pub(super) fn fixed(path: &'static str) -> Self {
        Self { uri: path.to_owned(), asks: false }
    }

    /// The objects of a kind, in a namespace or all of them.
    pub(super) fn of(
        group: &str,
        version: &str,
        namespace: Option<&str>,
        plural: &str,
    ) -> Result<Self, Failure> {
        let mut path = Self { uri: String::new(), asks: false };
        if group.is_empty() {
            path.push("api")?;
        } else {
            path.push("apis")?;
            path.push(group)?;
        }
        path.push(version)?;
        if let Some(namespace) = namespace {
            path.push("namespaces")?;
            path.push(namespace)?;
        }
        path.push(plural)?;
        Ok(path)
    }

    /// One of them, or a part of it.
    pub(super) fn below(mut self, segment: &str) -> Result<Self, Failure> {
        self.push(segment)?;
        Ok(self)
    }

    fn push(&mut self, segment: &str) -> Result<(), Failure> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if segment.is_empty() || segment.starts_with('.') || !segment.bytes().all(plain) {
            return Err(Failure::strange(format!("{segment:?} is no name of an object or a kind")));
        }
        self.uri.push('/');
        self.uri.push_str(segment);
        Ok(())
    }

    /// With a parameter; an empty one is left out.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            return self;
        }
        self.uri.push(if self.asks { '&' } else { '?' });
        self.asks = true;
        self.uri.push_str(name);
        self.uri.push('=');
        self.uri.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        self
    }

    /// As in a request.
    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_places() {
        let pods = Path::of("", "v1", None, "pods").unwrap();
        assert_eq!(pods.uri(), "/api/v1/pods");
        let release = Path::of("helm.toolkit.fluxcd.io", "v2", Some("apps"), "helmreleases").unwrap();
        let release = release.below("demo").unwrap().with("fieldManager", "me & you").with("dryRun", "");
        assert_eq!(
            release.uri(),
            "/apis/helm.toolkit.fluxcd.io/v2/namespaces/apps/helmreleases/demo?fieldManager=me+%26+you"
        );
    }

    #[test]
    fn name_cannot_lead_elsewhere() {
        for name in ["", "..", ".", "a/b", "a?b", "a#b", "a%2fb", "a b", "ä"] {
            assert!(Path::of("", "v1", Some(name), "pods").is_err(), "{name}");
            assert!(Path::fixed("/version").below(name).is_err(), "{name}");
        }
    }
}
