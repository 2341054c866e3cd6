//! Addresses asked from where this program runs.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect;
use reqwest::tls::TlsInfo;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::{TcpStream, lookup_host};

use super::{certificate, command};
use crate::app::ports::Clock;
use crate::app::probes::{Outside, Tried};
use crate::domain::settle::health::probe::{CommandSpec, HttpTarget, ProbeSpec, Target, Trials};

/// What is read of a body, in bytes.
const BODY: usize = 64 << 10;

/// Reads a variable of the environment.
type Read = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Asks from here.
pub struct Here<K> {
    client: reqwest::Client,
    clock: K,
    read: Read,
    /// By the name of its variable; each is sent to the one host of the probe that names it.
    tokens: BTreeMap<String, SecretString>,
}

impl<K> std::fmt::Debug for Here<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Here").field("tokens", &self.tokens.keys()).finish_non_exhaustive()
    }
}

/// Why nothing can be asked from here.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client for probes")]
pub struct HereError(#[from] reqwest::Error);

impl<K: Clock> Here<K> {
    /// Reads the tokens that the probes name with `read`, which also gives the user's program its environment.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub fn new(
        trials: &Trials,
        clock: K,
        read: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, HereError> {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .tls_info(true)
            // A new connection each time: an old one says nothing about the way to the server now.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("gitops-updater/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let variables = trials.probes.iter().filter_map(|probe| match &probe.target {
            Target::Http(http) => http.token_variable.clone(),
            _ => None,
        });
        let tokens =
            variables.filter_map(|name| read(&name).map(|token| (name, SecretString::from(token)))).collect();
        Ok(Self { client, clock, read: Box::new(read), tokens })
    }

    async fn http(&self, target: &HttpTarget) -> Tried {
        let mut request = self.client.get(target.url.clone());
        if let Some(variable) = &target.token_variable {
            let Some(token) = self.tokens.get(variable) else {
                return Tried::Not(format!("the environment variable `{variable}` is not set"));
            };
            let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())) else {
                return Tried::Not(format!("`{variable}` holds what is no token"));
            };
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Tried::Bad(root(&error.without_url())),
        };
        let code = answer.status().as_u16();
        let ends = answer
            .extensions()
            .get::<TlsInfo>()
            .and_then(TlsInfo::peer_certificate)
            .and_then(certificate::not_after);
        if !target.takes(code) {
            return Tried::Bad(format!("answered {code}"));
        }
        if let Some(wanted) = &target.contains {
            let mut body = Vec::new();
            loop {
                match answer.chunk().await {
                    Ok(Some(chunk)) if body.len() < BODY => body.extend_from_slice(&chunk),
                    Ok(_) => break,
                    Err(error) => {
                        return Tried::Bad(format!("answered {code}: {}", root(&error.without_url())));
                    }
                }
            }
            body.truncate(BODY);
            if !String::from_utf8_lossy(&body).contains(wanted.as_str()) {
                return Tried::Bad(format!("answered {code} without the text"));
            }
        }
        let Some(days) = target.certificate_days else { return Tried::Good(format!("answered {code}")) };
        let Some(ends) = ends else {
            return Tried::Not(format!("answered {code}, and its certificate cannot be read"));
        };
        let left = ends.duration_since(self.clock.now());
        let until = ends.strftime("%Y-%m-%d");
        if left < SignedDuration::from_hours(i64::from(days) * 24) {
            Tried::Bad(format!("its certificate ends on {until}, in less than {days} days"))
        } else {
            Tried::Good(format!("answered {code}, certificate until {until}"))
        }
    }
}

async fn tcp(host: &str, port: u16) -> Tried {
    // Brackets around an IPv6 address are of the URL form only.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match TcpStream::connect((bare, port)).await {
        Ok(_) => Tried::Good("connected".to_owned()),
        Err(error) => Tried::Bad(format!("no connection: {error}")),
    }
}

async fn dns(name: &str, expect: &[core::net::IpAddr]) -> Tried {
    let found: Vec<core::net::IpAddr> = match lookup_host((name, 0)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(error) => return Tried::Bad(format!("does not resolve: {error}")),
    };
    let list = |addresses: &[core::net::IpAddr]| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let missing: Vec<core::net::IpAddr> =
        expect.iter().filter(|address| !found.contains(address)).copied().collect();
    if missing.is_empty() {
        Tried::Good(format!("resolves to {}", list(&found)))
    } else {
        Tried::Bad(format!("resolves to {}, not to {}", list(&found), list(&missing)))
    }
}

/// The innermost cause: what went wrong, without the layers around it.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl<K: Clock + Send + Sync> Outside for Here<K> {
    async fn ask(&self, probe: &ProbeSpec) -> Tried {
        let asked = async {
            match &probe.target {
                Target::Http(http) => self.http(http).await,
                Target::Tcp { host, port } => tcp(host, *port).await,
                Target::Dns { name, expect } => dns(name, expect).await,
            }
        };
        let none = |limit: Duration| Tried::Bad(format!("no answer within {} s", limit.as_secs()));
        tokio::time::timeout(probe.timeout, asked).await.unwrap_or_else(|_| none(probe.timeout))
    }

    async fn run(&self, spec: &CommandSpec) -> Tried {
        command::run(spec, &*self.read).await
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::AnyClock;
    use crate::domain::settle::health::probe::Vantage;

    /// Answers one request with `answer`; returns the address, and what was asked.
    async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (address, asked)
    }

    fn probe(target: Target) -> ProbeSpec {
        ProbeSpec { name: "a".to_owned(), target, from: Vantage::Here, timeout: Duration::from_secs(20) }
    }

    fn http(address: &str, contains: Option<&str>, token: Option<&str>) -> ProbeSpec {
        probe(Target::Http(Box::new(HttpTarget {
            url: format!("http://{address}/health").parse().unwrap(),
            status: vec![200..=299],
            contains: contains.map(str::to_owned),
            certificate_days: None,
            token_variable: token.map(str::to_owned),
        })))
    }

    fn here(probe: &ProbeSpec) -> Here<AnyClock> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let trials = Trials { probes: vec![probe.clone()], ..Trials::default() };
        let read = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
        Here::new(&trials, AnyClock::System, read).unwrap()
    }

    #[rstest]
    #[case("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Some("ok"), Tried::Good("answered 200".to_owned()))]
    #[case("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno", Some("ok"), Tried::Bad("answered 200 without the text".to_owned()))]
    #[case("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", None, Tried::Bad("answered 503".to_owned()))]
    #[case("HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n", None, Tried::Bad("answered 302".to_owned()))]
    #[tokio::test]
    async fn answer_must_be_as_expected(
        #[case] answer: &'static str,
        #[case] contains: Option<&str>,
        #[case] expected: Tried,
    ) {
        let (address, asked) = server(answer).await;
        let probe = http(&address, contains, None);
        assert_eq!(here(&probe).ask(&probe).await, expected);
        assert!(asked.await.unwrap().starts_with("GET /health HTTP/1.1"));
    }

    #[tokio::test]
    async fn token_is_sent_and_never_told() {
        let (address, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let probe = http(&address, None, Some("TOKEN"));
        let here = here(&probe);
        assert!(!format!("{here:?}").contains("hunter2"));
        assert!(matches!(here.ask(&probe).await, Tried::Good(_)));
        assert!(asked.await.unwrap().contains("authorization: Bearer hunter2"));
    }

    #[tokio::test]
    async fn token_that_is_not_set_is_no_failure_of_the_server() {
        let probe = http("127.0.0.1:1", None, Some("UNSET"));
        assert!(matches!(here(&probe).ask(&probe).await, Tried::Not(_)));
    }

    #[tokio::test]
    async fn closed_port_is_bad_and_open_one_is_good() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = probe(Target::Tcp { host: "127.0.0.1".to_owned(), port });
        assert_eq!(here(&open).ask(&open).await, Tried::Good("connected".to_owned()));
        drop(listener);
        assert!(matches!(here(&open).ask(&open).await, Tried::Bad(_)));
        let closed = http(&format!("127.0.0.1:{port}"), None, None);
        assert!(matches!(here(&closed).ask(&closed).await, Tried::Bad(_)));
    }

    #[tokio::test]
    async fn name_must_resolve_to_what_is_expected() {
        let name = |expect: &[&str]| {
            let expect = expect.iter().map(|address| address.parse().unwrap()).collect();
            probe(Target::Dns { name: "127.0.0.1".to_owned(), expect })
        };
        let good = name(&["127.0.0.1"]);
        assert_eq!(here(&good).ask(&good).await, Tried::Good("resolves to 127.0.0.1".to_owned()));
        let other = name(&["192.0.2.1"]);
        assert_eq!(
            here(&other).ask(&other).await,
            Tried::Bad("resolves to 127.0.0.1, not to 192.0.2.1".to_owned())
        );
    }

    #[tokio::test]
    async fn server_that_says_nothing_is_waited_for_no_longer_than_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut silent = http(&listener.local_addr().unwrap().to_string(), None, None);
        silent.timeout = Duration::from_millis(50);
        assert_eq!(here(&silent).ask(&silent).await, Tried::Bad("no answer within 0 s".to_owned()));
    }
}
