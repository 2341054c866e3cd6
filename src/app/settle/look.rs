//! Looking on: what the cluster, the branch and the forge show goes to the judge, as it comes and in virtual order.
//!
//! Time is tokio's, counted from the moment at which the pass began, so that a test may let hours pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::fetch::fetched_commits;
use super::trials::Trying;
use crate::app::cluster::{Cluster, Looked, Scope, Watch};
use crate::app::health::readiness;
use crate::domain::settle::judge::{Checks, Judge};
use crate::domain::settle::kind::Kind;
use crate::domain::settle::line::{CommitStatus, Header, Line, Moment, Seen};
use crate::domain::settle::memory::Memory;
use crate::domain::settle::object::Object;
use crate::domain::settle::settings::Settings;
use crate::domain::settle::verdict::Judgement;

/// How long the first listing may take.
const LISTING: Duration = Duration::from_secs(120);
/// Most lines that are taken before the judge's words are acted upon.
const BATCH: usize = 4_096;
/// Most commits for which the branch is looked at before it is time to.
const MOST_ASKED: usize = 100;

/// Takes every line that a verdict is made from.
pub trait Recorder {
    /// Takes one line. Objects are as a recording may hold them.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn record(&self, line: &Line<Value>) -> std::io::Result<()>;
}

/// Why looking ended for now.
#[derive(Debug)]
pub(super) enum News {
    /// Something is said, or nothing for a while.
    Said,
    /// It is time to look at the branch and the forge.
    Poll,
    /// The time of this pass is over.
    Deadline,
    /// The pass is asked to stop.
    Stop,
}

/// Looking on.
pub(super) struct Look<'a> {
    judge: Judge,
    watch: Option<Watch>,
    begun: Instant,
    /// When it was looked last.
    last: Instant,
    started_at: Timestamp,
    recorder: Option<&'a dyn Recorder>,
    /// What was said and not acted upon yet, by update: only the last word counts.
    said: BTreeMap<String, Judgement>,
    next_poll: Instant,
    poll_every: Duration,
    /// Name of the repository that is followed, as [`fetched_commits`] compares it.
    repository: Option<String>,
    /// A source came or changed since it was looked at what they have fetched.
    moved: bool,
    /// Commits that a source has fetched before the branch was looked at, each once.
    asked: BTreeSet<String>,
    /// Updates that the judge was told of and that are not over, by its ids.
    told: BTreeSet<String>,
    /// The first listing was given up before its end: what it had not told by then is not known until it ends.
    late: bool,
    /// Why the cluster is not seen at all.
    pub(super) blind: Option<String>,
    /// The first failure to write the recording.
    pub(super) unrecorded: Option<std::io::Error>,
}

/// What looking begins with.
pub(super) struct Begin<'a> {
    pub(super) settings: Settings,
    pub(super) checks: Checks,
    /// Why a cluster that there is does not answer.
    pub(super) away: Option<String>,
    pub(super) memory: Memory,
    pub(super) started_at: Timestamp,
    pub(super) recorder: Option<&'a dyn Recorder>,
    /// The policy in force, for the recording.
    pub(super) policy: Value,
    pub(super) name: String,
    /// Name of the repository that is followed; `None` where its address tells none.
    pub(super) repository: Option<String>,
    pub(super) poll_every: Duration,
}

impl<'a> Look<'a> {
    /// Begins to look at a cluster, and takes in everything there is.
    pub(super) async fn begin<C: Cluster>(cluster: Option<&C>, with: Begin<'a>) -> Self {
        let begun = Instant::now();
        let mut look = Self {
            judge: Judge::new(with.settings, with.checks, with.started_at, with.memory),
            watch: None,
            begun,
            last: begun,
            started_at: with.started_at,
            recorder: with.recorder,
            said: BTreeMap::new(),
            next_poll: begun + with.poll_every,
            poll_every: with.poll_every,
            repository: with.repository,
            moved: false,
            asked: BTreeSet::new(),
            told: BTreeSet::new(),
            late: false,
            blind: None,
            unrecorded: None,
        };
        let mut header =
            Header { name: with.name, started_at: with.started_at.to_string(), ..Header::default() };
        let labels = |kinds: &[Kind]| kinds.iter().map(|kind| kind.label()).collect();
        let Some(cluster) = cluster else {
            if with.away.is_some() {
                header.watching = labels(Kind::ALL);
            }
            look.open(header, with.policy);
            if with.away.is_some() {
                look.take(Seen::View { back: false, kinds: None }, None);
                look.blind = with.away;
            }
            return look;
        };
        let scope = Scope { kinds: Kind::ALL.to_vec(), ..Scope::default() };
        match cluster.watch(&scope).await {
            Ok(watch) => {
                header.watching = labels(&watch.watching);
                header.absent = labels(&watch.absent);
                header.unseen = watch.unseen.iter().map(|(kind, why)| (kind.label(), why.clone())).collect();
                look.open(header, with.policy);
                look.watch = Some(watch);
                look.first_listing().await;
                // Before anything else, so that what is compared with later knows of it.
                if look.sees() {
                    look.at(Moment(0), Seen::Probe(readiness(cluster).await.seen()), None);
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "the cluster cannot be seen");
                header.watching = scope.kinds.iter().map(|kind| kind.label()).collect();
                look.open(header, with.policy);
                look.take(Seen::View { back: false, kinds: None }, None);
                look.blind = Some(error.to_string());
            }
        }
        look
    }

    /// The first lines.
    fn open(&mut self, header: Header, policy: Value) {
        self.at(Moment(0), Seen::Header(header), None);
        self.at(Moment(0), Seen::Config(policy), None);
    }

    /// Everything that is there at the beginning counts as seen at one moment.
    async fn first_listing(&mut self) {
        let listing = async {
            while let Some(watch) = &mut self.watch {
                match watch.seen.recv().await {
                    Some(Looked::Seen(seen, json)) => self.at(Moment(0), *seen, json.map(|json| *json)),
                    Some(Looked::Complete) => return,
                    None => {
                        self.watch = None;
                        self.at(Moment(0), Seen::View { back: false, kinds: None }, None);
                    }
                }
            }
        };
        if timeout(LISTING, listing).await.is_err() {
            tracing::warn!("the first listing is not complete");
            // What was not told by now is not known: nothing may be concluded from its absence.
            self.at(Moment(0), Seen::View { back: false, kinds: None }, None);
            self.late = true;
        }
    }

    /// Whether the cluster is seen now, as far as the account may look.
    pub(super) fn sees(&self) -> bool {
        self.blind.is_none() && self.watch.is_some() && !self.late
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Now, on the clock of the look.
    pub(super) fn instant_now(&self) -> Instant {
        // Between two looks nobody drives the clock; it has not gone back since the last.
        Instant::now().max(self.last)
    }

    pub(super) fn now(&self) -> Moment {
        let since = self.instant_now().duration_since(self.begun);
        Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time on the clock.
    pub(super) fn wall(&self) -> Timestamp {
        self.wall_at(self.now())
    }

    pub(super) fn wall_at(&self, moment: Moment) -> Timestamp {
        self.started_at.saturating_add(SignedDuration::from_millis(moment.0)).unwrap_or(self.started_at)
    }

    /// Says how far was looked, so that a recording ends where looking ended.
    pub(super) fn ends(&mut self) {
        self.note("looked on until here".to_owned());
    }

    pub(super) fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Takes in what is seen now.
    pub(super) fn take(&mut self, seen: Seen<Object>, json: Option<Value>) {
        self.at(self.now(), seen, json);
    }

    fn at(&mut self, t: Moment, seen: Seen<Object>, json: Option<Value>) {
        match &seen {
            Seen::Update(update) => {
                self.told.insert(update.id.clone());
            }
            Seen::Event { object, .. } => self.moved |= object.kind == Kind::GitRepository,
            _ => {}
        }
        self.write(t, &seen, json);
        let judgements = self.judge.take(Line { t, seen });
        self.hear(judgements);
    }

    /// Writes a line to the recording.
    fn write(&mut self, t: Moment, seen: &Seen<Object>, json: Option<Value>) {
        if let Some(recorder) = self.recorder
            && self.unrecorded.is_none()
            && let Some(mut seen) = as_json(seen, json)
        {
            if let Seen::Update(update) = &mut seen {
                // What was seen before belongs to what it begins with.
                let judgements = self.judge.advance(t);
                self.hear(judgements);
                update.remembered = Some(Box::new(self.judge.known_of(&update.id).recorded()));
            }
            if let Err(error) = recorder.record(&Line { t, seen }) {
                self.unrecorded = Some(error);
            }
        }
    }

    pub(super) fn take_status(&mut self, commit: &str, status: &crate::app::forge::CommitStatus) {
        use crate::app::forge::StatusState;
        let state = match status.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
            StatusState::Error => "error",
        };
        let status = CommitStatus {
            sha: commit.to_owned(),
            context: status.context.clone(),
            state: state.to_owned(),
            description: status.description.clone(),
        };
        self.take(Seen::Status(status), None);
    }

    fn hear(&mut self, judgements: Vec<Judgement>) {
        self.said.extend(judgements.into_iter().map(|judgement| (judgement.update.clone(), judgement)));
    }

    /// Lets timers fire that are due now, and judges what was seen until now.
    pub(super) fn advance(&mut self) {
        let judgements = self.judge.advance(self.now());
        self.hear(judgements);
        let judgements = self.judge.conclude();
        self.hear(judgements);
    }

    /// Has the judge begin anew with an update.
    pub(super) fn forget(&mut self, judged: &str) {
        if self.told.remove(judged) {
            self.take(Seen::Over(judged.to_owned()), None);
        }
        self.judge.forget(judged);
    }

    /// Says which updates this pass has done with: all but those that are `followed`. The judge itself goes on: nodes of
    /// what is held are looked after still.
    pub(super) fn follow_only(&mut self, followed: impl Fn(&str) -> bool) {
        let over: Vec<String> = self.told.iter().filter(|judged| !followed(judged)).cloned().collect();
        for judged in over {
            self.told.remove(&judged);
            self.take(Seen::Over(judged), None);
        }
    }

    /// Says something to whoever reads the recording.
    pub(super) fn note(&mut self, text: String) {
        self.take(Seen::Note(text), None);
    }

    /// Takes note of commits that sources have fetched and that are known here, though the judge need not know them.
    pub(super) fn place(&mut self, is_known: impl Fn(&str) -> bool) {
        let fetched = fetched_commits(self.judge.world(), self.repository.as_deref());
        self.asked.extend(fetched.into_iter().filter(|id| is_known(id)));
    }

    /// Whether a source has fetched a commit of the branch that the judge was not told of: each counts once.
    fn is_behind(&mut self) -> bool {
        if self.told.is_empty() || !std::mem::take(&mut self.moved) || self.asked.len() >= MOST_ASKED {
            return false;
        }
        let world = self.judge.world();
        let fetched = fetched_commits(world, self.repository.as_deref());
        let new: Vec<String> =
            fetched.into_iter().filter(|id| world.commit(id).is_none() && !self.asked.contains(id)).collect();
        let behind = !new.is_empty();
        self.asked.extend(new);
        behind
    }

    /// What was said since the last time.
    pub(super) fn said(&mut self) -> Vec<Judgement> {
        std::mem::take(&mut self.said).into_values().collect()
    }

    /// Looks on until something is said, it is time to poll, or the time is over.
    pub(super) async fn on(
        &mut self,
        deadline: Instant,
        stop: LocalBoxFuture<'_, ()>,
        trying: &mut Trying<'_>,
    ) -> News {
        let news = self.news(deadline, stop, trying).await;
        self.last = Instant::now();
        news
    }

    async fn news(
        &mut self,
        deadline: Instant,
        mut stop: LocalBoxFuture<'_, ()>,
        trying: &mut Trying<'_>,
    ) -> News {
        loop {
            let timer = self.judge.next_timer().map(|moment| self.instant(moment));
            let watched = self.watch.is_some();
            tokio::select! {
                biased;
                () = &mut stop => return News::Stop,
                looked = async { match &mut self.watch { Some(watch) => watch.seen.recv().await, None => None } },
                    if watched => self.looked(looked),
                () = sleep_until(timer.unwrap_or(deadline)), if timer.is_some() => {
                    self.advance();
                    if Instant::now() < deadline && trying.is_due(&self.judge, Instant::now()) {
                        return News::Said;
                    }
                }
                tried = trying.next(), if trying.is_running() => {
                    for trial in tried {
                        self.take(Seen::Probe(trial.seen()), None);
                    }
                }
                () = sleep_until(self.next_poll) => {
                    self.next_poll = Instant::now() + self.poll_every;
                    return News::Poll;
                }
                // What is being tried then is waited for: it ends in its own time.
                () = sleep_until(deadline), if !trying.is_running() => {
                    self.advance();
                    return News::Deadline;
                }
            }
            // Flux may have what was pushed since the branch was looked at: until that is known nothing can be said.
            if self.is_behind() {
                self.next_poll = Instant::now() + self.poll_every;
                return News::Poll;
            }
            if !self.said.is_empty() {
                return News::Said;
            }
        }
    }

    /// One thing from the watch, and what lies ready behind it.
    fn looked(&mut self, looked: Option<Looked>) {
        let mut next = looked;
        for _ in 0..BATCH {
            match next {
                Some(Looked::Seen(seen, json)) => self.take(*seen, json.map(|json| *json)),
                Some(Looked::Complete) => {
                    if std::mem::take(&mut self.late) {
                        self.take(Seen::View { back: true, kinds: None }, None);
                    }
                }
                None => {
                    self.watch = None;
                    self.take(Seen::View { back: false, kinds: None }, None);
                    return;
                }
            }
            let Some(ready) = self.watch.as_mut().and_then(|watch| watch.seen.try_recv().ok()) else {
                return;
            };
            next = Some(ready);
        }
    }

    fn instant(&self, moment: Moment) -> Instant {
        self.begun + Duration::from_millis(u64::try_from(moment.0).unwrap_or(0))
    }
}

/// A line as it is recorded; `None` where an object came without its JSON.
fn as_json(seen: &Seen<Object>, json: Option<Value>) -> Option<Seen<Value>> {
    Some(match seen {
        Seen::Event { change, initial, .. } => {
            Seen::Event { change: *change, object: json?, initial: *initial }
        }
        Seen::Header(header) => Seen::Header(header.clone()),
        Seen::Commit(commit) => Seen::Commit(commit.clone()),
        Seen::Update(update) => Seen::Update(update.clone()),
        Seen::View { back, kinds } => Seen::View { back: *back, kinds: kinds.clone() },
        Seen::Probe(probe) => Seen::Probe(probe.clone()),
        Seen::Status(status) => Seen::Status(status.clone()),
        Seen::Config(config) => Seen::Config(config.clone()),
        Seen::Over(update) => Seen::Over(update.clone()),
        Seen::Note(note) => Seen::Note(note.clone()),
        Seen::Unknown => return None,
    })
}
