//! What libgit2 is given: a scheme of our own, and the stream of each of its requests.

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::blocking::Response;

use super::{CURRENT, Session, remote};
use crate::domain::upstream::FailureClass;
use crate::repo::write::Error;
use crate::upstream::redact::redact;

const SCHEME: &str = "gitops-updater";

/// Tells libgit2 of the scheme, once in the life of the program, and lets it open repositories of other owners, as
/// reading does.
///
/// A container of CI often runs as another user than the one who cloned. libgit2 refuses that by default because of the
/// programs that a foreign configuration may name (hooks, filters, helpers, ssh); as it is built and used here it runs
/// none, whoever owns the repository.
pub(in crate::repo::write) fn prepare() -> Result<(), Error> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let factory = |remote: &git2::Remote<'_>| {
            let Some(session) = CURRENT.with(|current| current.borrow().clone()) else {
                return Err(git2::Error::from_str("there is no session on this thread"));
            };
            // Stateless: each request of the protocol is a request of its own.
            Transport::smart(remote, true, Subtransport { session })
        };
        // SAFETY: libgit2 asks that no other thread creates or registers transports meanwhile. This is the only
        // registration of the program, it happens once, and every use of a transport comes after it by way of this
        // function, which lets no thread pass before it is done.
        // The option is set under the same conditions, before any repository is opened.
        #[expect(unsafe_code, reason = "git2 has no safe way to register a transport or to set an option")]
        let done = unsafe {
            git2::opts::set_verify_owner_validation(false)
                .and_then(|()| git2::transport::register(SCHEME, factory))
        };
        done.map_err(|error| error.message().to_owned())
    });
    registered.clone().map_err(|why| Error::Remote {
        class: FailureClass::Permanent,
        message: format!("cannot register the transport with libgit2: {why}"),
        hint: None,
    })
}

struct Subtransport {
    session: Arc<Session>,
}

impl SmartSubtransport for Subtransport {
    fn action(&self, _url: &str, service: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let stream = match service {
            Service::UploadPackLs => self.session.greet("git-upload-pack"),
            Service::ReceivePackLs => self.session.greet("git-receive-pack"),
            Service::UploadPack => Ok(Stream::asking(self.session.clone(), "git-upload-pack")),
            Service::ReceivePack => Ok(Stream::asking(self.session.clone(), "git-receive-pack")),
        };
        match stream {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(git2::Error::from_str(&self.session.fail(error))),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer, as libgit2 writes and reads them.
pub(super) struct Stream {
    session: Arc<Session>,
    service: &'static str,
    request: Vec<u8>,
    answer: Option<io::Take<Response>>,
}

impl Stream {
    pub(super) fn asking(session: Arc<Session>, service: &'static str) -> Self {
        Self { session, service, request: Vec::new(), answer: None }
    }

    pub(super) fn answering(
        session: Arc<Session>,
        service: &'static str,
        response: Response,
        limit: u64,
    ) -> Self {
        // One byte more than allowed, to see that there is more.
        Self { session, service, request: Vec::new(), answer: Some(response.take(limit + 1)) }
    }

    fn fail(&self, error: Error) -> io::Error {
        io::Error::other(self.session.fail(error))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.answer.is_none() {
            let body = std::mem::take(&mut self.request);
            let response = self.session.post(self.service, body).map_err(|error| self.fail(error))?;
            self.answer = Some(response.take(self.session.remote.limits.answer + 1));
        }
        let Some(answer) = &mut self.answer else { return Ok(0) };
        let read = answer.read(buffer);
        let is_over = answer.limit() == 0;
        let shown = || redact(&self.session.base());
        match read {
            Ok(_) if is_over => Err(self.fail(remote(
                FailureClass::Permanent,
                format!("cannot read the answer of `{}`: it is too large", shown()),
            ))),
            Ok(read) => Ok(read),
            Err(error) => Err(self.fail(remote(
                FailureClass::Transient,
                format!("cannot read the answer of `{}`: {}", shown(), root_cause(&error)),
            ))),
        }
    }
}

fn root_cause(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "it did not come in time".to_owned();
    }
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    format!("it broke off: {root}")
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.answer.is_some() {
            return Err(io::Error::other("the request is sent already"));
        }
        let limit = self.session.remote.limits.request;
        if self.request.len() + buffer.len() > limit {
            return Err(self.fail(remote(
                FailureClass::Permanent,
                format!(
                    "cannot push to `{}`: it takes more than {limit} bytes",
                    redact(&self.session.base())
                ),
            )));
        }
        self.request.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
