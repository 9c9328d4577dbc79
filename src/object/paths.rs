//! The fields of an object that fluxkeep reads: one table for every door, in YAML and in JSON.
//!
//! Every key absent from this table is skipped, at any depth. A null counts as an absent key.

use super::Kind;
use crate::yaml::Paths;

/// A string, number or boolean.
const SCALAR: Paths = Paths::Nested(0);
/// Labels, annotations or a label selector.
const TEXTS: Paths = Paths::Prefixed(&[""]);
const NAMES: Paths = Paths::Items(&SCALAR);

const METADATA: Paths = Paths::Keys(&[
    ("name", SCALAR),
    ("namespace", SCALAR),
    ("labels", TEXTS),
    ("annotations", TEXTS),
]);

/// Only tells whether `items` is a list.
const ITEMS: Paths = Paths::Items(&Paths::Keys(&[]));

const CONVERSION: Paths = Paths::Keys(&[
    ("strategy", SCALAR),
    (
        "webhook",
        Paths::Keys(&[
            (
                "clientConfig",
                Paths::Keys(&[
                    ("url", SCALAR),
                    (
                        "service",
                        Paths::Keys(&[("namespace", SCALAR), ("name", SCALAR)]),
                    ),
                ]),
            ),
            ("conversionReviewVersions", NAMES),
        ]),
    ),
]);

/// Only tells which fields of an object a schema keeps.
const SCHEMA: Paths = Paths::Keys(&[
    (
        "properties",
        Paths::Keys(&[("spec", Paths::Keys(&[])), ("status", Paths::Keys(&[]))]),
    ),
    ("additionalProperties", Paths::Keys(&[])),
    ("x-kubernetes-preserve-unknown-fields", SCALAR),
]);

const DEFINITION: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("group", SCALAR),
            ("scope", SCALAR),
            (
                "names",
                Paths::Keys(&[("kind", SCALAR), ("plural", SCALAR)]),
            ),
            ("version", SCALAR),
            (
                "versions",
                Paths::Items(&Paths::Keys(&[
                    ("name", SCALAR),
                    ("served", SCALAR),
                    ("storage", SCALAR),
                    ("schema", Paths::Keys(&[("openAPIV3Schema", SCHEMA)])),
                    // Only its presence counts.
                    ("subresources", Paths::Keys(&[("status", Paths::Keys(&[]))])),
                ])),
            ),
            ("preserveUnknownFields", SCALAR),
            ("conversion", CONVERSION),
        ]),
    ),
    (
        "status",
        Paths::Keys(&[
            ("storedVersions", NAMES),
            (
                "conditions",
                Paths::Items(&Paths::Keys(&[("type", SCALAR), ("status", SCALAR)])),
            ),
        ]),
    ),
]);

const REMEDIATION: Paths = Paths::Keys(&[
    ("retries", SCALAR),
    ("remediateLastFailure", SCALAR),
    ("strategy", SCALAR),
]);
const REFERENCE: Paths = Paths::Keys(&[("kind", SCALAR), ("namespace", SCALAR), ("name", SCALAR)]);
const STRATEGY: Paths = Paths::Keys(&[("name", SCALAR)]);

/// A HelmRelease's `spec`.
const RELEASE: Paths = Paths::Keys(&[
    (
        "chart",
        Paths::Keys(&[(
            "spec",
            Paths::Keys(&[
                ("chart", SCALAR),
                ("version", SCALAR),
                ("sourceRef", REFERENCE),
            ]),
        )]),
    ),
    ("chartRef", REFERENCE),
    ("releaseName", SCALAR),
    ("targetNamespace", SCALAR),
    ("storageNamespace", SCALAR),
    ("suspend", SCALAR),
    ("kubeConfig", Paths::Keys(&[])),
    (
        "install",
        Paths::Keys(&[("remediation", REMEDIATION), ("strategy", STRATEGY)]),
    ),
    (
        "upgrade",
        Paths::Keys(&[
            ("remediation", REMEDIATION),
            ("strategy", STRATEGY),
            ("chartNameChangeStrategy", SCALAR),
        ]),
    ),
    // Any tenant chooses the shape of both.
    ("postRenderers", Paths::Text),
    ("values", Paths::Text),
]);

const HELM_RELEASE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    ("spec", RELEASE),
]);

/// The `status` of an object that applies others, with its inventory.
const APPLIER: Paths = Paths::Keys(&[(
    "inventory",
    Paths::Keys(&[("entries", Paths::Items(&Paths::Keys(&[("id", SCALAR)])))]),
)]);

const FLUX_INSTANCE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("distribution", Paths::Keys(&[("version", SCALAR)])),
            ("components", NAMES),
        ]),
    ),
    ("status", APPLIER),
]);

const KUSTOMIZATION: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("prune", SCALAR),
            ("suspend", SCALAR),
            ("deletionPolicy", SCALAR),
            ("kubeConfig", Paths::Keys(&[])),
            ("sourceRef", REFERENCE),
        ]),
    ),
    ("status", APPLIER),
]);

const FLUX_SOURCE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[("secretRef", Paths::Keys(&[("name", SCALAR)]))]),
    ),
]);

const WORKLOAD: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("replicas", SCALAR),
            ("paused", SCALAR),
            ("selector", Paths::Keys(&[("matchLabels", TEXTS)])),
            (
                "template",
                Paths::Keys(&[
                    ("metadata", Paths::Keys(&[("labels", TEXTS)])),
                    (
                        "spec",
                        Paths::Keys(&[
                            ("serviceAccountName", SCALAR),
                            ("nodeSelector", TEXTS),
                            (
                                "containers",
                                Paths::Items(&Paths::Keys(&[("name", SCALAR), ("image", SCALAR)])),
                            ),
                        ]),
                    ),
                ]),
            ),
        ]),
    ),
]);

const SERVICE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("type", SCALAR),
            ("clusterIP", SCALAR),
            ("externalName", SCALAR),
            ("selector", TEXTS),
        ]),
    ),
]);

const QUOTA: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("hard", TEXTS),
            ("scopes", NAMES),
            ("scopeSelector", Paths::Keys(&[])),
        ]),
    ),
]);

const LIMITS: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[(
            "limits",
            Paths::Items(&Paths::Keys(&[("type", SCALAR), ("max", TEXTS)])),
        )]),
    ),
]);

const SELECTOR: Paths = Paths::Keys(&[
    ("matchLabels", TEXTS),
    (
        "matchExpressions",
        Paths::Items(&Paths::Keys(&[
            ("key", SCALAR),
            ("operator", SCALAR),
            ("values", NAMES),
        ])),
    ),
]);

const NETWORK_POLICY: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "spec",
        Paths::Keys(&[
            ("podSelector", SELECTOR),
            ("policyTypes", NAMES),
            // Only the number of rules counts.
            ("ingress", ITEMS),
            ("egress", ITEMS),
        ]),
    ),
]);

const BINDING: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    (
        "roleRef",
        Paths::Keys(&[("kind", SCALAR), ("name", SCALAR)]),
    ),
    (
        "subjects",
        Paths::Items(&Paths::Keys(&[
            ("kind", SCALAR),
            ("namespace", SCALAR),
            ("name", SCALAR),
        ])),
    ),
]);

const ROLE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    // Only its presence counts.
    ("aggregationRule", Paths::Keys(&[])),
    (
        "rules",
        Paths::Items(&Paths::Keys(&[
            ("apiGroups", NAMES),
            ("resources", NAMES),
            ("verbs", NAMES),
            ("resourceNames", NAMES),
        ])),
    ),
]);

const SCALE: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
    ("spec", Paths::Keys(&[("replicas", SCALAR)])),
]);

const OTHER: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("items", ITEMS),
    ("metadata", METADATA),
]);

/// The fields of a list with items of any kind: each item as deep as any object.
pub(crate) static LIST: Paths = Paths::Keys(&[
    ("apiVersion", SCALAR),
    ("kind", SCALAR),
    ("metadata", METADATA),
    ("items", Paths::Items(&Paths::Nested(16))),
]);

/// The fields of a review of an object.
macro_rules! review {
    ($object:expr) => {
        Paths::Keys(&[(
            "request",
            Paths::Keys(&[
                ("object", $object),
                ("oldObject", $object),
                ("dryRun", SCALAR),
                ("options", Paths::Keys(&[("fieldManager", SCALAR)])),
            ]),
        )])
    };
}

/// The fields of a release record's review.
pub(crate) static RECORD_REVIEW: Paths = review!(Paths::Keys(&[(
    "data",
    Paths::Keys(&[("release", SCALAR)])
)]));

impl Kind {
    /// The fields that fluxkeep reads of this kind.
    #[must_use]
    pub fn paths(self) -> &'static Paths {
        match self {
            Self::Definition => &DEFINITION,
            Self::HelmRelease => &HELM_RELEASE,
            Self::FluxInstance => &FLUX_INSTANCE,
            Self::Kustomization => &KUSTOMIZATION,
            Self::FluxSource => &FLUX_SOURCE,
            Self::Workload => &WORKLOAD,
            Self::Service => &SERVICE,
            Self::Quota => &QUOTA,
            Self::Limits => &LIMITS,
            Self::NetworkPolicy => &NETWORK_POLICY,
            Self::Binding => &BINDING,
            Self::Role => &ROLE,
            Self::Scale => &SCALE,
            Self::Other => &OTHER,
        }
    }

    /// The fields that fluxkeep reads of a review of this kind.
    pub(crate) fn review(self) -> &'static Paths {
        match self {
            Self::Definition => &review!(DEFINITION),
            Self::HelmRelease => &review!(HELM_RELEASE),
            Self::FluxInstance => &review!(FLUX_INSTANCE),
            Self::Kustomization => &review!(KUSTOMIZATION),
            Self::FluxSource => &review!(FLUX_SOURCE),
            Self::Workload => &review!(WORKLOAD),
            Self::Service => &review!(SERVICE),
            Self::Quota => &review!(QUOTA),
            Self::Limits => &review!(LIMITS),
            Self::NetworkPolicy => &review!(NETWORK_POLICY),
            Self::Binding => &review!(BINDING),
            Self::Role => &review!(ROLE),
            Self::Scale => &review!(SCALE),
            Self::Other => &review!(OTHER),
        }
    }
}
