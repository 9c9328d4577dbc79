//! Commands that move the stored objects of a CRD to another version, in the order that loses none.
//!
//! Storage flag → rewrite → verify → prune. Whoever prunes a version that objects are still stored in
//! makes them unreadable, and a rewrite stores in the version that has the flag at that moment. Each
//! command therefore does one step and checks the step before. They run in sh, bash and zsh.

use crate::crd::Definition;

/// How often all objects are rewritten before a command gives up: the first pass rewrites, the second
/// finds nothing left to do, and a controller may write in between.
const PASSES: &str = "1 2 3 4 5";

/// Makes a version that the live definition already offers its storage version; `None` if the
/// definition does not offer it. The name is tested first, so that a definition whose versions stand
/// in another order by now is left alone.
#[must_use]
pub fn move_storage(name: &str, live: &Definition, to: &str) -> Option<String> {
    let target = live.place(to)?;
    let mut steps = vec![test_name(target, to)];
    for (place, version) in live.versions.iter().enumerate() {
        let is_target = place == target;
        if version.storage != is_target {
            steps.push(format!(
                r#"{{"op":"replace","path":"/spec/versions/{place}/storage","value":{is_target}}}"#
            ));
        }
    }
    let steps = steps.join(",");
    Some(format!(
        "kubectl patch crd {name} --type=json -p '[{steps}]'"
    ))
}

/// Puts a version back on `storedVersions`: once the storage flag has moved, nothing else tells that objects
/// are stored in it.
#[must_use]
pub fn list(name: &str, version: &str) -> String {
    format!(
        "kubectl patch crd {name} --subresource=status --type=json -p \
         '[{{\"op\":\"add\",\"path\":\"/status/storedVersions/-\",\"value\":\"{version}\"}}]'"
    )
}

/// Rewrites every object until a pass changes nothing, and leaves `storedVersions` as it is.
#[must_use]
pub fn rewrite(name: &str, live: &Definition) -> String {
    passes(name, live, "break")
}

/// Rewrites every object until a pass changes nothing, and only then takes every version but the
/// storage version off `storedVersions`; `None` if the definition does not offer that version. The
/// prune tests that the storage version is still this one.
#[must_use]
pub fn rewrite_and_prune(name: &str, live: &Definition, storage: &str) -> Option<String> {
    let place = live.place(storage)?;
    let tests = test_name(place, storage);
    let prune = format!(
        "kubectl patch crd $c --subresource=status --type=json -p '[{tests},\
         {{\"op\":\"test\",\"path\":\"/spec/versions/{place}/storage\",\"value\":true}},\
         {{\"op\":\"replace\",\"path\":\"/status/storedVersions\",\"value\":[\"{storage}\"]}}]' && break"
    );
    Some(passes(name, live, &prune))
}

/// A pass reads all objects into a file and writes them back, so that a failed read writes nothing.
/// A second read that equals the first proves that the pass rewrote nothing: every write would have
/// raised a `resourceVersion`. A list without objects is written back as well.
fn passes(name: &str, live: &Definition, then: &str) -> String {
    let all = if live.scope == "Namespaced" {
        " -A"
    } else {
        ""
    };
    let read = |file: &str| format!("kubectl get $c{all} -o json >$t/{file}.json");
    let (before, after) = (read("a"), read("b"));
    format!(
        "c={name} t=$(mktemp -d); for pass in {PASSES}; do {before} && kubectl replace -f $t/a.json && \
         {after} && cmp -s $t/a.json $t/b.json && {then}; done"
    )
}

fn test_name(place: usize, name: &str) -> String {
    format!(r#"{{"op":"test","path":"/spec/versions/{place}/name","value":"{name}"}}"#)
}
