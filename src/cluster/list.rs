//! Lists of objects, page by page, reduced to what is asked for as each page comes.

use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Error};
use serde_json::Value;

/// Objects a page.
const PAGE: u32 = 250;
/// Objects of one kind that are looked at; a larger list is a problem.
const MAX_OBJECTS: usize = 50_000;

/// A kind of objects, as it is listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// API group; empty for the core group.
    pub(super) group: &'static str,
    /// Versions that can be read, the preferred one first.
    pub(super) versions: &'static [&'static str],
    /// Kind.
    pub(super) kind: &'static str,
    /// As in URLs.
    pub(super) plural: &'static str,
    /// Namespace; all where there is none.
    pub(super) namespace: Option<&'static str>,
    /// Label selector; empty for all.
    pub(super) labels: &'static str,
}

/// Why a kind was not seen.
#[derive(Debug)]
pub(super) enum Unseen {
    /// The cluster does not have it.
    Absent,
    /// Told to the reader.
    Because(String),
}

impl Kind {
    fn api(&self, client: &Client, version: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(self.group, version, self.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, self.plural);
        match self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }

    /// Calls `each` with every object, in the served version that is preferred.
    pub(super) async fn each(
        &self,
        client: &Client,
        mut each: impl FnMut(&DynamicObject),
    ) -> Result<(), Unseen> {
        for version in self.versions {
            match self.pages(&self.api(client, version), &mut each).await {
                Err(Unseen::Absent) => {}
                seen => return seen,
            }
        }
        Err(Unseen::Absent)
    }

    async fn pages(
        &self,
        api: &Api<DynamicObject>,
        each: &mut impl FnMut(&DynamicObject),
    ) -> Result<(), Unseen> {
        let mut parameters = ListParams::default().limit(PAGE).labels(self.labels);
        let mut count = 0;
        loop {
            let page = api.list(&parameters).await.map_err(|error| self.unseen(&error))?;
            count += page.items.len();
            page.items.iter().for_each(&mut *each);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(_) if count >= MAX_OBJECTS => {
                    return Err(Unseen::Because(format!(
                        "there are more than {MAX_OBJECTS} {}; the others were not looked at",
                        self.plural
                    )));
                }
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(()),
            }
        }
    }

    fn unseen(&self, error: &Error) -> Unseen {
        match error {
            Error::Api(status) if status.code == 404 => Unseen::Absent,
            Error::Api(status) if status.code == 403 => Unseen::Because(format!(
                "the account may not list `{}`; grant it `list` on {}",
                self.full_name(),
                self.plural
            )),
            Error::Api(status) if status.code == 401 => Unseen::Because(format!(
                "the API server does not know the account that asks for `{}`; renew its credentials",
                self.full_name()
            )),
            error => Unseen::Because(format!("cannot list `{}`: {error}", self.full_name())),
        }
    }

    fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// Text at a path of the object beside its metadata.
pub(super) fn text<'a>(object: &'a DynamicObject, pointer: &str) -> Option<&'a str> {
    object.data.pointer(pointer).and_then(Value::as_str)
}

/// Label of an object.
pub(super) fn label<'a>(object: &'a DynamicObject, name: &str) -> Option<&'a str> {
    object.metadata.labels.as_ref()?.get(name).map(String::as_str)
}
