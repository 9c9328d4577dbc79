//! The repository gate: what is a pin, what is found, and what is left in peace.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};

use fluxkeep::case::request::Door;
use fluxkeep::case::verdict::Decision;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::repository::plan::Target;
use fluxkeep::repository::{FORMS, File, PinRole, Repository, read};
use fluxkeep::rules::RULES;
use fluxkeep_fixtures::repository::{KEPT, files, judged, line, repository, seen, written};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> = entries
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn of(files: &[(&str, &str)]) -> Repository {
    read(written(files), Catalogue::built_in())
}

fn found(files: &[(&str, &str)]) -> Vec<String> {
    seen(&judged(of(files)))
}

#[test]
fn every_form_finds_its_pins_and_passes_what_looks_alike() {
    let mut forms: Vec<&str> = FORMS.iter().map(|form| form.id).collect();
    forms.sort_unstable();
    assert_eq!(names(&folder("pins")), forms);
    for form in FORMS {
        let of_form = folder("pins").join(form.id);
        let pinned = repository(&of_form.join("pin"));
        let own = pinned.pins.iter().filter(|pin| pin.form == form.id);
        let lines: Vec<String> = own.map(|pin| line(&pinned, pin)).collect();
        insta::assert_snapshot!(form.id, lines.join("\n"));
        let trap = repository(&of_form.join("trap"));
        let lines: Vec<String> = trap.pins.iter().map(|pin| line(&trap, pin)).collect();
        assert!(lines.is_empty(), "{}: {lines:#?}", form.id);
    }
}

#[test]
fn a_pin_is_where_its_version_is_written() {
    for form in FORMS {
        let repository = repository(&folder("pins").join(form.id).join("pin"));
        for pin in repository.pins.iter().filter(|pin| !pin.version.is_empty()) {
            let text = &repository.texts[pin.file];
            assert_eq!(
                text.slice(pin.span.clone()),
                pin.version,
                "{}",
                line(&repository, pin)
            );
        }
    }
}

#[test]
fn a_rule_about_repositories_finds_what_is_flagged_and_nothing_else() {
    let rules = RULES.iter().filter(|rule| rule.doors == [Door::Check]);
    let ids: Vec<&str> = rules.map(|rule| rule.id).collect();
    assert_eq!(names(&folder("repositories")), ids);
    for id in ids {
        let of_rule = folder("repositories").join(id);
        let flagged = judged(repository(&of_rule.join("flagged")));
        assert!(
            flagged.findings.iter().any(|finding| finding.rule == id),
            "{id}"
        );
        let told: Vec<String> = flagged.findings.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(format!("rule-{id}"), told.join("\n"));
        for case in ["clean", "fixed"] {
            let verdict = judged(repository(&of_rule.join(case)));
            assert_eq!(
                verdict.decision(),
                Decision::Allow,
                "{id} {case}: {:#?}",
                verdict.findings
            );
        }
    }
}

const BOOT: &str =
    "kubectl apply -f https://github.com/fluxcd/flux2/releases/download/v2.4.0/install.yaml\n";
const CHART: &str = "apiVersion: v2\nname: engine\nversion: 0.4.2\nappVersion: 1.7.0\ndependencies:\n  - name: flux2\n    version: 2.14.1\n    repository: https://fluxcd-community.github.io/helm-charts\n";
const VALUES: &str =
    "upstream: {chart: flux2, version: 2.14.1}\nflux2:\n  helmController: {create: true}\n";
const SYNC: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: app}\nspec: {chart: {spec: {chart: app, version: 1.0.0, sourceRef: {kind: HelmRepository, name: ours}}}}\n";

/// The incident's repository after its repair, with one file changed.
fn incident(path: &str, from: &str, to: &str) -> Vec<String> {
    let mut files = vec![
        ("infra/cloud-init.yaml", BOOT.to_owned()),
        ("charts/engine/Chart.yaml", CHART.to_owned()),
        ("charts/engine/values.yaml", VALUES.to_owned()),
        ("clusters/one/app.yaml", SYNC.to_owned()),
    ];
    for (name, text) in &mut files {
        if *name == path {
            assert!(text.contains(from));
            *text = text.replace(from, to);
        }
    }
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    found(&files)
}

#[test]
fn the_repaired_repository_of_the_incident_is_clean() {
    assert!(incident("", "", "").is_empty());
}

#[test]
fn case_1_an_umbrella_pins_its_dependency_exactly() {
    let ranged = incident("charts/engine/Chart.yaml", "2.14.1", "\">=2.14.0\"");
    assert_eq!(ranged, ["enforce pin-floating charts/engine/Chart.yaml:7"]);
    let missing = incident("charts/engine/Chart.yaml", "    version: 2.14.1\n", "");
    assert!(
        missing.contains(&"enforce pin-missing charts/engine/Chart.yaml:6".to_owned()),
        "{missing:?}"
    );
}

#[test]
fn case_2_cloud_init_pins_an_exact_manifest() {
    let latest = incident(
        "infra/cloud-init.yaml",
        "download/v2.4.0",
        "latest/download",
    );
    assert_eq!(latest, ["enforce pin-floating infra/cloud-init.yaml:1"]);
}

#[test]
fn case_3_the_dependency_carries_the_flux_that_cloud_init_boots() {
    let older = incident("charts/engine/Chart.yaml", "2.14.1", "2.13.0");
    assert!(
        older[1]
            .starts_with("enforce pin-mismatch charts/engine/Chart.yaml:7 infra/cloud-init.yaml:1"),
        "{older:?}"
    );
}

#[test]
fn case_4_the_mirror_in_the_values_has_the_dependencys_version() {
    let stale = incident("charts/engine/values.yaml", "2.14.1", "2.13.0");
    assert_eq!(
        stale,
        ["enforce pin-mirror-stale charts/engine/values.yaml:1 charts/engine/Chart.yaml:7"]
    );
}

#[test]
fn case_5_the_core_controllers_that_objects_need_are_there() {
    let off = incident(
        "charts/engine/values.yaml",
        "{create: true}",
        "{create: false}",
    );
    assert_eq!(
        off,
        ["enforce controller-missing charts/engine/values.yaml:3"]
    );
}

#[test]
fn case_6_a_planted_mismatch_is_found_at_every_pin_that_has_a_peer() {
    let base = of(&[
        ("infra/cloud-init.yaml", BOOT),
        ("charts/engine/Chart.yaml", CHART),
        ("charts/engine/values.yaml", VALUES),
    ]);
    assert_eq!(base.pins.len(), 3);
    for pin in &base.pins {
        let planted = base.texts.iter().enumerate().map(|(number, text)| {
            let mut content = text.text.clone();
            if number == pin.file {
                let other = pin
                    .version
                    .replace("2.14.1", "2.15.0")
                    .replace("2.4.0", "2.5.1");
                assert_ne!(other, pin.version);
                content.replace_range(pin.span.clone(), &other);
            }
            File {
                path: text.path.clone(),
                bytes: content.into_bytes(),
            }
        });
        let repository = read(planted.collect(), Catalogue::built_in());
        let place = repository.place(pin).unwrap();
        let place = format!("{}:{}", place.file, place.line);
        let seen = seen(&judged(repository));
        assert!(
            seen.iter().any(|one| one.contains(&place)),
            "{place}: {seen:?}"
        );
    }
}

/// The files after a bump.
fn bumped(files: &[(&str, &str)], to: &str) -> Vec<File> {
    let repository = of(files);
    let to = to.parse().unwrap();
    let plan = repository
        .plan(&Target::of(&to), None, Catalogue::built_in())
        .unwrap();
    let changed = repository.changed(&plan);
    let all = written(files).into_iter();
    let kept = all.filter(|file| changed.iter().all(|new| new.path != file.path));
    let mut files: Vec<File> = kept.chain(changed.clone()).collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

#[test]
fn a_bump_moves_every_place_together_and_a_second_one_is_empty() {
    let chart = CHART.replace("2.14.1", "2.13.0");
    let values = VALUES.replace("2.14.1", "2.13.0");
    let release = SYNC
        .replace(
            "chart: app, version: 1.0.0",
            "chart: engine, version: 0.4.2",
        )
        .replace("spec: {chart: {", "spec:\n  chart: {")
        .replace("ours}}}}", "ours}}}")
        + KEPT;
    let files = [
        ("infra/cloud-init.yaml", BOOT),
        ("charts/engine/Chart.yaml", &chart),
        ("charts/engine/values.yaml", &values),
        ("clusters/one/app.yaml", &release),
    ];
    let after = bumped(&files, "2.5.1");
    let text = |path: &str| {
        let file = after.iter().find(|file| file.path == path).unwrap();
        String::from_utf8(file.bytes.clone()).unwrap()
    };
    assert_eq!(
        text("infra/cloud-init.yaml"),
        BOOT.replace("2.4.0", "2.5.1")
    );
    assert_eq!(
        text("charts/engine/Chart.yaml"),
        chart.replace("2.13.0", "2.15.0").replace("0.4.2", "0.4.3")
    );
    assert_eq!(
        text("charts/engine/values.yaml"),
        values.replace("2.13.0", "2.15.0")
    );
    assert_eq!(
        text("clusters/one/app.yaml"),
        release.replace("0.4.2", "0.4.3")
    );
    let repository = read(after, Catalogue::built_in());
    assert!(seen(&judged(repository.clone())).is_empty());
    let second = repository
        .plan(
            &Target::of(&"2.5.1".parse().unwrap()),
            None,
            Catalogue::built_in(),
        )
        .unwrap();
    assert_eq!((second.edits.len(), second.left.len()), (0, 0));
}

#[test]
fn a_bump_is_refused_where_the_apiserver_would_refuse_it() {
    let repository = of(&[("boot.sh", BOOT)]);
    let older = repository.plan(
        &Target::of(&"2.3.0".parse().unwrap()),
        None,
        Catalogue::built_in(),
    );
    assert!(
        older
            .unwrap_err()
            .to_string()
            .contains("buckets.source.toolkit.fluxcd.io")
    );
    let nowhere = repository.plan(
        &Target::of(&"2.5.1".parse().unwrap()),
        Some("prod"),
        Catalogue::built_in(),
    );
    assert!(nowhere.unwrap_err().to_string().contains("no group"));
}

fn instance(version: &str, path: &str) -> String {
    format!(
        "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux}}\nspec:\n  distribution: {{version: \"{version}\", registry: ghcr.io/fluxcd}}\n  sync: {{path: {path}}}\n"
    )
}

#[test]
fn a_shared_boot_script_that_is_right_for_one_cluster_only_warns() {
    let (prod, test) = (
        instance("2.4.0", "clusters/prod"),
        instance("2.5.1", "clusters/test"),
    );
    let files = [
        ("boot.sh", BOOT),
        ("clusters/prod/flux.yaml", &prod),
        ("clusters/test/flux.yaml", &test),
    ];
    assert_eq!(
        found(&files),
        ["warn pin-mismatch clusters/test/flux.yaml:5 boot.sh:1"]
    );
    let both = instance("2.5.1", "clusters/prod");
    let files = [
        ("boot.sh", BOOT),
        ("clusters/prod/flux.yaml", &both),
        ("clusters/test/flux.yaml", &test),
    ];
    let found = found(&files);
    assert_eq!(
        found,
        ["enforce pin-mismatch clusters/prod/flux.yaml:5 clusters/test/flux.yaml:5 boot.sh:1"]
    );
}

#[test]
fn alike_files_in_two_folders_make_two_groups() {
    let release = |version: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: flux}}\nspec:\n  chart: {{spec: {{chart: flux2, version: {version}, sourceRef: {{kind: HelmRepository, name: c}}}}}}\n{KEPT}"
        )
    };
    let (one, two) = (release("2.13.0"), release("2.14.1"));
    let files = [
        ("k/cluster-0/flux/r.yaml", one.as_str()),
        ("k/nas-1/flux/r.yaml", two.as_str()),
    ];
    let repository = of(&files);
    let groups: Vec<&str> = repository
        .groups
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(groups, ["cluster-0", "nas-1"]);
    assert!(found(&files).is_empty());
    let beside = [
        ("k/cluster-0/flux/r.yaml", one.as_str()),
        ("k/cluster-0/flux/s.yaml", two.as_str()),
    ];
    assert_eq!(found(&beside).len(), 1);
}

#[test]
fn an_operator_that_holds_no_such_flux_is_named() {
    let operator = "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: flux-operator}\nspec:\n  url: oci://ghcr.io/controlplaneio-fluxcd/charts/flux-operator\n  ref: {tag: 0.54.0}\n";
    let beyond = instance("2.10.0", "./");
    let held = instance("2.9.4", "./");
    let files = [("operator.yaml", operator), ("flux.yaml", beyond.as_str())];
    assert_eq!(
        found(&files),
        ["enforce pin-mismatch flux.yaml:5 operator.yaml:6"]
    );
    assert!(found(&[("operator.yaml", operator), ("flux.yaml", held.as_str())]).is_empty());
}

#[test]
fn a_range_of_a_flux_instance_is_never_refused_alone() {
    let files = instance("2.x", "./");
    assert!(found(&[("flux.yaml", files.as_str())]).is_empty());
}

#[test]
fn an_artifact_limits_the_range_of_its_instance() {
    let instance = "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {name: flux}\nspec:\n  distribution:\n    version: 2.x\n    artifact: oci://ghcr.io/controlplaneio-fluxcd/flux-operator-manifests:v0.32.0\n";
    let boot = BOOT.replace("2.4.0", "2.9.4");
    let files = [("boot.sh", boot.as_str()), ("flux.yaml", instance)];
    assert_eq!(
        found(&files),
        ["enforce pin-mismatch flux.yaml:6 boot.sh:1"]
    );
}

#[test]
fn a_range_beyond_its_operator_cannot_come_up_and_one_within_can() {
    let instance = |range: &str| {
        format!(
            "apiVersion: fluxcd.controlplane.io/v1\nkind: FluxInstance\nmetadata: {{name: flux}}\nspec:\n  distribution:\n    version: {range}\n    artifact: oci://ghcr.io/controlplaneio-fluxcd/flux-operator-manifests:v0.32.0\n"
        )
    };
    let (beyond, within) = (instance("2.8.x"), instance("2.7.x"));
    assert_eq!(
        found(&[("flux.yaml", &beyond)]),
        ["enforce pin-mismatch flux.yaml:6 flux.yaml:7"]
    );
    assert!(found(&[("flux.yaml", &within)]).is_empty());
}

#[test]
fn examples_are_listed_and_not_judged_and_a_pipelines_throw_away_cluster_is_a_client() {
    let older = BOOT.replace("2.4.0", "2.3.0");
    let pipeline = format!(
        "jobs:\n  e2e:\n    steps:\n      - uses: helm/kind-action@v1\n      - run: {older}"
    );
    let files = [
        ("boot.sh", BOOT),
        ("examples/boot.sh", &older),
        (".github/workflows/e2e.yaml", &pipeline),
    ];
    let repository = of(&files);
    let roles: Vec<(PinRole, bool)> = repository
        .pins
        .iter()
        .map(|pin| (pin.role, pin.counts))
        .collect();
    assert_eq!(
        roles,
        [
            (PinRole::Client, true),
            (PinRole::Installs, true),
            (PinRole::Installs, false)
        ]
    );
    assert_eq!(
        found(&files),
        ["warn pin-mismatch .github/workflows/e2e.yaml:5 boot.sh:1"]
    );
}

#[test]
fn an_unknown_version_makes_the_rule_abstain_by_name() {
    let unknown = BOOT.replace("v2.4.0", "${NOWHERE}");
    let verdict = judged(of(&[("boot.sh", unknown.as_str())]));
    assert!(
        verdict
            .abstained
            .iter()
            .any(|one| one.rule == "pin-mismatch")
    );
    let newer = CHART.replace("2.14.1", "2.99.0");
    let verdict = judged(of(&[
        ("boot.sh", BOOT),
        ("charts/engine/Chart.yaml", &newer),
    ]));
    assert!(
        verdict
            .abstained
            .iter()
            .any(|one| one.rule == "pin-mismatch")
    );
    assert!(seen(&verdict).is_empty());
}

#[test]
fn invalid_yaml_is_counted_and_its_lines_are_still_read() {
    let broken = format!("a: [\nb: {{{{ x }}\nrun: {BOOT}");
    let repository = of(&[("boot.yaml", &broken)]);
    assert_eq!((repository.pins.len(), repository.skipped.len()), (1, 1));
    let bytes = vec![File {
        path: "flux.yaml".to_owned(),
        bytes: vec![b'f', b'l', b'u', b'x', 0xff],
    }];
    assert_eq!(read(bytes, Catalogue::built_in()).skipped.len(), 1);
}

#[test]
fn carriage_returns_and_a_byte_order_mark_move_no_place() {
    let text = "\u{feff}".to_owned() + &instance("2.8.8", "./").replace('\n', "\r\n");
    let repository = of(&[("flux.yaml", &text)]);
    let place = repository.place(&repository.pins[0]).unwrap();
    assert_eq!((place.line, place.column), (5, 28));
    assert_eq!(
        repository.texts[0].slice(repository.pins[0].span.clone()),
        "2.8.8"
    );
}

#[test]
fn the_order_of_files_changes_nothing() {
    let mut reversed = files(&folder("repositories"));
    let straight = read(reversed.clone(), Catalogue::built_in());
    reversed.reverse();
    assert_eq!(read(reversed, Catalogue::built_in()), straight);
}
