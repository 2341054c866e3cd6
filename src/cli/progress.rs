//! A bar on stderr while upstreams are asked.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::app::ports::Progress;
use crate::domain::upstream::UpstreamRef;

/// A bar on a terminal, or nothing.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// A bar that is drawn on stderr if it is `visible`.
    pub fn new(visible: bool) -> Self {
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("asking upstreams {bar:24} {pos}/{len} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style) }
    }

    /// Takes the bar away, before the report is written.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn started(&self, total: usize) {
        self.bar.inc_length(total as u64);
    }

    fn finished(&self, upstream: &UpstreamRef) {
        // Names come from repositories; they must not steer the terminal.
        self.bar
            .set_message(upstream.name().chars().filter(|c| !c.is_control()).take(60).collect::<String>());
        self.bar.inc(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_counts_what_is_finished() {
        let bar = Bar::new(false);
        bar.started(3);
        bar.finished(&UpstreamRef::HelmChart {
            repository: "https://charts.example.com".to_owned(),
            chart: "web\u{1b}[2J".to_owned(),
        });
        assert_eq!((bar.bar.length(), bar.bar.position()), (Some(3), 1));
        assert_eq!(bar.bar.message(), "web[2J");
    }

    #[test]
    fn template_is_understood() {
        assert!(ProgressStyle::with_template("asking upstreams {bar:24} {pos}/{len} {wide_msg}").is_ok());
    }
}
