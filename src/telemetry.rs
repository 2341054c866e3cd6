//! Logging to stderr.

use std::borrow::Cow;
use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Makes a line harmless for whoever reads it (the runner of GitHub Actions takes some for commands).
pub type Harmless = fn(&str) -> Cow<'_, str>;

/// Target of the warnings without which a result would be misread: these are told even where only errors are wanted.
pub const EVEN_QUIET: &str = "gitops_updater::even_quiet";

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directives as in `RUST_LOG`.
    pub filter: String,
    /// One JSON object a line.
    pub json: bool,
    /// Colours.
    pub color: bool,
    /// Applied to each line before it is written.
    pub harmless: Harmless,
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directives make no sense.
    #[error("cannot read the log filter `{filter}`")]
    Filter {
        /// The directives.
        filter: String,
        /// What is wrong with them.
        source: tracing_subscriber::filter::ParseError,
    },
}

/// Starts logging; a second start in the same process changes nothing.
///
/// # Errors
///
/// [`Error::Filter`] for directives that make no sense.
pub fn init(options: &Options) -> Result<(), Error> {
    let filter = EnvFilter::builder()
        .parse(&options.filter)
        .map_err(|source| Error::Filter { filter: options.filter.clone(), source })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(OneLine { harmless: options.harmless, to: std::io::stderr })
        .with_ansi(options.color);
    // The program starts logging once; tests that start it again keep the first.
    let _already_started = if options.json {
        builder.json().finish().try_init().is_err()
    } else {
        builder.with_target(false).finish().try_init().is_err()
    };
    Ok(())
}

/// Writes each event on a line of its own. What an upstream or a manifest says may hold line breaks, with which
/// it could forge events, and commands to a runner.
struct OneLine<M> {
    harmless: Harmless,
    to: M,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = OneLineWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineWriter { harmless: self.harmless, to: self.to.make_writer() }
    }
}

/// The writer of one event, which comes in one piece.
struct OneLineWriter<W> {
    harmless: Harmless,
    to: W,
}

impl<W: Write> Write for OneLineWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let line = line.replace('\n', "\\n").replace('\r', "\\r");
        let line = (self.harmless)(&line);
        self.to.write_all(line.as_bytes())?;
        self.to.write_all(end.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A failure's text may come from anywhere: behind a line break it began a line of its own.
    #[test]
    fn no_event_is_more_than_one_line() {
        let memory = Memory::default();
        let writer = memory.clone();
        let to =
            OneLine { harmless: |line| Cow::Owned(line.replace("##[", "##-[")), to: move || writer.clone() };
        let subscriber = tracing_subscriber::fmt().with_writer(to).with_ansi(false).without_time().finish();
        tracing::subscriber::with_default(subscriber, || {
            let reason = "broken\n::error file=a::forged\r\n::stop-commands::x\n##[error]old";
            tracing::warn!(%reason, "asking again");
            tracing::warn!("{reason}");
        });
        let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 2, "{written}");
        let starts_command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
        assert!(!written.split(['\n', '\r']).any(starts_command), "{written}");
        assert!(written.contains("forged"), "{written}");
    }

    #[test]
    fn filter_that_makes_no_sense_is_an_error() {
        let options = Options {
            filter: "a=b=c".to_owned(),
            json: false,
            color: false,
            harmless: |line| Cow::Borrowed(line),
        };
        assert_eq!(init(&options).unwrap_err().to_string(), "cannot read the log filter `a=b=c`");
    }
}
