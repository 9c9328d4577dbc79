#![allow(clippy::unwrap_used)]
use super::*;
use crate::manifest::{Reading, read};

fn service(labels: &str, annotations: &str) -> Object {
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: source-controller\n  \
         namespace: flux-system\n  labels: {{{labels}}}\n  annotations: {{{annotations}}}\n"
    );
    let objects = read(&text, Reading::default()).unwrap();
    objects.into_iter().next().unwrap()
}

fn named(labels: &str, annotations: &str) -> Option<String> {
    holder(&service(labels, annotations)).map(|holder| holder.to_string())
}

#[test]
fn every_tool_is_known_by_its_marks() {
    let helm = "meta.helm.sh/release-name: flux, meta.helm.sh/release-namespace: flux-system";
    let argo = "argocd.argoproj.io/tracking-id: 'platform:/Service:flux-system/source-controller'";
    let flux = "fluxcd.controlplane.io/name: flux, fluxcd.controlplane.io/namespace: flux-system";
    let cases = [
        ("", helm, "Helm release flux-system/flux"),
        (
            "kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: team",
            "",
            "Kustomization team/apps",
        ),
        (flux, "", "FluxInstance flux-system/flux"),
        (
            "resourceset.fluxcd.controlplane.io/name: a, resourceset.fluxcd.controlplane.io/namespace: b",
            "",
            "ResourceSet b/a",
        ),
        ("", argo, "Argo CD application platform"),
        (
            "argocd.argoproj.io/instance: platform",
            "",
            "Argo CD application platform",
        ),
        ("kapp.k14s.io/app: '1611'", "", "kapp app 1611"),
    ];
    for (labels, annotations, expected) in cases {
        assert_eq!(named(labels, annotations).unwrap(), expected);
    }
}

#[test]
fn a_label_that_every_chart_writes_is_nobodys_mark() {
    let chart = "app.kubernetes.io/instance: flux, app.kubernetes.io/managed-by: flux-operator";
    assert_eq!(named(chart, ""), None);
}

#[test]
fn a_tracking_id_that_was_copied_from_another_object_tracks_nothing() {
    for id in [
        "platform:apps/Deployment:flux-system/source-controller",
        "platform:/Service:flux-system/webhook-receiver",
        "platform:/Service:staging/source-controller",
        "platform",
    ] {
        assert_eq!(
            named("", &format!("argocd.argoproj.io/tracking-id: '{id}'")),
            None,
            "{id}"
        );
    }
}

#[test]
fn the_tracking_id_of_a_cluster_scoped_object_names_the_applications_namespace() {
    let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: a\n  annotations:\n    \
                argocd.argoproj.io/tracking-id: 'platform:rbac.authorization.k8s.io/ClusterRole:argocd/a'\n";
    let objects = read(text, Reading::default()).unwrap();
    let holder = objects.first().and_then(holder).unwrap();
    assert_eq!(holder.to_string(), "Argo CD application platform");
}

#[test]
fn the_keys_of_every_mark_are_read() {
    for tool in &TOOLS {
        for Mark(_, key) in tool.marks {
            assert!(is_kept(key), "{key}");
        }
    }
}

#[test]
fn a_release_lets_go_once_its_next_revision_lacks_the_object_which_stays() {
    let object = service(
        "app.kubernetes.io/managed-by: Helm",
        "meta.helm.sh/release-name: old, meta.helm.sh/release-namespace: flux-system",
    );
    let freed = holder(&object).unwrap().freed(&object);
    assert_eq!(
        freed,
        "keep it: kubectl annotate --overwrite service -n flux-system source-controller \
         helm.sh/resource-policy=keep, then upgrade Helm release flux-system/old to a chart without it, then: \
         kubectl label service -n flux-system source-controller app.kubernetes.io/managed-by- && \
         kubectl annotate service -n flux-system source-controller meta.helm.sh/release-name- \
         meta.helm.sh/release-namespace-"
    );
}

#[test]
fn an_owner_lets_go_by_a_command_that_names_its_marks_only() {
    let object = service(
        "fluxcd.controlplane.io/name: flux, fluxcd.controlplane.io/namespace: flux-system",
        "",
    );
    let freed = holder(&object).unwrap().freed(&object);
    assert_eq!(
        freed,
        "pause FluxInstance flux-system/flux: kubectl annotate --overwrite fluxinstance -n flux-system flux \
         fluxcd.controlplane.io/reconcile=disabled, then: kubectl label service -n flux-system \
         source-controller fluxcd.controlplane.io/name- fluxcd.controlplane.io/namespace-"
    );
}
