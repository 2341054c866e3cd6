//! Logging to stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directives as in `RUST_LOG`.
    pub filter: String,
    /// One JSON object a line.
    pub json: bool,
    /// Colours.
    pub color: bool,
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
        .with_writer(std::io::stderr)
        .with_ansi(options.color);
    // The program starts logging once; tests that start it again keep the first.
    let _already_started = if options.json {
        builder.json().finish().try_init().is_err()
    } else {
        builder.with_target(false).finish().try_init().is_err()
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_that_makes_no_sense_is_an_error() {
        let options = Options { filter: "a=b=c".to_owned(), json: false, color: false };
        assert_eq!(init(&options).unwrap_err().to_string(), "cannot read the log filter `a=b=c`");
    }
}
