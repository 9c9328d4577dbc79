//! Commands that move a CRD's stored objects to another version, in the order that loses none.
//!
//! Storage flag → rewrite → verify → prune. A rewrite stores objects in the version with the
//! storage flag at that moment. Pruning a version that still holds objects makes them unreadable.
//! So each command does one step and checks the step before. The commands run in sh, bash and zsh.

mod plan;

pub use plan::{MigrationObstacle, MigrationPlan, plan};

use crate::crd::Definition;

/// Most rewrites of all objects before a command gives up. The first pass rewrites, the second
/// finds nothing left to do. A controller may write in between.
const PASSES: &str = "1 2 3 4 5";

/// Makes an offered version of the live definition its storage version. `None` if the definition
/// lacks that version. The command first tests the version's name, so it fails if the order of
/// versions has changed.
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

/// Puts a version back on `storedVersions`. Once the storage flag has moved, nothing else shows
/// that objects are stored in it.
#[must_use]
pub fn list(name: &str, version: &str) -> String {
    format!(
        "kubectl patch crd {name} --subresource=status --type=json -p \
         '[{{\"op\":\"add\",\"path\":\"/status/storedVersions/-\",\"value\":\"{version}\"}}]'"
    )
}

/// Rewrites every object until a pass changes nothing. Leaves `storedVersions` unchanged.
#[must_use]
pub fn rewrite(name: &str, live: &Definition) -> String {
    passes(name, live, "break")
}

/// Rewrites every object until a pass changes nothing, then prunes all but the storage version from
/// `storedVersions`. `None` if the definition lacks that version. The prune tests that this is
/// still the storage version.
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

/// Each pass reads all objects into a file and writes them back, so a failed read writes nothing.
/// Every rewrite raises a `resourceVersion`, so an equal second read proves that nothing was
/// rewritten. A list without objects is written back as well.
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
