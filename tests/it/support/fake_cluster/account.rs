//! Who asks, and what they may (RBAC).

use serde_json::Value;

/// Somebody with rules.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) user: String,
    allowed: Vec<Rule>,
    denied: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    /// With the subresource: `pods/log`.
    resources: Vec<String>,
    /// Empty for all.
    names: Vec<String>,
    /// `None` for all, and for kinds without one.
    namespace: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) verb: &'a str,
    pub(super) group: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
}

impl Rule {
    fn covers(&self, wanted: &Wanted<'_>) -> bool {
        let one = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        one(&self.verbs, wanted.verb)
            && one(&self.groups, wanted.group)
            && one(&self.resources, wanted.resource)
            && (self.names.is_empty() || wanted.name.is_some_and(|name| one(&self.names, name)))
            && (self.namespace.is_none() || self.namespace.as_deref() == wanted.namespace)
    }
}

impl Account {
    /// Somebody who may do everything.
    pub(crate) fn admin(user: &str) -> Self {
        Self::nobody(user).may(&["*"], &["*.*"], None)
    }

    /// Somebody who may do nothing yet.
    pub(crate) fn nobody(user: &str) -> Self {
        Self { user: user.to_owned(), allowed: Vec::new(), denied: Vec::new() }
    }

    /// Allows verbs on resources (`pods`, `pods/log`, `helmreleases.helm.toolkit.fluxcd.io`), in one namespace or all.
    #[must_use]
    pub(crate) fn may(mut self, verbs: &[&str], resources: &[&str], namespace: Option<&str>) -> Self {
        self.allowed.extend(rules(verbs, resources, namespace));
        self
    }

    /// Takes away what [`Self::may`] gave (RBAC itself only ever allows).
    #[must_use]
    pub(crate) fn may_not(mut self, verbs: &[&str], resources: &[&str], namespace: Option<&str>) -> Self {
        self.denied.extend(rules(verbs, resources, namespace));
        self
    }

    /// Binds a Role or ClusterRole, in one namespace or all.
    #[must_use]
    pub(crate) fn bound_to(mut self, role: &Value, namespace: Option<&str>) -> Self {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let texts = |field: &str| -> Vec<String> {
                let entries = rule[field].as_array().into_iter().flatten();
                entries.map(|entry| entry.as_str().unwrap().to_owned()).collect()
            };
            self.allowed.push(Rule {
                verbs: texts("verbs"),
                groups: texts("apiGroups"),
                resources: texts("resources"),
                names: texts("resourceNames"),
                namespace: namespace.map(str::to_owned),
            });
        }
        self
    }

    pub(super) fn allows(&self, wanted: &Wanted<'_>) -> bool {
        let covered = |rules: &[Rule]| rules.iter().any(|rule| rule.covers(wanted));
        covered(&self.allowed) && !covered(&self.denied)
    }
}

fn rules(verbs: &[&str], resources: &[&str], namespace: Option<&str>) -> Vec<Rule> {
    let rule = |resource: &&str| {
        let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
        Rule {
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
            groups: vec![group.to_owned()],
            resources: vec![resource.to_owned()],
            names: Vec::new(),
            namespace: namespace.map(str::to_owned),
        }
    };
    resources.iter().map(rule).collect()
}
