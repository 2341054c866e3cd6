//! What moving a component writes, found by the embedded rules.

use rstest::rstest;

use super::resolved;
use crate::domain::component::Component;
use crate::domain::edit::{Changes, Draft, EditError, Generated, Options, Ranges, apply, replacements};
use crate::domain::upstream::Candidate;

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn component(files: &[(&str, &str)], id: &str) -> Component {
    let found = resolved(files).components;
    let ids: Vec<_> = found.iter().map(|component| component.id.clone()).collect();
    found.into_iter().find(|component| component.id == id).unwrap_or_else(|| panic!("no `{id}` in {ids:?}"))
}

fn version(text: &str) -> Candidate {
    Candidate { version: text.to_owned(), ..Candidate::default() }
}

/// The files after an edit, and what was left alone.
fn edited(
    files: &[(&str, &str)],
    id: &str,
    from: Option<&str>,
    to: &Candidate,
    options: Options,
) -> Result<(Vec<String>, Changes), EditError> {
    let component = component(files, id);
    let changes = replacements(&component, from.map(version).as_ref(), to, options)?;
    let texts = files
        .iter()
        .map(|(path, text)| {
            let own: Vec<_> = changes.replacements.iter().filter(|one| one.file == *path).cloned().collect();
            apply(path, text.as_bytes(), &own).map(|bytes| String::from_utf8(bytes).unwrap())
        })
        .collect::<Result<_, _>>()?;
    Ok((texts, changes))
}

fn plan(name: &str, version: &str) -> String {
    format!(
        "apiVersion: upgrade.cattle.io/v1\nkind: Plan\nmetadata: {{name: {name}, namespace: system-upgrade}}\nspec:\n  version: {version}  # keep\n  upgrade:\n    image: \"rancher/k3s-upgrade\"\n"
    )
}

#[test]
fn every_pin_of_k3s_moves_in_its_own_form_and_other_copies_stay() {
    let server = plan("server", "v1.33.4+k3s1").replace("k3s-upgrade\"", "k3s-upgrade:v1.33.4-k3s1\"");
    let files = [
        ("server.yaml", server.as_str()),
        ("agent.yaml", &plan("agent", "'v1.33.4-k3s1'")),
        ("group_vars/all.yml", "k3s_version: 1.33.4+k3s1\r\nother: 1\r\n"),
        ("old/all.yml", "k3s_version: v1.31.1+k3s1\n"),
    ];
    let (texts, changes) =
        edited(&files, "k3s", Some("v1.33.4+k3s1"), &version("v1.34.1+k3s2"), Options::default()).unwrap();
    assert!(texts[0].contains("  version: v1.34.1+k3s2  # keep\n"), "{}", texts[0]);
    assert!(texts[0].contains("\"rancher/k3s-upgrade:v1.34.1-k3s2\""), "{}", texts[0]);
    assert!(texts[1].contains("version: 'v1.34.1-k3s2'"), "{}", texts[1]);
    assert_eq!(texts[2], "k3s_version: 1.34.1+k3s2\r\nother: 1\r\n");
    assert_eq!(texts[3], files[3].1);
    let left: Vec<_> =
        changes.left_alone.iter().map(|left| (left.file.as_str(), left.reason.as_str())).collect();
    assert_eq!(left, [("old/all.yml", "it is a copy that says `v1.31.1+k3s1`, not `v1.33.4-k3s1`")]);
}

fn release(version: &str) -> String {
    format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: app, namespace: apps}}\nspec:\n  chart:\n    spec:\n      chart: app\n      version: {version}\n      sourceRef: {{kind: HelmRepository, name: charts}}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: charts, namespace: apps}}\nspec: {{url: https://charts.example.org}}\n"
    )
}

#[rstest]
#[case::plain("1.2.3", Some("1.2.3"), "1.3.0", "1.3.0")]
#[case::with_a_letter("v1.2.3", Some("1.2.3"), "1.3.0", "v1.3.0")]
#[case::quoted("\"1.2.3\"", Some("1.2.3"), "v1.3.0", "\"v1.3.0\"")]
#[case::single_quotes("'1.2.3'", None, "v1.3.0", "'1.3.0'")]
#[case::equal_sign("'=1.2.3'", Some("1.2.3"), "1.3.0", "'=1.3.0'")]
#[case::build("1.2.3", Some("1.2.3"), "1.3.0+up1.0.0", "1.3.0+up1.0.0")]
#[case::anchor("&v 1.2.3", Some("1.2.3"), "1.3.0", "&v 1.3.0")]
fn charts_keep_the_form_of_their_version(
    #[case] written: &str,
    #[case] from: Option<&str>,
    #[case] to: &str,
    #[case] expected: &str,
) {
    let (before, after) = (release(written), release(expected));
    let (texts, _) =
        edited(&[("app.yaml", &before)], "helm/apps/app", from, &version(to), Options::default()).unwrap();
    assert_eq!(texts[0], after);
}

#[rstest]
#[case::tilde("~1.9", "~1.10")]
#[case::wild_card("1.9.x", "1.10.x")]
#[case::ends("'>=1.9 <1.10'", "'>=1.9 <1.11'")]
#[case::quoted_number("\"1.9\"", "\"1.10\"")]
fn ranges_move_only_where_that_was_chosen(#[case] written: &str, #[case] expected: &str) {
    let (before, after) = (release(written), release(expected));
    let files = [("app.yaml", before.as_str())];
    let to = version("1.10.2");
    let refused = edited(&files, "helm/apps/app", None, &to, Options::default()).unwrap_err();
    assert!(matches!(refused, EditError::NotPinned { .. }), "{refused}");
    let widen = Options { ranges: Ranges::Widen, ..Options::default() };
    assert_eq!(edited(&files, "helm/apps/app", None, &to, widen).unwrap().0[0], after);
}

#[test]
fn a_version_that_would_be_read_as_another_number_is_refused() {
    let widen = Options { ranges: Ranges::Widen, ..Options::default() };
    let before = release("1.9");
    let refused =
        edited(&[("app.yaml", &before)], "helm/apps/app", None, &version("1.10.2"), widen).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot write `1.10` at app.yaml:8 (`/spec/chart/spec/version`): `1.10` without quotes is read as a number; quote the value"
    );
    // What a reader makes of 1.11 is 1.11.
    let moved = edited(&[("app.yaml", &before)], "helm/apps/app", None, &version("1.11.2"), widen).unwrap();
    assert_eq!(moved.0[0], release("1.11"));
}

fn pod(image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: n}}\nspec:\n  containers:\n    - {{name: c, image: {image}}}\n"
    )
}

#[test]
fn a_digest_moves_with_its_tag_or_nothing_moves() {
    let before = pod(&format!("ghcr.io/o/app:1.2.3@{OLD}"));
    let files = [("pod.yaml", before.as_str())];
    let id = "image/ghcr.io/o/app";
    let refused = edited(&files, id, None, &version("1.3.0"), Options::default()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "cannot change the version at pod.yaml:6: the digest `{OLD}` must move with the version, and that of `1.3.0` is not known"
        )
    );
    let to = Candidate { digest: Some(NEW.to_owned()), ..version("1.3.0") };
    let (texts, changes) = edited(&files, id, None, &to, Options::default()).unwrap();
    assert_eq!(texts[0], pod(&format!("ghcr.io/o/app:1.3.0@{NEW}")));
    assert_eq!(changes.replacements.len(), 2);
    // The same tag with another digest.
    let moved = Candidate { digest: Some(NEW.to_owned()), ..version("1.2.3") };
    let (texts, _) = edited(&files, id, None, &moved, Options::default()).unwrap();
    assert_eq!(texts[0], pod(&format!("ghcr.io/o/app:1.2.3@{NEW}")));
    for wrong in ["sha256:22", "md5:22222222222222222222222222222222", "sha256:x\n"] {
        let to = Candidate { digest: Some(wrong.to_owned()), ..version("1.3.0") };
        assert!(edited(&files, id, None, &to, Options::default()).is_err(), "{wrong}");
    }
}

#[test]
fn a_digest_that_stands_elsewhere_stops_the_change() {
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [pod.yaml]\nimages:\n  - name: ghcr.io/o/app\n    newTag: 1.2.3\n    digest: {OLD}\n"
    );
    let files = [("kustomization.yaml", kustomization.as_str()), ("pod.yaml", &pod("ghcr.io/o/app"))];
    let to = Candidate { digest: Some(NEW.to_owned()), ..version("1.3.0") };
    let (texts, _) = edited(&files, "image/ghcr.io/o/app", None, &to, Options::default()).unwrap();
    assert_eq!(texts[0], kustomization.replace("1.2.3", "1.3.0").replace(OLD, NEW));
    let mut held = component(&files, "image/ghcr.io/o/app");
    for pin in &mut held.pins {
        pin.digest = None;
    }
    let refused = replacements(&held, None, &to, Options::default()).unwrap_err();
    assert!(matches!(refused, EditError::Digest { .. }), "{refused}");
}

#[test]
fn generated_files_are_made_anew_by_others() {
    let gotk = "---\n# This manifest was generated by flux. DO NOT EDIT.\n# Flux Version: v2.9.4\n# Components: source-controller\napiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n";
    let files = [("flux-system/gotk-components.yaml", gotk)];
    let refused = edited(&files, "flux", None, &version("v2.9.5"), Options::default()).unwrap_err();
    assert_eq!(refused, EditError::Generated { file: files[0].0.to_owned() });
    let elsewhere = Options { generated: Generated::Elsewhere, ..Options::default() };
    let (texts, changes) = edited(&files, "flux", None, &version("v2.9.5"), elsewhere).unwrap();
    assert_eq!((texts[0].as_str(), changes.generated.as_slice()), (gotk, [files[0].0.to_owned()].as_slice()));
}

#[test]
fn values_inside_of_a_config_map_are_edited_and_read_back() {
    let text = |tag: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: v, namespace: n}}\ndata:\n  values.yaml: |\n    # comment\n    image:\n      repository: ghcr.io/o/app\n      tag: {tag}\n  other: x\n"
        )
    };
    let (before, id) = (text("1.2"), "image/ghcr.io/o/app");
    let files = [("values.yaml", before.as_str())];
    let (texts, _) = edited(&files, id, None, &version("1.3"), Options::default()).unwrap();
    assert_eq!(texts[0], text("1.3"));
    let refused = edited(&files, id, None, &version("1.20"), Options::default()).unwrap_err();
    assert!(matches!(refused, EditError::ReadsBack { .. }), "{refused}");
}

#[test]
fn a_file_that_sops_has_sealed_is_left_alone() {
    let sealed = |extra: &str| {
        release("1.2.3").replacen("---\n", &format!("sops:\n  mac: ENC[AES256_GCM,data:x]\n{extra}---\n"), 1)
    };
    let (to, id) = (version("1.3.0"), "helm/apps/app");
    let before = sealed("");
    let refused = edited(&[("app.yaml", &before)], id, None, &to, Options::default()).unwrap_err();
    assert_eq!(refused, EditError::Encrypted { file: "app.yaml".to_owned() });
    let before = sealed("  mac_only_encrypted: true\n");
    assert!(edited(&[("app.yaml", &before)], id, None, &to, Options::default()).is_ok());
}

#[test]
fn the_steps_of_a_campaign_are_drafted_one_after_the_other() {
    let before = release("1.9.0") + "---\n" + &pod("ghcr.io/o/app:1.2.3");
    let files = [("all.yaml", before.as_str())];
    let (chart, image) = (component(&files, "helm/apps/app"), component(&files, "image/ghcr.io/o/app"));
    let mut draft = Draft::new("all.yaml", before.as_bytes()).unwrap();
    let first = replacements(&chart, None, &version("1.10.0"), Options::default()).unwrap();
    draft.apply(&first.replacements).unwrap();
    let advanced = first.advance(&chart, &version("1.10.0"));
    let other = replacements(&image, None, &version("1.20.3"), Options::default()).unwrap();
    draft.apply(&other.replacements).unwrap();
    let second = replacements(&advanced, None, &version("1.11.0"), Options::default()).unwrap();
    assert_eq!(
        (second.replacements[0].old.as_str(), second.replacements[0].new.as_str()),
        ("1.10.0", "1.11.0")
    );
    draft.apply(&second.replacements).unwrap();
    assert_eq!(draft.text(), release("1.11.0") + "---\n" + &pod("ghcr.io/o/app:1.20.3"));
    // A step that was drafted is not there to be drafted again.
    assert!(matches!(draft.apply(&second.replacements), Err(EditError::Stale { .. })));
}

#[test]
fn nothing_but_the_pinned_text_is_trusted() {
    let before = release("1.2.3");
    let files = [("app.yaml", before.as_str())];
    let component = component(&files, "helm/apps/app");
    let changes = replacements(&component, None, &version("1.3.0"), Options::default()).unwrap();
    let moved = before.replacen("apps", "applications", 1);
    assert!(matches!(
        apply("app.yaml", moved.as_bytes(), &changes.replacements),
        Err(EditError::Stale { .. })
    ));
    assert!(matches!(apply("app.yaml", b"\xff", &changes.replacements), Err(EditError::NotText { .. })));
    for (new, reason) in [
        ("1.3.0 # x", "would be read as"),
        ("1.3.0\n---\na", "other documents"),
        ("1.3.0\n      other: x", "another structure"),
        ("'", "not be YAML"),
        ("true", "is no text"),
    ] {
        let mut hostile = changes.replacements.clone();
        hostile[0].new = new.to_owned();
        let refused = apply("app.yaml", before.as_bytes(), &hostile).unwrap_err().to_string();
        assert!(refused.contains(reason), "{new}: {refused}");
    }
    let mut misplaced = changes.replacements.clone();
    misplaced[0].route = "/spec/chart".to_owned();
    assert!(apply("app.yaml", before.as_bytes(), &misplaced).is_err());
}

#[test]
fn a_published_text_that_no_version_has_is_not_written() {
    let files = [("pod.yaml", &*pod("ghcr.io/o/app:1.2.3"))];
    for hostile in ["1.3.0\nx: y", "1.3.0\"", "1.3.0${X}", "1.3.0{{x}}"] {
        let refused =
            edited(&files, "image/ghcr.io/o/app", None, &version(hostile), Options::default()).unwrap_err();
        assert!(matches!(refused, EditError::Form { .. }), "{hostile}: {refused}");
    }
}
