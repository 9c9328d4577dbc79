//! The dependency law, checked against the real graph.

#![allow(clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

fn metadata() -> Metadata {
    MetadataCommand::new().exec().expect("cargo metadata")
}

/// The direct dependencies of each package, without those for tests and build scripts.
fn direct(metadata: &Metadata) -> BTreeMap<&PackageId, Vec<&PackageId>> {
    let nodes = &metadata.resolve.as_ref().expect("a resolved graph").nodes;
    let normal = |node: &cargo_metadata::NodeDep| {
        node.dep_kinds
            .iter()
            .any(|kind| kind.kind == DependencyKind::Normal)
    };
    nodes
        .iter()
        .map(|node| {
            (
                &node.id,
                node.deps
                    .iter()
                    .filter(|dep| normal(dep))
                    .map(|dep| &dep.pkg)
                    .collect(),
            )
        })
        .collect()
}

fn named<'a>(metadata: &'a Metadata, name: &str) -> &'a PackageId {
    &metadata
        .packages
        .iter()
        .find(|package| package.name == name)
        .expect("the package")
        .id
}

fn name<'a>(metadata: &'a Metadata, id: &PackageId) -> &'a str {
    metadata[id].name.as_str()
}

#[test]
fn members_stand_on_each_other_in_one_direction_only() {
    let law = [
        ("fluxkeep-yaml", vec![]),
        ("fluxkeep-certs", vec![]),
        ("fluxkeep", vec!["fluxkeep-yaml"]),
        ("fluxkeep-cluster", vec!["fluxkeep"]),
        ("fluxkeep-fixtures", vec!["fluxkeep", "fluxkeep-cluster"]),
        (
            "fluxkeep-webhook",
            vec!["fluxkeep", "fluxkeep-certs", "fluxkeep-cluster"],
        ),
        (
            "fluxkeep-postrenderer",
            vec!["fluxkeep", "fluxkeep-cluster"],
        ),
        ("fluxkeep-catalogue", vec!["fluxkeep"]),
        (
            "fluxkeep-cli",
            vec!["fluxkeep", "fluxkeep-cluster", "fluxkeep-webhook"],
        ),
    ];
    let metadata = metadata();
    let graph = direct(&metadata);
    for (member, allowed) in law {
        let ours = graph[named(&metadata, member)]
            .iter()
            .map(|id| name(&metadata, id));
        let ours: BTreeSet<_> = ours.filter(|name| name.starts_with("fluxkeep")).collect();
        assert_eq!(
            ours,
            allowed.into_iter().collect(),
            "what {member} stands on"
        );
    }
}

#[test]
fn nothing_in_the_cores_tree_opens_a_socket_waits_or_starts_a_thread() {
    let metadata = metadata();
    let graph = direct(&metadata);
    let mut seen = BTreeSet::new();
    let mut next = vec![named(&metadata, "fluxkeep")];
    while let Some(id) = next.pop() {
        if seen.insert(id) {
            next.extend(&graph[id]);
        }
    }
    let tree: BTreeSet<_> = seen.iter().map(|id| name(&metadata, id)).collect();
    assert!(tree.contains("serde_json"), "the tree was walked");
    for banned in [
        "tokio",
        "hyper",
        "kube",
        "kube-client",
        "axum",
        "rustls",
        "async-std",
        "mio",
        "rayon",
        "rayon-core",
    ] {
        assert!(!tree.contains(banned), "the core depends on {banned}");
    }
}
