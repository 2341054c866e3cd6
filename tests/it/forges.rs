//! GitHub, Git, OCI registries and OSV, asked by the real clients over HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod advisories;
mod charts;
mod git;
mod github;
mod registry;

use std::path::Path;
use std::time::Duration;

use gitops_updater::domain::upstream::Answer;
use gitops_updater::upstream::context::{
    Context, GitOptions, GithubHost, GithubOptions, OciOptions, OsvOptions,
};
use gitops_updater::upstream::http::{Http, HttpOptions};
use gitops_updater::upstream::mapping::{Mapping, Target};
use gitops_updater::upstream::retry::Policy;
use url::Url;

/// What a test sets; the rest is as in a first run without configuration.
#[derive(Default)]
struct Setting<'a> {
    http: HttpOptions,
    github: GithubOptions,
    oci: OciOptions,
    osv: Option<Url>,
    cache: Option<&'a Path>,
    /// Two quick retries where nothing is set.
    retry: Option<Policy>,
}

impl<'a> Setting<'a> {
    fn map(mut self, from: &str, to: Target) -> Self {
        self.http.mapping = Mapping::new(vec![(Url::parse(from).unwrap(), to)]);
        self
    }

    fn github(mut self, host: &str, api: &Url, token: Option<&str>) -> Self {
        let token = token.map(|token| token.to_owned().into());
        self.github.hosts.insert(host.to_owned(), GithubHost { api_url: Some(api.clone()), token });
        self
    }

    fn plain_http(mut self, registry: &str) -> Self {
        self.oci.plain_http.insert(registry.to_owned());
        self
    }

    /// Docker's credentials may go to `registry` over plain HTTP.
    fn trusts(mut self, registry: &str) -> Self {
        self.oci.credentials_by_http.insert(registry.to_owned());
        self
    }

    fn cache(mut self, folder: &'a Path) -> Self {
        self.cache = Some(folder);
        self
    }

    fn offline(mut self) -> Self {
        self.http.offline = true;
        self
    }

    fn context(self) -> Context {
        let cache = self.cache.map(Path::to_owned);
        let http = HttpOptions {
            cache_dir: cache.clone(),
            retry: self.retry.unwrap_or(Policy { first_pause: Duration::from_millis(1), ..Policy::times(2) }),
            timeout: Duration::from_secs(5),
            ..self.http
        };
        let github = GithubOptions { cache_folder: cache.map(|folder| folder.join("github")), ..self.github };
        let osv = self.osv.map_or_else(OsvOptions::default, |api_url| OsvOptions {
            api_url,
            timeout: Duration::from_secs(5),
        });
        Context::new(Http::new(http).unwrap(), github, GitOptions::default(), self.oci, osv)
    }
}

fn versions(answer: &Answer) -> Vec<&str> {
    let mut versions: Vec<_> = answer.candidates.iter().map(|candidate| candidate.version.as_str()).collect();
    versions.sort_unstable();
    versions
}
