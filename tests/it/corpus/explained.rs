//! Why the census counts otherwise, looked at one by one in the files.

const ALLENPORTER: &str = "allenporter-flux-local-testdata";
const BUDIMANJOJO: &str = "budimanjojo-home-cluster";
const DAMACUS: &str = "damacus-home-ops";
const SAMPLES: &str = "fluxcd-samples";
const GELATO: &str = "gelato-homecluster";
const PUMBA: &str = "pumba98-k3s-flux-cluster";
const RICSANFRE: &str = "ricsanfre-pi-cluster";

/// Golden files of the Flux command line hold `{{ .fluxns }}`, a mapping as a key: the census leaves out
/// the whole file, detection reads each document.
const BRACES: &str = "documents of files in flux2/cmd/flux/testdata that the census refuses for their braces";

/// Repository, column, how many more the census counts (negative: fewer), why.
pub(super) const EXPLAINED: &[(&str, &str, isize, &str)] = &[
    (
        ALLENPORTER,
        "HR chartRef",
        -1,
        "cluster7's ingress-nginx refers to a HelmChart; the census counts OCIRepositories",
    ),
    (
        ALLENPORTER,
        "image repo+tag",
        -1,
        "the values of the chart cluster9/local-charts/nginx, with an empty tag",
    ),
    (ALLENPORTER, "image repo+tag", -1, "an invalid image of a Pod in image_error, a mapping on purpose"),
    (ALLENPORTER, "non-string tags", -1, "the same invalid image has the tag 16"),
    (
        BUDIMANJOJO,
        "HR chartRef",
        -1,
        "cloudflare-dns stands in a file with anchors defined twice, which is legal",
    ),
    (DAMACUS, "image repo+tag", -2, "the values of onepassword, which a configMapGenerator takes"),
    (
        DAMACUS,
        "image repo+tag",
        -1,
        "the values of system-upgrade-controller, which a configMapGenerator takes",
    ),
    (DAMACUS, "image repo+tag sha256", -3, "the same three, with digests"),
    (SAMPLES, "HR https", -1, BRACES),
    (SAMPLES, "HR ?", -2, BRACES),
    (SAMPLES, "HR chartRef", -6, BRACES),
    (SAMPLES, "HR chartRef", -1, "podinfo-from-hc refers to a HelmChart; the census counts OCIRepositories"),
    (SAMPLES, "ranges", -1, BRACES),
    (SAMPLES, "HelmRepo http", -3, BRACES),
    (SAMPLES, "HelmRepo oci", -2, BRACES),
    (SAMPLES, "OCIRepo tag", -3, BRACES),
    (SAMPLES, "GitRepo branch", -11, BRACES),
    (SAMPLES, "image repo+tag", -3, BRACES),
    (SAMPLES, "image repo+tag", -2, "golden files of values in debug_helmrelease, which nothing applies"),
    (SAMPLES, "image repo+tag", -4, "the values of the chart podinfo-renamed, kept in Git"),
    (SAMPLES, "container image", -8, BRACES),
    (
        SAMPLES,
        "kustomize images",
        21,
        "entries of flux2/manifests with `newName` alone: no version is written",
    ),
    (SAMPLES, "Flux Ks", -14, BRACES),
    (GELATO, "container image", -1, "an initContainer in the values of authentik's HelmRelease, no workload"),
    (
        PUMBA,
        "renovate",
        -4,
        "the census counts three of seven comments; all seven stand over a version and are found",
    ),
    (
        RICSANFRE,
        "HelmRepo http",
        -1,
        "the first document of boilerplate's helm.yaml; braces break its second alone",
    ),
    (
        RICSANFRE,
        "image repo+tag",
        -3,
        "the values of descheduler, fluentd and velero, which configMapGenerators take",
    ),
    (RICSANFRE, "container image", -1, "an initContainer in the values of velero, no workload"),
];
