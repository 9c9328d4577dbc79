//! A judgement costs as much as release and cluster together, not their product.
//!
//! Walked objects are counted, not seconds: a product of two sizes shows on any machine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fmt::Write;

use super::judge;
use crate::audit::audit;
use crate::case::facts::Facts;
use crate::case::finding::Finding;
use crate::case::policy::Policy;
use crate::case::request::{Change, Door, Operation, Release, Request, Subject, Writer};
use crate::case::verdict::Verdict;
use crate::helm::Owner;
use crate::manifest::{self, Reading};
use crate::object::Object;
use crate::walks::walked;

/// A live Flux with marks of many owners, and an override on one of its objects.
const LIVE: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-controller, namespace: flux-system, labels: {kustomize.toolkit.fluxcd.io/name: flux, kustomize.toolkit.fluxcd.io/namespace: flux-system}}
spec: {template: {spec: {containers: [{name: manager, image: 'ghcr.io/fluxcd/source-controller:v1.4.1'}]}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cluster-reconciler}
roleRef: {kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, namespace: flux-system, name: source-controller}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: crd-controller, annotations: {fluxkeep.io/allow: foreign-owner, fluxkeep.io/reason: a, fluxkeep.io/until: '2026-12-01T00:00:00Z', meta.helm.sh/release-name: x, meta.helm.sh/release-namespace: y}}
rules: [{apiGroups: [source.toolkit.fluxcd.io], resources: ['*'], verbs: ['*']}]
---
apiVersion: v1
kind: Service
metadata: {name: webhook-receiver, namespace: flux-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: buckets.source.toolkit.fluxcd.io}
spec: {group: source.toolkit.fluxcd.io, scope: Namespaced, names: {kind: Bucket, plural: buckets}, versions: [{name: v1beta1, served: true}, {name: v1beta2, served: true, storage: true}]}
status: {storedVersions: [v1beta1, v1beta2]}
---
";

/// Documents of a release, each of which one rule finds or looks up. `NUMBER` differs for each.
const DOCUMENTS: [&str; 9] = [
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: aNUMBER}\n",
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: cluster-reconciler}\n\
     roleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: []\n",
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: crd-controller, annotations: \
     {fluxkeep.io/allow: foreign-owner}}\nrules: []\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: source-controller, namespace: flux-system}\n\
     spec: {replicas: 0, template: {spec: {containers: [{name: manager, image: 'x/source-controller:v1.3.0'}]}}}\n",
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: aNUMBER.x.io}\nspec: \
     {group: x.io, scope: Cluster, names: {kind: A, plural: aNUMBER}, versions: [{name: v1, served: true, storage: \
     true, schema: {openAPIV3Schema: {}}}], conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: \
     {service: {namespace: flux-system, name: nowhere}}}}}\n",
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: \
     buckets.source.toolkit.fluxcd.io}\nspec: {group: source.toolkit.fluxcd.io, scope: Namespaced, names: {kind: \
     Bucket, plural: buckets}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {}}}]}\n",
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: \
     buckets.source.toolkit.fluxcd.io}\nspec: {group: source.toolkit.fluxcd.io, scope: Namespaced, names: {kind: \
     Bucket, plural: buckets}, versions: [{name: v1beta2, served: false, storage: true, schema: {openAPIV3Schema: {}}}]}\n",
    "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: flux, namespace: flux-system}\n\
     spec: {chart: {spec: {chart: flux2}}, install: {remediation: {retries: 3}}}\n",
    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: aNUMBER, namespace: flux-system, labels: \
     {app.kubernetes.io/part-of: flux}, annotations: {helm.sh/hook: pre-install}}\n",
];

/// The document `size` times, with a number each.
fn repeated(document: &str, size: usize) -> Vec<Object> {
    let mut text = String::new();
    for number in 0..size {
        let document = document.replace("NUMBER", &number.to_string());
        writeln!(text, "---\n{document}").unwrap();
    }
    manifest::read(&text, Reading::default()).unwrap()
}

/// A cluster with Flux and `size` objects of each of these kinds.
fn cluster(size: usize) -> Facts {
    let mut objects = manifest::read(LIVE, Reading::default()).unwrap();
    let others = [
        "apiVersion: v1\nkind: Service\nmetadata: {name: bNUMBER, namespace: flux-system}\n",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: bNUMBER}\n",
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: bNUMBER, namespace: tenant}\n\
         spec: {targetNamespace: flux-system, releaseName: flux, install: {remediation: {retries: 3}}}\n",
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: cNUMBER, namespace: tenant}\n\
         spec: {chart: {spec: {chart: flux2}}, install: {remediation: {retries: 3}}}\n",
    ];
    for document in others {
        objects.extend(repeated(document, size));
    }
    Facts::of(objects)
}

/// The objects that rules walk over, for a release of a document and a cluster of this size.
fn walked(door: Door, document: &str, size: usize) -> usize {
    let request = Request {
        door,
        operation: Operation::Create,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Release(Release {
            owner: Some(Owner {
                name: "app".to_owned(),
                namespace: "apps".to_owned(),
            }),
            revision: Some(2),
            stored_in: None,
            objects: repeated(document, size),
        }),
        gaps: Vec::new(),
    };
    let facts = cluster(size);
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    walked::during(|| {
        let _ = judge(&request, &facts, &Policy::default(), now);
    })
}

#[test]
fn twice_the_release_beside_twice_the_cluster_costs_twice_as_much() {
    for door in [Door::ReleaseRecord, Door::Preflight, Door::PostRenderer] {
        for document in DOCUMENTS {
            let [once, twice] = [100, 200].map(|size| walked(door, document, size));
            assert!(
                once > 0 && twice <= 2 * once,
                "{door}: {once} became {twice} for\n{document}"
            );
        }
    }
}

#[test]
fn an_audit_of_twice_the_cluster_costs_twice_as_much() {
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    let [once, twice] = [100, 200].map(|size| {
        let facts = cluster(size);
        walked::during(|| {
            let _ = audit(&facts, &Policy::default(), now);
        })
    });
    assert!(once > 0 && twice <= 2 * once, "{once} became {twice}");
}

/// A CRD with `size` versions, all of them stored. `FIRST` is the first letter of their names.
fn definition(size: usize, first: &str, more: &str) -> Vec<Object> {
    let (mut versions, mut stored) = (String::new(), String::new());
    for number in 0..size {
        let storage = number == 0;
        write!(
            versions,
            "{{name: {first}{number}, served: true, storage: {storage}{more}}}, "
        )
        .unwrap();
        write!(stored, "{first}{number}, ").unwrap();
    }
    let text = format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: \
         buckets.source.toolkit.fluxcd.io}}\nspec: {{group: source.toolkit.fluxcd.io, scope: Namespaced, names: \
         {{kind: Bucket, plural: buckets}}, versions: [{versions}]}}\nstatus: {{storedVersions: [{stored}]}}\n"
    );
    manifest::read(&text, Reading::default()).unwrap()
}

/// The verdict when a CRD of this size replaces another.
fn redefined(door: Door, size: usize, old: (&str, &str), new: (&str, &str)) -> Verdict {
    let live = definition(size, old.0, old.1);
    let written = definition(size, new.0, new.1);
    let facts = Facts::of(live.clone());
    let subject = if matches!(door, Door::Crd | Door::CrdStatus) {
        let change = Change {
            old: live.into_iter().next(),
            new: written.into_iter().next(),
        };
        Subject::Change(Box::new(change))
    } else {
        Subject::Release(Release {
            objects: written,
            ..Release::default()
        })
    };
    let request = Request {
        door,
        operation: Operation::Update,
        writer: Writer::default(),
        dry_run: false,
        subject,
        gaps: Vec::new(),
    };
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    judge(&request, &facts, &Policy::default(), now)
}

#[test]
fn twice_the_versions_of_one_definition_cost_twice_as_much() {
    let schema = ", schema: {}";
    let doors = [
        Door::ReleaseRecord,
        Door::Preflight,
        Door::PostRenderer,
        Door::Crd,
        Door::CrdStatus,
    ];
    for door in doors {
        for (old, new) in [
            (("v", schema), ("w", schema)),
            (("v", schema), ("v", schema)),
            (("v", ""), ("w", "")),
        ] {
            let [once, twice] = [100, 200].map(|size| {
                walked::during(|| {
                    let _ = redefined(door, size, old, new);
                })
            });
            assert!(
                twice <= 2 * once,
                "{door}: {once} became {twice} from {old:?} to {new:?}"
            );
        }
    }
}

#[test]
fn a_definition_of_many_defects_names_the_first_and_counts_the_rest() {
    let bare = ("v", "");
    let verdict = redefined(Door::PostRenderer, 1_000, ("w", ", schema: {}"), bare);
    let is_told = |finding: &&Finding| finding.rule == "crd-invalid";
    let told: Vec<_> = verdict.findings.iter().filter(is_told).collect();
    assert_eq!(told.len(), 33);
    let rest = |finding: &&Finding| finding.message == "it has 968 more defects";
    assert!(told.iter().any(rest), "{told:?}");
}

/// One object of the release with `size` labels, annotations, subjects, rules or containers.
const LARGE: [(&str, &str); 6] = [
    (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: as.x.io\n  labels:\nspec: \
         {group: x.io, scope: Cluster, names: {kind: A, plural: as}, versions: [{name: v1, served: true, storage: true}]}\n",
        "    lNUMBER: 'not a label'\n",
    ),
    (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n",
        "    app.kubernetes.io/lNUMBER: x\n",
    ),
    (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n  namespace: flux-system\n  \
         annotations:\n",
        "    helm.sh/aNUMBER: x\n",
    ),
    (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: cluster-reconciler}\n\
         roleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects:\n",
        "- {kind: ServiceAccount, namespace: flux-system, name: aNUMBER}\n",
    ),
    (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: crd-controller}\nrules:\n",
        "- {apiGroups: [gNUMBER], resources: [a], verbs: [get]}\n",
    ),
    (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: source-controller, namespace: flux-system}\nspec:\n  \
         template:\n    spec:\n      containers:\n",
        "      - {name: cNUMBER, image: 'x/source-controller:v1.3.NUMBER'}\n",
    ),
];

/// Reads and judges one object with `size` parts over the live Flux. Counts what is walked over.
fn walked_over((head, part): (&str, &str), size: usize, door: Door) -> usize {
    let (start, end) = match head.split_once("spec: {group") {
        Some((start, end)) => (start, format!("spec: {{group{end}")),
        None => (head, String::new()),
    };
    let mut text = start.to_owned();
    for number in 0..size {
        text.push_str(&part.replace("NUMBER", &number.to_string()));
    }
    text.push_str(&end);
    let facts = Facts::of(manifest::read(LIVE, Reading::default()).unwrap());
    let now = "2026-11-24T12:00:00Z".parse().unwrap();
    walked::during(|| {
        let objects = manifest::read(&text, Reading::default()).unwrap();
        let subject = match door {
            Door::Engine => Subject::Change(Box::new(Change {
                old: facts.live(&objects[0].key()).cloned(),
                new: objects.into_iter().next(),
            })),
            _ => Subject::Release(Release {
                objects,
                ..Release::default()
            }),
        };
        let request = Request {
            door,
            operation: Operation::Update,
            writer: Writer::default(),
            dry_run: false,
            subject,
            gaps: Vec::new(),
        };
        let _ = judge(&request, &facts, &Policy::default(), now);
    })
}

#[test]
fn twice_the_parts_of_one_object_cost_twice_as_much() {
    for large in LARGE {
        for door in [Door::ReleaseRecord, Door::PostRenderer, Door::Engine] {
            let [once, twice] = [1_000, 2_000].map(|size| walked_over(large, size, door));
            assert!(
                once >= 1_000 && twice <= 2 * once,
                "{door}: {once} became {twice} for\n{}",
                large.0
            );
        }
    }
}
