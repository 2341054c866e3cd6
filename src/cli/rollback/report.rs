//! What is said of going back: to the person who asked, and to those who review it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Return, RollbackArgs};
use crate::app::rollback::{Done, Edited, Plan};
use crate::cli::GlobalArgs;
use crate::cli::error::{CommandError, Outcome};
use crate::cli::form;
use crate::cli::markdown::folded;
use crate::domain::message::{asked_comment, left_comment, neutral};
use crate::repo::printable;

/// Longest sentence of a pull request, in characters.
const MAX_SENTENCE: usize = 1_000;
/// Lines of a list that are shown.
const SHOWN: usize = 50;

#[derive(Debug, Serialize)]
struct Told<'a> {
    schema: &'static str,
    dry_run: bool,
    components: Vec<Component<'a>>,
    notes: &'a [String],
    effects: Vec<String>,
    diff: &'a str,
    whole_files: &'a [String],
    left_alone: &'a [String],
    pull_request: Option<u64>,
    url: Option<&'a str>,
    commit: Option<String>,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    component: &'a str,
    from: &'a str,
    to: &'a str,
    update_id: Option<&'a str>,
}

pub(super) fn write(
    global: &GlobalArgs,
    args: &RollbackArgs,
    returns: &[Return<'_>],
    notes: &[String],
    edited: &Edited,
    done: &Done,
) -> Result<Outcome, CommandError> {
    let told = Told {
        schema: "gitops-updater/rollback/v1",
        dry_run: args.dry_run,
        components: returns
            .iter()
            .map(|one| Component {
                component: &one.component.id,
                from: &one.from,
                to: &one.to,
                update_id: one.update.map(|update| update.update_id.as_str()),
            })
            .collect(),
        notes,
        effects: done.effects.iter().map(ToString::to_string).collect(),
        diff: &edited.diff,
        whole_files: &edited.whole,
        left_alone: &edited.left_alone,
        pull_request: done.pull.as_ref().map(|pull| pull.number),
        url: done.pull.as_ref().map(|pull| pull.url.as_str()).filter(|url| !url.is_empty()),
        commit: done.commit.map(|commit| commit.to_string()),
    };
    form::write(global, &told, || text(&told))
}

fn text(told: &Told<'_>) -> String {
    let mut lines: Vec<String> = told
        .components
        .iter()
        .map(|one| folded(&format!("{} {} → {}", one.component, one.from, one.to), 0))
        .collect();
    lines.extend(told.notes.iter().map(|note| folded(&format!("mind: {note}"), 2)));
    lines.extend(told.whole_files.iter().map(|file| folded(&format!("whole file: {file}"), 2)));
    lines.extend(told.left_alone.iter().map(|place| folded(&format!("left alone: {place}"), 2)));
    match (told.effects.len(), told.dry_run) {
        // Only an open one is found.
        (0, _) if told.pull_request.is_some() => {
            lines.push("Nothing to do: it is proposed already, and waits to be merged.".to_owned());
        }
        (0, _) => lines.push("Nothing to do: it is done already.".to_owned()),
        (_, dry_run) => {
            lines.push(if dry_run { "Would:".to_owned() } else { "Did:".to_owned() });
            lines.extend(told.effects.iter().map(|effect| folded(effect, 2)));
        }
    }
    if let Some(number) = told.pull_request {
        let place = told.url.map(|url| format!(": {url}")).unwrap_or_default();
        lines.push(format!("Pull request #{number}{place}"));
    }
    let parts = lines.iter().flat_map(|line| line.split('\n'));
    let mut text: String = parts.map(|line| format!("{}\n", printable(line))).collect();
    if told.dry_run && !told.diff.is_empty() {
        text.push('\n');
        text.extend(told.diff.lines().map(|line| format!("{}\n", printable(line))));
    }
    text
}

/// The body of the pull request.
pub(super) fn body(
    plan: &Plan,
    returns: &[Return<'_>],
    notes: &[String],
    edited: &Edited,
    asked_at: Timestamp,
) -> String {
    let mut text = "Goes back, because a person asked for it:\n\n".to_owned();
    for one in returns.iter().take(SHOWN) {
        let (id, from, to) =
            (neutral::code(&one.component.id), neutral::code(&one.from), neutral::code(&one.to));
        text.push_str(&format!("- {id}: {from} → {to}\n"));
    }
    if returns.len() > SHOWN {
        text.push_str(&format!("- and {} more\n", returns.len() - SHOWN));
    }
    let mut list = |title: &str, lines: &mut dyn Iterator<Item = String>| {
        let lines: Vec<String> = lines.take(SHOWN).collect();
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n\n"));
            lines.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
        }
    };
    list("Take note:", &mut notes.iter().map(|note| neutral::prose(note, MAX_SENTENCE)));
    list(
        "These files come back whole, with everything that was changed in them since:",
        &mut edited.whole.iter().map(|file| neutral::code(file)),
    );
    list("Not changed:", &mut edited.left_alone.iter().map(|place| neutral::prose(place, MAX_SENTENCE)));
    let said = plan.message.lines().skip(2).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    text.push_str(&format!("\n{}\n", neutral::prose(&said, MAX_SENTENCE)));
    text.push_str(
        "\nThe versions that are left are in quarantine: they are not proposed again until a newer one appears, or a \
         person clears them.\n\n",
    );
    let left = plan.left.iter().map(|left| (left.component.as_str(), left.version.as_str()));
    text + &asked_comment(asked_at) + "\n" + &left_comment(left) + "\n"
}
