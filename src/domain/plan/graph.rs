//! What depends on what, and what each change can touch, as a graph for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::input::Dependency;
use super::{PlanReport, RevertSafety};
use crate::domain::component::bare_id;

/// Languages in which a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For Markdown: GitHub and others draw it.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// Components and what goes before what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Sorted by id.
    pub nodes: Vec<Node>,
    /// Sorted by where they come from.
    pub edges: Vec<Edge>,
}

/// A component that is changed, held, or touched by a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Component id.
    pub id: String,
    /// Where the campaign takes it: `1.3.2 → 1.4.4 → 1.5.5`; empty where it stays.
    pub versions: String,
    /// What its change can touch beside what depends on it.
    pub touches: Option<&'static str>,
    /// What happens to it.
    pub fate: Fate,
}

/// What happens to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is changed, and every change can be reverted.
    Changed,
    /// It is changed, and some change cannot simply be reverted.
    ChangedForGood,
    /// It is held where it is.
    Held,
    /// It depends on something that is changed.
    Touched,
}

/// Something comes before something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// What comes first.
    pub from: String,
    /// What comes after it.
    pub to: String,
    /// Whether a step of one needs a step of the other; else one depends on the other in the repository.
    pub step: bool,
}

/// Draws the components that a plan changes or holds, and everything that depends on what it changes.
pub fn graph(plan: &PlanReport, dependencies: &[Dependency]) -> Graph {
    let mut changed: BTreeMap<&str, (Vec<&str>, bool)> = BTreeMap::new();
    let mut component_of: BTreeMap<&str, &str> = BTreeMap::new();
    for step in plan.waves.iter().flat_map(|wave| &wave.steps) {
        component_of.insert(&step.id, &step.component);
        let (versions, safe) = changed.entry(&step.component).or_insert_with(|| (vec![&step.from], true));
        versions.push(&step.to);
        *safe &= step.revert.safety == RevertSafety::Safe;
    }
    let held: BTreeSet<&str> = plan.held.iter().map(|held| held.component.as_str()).collect();
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for dependency in dependencies {
        users.entry(&dependency.to).or_default().insert(&dependency.from);
    }
    let mut touched: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = changed.keys().copied().collect();
    while let Some(id) = open.pop() {
        open.extend(users.get(id).into_iter().flatten().filter(|user| touched.insert(user)));
    }
    let ids: BTreeSet<&str> =
        changed.keys().copied().chain(held.iter().copied()).chain(touched.iter().copied()).collect();
    let nodes = ids.iter().map(|id| {
        let (versions, fate) = match changed.get(id) {
            Some((versions, true)) => (versions.join(" → "), Fate::Changed),
            Some((versions, false)) => (versions.join(" → "), Fate::ChangedForGood),
            None if held.contains(id) => (String::new(), Fate::Held),
            None => (String::new(), Fate::Touched),
        };
        let touches = changed.contains_key(id).then(|| touches(id)).flatten();
        Node { id: (*id).to_owned(), versions, touches, fate }
    });
    let mut edges: BTreeSet<Edge> = BTreeSet::new();
    let edge = |from: &str, to: &str, step| Edge { from: from.to_owned(), to: to.to_owned(), step };
    for step in plan.waves.iter().flat_map(|wave| &wave.steps) {
        let firsts = step.requires.iter().filter_map(|id| component_of.get(id.as_str()));
        edges.extend(
            firsts.filter(|first| **first != step.component).map(|first| edge(first, &step.component, true)),
        );
    }
    for Dependency { from, to, .. } in dependencies {
        let known = ids.contains(from.as_str()) && ids.contains(to.as_str());
        if known && from != to && !edges.contains(&edge(to, from, true)) {
            edges.insert(edge(to, from, false));
        }
    }
    Graph { nodes: nodes.collect(), edges: edges.into_iter().collect() }
}

/// What everything in the cluster stands on.
fn touches(id: &str) -> Option<&'static str> {
    match bare_id(id) {
        "k3s" => Some("every node"),
        "flux" => Some("everything that Flux applies"),
        "longhorn" => Some("every volume"),
        _ => None,
    }
}

impl Graph {
    /// Writes the graph in one of the languages. Ids and versions come from repositories: nothing in them is taken
    /// for the language.
    pub fn write(&self, format: GraphFormat) -> String {
        match format {
            GraphFormat::Mermaid => self.mermaid(),
            GraphFormat::Dot => self.dot(),
        }
    }

    fn lines(node: &Node) -> Vec<String> {
        let mut lines = vec![node.id.clone()];
        if !node.versions.is_empty() {
            lines.push(node.versions.clone());
        }
        lines.extend(node.touches.map(|touches| format!("touches {touches}")));
        lines
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.id.as_str().cmp(id)).ok()
    }

    fn mermaid(&self) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let lines: Vec<String> = Self::lines(node).iter().map(|line| entities(line)).collect();
            put(&mut text, format_args!("  n{at}[\"{}\"]:::{}\n", lines.join("<br/>"), node.fate.word()));
        }
        for edge in &self.edges {
            if let (Some(from), Some(to)) = (self.place(&edge.from), self.place(&edge.to)) {
                let arrow = if edge.step { "==>" } else { "-->" };
                put(&mut text, format_args!("  n{from} {arrow} n{to}\n"));
            }
        }
        for (fate, style) in [
            (Fate::Changed, "fill:#dfd,stroke:#2a2"),
            (Fate::ChangedForGood, "fill:#fec,stroke:#c80"),
            (Fate::Held, "fill:#eee,stroke:#888,stroke-dasharray:4"),
            (Fate::Touched, "fill:#fff,stroke:#aaa"),
        ] {
            put(&mut text, format_args!("  classDef {} {style},color:#000\n", fate.word()));
        }
        text
    }

    fn dot(&self) -> String {
        let mut text =
            "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let lines: Vec<String> = Self::lines(node).iter().map(|line| quoted(line)).collect();
            let style = match node.fate {
                Fate::Changed => "style=filled, fillcolor=\"#ddffdd\"",
                Fate::ChangedForGood => "style=filled, fillcolor=\"#ffeecc\"",
                Fate::Held => "style=\"filled,dashed\", fillcolor=\"#eeeeee\"",
                Fate::Touched => "color=\"#aaaaaa\"",
            };
            put(&mut text, format_args!("  n{at} [label=\"{}\", {style}];\n", lines.join("\\n")));
        }
        for edge in &self.edges {
            if let (Some(from), Some(to)) = (self.place(&edge.from), self.place(&edge.to)) {
                let style = if edge.step { " [penwidth=2]" } else { "" };
                put(&mut text, format_args!("  n{from} -> n{to}{style};\n"));
            }
        }
        text.push_str("}\n");
        text
    }
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::ChangedForGood => "forgood",
            Self::Held => "held",
            Self::Touched => "touched",
        }
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    text.write_fmt(line).unwrap_or_default();
}

/// Letters that neither Mermaid nor HTML read as anything else; all others by their number.
fn entities(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || " .-_/:@+→".contains(letter);
    let each = text
        .chars()
        .map(|letter| if plain(letter) { letter.to_string() } else { format!("#{};", u32::from(letter)) });
    each.collect()
}

/// The inside of a quoted string of DOT.
fn quoted(text: &str) -> String {
    let each = text.chars().map(|letter| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => " ".to_owned(),
        letter => letter.to_string(),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::Small;
    use crate::domain::plan::{Plan, SCHEMA};
    use crate::domain::report::Repository;

    fn report(plan: Plan) -> PlanReport {
        PlanReport {
            schema: SCHEMA.to_owned(),
            repository: Repository { path: ".".to_owned(), revision: None },
            now: jiff::Timestamp::UNIX_EPOCH,
            facts: plan.facts,
            waves: plan.waves,
            held: plan.held,
            diffs: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    fn small() -> Graph {
        let world = Small::new()
            .k3s("v1.24.6+k3s1", &["v1.25.16+k3s4"])
            .longhorn("1.3.2", &["1.4.4"])
            .chart("app", "1.0.0", &["1.1.0"])
            .chart("user", "1.0.0", &[])
            .chart("other", "1.0.0", &[])
            .depends("helm/apps/user", "helm/apps/app")
            .chart("late", "1.0.0", &["1.1.0"])
            .policy("helm/apps/late", "1.1.0", Err("denied"));
        graph(&report(world.plan()), &world.dependencies)
    }

    #[test]
    fn what_changes_and_what_it_touches_is_drawn() {
        insta::assert_snapshot!(small().write(GraphFormat::Mermaid), @r#"
        flowchart LR
          n0["helm/apps/app<br/>1.0.0 → 1.1.0"]:::changed
          n1["helm/apps/late"]:::held
          n2["helm/apps/user"]:::touched
          n3["k3s<br/>v1.24.6+k3s1 → v1.25.16+k3s4<br/>touches every node"]:::forgood
          n4["longhorn<br/>1.3.2 → 1.4.4<br/>touches every volume"]:::forgood
          n0 --> n2
          n4 ==> n3
          classDef changed fill:#dfd,stroke:#2a2,color:#000
          classDef forgood fill:#fec,stroke:#c80,color:#000
          classDef held fill:#eee,stroke:#888,stroke-dasharray:4,color:#000
          classDef touched fill:#fff,stroke:#aaa,color:#000
        "#);
        insta::assert_snapshot!(small().write(GraphFormat::Dot), @r##"
        digraph plan {
          rankdir=LR;
          node [shape=box, fontname="sans-serif"];
          n0 [label="helm/apps/app\n1.0.0 → 1.1.0", style=filled, fillcolor="#ddffdd"];
          n1 [label="helm/apps/late", style="filled,dashed", fillcolor="#eeeeee"];
          n2 [label="helm/apps/user", color="#aaaaaa"];
          n3 [label="k3s\nv1.24.6+k3s1 → v1.25.16+k3s4\ntouches every node", style=filled, fillcolor="#ffeecc"];
          n4 [label="longhorn\n1.3.2 → 1.4.4\ntouches every volume", style=filled, fillcolor="#ffeecc"];
          n0 -> n2;
          n4 -> n3 [penwidth=2];
        }
        "##);
    }

    #[test]
    fn names_of_a_repository_are_not_taken_for_the_language() {
        let node =
            |id: &str| Node { id: id.to_owned(), versions: String::new(), touches: None, fate: Fate::Held };
        let graph = Graph { nodes: vec![node("a\"]; click x\n%% <b>\\")], edges: Vec::new() };
        let mermaid = graph.write(GraphFormat::Mermaid);
        assert!(
            mermaid.contains("n0[\"a#34;#93;#59; click x#10;#37;#37; #60;b#62;#92;\"]:::held"),
            "{mermaid}"
        );
        let dot = graph.write(GraphFormat::Dot);
        assert!(dot.contains(r#"n0 [label="a\"]; click x %% <b>\\", "#), "{dot}");
    }

    #[test]
    fn nothing_makes_an_empty_graph() {
        assert_eq!(graph(&report(Plan::default()), &[]), Graph::default());
    }
}
