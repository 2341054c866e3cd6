//! SIGTERM and SIGINT: a pass ends between two effects, with everything recorded that was done.

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::error::CommandError;
use crate::app::effects::{Effect, Go, Stopped, Witness};

/// What asked the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: whoever runs the program.
    Terminate,
    /// SIGINT: a person at the keyboard.
    Interrupt,
}

impl Signal {
    /// The exit code of a shell for a program that the signal ended.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 143,
            Self::Interrupt => 130,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

impl From<Signal> for ExitCode {
    fn from(signal: Signal) -> Self {
        Self::from(signal.exit_code())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen for signals")]
struct Error(#[source] std::io::Error);

/// Knows whether the program was asked to stop, or may not go on.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    asked: watch::Receiver<Option<Signal>>,
    /// Another pass may be at work, as far as is known (`lease`).
    lost: Option<watch::Receiver<bool>>,
}

impl Stop {
    /// Listens from now on. A second signal ends the program at once.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let (asked, receiver) = watch::channel(None);
        let (ready, is_ready) = mpsc::channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || listen(&asked, &ready))
            .map_err(|source| CommandError::failed(Error(source)))?;
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Self { asked: receiver, lost: None }),
            Ok(Err(source)) => Err(CommandError::failed(Error(source))),
            Err(_) => Err(CommandError::failed("cannot listen for signals: the thread ended")),
        }
    }

    /// What asked the program to stop, if anything did.
    pub(super) fn asked(&self) -> Option<Signal> {
        *self.asked.borrow()
    }

    /// The same, that also stops what it is given to when `lost` becomes true.
    pub(super) fn or_lost(&self, lost: watch::Receiver<bool>) -> Self {
        Self { lost: Some(lost), ..self.clone() }
    }

    /// Whether what is only one's turn at a time may not go on.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.as_ref().is_some_and(|lost| *lost.borrow())
    }

    /// Whether nothing new may be begun.
    pub(super) fn is_over(&self) -> bool {
        self.asked().is_some() || self.is_lost()
    }

    /// Waits until nothing new may be begun.
    pub(super) async fn wait(&self) {
        let mut asked = self.asked.clone();
        let signal = async {
            // The thread lives as long as the program.
            if asked.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let lost = async {
            match self.lost.clone() {
                Some(mut lost) => {
                    // Who kept it has ended without losing it.
                    if lost.wait_for(|lost| *lost).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! { () = signal => {}, () = lost => {} }
    }

    /// Waits for `pause`; `Some` where something asked before.
    pub(super) async fn sleep(&self, pause: Duration) -> Option<()> {
        tokio::time::timeout(pause, self.wait()).await.ok()
    }
}

fn listen(asked: &watch::Sender<Option<Signal>>, ready: &mpsc::Sender<std::io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let signals = signal(SignalKind::terminate())
            .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
        let (mut terminate, mut interrupt) = match signals {
            Ok(signals) => signals,
            Err(error) => return drop(ready.send(Err(error))),
        };
        drop(ready.send(Ok(())));
        let mut count = 0;
        loop {
            let signal = tokio::select! {
                _ = terminate.recv() => Signal::Terminate,
                _ = interrupt.recv() => Signal::Interrupt,
            };
            count += 1;
            if count > 1 {
                end(signal);
            }
            tracing::warn!(signal = signal.name(), "stopping after the effect at hand");
            asked.send_replace(Some(signal));
        }
    });
}

/// Nobody wants to wait for the effect at hand any more. The next pass finds what it left.
#[expect(clippy::disallowed_methods, clippy::exit, reason = "asked for twice")]
fn end(signal: Signal) -> ! {
    std::process::exit(signal.exit_code().into())
}

/// Stops a pass between two effects when the program was asked to stop, or it is not its turn any more. What was done is still recorded.
pub(super) struct Stoppable<'a> {
    pub(super) inner: Box<dyn Witness + 'a>,
    pub(super) stop: &'a Stop,
}

impl Witness for Stoppable<'_> {
    fn before(&self, effect: &Effect) -> Result<Go, Stopped> {
        if self.stop.is_over() && !matches!(effect, Effect::Record { .. }) {
            return Err(Stopped);
        }
        self.inner.before(effect)
    }

    fn after(&self, effect: &Effect) -> Result<(), Stopped> {
        self.inner.after(effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::effects::Acting;

    #[test]
    fn pass_that_lost_its_turn_does_nothing_more_but_record() {
        let (_asking, asked) = watch::channel(None);
        let (losing, lost) = watch::channel(false);
        let stop = Stop { asked, lost: None }.or_lost(lost);
        let witness = Stoppable { inner: Box::new(Acting), stop: &stop };
        let push = Effect::Push { branch: "main".to_owned(), what: "something".to_owned() };
        assert_eq!(witness.before(&push), Ok(Go::Do));
        losing.send_replace(true);
        assert_eq!(witness.before(&push), Err(Stopped));
        assert_eq!(witness.before(&Effect::Record { what: "it".to_owned() }), Ok(Go::Do));
        assert!(stop.is_lost() && stop.asked().is_none());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(stop.wait());
    }
}
