//! The stories: reviews in order, their expected answers, and the course without fluxkeep.

use anyhow::Context;
use fluxkeep::flux::catalogue::{Catalogue, FluxRelease};
use serde_json::{Value, json};

use super::review::{Ask, helm_release, record};
use super::stage::{chart, deployed, find, installed};

/// A story by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// A release with an older Flux is installed over Flux 2.4.0.
    Incident,
    /// Flux 2.4 is upgraded to 2.8 at once.
    BlockedUpgrade,
    /// Flux 2.4 is upgraded to 2.5.
    SafeBump,
    /// A stranger's chart drops a version of its CRD.
    StrangersCrd,
}

/// A story.
pub(super) struct Story {
    pub(super) title: &'static str,
    pub(super) before: &'static str,
    /// The live objects at the start.
    pub(super) stage: Vec<Value>,
    pub(super) steps: Vec<Step>,
    pub(super) end: &'static str,
}

/// A step of a story.
pub(super) enum Step {
    /// A review and its answer.
    Asked(Box<Asked>),
    /// A change of the cluster: a description, and the live objects after it.
    Moved(&'static str, Vec<Value>),
}

/// A review with the expected answer and the course without fluxkeep.
pub(super) struct Asked {
    pub(super) title: &'static str,
    pub(super) ask: Ask,
    pub(super) without: &'static str,
    /// The rules that refuse; empty if the request passes.
    pub(super) refused_by: &'static [&'static str],
    /// The rules that warn.
    pub(super) warned_by: &'static [&'static str],
}

const KUSTOMIZE: &str = "system:serviceaccount:flux-system:kustomize-controller";
const HELM: &str = "system:serviceaccount:flux-system:helm-controller";
const RELEASES: &str = "helmreleases";
const RECORDS: &str = "secrets";
const CRDS: &str = "customresourcedefinitions";

impl Scenario {
    pub(super) fn story(self) -> anyhow::Result<Story> {
        match self {
            Self::Incident => incident(),
            Self::BlockedUpgrade => blocked_upgrade(),
            Self::SafeBump => safe_bump(),
            Self::StrangersCrd => strangers_crd(),
        }
    }
}

fn incident() -> anyhow::Result<Story> {
    let live = installed()?;
    let mut steps = refused(&live)?;
    steps.extend(deletes(&live)?);
    steps.extend(healthy(&live)?);
    Ok(Story {
        title: "The incident: an older Flux is installed over a running one",
        before: "Cloud-init installed Flux 2.4.0 with kubectl. A day later a HelmRelease installs the chart flux2 \
                 2.13.0, which is Flux 2.3.0, with `retries: 3`. Each step below is sent to fluxkeep although the one \
                 before was refused, to show that every door holds by itself.",
        stage: live,
        steps,
        end: "Without fluxkeep the cluster lost its GitOps engine. With it, nothing was touched, and the way that \
              works stayed open: adopt first, upgrade second.",
    })
}

/// The older Flux at each door on its way.
fn refused(live: &[Value]) -> anyhow::Result<Vec<Step>> {
    let older = chart(release("2.3.0")?, false)?;
    let bucket = "buckets.source.toolkit.fluxcd.io";
    let crd = (
        find(live, "CustomResourceDefinition", bucket)?,
        find(&older, "CustomResourceDefinition", bucket)?,
    );
    Ok(vec![
        asked(Asked {
            title: "Git brings the HelmRelease: chart flux2 2.13.0, retries: 3",
            ask: Ask::create(RELEASES, KUSTOMIZE, helm_release("2.13.0", 3)),
            without: "Accepted. helm-controller began to install Flux 2.3.0 over 2.4.0.",
            refused_by: &[
                "destructive-remediation",
                "flux-downgraded",
                "flux-version-mismatch",
            ],
            warned_by: &[],
        }),
        asked(Asked {
            title: "helm-controller stores the release record, before the first object: the last safe point",
            ask: Ask::create(RECORDS, HELM, record("flux", "flux-system", 1, &older)?),
            without: "Stored. From here on a failure means remediation.",
            refused_by: &[
                "flux-downgraded",
                "flux-version-mismatch",
                "stored-version-dropped",
            ],
            warned_by: &["engine-object-unkept", "storage-version-regressed"],
        }),
        asked(Asked {
            title: "helm-controller applies the Bucket CRD of Flux 2.3.0",
            ask: Ask::update(CRDS, HELM, crd.0, crd.1),
            without: "The apiserver refused it (422), it alone of all objects. Helm went on: all six controllers were \
                      moved down to 2.3.0, and the release had failed.",
            refused_by: &["stored-version-dropped"],
            warned_by: &["storage-version-regressed"],
        }),
    ])
}

/// The remediation's deletions, in Helm's order.
fn deletes(live: &[Value]) -> anyhow::Result<Vec<Step>> {
    let delete = |resource, kind, name| {
        Ok::<_, anyhow::Error>(Ask::delete(resource, HELM, find(live, kind, name)?))
    };
    let hook = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "flux2-flux-check",
        "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"},
        "annotations": {"helm.sh/hook": "pre-install"}}});
    let gone = |title, ask, without| {
        asked(Asked {
            title,
            ask,
            without,
            refused_by: &["engine-deleted"],
            warned_by: &[],
        })
    };
    Ok(vec![
        gone(
            "The remediation uninstalls: first the Services",
            delete("services", "Service", "source-controller")?,
            "Deleted, with the other two.",
        ),
        gone(
            "… then the Deployments",
            delete("deployments", "Deployment", "helm-controller")?,
            "Deleted, all six: no controller was left.",
        ),
        gone(
            "… then the bindings",
            delete(
                "clusterrolebindings",
                "ClusterRoleBinding",
                "cluster-reconciler",
            )?,
            "Deleted. 18 ms later helm-controller had no rights left to delete the rest.",
        ),
        gone(
            "… and where its rights hang on another binding, the CRDs",
            delete(
                CRDS,
                "CustomResourceDefinition",
                "kustomizations.kustomize.toolkit.fluxcd.io",
            )?,
            "Deleted, and every Kustomization with it: deleting a CRD asks no webhook about its objects.",
        ),
        asked(Asked {
            title: "The chart's own hook is cleaned up",
            ask: Ask::delete("jobs", HELM, hook),
            without: "Deleted, as it must be: guarding a hook would make every install fail.",
            refused_by: &[],
            warned_by: &[],
        }),
    ])
}

/// The working way: adopt with the same Flux version, then upgrade.
fn healthy(live: &[Value]) -> anyhow::Result<Vec<Step>> {
    let mut steps = adoption(live)?;
    steps.extend(upgrade()?);
    Ok(steps)
}

/// A step that passes with and without fluxkeep.
fn through(title: &'static str, ask: Ask) -> Step {
    asked(Asked {
        title,
        ask,
        without: "Let through, too.",
        refused_by: &[],
        warned_by: &[],
    })
}

fn adoption(live: &[Value]) -> anyhow::Result<Vec<Step>> {
    let same = release("2.4.0")?;
    let adopted = [
        deployed(same)?,
        live.iter()
            .filter(|one| super::stage::kind(one) == "Namespace")
            .cloned()
            .collect(),
    ];
    Ok(vec![
        through(
            "Instead: a HelmRelease with the Flux that runs, chart flux2 2.14.1, without remediation",
            Ask::create(RELEASES, KUSTOMIZE, helm_release("2.14.1", 0)),
        ),
        through(
            "Its release record, every object kept (helm.sh/resource-policy)",
            Ask::create(
                RECORDS,
                HELM,
                record("flux", "flux-system", 1, &chart(same, true)?)?,
            ),
        ),
        Step::Moved(
            "The release `flux` has adopted Flux 2.4.0. Nothing else changed.",
            adopted.concat(),
        ),
    ])
}

fn upgrade() -> anyhow::Result<Vec<Step>> {
    let (same, next) = (release("2.4.0")?, release("2.5.1")?);
    let bucket = find(
        &deployed(same)?,
        "CustomResourceDefinition",
        "buckets.source.toolkit.fluxcd.io",
    )?;
    let newer = find(
        &chart(next, true)?,
        "CustomResourceDefinition",
        "buckets.source.toolkit.fluxcd.io",
    )?;
    Ok(vec![
        through(
            "A week later, the healthy upgrade: chart flux2 2.15.0, which is Flux 2.5.1",
            Ask::update(
                RELEASES,
                KUSTOMIZE,
                helm_release("2.14.1", 0),
                helm_release("2.15.0", 0),
            ),
        ),
        through(
            "Its release record",
            Ask::create(
                RECORDS,
                HELM,
                record("flux", "flux-system", 2, &chart(next, true)?)?,
            ),
        ),
        through("Its Bucket CRD", Ask::update(CRDS, HELM, bucket, newer)),
    ])
}

fn blocked_upgrade() -> anyhow::Result<Story> {
    let to = release("2.8.5")?;
    let record = |revision| record("flux", "flux-system", revision, &chart(to, true)?);
    let bump = |from| {
        Ask::update(
            RELEASES,
            KUSTOMIZE,
            helm_release(from, 0),
            helm_release("2.18.3", 0),
        )
    };
    let through = |title, ask| {
        asked(Asked {
            title,
            ask,
            without: "Let through, too.",
            refused_by: &[],
            warned_by: &[],
        })
    };
    Ok(Story {
        title: "A blocked upgrade: Flux 2.4 to 2.8 at once",
        before: "Flux 2.4.0 runs as Helm release `flux`. The chart is bumped to flux2 2.18.3, which is Flux 2.8.5.",
        stage: deployed(release("2.4.0")?)?,
        steps: vec![
            asked(Asked {
                title: "Git brings the bumped HelmRelease",
                ask: bump("2.14.1"),
                without: "Accepted.",
                refused_by: &[],
                warned_by: &["flux-minor-skipped"],
            }),
            asked(Asked {
                title: "helm-controller stores the release record",
                ask: Ask::create(RECORDS, HELM, record(2)?),
                without: "Stored; the apiserver then refused a CRD, and the upgrade failed half-way.",
                refused_by: &["stored-version-dropped"],
                warned_by: &["flux-minor-skipped"],
            }),
            Step::Moved(
                "Flux went up to 2.7.5, minor by minor; there all objects were rewritten and each status was pruned.",
                deployed(release("2.7.5")?)?,
            ),
            through("Git brings the bumped HelmRelease again", bump("2.17.2")),
            through(
                "helm-controller stores the release record",
                Ask::create(RECORDS, HELM, record(5)?),
            ),
        ],
        end: "The refusal came before the first object was touched, and named the way that works.",
    })
}

fn safe_bump() -> anyhow::Result<Story> {
    let (from, to) = (release("2.4.0")?, release("2.5.1")?);
    let through = |title, ask| {
        asked(Asked {
            title,
            ask,
            without: "Let through, too.",
            refused_by: &[],
            warned_by: &[],
        })
    };
    Ok(Story {
        title: "A safe bump: Flux 2.4 to 2.5",
        before: "Flux 2.4.0 runs as Helm release `flux`. The chart is bumped to flux2 2.15.0, which is Flux 2.5.1.",
        stage: deployed(from)?,
        steps: vec![
            through(
                "Git brings the bumped HelmRelease",
                Ask::update(
                    RELEASES,
                    KUSTOMIZE,
                    helm_release("2.14.1", 0),
                    helm_release("2.15.0", 0),
                ),
            ),
            through(
                "helm-controller stores the release record",
                Ask::create(
                    RECORDS,
                    HELM,
                    record("flux", "flux-system", 2, &chart(to, true)?)?,
                ),
            ),
        ],
        end: "fluxkeep is not in the way of what breaks nothing.",
    })
}

fn strangers_crd() -> anyhow::Result<Story> {
    let crd = |versions: &[(&str, bool)], stored: &[&str]| {
        let version = |(name, storage): &(&str, bool)| {
            json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": {"type": "object"}}})
        };
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "tickets.support.example.org"},
            "spec": {"group": "support.example.org", "scope": "Namespaced",
                "names": {"kind": "Ticket", "plural": "tickets"},
                "versions": versions.iter().map(version).collect::<Vec<_>>()},
            "status": {"storedVersions": stored}})
    };
    let live = crd(&[("v1beta1", false), ("v1", true)], &["v1beta1", "v1"]);
    let dropped = crd(&[("v1", true)], &[]);
    let grown = crd(
        &[("v1beta1", false), ("v1", true), ("v2alpha1", false)],
        &[],
    );
    Ok(Story {
        title: "Somebody else's chart drops a version of its CRD",
        before: "A ticket system's CRD offers v1beta1 and v1; objects are stored in both. Flux is not involved.",
        stage: [installed()?, vec![live.clone()]].concat(),
        steps: vec![
            asked(Asked {
                title: "Its new chart no longer has v1beta1: the release record",
                ask: Ask::create(RECORDS, HELM, record("tickets", "support", 2, &[dropped])?),
                without: "Stored; the apiserver refused the CRD, the upgrade failed half-way and was rolled back.",
                refused_by: &["stored-version-dropped"],
                warned_by: &[],
            }),
            asked(Asked {
                title: "A chart that only adds a version",
                ask: Ask::update(CRDS, HELM, live, grown),
                without: "Let through, too.",
                refused_by: &[],
                warned_by: &[],
            }),
        ],
        end: "The storage rules hold for every CRD and every Helm release.",
    })
}

fn asked(asked: Asked) -> Step {
    Step::Asked(Box::new(asked))
}

fn release(version: &str) -> anyhow::Result<&'static FluxRelease> {
    let parsed = version
        .parse()
        .with_context(|| format!("reading version {version}"))?;
    Catalogue::built_in()
        .release(&parsed)
        .with_context(|| format!("the catalogue has no Flux {version}"))
}
