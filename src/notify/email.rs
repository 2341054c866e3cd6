//! E-mail by SMTP, always encrypted: `smtps://` from the first byte, `smtp://` by STARTTLS, which must succeed.

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials as Login;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use secrecy::ExposeSecret as _;
use url::Url;

use super::Message;
use super::text::{self, defused, lines, outline};
use crate::app::notify::NotSent;
use crate::upstream::credentials::{Credential, Credentials};
use crate::upstream::failure::permanent;
use crate::upstream::http::Http;
use crate::upstream::retry::{self, Refused};

/// Most characters of a body.
const TEXT_LIMIT: usize = 20_000;
const SUBJECT_LIMIT: usize = 150;
/// Most characters of a server's answer that are shown.
const SHOWN: usize = 160;

/// Who it is for.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a [String],
}

/// Sends one mail to all recipients.
pub(super) async fn send(
    url: &Url,
    envelope: Envelope<'_>,
    message: Message<'_>,
    credentials: &Credentials,
    http: &Http,
) -> Result<(), NotSent> {
    let mail = mail(&envelope, message)?;
    let transport = transport(url, credentials, http.timeout())?;
    let shown = super::origin(url);
    let attempt = || async {
        transport.send(mail.clone()).await.map(drop).map_err(|error| {
            let message = format!("cannot send by `{shown}`: {}", text::line(&error.to_string(), SHOWN));
            // What the server refuses for good, and what makes no sense; everything else may pass.
            if error.is_permanent() || error.is_client() {
                Refused::for_good(permanent(message))
            } else {
                Refused::for_now(message)
            }
        })
    };
    let sent = retry::run(http, &shown, http.retry(), attempt).await;
    sent.map_err(|failure| NotSent { reason: failure.message })
}

fn mail(envelope: &Envelope<'_>, message: Message<'_>) -> Result<Mail, NotSent> {
    let wrong =
        |what: &str| NotSent { reason: format!("`{}` is not an e-mail address", text::line(what, 100)) };
    let mailbox = |address: &str| address.parse::<Mailbox>().map_err(|_| wrong(address));
    let outline = outline(message);
    let mut body = lines(&outline.parts, TEXT_LIMIT, |part, text| part.plain().replace(part.text(), &text));
    if let Some(link) = &outline.link {
        body.push_str(&format!("\n\n{link}"));
    }
    let host = envelope.from.rsplit('@').next().unwrap_or("localhost");
    let mut mail = Mail::builder()
        .from(mailbox(envelope.from)?)
        .subject(format!("[{}] {}", outline.severity, defused(&outline.title, SUBJECT_LIMIT)))
        // The same for a mail that is sent again, so that mail programs show it once.
        .message_id(Some(format!("<{}@{host}>", message.id)))
        .header(ContentType::TEXT_PLAIN);
    for address in envelope.to {
        mail = mail.to(mailbox(address)?);
    }
    mail.body(body).map_err(|error| NotSent { reason: format!("cannot write the mail: {error}") })
}

fn transport(
    url: &Url,
    credentials: &Credentials,
    timeout: std::time::Duration,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotSent> {
    let host = url.host_str().unwrap_or_default();
    let builder = match url.scheme() {
        "smtps" => AsyncSmtpTransport::<Tokio1Executor>::relay(host),
        _ => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(host),
    };
    let mut builder = builder
        .map_err(|error| NotSent {
            reason: format!("cannot set up TLS for `{}`: {error}", super::origin(url)),
        })?
        .timeout(Some(timeout));
    if let Some(port) = url.port() {
        builder = builder.port(port);
    }
    // Credentials are kept by host; that they go encrypted is as true here as for `https`.
    let key = Url::parse(&format!("https://{host}/")).ok();
    match key.as_ref().and_then(|key| credentials.for_url(key)) {
        Some(Credential::Basic { username, password }) => {
            builder = builder.credentials(Login::new(username.clone(), password.expose_secret().to_owned()));
        }
        Some(Credential::Bearer(_)) => {
            let reason = format!("`{host}` has a token and needs `username_env` and `password_env`");
            return Err(NotSent { reason });
        }
        None => {}
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::notify::{Event, Kind};

    /// A summary with line breaks could have added headers and recipients.
    #[test]
    fn no_text_becomes_a_header() {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        let event = Event::new(Kind::Held, "u", "x\r\nBcc: evil@example.com\r\n\r\nhello", now);
        let events = [&event];
        let message = Message { id: "0123", events: &events, repository: "acme/ops\r\nBcc: a@b.c" };
        let to = ["ops@example.com".to_owned()];
        let mail = mail(&Envelope { from: "bot@example.com", to: &to }, message).unwrap();
        let text = String::from_utf8(mail.formatted()).unwrap();
        let headers = text.split("\r\n\r\n").next().unwrap();
        assert!(headers.contains("Subject: [critical] Update held") && !headers.contains("Bcc"), "{text}");
        assert!(headers.contains("Message-ID: <0123@example.com>"), "{text}");
    }
}
