//! Facts that the conditions carry, so that the apiserver can decide without the server.
//!
//! HelmReleases and their records usually live beside Flux, those of the network and the
//! certificate manager included. If all of these were refused while the server is down, nothing
//! could bring the server back.

use std::collections::BTreeSet;

use fluxkeep::case::facts::Facts;
use fluxkeep::flux::engine::Engine;
use fluxkeep::helm::record::NAME as RECORD;
use fluxkeep::helm::{Owner, is_namespace_name, is_release_name};
use fluxkeep::object::{ALLOW, Body, Object, UNTIL};
use fluxkeep::rules::engine_source_deleted::secrets;
use jiff::Timestamp;

/// Entries of a list at most. A cluster has hundreds of HelmReleases.
const MOST: usize = 500;
/// Bytes of a list at most, as a condition holds it. The apiserver takes 100,000 characters in an
/// expression, and an expression holds two lists.
const LONGEST: usize = 40_000;
/// Bytes around an entry: quotes, comma and space.
const AROUND: usize = 4;
const DAY: i64 = 24 * 60 * 60;

/// The Helm releases and the time that conditions know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownReleases {
    /// Prefixes of records, `NAMESPACE/NAME` without the version, kept in the engine's namespaces
    /// for releases installed elsewhere.
    pub elsewhere: Vec<String>,
    /// Prefixes of records elsewhere, of releases that own or install into the engine.
    pub engines: Vec<String>,
    /// HelmReleases that own the engine but install elsewhere, as `NAMESPACE/NAME`.
    pub owners: Vec<String>,
    /// Secrets by which Flux's own sources are fetched, as `NAMESPACE/NAME`.
    pub secrets: Vec<String>,
    /// ClusterRoles to which Flux's bindings refer, whatever their names.
    pub roles: Vec<String>,
    /// Overrides that end before this time are void. `None` if no server updates the time.
    pub as_of: Option<Timestamp>,
}

impl KnownReleases {
    /// Derives the lists and the time from the facts.
    #[must_use]
    pub fn of(facts: &Facts, engine: &Engine, now: Timestamp) -> Self {
        let owners = facts.owners(engine);
        let valid = owners.iter().filter(|owner| is_release(owner));
        let marked = valid.map(|owner| begin(&owner.namespace, &owner.name));
        let (mut guarded, mut elsewhere, mut makers) = (Vec::new(), Vec::new(), Vec::new());
        for object in facts.objects() {
            let Some(made) = made(object) else { continue };
            let is_owner = owners.contains(&made.release);
            let is_inside = engine.is_home(&made.release.namespace);
            let entry = |text: String| Entry {
                namespace: made.namespace.to_owned(),
                is_stranger: !is_owner,
                text,
            };
            if is_owner && !is_inside {
                let maker = format!("{}/{}", made.namespace, object.name);
                makers.push(entry(maker));
            }
            if is_owner || (is_inside && made.is_kept_in_reach(engine)) {
                guarded.push(entry(made.record.clone()));
            } else if engine.is_home(made.namespace) && engine.is_home(made.storage) {
                elsewhere.push(entry(made.record.clone()));
            }
        }
        let secrets = secrets(facts, engine).into_iter();
        let secrets =
            secrets.map(|key| format!("{}/{}", key.namespace.unwrap_or_default(), key.name));
        let guarded: Vec<_> = marked.chain(in_turn(guarded)).collect();
        let named: BTreeSet<_> = guarded.iter().cloned().collect();
        let open = in_turn(elsewhere).into_iter();
        let outside = guarded.into_iter();
        Self {
            elsewhere: cut(open.filter(|record| !named.contains(record))),
            engines: cut(outside.filter(|record| !is_kept_inside(record, engine))),
            owners: cut(in_turn(makers)),
            secrets: cut(secrets),
            roles: cut(roles(facts, engine)),
            as_of: Some(as_of(facts, now)),
        }
    }

    /// True if both have the same lists. The time may differ.
    #[must_use]
    pub fn has_lists_of(&self, other: &Self) -> bool {
        let lists = |known: &Self| {
            let Self {
                elsewhere,
                engines,
                owners,
                secrets,
                roles,
                as_of: _,
            } = known.clone();
            [elsewhere, engines, owners, secrets, roles]
        };
        lists(self) == lists(other)
    }

    /// The same time without the lists: every record in the engine's namespaces is closed.
    #[must_use]
    pub fn without_lists(&self) -> Self {
        Self {
            as_of: self.as_of,
            ..Self::default()
        }
    }
}

/// The ClusterRoles to which bindings of the engine refer.
fn roles(facts: &Facts, engine: &Engine) -> BTreeSet<String> {
    let mut roles = BTreeSet::new();
    for object in facts.engine(engine) {
        if let Body::Binding(binding) = &object.body {
            let name = binding.role.strip_prefix("ClusterRole/");
            roles.extend(name.map(str::to_owned));
        }
    }
    roles
}

/// An entry of a list. The order is that of one namespace's entries.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The namespace of the HelmRelease behind the entry.
    namespace: String,
    /// True unless the Helm release owns the engine: owners come first.
    is_stranger: bool,
    text: String,
}

/// The first entry of each namespace, then the second of each, and so on. HelmReleases in one
/// namespace push no entry of another namespace out of a list that is cut.
fn in_turn(mut entries: Vec<Entry>) -> Vec<String> {
    entries.sort();
    entries.dedup();
    let mut turns = Vec::new();
    let (mut namespace, mut turn) = ("", 0);
    for entry in &entries {
        turn = if entry.namespace == namespace {
            turn + 1
        } else {
            0
        };
        namespace = &entry.namespace;
        turns.push((turn, entry.text.clone()));
    }
    turns.sort();
    turns.into_iter().map(|(_, text)| text).collect()
}

/// The different entries, in their order, as far as a condition can hold them.
fn cut(entries: impl IntoIterator<Item = String>) -> Vec<String> {
    let (mut seen, mut list, mut length) = (BTreeSet::new(), Vec::new(), 0);
    for entry in entries {
        if !seen.insert(entry.clone()) {
            continue;
        }
        length += entry.len() + AROUND;
        if list.len() == MOST || length > LONGEST {
            break;
        }
        list.push(entry);
    }
    list
}

/// True if a record with this prefix lies in the engine's namespaces.
fn is_kept_inside(record: &str, engine: &Engine) -> bool {
    let namespace = record.split('/').next();
    namespace.is_some_and(|namespace| engine.is_home(namespace))
}

/// The Helm release that helm-controller makes of a HelmRelease.
struct Made<'a> {
    namespace: &'a str,
    storage: &'a str,
    release: Owner,
    record: String,
}

impl Made<'_> {
    /// True if the record lies in the HelmRelease's own namespace. A HelmRelease in the engine's
    /// namespaces may keep it anywhere; any other could name a stranger's record.
    fn is_kept_in_reach(&self, engine: &Engine) -> bool {
        self.storage == self.namespace || engine.is_home(self.namespace)
    }
}

/// `None` if the object is no HelmRelease, or installs into another cluster. Also `None` if Helm or
/// the apiserver refuses one of the names, which the CRD does not check: no such release can exist.
fn made(object: &Object) -> Option<Made<'_>> {
    let namespace = object.namespace.as_deref()?;
    let release = object.installs()?;
    let storage = object.helm_release()?.storage_namespace(namespace);
    if !is_release(&release) || !is_namespace_name(storage) {
        return None;
    }
    Some(Made {
        namespace,
        storage,
        record: begin(storage, &release.name),
        release,
    })
}

/// True if Helm and the apiserver accept both names of a release.
fn is_release(release: &Owner) -> bool {
    is_release_name(&release.name) && is_namespace_name(&release.namespace)
}

/// The prefix of the names of a release's records, with the namespace.
fn begin(namespace: &str, release: &str) -> String {
    format!("{namespace}/{RECORD}{release}.v")
}

/// The start of the day, or the latest end of an override since. Any other moment would cause more
/// writes, and replicas have to agree on the time.
fn as_of(facts: &Facts, now: Timestamp) -> Timestamp {
    let second = now.as_second();
    let midnight = Timestamp::from_second(second - second.rem_euclid(DAY)).unwrap_or(now);
    let holders = facts
        .objects()
        .filter(|object| object.annotations.contains_key(ALLOW));
    let ends = holders.filter_map(|object| object.annotations.get(UNTIL)?.trim().parse().ok());
    ends.filter(|end: &Timestamp| *end <= now)
        .fold(midnight, Timestamp::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluxkeep::manifest::{Reading, read};

    fn known(text: &str) -> KnownReleases {
        let objects = read(text, Reading::default()).unwrap_or_default();
        let now = "2026-11-24T12:00:00Z".parse().unwrap_or_default();
        KnownReleases::of(&Facts::of(objects), &Engine::default(), now)
    }

    fn release(namespace: &str, name: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, \
             namespace: {namespace}}}\nspec: {{{spec}}}\n"
        )
    }

    /// A controller that belongs to a Helm release.
    fn owned(name: &str, namespace: &str) -> String {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n  \
             namespace: flux-system\n  annotations: {{meta.helm.sh/release-name: {name}, \
             meta.helm.sh/release-namespace: {namespace}}}\n"
        )
    }

    #[test]
    fn a_release_beside_flux_that_is_installed_elsewhere_is_open() {
        let text = release("flux-system", "cilium", "targetNamespace: kube-system");
        let all = known(&text);
        assert_eq!(
            all.elsewhere,
            ["flux-system/sh.helm.release.v1.kube-system-cilium.v"]
        );
        assert!(all.engines.is_empty() && all.owners.is_empty());
        for closed in [
            release("flux-system", "flux", ""),
            release("flux-system", "flux", "targetNamespace: flux-system"),
            release(
                "flux-system",
                "flux",
                "targetNamespace: a, storageNamespace: b",
            ),
            release(
                "flux-system",
                "flux",
                "targetNamespace: a, kubeConfig: {secretRef: {name: b}}",
            ),
            release(
                "tenant",
                "flux",
                "storageNamespace: flux-system, releaseName: flux",
            ),
        ] {
            assert!(known(&closed).elsewhere.is_empty(), "{closed}");
        }
    }

    #[test]
    fn a_record_elsewhere_of_what_is_installed_beside_flux_is_closed() {
        let into = "targetNamespace: flux-system, releaseName: flux";
        assert_eq!(
            known(&release("apps", "a", into)).engines,
            ["apps/sh.helm.release.v1.flux.v"]
        );
        let stored = format!("{into}, storageNamespace: records");
        let beside = release("flux-system", "a", &stored);
        let owned = owned("flux", "flux-system") + &release("apps", "a", &stored);
        for text in [beside, owned] {
            assert_eq!(
                known(&text).engines,
                ["records/sh.helm.release.v1.flux.v"],
                "{text}"
            );
        }
        assert!(known(&release("apps", "a", "")).engines.is_empty());
    }

    #[test]
    fn whoever_owns_the_engine_is_closed_wherever_it_is_kept_and_whatever_it_is_called() {
        let umbrella = known(&(owned("umbrella", "apps") + &release("apps", "umbrella", "")));
        assert_eq!(umbrella.engines, ["apps/sh.helm.release.v1.umbrella.v"]);
        assert_eq!(umbrella.owners, ["apps/umbrella"]);
        let same = release(
            "flux-system",
            "a",
            "targetNamespace: apps, releaseName: flux",
        );
        assert!(!known(&same).elsewhere.is_empty());
        assert!(
            known(&(owned("flux", "flux-system") + &same))
                .elsewhere
                .is_empty()
        );
    }

    #[test]
    fn a_name_that_no_release_can_have_is_not_listed_and_the_longest_is() {
        let into = |name: &str, more: &str| {
            let spec = format!("targetNamespace: flux-system, releaseName: \"{name}\"{more}");
            known(&release("apps", "a", &spec)).engines.concat()
        };
        let longest = "b".repeat(53);
        assert_eq!(
            into(&longest, ""),
            format!("apps/sh.helm.release.v1.{longest}.v")
        );
        let shortened = format!("{}-", "b".repeat(40));
        assert!(into(&"b".repeat(60), "").contains(&shortened));
        for name in [r"a\rb", "a'b", "-a", "A"] {
            assert_eq!(into(name, ""), "", "{name}");
        }
        for namespace in [r"a\rb", "a.b", "'", &"a".repeat(64)] {
            let elsewhere = format!(", storageNamespace: \"{namespace}\"");
            assert_eq!(into("b", &elsewhere), "", "{namespace}");
        }
    }

    #[test]
    fn a_stranger_names_no_record_outside_his_own_namespace() {
        let cilium = release("flux-system", "cilium", "targetNamespace: kube-system");
        let into = |more: &str| {
            let spec = format!("targetNamespace: flux-system, {more}");
            known(&(cilium.clone() + &release("tenant", "a", &spec)))
        };
        let record = ["flux-system/sh.helm.release.v1.kube-system-cilium.v"];
        for named in [
            "storageNamespace: flux-system, releaseName: kube-system-cilium",
            "storageNamespace: cert-manager, releaseName: cert-manager",
        ] {
            let known = into(named);
            assert_eq!(known.elsewhere, record, "{named}");
            assert!(known.engines.is_empty(), "{named}");
        }
        let own = into("releaseName: kube-system-cilium");
        assert_eq!(
            own.engines,
            ["tenant/sh.helm.release.v1.kube-system-cilium.v"]
        );
    }

    #[test]
    fn no_number_of_releases_in_one_namespace_pushes_out_what_another_lists() {
        let flux = "targetNamespace: flux-system, releaseName: flux";
        let umbrella = "targetNamespace: zz, releaseName: umbrella";
        let mut text = release("yy", "flux", flux) + &release("zz", "umbrella", umbrella);
        for number in 0..=MOST {
            let into = format!("targetNamespace: flux-system, releaseName: a{number}");
            let stored = format!("{umbrella}, storageNamespace: a{number}");
            text += &release("tenant", &format!("a{number}"), &into);
            text += &release("tenant", &format!("b{number}"), &stored);
        }
        let flux = "yy/sh.helm.release.v1.flux.v".to_owned();
        assert!(known(&text).engines.contains(&flux));
        let known = known(&(owned("umbrella", "zz") + &text));
        let first = known.engines.first().map(String::as_str);
        assert_eq!(first, Some("zz/sh.helm.release.v1.umbrella.v"));
        assert!(known.engines.contains(&flux));
        assert!(known.owners.contains(&"zz/umbrella".to_owned()));
        assert_eq!((known.engines.len(), known.owners.len()), (MOST, MOST));
    }

    #[test]
    fn a_list_is_no_longer_than_a_condition_can_hold() {
        let entries = |length: usize| (0..=MOST).map(move |number| format!("{number:0length$}"));
        let list = cut(entries(300));
        let length = list.len() * (300 + AROUND);
        assert!(length <= LONGEST && length > LONGEST - 400, "{length}");
        assert_eq!(cut(entries(70)).len(), MOST);
        assert_eq!(cut(["a".to_owned(), "a".to_owned()]), ["a"]);
    }

    #[test]
    fn only_the_secret_of_the_source_that_flux_is_applied_from_is_listed() {
        let source = |name: &str, secret: &str| {
            format!(
                "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: {name}, \
                 namespace: flux-system}}\nspec: {{secretRef: {{name: {secret}}}}}\n\
                 ---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {name}, \
                 namespace: flux-system}}\nspec: {{sourceRef: {{kind: GitRepository, name: {name}}}}}\n"
            )
        };
        let live = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n  \
                    namespace: flux-system\n  labels: {kustomize.toolkit.fluxcd.io/name: flux-system, \
                    kustomize.toolkit.fluxcd.io/namespace: flux-system}\n";
        let all = source("flux-system", "deploy-key") + &source("apps", "token") + live;
        assert_eq!(known(&all).secrets, ["flux-system/deploy-key"]);
        assert!(
            known(&source("flux-system", "deploy-key"))
                .secrets
                .is_empty()
        );
    }

    #[test]
    fn the_clock_moves_with_the_day_and_with_the_end_of_an_override() {
        let until = |end: &str| {
            let text = format!(
                "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-system\n  annotations: \
                 {{fluxkeep.io/allow: engine-deleted, fluxkeep.io/until: '{end}'}}\n"
            );
            known(&text)
                .as_of
                .map(|at| at.to_string())
                .unwrap_or_default()
        };
        assert_eq!(until("2026-11-24T12:00:01Z"), "2026-11-24T00:00:00Z");
        assert_eq!(until("2026-11-24T11:00:00Z"), "2026-11-24T11:00:00Z");
        assert_eq!(until("2020-01-01T00:00:00Z"), "2026-11-24T00:00:00Z");
        assert_eq!(until("soon"), "2026-11-24T00:00:00Z");
    }
}
