use serde_json::Value;

use super::*;
use crate::domain::notes::is_unprintable;
use crate::domain::problem::Category;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/plan.v1.json");

fn options() -> RenderOptions {
    RenderOptions::new("2026-11-21T12:00:00Z".parse().unwrap())
}

fn rendered(plan: &PlanReport, format: PlanFormat) -> String {
    render(plan, format, &options()).unwrap()
}

#[test]
fn campaign_on_a_terminal() {
    insta::assert_snapshot!(rendered(&samples::campaign(), PlanFormat::Text));
}

#[test]
fn campaign_on_a_terminal_with_everything() {
    let verbose = RenderOptions { verbose: true, ..options() };
    insta::assert_snapshot!(render(&samples::campaign(), PlanFormat::Text, &verbose).unwrap());
}

#[test]
fn campaign_as_markdown() {
    insta::assert_snapshot!(rendered(&samples::campaign(), PlanFormat::Markdown { limit: usize::MAX }));
}

/// An upstream that does not answer was counted twice: as what holds its components, and as a problem.
#[test]
fn problem_that_only_repeats_why_something_is_held_is_told_once() {
    let mut plan = samples::campaign();
    plan.problems.push(Problem {
        category: Category::Upstream,
        file: None,
        line: None,
        upstream: Some("https://charts.example.org".to_owned()),
        message: plan.held[0].reason.clone(),
    });
    for format in [PlanFormat::Text, PlanFormat::Markdown { limit: usize::MAX }] {
        let text = rendered(&plan, format);
        assert!(text.contains("Problems (1)"), "{text}");
        assert_eq!(text.matches(plan.held[0].reason.as_str()).count(), 1, "{text}");
    }
    plan.problems[1].message = "something else".to_owned();
    assert!(rendered(&plan, PlanFormat::Text).contains("Problems (2)"));
}

#[test]
fn nothing_to_do_is_one_sentence() {
    let text = rendered(&samples::empty(), PlanFormat::Text);
    assert_eq!(text, "Nothing to do: no component has a newer version.\n. at 3f2c1ab\n");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 120] {
        let text =
            render(&samples::campaign(), PlanFormat::Text, &RenderOptions { width, ..options() }).unwrap();
        for line in text.lines() {
            assert!(super::super::clean::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn colours_change_no_letter() {
    let plain = rendered(&samples::campaign(), PlanFormat::Text);
    let painted =
        render(&samples::campaign(), PlanFormat::Text, &RenderOptions { color: true, ..options() }).unwrap();
    assert!(painted.contains("\u{1b}[32m"), "additions are green");
    assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
}

#[test]
fn nothing_of_a_manifest_reaches_the_terminal_as_a_command() {
    for format in [PlanFormat::Text, PlanFormat::Json, PlanFormat::Yaml] {
        let text = rendered(&samples::campaign(), format);
        assert!(!text.chars().any(|letter| letter != '\n' && is_unprintable(letter)), "{format:?}");
    }
}

#[test]
fn markdown_holds_no_mention_reference_or_element_of_strangers() {
    let text = rendered(&samples::campaign(), PlanFormat::Markdown { limit: usize::MAX });
    assert!(text.contains("`@everyone/#1 <b>`"), "{text}");
    assert!(text.contains("````diff"), "a fence is longer than those inside it");
}

#[test]
fn markdown_keeps_its_limit_and_says_so() {
    let all = rendered(&samples::campaign(), PlanFormat::Markdown { limit: usize::MAX });
    let limit = all.len() - 10;
    let short = rendered(&samples::campaign(), PlanFormat::Markdown { limit });
    assert!(short.len() <= limit && short.contains("Shortened"), "{short}");
}

/// A plan whose diff is that of a file of twelve thousand lines.
fn long() -> PlanReport {
    let mut plan = samples::campaign();
    let [before, after] = [0, 1].map(|bump| {
        let line =
            |at: usize| format!("  line-{at}: {}\n", if at.is_multiple_of(20) { at + bump } else { at });
        (0..12_000).map(line).collect::<String>()
    });
    let diff = crate::domain::edit::Diff::of("clusters/home/gotk-components.yaml", &before, &after);
    let id = plan.waves[0].steps[0].id.clone();
    plan.diffs.insert(id, diff.to_string());
    plan
}

#[test]
fn long_diff_does_not_flood_a_terminal() {
    let plan = long();
    let lines = |verbose: bool, width: usize| {
        let text = render(&plan, PlanFormat::Text, &RenderOptions { verbose, width, ..options() }).unwrap();
        assert!(text.lines().all(|line| super::super::clean::width(line) <= width), "{text}");
        assert!(text.contains(" more lines in "), "{text}");
        text.lines().count()
    };
    let rest = |verbose: bool| {
        let options = RenderOptions { verbose, ..options() };
        render(&samples::campaign(), PlanFormat::Text, &options).unwrap().lines().count()
    };
    // The place of the version gives way to the diff, and the note may take two lines.
    assert!((80..=82).contains(&(lines(false, 80) - rest(false))), "{} {}", lines(false, 80), rest(false));
    assert!((2_000..=2_002).contains(&(lines(true, 80) - rest(true))));
    assert!(lines(false, 60) < 200);
    let text = rendered(&plan, PlanFormat::Text);
    assert!(text.contains("    … and 5320 more lines in 592 hunks; `--format json` has more\n"), "{text}");
}

#[test]
fn long_diff_in_markdown_takes_the_room_that_there_is() {
    let plan = long();
    let all = rendered(&plan, PlanFormat::Markdown { limit: usize::MAX });
    assert!(all.contains("\n… and 5000 more lines in "), "{all}");
    assert!(all.lines().count() < 520, "{all}");
    let mut shown = Vec::new();
    for limit in [all.len() + 600, all.len(), all.len() / 3, all.len() / 5] {
        let text = rendered(&plan, PlanFormat::Markdown { limit });
        assert!(text.len() <= limit, "{limit}");
        shown.push(text.matches("\n+  line-").count());
    }
    assert!(shown.is_sorted_by(|more, less| more >= less) && shown[0] > shown[3], "{shown:?}");
}

#[test]
fn json_and_yaml_are_the_plan_and_match_the_schema() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for plan in [samples::empty(), samples::campaign()] {
        let json: Value = serde_json::from_str(&rendered(&plan, PlanFormat::Json)).unwrap();
        let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(serde_json::from_value::<PlanReport>(json.clone()).unwrap(), plan);
        assert_eq!(serde_yaml::from_str::<Value>(&rendered(&plan, PlanFormat::Yaml)).unwrap(), json);
    }
}

#[test]
fn committed_schema_is_the_one_of_the_code() {
    assert!(
        std::fs::read_to_string(COMMITTED).unwrap_or_default() == schema(),
        "schema/plan.v1.json is out of date: run \
         `cargo test --lib report::plan::tests::schema_is_written -- --ignored`"
    );
}

#[test]
#[ignore = "writes schema/plan.v1.json"]
fn schema_is_written() {
    std::fs::write(COMMITTED, schema()).unwrap();
}
