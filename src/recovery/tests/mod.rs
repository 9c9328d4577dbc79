#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod available;
mod differences;
mod slots;

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn engine() -> Engine {
    Engine::default()
}

fn reading() -> Reading {
    Reading {
        cluster: "cluster-uid".to_owned(),
        taken: "2026-12-01T03:14:00Z".parse().unwrap(),
    }
}

fn deployment(name: &str, version: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "flux-system", "uid": "u", "resourceVersion": "7",
            "managedFields": [{"manager": "x"}], "ownerReferences": [{"uid": "gone"}],
            "annotations": {"meta.helm.sh/release-name": "flux", "meta.helm.sh/release-namespace": "flux-system",
                "deployment.kubernetes.io/revision": "3", "fluxkeep.io/allow": "engine-deleted"},
            "labels": {"app.kubernetes.io/part-of": "flux"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "manager",
            "image": format!("ghcr.io/fluxcd/{name}:{version}"), "resources": {"limits": {"cpu": "1000m"}}}]}}},
        "status": {"availableReplicas": 1}})
}

fn plain(api_version: &str, kind: &str, name: &str, namespace: Option<&str>) -> Value {
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

const BUCKETS: &str = "buckets.source.toolkit.fluxcd.io";

fn flux() -> Vec<Value> {
    let home = Some("flux-system");
    vec![
        deployment("source-controller", "v1.4.1"),
        deployment("helm-controller", "v1.1.0"),
        plain("v1", "Service", "source-controller", home),
        plain("v1", "ServiceAccount", "source-controller", home),
        plain(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "cluster-reconciler",
            None,
        ),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": BUCKETS, "finalizers": ["customresourcecleanup.apiextensions.k8s.io"]},
            "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object"}}}]},
            "status": {"storedVersions": ["v1"]}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"},
            "spec": {"finalizers": ["kubernetes"]}}),
    ]
}

fn point() -> Point {
    Point::of(flux(), &engine(), Some(reading())).unwrap()
}

#[test]
fn it_holds_the_engine_in_the_order_in_which_it_is_applied() {
    let names: Vec<String> = point().keys().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Namespace flux-system",
            "CustomResourceDefinition buckets.source.toolkit.fluxcd.io",
            "ServiceAccount flux-system/source-controller",
            "ClusterRoleBinding cluster-reconciler",
            "Service flux-system/source-controller",
            "Deployment flux-system/helm-controller",
            "Deployment flux-system/source-controller",
        ]
    );
    let counts: Vec<usize> = point().stages().map(|(_, objects)| objects.len()).collect();
    assert_eq!(counts, [1, 1, 5]);
}

#[test]
fn its_head_tells_where_it_comes_from() {
    let point = point();
    assert_eq!(point.head.flux.as_deref(), Some("2.4.0"));
    assert_eq!(
        point.head.owner.as_deref(),
        Some("Helm release flux-system/flux")
    );
    assert_eq!(
        point.head.controllers,
        ["helm-controller", "source-controller"]
    );
    let told = point.head.to_string();
    assert!(
        told.starts_with(
            "Flux 2.4.0 in flux-system, 7 objects, taken 2026-12-01T03:14:00Z, of Helm release flux-system/flux, digest "
        ),
        "{told}"
    );
}

#[test]
fn secrets_and_strangers_are_left_out() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "source-controller", "namespace": "flux-system", "labels": {"app.kubernetes.io/part-of": "flux"}}});
    let stranger = plain("apps/v1", "Deployment", "shop", Some("flux-system"));
    let elsewhere = plain("v1", "Service", "source-controller", Some("other"));
    let more = [flux(), vec![secret, stranger, elsewhere]].concat();
    assert_eq!(
        Point::of(more, &engine(), Some(reading())).unwrap(),
        point()
    );
}

#[test]
fn nothing_that_the_apiserver_writes_stays() {
    let text = serde_json::to_string(point().objects()).unwrap();
    for gone in [
        "uid",
        "resourceVersion",
        "managedFields",
        "ownerReferences",
        "finalizers",
        "status",
        "storedVersions",
        "deployment.kubernetes.io/revision",
        "fluxkeep.io/allow",
    ] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    assert!(text.contains("meta.helm.sh/release-name") && text.contains("openAPIV3Schema"));
}

#[test]
fn an_address_is_freed_and_being_headless_is_kept() {
    let service = |ip: &str| {
        let spec = json!({"clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80, "nodePort": 30_000}]});
        stripped(json!({"kind": "Service", "metadata": {"name": "a"}, "spec": spec}))["spec"]
            .clone()
    };
    assert_eq!(service("10.0.0.1"), json!({"ports": [{"port": 80}]}));
    assert_eq!(service("None")["clusterIP"], json!("None"));
    let account = json!({"kind": "ServiceAccount", "metadata": {}, "secrets": [{"name": "token"}]});
    assert_eq!(
        stripped(account),
        json!({"kind": "ServiceAccount", "metadata": {}})
    );
}

#[test]
fn a_point_needs_a_controller() {
    let objects = flux().split_off(2);
    let error = Point::of(objects, &engine(), None).unwrap_err();
    assert_eq!(error, Unusable::NoController("flux-system".to_owned()));
}

#[test]
fn equal_content_has_an_equal_digest_at_any_time() {
    let mut objects = flux();
    objects.reverse();
    objects[0]["metadata"]["resourceVersion"] = json!("8");
    let later = Reading {
        taken: "2027-01-01T00:00:00Z".parse().unwrap(),
        ..reading()
    };
    let later = Point::of(objects, &engine(), Some(later)).unwrap();
    assert_eq!(later.head.digest, point().head.digest);
    let other = [flux(), vec![deployment("helm-controller", "v1.2.0")]].concat();
    let other = other.into_iter().skip(2).collect();
    assert_ne!(
        Point::of(other, &engine(), None).unwrap().head.digest,
        point().head.digest
    );
}

#[test]
fn a_manifest_becomes_a_point_and_its_strangers_are_named() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-system\n---\n# only a comment\n---\n\
                apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: pull, namespace: flux-system}\n\
                - apiVersion: v1\n  kind: ServiceAccount\n  metadata: {name: source-controller}\n---\n\
                apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: source-controller, namespace: flux-system, creationTimestamp: null}\n\
                spec: {template: {spec: {containers: [{name: manager, image: 'ghcr.io/fluxcd/source-controller:v1.4.1'}]}}}\n";
    let read = Point::from_manifest(text, &engine()).unwrap();
    let names: Vec<String> = read.point.keys().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "Namespace flux-system",
            "ServiceAccount flux-system/source-controller",
            "Deployment flux-system/source-controller"
        ]
    );
    assert_eq!(read.left_out[0].to_string(), "Secret flux-system/pull");
    assert_eq!(
        (read.point.head.cluster, read.point.head.taken),
        (None, None)
    );
}

#[test]
fn a_manifest_of_no_use_is_refused_with_its_place() {
    let other = Engine {
        namespaces: vec!["other".to_owned()],
        ..Engine::default()
    };
    let text = flux()[0].to_string();
    let told = Point::from_manifest(&text, &other).unwrap_err().to_string();
    assert!(
        told.contains("namespace other") && told.contains("--namespace"),
        "{told}"
    );
    let told = Point::from_manifest("a: b\n---\na: [", &engine())
        .unwrap_err()
        .to_string();
    assert!(told.contains("line "), "{told}");
}

#[test]
fn a_point_fits_its_own_engine_and_cluster() {
    let point = point();
    assert_eq!(point.fits("flux-system", "cluster-uid"), Ok(()));
    let told = point.fits("other", "cluster-uid").unwrap_err().to_string();
    assert!(told.contains("--namespace flux-system"), "{told}");
    let told = point.fits("flux-system", "b").unwrap_err().to_string();
    assert!(told.contains("--context"), "{told}");
    let manifest = Point::of(flux(), &engine(), None).unwrap();
    assert_eq!(manifest.fits("flux-system", "any"), Ok(()));
}

#[test]
fn a_point_that_would_apply_something_else_is_refused() {
    let mut point = point();
    point
        .objects
        .push(plain("v1", "Secret", "a", Some("flux-system")));
    let told = Point::decode(&point.encode_anew()).unwrap_err().to_string();
    assert!(told.contains("Secret flux-system/a"), "{told}");
}

#[test]
fn a_newer_format_is_named() {
    let head = Head {
        format: 9,
        ..Head::default()
    };
    let line = serde_json::to_string(&head).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, line.as_bytes()).unwrap();
    let parts = [gzip.finish().unwrap()];
    assert_eq!(Point::decode(&parts), Err(Unusable::Newer(9)));
}

/// The bytes are sound gzip, so only the digest shows that they are of two points.
#[test]
fn objects_under_the_head_of_another_point_are_refused() {
    let point = point();
    let unpacked = |head: &Head, objects: &[Value]| {
        let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let head = serde_json::to_string(head).unwrap();
        let text = format!("{head}\n{}\n", objects.join("\n"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, text.as_bytes()).unwrap();
        [gzip.finish().unwrap()]
    };
    assert_eq!(
        Point::decode(&unpacked(&point.head, &point.objects)),
        Ok(point.clone())
    );
    let mut changed = point.objects.clone();
    changed[6]["spec"]["replicas"] = json!(2);
    let refused = Point::decode(&unpacked(&point.head, &changed));
    assert!(matches!(refused, Err(Unusable::Spoilt(_))), "{refused:?}");
    let refused = verify(&unpacked(&point.head, &point.objects[1..]));
    assert!(matches!(refused, Err(Unusable::Spoilt(_))), "{refused:?}");
}

#[test]
fn other_bytes_are_no_point() {
    for bytes in [&b""[..], b"apiVersion: v1", b"\x1f\x8b", b"{}"] {
        let error = verify(&[bytes]).unwrap_err();
        assert!(
            matches!(error, Unusable::NotAPoint(_) | Unusable::Spoilt(_)),
            "{error}"
        );
    }
}

#[test]
fn a_bomb_is_too_large() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let head = serde_json::to_string(&point().head).unwrap() + "\n";
    std::io::Write::write_all(&mut gzip, head.as_bytes()).unwrap();
    for _ in 0..40 {
        std::io::Write::write_all(&mut gzip, &vec![b'x'; 1 << 20]).unwrap();
    }
    let error = verify(&[gzip.finish().unwrap()]).unwrap_err();
    assert!(matches!(error, Unusable::TooLarge(_)), "{error}");
}

impl Point {
    /// The parts with a digest of the present objects.
    fn encode_anew(&self) -> Vec<PointPart> {
        let (_, bytes) = encoding::encode(self.head.clone(), &self.objects);
        encoding::parts(&bytes)
    }
}

fn noise() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-z0-9]{1,12}", any::<String>()), 0..20)
}

proptest! {
    #[test]
    fn a_point_is_read_as_it_was_written_however_it_is_cut(noise in noise(), cut in 1_usize..5_000) {
        let home = Some("flux-system");
        let named = |(name, value): (String, String)| {
            let mut object = plain("v1", "Service", &name, home);
            object["metadata"]["labels"] = json!({"app.kubernetes.io/part-of": "flux", "x": value});
            object
        };
        let objects = [flux(), noise.into_iter().map(named).collect()].concat();
        let point = Point::of(objects, &engine(), Some(reading())).unwrap();
        let whole = point.encode().concat();
        let parts: Vec<&[u8]> = whole.chunks(cut).collect();
        prop_assert_eq!(Point::decode(&parts).unwrap(), point.clone());
        prop_assert_eq!(verify(&parts).unwrap(), point.head);
    }

    #[test]
    fn spoilt_bytes_are_refused_or_read_the_same(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let point = point();
        let mut bytes = point.encode().concat();
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        if let Ok(read) = Point::decode(&[&bytes]) {
            prop_assert_eq!(read, point);
        }
    }

    #[test]
    fn a_point_that_ends_early_is_refused(length in any::<prop::sample::Index>()) {
        let bytes = point().encode().concat();
        let cut = &bytes[..length.index(bytes.len())];
        prop_assert!(Point::decode(&[cut]).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Point::decode(&[bytes]).is_err());
    }
}
