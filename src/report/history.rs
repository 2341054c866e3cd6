//! The history of updates in every format.

use minijinja::{Environment, UndefinedBehavior, value::Serde};

use super::{Error, Format, RenderOptions, clean, xml, yaml};
use crate::domain::history::{Document, Entry};
use crate::domain::message::neutral;
use crate::domain::state::Stage;

const TEMPLATE: &str = include_str!("templates/history.html");

const HEADER: [&str; 21] = [
    "update_id",
    "campaign",
    "component",
    "from",
    "to",
    "update_type",
    "status",
    "stage",
    "started_at",
    "merged_at",
    "changed_at",
    "seconds_to_verify",
    "pull_request",
    "merge_commit",
    "revert_commit",
    "backup_id",
    "verdict",
    "verified_by",
    "reason",
    "reverted_at",
    "healthy_again_at",
];

/// The history in a format.
///
/// # Errors
///
/// It cannot be written in that format.
pub fn render(document: &Document, format: Format, options: &RenderOptions) -> Result<String, Error> {
    match format {
        Format::Text => Ok(text(document, options)),
        Format::Json => Ok(serde_json::to_string_pretty(document)? + "\n"),
        Format::Yaml => Ok(yaml::render(&serde_json::to_value(document)?)),
        Format::Csv => csv(document),
        Format::Xml => xml::document("update_history", &serde_json::to_value(&document.update_history)?),
        Format::Html => html(document),
        Format::Markdown | Format::StepSummary => Ok(markdown(document)),
    }
}

/// The JSON Schema of the history.
pub fn schema() -> String {
    let schema = schemars::schema_for!(Document).to_value();
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// One line about the whole.
fn headline(document: &Document) -> String {
    let summary = &document.update_history.summary;
    let counts: Vec<String> = summary
        .by_status
        .iter()
        .map(|(status, count)| format!("{count} {}", status.replace('_', " ")))
        .collect();
    let plural = if summary.updates == 1 { "" } else { "s" };
    let mut line = format!("{} update{plural}", summary.updates);
    if !counts.is_empty() {
        line.push_str(&format!(": {}", counts.join(", ")));
    }
    if let Some(rate) = summary.success_rate {
        line.push_str(&format!("; {:.0} % of those that are over went well", rate * 100.0));
    }
    line
}

fn text(document: &Document, options: &RenderOptions) -> String {
    let mut lines = Vec::new();
    let mut put = |indent: usize, text: &str| {
        let width = options.width.saturating_sub(indent).max(20);
        if text.is_empty() {
            lines.push(String::new());
        }
        let wrapped = clean::wrap(&clean::line(text), width).into_iter();
        lines.extend(wrapped.map(|line| format!("{}{line}", " ".repeat(indent))));
    };
    put(0, &headline(document));
    for update in &document.update_history.updates {
        put(0, "");
        let number = update.pull_request.map(|number| format!(" #{number}")).unwrap_or_default();
        put(0, &format!("{} {} → {}{number}", update.component, update.from, update.to));
        put(2, &standing(update));
        put(2, &update.update_id);
        for said in [update.verified_by.as_ref().map(|by| verified(update, by)), update.reason.clone()] {
            said.into_iter().for_each(|said| put(2, &said));
        }
    }
    lines.join("\n") + "\n"
}

/// Where it is in its life, since when, and what was said of it as far as that stands.
fn standing(update: &Entry) -> String {
    let (since, said) = match (update.reverted_at.filter(|_| update.stage == Stage::Reverted), update.verdict)
    {
        (Some(at), _) => {
            let again = update.healthy_again_at.map(|at| format!(", healthy again since {at}"));
            (at, again.unwrap_or_default())
        }
        (None, verdict) => {
            (update.changed_at, verdict.map(|verdict| format!(", {}", word(verdict))).unwrap_or_default())
        }
    };
    format!("{} since {since}{said}", word(update.stage))
}

/// Who said that it is verified, or that it was before it was taken back.
fn verified(update: &Entry, by: &str) -> String {
    match update.stage {
        Stage::Reverted => format!("had been verified: {by}"),
        _ => by.to_owned(),
    }
}

fn csv(document: &Document) -> Result<String, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for update in &document.update_history.updates {
        writer.write_record(row(update))?;
    }
    writer.flush().map_err(csv::Error::from)?;
    let bytes =
        writer.into_inner().map_err(|failed| csv::Error::from(std::io::Error::other(failed.to_string())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn row(update: &Entry) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells = [
        update.update_id.clone(),
        update.campaign.clone(),
        update.component.clone(),
        update.from.clone(),
        update.to.clone(),
        word(update.update_type),
        word(update.status),
        word(update.stage),
        update.started_at.to_string(),
        update.merged_at.map(|at| at.to_string()).unwrap_or_default(),
        update.changed_at.to_string(),
        update.seconds_to_verify.map(|seconds| seconds.to_string()).unwrap_or_default(),
        update.pull_request.map(|number| number.to_string()).unwrap_or_default(),
        text(&update.merge_commit),
        text(&update.revert_commit),
        text(&update.backup_id),
        update.verdict.map(word).unwrap_or_default(),
        text(&update.verified_by),
        text(&update.reason),
        update.reverted_at.map(|at| at.to_string()).unwrap_or_default(),
        update.healthy_again_at.map(|at| at.to_string()).unwrap_or_default(),
    ];
    cells.iter().map(|cell| super::table::guarded(cell)).collect()
}

fn markdown(document: &Document) -> String {
    let mut text = format!("## Update history\n\n{}\n", headline(document));
    if document.update_history.updates.is_empty() {
        return text;
    }
    text.push_str("\n| component | from | to | stage | since | why |\n|---|---|---|---|---|---|\n");
    for update in &document.update_history.updates {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            neutral::code(&update.component),
            neutral::code(&update.from),
            neutral::code(&update.to),
            word(update.stage),
            update.changed_at,
            neutral::prose(update.reason.as_deref().unwrap_or_default(), 200).replace('|', "\\|"),
        ));
    }
    text
}

fn html(document: &Document) -> Result<String, Error> {
    // The name ends with `.html`: every value is escaped.
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("history.html", TEMPLATE)?;
    let template = environment.get_template("history.html")?;
    let page = minijinja::context! {
        headline => headline(document),
        history => Serde(harmless(serde_json::to_value(&document.update_history)?)),
    };
    Ok(template.render(page)?)
}

/// Every text on one line, without what a terminal or a runner acts upon.
fn harmless(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(clean::line(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(harmless).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, harmless(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::domain::state::State;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/history.v1.json");
    const EVIL: &str = "=cmd()|<script>alert(1)</script>\u{1b}[31m\n::error::x";

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn document() -> Document {
        let update = |number: u32, stage: &str, status: &str| {
            json!({
                "update_id": format!("update-20261121-10000{number}"), "status": status, "stage": stage,
                "started_at": format!("2026-11-21T10:00:0{number}Z"), "changed_at": "2026-11-21T11:00:00Z",
                "campaign": "campaign-1", "component": "helm/apps/podinfo", "from": "6.7.0", "to": "6.7.1",
                "update_type": "patch", "gate": "review", "policy_applied": "policy.semver_gates.patch",
                "revert": {"safety": "safe", "why": ""}, "backup_id": null, "branch": "b", "base": null,
                "head": null, "pull_request": 7, "merge_commit": "0123456789abcdef0123456789abcdef01234567",
                "merged_at": "2026-11-21T10:30:00Z", "current_phase": null, "completed_phases": [],
                "reason": (status == "held").then_some(EVIL),
            })
        };
        let mut state = State::default();
        for (number, stage, status) in
            [(2, "held", "held"), (1, "verified", "completed"), (3, "proposed", "in_progress")]
        {
            let update: crate::domain::state::Update =
                serde_json::from_value(update(number, stage, status)).unwrap();
            state.updates.insert(update.update_id.clone(), update);
        }
        Document::of(&state, None, None, &|_| true, now())
    }

    fn rendered(format: Format) -> String {
        render(&document(), format, &RenderOptions::new(now())).unwrap()
    }

    #[test]
    fn text_tells_each_update_and_the_whole() {
        insta::assert_snapshot!(rendered(Format::Text), @r"
        3 updates: 1 completed, 1 held, 1 in progress; 50 % of those that are over went
        well

        helm/apps/podinfo 6.7.0 → 6.7.1 #7
          verified since 2026-11-21T11:00:00Z
          update-20261121-100001

        helm/apps/podinfo 6.7.0 → 6.7.1 #7
          held since 2026-11-21T11:00:00Z
          update-20261121-100002
          =cmd()|<script>alert(1)</script> ::error::x

        helm/apps/podinfo 6.7.0 → 6.7.1 #7
          proposed since 2026-11-21T11:00:00Z
          update-20261121-100003
        ");
    }

    /// The verdict from before was told as if it stood.
    #[test]
    fn what_was_taken_back_is_told_with_who_did_it_and_when_and_without_its_old_verdict() {
        let mut update: crate::domain::state::Update = serde_json::from_value(json!({
            "update_id": "update-1", "status": "reverted", "stage": "reverted",
            "started_at": "2026-11-21T10:00:00Z", "changed_at": "2026-11-21T11:30:00Z", "campaign": "c",
            "component": "helm/apps/podinfo", "from": "6.7.0", "to": "6.7.1", "update_type": "patch", "gate": "review",
            "policy_applied": "p", "revert": {"safety": "safe", "why": ""}, "backup_id": null, "branch": "b",
            "base": null, "head": null, "pull_request": 7, "merge_commit": null,
            "merged_at": "2026-11-21T10:30:00Z", "current_phase": null, "completed_phases": ["verification"],
            "reason": "rolled back by Jane: orders fail", "verified_by": "the cluster: all is well",
            "settling": {"verdict": "healthy"},
        }))
        .unwrap();
        let told = |update: &crate::domain::state::Update| {
            let updates = [(update.update_id.clone(), update.clone())].into();
            Document::of(&State { updates, ..State::default() }, None, None, &|_| true, now())
        };
        let text = |update: &crate::domain::state::Update| {
            render(&told(update), Format::Text, &RenderOptions::new(now())).unwrap()
        };
        insta::assert_snapshot!(text(&update), @r"
        1 update: 1 reverted; 0 % of those that are over went well

        helm/apps/podinfo 6.7.0 → 6.7.1 #7
          reverted since 2026-11-21T11:30:00Z
          update-1
          had been verified: the cluster: all is well
          rolled back by Jane: orders fail
        ");
        assert_eq!(told(&update).update_history.updates[0].verdict, None);
        let page = render(&told(&update), Format::Html, &RenderOptions::new(now())).unwrap();
        assert!(page.contains("had been verified: the cluster") && !page.contains("· healthy"), "{page}");
        // What the bot reverted is healthy again without it.
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut reversal =
            crate::domain::settle::record::Reversal::decided(at("2026-11-21T11:00:00Z"), "it failed");
        (reversal.commit, reversal.made_at) = (Some("0".repeat(40)), Some(at("2026-11-21T11:01:00Z")));
        reversal.back_at = Some(at("2026-11-21T11:30:00Z"));
        update.settling.reversal = Some(reversal);
        let again = "reverted since 2026-11-21T11:01:00Z, healthy again since 2026-11-21T11:30:00Z\n";
        assert!(text(&update).contains(again), "{}", text(&update));
        update.settling.verdict = Some(crate::domain::settle::verdict::Verdict::Regressed);
        assert!(told(&update).update_history.updates[0].verdict.is_some());
    }

    #[test]
    fn page_tells_who_verified_what_and_by_which_pull_request() {
        let mut document = document();
        document.update_history.updates[0].verified_by = Some("accepted by <Jane>".to_owned());
        let page = render(&document, Format::Html, &RenderOptions::new(now())).unwrap();
        assert!(page.contains("accepted by &lt;Jane&gt;") && page.contains("#7"), "{page}");
        assert!(page.contains("update-20261121-100002") && !page.contains("<table"), "{page}");
    }

    #[test]
    fn only_updates_that_began_later_are_told() {
        let mut state = State::default();
        for entry in document().update_history.updates {
            let mut update: crate::domain::state::Update = serde_json::from_value(json!({
                "update_id": entry.update_id, "status": entry.status, "stage": entry.stage,
                "started_at": entry.started_at, "changed_at": entry.changed_at, "campaign": "c", "component": "k3s",
                "from": "1", "to": "2", "update_type": "patch", "gate": "review", "policy_applied": "p",
                "revert": {"safety": "safe", "why": ""}, "backup_id": null, "branch": "b", "base": null,
                "head": null, "pull_request": null, "merge_commit": null, "merged_at": null,
                "current_phase": null, "completed_phases": [], "reason": null,
            }))
            .unwrap();
            update.component = format!("{}{}", update.component, state.updates.len());
            state.updates.insert(update.update_id.clone(), update);
        }
        let since = "2026-11-21T10:00:02Z".parse().unwrap();
        let told = Document::of(&state, None, Some(since), &|update| update.component != "k3s2", now());
        let ids: Vec<&str> =
            told.update_history.updates.iter().map(|update| update.component.as_str()).collect();
        assert_eq!(ids, ["k3s1"]);
    }

    #[test]
    fn strangers_text_does_nothing_in_any_format() {
        for format in [Format::Text, Format::Csv, Format::Html, Format::Xml, Format::Markdown] {
            let text = rendered(format);
            assert!(!text.contains("<script>") || matches!(format, Format::Text | Format::Csv), "{text}");
            assert!(!text.contains('\u{1b}'), "{format:?}: {text}");
            // XML keeps the lines of a text; what goes to a runner is made harmless on its way out.
            let commands = text.lines().any(|line| line.starts_with("::"));
            assert!(!commands || format == Format::Xml, "{format:?}: {text}");
        }
        let cells = rendered(Format::Csv);
        assert!(!cells.contains(",=cmd") && !cells.contains("\"=cmd"), "{cells}");
    }

    #[test]
    fn json_is_what_the_schema_says() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&rendered(Format::Json)).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(value["update_history"]["summary"]["success_rate"], 0.5);
        assert_eq!(value["update_history"]["updates"][0]["seconds_to_verify"], 1800);
    }

    #[test]
    fn schema_is_the_committed_one() {
        assert!(
            std::fs::read_to_string(COMMITTED).unwrap_or_default() == schema(),
            "schema/history.v1.json is out of date: run \
             `cargo test --lib report::history::tests::schema_is_written -- --ignored`"
        );
    }

    #[test]
    #[ignore = "writes schema/history.v1.json"]
    fn schema_is_written() {
        std::fs::write(COMMITTED, schema()).unwrap();
    }
}
