use std::path::Path;

use gitops_updater::config::{self, Error, FILE_NAME, Origin, Trust};

/// A configuration is read, or every error names its line; settings can be asked of one that was read.
///
/// The first byte says who wrote it.
pub fn config(bytes: &[u8]) {
    let Some((selector, body)) = bytes.split_first() else { return };
    let trust = if selector % 2 == 0 { Trust::Repository } else { Trust::User };
    // A folder that does not exist: nothing is read from the machine.
    let folder = Path::new("/nonexistent/repository");
    let origin = Origin {
        name: FILE_NAME,
        trust,
        folder: Some(folder),
        repository: (trust == Trust::Repository).then_some(folder),
    };
    match config::from_bytes(body.to_vec(), &origin) {
        Ok(config) => {
            for (id, kind) in [("k3s", "k3s"), ("staging:helm/a/b", "helm"), ("image/docker.io/a/b", "image")]
            {
                let _settings = config.settings_for(id, kind);
            }
        }
        Err(Error::Invalid { findings, .. }) => {
            assert!(!findings.is_empty());
            let lines = body.iter().filter(|byte| **byte == b'\n').count() + 1;
            for finding in findings {
                // YAML also ends lines at a carriage return alone.
                let returns = body.iter().filter(|byte| **byte == b'\r').count();
                assert!((1..=lines + returns).contains(&finding.line), "{finding:?}");
                assert!(finding.column >= 1 && !finding.message.is_empty(), "{finding:?}");
            }
        }
        Err(Error::NotText { .. }) => assert!(std::str::from_utf8(body).is_err()),
        Err(error) => panic!("{error:?}"),
    }
}
