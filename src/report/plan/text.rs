//! The plan for a terminal: what can be done now first, with its diff; then what follows; then what is held and why.

use anstyle::{AnsiColor, Style};

use super::super::RenderOptions;
use super::super::clean::{self, fit, left, width};
use super::super::text::{BOLD, DIM, GREEN, RED, Screen, YELLOW};
use super::{facts, gathered, headline, place, problems};
use crate::domain::edit::first_lines;
use crate::domain::plan::{Held, PlanReport, RevertSafety, Step, Wave};

const PLAIN: Style = Style::new();
const CYAN: Style = AnsiColor::Cyan.on_default();
/// Columns of a component id before a step is written over two lines.
const ID: usize = 34;
/// Lines of the diff of a step.
const MOST_LINES: usize = 80;
/// The same with `-v`.
const MOST_LINES_VERBOSE: usize = 2_000;
/// Held components that are named on one line without `-v`.
const NAMED: usize = 4;

pub(super) fn render(plan: &PlanReport, options: &RenderOptions) -> String {
    let mut screen = Screen::new(options);
    let style = if plan.waves.is_empty() && plan.held.is_empty() { GREEN } else { BOLD };
    screen.wrapped(style, "", &format!("{}.", headline(plan)));
    let revision = plan.repository.revision.as_deref().map(short).unwrap_or_default();
    screen.wrapped(DIM, "", &format!("{}{revision}", plan.repository.path));
    let facts = facts(plan);
    if !facts.is_empty() {
        screen.wrapped(DIM, "", &facts.join(", "));
    }
    for wave in &plan.waves {
        show_wave(plan, wave, &mut screen);
    }
    if !plan.held.is_empty() {
        screen.heading(&format!("Held ({})", plan.held.len()));
        for (first, members) in gathered(&plan.held) {
            held(first, &members, &mut screen);
        }
    }
    let problems = problems(plan);
    if !problems.is_empty() {
        screen.heading(&format!("Problems ({})", problems.len()));
        for problem in problems {
            screen.wrapped(PLAIN, "  ", &format!("{}{}", place(problem), problem.message));
        }
    }
    screen.into_text()
}

fn short(revision: &str) -> String {
    let dirty = if revision.ends_with("-dirty") { "-dirty" } else { "" };
    let id: String = revision.chars().take(7).collect();
    format!(" at {id}{dirty}")
}

fn show_wave(plan: &PlanReport, wave: &Wave, screen: &mut Screen) {
    let after = match wave.number {
        1 => String::new(),
        number => format!(" · after wave {}", number - 1),
    };
    screen.heading(&format!("Wave {}{after}", wave.number));
    let columns = Columns::of(&wave.steps);
    for step in &wave.steps {
        show_step(plan, step, &columns, screen);
    }
}

struct Columns {
    id: usize,
    from: usize,
    to: usize,
}

impl Columns {
    fn of(steps: &[Step]) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        Self {
            id: widest(&mut steps.iter().map(|step| width(&step.component)).filter(|width| *width <= ID)),
            from: widest(&mut steps.iter().map(|step| width(&step.from))).min(20),
            to: widest(&mut steps.iter().map(|step| width(&step.to))).min(20),
        }
    }
}

fn show_step(plan: &PlanReport, step: &Step, columns: &Columns, screen: &mut Screen) {
    let (mark, style) = if step.next { ("▸ ", GREEN) } else { ("  ", PLAIN) };
    let id = clean::line(&step.component);
    let (from, to) = (clean::line(&step.from), clean::line(&step.to));
    let tail = format!("  {:<6} {}", step.update_type.as_str(), step.gate.as_str());
    let versions = columns.from + columns.to + 3 + width(&tail);
    if width(&id) <= columns.id && 2 + columns.id + 2 + versions <= screen.width {
        let id = left(&id, columns.id + 2);
        let to = left(&to, columns.to);
        let from = format!("{}{from}", " ".repeat(columns.from.saturating_sub(width(&from))));
        screen.line(&[(style, mark), (PLAIN, &id), (DIM, &from), (DIM, " → "), (BOLD, &to), (PLAIN, &tail)]);
    } else {
        screen.line(&[(style, mark), (PLAIN, &fit(&id, screen.width - 2))]);
        screen.line(&[(DIM, "    "), (DIM, &from), (DIM, " → "), (BOLD, &to), (PLAIN, &tail)]);
    }
    for reason in &step.reasons {
        screen.wrapped(DIM, "    ", reason);
    }
    let revert = match step.revert.safety {
        RevertSafety::Safe => None,
        RevertSafety::Conditional => Some((YELLOW, "revert is conditional: ")),
        RevertSafety::Unsafe => Some((RED, "cannot be reverted: ")),
    };
    if let Some((style, words)) = revert {
        screen.wrapped(style, "    ", &format!("{words}{}", step.revert.why));
    }
    if !step.next && !screen.verbose {
        return;
    }
    match plan.diffs.get(&step.id) {
        Some(diff) => {
            let most = if screen.verbose { MOST_LINES_VERBOSE } else { MOST_LINES };
            let (first, left) = first_lines(diff, most);
            first.lines().for_each(|line| diff_line(line, screen));
            if let Some(left) = left {
                screen.wrapped(DIM, "    ", &format!("{left}; `--format json` has more"));
            }
        }
        None => {
            for edit in &step.edits {
                let place = format!("{}:{}", edit.file, edit.line);
                screen.wrapped(PLAIN, "    at ", &format!("{place} {} → {}", edit.old, edit.new));
            }
        }
    }
}

/// A line of a unified diff. It is not wrapped and its blanks stay: what is cut off is no loss, what is moved is.
fn diff_line(line: &str, screen: &mut Screen) {
    let style = match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => DIM,
        Some(b'+') => GREEN,
        Some(b'-') => RED,
        Some(b'@') => CYAN,
        _ => DIM,
    };
    let shown: String = line
        .chars()
        .map(|letter| if letter == '\t' { ' ' } else { letter })
        .filter(|letter| !crate::domain::notes::is_unprintable(*letter))
        .collect();
    screen.line(&[(PLAIN, "    "), (style, &shown)]);
}

fn held(first: &Held, members: &[&Held], screen: &mut Screen) {
    let shown = if screen.verbose { members.len() } else { NAMED.min(members.len()) };
    let versions = |one: &Held| match (&one.from, &one.to) {
        (Some(from), Some(to)) => format!(" {from} → {to}"),
        (None, Some(to)) => format!(" → {to}"),
        _ => String::new(),
    };
    for one in &members[..shown] {
        screen.wrapped(PLAIN, "  ", &format!("{}{}", one.component, versions(one)));
    }
    if shown < members.len() {
        screen.wrapped(DIM, "  ", &format!("and {} more; -v lists them", members.len() - shown));
    }
    screen.wrapped(YELLOW, "    ", &format!("{}: {}", first.gate, first.reason));
    if let Some(constraint) =
        first.constraint.as_deref().filter(|constraint| !first.reason.contains(constraint))
    {
        screen.wrapped(DIM, "    ", constraint);
    }
    if let Some(by) = first.policy_applied.as_deref().filter(|_| screen.verbose) {
        screen.wrapped(DIM, "    ", &format!("decided by {by}"));
    }
}
