//! Credentials that `docker login` left behind.

use std::io::{Cursor, Read as _};
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::SecretString;

use crate::upstream::credentials::Credential;

/// Most bytes of docker's `config.json`.
const CONFIG_LIMIT: u64 = 1 << 20;

/// Credentials for a registry.
#[derive(Debug, Clone)]
pub(super) enum Login {
    Header(SecretString),
    /// An OAuth2 refresh token, as `docker login` keeps it for some registries.
    Identity(SecretString),
}

/// What docker's `config.json` has for `server`; `None` where it has nothing. Programs that it names
/// are run only with `helpers`.
pub(super) fn docker_login(config: &Path, server: &str, helpers: bool) -> Result<Option<Login>, String> {
    let mut text = Vec::new();
    match std::fs::File::open(config) {
        Ok(file) => {
            file.take(CONFIG_LIMIT).read_to_end(&mut text).map_err(|error| error.kind().to_string())?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.kind().to_string()),
    };
    if !helpers {
        // serde's own message may quote what it did not expect.
        let mut json: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| format!("not JSON at line {}", error.line()))?;
        if let Some(object) = json.as_object_mut() {
            object.remove("credsStore");
            object.remove("credHelpers");
        }
        text = json.to_string().into_bytes();
    }
    match docker_credential::get_credential_from_reader(Cursor::new(text), server) {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(Login::Header(
            Credential::Basic { username, password: SecretString::from(password) }.header(),
        ))),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::Identity(SecretString::from(token)))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What a helper printed may hold secrets and is not repeated. Docker's helpers fail where they
        // have nothing stored, which is no reason not to ask as nobody.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            tracing::debug!(helper, server, "docker credential helper has no credentials");
            Ok(None)
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn config(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn header(login: Option<Login>) -> Option<String> {
        match login? {
            Login::Header(header) => Some(header.expose_secret().to_owned()),
            Login::Identity(token) => Some(format!("identity {}", token.expose_secret())),
        }
    }

    #[test]
    fn docker_credentials_are_found_by_registry() {
        // "dXNlcjpwYXNz" is "user:pass".
        let (_folder, path) = config(
            r#"{"auths": {"ghcr.io": {"auth": "dXNlcjpwYXNz"}, "a.azurecr.io": {"auth": "dXNlcjo=", "identitytoken": "refresh"}}}"#,
        );
        let found = |server| header(docker_login(&path, server, false).unwrap());
        assert_eq!(found("ghcr.io").as_deref(), Some("Basic dXNlcjpwYXNz"));
        assert_eq!(found("a.azurecr.io").as_deref(), Some("identity refresh"));
        assert_eq!(found("quay.io"), None);
        assert!(docker_login(Path::new("/nonexistent/config.json"), "ghcr.io", false).unwrap().is_none());
    }

    #[test]
    fn a_broken_docker_configuration_is_told_without_its_content() {
        let (_folder, path) = config("{\"auths\": {\"ghcr.io\": secret");
        assert_eq!(docker_login(&path, "ghcr.io", false).unwrap_err(), "not JSON at line 1");
    }

    #[test]
    fn helpers_are_not_run_unless_allowed() {
        // With helpers allowed the program is missed, which proves that it is looked for.
        let (_folder, path) = config(r#"{"credHelpers": {"ghcr.io": "gitops-updater-no-such-helper"}}"#);
        assert!(docker_login(&path, "ghcr.io", false).unwrap().is_none());
        assert!(docker_login(&path, "ghcr.io", true).is_err());
    }
}
