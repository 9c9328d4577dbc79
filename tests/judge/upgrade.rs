//! The plan of an upgrade, compared with a real apiserver's answers, and played on clusters of the
//! catalogue.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};

use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Verdict;
use fluxkeep::flux::catalogue::{Catalogue, FluxRelease};
use fluxkeep::rules::stored_version_dropped;
use fluxkeep::upgrade::{
    CustomResources, Outlook, PlanFormat, Planned, Unplanned, UpgradePlan, UpgradeStep, judged,
    plan, render,
};
use fluxkeep_fixtures::fixture::objects;
use fluxkeep_fixtures::flux::{Flux, Names};
use fluxkeep_fixtures::now;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::storage_matrix::{Held, KEYS, lines, release};

fn facts(items: &[Value]) -> Facts {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    Facts::of(objects(&list.to_string(), None))
}

/// A fresh cluster with this Flux by `install.yaml`.
fn installed(version: &str) -> Vec<Value> {
    Flux::release(version).installed(Names::Install)
}

/// Sets a CRD's versions to those of a release, and its `storedVersions`.
fn store(items: &mut Vec<Value>, crd: &str, spec: &str, stored: &str) {
    items.retain(|item| item["metadata"]["name"] != crd);
    if spec == "-" {
        return;
    }
    let mut definitions = Flux::release(spec).definitions().into_iter();
    let mut definition = definitions
        .find(|item| item["metadata"]["name"] == crd)
        .expect("the release has the CRD");
    let stored: Vec<&str> = stored.split(',').collect();
    definition["status"] = json!({"storedVersions": stored});
    items.push(definition);
}

/// The cluster of a release as the matrix describes it.
fn of_matrix(case: &str, from: &str) -> Facts {
    let mut items = installed(from);
    for line in lines().skip(1) {
        if (line[0], line[2]) == (case, from) {
            store(&mut items, line[1], line[3], line[4]);
        }
    }
    facts(&items)
}

/// The stored versions that refuse the CRD, as the matrix writes them.
fn refused(verdict: &Verdict, crd: &str) -> Option<String> {
    let mut findings = verdict.standing();
    let finding = findings.find(|finding| {
        finding.rule == stored_version_dropped::RULE.id && finding.object.name == crd
    })?;
    let stored = finding.value.strip_prefix("stored as ").expect("its value");
    Some(stored.replace(", ", ","))
}

fn planned(facts: &Facts, to: &str) -> UpgradePlan {
    plan(facts, &Policy::default(), None, release(to), now()).expect("a plan")
}

/// `migrate CRD,CRD` and `install RELEASE`, in order.
fn told(plan: &UpgradePlan) -> Vec<String> {
    let step = |step: &UpgradeStep| match step {
        UpgradeStep::Migrate { migrations, .. } => {
            let crds: Vec<&str> = migrations
                .iter()
                .map(|one| one.crd.split('.').next().unwrap_or_default())
                .collect();
            format!("migrate {}", crds.join(","))
        }
        UpgradeStep::Rewrite { uses, .. } => format!("rewrite {}", uses.len()),
        UpgradeStep::Install(installation) => format!("install {}", installation.to),
    };
    plan.steps.iter().map(step).collect()
}

#[test]
fn every_pair_of_releases_is_judged_as_the_apiserver_answered() {
    let header = lines().next().unwrap();
    let releases = &header[KEYS..];
    let mut answers = 0;
    for case in ["fresh", "grown"] {
        for from in releases {
            let facts = of_matrix(case, from);
            for (column, to) in releases.iter().enumerate() {
                let verdict = judged(&facts, &Policy::default(), release(to), now());
                for line in lines()
                    .skip(1)
                    .filter(|line| (line[0], &line[2]) == (case, from))
                {
                    let expected = match line[KEYS + column] {
                        "=" => continue,
                        "OK" | "NEW" | "GONE" | "ABSENT" => None,
                        lost => Some(lost.to_owned()),
                    };
                    assert_eq!(
                        refused(&verdict, line[1]),
                        expected,
                        "{case} {} {from} to {to}",
                        line[1]
                    );
                    answers += 1;
                }
            }
        }
    }
    assert_eq!(answers, 2_700);
}

/// The CRDs that a plan migrates, and those of which it migrates nothing.
fn migrated(plan: &UpgradePlan) -> BTreeSet<&str> {
    let mut crds = BTreeSet::new();
    for step in &plan.steps {
        if let UpgradeStep::Migrate { migrations, .. } = step {
            crds.extend(migrations.iter().map(|one| one.crd.as_str()));
        }
    }
    crds
}

/// The plan of each neighbour needs a migration exactly if the apiserver refuses the step. Only a
/// cluster whose CRDs are behind its controllers needs more.
#[test]
fn every_plan_to_the_next_minor_migrates_what_the_apiserver_refuses() {
    let header = lines().next().unwrap();
    let releases = &header[KEYS..];
    for case in ["fresh", "grown"] {
        for (place, pair) in releases.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            let plan = planned(&of_matrix(case, from), to);
            let mut expected = BTreeSet::new();
            for line in lines()
                .skip(1)
                .filter(|line| (line[0], line[2]) == (case, from))
            {
                if !matches!(line[KEYS + place + 1], "OK" | "NEW" | "GONE" | "ABSENT") {
                    expected.insert(line[1]);
                }
            }
            let repairs = plan.installations().any(|one| one.repairs);
            let migrated = migrated(&plan);
            if repairs {
                assert!(migrated.is_superset(&expected), "{case} {from} to {to}");
            } else {
                assert_eq!(migrated, expected, "{case} {from} to {to}");
            }
            assert_ne!(
                plan.outlook(),
                Outlook::Blocked,
                "{case} {from} to {to}: {:?}",
                plan.blocking().next()
            );
        }
    }
}

/// The steps of each plan, played on a model of `storedVersions` that was compared with the
/// apiserver: no release is refused, and each migration was needed.
#[test]
fn the_steps_of_every_plan_pass_one_after_the_other() {
    let header = lines().next().unwrap();
    let releases = &header[KEYS..];
    for from in releases {
        let mut held: BTreeMap<&str, Held> = BTreeMap::new();
        let start = release(from);
        for crd in &start.crds {
            held.insert(&crd.name, Held::default().apply(&crd.name, start));
        }
        for step in &planned(&facts(&installed(from)), "2.9.4").steps {
            match step {
                UpgradeStep::Migrate { before, migrations } => {
                    let before = Catalogue::built_in().release(before).unwrap();
                    for one in migrations {
                        let held = held.get_mut(one.crd.as_str()).unwrap();
                        let answer = held.answer(&one.crd, before);
                        assert_ne!(answer, "OK", "{} from {from}", one.crd);
                        let leaves: Vec<_> = held
                            .stored
                            .iter()
                            .filter(|version| **version != one.plan.storage)
                            .cloned()
                            .collect();
                        assert_eq!(one.plan.leaves, leaves, "{} from {from}", one.crd);
                        held.stored = vec![one.plan.storage.clone()];
                    }
                }
                UpgradeStep::Rewrite { .. } => unreachable!("no custom resource was read"),
                UpgradeStep::Install(installation) => {
                    let to = Catalogue::built_in().release(&installation.to).unwrap();
                    for crd in &to.crds {
                        let before = held.remove(crd.name.as_str()).unwrap_or_default();
                        let after = before.apply(&crd.name, to);
                        assert_eq!(after.spec, Some(to), "{} from {from}", crd.name);
                        held.insert(&crd.name, after);
                    }
                }
            }
        }
    }
}

#[test]
fn crds_behind_the_controllers_are_brought_up_first() {
    let plan = planned(&of_matrix("grown", "2.8.8"), "2.9.4");
    let steps = told(&plan);
    assert!(steps[0].starts_with("migrate "), "{steps:?}");
    assert_eq!(steps[1], "install 2.8.8");
    assert_eq!(steps.last().unwrap(), "install 2.9.4");
    assert_eq!(plan.installations().filter(|one| one.repairs).count(), 1);
    let fresh = planned(&facts(&installed("2.8.8")), "2.9.4");
    assert!(fresh.installations().all(|one| !one.repairs));
}

#[test]
fn a_fresh_2_4_reaches_2_9_with_the_migrations_in_their_places() {
    let plan = planned(&facts(&installed("2.4.0")), "2.9.4");
    assert_eq!(
        told(&plan),
        [
            "install 2.5.1",
            "install 2.6.4",
            "install 2.7.5",
            "migrate ocirepositories",
            "install 2.8.8",
            "migrate imagepolicies,imagerepositories,imageupdateautomations",
            "install 2.9.4",
        ]
    );
    assert_eq!(plan.outlook(), Outlook::Prepared);
    assert_eq!(plan.reach().unwrap().to_string(), "2.7.5");
}

#[test]
fn an_older_target_is_one_step_and_blocked_if_it_loses_stored_versions() {
    let back = planned(&facts(&installed("2.4.0")), "2.3.0");
    assert_eq!(told(&back), ["install 2.3.0"]);
    assert_eq!(back.outlook(), Outlook::Blocked);
    let back = planned(&facts(&installed("2.5.1")), "2.4.0");
    assert_eq!(
        (told(&back).as_slice(), back.outlook()),
        (&["install 2.4.0".to_owned()][..], Outlook::Safe)
    );
}

#[test]
fn the_way_back_is_open_as_far_as_stored_versions_allow() {
    let plan = planned(&facts(&installed("2.3.0")), "2.5.1");
    let ways: Vec<_> = plan
        .installations()
        .flat_map(|one| &one.back)
        .map(|way| (way.to.to_string(), way.refused.is_empty()))
        .collect();
    let expected = [("2.3.0", false), ("2.4.0", true), ("2.3.0", false)];
    assert_eq!(ways, expected.map(|(to, open)| (to.to_owned(), open)));
    let why = &plan.installations().next().unwrap().back[0].refused;
    assert!(why.iter().any(|why| why.contains("buckets")), "{why:?}");
}

/// An override lets a review pass, but not the apiserver's own check.
#[test]
fn an_override_does_not_spare_a_migration() {
    let mut items = installed("2.7.5");
    for item in &mut items {
        if item["kind"] == "CustomResourceDefinition" {
            item["metadata"]["annotations"] = json!({"fluxkeep.io/allow": "stored-version-dropped",
                "fluxkeep.io/reason": "no objects", "fluxkeep.io/until": "2026-12-01T00:00:00Z"});
        }
        if item["metadata"]["name"] == "ocirepositories.source.toolkit.fluxcd.io" {
            item["status"] = json!({"storedVersions": ["v1beta2", "v1"]});
        }
    }
    let plan = planned(&facts(&items), "2.8.8");
    assert_eq!(told(&plan), ["migrate ocirepositories", "install 2.8.8"]);
}

#[test]
fn a_cluster_without_flux_has_no_plan() {
    let result = plan(
        &facts(&[]),
        &Policy::default(),
        None,
        release("2.9.4"),
        now(),
    );
    assert_eq!(result, Err(Unplanned::NoFlux("flux-system".to_owned())));
    let reached = planned(&facts(&installed("2.9.4")), "2.9.4");
    assert_eq!(reached.outlook(), Outlook::Reached);
}

/// A HelmRelease of the community's chart, applied by a Kustomization.
fn helm_release(chart: &str, retries: u64) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "flux", "namespace": "flux-system", "labels": {
            "kustomize.toolkit.fluxcd.io/name": "infra", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}},
        "spec": {"releaseName": "flux", "chart": {"spec": {"chart": "flux2", "version": chart,
            "sourceRef": {"kind": "HelmRepository", "name": "fluxcd-community"}}},
            "upgrade": {"remediation": {"retries": retries}}}})
}

/// Flux by the community's chart, owned by the release `flux`.
fn charted(version: &str, retries: u64) -> Vec<Value> {
    let flux = Flux::release(version);
    let mut items = flux.charted();
    for item in &mut items {
        item["metadata"]["annotations"] = json!({"meta.helm.sh/release-name": "flux",
            "meta.helm.sh/release-namespace": "flux-system"});
    }
    items.push(helm_release(&flux.chart_version(), retries));
    items
}

#[test]
fn the_helm_release_that_owns_flux_is_edited_and_judged() {
    let safe = planned(&facts(&charted("2.5.1", 0)), "2.6.4");
    let edits: Vec<_> = safe.installations().flat_map(|one| &one.edits).collect();
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].change, "spec.chart.spec.version: 2.16.4");
    assert_eq!(
        edits[0].owner.as_deref(),
        Some("Kustomization flux-system/infra")
    );
    assert_eq!(safe.outlook(), Outlook::Safe, "{safe:#?}");

    let rolls_back = planned(&facts(&charted("2.5.1", 3)), "2.7.5");
    let rules: Vec<_> = rolls_back.blocking().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["destructive-remediation"], "told once");
    assert_eq!(told(&rolls_back).len(), 2);
}

/// The changes of the edits of a plan from 2.6.4 to 2.7.5, beside this installer.
fn changes(installer: &Value) -> Vec<String> {
    let mut items = installed("2.6.4");
    items.push(installer.clone());
    let plan = planned(&facts(&items), "2.7.5");
    let installation = plan.installations().last().unwrap();
    let edits = installation.edits.iter();
    edits.map(|edit| edit.change.clone()).collect()
}

/// An object that lists a controller of Flux as applied.
fn applying(group: &str, kind: &str, spec: &Value) -> Value {
    let id = "flux-system_helm-controller_apps_Deployment";
    json!({"apiVersion": format!("{group}/v1"), "kind": kind,
        "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": spec,
        "status": {"inventory": {"entries": [{"id": id, "v": "v1"}]}}})
}

#[test]
fn the_installer_that_applied_flux_is_edited() {
    let operator = "fluxcd.controlplane.io";
    let instance = |version: &str| {
        let spec = json!({"distribution": {"version": version}});
        changes(&applying(operator, "FluxInstance", &spec))
    };
    assert!(
        instance("2.6.x")[0].starts_with("spec.distribution.version: 2.7.x; needs flux-operator ")
    );
    assert!(instance("2.6.4")[0].starts_with("spec.distribution.version: 2.7.x; "));
    assert!(instance("2.x")[0].starts_with("none: spec.distribution.version 2.x allows it; "));
    let spec =
        json!({"prune": true, "sourceRef": {"kind": "GitRepository", "name": "flux-system"}});
    let bootstrap = changes(&applying(
        "kustomize.toolkit.fluxcd.io",
        "Kustomization",
        &spec,
    ));
    assert_eq!(
        bootstrap,
        [
            "gotk-components.yaml in GitRepository flux-system/flux-system: flux install --version=v2.7.5 --export"
        ]
    );
    let stranger = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}});
    assert_eq!(changes(&stranger), ["flux install --version=v2.7.5"]);
}

#[test]
fn manifests_in_a_version_that_goes_are_edited_first() {
    let mut resources = CustomResources::default();
    let shop = objects(&helm_release("2.15.0", 0).to_string(), None).remove(0);
    let managed = json!([{"manager": "kustomize-controller", "operation": "Apply",
        "apiVersion": "helm.toolkit.fluxcd.io/v2beta2", "fieldsV1": {"f:spec": {}}}]);
    resources.add("helmreleases.helm.toolkit.fluxcd.io", &shop, &managed);
    let facts = facts(&installed("2.7.5"));
    let plan = plan(
        &facts,
        &Policy::default(),
        Some(&resources),
        release("2.8.8"),
        now(),
    )
    .unwrap();
    assert!(
        told(&plan).contains(&"rewrite 1".to_owned()),
        "{:?}",
        told(&plan)
    );
}

/// A cluster that grew from 2.2 to 2.6 by the chart.
fn grown_by_chart() -> Facts {
    let mut items = charted("2.6.4", 3);
    for line in lines().skip(1) {
        if (line[0], line[2]) == ("grown", "2.6.4") {
            store(&mut items, line[1], line[3], line[4]);
        }
    }
    facts(&items)
}

#[test]
fn a_plan_in_every_format() {
    let planned = planned(&grown_by_chart(), "2.8.5");
    let plans = [Planned {
        name: "context prod".to_owned(),
        flags: " --context prod".to_owned(),
        plan: Ok(planned),
    }];
    for format in PlanFormat::ALL {
        let name = format!("plan.{}", format.name());
        assert_snapshot!(name, render(&plans, format));
    }
}

/// Of several closed ways back, only the newest has its reasons; rules about Helm's names are silent.
#[test]
fn a_plan_without_helm_is_short() {
    let plan = planned(&facts(&installed("2.4.0")), "2.7.5");
    let plans = [Planned {
        name: "here".to_owned(),
        flags: String::new(),
        plan: Ok(plan),
    }];
    let text = render(&plans, PlanFormat::Text);
    assert!(text.contains("   nor back to 2.5.1, 2.4.0\n"), "{text}");
    assert_eq!(text.matches("not possible: back to").count(), 2, "{text}");
    assert!(!text.contains("cannot judge"), "{text}");
}

#[test]
fn several_clusters_are_a_table() {
    let to = |items: &[Value]| Ok(planned(&facts(items), "2.8.5"));
    let none = "no Flux found in flux-system".to_owned();
    let plans = [
        ("edge", to(&installed("2.4.0"))),
        ("prod", Ok(planned(&grown_by_chart(), "2.8.5"))),
        ("test", to(&installed("2.8.5"))),
        ("lab", Err(none)),
    ];
    let plans = plans.map(|(name, plan)| Planned {
        name: name.to_owned(),
        flags: String::new(),
        plan,
    });
    assert_snapshot!("plans.text", render(&plans, PlanFormat::Text));
    assert_snapshot!("plans.markdown", render(&plans, PlanFormat::Markdown));
}

#[test]
fn every_release_of_the_catalogue_has_a_plan_to_the_newest() {
    let newest: &FluxRelease = Catalogue::built_in().newest().unwrap();
    for release in Catalogue::built_in().releases() {
        let facts = facts(&installed(&release.version.to_string()));
        let plan = plan(&facts, &Policy::default(), None, newest, now()).unwrap();
        assert_ne!(plan.outlook(), Outlook::Blocked, "{}", release.version);
        let last = plan.installations().last().map(|one| &one.to);
        assert!(
            last.is_none_or(|last| *last == newest.version),
            "{}",
            release.version
        );
    }
}
