//! Prometheus' text format (version 0.0.4 of "Exposition formats").

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Most samples of one metric: labels come from names in a repository.
const MOST_SAMPLES: usize = 500;
/// Most characters of the value of a label.
const LABEL: usize = 100;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// All metrics, each with its samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    families: Vec<Family>,
}

#[derive(Debug, Clone, PartialEq)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: BTreeMap<Vec<(&'static str, String)>, f64>,
}

impl Page {
    /// Adds a metric; its samples are added next.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &'static str) -> &mut Self {
        self.families.push(Family { name, help, kind, samples: BTreeMap::new() });
        self
    }

    /// Adds to the sample with these labels of the metric that was added last. Samples that are too many are left out.
    pub fn add(&mut self, labels: &[(&'static str, &str)], value: f64) -> &mut Self {
        if let Some(family) = self.families.last_mut() {
            let labels: Vec<(&'static str, String)> =
                labels.iter().map(|(name, value)| (*name, value.chars().take(LABEL).collect())).collect();
            let room = family.samples.len() < MOST_SAMPLES;
            match family.samples.get_mut(&labels) {
                Some(sample) => *sample += value,
                None if room => {
                    family.samples.insert(labels, value);
                }
                None => {}
            }
        }
        self
    }

    /// The page as text. Metrics without samples are left out.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for family in self.families.iter().filter(|family| !family.samples.is_empty()) {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
            };
            let _never_fails = write!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n",
                name = family.name,
                help = family.help.replace('\\', "\\\\").replace('\n', "\\n")
            )
            .is_ok();
            for (labels, value) in &family.samples {
                text.push_str(family.name);
                if !labels.is_empty() {
                    let pairs: Vec<String> =
                        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
                    text.push_str(&format!("{{{}}}", pairs.join(",")));
                }
                text.push_str(&format!(" {value}\n"));
            }
        }
        text
    }
}

/// The value of a label: backslash, quote and line end are escaped; other control characters say nothing.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            _ if letter.is_control() => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.metric("a_total", Kind::Counter, "How many.\nReally \\ many.")
            .add(&[("kind", "x\"y\\z\n\u{1b}")], 2.0)
            .add(&[("kind", "a")], 1.0)
            .add(&[("kind", "a")], 1.5);
        page.metric("empty", Kind::Gauge, "Nothing.");
        page.metric("plain", Kind::Gauge, "One.").add(&[], 1_790_000_000.25);
        insta::assert_snapshot!(page.text(), @r#"
        # HELP a_total How many.\nReally \\ many.
        # TYPE a_total counter
        a_total{kind="a"} 2.5
        a_total{kind="x\"y\\z\n "} 2
        # HELP plain One.
        # TYPE plain gauge
        plain 1790000000.25
        "#);
    }

    #[test]
    fn samples_are_bounded() {
        let mut page = Page::default();
        page.metric("a", Kind::Gauge, "x");
        for number in 0..10 * MOST_SAMPLES {
            page.add(&[("n", &number.to_string())], 1.0);
        }
        assert_eq!(page.text().lines().count(), MOST_SAMPLES + 2);
    }

    const HOSTILE: &str = "(\\PC|[\"\\\\\n\r{}])*";

    proptest::proptest! {
        #[test]
        fn no_value_of_a_label_begins_another_line(value in HOSTILE) {
            let mut page = Page::default();
            page.metric("a", Kind::Gauge, "x").add(&[("l", &value)], 1.0);
            let text = page.text();
            proptest::prop_assert_eq!(text.lines().count(), 3, "{}", text);
            let ends = text.ends_with("\"} 1\n");
            proptest::prop_assert!(ends);
        }
    }
}
