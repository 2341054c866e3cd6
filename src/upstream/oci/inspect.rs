//! What one tag holds: platforms, age, source and digest. Asked for chosen targets only.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::BTreeMap;

use super::{Repository, TAG_LIMIT};
use crate::domain::report::DeepChecks;
use crate::domain::upstream::UpstreamFailure;
use crate::upstream::context::Context;
use crate::upstream::failure::{not_found, permanent};

/// Most bytes of a manifest; registries refuse more than 4 MiB (OCI distribution specification).
const MANIFEST_LIMIT: u64 = 4 << 20;
/// Most bytes of an image's configuration.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Most platforms reported of one index.
const MOST_PLATFORMS: usize = 100;

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
const CHART_CONTENT: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const SOURCE: &str = "org.opencontainers.image.source";
const CREATED: &str = "org.opencontainers.image.created";

/// An index or a manifest; which one it is shows by what it has.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "nullable")]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType", default)]
    media_type: String,
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl Platform {
    /// `linux/arm64/v8`; `None` for what is no image (attestations are `unknown/unknown`).
    fn text(&self) -> Option<String> {
        let (os, architecture) = (self.os.as_deref()?, self.architecture.as_deref()?);
        if os.is_empty() || architecture.is_empty() || os == "unknown" || architecture == "unknown" {
            return None;
        }
        Some(match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => format!("{os}/{architecture}/{variant}"),
            _ => format!("{os}/{architecture}"),
        })
    }
}

#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
    #[serde(flatten)]
    platform: Platform,
    config: Option<Labels>,
}

#[derive(Deserialize)]
struct Labels {
    #[serde(rename = "Labels", default, deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

fn nullable<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<BTreeMap<String, String>, D::Error> {
    Option::deserialize(reader).map(Option::unwrap_or_default)
}

/// What the registry says of one tag: two requests for an image or a chart, three for an index.
///
/// For charts (`archive_available`) it says whether the manifest holds a chart archive; for images it
/// gives the platforms, and of the first of them when it was built and from which source.
///
/// # Errors
///
/// As [`tags`](super::tags), for the manifest; what cannot be read below it stays `None`.
pub async fn inspect(
    context: &Context,
    registry: &str,
    repository: &str,
    tag: &str,
) -> Result<DeepChecks, UpstreamFailure> {
    let repository = Repository::new(context, registry, repository)?;
    if !is_reference(tag) {
        return Err(permanent(format!(
            "cannot ask for `{}:{tag}`: no tag looks like that",
            repository.shown
        )));
    }
    let (top, digest) = manifest(&repository, tag).await?;
    let mut checks = DeepChecks { digest: Some(digest), ..DeepChecks::default() };
    learn_annotations(&mut checks, &top.annotations);

    let mut image = top;
    if !image.manifests.is_empty() {
        let platforms: Vec<_> = image
            .manifests
            .iter()
            .filter_map(|entry| Some((entry.platform.as_ref()?.text()?, entry.digest.clone())))
            .take(MOST_PLATFORMS)
            .collect();
        let first = platforms.iter().find(|(name, _)| name == "linux/amd64").or(platforms.first());
        let first = first.map(|(_, digest)| digest.clone()).filter(|digest| is_digest(digest));
        checks.platforms = Some(platforms.into_iter().map(|(name, _)| name).collect());
        let Some(digest) = first else { return Ok(checks) };
        match manifest(&repository, &digest).await {
            Ok((manifest, _)) => image = manifest,
            Err(reason) => {
                tracing::debug!(repository = repository.shown, %reason, "image of an index not read");
                return Ok(checks);
            }
        }
        learn_annotations(&mut checks, &image.annotations);
    }
    let Some(config) = image.config.filter(|config| is_digest(&config.digest)) else { return Ok(checks) };
    if config.media_type == CHART_CONFIG {
        checks.archive_available = Some(image.layers.iter().any(|layer| layer.media_type == CHART_CONTENT));
        return Ok(checks);
    }
    match fetch::<ImageConfig>(&repository, &format!("blobs/{}", config.digest), None, CONFIG_LIMIT).await {
        Ok((config, ..)) => learn_config(&mut checks, &config),
        Err(reason) => {
            tracing::debug!(repository = repository.shown, %reason, "image configuration not read")
        }
    }
    Ok(checks)
}

/// Most images of one tag whose manifests are asked for.
const MOST_IMAGES: usize = 8;

/// Whether an image can be pulled under a tag on every platform that the one under `installed` is there for: its
/// index, and the manifest of each of them (a registry that tidies up loses what no tag names).
///
/// # Errors
///
/// As [`tags`](super::tags); `NotFound` where the tag, a platform or one of its manifests is not there.
pub async fn pullable(
    context: &Context,
    registry: &str,
    repository: &str,
    tag: &str,
    installed: Option<&str>,
) -> Result<(), UpstreamFailure> {
    let repository = Repository::new(context, registry, repository)?;
    if !is_reference(tag) {
        return Err(permanent(format!(
            "cannot ask for `{}:{tag}`: no tag looks like that",
            repository.shown
        )));
    }
    let (top, _) = manifest(&repository, tag).await?;
    let offers = images(&top);
    // What is installed may be gone from the registry: then nobody says what it was there for.
    let before: Vec<String> = match installed.filter(|installed| *installed != tag && is_reference(installed))
    {
        Some(installed) => match manifest(&repository, installed).await {
            Ok((old, _)) => images(&old).into_iter().map(|(platform, _)| platform).collect(),
            Err(reason) => {
                tracing::debug!(repository = repository.shown, %reason, "installed image not read");
                Vec::new()
            }
        },
        None => Vec::new(),
    };
    let offered: Vec<String> = match offers.is_empty() {
        false => offers.iter().map(|(platform, _)| platform.clone()).collect(),
        true if before.is_empty() => return Ok(()),
        // One image alone: its configuration says what it is for.
        true => match top.config.filter(|config| is_digest(&config.digest)) {
            Some(config) => {
                let rest = format!("blobs/{}", config.digest);
                let (config, ..) = fetch::<ImageConfig>(&repository, &rest, None, CONFIG_LIMIT).await?;
                config.platform.text().into_iter().collect()
            }
            None => return Ok(()),
        },
    };
    let missing = before.iter().find(|was| !offered.iter().any(|is| same_platform(was, is)));
    if let Some(missing) = missing {
        let installed = installed.unwrap_or_default();
        return Err(not_found(format!(
            "`{}:{tag}` is not there for {missing}, as {installed} is",
            repository.shown
        )));
    }
    let needed = offers
        .iter()
        .filter(|(platform, _)| before.is_empty() || before.iter().any(|was| same_platform(was, platform)));
    for (platform, digest) in needed.take(MOST_IMAGES) {
        if let Err(failure) = manifest(&repository, digest).await {
            let message = format!("`{}:{tag}` for {platform}: {failure}", repository.shown);
            return Err(UpstreamFailure { message, ..failure });
        }
    }
    Ok(())
}

/// Platforms of an index with the digests of their images.
fn images(index: &Manifest) -> Vec<(String, String)> {
    let images = index.manifests.iter().filter(|entry| is_digest(&entry.digest));
    images
        .filter_map(|entry| Some((entry.platform.as_ref()?.text()?, entry.digest.clone())))
        .take(MOST_PLATFORMS)
        .collect()
}

/// `linux/arm64` is `linux/arm64/v8`: that is the variant where none is named (containerd, `platforms.Normalize`).
fn same_platform(one: &str, other: &str) -> bool {
    let plain = |platform: &str| platform.strip_suffix("/v8").unwrap_or(platform).to_owned();
    plain(one) == plain(other)
}

/// The archive of a chart, as the registry has it under a tag: two requests.
///
/// # Errors
///
/// As [`tags`](super::tags); what the tag holds is no chart, or not what its digest says.
pub async fn chart_archive(
    context: &Context,
    registry: &str,
    repository: &str,
    tag: &str,
    limit: u64,
) -> Result<bytes::Bytes, UpstreamFailure> {
    let repository = Repository::new(context, registry, repository)?;
    if !is_reference(tag) {
        return Err(permanent(format!(
            "cannot ask for `{}:{tag}`: no tag looks like that",
            repository.shown
        )));
    }
    let (top, _) = manifest(&repository, tag).await?;
    let layer = top.layers.iter().find(|layer| layer.media_type == CHART_CONTENT);
    let Some(digest) = layer.map(|layer| &layer.digest).filter(|digest| is_digest(digest)) else {
        return Err(repository.unreadable(tag, &"it holds no chart archive"));
    };
    let rest = format!("blobs/{digest}");
    let got = repository.get(&repository.url(&format!("./{rest}"))?, None, limit).await?;
    let bytes = got.body.bytes(limit).map_err(|error| repository.unreadable(&rest, &error))?;
    if !is_content_of(digest, &bytes) {
        return Err(repository.unreadable(&rest, &"its content is not what its digest says"));
    }
    Ok(bytes)
}

/// Whether a digest is that of these bytes.
pub(crate) fn is_content_of(digest: &str, bytes: &[u8]) -> bool {
    let hex = |sum: &[u8]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match digest.split_once(':') {
        Some(("sha256", wanted)) => wanted.eq_ignore_ascii_case(&hex(&Sha256::digest(bytes))),
        Some(("sha512", wanted)) => wanted.eq_ignore_ascii_case(&hex(&Sha512::digest(bytes))),
        _ => false,
    }
}

async fn manifest(
    repository: &Repository<'_>,
    reference: &str,
) -> Result<(Manifest, String), UpstreamFailure> {
    let rest = format!("manifests/{reference}");
    let (manifest, bytes, named) = fetch(repository, &rest, Some(ACCEPT), MANIFEST_LIMIT).await?;
    // The digest of a manifest is that of its bytes; the header only saves the work for sha512 ones.
    let digest = match named.filter(|named| is_digest(named) && !named.starts_with("sha256:")) {
        Some(named) => named,
        None => {
            let hex: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("sha256:{hex}")
        }
    };
    if is_digest(reference) && reference.starts_with("sha256:") && reference != digest {
        return Err(repository.unreadable("a manifest", &"its content is not what its digest says"));
    }
    Ok((manifest, digest))
}

/// A JSON document of the repository, its bytes, and the digest that the registry named.
async fn fetch<T: DeserializeOwned>(
    repository: &Repository<'_>,
    rest: &str,
    accept: Option<&str>,
    limit: u64,
) -> Result<(T, bytes::Bytes, Option<String>), UpstreamFailure> {
    // `./` keeps the colon of a digest from being taken for a scheme.
    let url = repository.url(&format!("./{rest}"))?;
    let got = repository.get(&url, accept, limit).await?;
    let bytes = got.body.bytes(limit).map_err(|error| repository.unreadable(rest, &error))?;
    let named =
        got.headers.get("docker-content-digest").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let value = serde_json::from_slice(&bytes).map_err(|error| repository.unreadable(rest, &error))?;
    Ok((value, bytes, named))
}

fn learn_annotations(checks: &mut DeepChecks, annotations: &BTreeMap<String, String>) {
    if checks.source.is_none() {
        checks.source = annotations.get(SOURCE).cloned();
    }
    if checks.image_created.is_none() {
        checks.image_created = annotations.get(CREATED).and_then(|text| moment(text));
    }
}

fn learn_config(checks: &mut DeepChecks, config: &ImageConfig) {
    if checks.platforms.is_none() {
        checks.platforms = config.platform.text().map(|platform| vec![platform]);
    }
    if let Some(created) = config.created.as_deref().and_then(moment) {
        checks.image_created = Some(created);
    }
    let label = config.config.as_ref().and_then(|inner| inner.labels.get(SOURCE));
    if let Some(source) = label.filter(|source| !source.is_empty()) {
        checks.source = Some(source.clone());
    }
}

/// A time of an image. Reproducible builds write 1970 or 1980, which says nothing about age.
fn moment(text: &str) -> Option<Timestamp> {
    let parsed: Timestamp = text.parse().ok()?;
    (parsed.as_second() > 400_000_000).then_some(parsed)
}

fn is_reference(tag: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    is_digest(tag)
        || !tag.is_empty() && tag.len() <= TAG_LIMIT && !tag.starts_with(['.', '-']) && tag.bytes().all(plain)
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attestations_are_no_platforms() {
        let platform = |os: &str, architecture: &str, variant: Option<&str>| Platform {
            os: Some(os.to_owned()),
            architecture: Some(architecture.to_owned()),
            variant: variant.map(str::to_owned),
        };
        assert_eq!(platform("linux", "arm64", Some("v8")).text().as_deref(), Some("linux/arm64/v8"));
        assert_eq!(platform("linux", "amd64", None).text().as_deref(), Some("linux/amd64"));
        assert_eq!(platform("unknown", "unknown", None).text(), None);
        assert_eq!(Platform { os: None, architecture: None, variant: None }.text(), None);
    }

    #[test]
    fn a_reproducible_builds_date_is_no_age() {
        assert_eq!(moment("1970-01-01T00:00:00Z"), None);
        assert_eq!(moment("1980-01-01T00:00:01Z"), None);
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert!(moment("2026-08-07T14:22:55.123456789Z").is_some());
    }

    #[test]
    fn variant_that_is_understood_is_no_other_platform() {
        assert!(same_platform("linux/arm64", "linux/arm64/v8"));
        assert!(!same_platform("linux/arm/v6", "linux/arm/v7"));
        assert!(!same_platform("linux/amd64", "linux/arm64"));
    }

    #[test]
    fn references_that_would_leave_their_path_are_refused() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for good in ["v1.2.3", "1.2_3-alpine", "latest", &digest] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "a?b", "a:b", "sha256:abc", "md5:00", &"a".repeat(129)] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn null_annotations_and_labels_are_none() {
        let manifest: Manifest = serde_json::from_str(r#"{"annotations": null}"#).unwrap();
        assert!(manifest.annotations.is_empty());
        let config: ImageConfig =
            serde_json::from_str(r#"{"os": "linux", "config": {"Labels": null}}"#).unwrap();
        assert!(config.config.unwrap().labels.is_empty());
    }
}
