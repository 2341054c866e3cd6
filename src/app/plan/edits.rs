//! The bytes that the steps of a plan change, and the files that are made anew for them.

use std::collections::BTreeMap;

use super::{Planning, Refusal, Survey, candidate_of};
use crate::domain::component::Component;
use crate::domain::edit::{self, Changes, Diff, Draft, EditError, Generated, Ranges};
use crate::domain::gotk::patches::{self, PatchShift};
use crate::domain::plan::{EditEntry, Plan, Step};
use crate::domain::policy::RangeEdits;
use crate::domain::upstream::Candidate;
use crate::repo;

/// The bytes of all steps, made one after the other on drafts of the files.
pub(super) struct Edits<'a> {
    survey: &'a Survey,
    planning: &'a Planning<'a>,
    drafts: BTreeMap<String, Draft>,
    /// Components as Git will have them after the steps so far, with the published version they are at.
    moved: BTreeMap<String, (Component, Option<Candidate>)>,
    made: Made,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Made {
    pub(super) changes: BTreeMap<String, Changes>,
    pub(super) diffs: BTreeMap<String, String>,
}

impl<'a> Edits<'a> {
    pub(super) fn make(
        mut plan: Plan,
        survey: &'a Survey,
        planning: &'a Planning<'a>,
    ) -> Result<(Plan, Made), Refusal> {
        let mut edits =
            Self { survey, planning, drafts: BTreeMap::new(), moved: BTreeMap::new(), made: Made::default() };
        for step in plan.waves.iter_mut().flat_map(|wave| &mut wave.steps) {
            edits.step(step).map_err(|error| {
                let target = survey.subject(&step.component).and_then(|subject| candidate_of(subject, step));
                let wanting = match &error {
                    EditError::Digest { .. } => target.filter(|target| target.digest.is_none()),
                    _ => None,
                };
                Refusal {
                    component: step.component.clone(),
                    gate: "edit",
                    reason: error.to_string(),
                    wanting: wanting.map(|target| target.version.clone()),
                }
            })?;
        }
        Ok((plan, edits.made))
    }

    fn step(&mut self, step: &mut Step) -> Result<(), EditError> {
        let Some(subject) = self.survey.subject(&step.component) else { return Ok(()) };
        let (component, from) = match self.moved.remove(&step.component) {
            Some(moved) => moved,
            None => (subject.component.clone(), subject.current.clone()),
        };
        let Some(target) = candidate_of(subject, step) else { return Ok(()) };
        let widens = self
            .survey
            .policies
            .get(&step.component)
            .is_some_and(|policy| policy.ranges.value == RangeEdits::Widen);
        let options = edit::Options {
            ranges: if widens { Ranges::Widen } else { Ranges::Leave },
            generated: Generated::Elsewhere,
        };
        let changes = edit::replacements(&component, from.as_ref(), target, options)?;
        step.edits = entries(&component, &changes, target);
        let mut diff = String::new();
        let mut files: Vec<&str> =
            changes.replacements.iter().map(|replacement| replacement.file.as_str()).collect();
        files.dedup();
        for file in files {
            let of_file: Vec<_> =
                changes.replacements.iter().filter(|one| one.file == file).cloned().collect();
            let draft = self.draft(file)?;
            let before = draft.text();
            draft.apply(&of_file)?;
            diff.push_str(&Diff::of(file, &before, &draft.text()).to_string());
        }
        if !diff.is_empty() {
            self.made.diffs.insert(step.id.clone(), diff);
        }
        self.moved
            .insert(step.component.clone(), (changes.advance(&component, target), Some(target.clone())));
        self.made.changes.insert(step.id.clone(), changes);
        Ok(())
    }

    fn draft(&mut self, file: &str) -> Result<&mut Draft, EditError> {
        match self.drafts.entry(file.to_owned()) {
            std::collections::btree_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(new) => {
                let bytes = (self.planning.read)(file).map_err(|error| EditError::Unreadable {
                    file: file.to_owned(),
                    reason: error.to_string(),
                })?;
                Ok(new.insert(Draft::new(file, &bytes)?))
            }
        }
    }
}

/// What changes, for people and scripts; of a generated file the place of its version.
fn entries(component: &Component, changes: &Changes, target: &Candidate) -> Vec<EditEntry> {
    let edited = changes.replacements.iter().map(|replacement| EditEntry {
        file: replacement.file.clone(),
        line: replacement.line,
        route: replacement.route.clone(),
        old: replacement.old.clone(),
        new: replacement.new.clone(),
    });
    let generated =
        component.pins.iter().filter(|pin| changes.generated.contains(&pin.file)).map(|pin| EditEntry {
            file: pin.file.clone(),
            line: pin.line,
            route: pin.route.clone(),
            old: pin.text.clone(),
            new: target.version.clone(),
        });
    edited.chain(generated).collect()
}

/// Files that are made anew, by step id and path.
pub(super) type Regenerated = BTreeMap<(String, String), Vec<u8>>;

/// The generated files of the steps that would be proposed now. Later steps are not asked about: what they start from is
/// not there yet.
///
/// # Errors
///
/// One of them cannot be made, or would have patches do something else.
pub(super) fn regenerated(
    plan: &Plan,
    made: &Made,
    survey: &Survey,
    planning: &Planning<'_>,
) -> Result<Regenerated, Refusal> {
    let next = plan.waves.iter().flat_map(|wave| &wave.steps).filter(|step| step.next);
    let files = next.flat_map(|step| {
        let changes = made.changes.get(&step.id);
        changes.into_iter().flat_map(|changes| &changes.generated).map(move |path| (step, path))
    });
    let file = |(step, path): (&Step, &String)| {
        let refusal =
            |gate, reason| Refusal { component: step.component.clone(), gate, reason, wanting: None };
        let made = generated(survey, planning, step, path)
            .map_err(|reason| refusal("regenerate", format!("cannot make `{path}` anew: {reason}")))?;
        // A person who asks for it has looked.
        let is_asked = planning.situation.asked.contains(&step.id);
        let shifts = if is_asked { None } else { shifted(planning, path, &made) };
        match shifts {
            Some(reason) => Err(refusal("patches", reason)),
            None => Ok(((step.id.clone(), path.clone()), made)),
        }
    };
    files.map(file).collect()
}

/// Most bytes of the diff of a generated file: a new minor of Flux changes a third of it.
const MOST_OF_GENERATED: usize = 256 << 10;

/// Adds the diffs of generated files, after those of the bytes that people wrote.
pub(super) fn show_generated(
    diffs: &mut BTreeMap<String, String>,
    files: &Regenerated,
    planning: &Planning<'_>,
) {
    for ((step, path), made) in files {
        let Ok(before) = (planning.read)(path) else { continue };
        let [before, after] = [&before, made].map(|bytes| String::from_utf8_lossy(bytes));
        let diff = Diff::of(path, &before, &after);
        if !diff.is_empty() {
            diffs.entry(step.clone()).or_default().push_str(&diff.within(MOST_OF_GENERATED));
        }
    }
}

/// Most patches that are told of.
const MOST_SHIFTS: usize = 3;

/// What patches beside a generated file would do otherwise than before; `None` where they do the same.
fn shifted(planning: &Planning<'_>, path: &str, made: &[u8]) -> Option<String> {
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let text = |path: &str| {
        let bytes = (planning.read)(path).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    };
    let name = format!("{folder}kustomization.yaml");
    let kustomization = match (planning.read)(&name) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // Without one nothing is patched.
        Err(repo::Error::Missing { .. }) => return None,
        Err(error) => return Some(format!("cannot tell what the patches in `{name}` do: {error}")),
    };
    let compared = patches::files(&kustomization).map_err(|error| error.to_string()).and_then(|files| {
        let known = files.into_iter().filter_map(|file| {
            let content = text(&format!("{folder}{}", file.strip_prefix("./").unwrap_or(&file))).ok()?;
            Some((file, content))
        });
        let made = std::str::from_utf8(made).map_err(|error| error.to_string())?;
        patches::compare(&kustomization, &known.collect(), &text(path)?, made)
            .map_err(|error| error.to_string())
    });
    let shifts = match compared {
        Ok(shifts) if shifts.is_empty() => return None,
        Ok(shifts) => shifts,
        Err(error) => return Some(format!("cannot tell what the patches in `{name}` do: {error}")),
    };
    let told = |shift: &PatchShift| {
        let object = if shift.object.is_empty() { String::new() } else { format!(" of {}", shift.object) };
        format!("`{}` (line {}){object}: {}", shift.patch, shift.line, shift.what)
    };
    let listed: Vec<String> = shifts.iter().take(MOST_SHIFTS).map(told).collect();
    let more = match shifts.len().saturating_sub(MOST_SHIFTS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "patches in `{name}` would do something else than before: {}{more}; look at them, then ask for the step by name",
        listed.join("; ")
    ))
}

/// A file of a step, made anew.
///
/// # Errors
///
/// It cannot be read, or cannot be made; the reason is for people.
pub fn generated(
    survey: &Survey,
    planning: &Planning<'_>,
    step: &Step,
    path: &str,
) -> Result<Vec<u8>, String> {
    let old = (planning.read)(path).map_err(|error| error.to_string())?;
    let target = survey.subject(&step.component).and_then(|subject| candidate_of(subject, step));
    planning.generator.generate(path, &old, target.map_or(step.to.as_str(), |target| target.version.as_str()))
}
