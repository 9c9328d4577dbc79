//! Generated pages agree with the code. `make docs` rewrites them.

#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use fluxkeep::engine::Engine;
use fluxkeep::finding::Level;
use fluxkeep::rules::RULES;
use fluxkeep_cluster::Snapshot;
use fluxkeep_webhook::registration::{GATES, Gate, Known, Profile, Scope, mutation};
use fluxkeep_webhook::{Metrics, State};
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

#[test]
fn the_metrics_page_is_what_the_server_registers() {
    let snapshot = Snapshot::built_in().expect("the built-in snapshot");
    let state = State::new(Arc::new(snapshot), fluxkeep::policy::Policy::default());
    let metrics = Metrics::default();
    metrics.expires("leaf", std::time::SystemTime::now());
    metrics.differs(
        "validatingwebhookconfiguration.admissionregistration.k8s.io/fluxkeep",
        false,
    );
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
         condition and its negation: what is the engine's fails closed, the rest fails open. All: `sideEffects: None`, \
         `matchPolicy: Equivalent`. They change nothing; [one more](#the-mutation) does, where the policy file wants it.\n\n| webhook | asks | when fluxkeep is down | because it is about |\n\
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

ValidatingAdmissionPolicies `engine-deleted.fluxkeep.io` and `engine-label-removed.fluxkeep.io` refuse, with `reason: Forbidden`, what the
rules of that name refuse, in the apiserver itself: also when the webhooks are gone. They follow the levels of the policy file
(`warn` warns, `audit` is only written to the audit log, `off` is not there). They cannot know:

- the facts: which HelmRelease owns Flux. Its deletion is left to the webhook; the deletions that follow are refused.
- the policy file's overrides.
- a Namespace that is not there: without the engine's Namespace, which is the policies' parameter, they refuse nothing.
- the time, since CEL has no clock. The server that keeps the registration writes one into the policies: the begin of the day, and the
  end of an override as soon as it is over. An override that ends while no server runs is honoured until one runs. The server
  takes no annotations off: for that it would need the right to write the engine's objects.

Of several engines each Namespace's override counts for what is in it; what is cluster-wide needs it on all of them.

## Who grants an override

Whoever writes `fluxkeep.io/allow` on an object of the engine, its Namespace, a CRD or a HelmRelease opens the guard. So
ValidatingAdmissionPolicy `override-in-release.fluxkeep.io` asks RBAC, and refuses everybody who may not `grant`:

```yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: fluxkeep-grants-overrides}
rules: [{apiGroups: [fluxkeep.io], resources: [overrides], verbs: [grant]}]
```

Bound in a namespace, it is for what is in it; CRDs, cluster roles and Namespaces take a ClusterRoleBinding. cluster-admin may.
Setting or changing `allow`, or its reason or end, is granting. Taking it off is free, and so is every other write.

helm-controller and kustomize-controller are cluster-admin in most clusters, and write what others gave them. So Helm, known by its field
manager or helm-controller's account, grants nothing on the engine and on HelmReleases, and a release that brings an override is refused
by its record. kustomize-controller grants nothing on the engine. An override on a HelmRelease or on a CRD of somebody else may be
kept in Git: RBAC is asked of kustomize-controller's account, or of the one that it impersonates.

## While the server is down

The apiserver goes by what the server wrote into the conditions while it ran, within 10 s of each change, at most 500
entries and 40 kB a list:

- A HelmRelease fails closed where it installs into the engine's namespaces or owns Flux, wherever it is kept.
- A record in the engine's namespaces fails closed, but for those of HelmReleases there that are installed elsewhere, and of the
  releases that `--release` names. A record elsewhere fails closed where its release is installed into the engine's namespaces or owns Flux.
- A HelmRelease outside the engine's namespaces lists a record in its own namespace alone, unless its release owns Flux. Owners come
  first. A list that is cut keeps the first entry of each namespace, then the second, so nobody pushes out the entries of others.

Refused wrongly until the server is back: `helm install -n flux-system` by hand of anything that is not Flux, the first release
of a HelmRelease that was made meanwhile, and applications in the engine's namespaces. The first adoption of a Flux looks like those, so
the apiserver cannot tell them apart. Name in `--release` what the server needs to come back. For all others there is

```sh
kubectl patch validatingwebhookconfiguration fluxkeep \
  -p '{"webhooks": [{"name": "release-record.engine.fluxkeep.io", "failurePolicy": "Ignore"}]}'
```

which the server undoes when it is back. A name that Helm refuses is not listed. If the apiserver finds a configuration invalid, the server
writes it without the lists, and goes on trying. `register` writes no such lists: it reads no HelmReleases.

## Who keeps the registration

A server with `--url` or `--service` compares every object whole: a selector, a condition or an exclusion that was added is taken out, and
`fluxkeep_registration_differs` says which object is not as wanted. Certificates that it does not write itself, and labels and annotations of
others, are left alone. The annotation `fluxkeep.io/registered-by` holds the version and a hash of what is wanted. Of two servers that
want different things, the older version leaves the registration to the newer; of one version, the one that wrote first to the one
that wrote last.

A mark outlives its server, for example after a rollback. So after five minutes the server that yields adds ` ?` to the annotation. A server
that runs takes it off again. If none does within two minutes, the server that asked takes over. Its log names the mark.
"#;

const MUTATION: &str = "
Registered with `mutate: {helmReleases: true}` in the policy file, and by default not at all. A HelmRelease that holds Flux gets the
post-renderer that `fluxkeep-postrenderer hook` writes, behind those that it has: `helm.sh/resource-policy: keep` on every object of
its release, so that no remediation and no uninstall deletes Flux.

- Asks: CREATE, UPDATE, mutating phase, of `helmreleases.helm.toolkit.fluxcd.io`
- When fluxkeep is down: `Ignore` after 3 s. It is a second net: what has become of the HelmRelease is judged by
  `helm-release` in the validating phase, which fails closed for releases of the engine's namespaces, and its release by
  `release-record`.
- `reinvocationPolicy: IfNeeded`: another webhook may write `spec.postRenderers` after it. It adds nothing twice.
- A HelmRelease holds Flux when its Helm release owns a CRD of Flux, a core controller or what one cannot run without; when its chart
  is `flux2` of a HelmRepository; when the annotation `fluxkeep.io/flux-version` or, in the engine's namespace, its values name the
  version. Before a release owns anything, a chart with another name hides what it carries: annotate such a HelmRelease.
- What was added is named by the annotation `fluxkeep.io/added: spec.postRenderers`, by a warning to whoever wrote it, in the audit log
  (`added`) and counted (`fluxkeep_mutations_total`), dry runs too.
- GitOps: what is added stays when kustomize-controller applies a file without `spec.postRenderers`. A file with a list of its own
  replaces the list, and the post-renderer is added again in the same request, dry runs included: no drift, no loop. Once it stands in
  the file (`fluxkeep-postrenderer hook --for FILE --write`), nothing is added any more. A tool that compares a file with a list of its
  own with what is live sees a difference each time: write it into the file there.
- Switched on, it changes a HelmRelease that is there already at its next write of any kind, an annotation included: its spec is then
  judged as a changed one, and helm-controller upgrades the release once.
- An override for `engine-object-unkept` on the HelmRelease or in the policy file leaves it as it is.

Sent under all of these conditions:
";

fn mutation_page() -> String {
    let engine = Engine::default();
    let profile = Profile {
        engine: &engine,
        releases: &["fluxkeep".to_owned()],
        known: &Known::default(),
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
        known: &Known::default(),
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

#[test]
fn every_link_between_pages_leads_somewhere() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/rules.md",
        "docs/metrics.md",
        "docs/registration.md",
        "docs/client-certificates.md",
        "docs/performance.md",
    ] {
        let text = std::fs::read_to_string(root().join(page))
            .unwrap_or_else(|_| panic!("{page} is missing"));
        let folder = root().join(page).parent().expect("a folder").to_owned();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let leads = file.is_empty() || target.starts_with("http") || folder.join(file).exists();
            assert!(leads, "{page} links to {target}, which is not there");
        }
    }
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
