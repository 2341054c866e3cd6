//! Reads one file: which objects it holds, where versions stand in it, and what later links need.
//!
//! A scan sees one file only. What depends on other files (namespaces, variables, sources, patches)
//! is recorded here and put together by `domain::resolve`.

mod annotation;
mod architecture;
mod flux;
mod image;
mod kustomize;
mod object;
mod passed_over;
mod pins;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use super::manifest::document::{Document, NodeId, Style};
use super::manifest::place::Lines;
use super::manifest::split;
use super::problem::Problem;
use super::rule::Rule;

pub(crate) use annotation::REACH as ANNOTATION_REACH;
pub use annotation::{Annotation, Marker};
pub use flux::{
    ArtifactCopy, FluxKustomization, FluxRelease, Source, SubstitutionPatch, SyncRoot, VariableSet, Waiting,
};
pub(crate) use image::locate as locate_image;
pub use image::{ImageReference, parse as parse_image};
pub(crate) use kustomize::Inner;
pub use kustomize::{JsonPatch, KustomizeFile, PatchFile, PatchTarget};
pub use object::{Marks, Object};
pub(crate) use pins::{Shape, shape, tag_and_digest};

/// A text in a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// 0-based document.
    pub document: usize,
    /// JSON Pointer in the document; empty where the text stands in no YAML value.
    pub route: String,
    /// Byte range in the file.
    pub span: Range<usize>,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// The bytes.
    pub text: String,
}

/// A rule's pin in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Index of the rule.
    pub rule: usize,
    /// Index of the pin rule in the rule.
    pub pin: usize,
    /// Index of the object in [`FileScan::objects`]; `None` in files that are no objects.
    pub object: Option<usize>,
    /// The version's place; `None` where it is absent and the rule says what that means.
    pub site: Option<Site>,
    /// The digest that stands beside the version, or behind it in the same scalar.
    pub digest: Option<Site>,
    /// 1-based lines of the version, or of what should hold it where it is absent.
    pub lines: RangeInclusive<usize>,
    /// The image's name has variables in it: what it is, and where its tag stands, is known when they have
    /// values.
    pub composed: bool,
    /// What the rule remembered.
    pub captures: BTreeMap<String, String>,
}

/// The API version of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersion {
    /// 1-based.
    pub line: usize,
    /// Group and version, as written.
    pub text: String,
    /// Kind of the object.
    pub kind: String,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct FileScan {
    /// Path in the repository.
    pub path: String,
    /// The file is a template by its name (`.j2`, `.tpl`, `.tmpl`): nothing applies it as it is.
    pub template: bool,
    /// The file is generated (`gotk-components.yaml`).
    pub generated: bool,
    /// Kubernetes objects, patches of objects too.
    pub objects: Vec<Object>,
    /// Pins found by rules.
    pub found: Vec<Found>,
    /// Kustomize's own file.
    pub kustomize: Option<KustomizeFile>,
    /// Flux Kustomizations.
    pub kustomizations: Vec<FluxKustomization>,
    /// HelmReleases.
    pub releases: Vec<FluxRelease>,
    /// Flux sources, by object.
    pub sources: Vec<Source>,
    /// Where a FluxInstance syncs from.
    pub syncs: Vec<SyncRoot>,
    /// Copies that an ArtifactGenerator makes.
    pub artifacts: Vec<ArtifactCopy>,
    /// Values for substitution.
    pub variables: Vec<VariableSet>,
    /// What patches give to Flux Kustomizations.
    pub substitutions: Vec<SubstitutionPatch>,
    /// JSON 6902 operations, in files and inline.
    pub patches: Vec<JsonPatch>,
    /// `# renovate:` comments.
    pub annotations: Vec<Annotation>,
    /// `$imagepolicy` comments.
    pub markers: Vec<Marker>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Objects per kind.
    pub inventory: BTreeMap<String, usize>,
    /// The API version of every object, patches inside other documents left out; none of a template.
    pub apis: Vec<ApiVersion>,
    /// Architectures of nodes that manifests ask for (`amd64`, `arm64`).
    pub architectures: BTreeSet<String>,
    /// Where versions start that cannot be edited byte for byte; each is said once.
    unwritable: BTreeSet<usize>,
}

/// The text of a file with its documents.
pub(crate) struct Context<'a> {
    pub(crate) text: &'a str,
    pub(crate) lines: Lines<'a>,
    pub(crate) documents: Vec<Parsed<'a>>,
    /// Filled when the first place is looked for, which most files never ask.
    written: OnceCell<Vec<annotation::Written>>,
}

/// A parsed document, or YAML inside one.
pub(crate) struct Parsed<'a> {
    /// 0-based document of the file.
    pub(crate) index: usize,
    pub(crate) document: Document<'a>,
    /// For YAML inside a document: where it stands there, and what it is.
    pub(crate) embedded: Option<(String, Inner)>,
}

impl Context<'_> {
    /// The place of a scalar's value; `None` where its bytes are not its value.
    pub(crate) fn site(&self, document: usize, node: NodeId) -> Option<Site> {
        let Parsed { index, document, embedded } = &self.documents[document];
        let span = document.value_span(node)?;
        let route = match embedded {
            Some((holder, _)) => holder.clone(),
            None => document.pointer(document.resolve(node)),
        };
        Some(self.site_at(*index, route, span))
    }

    /// The place of any bytes.
    pub(crate) fn site_at(&self, document: usize, route: String, span: Range<usize>) -> Site {
        let (line, column) = self.lines.place(span.start);
        let text = self.text.get(span.clone()).unwrap_or_default().to_owned();
        Site { document, route, span, line, column, text }
    }
}

impl Site {
    /// A part of this place's text, by byte range within the text.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let before = self.text.get(..range.start).unwrap_or_default();
        Self {
            document: self.document,
            route: self.route.clone(),
            span: self.span.start + range.start..self.span.start + range.end,
            line: self.line,
            column: self.column + before.chars().count(),
            text: self.text.get(range).unwrap_or_default().to_owned(),
        }
    }
}

/// Whether the file's name says that it is a template of a manifest.
pub fn is_template(path: &str) -> bool {
    [".j2", ".tpl", ".tmpl"].iter().any(|ending| path.ends_with(ending))
}

/// Reads one file with every rule.
///
/// Nothing in the bytes can make this fail: what cannot be read becomes a [`Problem`], and the rest
/// of the file is still read.
pub fn scan_file(path: &str, bytes: &[u8], rules: &[Rule]) -> FileScan {
    read_file(path, bytes, rules, WORTH_PASSING_OVER)
}

/// Objects of no use with fewer bytes are parsed all the same: that costs little, and tells what is broken.
const WORTH_PASSING_OVER: usize = 8 << 10;

/// As [`scan_file`]; objects of no use are passed over from a size of `pass_over` bytes, which a test compares.
fn read_file(path: &str, bytes: &[u8], rules: &[Rule], pass_over: usize) -> FileScan {
    let mut scan = FileScan { path: path.to_owned(), template: is_template(path), ..FileScan::default() };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            scan.problems.push(Problem::in_file(path, None, not_text(bytes, error.valid_up_to())));
            return scan;
        }
    };
    if path.ends_with(".json") && !is_json_manifest(text) {
        return scan;
    }
    pins::lines(text, rules, &mut scan);
    let interesting = !scan.generated;
    // What stands in a line or a comment gets its route from the parsed document.
    let speaks = !scan.found.is_empty() || annotation::is_in(text);
    let mut context =
        Context { text, lines: Lines::of(text), documents: Vec::new(), written: OnceCell::new() };
    for chunk in split::documents(text) {
        let body = &text[chunk.range.clone()];
        let note_api = |scan: &mut FileScan, kind: &str| {
            if let Some((at, text)) = object::quick_api_version(body) {
                let line = context.lines.line(chunk.range.start + at);
                scan.apis.push(ApiVersion { line, text: text.to_owned(), kind: kind.to_owned() });
            }
        };
        match object::quick_kind(body) {
            // A CustomResourceDefinition describes versions of an API and runs none.
            Some(kind) if kind == "CustomResourceDefinition" || scan.generated => {
                *scan.inventory.entry(kind.to_owned()).or_default() += 1;
                note_api(&mut scan, kind);
                continue;
            }
            Some(_) if body.len() >= pass_over && !speaks => {
                if let Some(kind) = passed_over::kind(path, body, rules) {
                    *scan.inventory.entry(kind.to_owned()).or_default() += 1;
                    note_api(&mut scan, kind);
                    continue;
                }
            }
            _ => {}
        }
        match Document::parse(text, chunk.range.clone()) {
            Ok(document) => {
                context.documents.push(Parsed { index: chunk.index, document, embedded: None });
            }
            Err(_) if scan.template => {}
            // A template is said once, not for each of its documents.
            Err(_)
                if is_braced(body)
                    && scan.problems.iter().any(|problem| problem.message.contains(TEMPLATE)) => {}
            Err(error) => {
                let line = context.lines.line(error.offset.min(text.len()));
                scan.problems.push(Problem::in_file(path, Some(line), not_yaml(body, &error.message)));
            }
        }
    }
    add_embedded(path, &mut context);
    if interesting {
        for document in 0..context.documents.len() {
            read_document(&context, document, rules, &mut scan);
        }
    }
    annotation::read(&context, &mut scan);
    place_line_pins(&context, &mut scan);
    if scan.template {
        // Nothing applies a template as it stands, so nothing in it can be wrong yet.
        scan.problems.clear();
        scan.apis.clear();
    }
    // Documents that are parsed come after those that are not.
    scan.apis.sort_by_key(|api| api.line);
    scan
}

/// Whether a JSON file may hold Kubernetes objects; dashboards, lock files and settings of tools do not.
fn is_json_manifest(text: &str) -> bool {
    ["\"apiVersion\"", "\"kind\""]
        .iter()
        .all(|key| memchr::memmem::find(text.as_bytes(), key.as_bytes()).is_some())
}

/// Parses YAML inside documents; what is no YAML is no patch that Kustomize would take.
fn add_embedded(path: &str, context: &mut Context<'_>) {
    let embedded: Vec<_> = context
        .documents
        .iter()
        .enumerate()
        .flat_map(|(position, parsed)| kustomize::embedded(path, position, &parsed.document))
        .collect();
    for inside in embedded {
        if let Ok(document) = Document::parse(context.text, inside.range) {
            let index = context.documents[inside.holder].index;
            context.documents.push(Parsed {
                index,
                document,
                embedded: Some((inside.pointer, inside.inner)),
            });
        }
    }
}

/// Gives pins found in lines of text their line, column and route.
fn place_line_pins(context: &Context<'_>, scan: &mut FileScan) {
    for found in &mut scan.found {
        let Some(site) = found.site.as_mut().filter(|site| site.line == 0) else { continue };
        let (document, route) = annotation::route_of(context, &site.span).unwrap_or_default();
        *site = context.site_at(document, route, site.span.clone());
        found.lines = site.line..=site.line;
    }
}

fn read_document(context: &Context<'_>, document: usize, rules: &[Rule], scan: &mut FileScan) {
    let Parsed { index, document: parsed, embedded } = &context.documents[document];
    let Some(root) = parsed.root() else { return };
    if !parsed.is_mapping(root) && !parsed.is_sequence(root) {
        // A lone scalar is what HTML, a one-line stub or prose reads as.
        if parsed.scalar(root).is_some_and(|text| text.trim_start().starts_with('<')) {
            let line = context.lines.line(parsed.span(root).start);
            scan.problems.push(Problem::in_file(
                scan.path.clone(),
                Some(line),
                "holds markup (HTML or XML), not YAML; replace the file or exclude it under `files.exclude`",
            ));
        }
        return;
    }
    let patch = match embedded {
        Some((_, Inner::Patch(target))) => Some(target.clone()),
        Some((_, Inner::Values)) => {
            pins::values(context, document, rules, scan);
            return;
        }
        None => None,
    };
    kustomize::read(context, document, scan);
    architecture::read(parsed, root, scan);
    for found in object::roots(parsed, root) {
        let position = scan.objects.len();
        let node = found.node;
        if patch.is_none() {
            *scan.inventory.entry(found.kind.clone()).or_default() += 1;
            scan.apis.extend(api_version(context, parsed, node, &found.kind));
            flux::read(context, document, node, position, &found, scan);
        } else if let Some(target) = &patch {
            flux::read_patch(context, document, node, &found, target, scan);
        }
        scan.objects.push(Object { document: *index, patch: patch.clone(), ..found });
        pins::object(context, document, node, position, rules, scan);
    }
    pins::plain(context, document, rules, scan);
}

fn api_version(
    context: &Context<'_>,
    parsed: &Document<'_>,
    object: NodeId,
    kind: &str,
) -> Option<ApiVersion> {
    let node = parsed.get(object, "apiVersion")?;
    let text = parsed.scalar(node).filter(|text| text.len() <= object::MAX_API_VERSION)?.to_owned();
    let line = context.lines.line(parsed.span(node).start);
    Some(ApiVersion { line, text, kind: kind.to_owned() })
}

fn not_text(bytes: &[u8], valid: usize) -> String {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return "is UTF-16, which Flux does not read; save it as UTF-8".to_owned();
    }
    format!("is not UTF-8 text (byte {valid}); save it as UTF-8 or exclude it under `files.exclude`")
}

/// How the problem of a file with template braces begins.
const TEMPLATE: &str = "is a template, not YAML";

/// Whether a text has the braces of Go templates, Jinja or copier.
fn is_braced(body: &str) -> bool {
    body.contains("{{") || body.contains("{%") || body.contains("[[")
}

fn not_yaml(body: &str, message: &str) -> String {
    if is_braced(body) {
        return format!("{TEMPLATE}, and was left alone ({message})");
    }
    format!("is not valid YAML: {message}")
}

/// Whether a scalar is nothing (`null`, `~`, empty).
pub(crate) fn is_nothing(document: &Document<'_>, node: NodeId) -> bool {
    match document.scalar(node) {
        // Quoted or not, an empty text is to Kubernetes as good as no text.
        Some("") => true,
        Some(text) => {
            document.style(node) == Some(Style::Plain) && matches!(text, "~" | "null" | "Null" | "NULL")
        }
        None => false,
    }
}
