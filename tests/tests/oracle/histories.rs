//! Histories: definitions of a CRD that are written one after another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fluxkeep::flux::catalogue::Catalogue;
use serde_json::{Value, json};

/// The distinct definitions of each CRD, by name.
pub(crate) type Shapes = BTreeMap<String, Shape>;

/// The distinct definitions of one CRD.
#[derive(Default)]
pub(crate) struct Shape {
    /// Published definitions.
    found: Vec<Value>,
    /// Careless variants of these: a version removed, another version stored.
    careless: Vec<Value>,
}

/// Definitions of one CRD in the order of writing.
pub(crate) type History = Vec<Value>;

/// All definitions in Flux's releases.
pub(crate) fn flux() -> Shapes {
    let mut shapes = Shapes::new();
    for crd in Catalogue::built_in()
        .releases()
        .iter()
        .flat_map(|release| &release.crds)
    {
        let definition = crd.definition();
        let version = |version: &fluxkeep::crd::Version| json!({"name": version.name, "served": version.served, "storage": version.storage, "schema": schema()});
        let versions: Vec<_> = definition.versions.iter().map(version).collect();
        let shape = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": crd.name}, "spec": {"group": definition.group, "scope": definition.scope,
                "names": {"kind": definition.kind, "plural": definition.plural}, "versions": versions}});
        let known = &mut shapes.entry(crd.name.clone()).or_default().found;
        if !known.contains(&shape) {
            known.push(shape);
        }
    }
    shapes
}

/// The CRDs in a folder of manifests.
pub(crate) fn found_in(folder: &Path) -> Shapes {
    let mut shapes = Shapes::new();
    for path in manifests(folder) {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let objects = fluxkeep::yaml::values(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for crd in objects
            .into_iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition")
        {
            let name = crd["metadata"]["name"]
                .as_str()
                .expect("a CRD has a name")
                .to_owned();
            let crd = without_schemas(crd);
            let known = shapes.entry(name).or_default();
            if !known.found.iter().any(|one| offer(one) == offer(&crd)) {
                known.found.push(crd);
            }
        }
    }
    for shape in shapes.values_mut() {
        let mut known: Vec<_> = shape.found.iter().map(offer).collect();
        for changed in shape.found.iter().flat_map(careless) {
            if !known.contains(&offer(&changed)) {
                known.push(offer(&changed));
                shape.careless.push(changed);
            }
        }
    }
    assert!(
        !shapes.is_empty(),
        "{} holds no CustomResourceDefinition",
        folder.display()
    );
    shapes
}

/// The CRD with schemas that accept everything. Schemas do not affect the answer, and the apiserver
/// takes seconds to process real ones.
fn without_schemas(mut crd: Value) -> Value {
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        version["schema"] = schema();
        // Selectable fields refer to fields of the schema.
        version
            .as_object_mut()
            .expect("a version")
            .remove("selectableFields");
    }
    crd
}

/// A schema that accepts everything.
fn schema() -> Value {
    json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    });
    paths.sort();
    paths
}

fn careless(crd: &Value) -> Vec<Value> {
    let count = crd["spec"]["versions"].as_array().map_or(0, Vec::len);
    let with = |versions: Vec<Value>| {
        let mut other = crd.clone();
        other["spec"]["versions"] = versions.into();
        other
    };
    let versions = || {
        crd["spec"]["versions"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let less = (0..count).filter(|_| count > 1).map(|index| {
        let mut left = versions();
        let gone = left.remove(index);
        if gone["storage"] == true {
            left[0]["storage"] = true.into();
        }
        with(left)
    });
    let moved = (0..count).map(|index| {
        let mut all = versions();
        all.iter_mut()
            .enumerate()
            .for_each(|(place, version)| version["storage"] = (place == index).into());
        with(all)
    });
    less.chain(moved).collect()
}

/// Every ordered pair of different definitions, and every triple of published ones.
pub(crate) fn histories(shapes: &Shapes) -> Vec<History> {
    let of_one = |Shape { found, careless }: &Shape| {
        let all = [found.clone(), careless.clone()].concat();
        let pairs = grown(
            &all.iter().map(|one| vec![one.clone()]).collect::<Vec<_>>(),
            &all,
        );
        let published = grown(
            &found
                .iter()
                .map(|one| vec![one.clone()])
                .collect::<Vec<_>>(),
            found,
        );
        [pairs, grown(&published, found)].concat()
    };
    shapes.values().flat_map(of_one).collect()
}

/// Each history extended by each definition that differs from its last.
fn grown(histories: &[History], all: &[Value]) -> Vec<History> {
    let next = |history: &History| {
        let others = all.iter().filter(|shape| history.last() != Some(shape));
        others
            .map(|shape| [history.as_slice(), std::slice::from_ref(shape)].concat())
            .collect::<Vec<_>>()
    };
    histories.iter().flat_map(next).collect()
}

/// The names of a definition's versions, with `*` for the stored one.
pub(crate) fn offer(crd: &Value) -> String {
    let star = |version: &Value| if version["storage"] == true { "*" } else { "" };
    let name = |version: &Value| {
        format!(
            "{}{}",
            version["name"].as_str().unwrap_or_default(),
            star(version)
        )
    };
    crd["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(name)
        .collect::<Vec<_>>()
        .join(" ")
}
