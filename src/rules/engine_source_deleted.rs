//! A deleted source of the Kustomization or HelmRelease that applies Flux, or the source's Secret.
//!
//! Flux then keeps running on the last fetched state and applies nothing new. Other sources and
//! Secrets are ignored.

use std::collections::BTreeSet;

use super::engine_deleted::applies;
use crate::case::facts::Facts;
use crate::case::finding::{Finding, Level};
use crate::case::request::{Door, Operation};
use crate::case::rule::{Case, Moment, Need, Rule, RuleResult};
use crate::flux::engine::Engine;
use crate::object::{Body, Key, Object};

/// See the module's documentation.
pub const RULE: Rule = Rule {
    id: "engine-source-deleted",
    level: Level::Warn,
    catches: "a DELETE of the source from which Flux is applied, or of the Secret that the source names",
    breaks: "Flux keeps running, but nothing new from that source is applied",
    when: Moment::Run,
    doors: &[Door::Engine],
    needs: &[Need::Kustomizations],
    check,
};

const GROUP: &str = "source.toolkit.fluxcd.io";

/// The object that applies Flux, and the source that it reads.
struct Root<'a> {
    /// A Kustomization or HelmRelease.
    applier: &'a Object,
    source: Key,
}

fn check(case: &Case<'_>) -> RuleResult {
    let is_deletion = case.request.operation == Operation::Delete;
    let change = case.change().filter(|_| is_deletion);
    let Some(old) = change.and_then(|change| change.old.as_ref()) else {
        return Ok(Vec::new());
    };
    let key = old.key();
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    if key.group != GROUP && !is_secret {
        return Ok(Vec::new());
    }
    let mut findings = Vec::new();
    for root in roots(case.facts, case.engine()) {
        if root.source == key {
            findings.push(source_finding(old, root.applier));
        } else if is_secret && root.secret(case.facts).as_ref() == Some(&key) {
            findings.push(secret_finding(old, &root));
        }
    }
    Ok(findings)
}

/// The Secrets by which Flux's own sources are fetched. None of them is ever read.
#[must_use]
pub fn secrets(facts: &Facts, engine: &Engine) -> BTreeSet<Key> {
    let roots = roots(facts, engine).into_iter();
    roots.filter_map(|root| root.secret(facts)).collect()
}

/// The Kustomizations and HelmReleases that apply Flux and are not suspended.
fn roots<'a>(facts: &'a Facts, engine: &'a Engine) -> Vec<Root<'a>> {
    let parts: Vec<&Object> = facts.engine(engine).collect();
    let owners = facts.owners(engine);
    let mut roots = Vec::new();
    for applier in facts.objects() {
        let [kind, namespace, name] = match &applier.body {
            Body::Kustomization(one) if !one.suspended => {
                if !parts.iter().any(|part| applies(applier, part)) {
                    continue;
                }
                one.source.each_ref().map(String::as_str)
            }
            Body::HelmRelease(release) if !release.is_suspended() => {
                let owner = applier.installs();
                if !owner.is_some_and(|owner| owners.contains(&owner)) {
                    continue;
                }
                release.source()
            }
            _ => continue,
        };
        let own = applier.namespace.as_deref().unwrap_or_default();
        let namespace = if namespace.is_empty() { own } else { namespace };
        let source = Key {
            group: GROUP.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        roots.push(Root { applier, source });
    }
    roots
}

impl Root<'_> {
    /// The Secret that the source names. `None` if the source is not known or names none.
    fn secret(&self, facts: &Facts) -> Option<Key> {
        let Body::FluxSource(Some(name)) = &facts.live(&self.source)?.body else {
            return None;
        };
        Some(Key {
            group: String::new(),
            kind: "Secret".to_owned(),
            namespace: self.source.namespace.clone(),
            name: name.clone(),
        })
    }
}

fn source_finding(source: &Object, applier: &Object) -> Finding {
    let message = format!("{applier} applies Flux from it, and would apply nothing new");
    let namespace = applier.namespace.as_deref().unwrap_or_default();
    let kind = applier.kind.to_lowercase();
    let remedy = format!(
        "Point the {} at another source first, or suspend it: flux suspend {kind} {} -n {namespace}",
        applier.kind, applier.name
    );
    Finding::about(source, "", message, remedy)
}

fn secret_finding(secret: &Object, root: &Root<'_>) -> Finding {
    let Root { applier, source } = root;
    let message = format!(
        "{source} is fetched with it, and {applier} applies Flux from there: nothing new comes without it"
    );
    let remedy =
        "Write the new content into it, or name another Secret in that source first".to_owned();
    Finding::about(secret, "", message, remedy)
}
