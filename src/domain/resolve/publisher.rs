//! Who publishes newer versions of what stands at a place.

use super::instance::{Captures, Place, clusters};
use super::locate;
use super::sources::Lookup;
use crate::domain::rule::{Rule, UpstreamTemplate, fill};
use crate::domain::upstream::UpstreamRef;

impl Place<'_> {
    /// The upstream that the rule names, filled with what the manifest says.
    pub(super) fn upstream(&self, captures: &Captures) -> Result<UpstreamRef, String> {
        let need = |template: &str| {
            fill(template, captures).ok_or_else(|| format!("the manifest has nothing for `{template}`"))
        };
        match &self.spec.upstream {
            UpstreamTemplate::K3s => Ok(UpstreamRef::K3s { channel: None }),
            UpstreamTemplate::GithubReleases { repository } => {
                let (owner, name) = locate::github(&need(repository)?)?;
                Ok(UpstreamRef::GithubReleases { host: "github.com".to_owned(), owner, name })
            }
            UpstreamTemplate::GithubTags { repository } => {
                let (owner, name) = locate::github(&need(repository)?)?;
                Ok(UpstreamRef::GithubTags { host: "github.com".to_owned(), owner, name })
            }
            UpstreamTemplate::GitTags { url } => locate::git(&need(url)?),
            UpstreamTemplate::Helm { repository, chart } => {
                locate::chart(&fill(repository, captures).unwrap_or_default(), &need(chart)?)
            }
            UpstreamTemplate::Oci { url } => {
                let chart = captures.get("media_type").is_some_and(|kind| kind.contains("helm.chart"));
                locate::oci(&need(url)?, chart)
            }
            UpstreamTemplate::Image => {
                locate::oci(&format!("{}/{}", need("{registry}")?, need("{repository}")?), false)
            }
            UpstreamTemplate::FluxSource { chart, kind, name, namespace } => {
                self.chart_of_source(captures, [chart, kind, name, namespace])
            }
            UpstreamTemplate::FluxChartRef { .. } => Err("the version stands in another object".to_owned()),
        }
    }

    fn chart_of_source(&self, captures: &Captures, names: [&str; 4]) -> Result<UpstreamRef, String> {
        let [chart, kind, name, namespace] = names.map(|template| fill(template, captures));
        let (Some(chart), Some(name)) = (chart, name) else {
            return Err("nothing in the repository says which chart and source this release has".to_owned());
        };
        let kind = kind.unwrap_or_else(|| "HelmRepository".to_owned());
        if kind == "GitRepository" || kind == "Bucket" {
            return Err(format!("the chart comes from the {kind} `{name}`, whose version is the chart's"));
        }
        let namespace = namespace.or_else(|| captures.get("namespace").cloned());
        let clusters = clusters(self.world, self.file);
        match self.world.sources.find((&kind, &name), namespace.as_deref(), self.file, &clusters) {
            Lookup::Found(known) if known.oci => {
                locate::chart(&format!("oci://{}", known.url.trim_start_matches("oci://")), &chart)
            }
            Lookup::Found(known) => locate::chart(&known.url, &chart),
            Lookup::Missing => Err(format!("the {kind} `{name}` is not in the repository")),
            Lookup::Ambiguous(count) => Err(format!(
                "{count} different {kind} objects are named `{name}`; name its namespace in `sourceRef`"
            )),
        }
    }
}

/// The rule that claims what is published there.
pub(super) fn claimed<'a>(rules: &'a [Rule], upstream: &UpstreamRef) -> Option<&'a Rule> {
    rules.iter().find(|rule| rule.claims_what_is_at(upstream))
}
