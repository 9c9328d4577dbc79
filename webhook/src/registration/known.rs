//! Facts that the conditions carry, so that the apiserver can decide without the server.
//!
//! HelmReleases and their records usually live beside Flux, those of the network and the
//! certificate manager included. If all of these were refused while the server is down, nothing
//! could bring the server back.

use fluxkeep::engine::Engine;
use fluxkeep::facts::Facts;
use fluxkeep::helm::record::NAME as RECORD;
use fluxkeep::helm::{Owner, is_namespace_name, is_release_name};
use fluxkeep::object::{ALLOW, Object, UNTIL};
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
pub struct Known {
    /// Prefixes of records, `NAMESPACE/NAME` without the version, kept in the engine's namespaces
    /// for releases installed elsewhere.
    pub elsewhere: Vec<String>,
    /// Prefixes of records elsewhere, of releases that own or install into the engine.
    pub engines: Vec<String>,
    /// HelmReleases that own the engine but install elsewhere, as `NAMESPACE/NAME`.
    pub owners: Vec<String>,
    /// Overrides that end before this time are void. `None` if no server updates the time.
    pub as_of: Option<Timestamp>,
}

impl Known {
    /// Derives the lists and the time from the facts.
    #[must_use]
    pub fn of(facts: &Facts, engine: &Engine, now: Timestamp) -> Self {
        let owners = facts.owners(engine);
        let mut known = Self {
            as_of: Some(as_of(facts, now)),
            ..Self::default()
        };
        let mut guarded: Vec<_> = owners
            .iter()
            .filter(|owner| is_release(owner))
            .map(|owner| begin(&owner.namespace, &owner.name))
            .collect();
        for object in facts.objects() {
            let Some(made) = made(object) else { continue };
            let is_inside = engine.is_home(&made.release.namespace);
            if is_inside || owners.contains(&made.release) {
                guarded.push(made.record);
                if !is_inside {
                    known
                        .owners
                        .push(format!("{}/{}", made.namespace, object.name));
                }
            } else if engine.is_home(made.namespace) && engine.is_home(made.storage) {
                known.elsewhere.push(made.record);
            }
        }
        let is_inside = |record: &String| {
            record
                .split('/')
                .next()
                .is_some_and(|at| engine.is_home(at))
        };
        known.elsewhere.retain(|record| !guarded.contains(record));
        known.engines = guarded
            .into_iter()
            .filter(|record| !is_inside(record))
            .collect();
        for list in [&mut known.elsewhere, &mut known.engines, &mut known.owners] {
            list.sort();
            list.dedup();
            cut(list);
        }
        known
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

/// Cuts a list to what a condition can hold.
fn cut(list: &mut Vec<String>) {
    let (mut fitting, mut length) = (0, 0);
    for entry in list.iter().take(MOST) {
        length += entry.len() + AROUND;
        if length > LONGEST {
            break;
        }
        fitting += 1;
    }
    list.truncate(fitting);
}

/// The Helm release that helm-controller makes of a HelmRelease.
struct Made<'a> {
    namespace: &'a str,
    storage: &'a str,
    release: Owner,
    record: String,
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

    fn known(text: &str) -> Known {
        let objects = read(text, Reading::default()).unwrap_or_default();
        let now = "2026-11-24T12:00:00Z".parse().unwrap_or_default();
        Known::of(&Facts::of(objects), &Engine::default(), now)
    }

    fn release(namespace: &str, name: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: {name}, \
             namespace: {namespace}}}\nspec: {{{spec}}}\n"
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
        assert_eq!(
            known(&release("apps", "a", &stored)).engines,
            ["records/sh.helm.release.v1.flux.v"]
        );
        assert!(known(&release("apps", "a", "")).engines.is_empty());
    }

    #[test]
    fn whoever_owns_the_engine_is_closed_wherever_it_is_kept_and_whatever_it_is_called() {
        let owned = |name: &str, namespace: &str| {
            format!(
                "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: source-controller\n  \
                 namespace: flux-system\n  annotations: {{meta.helm.sh/release-name: {name}, \
                 meta.helm.sh/release-namespace: {namespace}}}\n"
            )
        };
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
    fn a_list_is_no_longer_than_a_condition_can_hold() {
        let mut list = vec!["a".repeat(300); MOST];
        cut(&mut list);
        let length = list.len() * (300 + AROUND);
        assert!(length <= LONGEST && length > LONGEST - 400, "{length}");
        let mut short = vec!["a".repeat(70); MOST + 1];
        cut(&mut short);
        assert_eq!(short.len(), MOST);
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
