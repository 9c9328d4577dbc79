//! Generated pages agree with the code. `make docs` rewrites them.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use fluxkeep::audit::audit;
use fluxkeep::case::finding::Level;
use fluxkeep::case::policy::Policy;
use fluxkeep::flux::engine::Engine;
use fluxkeep::recovery::Head;
use fluxkeep::repository::FORMS;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::{FactSource, Snapshot};
use fluxkeep_tests::{control_plane, terminal};
use fluxkeep_webhook::registration::{GATES, Gate, KnownReleases, Profile, Scope, mutation};
use fluxkeep_webhook::{Metrics, ServerState};
use std::process::Command;
use std::sync::Arc;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// Writes the page if `FLUXKEEP_WRITE_DOCS` is set, and compares it.
fn is_page(name: &str, text: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("FLUXKEEP_WRITE_DOCS").is_some() {
        std::fs::write(&path, text).expect("docs/ is writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is out of date; run `make docs` and commit what it writes"
    );
}

#[test]
fn the_rules_page_is_the_table() {
    let mut page = String::from(
        "<!-- Written by `make docs` from the table in src/rules. -->\n# Rules\n\n\
         A rule refuses (`enforce`), warns or is only counted (`audit`); the policy file sets another level. A rule \
         that lacks a fact abstains by name and never passes silently.\n\n| rule | default | catches |\n|---|---|---|\n",
    );
    for rule in RULES {
        page += &[
            "| [",
            rule.id,
            "](#",
            rule.id,
            ") | `",
            rule.level.name(),
            "` | ",
            rule.catches,
            " |\n",
        ]
        .concat();
    }
    for rule in RULES {
        assert!(
            matches!(rule.level, Level::Enforce | Level::Warn),
            "{} is off or hidden by default",
            rule.id
        );
        page += &[
            "\n## ",
            rule.id,
            "\n\n",
            &fluxkeep::render::page::page(rule),
        ]
        .concat();
    }
    is_page("rules.md", &page);
}

/// The picture in the README. It shows two steps of the incident as `replay` prints them.
#[test]
fn the_picture_of_the_refusal_is_what_replay_prints() {
    let output = Command::new(control_plane::own("fluxkeep"))
        .args(["replay"])
        .env("NO_COLOR", "1")
        .output()
        .expect("replay runs");
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).expect("text");
    let steps = told
        .split("\n\n")
        .filter(|step| step.starts_with("3. ") || step.starts_with("5. "));
    let steps: Vec<&str> = steps.collect();
    assert_eq!(steps.len(), 2, "{told}");
    let text = format!("$ fluxkeep replay\n\n{}\n", steps.join("\n\n"));
    is_page(
        "refusal.svg",
        &terminal::svg("fluxkeep refuses the incident", &text),
    );
}

#[test]
fn the_pins_page_is_the_table_of_forms() {
    let mut page = String::from(
        "<!-- Written by `make docs` from the table in src/repository/forms. -->\n# Pins\n\n\
         A pin is a place in a repository that says which Flux a cluster gets. `fluxkeep check --list` shows those \
         of a repository. Pins that install must agree in each cluster; a mirror must repeat its original; a client \
         is at the minor of its cluster.\n\n| form | role | read | not a pin |\n|---|---|---|---|\n",
    );
    for form in FORMS {
        let row = [form.id, form.role.name(), form.reads, form.passes];
        page.extend(["| ", &row.join(" | "), " |\n"]);
    }
    is_page("pins.md", &page);
}

#[test]
fn the_metrics_page_is_what_the_server_registers() {
    let snapshot = Snapshot::built_in().expect("the built-in snapshot");
    let (facts, policy) = (snapshot.facts(), Policy::default());
    let state = ServerState::new(Arc::new(snapshot), policy.clone());
    let metrics = Metrics::default();
    metrics.audited(&audit(&facts, &policy, jiff::Timestamp::now()));
    metrics.expires("leaf", std::time::SystemTime::now());
    metrics.differs(
        "validatingwebhookconfiguration.admissionregistration.k8s.io/fluxkeep",
        false,
    );
    let point = Head {
        taken: Some(jiff::Timestamp::now()),
        ..Head::default()
    };
    metrics.points_seen("flux-system", &[&point], None);
    let text = metrics.text(&state);
    let mut page = String::from(
        "<!-- Written by `make docs` from what the server registers. -->\n# Metrics\n\nOpenMetrics at `/metrics` of the \
         plain port. Labels are rule ids, doors and decisions, never names of objects.\n\n| metric | type | help |\n\
         |---|---|---|\n",
    );
    let about = |line: &str, kind: &str| {
        line.strip_prefix(kind)
            .and_then(|rest| rest.split_once(' '))
            .map(own)
    };
    let helps: Vec<_> = text
        .lines()
        .filter_map(|line| about(line, "# HELP "))
        .collect();
    for (name, kind) in text.lines().filter_map(|line| about(line, "# TYPE ")) {
        let help = helps
            .iter()
            .find(|(of, _)| *of == name)
            .map_or("", |(_, help)| help.as_str());
        let suffix = if kind == "counter" {
            "_total"
        } else if kind == "info" {
            "_info"
        } else {
            ""
        };
        page += &["| `", &name, suffix, "` | ", &kind, " | ", help, " |\n"].concat();
    }
    is_page("metrics.md", &page);
}

#[test]
fn the_registration_page_is_the_table_of_gates() {
    let mut page = String::from(
        "<!-- Written by `make docs` from the table in webhook/src/registration. -->\n# Registration\n\n\
         `fluxkeep-webhook register` writes these webhooks. Each kind of request has two entries, told apart by one \
         condition and its negation: the engine's requests fail closed, all others fail open. All: `sideEffects: None`, \
         `matchPolicy: Equivalent`. They change nothing; the policy file can add [one that does](#the-mutation).\n\n| webhook | asks | when fluxkeep is down | because it is about |\n\
         |---|---|---|---|\n",
    );
    for (gate, scope) in GATES
        .iter()
        .flat_map(|gate| Scope::ALL.map(|scope| (gate, scope)))
    {
        let why = if scope == Scope::Engine {
            gate.why_closed
        } else {
            gate.why_open
        };
        let asks = format!(
            "{}, {} phase",
            gate.operations.join(", "),
            gate.phase.name()
        );
        let after = format!("`{}` after {} s", scope.failure_policy(), scope.timeout());
        page += &[
            "| `",
            &gate.webhook(scope),
            "` | ",
            &asks,
            " | ",
            &after,
            " | ",
            why,
            " |\n",
        ]
        .concat();
    }
    page += &GATES.iter().map(gate_page).collect::<String>();
    page += &mutation_page();
    page += TWIN;
    is_page("registration.md", &page);
}

const TWIN: &str = r#"
## The twin

The ValidatingAdmissionPolicy `engine-deleted.fluxkeep.io` refuses in the apiserver itself, with `reason: Forbidden`, the same
requests as the rule of that name: also without the webhooks. It follows the level of the policy file: `warn` warns, `audit` only
writes to the audit log, and with `off` the policy is not registered. The policy does not know

- the facts: which HelmRelease owns Flux. The webhook refuses that deletion; the policy refuses the deletions that follow.
- the overrides of the policy file.
- a missing Namespace: the engine's Namespace is the policy's parameter, and without it the policy refuses nothing.
- the time: CEL has no clock. The server that keeps the registration writes the start of the day into the policy, and the end of an
  override as soon as it has passed. Without a running server, an expired override still counts. The server removes no
  annotations, because that needs the right to write the engine's objects.

With several engines, the override on a Namespace counts for the objects in it. Cluster-scoped objects need the override on all
Namespaces.

## Who grants an override

A user who writes `fluxkeep.io/allow` on an object of the engine, its Namespace, a CRD or a HelmRelease opens the guard. So the
ValidatingAdmissionPolicy `override-in-release.fluxkeep.io` asks RBAC, and refuses users without the right to `grant`:

```yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: fluxkeep-grants-overrides}
rules: [{apiGroups: [fluxkeep.io], resources: [overrides], verbs: [grant]}]
```

A RoleBinding covers the objects of its namespace. CRDs, cluster roles and Namespaces need a ClusterRoleBinding. cluster-admin has
the right. Setting or changing `allow`, its reason or its end needs the right; removing `allow` and every other write do not.

helm-controller and kustomize-controller are cluster-admin in most clusters, and write objects of other authors. So:

- Helm, known by its field manager or helm-controller's account, grants nothing on the engine and on HelmReleases. The record of a
  release with an override is refused.
- kustomize-controller grants nothing on the engine. An override on a HelmRelease or on a stranger's CRD may be kept in Git: RBAC
  is asked about kustomize-controller's account, or the account that it impersonates.

## While the server is down

The apiserver goes by the conditions that the server wrote while it ran, with at most 500 entries and 40 kB per list. A change is
written within 10 s. If a list changes again and again, it is written about twice a minute.

- A HelmRelease fails closed if it installs into the engine's namespaces or owns Flux, in any namespace.
- A record in the engine's namespaces fails closed, except for HelmReleases there that are installed elsewhere, and for the
  releases of `--release`.
- A record elsewhere fails closed if its release is installed into the engine's namespaces or owns Flux.
- A HelmRelease outside the engine's namespaces lists only records in its own namespace, unless its release owns Flux. Owners come
  first. A cut list keeps the first entry of each namespace, then the second, so nobody pushes out the entries of others.

Until the server is back, these are refused although they are harmless: `helm install -n flux-system` by hand of anything but Flux,
the first release of a new HelmRelease, and applications in the engine's namespaces. The apiserver cannot tell them from a first
adoption of Flux. Name in `--release` the releases that the server needs to come back. For all others:

```sh
kubectl patch validatingwebhookconfiguration fluxkeep \
  -p '{"webhooks": [{"name": "release-record.engine.fluxkeep.io", "failurePolicy": "Ignore"}]}'
```

The server undoes this when it is back. A name that Helm refuses is not listed. If the apiserver finds a configuration invalid,
the server writes it without the lists, and retries. `register` writes no such lists: it reads no HelmReleases.

## Who keeps the registration

A server with `--url` or `--service` compares every object whole. It removes an added selector, condition or exclusion, and
`fluxkeep_registration_differs` names the objects that differ. It leaves alone certificates that another program writes, and labels
and annotations of others. The annotation `fluxkeep.io/registered-by` holds the version and a hash of the wanted objects. If two
servers want different objects, the older version yields to the newer; at equal versions, the earlier writer yields to the later.

A mark outlives its server, for example after a rollback. After five minutes the server that yields adds ` ?` to the annotation.
A running server removes it again. If none does within two minutes, the server that asked takes over. Its log names the mark.
"#;

const MUTATION: &str = "
Registered only with `mutate: {helmReleases: true}` in the policy file. A HelmRelease that holds Flux gets the post-renderer of
`fluxkeep-postrenderer hook`, behind its own post-renderers. It writes `helm.sh/resource-policy: keep` on every object of the
release, so that no remediation and no uninstall deletes Flux.

- Asks: CREATE, UPDATE, mutating phase, of `helmreleases.helm.toolkit.fluxcd.io`
- When fluxkeep is down: `Ignore` after 3 s. The gates judge the result: `helm-release` in the validating phase, which fails closed
  for releases of the engine's namespaces, and `release-record`.
- `reinvocationPolicy: IfNeeded`: another webhook may write `spec.postRenderers` later. The mutation adds nothing twice.
- A HelmRelease holds Flux if its Helm release owns a CRD of Flux, a core controller or an object that a core controller needs; if
  its chart is `flux2` of a HelmRepository; or if the annotation `fluxkeep.io/flux-version` or, in the engine's namespace, its values
  name the version. Another chart name hides its content until the release owns objects: annotate such a HelmRelease.
- The annotation `fluxkeep.io/added: spec.postRenderers` marks the addition. A warning to the user, the audit log (`added`) and
  `fluxkeep_mutations_total` report it, also for dry runs.
- GitOps: the addition stays when kustomize-controller applies a file without `spec.postRenderers`. A file with its own list replaces
  the list, and the same request, also a dry run, adds the post-renderer again: no drift, no loop. Nothing is added once the file has it
  (`fluxkeep-postrenderer hook --for FILE --write`). Some tools compare a file that has its own list with the live object and see a
  difference each time: write the post-renderer into that file.
- Once switched on, the mutation changes an existing HelmRelease at its next write of any kind, even of an annotation. The spec is then
  judged as changed, and helm-controller upgrades the release once.
- An override for `engine-object-unkept`, on the HelmRelease or in the policy file, prevents the addition.

Sent under all of these conditions:
";

fn mutation_page() -> String {
    let engine = Engine::default();
    let profile = Profile {
        engine: &engine,
        releases: &["fluxkeep".to_owned()],
        known: &KnownReleases::default(),
    };
    let conditions = mutation::conditions(&profile).into_iter();
    let conditions: String = conditions.map(condition).collect();
    [
        "\n## The mutation\n\nWebhook `",
        &mutation::name(),
        "`.\n",
        MUTATION,
        &conditions,
    ]
    .concat()
}

fn condition((name, expression): (&str, String)) -> String {
    format!("\n`{name}`\n```cel\n{expression}\n```\n")
}

fn gate_page(gate: &Gate) -> String {
    let engine = Engine::default();
    let profile = Profile {
        engine: &engine,
        releases: &["fluxkeep".to_owned()],
        known: &KnownReleases::default(),
    };
    let rules: Vec<_> = gate
        .rules()
        .map(|rule| format!("[{0}](rules.md#{0})", rule.id))
        .collect();
    let mut resources = Vec::new();
    for (group, names) in (gate.resources)() {
        resources.extend(
            names
                .into_iter()
                .map(|name| format!("`{}`", format!("{name}.{group}").trim_end_matches('.'))),
        );
    }
    let conditions = gate
        .conditions(Scope::Engine, &profile)
        .into_iter()
        .map(condition);
    let head = [
        format!(
            "\n## {}\n\nIn the {} phase: {}.\n\n",
            gate.name,
            gate.phase.name(),
            gate.why_then
        ),
        format!("- Door: `{}`\n- Rules: {}\n", gate.door, rules.join(", ")),
        format!(
            "- Resources: {}\n\nSent under all of these conditions:\n",
            resources.join(", ")
        ),
    ];
    head.into_iter().chain(conditions).collect()
}

fn own((left, right): (&str, &str)) -> (String, String) {
    (left.to_owned(), right.trim_end_matches('.').to_owned())
}

/// The README's commands are those that the Makefile and CI call.
#[test]
fn the_readme_names_the_commands_that_ci_runs() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("the file is there");
    let (readme, ci, makefile) = (read("README.md"), read(".ci/run"), read("Makefile"));
    assert!(readme.contains("cargo run --release --bin fluxkeep -- replay"));
    assert!(readme.contains("\nmake test\n") && ci.contains("\nmake test\n"));
    assert!(
        makefile.contains("\ntest:")
            && makefile.contains("\nlint:")
            && makefile.contains("\nbench:")
    );
}

/// The threat model names tests; a renamed test must be renamed there too.
#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let page = root().join("docs/threat-model.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut sources = String::new();
    read_sources(&root(), &mut sources);
    let quoted = page.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted
        .filter(|text| text.matches('_').count() > 3)
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(
            sources.contains(&format!("fn {name}(")),
            "no test is called {name}"
        );
    }
}

/// Reads every Rust file below a folder, except for build output.
fn read_sources(folder: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_built = path.ends_with("target") || path.ends_with(".git");
        if path.is_dir() && !is_built {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|end| end == "rs") {
            *sources += &std::fs::read_to_string(&path).expect("a source file");
        }
    }
}
