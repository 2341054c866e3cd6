//! The JSON Web Token by which a GitHub App says who it is.
//!
//! Signed here, with ring: the crates that do it bring another cryptographic library, or one with a known weakness.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use secrecy::{ExposeSecret as _, SecretString};

/// How far back a token begins, because clocks differ
/// (GitHub docs, "Generating a JSON Web Token (JWT) for a GitHub App").
const SECONDS_BEFORE: i64 = 60;
/// How long it lasts from now on; GitHub accepts ten minutes at most.
const SECONDS_AFTER: i64 = 9 * 60;

/// Why a private key cannot be used. Says nothing about its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM block `RSA PRIVATE KEY` or `PRIVATE KEY`, or one that is broken.
    #[error("the private key of the GitHub App is no PEM file with an RSA key")]
    Pem,
    /// Not an RSA key of 2048 bits or more.
    #[error("the private key of the GitHub App is refused: {0}")]
    Refused(String),
}

/// The private key of a GitHub App.
pub(super) struct Signer {
    issuer: String,
    key: RsaKeyPair,
}

impl Signer {
    /// Reads a key as GitHub hands it out (PKCS #1), or as OpenSSL 3 converts it (PKCS #8). `issuer` is the client id
    /// or the id of the App.
    pub(super) fn new(issuer: &str, pem: &SecretString) -> Result<Self, KeyError> {
        let (label, der) = decoded(pem.expose_secret()).ok_or(KeyError::Pem)?;
        let key = match label {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            _ => return Err(KeyError::Pem),
        };
        let key = key.map_err(|refused| KeyError::Refused(refused.to_string()))?;
        Ok(Self { issuer: issuer.to_owned(), key })
    }

    /// A token that is good for some minutes from `now` on.
    pub(super) fn token(&self, now: Timestamp) -> Result<SecretString, KeyError> {
        let claims = serde_json::json!({
            "iat": now.as_second() - SECONDS_BEFORE,
            "exp": now.as_second() + SECONDS_AFTER,
            "iss": self.issuer,
        });
        let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| KeyError::Refused("it cannot sign".to_owned()))?;
        Ok(SecretString::from(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// Label and content of the first PEM block. Keys in environment variables often have `\n` for the line ends.
fn decoded(pem: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body = body.replace("\\n", "");
    let body: String = body.chars().filter(|character| !character.is_whitespace()).collect();
    Some((label, STANDARD.decode(body).ok()?))
}
