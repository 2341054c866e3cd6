//! Asks every wanted upstream once, side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use super::context::Context;
use super::failure::internal;
use super::{git_tags, github, helm_index, k3s, oci};
use crate::app::ports::{OnAnswer, Progress, Upstreams, Wanted};
use crate::domain::notes::is_advisory;
use crate::domain::report::DeepChecks;
use crate::domain::upstream::{Answer, UpstreamFailure, UpstreamRef};

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
struct NoProgress;

impl Progress for NoProgress {
    fn started(&self, _: usize) {}
    fn finished(&self, _: &str) {}
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
}

impl Upstreams for UpstreamClient {
    async fn ask_all(&self, wanted: BTreeMap<UpstreamRef, Wanted>, on_answer: OnAnswer<'_>) {
        self.progress.started(wanted.len());
        let mut asked: HashMap<Id, Vec<UpstreamRef>> = HashMap::new();
        let mut running = JoinSet::new();
        for question in questions(wanted) {
            let context = self.context.clone();
            let upstreams = question.upstreams();
            // Bounds are those of the HTTP client, so that a slow host holds up nobody but itself.
            let task = running.spawn(async move { question.ask(&context).await });
            asked.insert(task.id(), upstreams);
        }
        // Answers are handed on and dropped as they come: all together they are large.
        while let Some(ended) = running.join_next_with_id().await {
            match ended {
                Ok((id, answers)) => {
                    asked.remove(&id);
                    for (upstream, answer) in answers {
                        on_answer(&upstream, answer);
                        self.progress.finished(&upstream.name());
                    }
                }
                Err(panicked) => {
                    for upstream in asked.remove(&panicked.id()).unwrap_or_default() {
                        on_answer(&upstream, Err(internal("asking ended early")));
                        self.progress.finished(&upstream.name());
                    }
                }
            }
        }
    }
}

/// What is asked together because one answer serves it all.
#[derive(Debug, PartialEq, Eq)]
enum Question {
    /// Charts of one repository.
    Charts { repository: String, charts: BTreeSet<String> },
    /// Releases of k3s, for all channels.
    K3s { channels: BTreeSet<Option<String>> },
    /// Anything else, alone.
    One(UpstreamRef),
}

fn questions(wanted: BTreeSet<UpstreamRef>) -> Vec<Question> {
    let mut repositories: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut channels = BTreeSet::new();
    let mut questions = Vec::new();
    for upstream in wanted {
        match upstream {
            UpstreamRef::HelmChart { repository, chart } => {
                repositories.entry(repository).or_default().insert(chart);
            }
            UpstreamRef::K3s { channel } => {
                channels.insert(channel);
            }
            other => questions.push(Question::One(other)),
        }
    }
    if !channels.is_empty() {
        questions.push(Question::K3s { channels });
    }
    questions
        .extend(repositories.into_iter().map(|(repository, charts)| Question::Charts { repository, charts }));
    questions
}

type Answers = Vec<(UpstreamRef, Result<Answer, UpstreamFailure>)>;

impl Question {
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

    async fn ask(self, context: &Context) -> Answers {
        match self {
            Self::Charts { repository, charts } => helm_index::charts(&context.http, &repository, charts)
                .await
                .into_iter()
                .map(|(chart, answer)| (helm_chart(&repository, &chart), answer))
                .collect(),
            Self::K3s { channels } => k3s_channels(context, channels).await,
            Self::One(upstream) => {
                let answer = one(context, &upstream).await;
                vec![(upstream, answer)]
            }
        }
    }
}

fn helm_chart(repository: &str, chart: &str) -> UpstreamRef {
    UpstreamRef::HelmChart { repository: repository.to_owned(), chart: chart.to_owned() }
}

async fn one(context: &Context, upstream: &UpstreamRef) -> Result<Answer, UpstreamFailure> {
    match upstream {
        UpstreamRef::GithubReleases { host, owner, name } => {
            github::releases(context, host, owner, name, None).await
        }
        UpstreamRef::GithubTags { host, owner, name } => github::tags(context, host, owner, name, None).await,
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
async fn k3s_channels(context: &Context, channels: BTreeSet<Option<String>>) -> Answers {
    let releases = github::releases(context, "github.com", "k3s-io", "k3s", None).await;
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
        let questions = questions(wanted.clone());
        assert_eq!(questions.len(), 4);
        assert!(questions.contains(&Question::One(oci)));
        let covered: BTreeSet<UpstreamRef> = questions.iter().flat_map(Question::upstreams).collect();
        assert_eq!(covered, wanted);
    }
}
