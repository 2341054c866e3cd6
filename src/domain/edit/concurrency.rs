//! Where the concurrency of a Plan of system-upgrade-controller is written, and the edit that makes it 0.
//!
//! The value's bytes are replaced where they stand; everything else of the file stays. Where no `concurrency` is written
//! nothing is inserted: the controller reads it as 0 (`pkg/apis/upgrade.cattle.io/v1/types.go`, `omitempty`), so a Plan that
//! changes nodes has it from elsewhere, which would win.

use std::collections::BTreeSet;

use super::Replacement;
use crate::domain::manifest::document::{Document, NodeId, Style};
use crate::domain::manifest::place::Lines;
use crate::domain::manifest::split;

const ROUTE: &str = "/spec/concurrency";

/// A Plan as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its concurrency, by which the place that decides is known.
    pub concurrency: i64,
}

/// What stops the rollout of Plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopping {
    /// Sorted by file and place.
    pub replacements: Vec<Replacement>,
    /// `namespace/name` of Plans whose concurrency is 0 in Git already.
    pub stopped: Vec<String>,
    /// Plans that cannot be stopped in Git, each with why.
    pub refused: Vec<String>,
}

/// A place that sets the concurrency of a Plan.
struct Home {
    file: String,
    document: usize,
    place: (usize, usize),
    /// The bytes and their range; otherwise why they cannot be replaced.
    value: Result<(String, (usize, usize)), &'static str>,
}

/// How the concurrency of Plans becomes 0. `files` are manifests of the repository; of several places for one Plan those
/// in `own` decide, the files that the update itself changed.
pub fn stop<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    own: &BTreeSet<String>,
    plans: &[Wanted],
) -> Stopping {
    let mut homes: Vec<Vec<Home>> = plans.iter().map(|_| Vec::new()).collect();
    for (file, text) in files {
        // Most files of a repository are not worth reading.
        if !text.contains("Plan") || !text.contains("concurrency") {
            continue;
        }
        for chunk in split::documents(text) {
            let Ok(document) = Document::parse(text, chunk.range) else { continue };
            for (plan, homes) in plans.iter().zip(&mut homes) {
                homes.extend(home(file, text, chunk.index, &document, plan));
            }
        }
    }
    let mut stopping = Stopping::default();
    for (plan, homes) in plans.iter().zip(homes) {
        let key = format!("{}/{}", plan.namespace, plan.name);
        match decide(plan, homes, own) {
            Ok(replacements) if replacements.is_empty() => stopping.stopped.push(key),
            Ok(replacements) => stopping.replacements.extend(replacements),
            Err(why) => stopping.refused.push(format!("{key}: {why}")),
        }
    }
    stopping.replacements.sort_by(|one, other| (&one.file, one.span).cmp(&(&other.file, other.span)));
    stopping.replacements.dedup();
    stopping
}

/// Where a document sets the concurrency of a Plan.
fn home(file: &str, text: &str, index: usize, document: &Document<'_>, plan: &Wanted) -> Option<Home> {
    let root = document.root()?;
    let at = |path: &[&str]| document.scalar_at(root, path);
    let of_plan = at(&["kind"]) == Some("Plan")
        && at(&["apiVersion"]).is_some_and(|version| version.starts_with("upgrade.cattle.io/"))
        && at(&["metadata", "name"]) == Some(&plan.name)
        // A kustomization.yaml or a variable may say the namespace.
        && at(&["metadata", "namespace"]).is_none_or(|namespace| namespace == plan.namespace || namespace.contains("${"));
    let node = document.at(root, &["spec", "concurrency"]).filter(|_| of_plan)?;
    let place = Lines::of(text).place(document.span(node).start);
    Some(Home { file: file.to_owned(), document: index, place, value: value(text, document, node) })
}

fn value(
    text: &str,
    document: &Document<'_>,
    node: NodeId,
) -> Result<(String, (usize, usize)), &'static str> {
    const SHARED: &str = "the value is shared through an anchor";
    let Some((written, style)) = document.literal(node) else { return Err(SHARED) };
    if document.pointer(node) != ROUTE || is_shared(document, node) {
        return Err(SHARED);
    }
    if written.contains("${") {
        return Err("a variable sets it");
    }
    let span = document.value_span(node).filter(|_| style == Style::Plain && written.parse::<i64>().is_ok());
    let span = span.ok_or("it is no number")?;
    let bytes = text.get(span.clone()).ok_or("it is no number")?;
    Ok((bytes.to_owned(), (span.start, span.end)))
}

/// Whether an alias stands for the node, or for something that holds it.
fn is_shared(document: &Document<'_>, node: NodeId) -> bool {
    let mut holders = vec![node];
    while let Some(parent) = holders.last().and_then(|last| document.parent(*last)) {
        holders.push(parent);
    }
    document.nodes().any(|id| document.resolve(id) != id && holders.contains(&document.resolve(id)))
}

/// What is to be replaced for one Plan: nothing where its concurrency is 0 already.
fn decide(plan: &Wanted, mut homes: Vec<Home>, own: &BTreeSet<String>) -> Result<Vec<Replacement>, String> {
    if homes.iter().any(|home| own.contains(&home.file)) {
        homes.retain(|home| own.contains(&home.file));
    } else if let [first, second, ..] = &homes[..] {
        return Err(format!(
            "its concurrency is written in {}:{} and in {}:{}, and it cannot be told which is meant",
            first.file, first.place.0, second.file, second.place.0
        ));
    }
    if homes.is_empty() {
        return Err("its concurrency is written nowhere in this repository, or by a patch".to_owned());
    }
    let mut replacements = Vec::new();
    let mut differs = None;
    for home in homes {
        let (line, column) = home.place;
        let (old, span) = home
            .value
            .map_err(|why| format!("its concurrency at {}:{line} cannot be changed: {why}", home.file))?;
        let number = old.parse::<i64>().ok();
        if number == Some(0) {
            continue;
        }
        if number != Some(plan.concurrency) {
            differs.get_or_insert(format!(
                "{}:{line} says concurrency {old}, and the cluster has {}: something else sets it",
                home.file, plan.concurrency
            ));
            continue;
        }
        replacements.push(Replacement {
            file: home.file,
            document: home.document,
            line,
            column,
            route: ROUTE.to_owned(),
            span,
            old,
            new: "0".to_owned(),
        });
    }
    match differs {
        // A base that says otherwise does not decide where an overlay of the update says what the cluster has.
        Some(why) if replacements.is_empty() => Err(why),
        _ => Ok(replacements),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::domain::edit::apply;

    const HEAD: &str =
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: server, namespace: system-upgrade}\n";

    fn wanted(concurrency: i64) -> [Wanted; 1] {
        [Wanted { namespace: "system-upgrade".to_owned(), name: "server".to_owned(), concurrency }]
    }

    fn stopping(files: &[(&str, &str)], own: &[&str], concurrency: i64) -> Stopping {
        let own = own.iter().map(|file| (*file).to_owned()).collect();
        stop(files.iter().copied(), &own, &wanted(concurrency))
    }

    /// The file afterwards, or why it stays.
    fn edited(text: &str) -> Result<String, String> {
        let found = stopping(&[("plan.yaml", text)], &[], 1);
        match &found.refused[..] {
            [] => {
                let bytes = apply("plan.yaml", text.as_bytes(), &found.replacements)
                    .map_err(|error| error.to_string())?;
                Ok(String::from_utf8(bytes).unwrap())
            }
            [why, ..] => Err(why.clone()),
        }
    }

    #[rstest]
    #[case::in_a_block(HEAD, "spec:\n  # one\n  concurrency: 1 # at a time\n  version: v1\n")]
    #[case::in_a_flow_mapping(HEAD, "spec: {version: v1, concurrency: 1, cordon: true}\n")]
    #[case::with_line_ends_of_windows(HEAD, "spec:\r\n  concurrency: 1\r\n  version: v1\r\n")]
    #[case::in_json(
        "",
        r#"{"apiVersion": "upgrade.cattle.io/v1", "kind": "Plan", "metadata": {"name": "server"}, "spec": {"version": "v1", "concurrency": 1}}"#
    )]
    #[case::anchored_and_used_by_nobody_else(HEAD, "spec:\n  concurrency: &c 1\n")]
    #[case::at_the_end_without_a_line_end(HEAD, "spec:\n  version: v1\n  concurrency: 1")]
    #[case::behind_other_documents(
        "---\nkind: ConfigMap\ndata: {concurrency: 1}\n---\napiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: agent}\nspec: {concurrency: 1}\n---\napiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {name: server}\n",
        "spec:\n  drain: {timeout: 1}\n  concurrency: 1\n"
    )]
    fn one_digit_changes(#[case] head: &str, #[case] spec: &str) {
        let text = format!("{head}{spec}");
        let place = text.len() - spec.len() + spec.rfind("concurrency").unwrap();
        let place = place + text[place..].find('1').unwrap();
        let mut expected = text.clone();
        expected.replace_range(place..=place, "0");
        assert_eq!(edited(&text), Ok(expected));
    }

    #[rstest]
    #[case::variable("spec: {concurrency: \"${AT_ONCE}\"}\n", "a variable sets it")]
    #[case::no_number("spec: {concurrency: one}\n", "it is no number")]
    #[case::quoted("spec: {concurrency: '1'}\n", "it is no number")]
    #[case::alias("x: &c 1\nspec: {concurrency: *c}\n", "shared through an anchor")]
    #[case::anchor_of_others("spec: {concurrency: &c 1, x: *c}\n", "shared through an anchor")]
    #[case::merge_key("x: &x {concurrency: 1}\nspec:\n  <<: *x\n", "shared through an anchor")]
    #[case::anchored_mapping("spec: &s {concurrency: 1}\nother: *s\n", "shared through an anchor")]
    #[case::another_number("spec: {concurrency: 2}\n", "the cluster has 1")]
    #[case::nowhere("spec: {version: v1} # concurrency\n", "written nowhere")]
    fn plan_that_cannot_be_stopped_in_git_is_said(#[case] spec: &str, #[case] expected: &str) {
        let why = edited(&format!("{HEAD}{spec}")).unwrap_err();
        assert!(why.starts_with("system-upgrade/server: ") && why.contains(expected), "{why}");
    }

    #[rstest]
    #[case::of_another_name(&HEAD.replace("server", "agent"))]
    #[case::of_another_namespace(&HEAD.replace("system-upgrade}", "other}"))]
    #[case::of_another_group(&HEAD.replace("upgrade.cattle.io", "example.com"))]
    #[case::of_another_kind(&HEAD.replace("Plan", "Planner"))]
    fn nothing_else_is_taken_for_the_plan(#[case] head: &str) {
        assert!(
            edited(&format!("{head}spec: {{concurrency: 1}}\n")).unwrap_err().contains("written nowhere")
        );
    }

    #[test]
    fn plan_that_is_stopped_already_is_not_changed() {
        let text = format!("{HEAD}spec: {{concurrency: 0}}\n");
        let found = stopping(&[("plan.yaml", &text)], &[], 1);
        assert_eq!((found.replacements.len(), found.stopped), (0, vec!["system-upgrade/server".to_owned()]));
    }

    #[test]
    fn of_several_places_those_of_the_update_decide() {
        let text = format!("{HEAD}spec: {{concurrency: 1}}\n");
        let files = [("live/plan.yaml", text.as_str()), ("test/plan.yaml", text.as_str())];
        let found = stopping(&files, &["live/plan.yaml"], 1);
        assert_eq!(
            found.replacements.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(),
            ["live/plan.yaml"]
        );
        let found = stopping(&files, &["other.yaml"], 1);
        assert!(found.refused[0].contains("live/plan.yaml:4 and in test/plan.yaml:4"), "{:?}", found.refused);
    }

    #[test]
    fn overlay_of_the_update_decides_over_its_base() {
        let (base, overlay) =
            (format!("{HEAD}spec: {{concurrency: 2}}\n"), format!("{HEAD}spec: {{concurrency: 1}}\n"));
        let files = [("base.yaml", base.as_str()), ("overlay.yaml", overlay.as_str())];
        let found = stopping(&files, &["base.yaml", "overlay.yaml"], 1);
        assert_eq!(
            found.replacements.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(),
            ["overlay.yaml"]
        );
    }

    proptest! {
        #[test]
        fn whatever_stands_around_it_only_the_number_changes(
            before in prop::collection::vec("[a-z]{1,6}: (true|[a-z]{1,8}|'[ -&(-~ü]{0,8}')( # [a-z ü]{0,9})?", 0..4),
            number in 1i64..1000,
            comment in "( #[ a-z0-9:]{0,12})?",
            line_end in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let mut lines: Vec<String> = HEAD.lines().map(str::to_owned).collect();
            lines.push("spec:".to_owned());
            lines.extend(before.iter().enumerate().map(|(at, line)| format!("  k{at}{line}")));
            lines.push(format!("  concurrency: {number}{comment}"));
            lines.push("  version: v1.36.3+k3s1".to_owned());
            let text = lines.join(line_end);
            let found = stopping(&[("plan.yaml", &text)], &[], number);
            prop_assert_eq!(&found.refused, &Vec::<String>::new());
            let bytes = apply("plan.yaml", text.as_bytes(), &found.replacements).unwrap();
            let expected = text.replacen(&format!("concurrency: {number}"), "concurrency: 0", 1);
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), expected.clone());
            let again = stopping(&[("plan.yaml", &expected)], &[], number);
            prop_assert!(again.replacements.is_empty() && again.refused.is_empty());
        }

        #[test]
        fn any_text_is_read_without_harm(text in "\\PC{0,200}") {
            let text = format!("{HEAD}concurrency\n{text}");
            stopping(&[("plan.yaml", &text)], &[], 1);
        }
    }
}
