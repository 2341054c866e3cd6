//! Asks every wanted upstream once, side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use super::context::Context;
use super::failure::internal;
use super::{git_tags, github, helm_index, k3s, oci, osv};
use crate::app::ports::{OnAnswer, Progress, Upstreams, Wanted};
use crate::domain::advisory::Advisory;
use crate::domain::notes::is_advisory;
use crate::domain::report::DeepChecks;
use crate::domain::upstream::{Answer, UpstreamFailure, UpstreamRef};

/// Questions to one host that are begun at once. The HTTP client bounds requests further; this bounds what
/// waits for them, and answers that wait to be assessed.
const AT_A_HOST: usize = 16;

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
struct NoProgress;

impl Progress for NoProgress {
    fn started(&self, _: usize) {}
    fn finished(&self, _: &UpstreamRef) {}
}

/// The real upstreams.
#[derive(Clone)]
pub struct UpstreamClient {
    context: Arc<Context>,
    progress: Arc<dyn Progress>,
}

impl UpstreamClient {
    /// Asks with the given context and tells nobody how far it is.
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, progress: Arc::new(NoProgress) }
    }

    /// Tells `progress` how far it is.
    #[must_use]
    pub fn with_progress(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress, ..self }
    }

    /// The manifests of a release of Flux.
    ///
    /// # Errors
    ///
    /// There is no such release, or it cannot be had whole.
    pub async fn flux_manifests(
        &self,
        release: &str,
    ) -> Result<crate::domain::gotk::Manifests, UpstreamFailure> {
        super::flux_manifests::manifests(&self.context.http, release).await
    }
}

impl UpstreamClient {
    /// One version of a chart, with its files.
    ///
    /// # Errors
    ///
    /// The upstream has no charts or not this version, cannot be asked, or its archive is not what it should be.
    pub async fn chart(
        &self,
        upstream: &UpstreamRef,
        version: &str,
    ) -> Result<crate::domain::chart_diff::Chart, UpstreamFailure> {
        super::chart_archive::chart(&self.context, upstream, version).await
    }

    /// Whether an image can be pulled, for every platform that `installed` is there for. Of what is neither chart nor
    /// image nothing is asked: its upstream lists what there is.
    ///
    /// # Errors
    ///
    /// It is not there, or nobody can say.
    pub async fn pullable(
        &self,
        upstream: &UpstreamRef,
        version: &str,
        installed: Option<&str>,
    ) -> Result<(), UpstreamFailure> {
        match upstream {
            UpstreamRef::Oci { registry, repository, chart: false } => {
                oci::pullable(&self.context, registry, repository, version, installed).await
            }
            _ => Ok(()),
        }
    }
}

impl Upstreams for UpstreamClient {
    async fn ask_all(&self, wanted: BTreeMap<UpstreamRef, Wanted>, on_answer: OnAnswer<'_>) {
        self.progress.started(wanted.len());
        // A queue for each host, so that a slow one holds up nobody but itself.
        let mut queues: BTreeMap<String, VecDeque<Question>> = BTreeMap::new();
        for question in questions(wanted) {
            queues.entry(question.topic.host()).or_default().push_back(question);
        }
        let hosts: Vec<String> = queues.keys().cloned().collect();
        let mut asked: HashMap<Id, (String, Vec<UpstreamRef>)> = HashMap::new();
        let mut running = JoinSet::new();
        let mut begin = |host: &str, running: &mut JoinSet<Answers>| {
            let Question { topic, wanted } = queues.get_mut(host)?.pop_front()?;
            let context = self.context.with_fresh_for(wanted.fresh_for);
            let upstreams = topic.upstreams();
            let task = running.spawn(async move { topic.ask(&context, wanted.installed.as_deref()).await });
            Some((task.id(), (host.to_owned(), upstreams)))
        };
        for host in hosts {
            asked.extend((0..AT_A_HOST).map_while(|_| begin(&host, &mut running)));
        }
        // Answers are handed on and dropped as they come: all together they are large.
        while let Some(ended) = running.join_next_with_id().await {
            match ended {
                Ok((id, answers)) => {
                    if let Some((host, _)) = asked.remove(&id) {
                        asked.extend(begin(&host, &mut running));
                    }
                    for (upstream, answer) in answers {
                        on_answer(&upstream, answer);
                        self.progress.finished(&upstream);
                    }
                }
                Err(panicked) => {
                    let Some((host, upstreams)) = asked.remove(&panicked.id()) else { continue };
                    asked.extend(begin(&host, &mut running));
                    for upstream in upstreams {
                        on_answer(&upstream, Err(internal("asking ended early")));
                        self.progress.finished(&upstream);
                    }
                }
            }
        }
    }

    async fn advisories(&self, module: &str, from: &str, to: &str) -> Result<Vec<Advisory>, UpstreamFailure> {
        let found = osv::advisories(&self.context, "Go", module, from, to).await?;
        // One vulnerability has several names; people look for the CVE.
        Ok(found
            .into_iter()
            .filter_map(|advisory| {
                let mut names: Vec<String> = advisory.aliases.into_iter().chain([advisory.id]).collect();
                names.sort_by_key(|name| !name.starts_with("CVE-"));
                let name = names.into_iter().find(|name| is_advisory(name))?;
                Some(Advisory { name, affected: advisory.affected })
            })
            .collect())
    }

    async fn inspect(&self, upstream: &UpstreamRef, version: &str) -> Result<DeepChecks, UpstreamFailure> {
        match upstream {
            UpstreamRef::Oci { registry, repository, chart } => {
                let tag = if *chart { version.replace('+', "_") } else { version.to_owned() };
                oci::inspect(&self.context, registry, repository, &tag).await
            }
            UpstreamRef::HelmChart { repository, chart } => {
                helm_index::inspect(&self.context.http, repository, chart, version).await
            }
            UpstreamRef::K3s { .. }
            | UpstreamRef::GithubReleases { .. }
            | UpstreamRef::GithubTags { .. }
            | UpstreamRef::GitTags { .. } => Ok(DeepChecks::default()),
        }
    }
}

/// What is asked together because one answer serves it all, and what is wanted of that answer.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    topic: Topic,
    wanted: Wanted,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    /// Charts of one repository.
    Charts { repository: String, charts: BTreeSet<String> },
    /// Releases of k3s, for all channels.
    K3s { channels: BTreeSet<Option<String>> },
    /// Anything else, alone.
    One(UpstreamRef),
}

fn questions(wanted: BTreeMap<UpstreamRef, Wanted>) -> Vec<Question> {
    let mut repositories: BTreeMap<String, (BTreeSet<String>, Wanted)> = BTreeMap::new();
    let mut k3s: Option<(BTreeSet<Option<String>>, Wanted)> = None;
    let mut questions = Vec::new();
    for (upstream, wanted) in wanted {
        match upstream {
            UpstreamRef::HelmChart { repository, chart } => {
                let (charts, known) = repositories.entry(repository).or_default();
                merge(known, wanted, charts.is_empty());
                charts.insert(chart);
            }
            UpstreamRef::K3s { channel } => {
                let (channels, known) = k3s.get_or_insert_with(Default::default);
                merge(known, wanted, channels.is_empty());
                channels.insert(channel);
            }
            other => questions.push(Question { topic: Topic::One(other), wanted }),
        }
    }
    if let Some((channels, wanted)) = k3s {
        questions.push(Question { topic: Topic::K3s { channels }, wanted });
    }
    questions.extend(repositories.into_iter().map(|(repository, (charts, wanted))| Question {
        topic: Topic::Charts { repository, charts },
        wanted,
    }));
    questions
}

/// Of two wishes the one that asks for more counts.
fn merge(known: &mut Wanted, other: Wanted, first: bool) {
    if first {
        *known = other;
        return;
    }
    known.fresh_for = known.fresh_for.min(other.fresh_for);
    known.installed.take_if(|text| Some(&*text) != other.installed.as_ref());
}

type Answers = Vec<(UpstreamRef, Result<Answer, UpstreamFailure>)>;

impl Topic {
    fn upstreams(&self) -> Vec<UpstreamRef> {
        match self {
            Self::Charts { repository, charts } => {
                charts.iter().map(|chart| helm_chart(repository, chart)).collect()
            }
            Self::K3s { channels } => {
                channels.iter().map(|channel| UpstreamRef::K3s { channel: channel.clone() }).collect()
            }
            Self::One(upstream) => vec![upstream.clone()],
        }
    }

    /// Who is asked; the empty text where the URL is none, which is found out by asking.
    fn host(&self) -> String {
        let url = match self {
            Self::Charts { repository, .. } => repository.clone(),
            Self::K3s { .. } => UpstreamRef::K3s { channel: None }.url(),
            Self::One(upstream) => upstream.url(),
        };
        url::Url::parse(&url).map_or_else(|_| String::new(), |url| url.authority().to_ascii_lowercase())
    }

    async fn ask(self, context: &Context, installed: Option<&str>) -> Answers {
        match self {
            Self::Charts { repository, charts } => helm_index::charts(&context.http, &repository, charts)
                .await
                .into_iter()
                .map(|(chart, answer)| (helm_chart(&repository, &chart), answer))
                .collect(),
            Self::K3s { channels } => k3s_channels(context, channels, installed).await,
            Self::One(upstream) => {
                let answer = one(context, &upstream, installed).await;
                vec![(upstream, answer)]
            }
        }
    }
}

fn helm_chart(repository: &str, chart: &str) -> UpstreamRef {
    UpstreamRef::HelmChart { repository: repository.to_owned(), chart: chart.to_owned() }
}

async fn one(
    context: &Context,
    upstream: &UpstreamRef,
    installed: Option<&str>,
) -> Result<Answer, UpstreamFailure> {
    match upstream {
        UpstreamRef::GithubReleases { host, owner, name } => {
            github::releases(context, host, owner, name, installed).await
        }
        UpstreamRef::GithubTags { host, owner, name } => github::tags(context, host, owner, name).await,
        UpstreamRef::GitTags { url } => git_tags::tags(context, url).await,
        UpstreamRef::Oci { registry, repository, chart } => {
            oci::tags(context, registry, repository, *chart).await
        }
        UpstreamRef::HelmChart { .. } | UpstreamRef::K3s { .. } => {
            Err(internal("a question that is asked together was asked alone"))
        }
    }
}

/// The releases are asked once; a channel that cannot be asked costs its own component only, because
/// without it nobody knows what that component runs.
async fn k3s_channels(
    context: &Context,
    channels: BTreeSet<Option<String>>,
    installed: Option<&str>,
) -> Answers {
    let releases = github::releases(context, "github.com", "k3s-io", "k3s", installed).await;
    let mut answers = Vec::with_capacity(channels.len());
    for channel in channels {
        let answer = match (&releases, &channel) {
            (Err(failure), _) => Err(failure.clone()),
            (Ok(releases), None) => Ok(releases.clone()),
            (Ok(releases), Some(url)) => k3s::channel(&context.http, url)
                .await
                .map(|latest| Answer { channel_latest: latest, ..releases.clone() }),
        };
        answers.push((UpstreamRef::K3s { channel }, answer));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_of_one_repository_and_all_k3s_channels_are_one_question_each() {
        let oci = UpstreamRef::Oci { registry: "ghcr.io".into(), repository: "a/b".into(), chart: false };
        let wanted = BTreeSet::from([
            helm_chart("https://a.example", "x"),
            helm_chart("https://a.example", "y"),
            helm_chart("https://b.example", "x"),
            UpstreamRef::K3s { channel: None },
            UpstreamRef::K3s { channel: Some("stable".into()) },
            oci.clone(),
        ]);
        let questions =
            questions(wanted.iter().map(|upstream| (upstream.clone(), Wanted::default())).collect());
        assert_eq!(questions.len(), 4);
        assert!(questions.iter().any(|question| question.topic == Topic::One(oci.clone())));
        let covered: BTreeSet<UpstreamRef> =
            questions.iter().flat_map(|question| question.topic.upstreams()).collect();
        assert_eq!(covered, wanted);
    }
}
