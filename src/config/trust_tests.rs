//! What a configuration that lies in the repository may not do, and that secrets are never repeated.

use super::tests::{errors, errors_from, origin, read};
use super::*;

#[test]
fn secrets_written_into_the_file_are_not_repeated() {
    for text in [
        "detection: {helm: {repository: 'https://me:hunter2@example.com/x'}}\n",
        "detection: {helm: {repository: 'ssh://me:hunter2@example.com/x'}}\n",
        "upstreams: {map: [{from: 'https://me:hunter2@example.com', to: 'https://me:hunter2@example.com'}]}\n",
        "upstreams: {hosts: {ghcr.io: {token_env: 'hunter2-hunter2'}}}\n",
        "upstreams: {github: {api_url: 'https://hunter2@example.com'}}\n",
    ] {
        for trust in [Trust::Repository, Trust::User] {
            let told = errors_from(trust, text).join("\n");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn repository_may_not_choose_who_is_sent_which_secret() {
    for text in [
        "upstreams: {hosts: {evil.example: {token_env: GITHUB_TOKEN}}}\n",
        "upstreams: {hosts: {evil.example: {token_env: GITOPS_UPDATER_GITHUB_TOKEN}}}\n",
        "upstreams: {hosts: {evil.example: {token_env: GITOPS_UPDATER_HOST_GHCR_IO_TOKEN}}}\n",
        "upstreams: {hosts: {ghcr-io.example: {username_env: GITOPS_UPDATER_HOST_GHCR_IO_EXAMPLE_USERNAME, password_env: GITOPS_UPDATER_HOST_GHCR_IO_EXAMPLE_PASSWORD}}}\n",
        "upstreams: {hosts: {a: {token_env: GITOPS_UPDATER_HOST_A_B_TOKEN}}}\n",
        "upstreams: {hosts: {a_b: {token_env: GITOPS_UPDATER_HOST_A_B_TOKEN}}}\n",
        "upstreams: {hosts: {ghcr.io: {token_env: GITOPS_UPDATER_HOST_GHCR_IO_TOKEN, plain_http: true}}}\n",
        "upstreams: {github: {token_env: AWS_SECRET_ACCESS_KEY}}\n",
        "upstreams: {github: {api_url: 'https://evil.example', token_env: GITOPS_UPDATER_HOST_API_GITHUB_COM_TOKEN}}\n",
        "upstreams: {github: {api_url: 'http://ghes.example/api/v3'}}\n",
        "upstreams: {docker_config: ./config.json}\n",
        "upstreams: {credential_helpers: true}\n",
        "upstreams: {map: [{from: 'https://a.example', to: ../outside}]}\n",
        "upstreams: {map: [{from: 'https://a.example', to: /etc}]}\n",
        "upstreams: {map: [{from: 'https://a.example', to: a/../../b}]}\n",
    ] {
        assert!(errors(text).iter().any(|error| error.contains("--config")), "{text}");
        assert!(parse(text, &origin(Trust::User)).is_ok(), "{text}");
    }
}

#[test]
fn variables_named_for_their_host_are_accepted_from_the_repository() {
    let config = read(
        "upstreams:
  hosts:
    my-registry.example.com:5000: {token_env: GITOPS_UPDATER_HOST_MY__REGISTRY_EXAMPLE_COM___5000_TOKEN}
    insecure.example: {plain_http: true, concurrency: 2}
  github: {api_url: 'https://ghes.example/api/v3'}
",
    );
    let host = &config.upstreams.hosts[&Host::read("my-registry.example.com:5000").unwrap()];
    assert_eq!(
        host.credentials,
        Some(CredentialVariables::Token(
            "GITOPS_UPDATER_HOST_MY__REGISTRY_EXAMPLE_COM___5000_TOKEN".to_owned()
        ))
    );
    let insecure = &config.upstreams.hosts[&Host::read("insecure.example").unwrap()];
    assert!(insecure.plain_http && !insecure.credentials_by_http);
    assert!(!config.upstreams.github.trusts_api_url);
}

#[test]
fn folders_cannot_be_mapped_from_a_revision() {
    let origin = Origin { folder: None, ..origin(Trust::Repository) };
    let findings = parse("upstreams: {map: [{from: 'https://a.example', to: ./a}]}\n", &origin).unwrap_err();
    assert!(findings[0].message.contains("has no work tree"), "{}", findings[0].message);
}

#[test]
fn mapped_folder_does_not_permit_links_out_of_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repo");
    std::fs::create_dir_all(repository.join("mirror")).unwrap();
    std::fs::write(repository.join("mirror/inside"), "").unwrap();
    std::fs::write(folder.path().join("outside"), "").unwrap();
    std::os::unix::fs::symlink("../../outside", repository.join("mirror/link")).unwrap();
    let target = MapTarget::Path { path: repository.join("mirror"), within: Some(repository.clone()) };
    assert!(target.permits(&repository.join("mirror/inside")));
    assert!(!target.permits(&repository.join("mirror/link")));
    assert!(!target.permits(&repository.join("mirror/none")));
}

#[test]
fn folder_beside_a_configuration_further_down_is_within_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repo");
    std::fs::create_dir_all(repository.join("lab")).unwrap();
    let file = repository.join("lab/../lab").join(FILE_NAME);
    for (to, accepted) in [("../mirror", true), ("./x", true), ("../../mirror", false)] {
        let text = format!("upstreams: {{map: [{{from: 'https://a.example', to: {to}}}]}}\n");
        std::fs::write(&file, text).unwrap();
        let loaded = load(&file, Some(&repository));
        assert_eq!(loaded.is_ok(), accepted, "{to}");
        assert!(load(&file, None).is_ok());
        if let Ok(config) = loaded {
            let within = repository.canonicalize().unwrap();
            assert!(
                matches!(&config.upstreams.map[0].to, MapTarget::Path { within: Some(folder), .. } if *folder == within)
            );
        }
    }
}

#[test]
fn user_and_password_go_together() {
    assert_eq!(
        errors_from(
            Trust::User,
            "upstreams: {hosts: {a: {username_env: U}, b: {password_env: P, token_env: T}}}\n"
        ),
        [
            "1:24: upstreams.hosts.a: `password_env` is missing; user name and password go together",
            "1:46: upstreams.hosts.b: give `token_env`, or `username_env` and `password_env`, not both",
        ]
    );
}
