//! The audit of clusters as they live: a sound cluster has no finding, and each defect has one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;

use fluxkeep::audit::{Audit, audit};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Decision;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, Names};
use fluxkeep_fixtures::now;
use serde_json::{Value, json};

fn audited(items: &[Value]) -> Audit {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    let facts = Facts::of(objects(&list.to_string(), None));
    audit(&facts, &Policy::default(), now())
}

/// The rules of the findings, without those about upgrades.
fn rules(audit: &Audit) -> Vec<&'static str> {
    let findings = audit.verdict.findings.iter();
    let lives = findings.filter(|finding| finding.rule != "stored-version-dropped");
    lives.map(|finding| finding.rule).collect()
}

/// Flux by the community's chart, owned by the release `flux`, and the HelmRelease behind it.
fn charted(version: &str, spec: &Value) -> Vec<Value> {
    let flux = Flux::release(version);
    let mut items = flux.charted();
    for item in &mut items {
        item["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "flux",
            "meta.helm.sh/release-namespace": "flux-system"});
    }
    let mut release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system"},
        "spec": {"releaseName": "flux", "chart": {"spec": {"chart": "flux2", "version": flux.chart_version(),
            "sourceRef": {"kind": "HelmRepository", "name": "fluxcd-community"}}}}});
    for (key, value) in spec.as_object().unwrap() {
        release["spec"][key] = value.clone();
    }
    items.push(release);
    items
}

#[test]
fn a_sound_cluster_of_any_release_has_no_finding() {
    for release in Catalogue::built_in().releases() {
        let version = release.version.to_string();
        let flux = Flux::release(&version);
        for names in [Names::Install, Names::Bootstrap] {
            let found = audited(&flux.installed(names));
            assert_eq!(
                rules(&found),
                Vec::<&str>::new(),
                "{version} {names:?}: {found:#?}"
            );
        }
        if !release.charts.is_empty() {
            let found = audited(&charted(&version, &json!({})));
            assert_eq!(
                rules(&found),
                Vec::<&str>::new(),
                "{version} by chart: {found:#?}"
            );
            assert_eq!(found.verdict.abstained, [], "{version}");
        }
    }
}

#[test]
fn a_cluster_without_flux_has_nothing_to_audit() {
    assert_eq!(audited(&[]), Audit::default());
}

#[test]
fn a_helm_release_that_would_uninstall_flux_is_found_before_it_does() {
    let spec = json!({"install": {"remediation": {"retries": 3}}});
    let found = audited(&charted("2.8.5", &spec));
    assert_eq!(rules(&found), ["destructive-remediation"]);
    assert_eq!(found.verdict.decision(), Decision::Refuse);
    let suspended = json!({"suspend": true, "install": {"remediation": {"retries": 3}}});
    assert_eq!(
        rules(&audited(&charted("2.8.5", &suspended))),
        Vec::<&str>::new()
    );
}

#[test]
fn a_crd_that_blocks_upgrades_is_a_warning_about_the_first_and_counts_for_each() {
    let found = audited(&Flux::release("2.4.0").installed(Names::Install));
    let counts: BTreeMap<String, usize> = found
        .upgrades
        .iter()
        .map(|(release, crds)| (release.to_string(), crds.len()))
        .collect();
    let newest = Catalogue::built_in().newest().unwrap().version.to_string();
    let expected = [
        ("2.5.1", 0),
        ("2.6.4", 0),
        ("2.7.5", 0),
        ("2.8.8", 1),
        (newest.as_str(), 4),
    ];
    assert_eq!(
        counts,
        expected
            .map(|(release, count)| (release.to_owned(), count))
            .into()
    );
    let findings = &found.verdict.findings;
    assert!(
        findings.iter().all(|finding| finding.level == Level::Warn),
        "{findings:?}"
    );
    let oci: Vec<_> = findings
        .iter()
        .filter(|finding| finding.object.name.starts_with("ocirepositories"))
        .collect();
    assert_eq!(oci.len(), 1);
    assert!(
        oci[0].message.starts_with("Flux 2.8.8: "),
        "{}",
        oci[0].message
    );
}

#[test]
fn an_override_on_a_crd_takes_it_off_the_blocking_ones() {
    let mut items = Flux::release("2.7.5").installed(Names::Install);
    let oci = "imageupdateautomations.image.toolkit.fluxcd.io";
    let crd = items
        .iter_mut()
        .find(|item| item["metadata"]["name"] == oci)
        .unwrap();
    crd["status"] = json!({"storedVersions": ["v1beta2", "v1"]});
    let is_blocking = |items: &[Value]| {
        audited(items)
            .upgrades
            .values()
            .any(|crds| crds.iter().any(|crd| crd == oci))
    };
    assert!(is_blocking(&items));
    let crd = items
        .iter_mut()
        .find(|item| item["metadata"]["name"] == oci)
        .unwrap();
    crd["metadata"]["annotations"] = json!({"fluxkeep.io/allow": "stored-version-dropped",
        "fluxkeep.io/reason": "no objects", "fluxkeep.io/until": "2026-12-01T00:00:00Z"});
    assert!(!is_blocking(&items));
}
