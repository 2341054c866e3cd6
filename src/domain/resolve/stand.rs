//! Where a version really stands: behind its variable, in a row of inputs, or in the middle of a text.

use super::composed::{self, Composed, Placed, put_together};
use super::inputs::input_name;
use super::instance::Captures;
use super::place::{Place, Row};
use super::variables::{Home, reference};
use super::view::View;
use crate::domain::rule::{Format, Role};
use crate::domain::scan::{Site, locate_image, tag_and_digest};

/// Where the version really stands.
pub(super) struct Stand {
    pub(super) file: usize,
    pub(super) site: Option<Site>,
    /// The digest that moves with it, where it stands in the same document.
    pub(super) digest: Option<Site>,
    /// Why nothing says what the version is.
    pub(super) unknown: Option<String>,
    /// What a person should know about the value.
    pub(super) warning: Option<String>,
    /// The whole text, where the version is a variable in the middle of it.
    pub(super) whole: Option<String>,
}

impl Stand {
    fn at(file: usize, site: Option<Site>) -> Self {
        Self { file, site, digest: None, unknown: None, warning: None, whole: None }
    }
}

impl Place<'_> {
    /// Where the version stands on a view; `None` where it is no version once variables have values.
    pub(super) fn stand(&self, view: &View, row: Option<&Row>, captures: &mut Captures) -> Option<Stand> {
        let (mut stand, digest) = match (self.found.composed, &self.spec.format) {
            (true, Format::Image) => self.image_of_variables(view, captures)?,
            (true, _) => (self.tag_of_variables(view, row, captures)?, None),
            (false, _) => (self.plain(view, row), None),
        };
        let images = matches!(self.spec.format, Format::Image | Format::Tag);
        let mut behind = None;
        if let Some(site) = stand.site.take() {
            let apart = images && stand.unknown.is_none();
            let (version, digest) = if apart { tag_and_digest(site) } else { (site, None) };
            (stand.site, behind) = (Some(version), digest);
        }
        captures.extend(behind.as_ref().map(|digest| ("digest".to_owned(), digest.text.clone())));
        let near = |(file, digest): &Placed| {
            *file == stand.file && stand.site.as_ref().is_some_and(|site| site.document == digest.document)
        };
        let digest = digest.or_else(|| self.digest_beside(view, row)).filter(near).map(|(_, digest)| digest);
        let whole = |digest: &Site| !digest.text.contains("${") && !digest.text.contains("<<");
        stand.digest = behind.or(digest).filter(whole);
        Some(stand)
    }

    fn plain(&self, view: &View, row: Option<&Row>) -> Stand {
        let mut stand = Stand::at(self.file, self.found.site.clone());
        let Some(site) = &self.found.site else { return stand };
        if let Some(name) = input_name(&site.text) {
            match row.and_then(|(_, sites)| sites.get(name)) {
                Some(value) => stand.site = Some(value.clone()),
                None => stand.unknown = Some(format!("the input `{name}` has no value in the ResourceSet")),
            }
        } else if let Some(variable) = reference(&site.text).filter(|_| self.takes(&site.text)) {
            match self.world.variables.home(view.kustomizations(), &variable) {
                Home::At { file, site, secret } => {
                    stand.warning = secret.map(|secret| {
                        let name = variable.name;
                        format!("the Secret `{secret}`, which is not read, may give `{name}` another value")
                    });
                    (stand.file, stand.site) = (file, Some(site));
                }
                Home::Default(range) => stand.site = Some(site.part(range)),
                Home::Unknown(reason) => stand.unknown = Some(reason),
            }
        } else if self.spec.role == Role::Channel && site.text.contains("${") {
            self.in_the_middle(site, view, &mut stand);
        } else if site.text.contains("${") || site.text.contains("{{") || site.text.contains("<<") {
            stand.unknown = Some(put_together(&site.text));
        }
        stand
    }

    /// Whether a text that is one variable can have its version written there: an image's tag is written
    /// as it is published, so that a `v` before the variable would be doubled.
    fn takes(&self, text: &str) -> bool {
        text.starts_with('$') || !matches!(self.spec.format, Format::Image | Format::Tag)
    }

    /// The channel of a release server is the last part of a URL; what stands before it says where to ask.
    fn in_the_middle(&self, site: &Site, view: &View, stand: &mut Stand) {
        let (world, from) = (self.world, view.kustomizations());
        let mut variables = composed::variables(&site.text);
        let home = match (variables.next(), variables.next()) {
            (Some(only), None) => composed::home_of(world, from, (self.file, site.part(only))),
            _ => Err(put_together(&site.text)),
        };
        match (home, composed::filled(world, from, &site.text)) {
            (Ok((file, home)), Ok(whole)) => {
                (stand.file, stand.site, stand.whole) = (file, Some(home), Some(whole));
            }
            (Err(reason), _) | (_, Err(reason)) => stand.unknown = Some(reason),
        }
    }

    /// A whole image reference whose name has variables in it: the name goes to the captures.
    fn image_of_variables(&self, view: &View, captures: &mut Captures) -> Option<(Stand, Option<Placed>)> {
        let mut stand = Stand::at(self.file, self.found.site.clone());
        let place = (self.file, stand.site.clone()?);
        match composed::image(self.world, view.kustomizations(), place) {
            Composed::Other => None,
            Composed::Unknown(reason) => {
                stand.unknown = Some(reason);
                Some((stand, None))
            }
            Composed::Image { name, tag, digest } => {
                captures.extend(digest.as_ref().map(|(_, site)| ("digest".to_owned(), site.text.clone())));
                stand.site = None;
                if let Some((file, site)) = tag {
                    (stand.file, stand.site) = (file, Some(site));
                }
                captures.extend([("registry".to_owned(), name.0), ("repository".to_owned(), name.1)]);
                Some((stand, digest))
            }
        }
    }

    /// A tag beside a repository with variables in it.
    fn tag_of_variables(&self, view: &View, row: Option<&Row>, captures: &mut Captures) -> Option<Stand> {
        let part = |key: &str| {
            let text = self.found.captures.get(key).map(String::as_str).unwrap_or_default();
            composed::filled(self.world, view.kustomizations(), text)
        };
        let mut stand = self.plain(view, row);
        match (part("registry"), part("repository")) {
            (Ok(registry), Ok(repository)) => {
                let (registry, repository) = locate_image(&registry, &repository)?;
                captures.extend([("registry".to_owned(), registry), ("repository".to_owned(), repository)]);
            }
            (Err(reason), _) | (_, Err(reason)) => {
                captures.retain(|key, _| key != "registry" && key != "repository");
                (stand.file, stand.site) = (self.file, self.found.site.clone());
                stand.unknown = Some(reason);
            }
        }
        Some(stand)
    }

    /// The digest that stands beside the version, behind its own variable.
    fn digest_beside(&self, view: &View, row: Option<&Row>) -> Option<Placed> {
        let own = self.found.digest.as_ref()?;
        match input_name(&own.text) {
            Some(name) => Some((self.file, row?.1.get(name)?.clone())),
            None => composed::home_of(self.world, view.kustomizations(), (self.file, own.clone())).ok(),
        }
    }
}
