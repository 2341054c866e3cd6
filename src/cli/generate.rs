//! What a pass looks into before it proposes: Flux's release manifests and charts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::app::plan::{Charts, Generator};
use crate::domain::chart_diff::{Comparison, UserValues, compare};
use crate::domain::gotk::{self, Manifests};
use crate::domain::upstream::UpstreamRef;
use crate::upstream::client::UpstreamClient;

/// Makes `gotk-components.yaml` from the manifests of Flux's releases, each asked for once.
pub(super) struct Looker<'a> {
    upstreams: &'a UpstreamClient,
    runtime: &'a tokio::runtime::Runtime,
    releases: RefCell<BTreeMap<String, Result<Rc<Manifests>, String>>>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(upstreams: &'a UpstreamClient, runtime: &'a tokio::runtime::Runtime) -> Self {
        Self { upstreams, runtime, releases: RefCell::default() }
    }

    fn manifests(&self, release: &str) -> Result<Rc<Manifests>, String> {
        if let Some(known) = self.releases.borrow().get(release) {
            return known.clone();
        }
        let asked = self.runtime.block_on(self.upstreams.flux_manifests(release));
        let manifests = asked.map(Rc::new).map_err(|failure| failure.to_string());
        self.releases.borrow_mut().insert(release.to_owned(), manifests.clone());
        manifests
    }
}

impl Generator for Looker<'_> {
    fn generate(&self, _: &str, old: &[u8], to: &str) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(old).map_err(|error| error.to_string())?;
        let from = gotk::version(text).map_err(|error| error.to_string())?;
        let (from, to) = (self.manifests(&from)?, self.manifests(to)?);
        gotk::regenerate(old, &from, &to).map_err(|error| error.to_string())
    }
}

impl Charts for Looker<'_> {
    fn compare(
        &self,
        upstream: &UpstreamRef,
        from: &str,
        to: &str,
        users: &[UserValues],
    ) -> Result<Comparison, String> {
        let chart = |version: &str| {
            self.runtime
                .block_on(self.upstreams.chart(upstream, version))
                .map_err(|failure| failure.to_string())
        };
        Ok(compare(&chart(from)?, &chart(to)?, users))
    }
}
